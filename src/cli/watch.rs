//! `redpkt watch`: what servers and load clients do, second by second.

use super::lines::Lines;
use super::parse::parse_seconds;
use super::{Failure, secret_file};
use crate::record::{Recorder, Sample, Second, Series};
use crate::watch::{Screen, Seen, Trouble, WatchError, Watcher, line};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// Options of `watch`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt watch                                           # the server of this machine
  redpkt watch --http http://127.0.0.1:7101 --http http://127.0.0.1:7102  # and a load client
  redpkt watch --http http://10.0.0.7:7101 --http-token token.txt --iface eth0
  redpkt watch --run-dir runs/friday --duration 10m      # then: redpkt report runs/friday
  redpkt watch --json | jq .per_s.answers

QPS are requests answered a second. PPS are counted three times: datagrams by the
application, UDP datagrams by the kernel, packets by the interface. Drops are told by
place: card, softnet, socket, and by the server itself (us) for a reason that it names.
Counts of several servers, and of several clients, are added up; their histograms too.
On a terminal it takes the whole screen; q leaves.

Exit codes: 0 done, 2 an option is wrong or that is no redpkt, 3 nobody is there, or the
machine refused.")]
pub struct WatchArgs {
    /// Where a server or a load client tells its figures; repeat it for several
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7101")]
    http: Vec<String>,
    /// A file with the token that the servers ask for
    #[arg(long, value_name = "FILE")]
    http_token: Option<PathBuf>,
    /// Count packets at this interface of this machine, instead of those that the servers name
    #[arg(long, value_name = "IF")]
    iface: Option<String>,
    /// Record everything into this directory, for redpkt report
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Print one JSON object a second
    #[arg(long)]
    json: bool,
    /// Print lines also on a terminal
    #[arg(long, conflicts_with = "json")]
    lines: bool,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    duration: Option<u64>,
}

/// Between two lines with the columns' names.
const HEADER_EVERY: u64 = 20;

/// How often keys are looked at.
const KEYS_EVERY: Duration = Duration::from_millis(80);

/// Watches until the time is over, or somebody says to stop.
pub fn run(args: &WatchArgs) -> Result<(), Failure> {
    let token = args.http_token.as_deref().map(read_token).transpose()?;
    let watcher =
        Watcher::new(args.http.clone(), token, args.iface.clone()).map_err(|error| match error {
            WatchError::Usage(_) => Failure::usage(error),
            WatchError::Unreachable(_) => Failure::machine(error),
        })?;
    let recorder = args.run_dir.as_deref().map(|dir| record(dir, args)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("the watching thread: {error}")))?;
    let ended = runtime.block_on(Watching::new(args, watcher, recorder)?.run());
    // Somebody who does not answer is not waited for.
    runtime.shutdown_background();
    ended
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let token = secret_file::read(path, "--http-token", "")?.trim().to_owned();
    match token.is_empty() {
        true => Err(Failure::usage(format!("--http-token {}: it is empty", path.display()))),
        false => Ok(token),
    }
}

fn record(dir: &Path, args: &WatchArgs) -> Result<Recorder, Failure> {
    let settings =
        json!({ "command": "watch", "http": args.http, "iface": args.iface, "duration_s": args.duration });
    Recorder::create(dir, settings).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::usage(format!("--run-dir: {error}")),
        _ => Failure::machine(format!("--run-dir: {error}")),
    })
}

/// Where figures go.
enum Show {
    Lines(Lines),
    Json(Lines),
    Screen(Box<(Screen, Seen)>),
}

struct Watching {
    watcher: Option<Watcher>,
    recorder: Option<Recorder>,
    series: Series,
    show: Show,
    shown: u64,
    /// Sources that are in trouble, so that each trouble is told once.
    in_trouble: BTreeSet<String>,
    begun: Instant,
    end: Option<Instant>,
    failure: Option<Failure>,
}

impl Watching {
    fn new(args: &WatchArgs, watcher: Watcher, recorder: Option<Recorder>) -> Result<Watching, Failure> {
        let lines = || Lines::to_stdout().map_err(|error| Failure::machine(format!("a thread: {error}")));
        let show = if args.json {
            Show::Json(lines()?)
        } else if args.lines || !std::io::stdout().is_terminal() {
            Show::Lines(lines()?)
        } else {
            let screen = Screen::open().map_err(|error| {
                Failure::machine(format!("the terminal: {error}; --lines prints lines instead"))
            })?;
            let recording = args.run_dir.as_ref().map(|dir| dir.display().to_string());
            Show::Screen(Box::new((screen, Seen::new(recording))))
        };
        let begun = Instant::now();
        Ok(Watching {
            watcher: Some(watcher),
            recorder,
            series: Series::new(),
            show,
            shown: 0,
            in_trouble: BTreeSet::new(),
            begun,
            end: args
                .duration
                .map(|seconds| begun + Duration::from_secs(seconds) + Duration::from_millis(200)),
            failure: None,
        })
    }

