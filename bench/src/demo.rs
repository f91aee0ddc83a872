//! `redpkt-bench demo`.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `demo`.
#[derive(Args)]
pub struct DemoArgs {}

/// Runs the command.
pub fn run(_args: DemoArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
