//! Reads, summarises and records captures of redpkt's traffic.
//!
//! | file | what |
//! |---|---|
//! | `container` | pcap and pcapng: records |
//! | `link`, `datagram` | records to datagrams: link, IP and UDP headers |
//! | `reason` | why something is not redpkt |
//! | `doubled` | datagrams that were captured going out and coming in |
//! | `keys` | server keys and key logs |
//! | `mix`, `grow` | what tables have in common: hash and growth |
//! | `follow` | sessions, seqs, requests: what each frame is |
//! | `fields` | the names and values of a frame's fields, the only place where they are |
//! | `reading` | a file through all of these |
//! | `show` | the command: a line a frame |
//! | `stats` | the command: figures of whole captures |
//! | `record` | the command: what passes an interface, into files |

#![forbid(unsafe_code)]

pub mod args;
pub mod container;
pub mod datagram;
pub mod doubled;
pub mod fields;
pub mod follow;
mod grow;
pub mod keys;
pub mod link;
mod mix;
mod out;
mod progress;
pub mod reading;
pub mod reason;
pub mod record;
pub mod show;
pub mod stats;

use clap::{Parser, Subcommand};
use redpkt::cli::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

/// The root of the command line.
#[derive(Parser)]
#[command(name = "redpkt-pcap", version = redpkt::version(), about = "Captures of redpkt's traffic: read, summarised, recorded")]
#[command(args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A line a frame
    Show(show::ShowArgs),
    /// Figures of whole captures
    Stats(stats::StatsArgs),
    /// Write what passes an interface into capture files
    Record(record::RecordArgs),
}

/// Runs a command line, the program's name first; the exit code is the contract's.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result: Result<(), Failure> = match Cli::parse_from(args).command {
        Command::Show(args) => show::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Record(args) => record::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report("redpkt-pcap"),
    }
}
