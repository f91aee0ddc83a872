//! The `redpkt` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    redpkt::cli::main(std::env::args_os())
}
