//! The command line: raw options become one checked configuration, once.

#![forbid(unsafe_code)]

mod ask_stats;
mod audit;
mod config_file;
mod doctor;
mod export;
mod failure;
mod http_settings;
mod imagined;
mod keys;
mod ledger;
mod ledger_dir;
mod lines;
mod out_file;
mod parse;
mod plan;
mod reading;
mod report;
mod secret_file;
mod serve;
mod serve_options;
mod signals;
mod watch;

pub use failure::Failure;
pub use http_settings::http_settings;
pub use keys::read_key_file;
pub use parse::{Cores, parse_bytes, parse_cores};
pub use signals::caught_signals;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// The root of the command line.
#[derive(Parser)]
#[command(name = "redpkt", version = crate::version(), about = "A UDP server for flash events: red packets for a million phones, every fen right")]
#[command(args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve_options::ServeArgs>),
    /// Make a key file, or put a new key on top of one
    Keygen(keys::KeygenArgs),
    /// Make a ticket: the right of one user to join
    Ticket(keys::TicketArgs),
    /// Prove every rule on money, and what clients were told
    Audit(audit::AuditArgs),
    /// Write a ledger into one SQLite file or a CSV file, to ask questions of
    Export(export::ExportArgs),
    /// Look at servers and load clients, second by second, and record what they do
    Watch(watch::WatchArgs),
    /// Make one HTML file of a recorded run: plots, totals from all sides, where they agree
    Report(report::ReportArgs),
    /// Look at what of this machine helps or hinders a server
    Doctor(doctor::DoctorArgs),
    /// How many machines an event takes, reckoned from measured costs
    Plan(plan::PlanArgs),
    /// Copy a ledger, also that of a running server
    Backup(ledger::BackupArgs),
}

/// Runs a command line, the program's name first; the exit code is the contract's.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(args.into_iter().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report("redpkt"),
    }
}

fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let args = config_file::merge(args, &Cli::command())?;
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Help, version and usage errors; clap says which options there are, and exits with 0 or 2.
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::Keygen(args) => keys::keygen(&args),
        Command::Ticket(args) => keys::ticket(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Backup(args) => ledger::backup(&args),
    }
}
