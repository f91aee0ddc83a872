//! `redpkt-bench engines`: what the server costs on AF_XDP beside recvmmsg and sendmmsg, and each beside a bare
//! echo with the same I/O.
//!
//! All of them answer the same client over the same wire, a veth pair between two network namespaces, and are
//! measured in turn, A B C D A B C D. A veth pair shows what one engine costs beside another, not what a network
//! card does.
//!
//! | file | what |
//! |---|---|
//! | `kinds` | the servers that are compared; the rungs of the ladder |
//! | `turns` | one measurement: start, join, measure, end |
//! | `report` | tables and sentences |
//! | `plot` | the ladder as a picture |
//!
//! Client, pairs and spreads are `floor`'s.

mod kinds;
mod plot;
mod report;
mod turns;

use crate::floor::{
    ClientIo, Comparison, CorePair, Load, Progress, Ratio, Rounds, Setup, mode_name, pin, siblings,
};
use crate::json_or_text;
use crate::lab::Lab;
use crate::run::Host;
use clap::{Args, ValueEnum};
use rand::SeedableRng as _;
use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt::net::xdp::XdpMode;
use redpkt_proto::Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use turns::{Got, Turns};

/// Ratios that say more than those against the bare echo: the one, and what it is held against.
const PAIRWISE: [(&str, &str); 2] = [("redpkt_xdp", "redpkt_mmsg"), ("redpkt_xdp", "echo_xdp")];

/// Options of `engines`.
#[derive(Args)]
#[command(after_help = "\
Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and `ip`; without them the exit code is 3. Everything happens in two
network namespaces of its own, and nothing of them is left behind.

Examples:
  redpkt-bench engines                              # 15 pairs, about 2 minutes
  redpkt-bench engines --quick --json -
  redpkt-bench engines --client sockets --xdp-mode native
  redpkt-bench engines --ladder --svg ladder.svg --json ladder.json")]
pub struct EnginesArgs {
    /// How often each is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// How long each measurement takes
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Users, each with a session
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    users: u32,
    /// Requests on their way at any time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    outstanding: u32,
    /// The client's way: by AF_XDP each user has an address and port of its own, and the client is no limit before
    /// the server is
    #[arg(long, value_enum, default_value_t = ClientChoice::Xdp)]
    client: ClientChoice,
    /// Ports that the users come from, with --client sockets [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    source_ports: Option<u32>,
    /// Where the servers' XDP program runs; auto is what was measured best for a veth
    #[arg(long, value_name = "auto|native|generic", default_value = "auto", conflicts_with = "ladder")]
    xdp_mode: XdpMode,
    /// Measure the server alone, one rung up after the other: batch 1, batch 64, steered, spinning, AF_XDP
    /// generic and native
    #[arg(long)]
    ladder: bool,
    /// Draw the ladder
    #[arg(long, value_name = "FILE", requires = "ladder")]
    svg: Option<PathBuf>,
    /// The core of the server, all its threads
    #[arg(long, value_name = "N")]
    server_core: Option<usize>,
    /// The core of the client
    #[arg(long, value_name = "N")]
    client_core: Option<usize>,
    /// 3 pairs of 0.2 s: a smoke test, not a measurement
    #[arg(long)]
    quick: bool,
    /// Where the result goes as JSON; - is stdout, and then the table goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// How the client's datagrams move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum ClientChoice {
    /// AF_XDP
    Xdp,
    /// The kernel's sockets
    Sockets,
}

/// How it was measured.
#[derive(Clone, Debug, Serialize)]
struct Settings {
    /// Seconds of each measurement.
    seconds: f64,
    /// Users, each with a session.
    users: usize,
    /// Requests on their way at any time.
    outstanding: usize,
    /// The client's way.
    client: ClientChoice,
    /// Addresses with a port that the users come from.
    peers: usize,
    /// As asked for; on the ladder each rung says it.
    xdp_mode: Option<&'static str>,
    /// What the servers got, by name.
    xdp: BTreeMap<&'static str, Got>,
    /// Where server and client ran.
    cores: CorePair,
}

