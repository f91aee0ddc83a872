//! `redpkt-bench crash`: a server that is killed again and again loses and doubles nothing.
//!
//! Users shake, open, send, grab and share across groups while the server is killed (SIGKILL) at random moments, also
//! while it starts, and is started again on the same ledger at the same addresses. The clients carry on: sessions are
//! joined again, requests without an answer are looked up under the same reqs, and opens whose outcome is not known
//! are made again until it is. At the end the ledger is audited, and with it everything that the clients were told.

mod report;

use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::http;
use crate::run::{Fleet, Host, Mix, Rate, Report as RunReport, RunOptions, SendHabit, deposit, write_rows};
use clap::Args;
use rand::{RngExt as _, SeedableRng as _};
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt_proto::Rng;
use report::{Report, Settings};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server lives so long before it is killed, in ms.
const LIVES_MS: RangeInclusive<u64> = 300..=2_000;

/// A server that is killed while it starts has so long, in ms.
const STARTS_MS: RangeInclusive<u64> = 0..=120;

/// Of so many kills, one is followed by another one while the server starts.
const KILLED_AGAIN: u32 = 6;

/// How long a request may wait for its answer: longer than a server is away.
const DEADLINE: Duration = Duration::from_secs(30);

/// The longest run; it ends when the last kill is done.
const TIME_MAX: Duration = Duration::from_secs(12 * 3_600);

/// How long the load goes on after the last restart.
const AFTER: Duration = Duration::from_secs(1);

/// What each user is paid at the beginning, in fen.
const DEPOSIT_FEN: u64 = 5_000;

/// Options of `crash`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench crash --times 50
  redpkt-bench crash --times 5 --seed 7 --json -

Exits with 1 unless the audit is clean, and clients and ledger agree to the fen.")]
pub struct CrashArgs {
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    times: u32,
    /// Users, each with a session
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    users: u64,
    /// Requests a second at shots; opens, grabs and shares come on top
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    qps: u64,
    /// The server's workers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Groups, with a journal each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,
    /// Seed of the moments at which the server is killed [default: a random one, which is said]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep ledger and tally in this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<std::path::PathBuf>,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Where the result goes as JSON; - is stdout, and then the rest goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// What happened to the server.
#[derive(Clone, Copy, Debug, Default)]
struct Kills {
    all: u32,
    while_starting: u32,
    /// The longest time until it answered again.
    slowest_start: Duration,
}

/// Runs the command.
pub fn run(args: &CrashArgs) -> Result<(), Failure> {
    let temporary = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let directory = match &args.keep {
        Some(keep) => {
            let cannot = |error| Failure::usage(format!("--keep {}: {error}", keep.display()));
            std::fs::create_dir_all(keep).map_err(cannot)?;
            keep.as_path()
        }
        None => temporary.path(),
    };
    let report = args.crash(directory)?;
    report.print(args.json.as_deref())?;
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::check(format!("the check failed: {}", report.problems.join("; ")))),
    }
}

