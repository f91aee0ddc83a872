//! Reads, summarises and records captures of redpkt's traffic.

#![forbid(unsafe_code)]

pub mod record;

use clap::{Parser, Subcommand};
use redpkt::cli::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

/// The root of the command line.
#[derive(Parser)]
#[command(name = "redpkt-pcap", version = redpkt::version(), about = "Captures of redpkt's traffic: read, summarised, recorded")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write what passes an interface into capture files
    Record(record::RecordArgs),
}

/// Runs a command line, the program's name first; the exit code is the contract's.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome: Result<(), Failure> = match Cli::parse_from(args).command {
        Command::Record(args) => record::run(&args),
    };
    outcome.map_or_else(|failure| failure.report("redpkt-pcap"), |()| ExitCode::SUCCESS)
}