/// What `engines --json` writes.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    comparison: Comparison,
    /// By `ONE/OTHER`; none on the ladder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pairwise: BTreeMap<String, Ratio>,
    /// Whether the variants are the rungs, and ratios against the first of them.
    ladder: bool,
    settings: Settings,
    host: Host,
}

/// Runs the command.
pub fn run(args: &EnginesArgs) -> Result<(), Failure> {
    let (mut settings, pairs) = args.settings()?;
    if let Some(why) = Lab::why_not() {
        return Err(Failure::machine(why));
    }
    let host = Host::read();
    let kinds = if args.ladder { kinds::ladder() } else { kinds::engines(args.xdp_mode) };
    let setup = args.setup(&settings)?;
    pin("--client-core", settings.cores.client)?;
    affinity::precise_timers().map_err(|error| Failure::machine(format!("setting timers: {error}")))?;
    let time = Duration::from_secs_f64(settings.seconds);
    let mut turns = Turns::new(setup, Load::Outstanding(settings.outstanding), time, Rng::seed_from_u64(1));
    let progress =
        std::cell::RefCell::new(Progress::new(if args.ladder { "ladder" } else { "engines" }, pairs));
    let mut sample = |nth: usize| {
        let kind = kinds[nth];
        progress.borrow_mut().begins(kind.name);
        turns.measure(kind)
    };
    let names = kinds.iter().map(|kind| kind.name).collect();
    let rounds = Rounds::take(names, pairs, &mut sample, &mut |samples| progress.borrow_mut().pair(samples))?;
    settings.xdp = turns.got().clone();
    let pairwise = PAIRWISE
        .iter()
        .filter_map(|(one, other)| Some((format!("{one}/{other}"), rounds.ratio(one, other)?)))
        .collect();
    let report = Report { comparison: rounds.comparison(), pairwise, ladder: args.ladder, settings, host };
    if let Some(file) = &args.svg {
        let svg = plot::ladder(&report.comparison, &report::conditions(&report))?;
        std::fs::write(file, svg)
            .map_err(|error| Failure::usage(format!("--svg {}: {error}", file.display())))?;
    }
    json_or_text(&report, &report::text(&report), args.json.as_deref())?;
    std::io::stdout().flush().map_err(Failure::machine)
}

impl EnginesArgs {
    fn settings(&self) -> Result<(Settings, usize), Failure> {
        let allowed = affinity::allowed_cores();
        let chosen = CorePair::choose(&allowed, siblings);
        let cores = CorePair {
            server: self.server_core.unwrap_or(chosen.server),
            client: self.client_core.unwrap_or(chosen.client),
        };
        let (pairs, seconds) = if self.quick { (3, 0.2) } else { (self.pairs as usize, self.seconds) };
        if !(0.01..=3_600.0).contains(&seconds) {
            return Err(Failure::usage(format!("--seconds {seconds}: 0.01 to 3600 is allowed")));
        }
        if self.outstanding > self.users / 2 {
            return Err(Failure::usage(format!(
                "--outstanding {}: at most half of --users {}, for each user waits for one answer at a time",
                self.outstanding, self.users
            )));
        }
        let peers = match (self.client, self.source_ports) {
            (ClientChoice::Xdp, None) => self.users,
            (ClientChoice::Xdp, Some(ports)) => {
                return Err(Failure::usage(format!(
                    "--source-ports {ports}: by AF_XDP each user has an address and port of its own; \
                     leave it out, or use --client sockets"
                )));
            }
            (ClientChoice::Sockets, ports) => ports.unwrap_or(16),
        };
        let settings = Settings {
            seconds,
            users: self.users as usize,
            outstanding: self.outstanding as usize,
            client: self.client,
            peers: peers as usize,
            xdp_mode: (!self.ladder).then(|| mode_name(self.xdp_mode)),
            xdp: BTreeMap::new(),
            cores,
        };
        Ok((settings, pairs))
    }

    fn setup(&self, settings: &Settings) -> Result<Setup, Failure> {
        let client = match self.client {
            ClientChoice::Xdp => ClientIo::Xdp,
            ClientChoice::Sockets => ClientIo::Sockets { ports: settings.peers },
        };
        let lab = Some(Arc::new(Lab::new(1)?));
        Ok(Setup { users: settings.users, client, cores: settings.cores, lab })
    }
}
