//! `redpkt-bench practice`: what the article's author practised with 17 client machines, on one machine.
//!
//! Phase 1 opens a session for each user. Phases 2 and 3 let them shake at a rate, while packets are minted to shake for,
//! and then while packets are sent to three users each, until all is opened. At the end the clients, the server and the
//! ledger must agree.
//!
//! | file | what |
//! |---|---|
//! | `plan` | how many of what |
//! | `field`, `host` | the server and the client hosts: processes, each host in a namespace with a wire of its own |
//! | `moment` | what they have counted, as they tell it |
//! | `drive`, `windows` | the phases; whether packets were won as fast as they were minted |
//! | `report`, `event` | the checks, the table beside the article's; what it means for the night of 2015 |
//! | `recording` | all figures second by second in a run's directory, and the report made of them |
//! | `progress` | what a person sees meanwhile |

mod drive;
mod event;
mod field;
mod host;
mod moment;
mod plan;
mod progress;
mod recording;
mod report;
mod windows;

use crate::child::{guard, temporary_directory};
use crate::lab::{HOSTS_MAX, Lab, Star};
use crate::run::{Host, parse_per_s};
use clap::Args;
use field::Field;
use plan::{Plan, parse_phases, parse_scale};
use progress::Progress;
use recording::Recording;
use redpkt::cli::Failure;
use report::Report;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options of `practice`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench practice                     # 12 minutes, a million sessions
  redpkt-bench practice --quick             # the same shape in about a minute
  redpkt-bench practice --scale 0.1 --phases 1,2 --json practice.json
  redpkt-bench practice --quick --loopback  # without root: one client, no namespaces

Phase 1 opens 1,000,000 sessions. Phase 2 shakes at 30,000 QPS while 40,000 packets are minted at 200/s, and then while \
20,000 packets for 3 users each are sent at 200/s; all are opened. Phase 3 is the same at 60,000 QPS. \
With root each of the 17 client hosts is in a network namespace with a wire of its own to the server's; nothing of that \
is left behind. While it runs, every host can be watched and steered from outside (the addresses are said).

Exit codes: 0 all is well; 1 a session is missing, a request was not answered, packets were not won as fast as they were \
minted (2% in windows of 10 s), money was left, or the audit failed; 2 an option is wrong; 3 the machine refused.")]
pub struct PracticeArgs {
    /// All rates and counts times this, 0.001 to 10
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_scale)]
    scale: f64,
    /// Fewer users and packets, at the same rates: about a minute
    #[arg(long)]
    quick: bool,
    /// Packets to mint in each phase, and half as many to send [default: 40,000 and 20,000, times --scale]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    packets: Option<u64>,
    /// Phases to go through; sessions are opened in any case
    #[arg(long, value_name = "LIST", default_value = "1,2,3", value_parser = parse_phases)]
    phases: PhaseList,
    /// Client hosts [default: 17, with --loopback 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(HOSTS_MAX)))]
    hosts: Option<u32>,
    /// Everything on loopback, without namespaces; so it is without root in any case
    #[arg(long)]
    loopback: bool,
    /// This share of the users leaves and comes again in each second of phases 2 and 3
    #[arg(long, value_name = "SHARE", default_value = "0.01%", value_parser = parse_per_s)]
    churn: f64,
    /// Nobody leaves
    #[arg(long, conflicts_with = "churn")]
    no_churn: bool,
    /// Keep ledger and tallies in this directory, which must be new or empty; record all figures there second by second,
    /// and make report.html of them
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Where the result goes as JSON; - is stdout, and then the rest goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// A list that is one value.
type PhaseList = Vec<u32>;

/// Client hosts of the article.
const HOSTS: u32 = 17;

/// Runs the command.
pub fn run(args: &PracticeArgs) -> Result<(), Failure> {
    let mut progress = Progress::new(args.quiet);
    let why_not = if args.loopback { None } else { Lab::why_not() };
    if let Some(why) = &why_not {
        progress.say(&format!("on loopback, without hosts of their own: {why}"));
    }
    let in_star = !args.loopback && why_not.is_none();
    let hosts = args.hosts.unwrap_or(if in_star { HOSTS } else { 1 });
    let churn = if args.no_churn { 0.0 } else { args.churn };
    let plan = Plan::new(args.scale, args.quick, &args.phases, hosts, churn)?;
    let plan = match args.packets {
        Some(packets) => plan.with_packets(packets),
        None => plan,
    };
    let temporary = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let directory = match &args.run_dir {
        Some(directory) => new_directory(directory)?,
        None => temporary.path(),
    };
    guard::install();
    let star = if in_star { Some(Arc::new(Star::new(hosts)?)) } else { None };
    let report = practise(plan, star, directory, args.run_dir.is_some(), &mut progress)?;
    progress.end();
    report.show(args.json.as_deref())
}

/// Goes through all phases.
fn practise(
    plan: Plan,
    star: Option<Arc<Star>>,
    directory: &Path,
    records: bool,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let (machine, namespaces) = (Host::read(), star.is_some());
    let mut field = Field::start(star, &plan, directory)?;
    field.start_hosts(&plan, directory)?;
    progress.say(&format!("server   {}", field.server_url));
    for (at, url) in field.host_urls().iter().enumerate() {
        progress.say(&format!("host {:<3} {url}", at + 1));
    }
    let sources = || field.host_urls().into_iter().chain([field.server_url.clone()]).collect();
    let recording = records.then(|| Recording::start(sources(), directory, json!(plan))).transpose()?;
    let opened = drive::open_sessions(&mut field, &plan, progress)?;
    let mut shaken = Vec::new();
    if opened.sessions == plan.users {
        field.set_churn(plan.churn_per_s)?;
        for phase in &plan.phases {
            shaken.push(drive::shake(&mut field, phase, progress)?);
        }
    }
    let recorded = recording.map(Recording::stop).transpose()?;
    progress.say("ending the clients and the server, auditing");
    let ended = field.end()?;
    let report = Report::new(plan, namespaces, machine, opened, shaken, &ended.reports, &ended.audit);
    if let Some(recorded) = recorded {
        let verdict = json!({"ok": report.problems.is_empty(), "problems": report.problems, "audit": report.audit_verdict});
        let path = recorded.finish(verdict)?;
        progress.say(&format!("report: {}", path.display()));
    }
    Ok(report)
}

/// A directory that has nothing in it yet.
fn new_directory(directory: &Path) -> Result<&Path, Failure> {
    let refused = |why: String| Failure::usage(format!("--run-dir {}: {why}", directory.display()));
    std::fs::create_dir_all(directory).map_err(|error| refused(error.to_string()))?;
    let mut entries = std::fs::read_dir(directory).map_err(|error| refused(error.to_string()))?;
    match entries.next() {
        None => Ok(directory),
        Some(_) => Err(refused("it is not empty; name another one".into())),
    }
}
