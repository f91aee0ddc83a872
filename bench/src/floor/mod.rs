//! `redpkt-bench floor`: what the server costs beside a bare echo with the same I/O.
//!
//! Both run as child processes and are measured in turn, A B A B, so that what the machine does meanwhile
//! is in both. One client thread asks them: it does the same work for both, sealing a frame and opening
//! the one that comes back, so a difference is the server's.
//!
//! | file | what |
//! |---|---|
//! | `variant` | the kinds of servers; one more kind is one more entry here |
//! | `client`, `users`, `join` | the client that asks them |
//! | `measure`, `spread`, `report`, `progress` | pairs, and what they say together |
//! | `reader` | whoever reads the figures of a server with telemetry |
//! | `machine` | the machine's busy time, and cores |

mod client;
mod join;
mod machine;
mod measure;
mod progress;
mod reader;
mod report;
mod spread;
mod users;
mod variant;

pub use client::{Client, Load, Tally};
pub use join::join;
pub use machine::{CorePair, siblings};
pub use measure::{Comparison, Ratio, Rounds, Sample, VariantReport};
pub use progress::Progress;
pub use spread::Spread;
pub use users::{Answerer, Unexpected, User};
pub use variant::{
    CAPTURE, Captured, ClientIo, ECHO_MMSG, Kind, REDPKT_MMSG, ServerIo, Setup, TELEMETRY, Variant,
    mode_name, pin,
};

use crate::json_or_text;
use crate::run::Host;
use clap::Args;
use rand::SeedableRng as _;
use reader::Reader;
use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt_proto::Rng;
use serde::Serialize;
use std::io::Write as _;
use std::time::Duration;

/// What is not counted at the beginning of each measurement: queues fill, caches warm, the processor
/// comes up to speed.
pub const WARM_UP: Duration = Duration::from_millis(100);

/// Options of `floor`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench floor
  redpkt-bench floor --quick --json -
  redpkt-bench floor --outstanding 64 --rate 0      # at saturation only
  redpkt-bench floor --telemetry                    # what measuring, a watch and Prometheus cost
  redpkt-bench floor --capture                      # what serve --pcap costs")]
pub struct FloorArgs {
    /// How often each is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// How long each measurement takes
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Users, each with a session
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=16_000_000))]
    users: u32,
    /// Requests on their way at any time, at saturation; 0 leaves that part out. 128 are two whole batches:
    /// one with the server and one with the client, so that none waits for the other. Fewer make batches
    /// smaller and answers dearer, more only make the queues longer
    #[arg(long, value_name = "N", default_value_t = 128)]
    outstanding: u32,
    /// Requests a second at the fixed rate; 0 leaves that part out
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rate: u32,
    /// Ports that the users come from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    source_ports: u32,
    /// The core of the server's worker
    #[arg(long, value_name = "N")]
    server_core: Option<usize>,
    /// The core of the client
    #[arg(long, value_name = "N")]
    client_core: Option<usize>,
    /// Instead of the echo: the server with all its telemetry, read by a watch each second and by Prometheus every
    /// 5 s, beside the server with none
    #[arg(long)]
    telemetry: bool,
    /// Instead of the echo: the server that writes all its datagrams, or those of one user in 1,000, into a capture,
    /// beside the server that writes none. All of them are some GB in the temporary directory
    #[arg(long, conflicts_with = "telemetry")]
    capture: bool,
    /// 5 pairs of 0.2 s: a smoke test, not a measurement
    #[arg(long)]
    quick: bool,
    /// Where the result goes as JSON; - is stdout, and then the table goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// How it was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Seconds of each measurement.
    pub seconds: f64,
    /// Users, each with a session.
    pub users: usize,
    /// Requests on their way at any time, at saturation.
    pub outstanding: usize,
    /// Requests a second at the fixed rate.
    pub rate: u32,
    /// Ports that the users come from.
    pub source_ports: usize,
    /// Where server and client ran.
    pub cores: CorePair,
}

/// What `floor --json` writes.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    saturation: Option<Comparison>,
    fixed_rate: Option<Comparison>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    captured: Vec<Captured>,
    settings: Settings,
    host: Host,
}

