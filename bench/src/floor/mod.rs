//! `redpkt-bench floor`.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `floor`.
#[derive(Args)]
pub struct FloorArgs {}

/// Runs the command.
pub fn run(_args: FloorArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
