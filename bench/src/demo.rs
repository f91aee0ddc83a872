//! `redpkt-bench demo`: server and load in one command.
//!
//! A server starts on free loopback ports and a new ledger, many users join and shake, some of them win and open
//! what they won. At the end stand the latencies, what both sides counted, the ledger's audit, and a verdict. Nothing
//! is left, and nothing left running.

mod spectrum;
mod tallies;

use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::floor::{CorePair, siblings};
use crate::run::{Fleet, Progress, Rate, Report, RunOptions, Second, ServerSide, write_tally};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use redpkt::capture::{CaptureSettings, Sample};
use redpkt::cli::Failure;
use redpkt::net::affinity::allowed_cores;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tallies::Tallies;

/// How old the server's figures can be, and some.
const FIGURES_DELAY: Duration = Duration::from_millis(150);

/// Options of `demo`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench demo
  redpkt-bench demo --quick
  redpkt-bench demo --pcap demo.pcap --keylog demo.keys      # then what it says at its end

Both sides' books and the ledger must agree, and every request must be answered: a machine that is busy with something \
else may miss that. Exit codes: 0 all is well, 1 something is not, 2 an option is wrong, 3 the machine refused.")]
pub struct DemoArgs {
    /// A small one of about 5 seconds: 10,000 users
    #[arg(long)]
    quick: bool,
    /// Users, each with a session [default: 100000, quick 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=16_000_000))]
    users: Option<u64>,
    /// Requests a second of all of them [default: 15000, quick 5000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    qps: Option<u64>,
    /// How long they shake, in seconds [default: 15, quick 3]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: Option<u32>,
    /// Packets to win, a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    mint: u32,
    /// Have the server write the datagrams of --pcap-sample into a new capture file
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Whose datagrams: one in N users
    #[arg(long, value_name = "1/N", default_value = "1/100", requires = "pcap")]
    pcap_sample: Sample,
    /// Have the server write the keys of its sessions into a file that opens captures
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
}

/// What the demo does, with every default filled in.
#[derive(Clone, Debug)]
struct Plan {
    users: u64,
    qps: u64,
    seconds: u32,
    mint: u32,
    cores: CorePair,
    capture: CaptureSettings,
}

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let plan = Plan::of(args);
    if let Some(pcap) = plan.capture.pcap.as_ref().filter(|pcap| pcap.exists()) {
        // The server would take another name, and what is told at the end would be of an earlier run.
        return Err(Failure::usage(format!(
            "--pcap {}: it is there already; name another file",
            pcap.display()
        )));
    }
    let directory = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let ledger = format!("sqlite:{}", directory.path().join("ledger").display());
    let child_options = plan.child_options(&ledger)?;
    let program = child_options.program.clone();
    let mut child = ServerChild::start(child_options)?;
    let Plan { users, qps, seconds, mint, cores, ref capture } = plan;
    println!("{users} users shake {qps} times a second for {seconds} s; {mint} packets a second can be won");
    println!(
        "server {} on core {}, clients on core {}; figures: http://{}/stats.json",
        child.listen(),
        cores.server,
        cores.client,
        child.http()
    );
    let mut screen = Screen::new(&child, users);
    let options = plan.run_options(&child);
    let mut fleet = Fleet::join(&options, &mut |progress| screen.show(progress))?;
    // Until the last joins are in the server's figures, which would else be counted among the shakes.
    std::thread::sleep(FIGURES_DELAY);
    screen.begin();
    let report = fleet.measure(&options, &mut |progress| screen.show(progress))?;
    drop(fleet);
    let stats = child.stats()?;
    let child_port = child.listen().port();
    child.terminate()?;
    let tally = directory.path().join("tally.jsonl");
    write_tally(&tally, &report.tally)?;
    let audit = Audit::of(&program, &ledger, &[tally])?;
    let concluded = conclude(&report, &stats, &audit);
    tell_capture(capture, child_port);
    concluded
}