impl CrashArgs {
    fn crash(&self, directory: &Path) -> Result<Report, Failure> {
        let host = Host::read();
        let random = || os_seeded_rng().map(|mut rng| u64::from(rng.random::<u32>()));
        let seed = match self.seed {
            Some(seed) => seed,
            None => random().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?,
        };
        self.say(&format!("seed {seed}"));
        let ledger = format!("sqlite:{}", directory.join("ledger").display());
        let options = self.child_options(&ledger)?;
        let program = options.program.clone();
        let mut child = ServerChild::start(options)?;
        let run = self.run_options(&child);
        deposit(&run, &mut |_| ())?;
        let order = "send?id=house&rate=40&total=10000000&recipients=3&shares=2&fen=10..100";
        http::order(&child.url(), order).map_err(Failure::machine)?;
        let begun = Instant::now();
        let (kills, told) = self.kill_beside(&mut child, &run, seed)?;
        let seconds = begun.elapsed().as_secs_f64();
        child.terminate()?;
        let tally = directory.join("tally.jsonl");
        write_tally(&tally, &told)?;
        self.say("auditing");
        let audit = Audit::of(&program, &ledger, &[tally])?;
        let settings = Settings {
            users: self.users,
            qps: self.qps,
            workers: self.workers,
            groups: self.groups,
            mix: run.mix,
            ledger,
        };
        Ok(Report::new(&told, &audit, seed, kills, seconds, settings, host))
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Kills and starts the server on this thread, whose child it is, while the load runs on another.
    fn kill_beside(
        &self,
        child: &mut ServerChild,
        run: &RunOptions,
        seed: u64,
    ) -> Result<(Kills, RunReport), Failure> {
        let mut fleet = Fleet::join(run, &mut |_| ())?;
        let stop = run.stop.clone().unwrap_or_default();
        std::thread::scope(|scope| {
            let load = scope.spawn(|| fleet.measure(run, &mut |_| ()));
            let killed = self.kill(child, seed).and_then(|kills| {
                std::thread::sleep(AFTER);
                // Else somebody is invited for ever.
                http::order(&child.url(), "send/house/stop").map_err(Failure::machine)?;
                Ok(kills)
            });
            stop.store(true, Ordering::Relaxed);
            // A server that could not be started again is what went wrong, not what the load says of it.
            let kills = killed?;
            self.say("waiting for the last answers");
            match load.join() {
                Ok(report) => report.map(|report| (kills, report)),
                Err(_) => Err(Failure::check("the load has ended; its last words are above")),
            }
        })
    }

    fn kill(&self, child: &mut ServerChild, seed: u64) -> Result<Kills, Failure> {
        let mut rng = Rng::seed_from_u64(seed);
        let mut kills = Kills::default();
        let mut pause = |range| std::thread::sleep(Duration::from_millis(rng.random_range(range)));
        let mut dice = Rng::seed_from_u64(!seed);
        while kills.all < self.times {
            pause(LIVES_MS);
            child.kill();
            kills.all += 1;
            if kills.all < self.times && dice.random_ratio(1, KILLED_AGAIN) {
                child.spawn_again()?;
                pause(STARTS_MS);
                child.kill();
                (kills.all, kills.while_starting) = (kills.all + 1, kills.while_starting + 1);
            }
            let begun = Instant::now();
            child.restart()?;
            let took = begun.elapsed();
            kills.slowest_start = kills.slowest_start.max(took);
            let ms = took.as_millis();
            self.say(&format!("killed {} times of {}; back after {ms} ms", kills.all, self.times));
        }
        Ok(kills)
    }

    fn child_options(&self, ledger: &str) -> Result<ChildOptions, Failure> {
        let sets = self.groups.max(8).next_power_of_two();
        ChildOptions::new(
            ChildCommand::Serve,
            [
                format!("--workers={}", self.workers.min(self.groups)),
                format!("--groups={}", self.groups),
                format!("--sets={sets}"),
                format!("--sessions={}", self.users),
                format!("--accounts={}", 2 * self.users),
                format!("--ledger={ledger}"),
                "--packets=1000000".to_owned(),
                "--members=4000000".to_owned(),
                "--cores=none".to_owned(),
                "--shakes-per-s=0".to_owned(),
                "--keepalive=2s".to_owned(),
                "--idle=30s".to_owned(),
                "--mint=300".to_owned(),
                "--mint-total=10000000".to_owned(),
            ],
        )
    }

    fn run_options(&self, child: &ServerChild) -> RunOptions {
        let rate = Rate::requests_per_s(self.qps);
        let mix = Mix {
            shake: 70.0,
            send: 15.0,
            balance: 10.0,
            history: 5.0,
            open: 1.0,
            grab: 0.5,
            share: 0.2,
            again: 0.2,
        };
        RunOptions {
            mix,
            send: SendHabit { recipients: 5, shares: 4, ..SendHabit::default() },
            deposit_fen: DEPOSIT_FEN,
            persists: true,
            deadline: DEADLINE,
            rejoin_wait: Duration::from_millis(100),
            stop: Some(Arc::new(AtomicBool::new(false))),
            align: Duration::from_millis(1),
            http: Some(child.url()),
            ..RunOptions::new(child.listen(), child.keys().clone(), self.users, rate, TIME_MAX)
        }
    }
}

fn write_tally(path: &Path, told: &RunReport) -> Result<(), Failure> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        write_rows(&told.tally, &mut file)?;
        file.flush()
    };
    write().map_err(|error: std::io::Error| Failure::machine(format!("{}: {error}", path.display())))
}
