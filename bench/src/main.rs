//! The `redpkt-bench` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    redpkt_bench::main(std::env::args_os())
}
