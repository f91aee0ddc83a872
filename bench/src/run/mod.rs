//! `redpkt-bench run`.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `run`.
#[derive(Args)]
pub struct RunArgs {}

/// Runs the command.
pub fn run(_args: RunArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