    async fn run(mut self) -> Result<(), Failure> {
        let catch =
            |kind| signal(kind).map_err(|error| Failure::machine(format!("catching signals: {error}")));
        let mut signals =
            [catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?, catch(SignalKind::hangup())?];
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        // After a pause of the whole process one second tells all of it.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keys = tokio::time::interval(KEYS_EVERY);
        keys.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking: Option<tokio::task::JoinHandle<_>> = None;
        loop {
            tokio::select! {
                () = any(&mut signals) => break,
                _ = keys.tick() => {
                    if self.wants_to_end() {
                        break;
                    }
                }
                _ = tick.tick(), if asking.is_none() => {
                    if let Some(mut watcher) = self.watcher.take() {
                        asking = Some(tokio::task::spawn_blocking(move || {
                            let (sample, troubles) = watcher.sample();
                            (watcher, sample, troubles)
                        }));
                    }
                }
                Some(asked) = async { Some(asking.as_mut()?.await) } => {
                    asking = None;
                    let (watcher, sample, troubles) = asked.map_err(|error| Failure::check(format!("asking: {error}")))?;
                    self.watcher = Some(watcher);
                    self.take(&sample, troubles);
                }
            }
        }
        self.finish()
    }

    fn wants_to_end(&self) -> bool {
        let leaves = match &self.show {
            Show::Screen(both) => both.0.wants_to_leave(),
            _ => false,
        };
        leaves || self.failure.is_some() || self.end.is_some_and(|end| Instant::now() >= end)
    }

    fn take(&mut self, sample: &Sample, troubles: Vec<Trouble>) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.push(sample)
        {
            // What was recorded stays; going on without recording is not what was asked for.
            let dir = recorder.dir().display().to_string();
            self.failure = Some(Failure::machine(format!(
                "--run-dir {dir}: {error}; what was recorded before is there"
            )));
            self.recorder = None;
        }
        let second = self.series.push(sample);
        self.tell_troubles(&troubles);
        let Some(second) = second else { return };
        self.tell(second, troubles);
    }

    fn tell(&mut self, second: Second, troubles: Vec<Trouble>) {
        match &mut self.show {
            Show::Json(lines) => lines.print(line::to_json(&second, &troubles).to_string()),
            Show::Lines(lines) => {
                if self.shown.is_multiple_of(HEADER_EVERY) {
                    lines.print(line::header(&second));
                }
                lines.print(line::line(&second));
            }
            Show::Screen(both) => {
                both.1.push(second, troubles);
                if let Err(error) = both.0.draw(&both.1, &self.series) {
                    self.failure = Some(Failure::machine(format!("the terminal: {error}")));
                }
            }
        }
        self.shown += 1;
    }

    /// Says once that a source is in trouble, and once that it is back. A screen shows it all the time.
    fn tell_troubles(&mut self, troubles: &[Trouble]) {
        let now: BTreeSet<String> = troubles.iter().map(|trouble| trouble.source.clone()).collect();
        if !matches!(self.show, Show::Screen(_)) {
            for trouble in troubles.iter().filter(|trouble| !self.in_trouble.contains(&trouble.source)) {
                eprintln!("redpkt: {trouble}; the others go on");
            }
            for source in self.in_trouble.difference(&now) {
                eprintln!("redpkt: {source}: it is back");
            }
        }
        self.in_trouble = now;
    }

    fn finish(self) -> Result<(), Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut last = line::totals(&self.series, seconds);
        if let Some(recorder) = self.recorder {
            let dir = recorder.dir().display().to_string();
            recorder
                .finish(verdict(&self.series, seconds))
                .map_err(|error| Failure::machine(format!("--run-dir {dir}: {error}")))?;
            last.push(format!("recorded in {dir}; redpkt report {dir} makes its plots"));
        }
        match self.show {
            Show::Json(lines) => lines.finish([line::totals_json(&self.series, seconds).to_string()]),
            Show::Lines(lines) => lines.finish(last),
            Show::Screen(both) => {
                drop(both);
                last.iter().for_each(|line| println!("{line}"));
            }
        }
        self.failure.map_or(Ok(()), Err)
    }
}

/// What a run that was only watched says of itself: no more than how long it was.
fn verdict(series: &Series, seconds: f64) -> Value {
    json!({ "watched_s": seconds.round(), "lost": crate::record::Losses::of(series.totals()) })
}

async fn any(signals: &mut [Signal; 3]) {
    let [one, two, three] = signals;
    tokio::select! {
        _ = one.recv() => {}
        _ = two.recv() => {}
        _ = three.recv() => {}
    }
}
