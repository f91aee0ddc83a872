//! `redpkt-bench knee`.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `knee`.
#[derive(Args)]
pub struct KneeArgs {}

/// Runs the command.
pub fn run(_args: KneeArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
