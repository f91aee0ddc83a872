//! `redpkt-bench relay`.

use clap::Args;
use redpkt::cli::Failure;

/// Options of `relay`.
#[derive(Args)]
pub struct RelayArgs {}

/// Runs the command.
pub fn run(_args: RelayArgs) -> Result<(), Failure> {
    Err(Failure::machine("not built yet"))
}
