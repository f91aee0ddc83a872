//! `redpkt-bench knee`: the highest rate at which the server answers in time.

mod search;

pub use search::{Found, Range, Verdict, search};

use crate::child::{ChildCommand, ChildOptions, ServerChild};
use crate::floor::{CorePair, siblings};
use crate::run::{Fleet, Host, Progress, Rate, Report, RunOptions};
use clap::Args;
use redpkt::cli::Failure;
use redpkt::net::affinity::allowed_cores;
use serde::Serialize;
use std::time::Duration;

/// Shots that must be answered in time on their first transmission.
const ANSWERED_SHARE: f64 = 0.999;

/// Shots that the generator must make in the run's time.
const FIRED_SHARE: f64 = 0.99;

/// A generator whose shots go out later than this has spent a good part of the 100 ms itself: what is
/// missed then is not the server's doing.
const LATE_P99_US_MAX: f64 = 10_000.0;

/// The lowest rate that is tried.
const RATE_MIN: u64 = 100;

/// Options of `knee`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench knee
  redpkt-bench knee --json knee.json

At the knee, 99.9% of the shots are answered within 100 ms of the time they are due, \
without retransmission, while the generator makes 99% of them in time. If the generator gives way first, \
that is said, and no number.")]
pub struct KneeArgs {
    /// Users, each with a session
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    users: u64,
    /// How long each rate is held, in seconds
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// The first rate, requests a second
    #[arg(long, value_name = "QPS", default_value_t = 20_000)]
    start: u64,
    /// The highest rate
    #[arg(long, value_name = "QPS", default_value_t = 20_000_000)]
    max: u64,
    /// The result is exact to this share of itself
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    resolution: f64,
    /// The server's workers, and cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Ports that the users come from
    #[arg(long, value_name = "N", default_value_t = 16)]
    source_ports: usize,
    /// Let runs of datagrams of one socket cross the kernel as one: cheaper for the generator, but then
    /// datagrams are no longer system packets
    #[arg(long)]
    gso: bool,
    /// Where the result goes as JSON; - is stdout, and then the rest goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// One rate held for a while.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Requests a second asked for.
    pub qps: u64,
    /// Of the shots due, those that were made.
    pub fired_share: f64,
    /// Of the shots made, those answered within 100 ms of their due time on their first transmission.
    pub answered_share: f64,
    /// 99% of the shots went out at most so late, in µs.
    pub late_p99_us: f64,
    /// Median from the due time, in µs.
    pub p50_us: f64,
    /// 99% from the due time, in µs.
    pub p99_us: f64,
    /// Datagrams sent again.
    pub retransmits: u64,
    /// What it comes to.
    pub verdict: Verdict,
}

impl Probe {
    fn of(qps: u64, report: &Report) -> Probe {
        let schedule = &report.schedule;
        // Shots fired are also those that a session could not take, because the server left too many
        // unanswered: that is not the generator's fault.
        let fired_share = schedule.shots_fired as f64 / schedule.shots_due.max(1) as f64;
        let answered_share =
            report.first_try_answers_within_100ms as f64 / schedule.shots_fired.max(1) as f64;
        let late_p99_us = schedule.late_us.p99;
        Probe {
            qps,
            fired_share,
            answered_share,
            late_p99_us,
            p50_us: report.latency_us.p50,
            p99_us: report.latency_us.p99,
            retransmits: report.retransmits,
            verdict: verdict(fired_share, answered_share, late_p99_us),
        }
    }

    fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Held => "held",
            Verdict::ServerLate => "the server gave way",
            Verdict::GeneratorLate => "the generator gave way",
        };
        format!(
            "{:>9} QPS {:>6.1}% made {:>7.2}% in time  p50 {:>7.0} µs  p99 {:>7.0} µs  late {:>6.0} µs  {verdict}",
            self.qps,
            self.fired_share * 100.0,
            self.answered_share * 100.0,
            self.p50_us,
            self.p99_us,
            self.late_p99_us,
        )
    }
}

fn verdict(fired_share: f64, answered_share: f64, late_p99_us: f64) -> Verdict {
    if fired_share >= FIRED_SHARE && answered_share >= ANSWERED_SHARE {
        Verdict::Held
    } else if fired_share < FIRED_SHARE || late_p99_us > LATE_P99_US_MAX {
        Verdict::GeneratorLate
    } else {
        Verdict::ServerLate
    }
}

/// What `knee --json` writes.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Missing when the generator gave way first, or nothing held, or everything did.
    knee_qps: Option<u64>,
    /// Whether the generator gave way before the server did.
    generator_limited: bool,
    /// The highest rate that was seen to hold.
    held_qps: u64,
    probes: Vec<Probe>,
    settings: Settings,
    host: Host,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Settings {
    users: u64,
    seconds: f64,
    workers: u32,
    threads: u32,
    source_ports: usize,
    gso: bool,
}

