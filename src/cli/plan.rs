//! `redpkt plan`: how many machines an event takes, reckoned from what was measured.
//!
//! | file | what |
//! |---|---|
//! | `demand` | what users ask for: requests, keepalives, datagrams, bits, rows |
//! | `cost` | what each of these costs, and who measured it |
//! | `sizing` | what one machine gives, and how many it takes |
//! | `example` | the arithmetic of the night of 2015, step by step |
//! | `report` | tables and JSON |

mod cost;
mod demand;
mod example;
mod report;
mod sizing;

use super::Failure;
use super::lines::print_result;
use super::parse::{parse_count, parse_percent, parse_seconds};
use crate::net::affinity::allowed_cores;
use crate::telemetry::memory_available_bytes;
use clap::{Args, ValueEnum};
use cost::Costs;
use demand::Demand;
use sizing::{Machine, Sizing};
use std::path::PathBuf;

/// Options of `plan`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt plan                                            # a million users at 60,000 QPS
  redpkt plan --users 5M --qps 300k --grants 2k --failures 33%
  redpkt plan --machines 3 --cores 16 --memory-mib 65536 --link-mbit 25000
  redpkt-bench engines --json engines.json; redpkt-bench opens --json opens.json
  redpkt plan --cost engines.json --cost opens.json      # what this machine was measured to do
  redpkt plan --http http://127.0.0.1:7101               # what a server under load does now
  redpkt plan --example wechat-2015                      # the article's sums, redone
  redpkt plan --json | jq .machines

Numbers may be written as 1000000, 1_000_000, 1M or 60k. The costs are measured ones: those
of --cost and --http, or else figures of this project's documents, which the output names.
Interrupt time of a card is in none of them: part of --headroom is for that.

Exit codes: 0 done, however many machines it takes, 2 an option is wrong, 3 the machine
refused.")]
pub struct PlanArgs {
    /// Users who are there at once
    #[arg(long, value_name = "N", default_value = "1M", value_parser = parse_count)]
    users: u64,
    /// Shakes a second at the peak
    #[arg(long, value_name = "N", default_value = "60k", value_parser = parse_count)]
    qps: u64,
    /// How often a client that is silent is told to send something
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = parse_seconds)]
    keepalive: u64,
    /// Packets a second that are won by shaking, and opened
    #[arg(long, value_name = "N", default_value = "200", value_parser = parse_count)]
    grants: u64,
    /// Packets a second that are made for three users each, and opened by them
    #[arg(long, value_name = "N", default_value = "200", value_parser = parse_count)]
    sends: u64,
    /// How long that goes on: packets, wallets and rows of all this time are kept
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_seconds)]
    event: u64,
    /// Tell how busy so many machines would be, besides how many it takes
    #[arg(long, value_name = "N", value_parser = parse_count)]
    machines: Option<u64>,
    /// Cores for workers of one machine [default: those allowed here]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    cores: Option<u32>,
    /// Memory of one machine [default: what is free here]
    #[arg(long, value_name = "MIB", value_parser = parse_count)]
    memory_mib: Option<u64>,
    /// What one machine's network carries, each way
    #[arg(long, value_name = "MBIT", default_value = "1000", value_parser = parse_count)]
    link_mbit: u64,
    /// What is kept free of everything: interrupts, waves, neighbours
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = parse_percent)]
    headroom: f64,
    /// The share of all machines that may fail while the others carry everything
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parse_percent)]
    failures: f64,
    /// Whose cost of an answer is taken: sockets or AF_XDP
    #[arg(long, value_enum, default_value_t = Io::Mmsg)]
    io: Io,
    /// Costs as measured: the JSON of redpkt-bench floor, engines or opens; may be given several times
    #[arg(long, value_name = "FILE")]
    cost: Vec<PathBuf>,
    /// A server under load, whose CPU time for each request is taken
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Go through a known event's arithmetic, and plan for it
    #[arg(long, value_enum, value_name = "NAME")]
    example: Option<Example>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How datagrams move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Io {
    /// recvmmsg and sendmmsg.
    Mmsg,
    /// AF_XDP.
    Xdp,
}

#[derive(Clone, Copy, ValueEnum)]
enum Example {
    #[value(name = "wechat-2015")]
    WeChat2015,
}

/// Reckons, and prints.
pub fn run(args: &PlanArgs) -> Result<(), Failure> {
    let demand = args.demand()?;
    let costs = Costs::read(args.io, &args.cost, args.http.as_deref())?;
    let machine = args.machine()?;
    let text = match args.example {
        None => {
            let sizing = Sizing::of(&demand, &machine, &costs, args.machines)?;
            if args.json { report::json(&sizing, &costs)? } else { report::tables(&sizing, &costs) }
        }
        Some(Example::WeChat2015) => {
            let steps = example::steps();
            let sizings = example::demands(args.keepalive)
                .iter()
                .map(|demand| Sizing::of(demand, &machine, &costs, args.machines))
                .collect::<Result<Vec<_>, _>>()?;
            match args.json {
                true => report::example_json(&steps, &sizings, &costs)?,
                false => report::example_tables(&steps, &sizings, &costs),
            }
        }
    };
    print_result(text.trim_end())
}

impl PlanArgs {
    fn demand(&self) -> Result<Demand, Failure> {
        if self.users == 0 {
            return Err(Failure::usage("--users 0: nobody needs no machine; 1 or more are allowed"));
        }
        Ok(Demand {
            users: self.users,
            shakes_per_s: self.qps,
            keepalive_s: self.keepalive,
            grants_per_s: self.grants,
            sends_per_s: self.sends,
            event_s: self.event,
        })
    }

    fn machine(&self) -> Result<Machine, Failure> {
        if self.headroom >= 1.0 || self.failures >= 1.0 {
            let option = if self.headroom >= 1.0 { "--headroom" } else { "--failures" };
            return Err(Failure::usage(format!(
                "{option} 100%: nothing is left to serve with; 0% to 99% are allowed"
            )));
        }
        if self.machines == Some(0) {
            return Err(Failure::usage("--machines 0: 1 or more are allowed"));
        }
        let memory_bytes = match self.memory_mib {
            Some(mib) => mib.saturating_mul(1 << 20),
            None => memory_available_bytes().ok_or_else(|| {
                Failure::machine("reading what memory is free: the kernel does not say; give --memory-mib")
            })?,
        };
        if memory_bytes == 0 || self.link_mbit == 0 {
            let option = if self.link_mbit == 0 { "--link-mbit" } else { "--memory-mib" };
            return Err(Failure::usage(format!("{option} 0: 1 or more are allowed")));
        }
        Ok(Machine {
            cores: self.cores.unwrap_or_else(|| allowed_cores().len().max(1) as u32),
            memory_bytes,
            link_mbit: self.link_mbit,
            headroom: self.headroom,
            failures: self.failures,
        })
    }
}
