//! The bare echo.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `echo`.
#[derive(Args)]
pub struct EchoArgs {}

/// Runs the command.
pub fn run(_args: EchoArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
