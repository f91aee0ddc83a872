//! The `redpkt-pcap` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    redpkt_pcap::main(std::env::args_os())
}
