//! `redpkt-bench flood`: honest users beside a flood of garbage, on each engine.
//!
//! The honest ones never send anything twice, so what garbage crowds out is lost and shows. Both generators
//! share the client's core: a run counts only if both kept their rates.

mod garbage;
mod report;
mod thrower;

pub use garbage::Garbage;
pub use report::{EngineReport, Run};
pub use thrower::{Thrower, Thrown};

use crate::child::{ChildCommand, ChildOptions, ServerChild};
use crate::floor::{CorePair, siblings};
use crate::json_or_text;
use crate::lab::{Lab, Side};
use crate::run::{Fleet, Host, Rate, RunOptions};
use clap::Args;
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt::net::affinity::allowed_cores;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long an answer is waited for: without retransmission a later one is none.
const DEADLINE: Duration = Duration::from_secs(1);

/// The flood begins so long before the honest ones shake, and ends after them.
const LEAD: Duration = Duration::from_millis(300);

/// Options of `flood`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench flood                      # both engines, 3 runs each, about a minute; as root
  redpkt-bench flood --garbage 100000 --qps 50000 --json -")]
pub struct FloodArgs {
    /// Garbage datagrams a second
    #[arg(long, value_name = "N", default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    garbage: u32,
    /// Honest shakes a second
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    qps: u64,
    /// Honest users
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: u64,
    /// How long each run takes
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Runs on each engine, in turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Where the result goes as JSON; - is stdout, and then the table goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// What `flood --json` writes.
#[derive(Debug, Serialize)]
struct Report {
    garbage_per_s: u32,
    qps: u64,
    users: u64,
    seconds: f64,
    engines: Vec<EngineReport>,
    cores: CorePair,
    host: Host,
}

/// Runs the command.
pub fn run(args: &FloodArgs) -> Result<(), Failure> {
    let host = Host::read();
    let cores = CorePair::choose(&allowed_cores(), siblings);
    let lab = Arc::new(Lab::new(1)?);
    lab.enter(Side::Client)?;
    let mut engines = [EngineReport::new("mmsg"), EngineReport::new("xdp")];
    for number in 1..=args.runs {
        for engine in &mut engines {
            let run = args.one_run(&lab, engine.name, cores)?;
            eprintln!("{} {number}/{}: {}", engine.name, args.runs, run.line());
            engine.runs.push(run);
        }
    }
    let report = Report {
        garbage_per_s: args.garbage,
        qps: args.qps,
        users: args.users,
        seconds: args.duration.as_secs_f64(),
        engines: engines.into(),
        cores,
        host,
    };
    json_or_text(&report, &report.text(), args.json.as_deref())
}

impl FloodArgs {
    fn one_run(&self, lab: &Arc<Lab>, engine: &str, cores: CorePair) -> Result<Run, Failure> {
        let mut arguments = vec![
            "--workers=1".to_owned(),
            format!("--cores={}", cores.server),
            "--shakes-per-s=0".to_owned(),
            format!("--sessions={}", self.users),
            format!("--io={engine}"),
        ];
        if engine == "xdp" {
            arguments.push(format!("--iface={}", lab.interface(Side::Server)));
        }
        let mut child = ServerChild::start_in(lab, ChildOptions::new(ChildCommand::Serve, arguments)?)?;
        let rate = Rate::requests_per_s(self.qps);
        let options = RunOptions {
            deadline: DEADLINE,
            retransmits: false,
            cores: vec![cores.client],
            align: Duration::from_millis(1),
            ..RunOptions::new(child.listen(), child.keys().clone(), self.users, rate, self.duration)
        };
        let mut fleet = Fleet::join(&options, &mut |_| ())?;
        let thrower = Thrower {
            target: child.listen(),
            per_s: self.garbage,
            interface: lab.interface(Side::Client),
            core: cores.client,
        };
        let garbage = Garbage { thrower, users: self.users };
        let mut rng = os_seeded_rng().map_err(Failure::machine)?;
        let (before, stop) = (child.stats()?, AtomicBool::new(false));
        let cpu_before = child.cpu_ns()?;
        let (honest, thrown) = std::thread::scope(|scope| {
            let thrown = scope.spawn(|| garbage.throw(&mut rng, &stop));
            std::thread::sleep(LEAD);
            let honest = fleet.measure(&options, &mut |_| ());
            stop.store(true, Ordering::Relaxed);
            (honest, thrown.join())
        });
        let thrown =
            thrown.map_err(|_| Failure::check("the flood has ended; its last words are above"))??;
        let cpu_ns = child.cpu_ns()? - cpu_before;
        let run = Run::new(&honest?, &thrown, self.garbage, cpu_ns, &before, &child.stats()?);
        drop(fleet);
        child.terminate()?;
        Ok(run)
    }
}