/// How to look into what was captured.
fn tell_capture(capture: &CaptureSettings, port: u16) {
    let Some(pcap) = &capture.pcap else { return };
    let keylog =
        capture.keylog.as_ref().map_or_else(String::new, |file| format!(" --keylog {}", file.display()));
    println!("\ncaptured: redpkt-pcap stats {} --port {port}{keylog}", pcap.display());
}

impl Plan {
    fn of(args: &DemoArgs) -> Plan {
        let (users, qps, seconds) = if args.quick { (10_000, 5_000, 3) } else { (100_000, 15_000, 15) };
        Plan {
            users: args.users.unwrap_or(users),
            qps: args.qps.unwrap_or(qps),
            seconds: args.seconds.unwrap_or(seconds),
            mint: args.mint,
            cores: CorePair::choose(&allowed_cores(), siblings),
            capture: CaptureSettings {
                pcap: args.pcap.clone(),
                sample: args.pcap_sample,
                keylog: args.keylog.clone(),
            },
        }
    }

    fn child_options(&self, ledger: &str) -> Result<ChildOptions, Failure> {
        // For the joins and the end too; what is not won stays in the pools.
        let packets = u64::from(self.mint) * u64::from(self.seconds + 60);
        let CaptureSettings { pcap, sample, keylog } = &self.capture;
        let file = |name: &str, file: &PathBuf| format!("--{name}={}", file.display());
        let pcap = pcap.iter().flat_map(|path| [file("pcap", path), format!("--pcap-sample={sample}")]);
        let capture = pcap.chain(keylog.iter().map(|path| file("keylog", path)));
        ChildOptions::new(
            ChildCommand::Serve,
            [
                "--workers=1".to_owned(),
                format!("--cores={}", self.cores.server),
                format!("--sessions={}", self.users),
                format!("--accounts={}", self.users.min(packets).max(1_000)),
                format!("--packets={}", packets.max(1_000)),
                format!("--mint={}", self.mint),
                format!("--mint-total={packets}"),
                "--mint-fen=1..200".to_owned(),
                format!("--ledger={ledger}"),
            ]
            .into_iter()
            .chain(capture),
        )
    }

    fn run_options(&self, child: &ServerChild) -> RunOptions {
        let rate = Rate::requests_per_s(self.qps);
        let time = Duration::from_secs(self.seconds.into());
        let mut options = RunOptions::new(child.listen(), child.keys().clone(), self.users, rate, time);
        options.cores = vec![self.cores.client];
        // No other host to begin together with.
        options.align = Duration::from_millis(10);
        options.http = Some(child.url());
        options
    }
}

/// What is shown while it goes on: a bar on a terminal, lines in a pipe, and a line for each second.
struct Screen {
    bar: Option<ProgressBar>,
    url: String,
    /// The server's counters at the second before.
    server: Option<(Instant, ServerSide)>,
}

impl Screen {
    fn new(child: &ServerChild, users: u64) -> Screen {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("opening sessions {bar:40} {pos:>7}/{len}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(users).with_style(style)
        });
        Screen { bar, url: child.url(), server: None }
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Shaking begins.
    fn begin(&mut self) {
        println!("{HEAD_SIDES}\n{HEAD_COLUMNS}");
        self.ask_server();
    }

    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Paying { .. } | Progress::Begins(_) => {}
            Progress::Joining { joined, users, joins_per_s } => match &self.bar {
                Some(bar) => {
                    bar.set_position(joined);
                    bar.set_message(format!("{joins_per_s:.0}/s"));
                }
                None => println!("opening sessions: {joined} of {users}, {joins_per_s:.0}/s"),
            },
            Progress::Joined(joins) => {
                self.end_bar();
                println!(
                    "{} sessions opened in {:.1} s, {:.0}/s\n",
                    joins.sessions,
                    joins.seconds,
                    joins.sessions as f64 / joins.seconds.max(1e-9)
                );
            }
            Progress::Second(second) => {
                let server = self.ask_server();
                println!("{}", line(&second, server));
            }
            Progress::Draining { outstanding } if outstanding > 0 => {
                println!("waiting for the last {outstanding} answers");
            }
            Progress::Draining { .. } => {}
            Progress::Warning(warning) => match &self.bar {
                Some(bar) => bar.suspend(|| println!("note: {warning}")),
                None => println!("note: {warning}"),
            },
        }
    }

    /// What the server did a second since it was asked last: requests answered, datagrams in and out.
    fn ask_server(&mut self) -> Option<[f64; 3]> {
        let (asked, counted) = (Instant::now(), ServerSide::read(&self.url).ok()?);
        let (before, at_that_time) = self.server.replace((asked, counted))?;
        let seconds = asked.duration_since(before).as_secs_f64().max(1e-9);
        let since = counted.since(&at_that_time);
        Some([since.answers, since.datagrams_in, since.datagrams_out].map(|count| count as f64 / seconds))
    }
}