/// Runs the command.
pub fn run(args: &KneeArgs) -> Result<(), Failure> {
    args.check()?;
    let host = Host::read();
    let mut child = ServerChild::start(args.child_options()?)?;
    let mut options = args.run_options(&child);
    let say =
        |line: &str| if args.json.as_deref() == Some("-") { eprintln!("{line}") } else { println!("{line}") };
    let mut fleet = Fleet::join(&options, &mut |_| ())?;
    say(&format!("{} users, {} s at each rate", args.users, args.seconds));
    let mut probes = Vec::new();
    let range =
        Range { start: args.start, min: RATE_MIN, max: args.max.max(RATE_MIN), resolution: args.resolution };
    let found = search(range, |qps| {
        options.rate = Rate::requests_per_s(qps);
        let report = fleet.measure(&options, &mut |progress| {
            if let Progress::Warning(warning) = progress {
                say(&format!("  {warning}"));
            }
        })?;
        if !report.check.ok {
            return Err(Failure::check(report.check.problems.join("; ")));
        }
        let probe = Probe::of(qps, &report);
        say(&probe.line());
        let verdict = probe.verdict;
        probes.push(probe);
        Ok(verdict)
    })?;
    drop(fleet);
    child.terminate()?;
    say(&sentence(found));
    let KneeArgs { users, seconds, workers, threads, source_ports, gso, .. } = *args;
    let settings = Settings { users, seconds, workers, threads, source_ports, gso };
    let outcome = Outcome {
        knee_qps: if let Found::Knee(knee) = found { Some(knee) } else { None },
        generator_limited: matches!(found, Found::Generator { .. }),
        held_qps: held(found),
        probes,
        settings,
        host,
    };
    outcome.write(args.json.as_deref())
}

impl KneeArgs {
    fn check(&self) -> Result<(), Failure> {
        if !(0.01..=3_600.0).contains(&self.seconds) {
            return Err(Failure::usage(format!("--seconds {}: 0.01 to 3600 is allowed", self.seconds)));
        }
        if !(0.001..=0.5).contains(&self.resolution) {
            return Err(Failure::usage(format!("--resolution {}: 0.001 to 0.5 is allowed", self.resolution)));
        }
        Ok(())
    }

    fn child_options(&self) -> Result<ChildOptions, Failure> {
        let mut arguments = vec![
            format!("--workers={}", self.workers),
            format!("--sessions={}", self.users),
            "--shakes-per-s=0".to_owned(),
        ];
        if self.workers == 1 {
            arguments.push(format!("--cores={}", CorePair::choose(&allowed_cores(), siblings).server));
        }
        ChildOptions::new(ChildCommand::Serve, arguments)
    }

    fn run_options(&self, child: &ServerChild) -> RunOptions {
        let seconds = Duration::from_secs_f64(self.seconds);
        let rate = Rate::requests_per_s(self.start);
        let mut options = RunOptions::new(child.listen(), child.keys().clone(), self.users, rate, seconds);
        options.threads = self.threads;
        options.source_ports = self.source_ports;
        options.gso = self.gso;
        options.align = Duration::from_millis(10);
        if self.threads == 1 && self.workers == 1 {
            options.cores = vec![CorePair::choose(&allowed_cores(), siblings).client];
        }
        options
    }
}

fn held(found: Found) -> u64 {
    match found {
        Found::Knee(held) | Found::Generator { held, .. } | Found::Beyond(held) => held,
        Found::Nothing(_) => 0,
    }
}

fn sentence(found: Found) -> String {
    match found {
        Found::Knee(qps) => format!("knee: {qps} QPS"),
        Found::Generator { held, gave_way } => format!(
            "no knee found: the generator gave way first, at {gave_way} QPS; the server held {held}. \
             Give the generator more --threads, or another machine"
        ),
        Found::Nothing(rate) => format!("no knee found: the server does not even hold {rate} QPS"),
        Found::Beyond(rate) => format!("no knee found: the server held {rate} QPS, the --max"),
    }
}

impl Outcome {
    fn write(&self, json: Option<&str>) -> Result<(), Failure> {
        let Some(file) = json else { return Ok(()) };
        let text = serde_json::to_string_pretty(self).map_err(Failure::machine)?;
        if file == "-" {
            println!("{text}");
            return Ok(());
        }
        std::fs::write(file, text + "\n").map_err(|error| Failure::usage(format!("--json {file}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_generator_says_nothing_about_the_server() {
        assert_eq!(verdict(1.0, 0.9990, 0.0), Verdict::Held);
        assert_eq!(verdict(1.0, 0.9990, 20_000.0), Verdict::Held);
        assert_eq!(verdict(1.0, 0.9989, 0.0), Verdict::ServerLate);
        assert_eq!(verdict(0.99, 0.5, 0.0), Verdict::ServerLate);
        assert_eq!(verdict(0.98, 0.5, 0.0), Verdict::GeneratorLate);
        assert_eq!(verdict(1.0, 0.5, 20_000.0), Verdict::GeneratorLate);
    }

    #[test]
    fn no_number_is_said_when_the_generator_gave_way() {
        let said = sentence(Found::Generator { held: 50_000, gave_way: 51_000 });
        assert!(said.starts_with("no knee found: the generator gave way first"), "{said}");
    }
}
