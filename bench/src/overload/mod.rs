//! `redpkt-bench overload`: the knee, then several times of it, with clients that obey and that do not.
//!
//! Server and load in a lab, a core each. One client core cannot offer a whole server core several times what it can
//! do, so the server shares its core with threads that do nothing else than take time (`--share`).

mod report;
mod thief;

pub use report::{Scenario, Step};

use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::floor::{CorePair, siblings};
use crate::json_or_text;
use crate::lab::{Lab, PEERS, Side};
use crate::run::{Fleet, Host, Mix, Rate, RunOptions, XdpClient};
use clap::Args;
use redpkt::cli::Failure;
use redpkt::net::affinity::allowed_cores;
use redpkt::net::xdp::{XdpMode, XdpOptions};
use report::Report;
use std::sync::Arc;
use std::time::Duration;
use thief::Thieves;

/// When a request counts as unanswered.
const DEADLINE: Duration = Duration::from_secs(5);

/// The first rate of the search for the knee, in requests a second, and by how much each next is higher.
const FIRST_RATE: u64 = 10_000;
const STEP: f64 = 1.25;

/// How long each rate of the search is tried.
const TRY: Duration = Duration::from_secs(1);

/// The share of requests that must be answered within 100 ms without being sent again.
const IN_TIME: f64 = 0.999;

/// Packets minted a second.
const WINS_PER_S: u32 = 500;

/// Options of `overload`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench overload                          # about 2 minutes; as root
  redpkt-bench overload --io xdp --times 1,2 --seconds 3 --json -")]
pub struct OverloadArgs {
    /// The server's engine: mmsg or xdp
    #[arg(long, value_name = "mmsg|xdp", default_value = "mmsg", value_parser = ["mmsg", "xdp"])]
    io: String,
    /// Offered load, in multiples of the knee
    #[arg(long, value_name = "LIST", default_value = "1,2,4", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=16))]
    times: Vec<u32>,
    /// How long each load lasts
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Users
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    users: u64,
    /// The server has 1/N of its core
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    share: u32,
    /// Where the result goes as JSON; - is stdout, and then the table goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Runs the command.
pub fn run(args: &OverloadArgs) -> Result<(), Failure> {
    let host = Host::read();
    let cores = CorePair::choose(&allowed_cores(), siblings);
    let lab = Arc::new(Lab::new(1)?);
    lab.enter(Side::Client)?;
    let directory = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let ledger = format!("sqlite:{}", directory.path().join("ledger").display());
    let options = args.child_options(&lab, cores, &ledger)?;
    let program = options.program.clone();
    let mut child = ServerChild::start_in(&lab, options)?;
    let thieves = Thieves::start(args.share - 1, cores.server)?;
    let mut report = Report {
        io: args.io.clone(),
        knee_qps: 0,
        share: args.share,
        seconds: args.seconds,
        users: args.users,
        scenarios: Vec::new(),
        audit: None,
        cores,
        host,
    };
    for obeys in [false, true] {
        let mut load = args.load(&lab, &child, cores, obeys);
        let mut fleet = Fleet::join(&load, &mut |_| ())?;
        if report.knee_qps == 0 {
            report.knee_qps = knee(&mut fleet, &mut load)?;
            eprintln!("the knee: {} shakes/s", report.knee_qps);
        }
        for &times in &args.times {
            let scenario = args.scenario(&mut fleet, &mut load, &child, report.knee_qps, times, obeys)?;
            eprintln!("{}", scenario.line());
            report.scenarios.push(scenario);
        }
    }
    drop(thieves);
    child.terminate()?;
    let audit = Audit::of(&program, &ledger, &[])?;
    report.audit = Some(audit.ok);
    json_or_text(&report, &report.text(), args.json.as_deref())?;
    if audit.ok { Ok(()) } else { Err(Failure::check("the audit of the ledger failed: see redpkt audit")) }
}

impl OverloadArgs {
    fn child_options(&self, lab: &Lab, cores: CorePair, ledger: &str) -> Result<ChildOptions, Failure> {
        let mut arguments = vec![
            "--workers=1".to_owned(),
            format!("--cores={}", cores.server),
            "--shakes-per-s=0".to_owned(),
            format!("--sessions={}", self.users),
            format!("--accounts={}", 2 * self.users),
            format!("--io={}", self.io),
            format!("--ledger={ledger}"),
            format!("--mint={WINS_PER_S}"),
            "--mint-total=190000".to_owned(),
        ];
        if self.io == "xdp" {
            arguments.push(format!("--iface={}", lab.interface(Side::Server)));
        }
        ChildOptions::new(ChildCommand::Serve, arguments)
    }

    /// Users by AF_XDP: through sockets one core does not offer enough.
    fn load(&self, lab: &Lab, child: &ServerChild, cores: CorePair, obeys: bool) -> RunOptions {
        let interface = lab.interface(Side::Client).to_owned();
        let rate = Rate::requests_per_s(FIRST_RATE);
        RunOptions {
            obeys,
            deadline: DEADLINE,
            cores: vec![cores.client],
            align: Duration::from_millis(1),
            grace: Duration::from_millis(500),
            mix: Mix { open: 1.0, ..Mix::default() },
            xdp: Some(XdpClient {
                xdp: XdpOptions { interface, vlan: None, mode: XdpMode::Auto },
                network: PEERS[0].parse().ok(),
                server_mac: None,
            }),
            ..RunOptions::new(child.listen(), child.keys().clone(), self.users, rate, TRY)
        }
    }

    /// So many times the knee for a while, and half of it right after.
    fn scenario(
        &self,
        fleet: &mut Fleet,
        load: &mut RunOptions,
        child: &ServerChild,
        knee_qps: u64,
        times: u32,
        obeys: bool,
    ) -> Result<Scenario, Failure> {
        let before = child.stats()?;
        load.rate = Rate::requests_per_s(knee_qps * u64::from(times));
        load.duration = Duration::from_secs(self.seconds);
        let during = fleet.measure(load, &mut |_| ())?;
        let after = child.stats()?;
        load.rate = Rate::requests_per_s((knee_qps / 2).max(1));
        load.duration = Duration::from_secs(2);
        let recovered = fleet.measure(load, &mut |_| ())?;
        Ok(Scenario::new(times, obeys, knee_qps, &during, &recovered, &before, &after))
    }
}

/// The highest rate at which requests are answered in time, by steps.
fn knee(fleet: &mut Fleet, load: &mut RunOptions) -> Result<u64, Failure> {
    let (mut rate, mut knee) = (FIRST_RATE, None);
    loop {
        load.rate = Rate::requests_per_s(rate);
        load.duration = TRY;
        let step = Step::of(&fleet.measure(load, &mut |_| ())?);
        eprintln!("  {rate}/s: {:.2}% in time, p99 {:.1} ms", 100.0 * step.in_time, step.p99_us / 1e3);
        if step.in_time < IN_TIME {
            return knee.ok_or_else(|| {
                Failure::machine(format!(
                    "already {rate} requests/s are not answered in time; is the machine busy?"
                ))
            });
        }
        knee = Some(rate);
        rate = (rate as f64 * STEP) as u64;
    }
}