/// Runs the command.
pub fn run(args: &FloorArgs) -> Result<(), Failure> {
    let (settings, pairs) = args.settings()?;
    let host = Host::read();
    let kinds = match (args.telemetry, args.capture) {
        (true, _) => &TELEMETRY[..],
        (_, true) => &CAPTURE[..],
        _ => &[ECHO_MMSG, REDPKT_MMSG],
    };
    let mut rng = Rng::seed_from_u64(1);
    let client = ClientIo::Sockets { ports: settings.source_ports };
    let setup = Setup { users: settings.users, client, cores: settings.cores, lab: None };
    let variants: Result<Vec<Variant>, Failure> =
        kinds.iter().map(|kind| Variant::start(*kind, &setup, &mut rng)).collect();
    let mut variants = variants?;
    let reader = args.telemetry.then(|| Reader::start(variants[1].child().url()));
    // Only now: children inherit the cores that the thread may use.
    pin("--client-core", settings.cores.client)?;
    affinity::precise_timers().map_err(|error| Failure::machine(format!("setting timers: {error}")))?;
    let mut compare = |title: &str, load| {
        let mut progress = Progress::new(title, pairs);
        let time = Duration::from_secs_f64(settings.seconds);
        let names = kinds.iter().map(|kind| kind.name).collect();
        let mut sample = |nth: usize| variants[nth].measure(load, WARM_UP, time);
        let rounds = Rounds::take(names, pairs, &mut sample, &mut |samples| progress.pair(samples))?;
        Ok::<Comparison, Failure>(rounds.comparison())
    };
    let saturation = match settings.outstanding {
        0 => None,
        count => Some(compare("saturation", Load::Outstanding(count))?),
    };
    let fixed_rate = match settings.rate {
        0 => None,
        rate => Some(compare("fixed rate", Load::PerSecond(rate.into()))?),
    };
    let captured: Result<Vec<Option<Captured>>, Failure> = variants.iter().map(Variant::captured).collect();
    let captured = captured?.into_iter().flatten().collect();
    let report = Report { saturation, fixed_rate, captured, settings, host };
    reader.map_or(Ok(()), Reader::end)?;
    variants.into_iter().try_for_each(Variant::end)?;
    report.print(args.json.as_deref())
}

impl FloorArgs {
    fn settings(&self) -> Result<(Settings, usize), Failure> {
        let allowed = affinity::allowed_cores();
        let chosen = CorePair::choose(&allowed, siblings);
        let cores = CorePair {
            server: self.server_core.unwrap_or(chosen.server),
            client: self.client_core.unwrap_or(chosen.client),
        };
        let (pairs, seconds) = if self.quick { (5, 0.2) } else { (self.pairs as usize, self.seconds) };
        if !(0.01..=3_600.0).contains(&seconds) {
            return Err(Failure::usage(format!("--seconds {seconds}: 0.01 to 3600 is allowed")));
        }
        if self.outstanding * 2 > self.users {
            return Err(Failure::usage(format!(
                "--outstanding {}: at most half of --users {}, for each user waits for one answer at a time",
                self.outstanding, self.users
            )));
        }
        if self.outstanding == 0 && self.rate == 0 {
            return Err(Failure::usage("--outstanding 0 and --rate 0: nothing is left to measure"));
        }
        let settings = Settings {
            seconds,
            users: self.users as usize,
            outstanding: self.outstanding as usize,
            rate: self.rate,
            source_ports: self.source_ports as usize,
            cores,
        };
        Ok((settings, pairs))
    }
}

impl Report {
    fn print(&self, json: Option<&str>) -> Result<(), Failure> {
        let Settings { outstanding, rate, users, source_ports, cores, seconds } = self.settings;
        let mut text = String::new();
        if let Some(saturation) = &self.saturation {
            text += &report::tables(&format!("Saturation, {outstanding} requests on their way"), saturation);
        }
        if let Some(fixed_rate) = &self.fixed_rate {
            text += &report::tables(&format!("Fixed rate, {rate} requests/s"), fixed_rate);
        }
        for Captured { name, datagrams, datagrams_lost } in &self.captured {
            text += &format!("{name}: {datagrams} datagrams written, {datagrams_lost} lost\n");
        }
        let Host { commit, kernel, cpu, load_average, debug_build, .. } = &self.host;
        text += &format!(
            "{users} users from {source_ports} port(s), {seconds} s each; server on core {}, client on core {}\n\
             {cpu}, Linux {kernel}, commit {commit}, load before {load_average}\n",
            cores.server, cores.client
        );
        if *debug_build {
            text += "built without optimisation: these figures say nothing\n";
        }
        json_or_text(self, &text, json)?;
        std::io::stdout().flush().map_err(Failure::machine)
    }
}
