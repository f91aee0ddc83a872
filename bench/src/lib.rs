//! Load clients, comparisons and the demo for redpkt.
//!
//! Servers are started as child processes by executing this program itself with a hidden `serve`, so no
//! other binary is needed, a server can be killed, and its CPU is its own. Ledgers are audited alike, by a hidden
//! `audit`, machines are looked at by a hidden `doctor` and `plan`, and runs by hidden `watch` and `report`.

#![forbid(unsafe_code)]

pub mod child;
pub mod crash;
pub mod demo;
pub mod echo;
pub mod engines;
pub mod flood;
pub mod floor;
pub mod hist;
pub mod hot;
pub mod http;
mod json;
pub mod knee;
pub mod lab;
pub mod opens;
pub mod overload;
pub mod practice;
pub mod rate;
pub mod relay;
pub mod run;

use clap::{Parser, Subcommand};
use json::json_or_text;
use redpkt::cli::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

/// The root of the command line.
#[derive(Parser)]
#[command(name = "redpkt-bench", version = redpkt::version(), about = "Load, comparisons and a demo for redpkt")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// More than the server can do, with clients that obey and that do not
    Overload(overload::OverloadArgs),
    /// Open sessions at a server and shake at a rate
    Run(Box<run::RunArgs>),
    /// Set the rate of load clients that run
    Rate(rate::RateArgs),
    /// Server and load in one command, about 20 seconds, on free loopback ports
    Demo(demo::DemoArgs),
    /// The highest rate at which the server answers in time
    Knee(knee::KneeArgs),
    /// What the server costs beside a bare echo with the same I/O
    Floor(floor::FloorArgs),
    /// What the server costs on AF_XDP beside recvmmsg and sendmmsg, over a wire of its own
    Engines(engines::EnginesArgs),
    /// Honest users beside a flood of garbage, on each engine
    Flood(flood::FloodArgs),
    /// The highest rate of durable opens
    Opens(opens::OpensArgs),
    /// The article's practice: a million sessions, then shakes, minted and sent packets, and the audit
    Practice(practice::PracticeArgs),
    /// A server that is killed again and again, and both sides' money afterwards
    Crash(crash::CrashArgs),
    /// One packet, grabbed by very many users within a second
    Hot(hot::HotArgs),
    /// Latencies of runs: a table, two runs compared, all merged, a picture
    Hist(hist::HistArgs),
    /// A relay that loses, doubles, reorders and delays datagrams
    Relay(relay::RelayArgs),
    /// Commands on both ends of a wire of their own: two network namespaces joined by a veth pair
    Lab(lab::LabArgs),
    /// The process that `lab` keeps everything in
    #[command(hide = true)]
    LabKeeper(lab::LabArgs),
    /// The bare echo, as a process of its own
    #[command(hide = true)]
    Echo(echo::EchoArgs),
}

/// Runs a command line, the program's name first; the exit code is the contract's.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    child::follow_parent();
    let args: Vec<OsString> = args.into_iter().collect();
    let is_servers = |command: &OsString| {
        ["serve", "audit", "doctor", "plan", "watch", "report"].iter().any(|name| command == name)
    };
    if args.get(1).is_some_and(is_servers) {
        return redpkt::cli::main(args);
    }
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse_from(args).command {
        Command::Run(args) => run::run(*args).map(done),
        Command::Rate(args) => rate::run(&args).map(done),
        Command::Demo(args) => demo::run(&args).map(done),
        Command::Knee(args) => knee::run(&args).map(done),
        Command::Floor(args) => floor::run(&args).map(done),
        Command::Engines(args) => engines::run(&args).map(done),
        Command::Flood(args) => flood::run(&args).map(done),
        Command::Overload(args) => overload::run(&args).map(done),
        Command::Opens(args) => opens::run(&args).map(done),
        Command::Practice(args) => practice::run(&args).map(done),
        Command::Crash(args) => crash::run(&args).map(done),
        Command::Hot(args) => hot::run(&args).map(done),
        Command::Hist(args) => hist::run(&args).map(done),
        Command::Relay(args) => relay::run(args).map(done),
        Command::Lab(args) => lab::run(&args),
        Command::LabKeeper(args) => lab::keep(&args),
        Command::Echo(args) => echo::run(&args).map(done),
    };
    match result {
        Ok(code) => code,
        Err(failure) => Failure::report(&failure, "redpkt-bench"),
    }
}