const HEAD_SIDES: &str =
    "        clients                      server                       shakes           latency";
const HEAD_COLUMNS: &str =
    "   s      QPS  PPS out   PPS in      QPS   PPS in  PPS out     wins   opens    p50 µs    p99 µs";

fn line(second: &Second, server: Option<[f64; 3]>) -> String {
    let Second { second: number, qps, pps_out, pps_in, wins, opens, p50_us, p99_us, .. } = second;
    let server = match server {
        Some([qps, pps_in, pps_out]) => format!("{qps:>8.0} {pps_in:>8.0} {pps_out:>8.0}"),
        None => format!("{:>8} {:>8} {:>8}", "-", "-", "-"),
    };
    format!(
        "{:>4} {qps:>8.0} {pps_out:>8.0} {pps_in:>8.0} {server} {wins:>8} {opens:>7} {p50_us:>9.0} {p99_us:>9.0}",
        number + 1
    )
}

/// Prints the latencies, the tallies and the verdict; a failure if something is not as it must be.
fn conclude(report: &Report, stats: &serde_json::Value, audit: &Audit) -> Result<(), Failure> {
    println!("\nLatency of {} shakes, from the time each was due", report.latency.len());
    spectrum::lines(&report.latency).iter().for_each(|line| println!("{line}"));
    let at = |quantile| spectrum::time(report.latency.value_at_quantile(quantile));
    println!(
        "  p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        spectrum::time(report.latency.max())
    );
    println!("  {} users from {} ports of one machine, over loopback", report.sessions, report.peers);
    println!("\nWhat both sides counted");
    let mut problems = report.check.problems.clone();
    match &report.server {
        Some(server) => {
            let tallies = Tallies::of(report, server);
            tallies.lines().iter().for_each(|line| println!("{line}"));
            if !tallies.agree() {
                problems.push("the two sides counted differently".to_owned());
            }
        }
        None => problems.push("the server did not tell its counters".to_owned()),
    }
    println!(
        "  left in the pools: {} packets, {} fen; sent again: {}",
        stats["pool_packets"], stats["pool_fen"], report.retransmits
    );
    println!(
        "\nAudit of the ledger on disk, and of what each client was told\n  {}; clients have taken {} fen, by the ledger {}",
        audit.verdict(),
        audit.number("/tallies/fen_clients"),
        audit.number("/tallies/fen_ledger")
    );
    if !audit.ok {
        problems.push("the audit found differences".to_owned());
    }
    let unanswered = [(report.timeouts, "without an answer"), (report.busy, "refused to the end")];
    let unanswered = unanswered.iter().filter(|(count, _)| *count > 0);
    problems.extend(unanswered.map(|(count, what)| format!("{count} requests {what}")));
    report.warnings.iter().for_each(|warning| println!("note: {warning}"));
    if !problems.is_empty() {
        return Err(Failure::check(format!("FAILED: {}", problems.join("; "))));
    }
    println!(
        "\nOK: all {} requests answered and checked; {} packets opened for {} fen; both sides agree, the audit is clean",
        report.answers, report.open.ok, report.open.fen
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_a_terminal_and_its_head() {
        let second = Second { qps: 1e6, pps_out: 1e6, pps_in: 1e6, p99_us: 1e8, ..Second::default() };
        let line = line(&second, Some([1e6; 3]));
        assert_eq!(line.chars().count(), HEAD_COLUMNS.chars().count());
        assert!(line.chars().count() <= 100, "{line}");
    }
}
