//! `redpkt-bench hot`: one packet, and a hundred thousand users who grab it within a second.
//!
//! A packet of the house is made for all who are there. When all have been told, each grabs it, spread over one
//! second; who gets a share opens it, the others must be told that nothing is left. Beside them other users, of other
//! SETs, go on shaking at a fixed rate. In the other half of each pair the same users shake in that second instead, so
//! that the difference is the packet.
//!
//! One worker: the house invites users of the worker on which a packet lives.

mod report;

use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::http;
use crate::run::{Fleet, Host, IdleSet, Mix, Rate, Report as RunReport, RunOptions};
use clap::Args;
use redpkt::cli::Failure;
use redpkt_proto::body::PacketId;
use report::{Grabbed, Half, Pair, Report, Settings};
use std::time::{Duration, Instant};

/// Within which all grab.
const BURST: Duration = Duration::from_secs(1);

/// The others shake for so long before and after that second.
const BESIDE: Duration = Duration::from_secs(1);

/// How long nobody more may be told of the packet before that counts as a failure.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// Users for each SET.
const USERS_PER_SET: u64 = 4_000;

/// Options of `hot`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench hot --users 100000 --shares 500
  redpkt-bench hot --users 5000 --pairs 1 --json -      # a smoke test

Exits with 1 unless each time exactly --shares users got a share, all users were answered, the opens add up to what
was in the packet, and the audit is clean.")]
pub struct HotArgs {
    /// Users who grab, each with a session
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=900_000))]
    users: u64,
    /// Shares of the packet
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=500))]
    shares: u64,
    /// What is in the packet, in fen
    #[arg(long, value_name = "FEN", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(500..=1_000_000_000))]
    fen: u64,
    /// How often it is done with the packet and without, in turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=30))]
    pairs: u32,
    /// Users of other SETs who go on shaking
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1_000..=900_000))]
    others: u64,
    /// Their shakes a second
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    qps: u64,
    /// Groups, with a journal each
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    groups: u32,
    /// Keep no ledger on disk
    #[arg(long)]
    memory: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Where the result goes as JSON; - is stdout, and then the rest goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// A server, those who grab, and the others.
struct Scene {
    child: ServerChild,
    grabbers: Fleet,
    others: Fleet,
    grab: RunOptions,
    shake: RunOptions,
}

/// Runs the command.
pub fn run(args: &HotArgs) -> Result<(), Failure> {
    let directory = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let ledger = match args.memory {
        true => "memory:".to_owned(),
        false => format!("sqlite:{}", directory.path().join("ledger").display()),
    };
    let report = args.measure(&ledger)?;
    report.print(args.json.as_deref())?;
    match report.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::check(format!("the check failed: {}", report.problems.join("; ")))),
    }
}

impl HotArgs {
    fn measure(&self, ledger: &str) -> Result<Report, Failure> {
        let host = Host::read();
        let options = self.child_options(ledger)?;
        let program = options.program.clone();
        let mut scene = self.scene(options)?;
        let mut pairs = Vec::new();
        for number in 0..self.pairs {
            // Who comes first changes, so that neither always has the warmer machine.
            let pair = if number % 2 == 0 {
                let without = self.half(&mut scene, number, false)?;
                Pair { without, with: self.half(&mut scene, number, true)? }
            } else {
                let with = self.half(&mut scene, number, true)?;
                Pair { without: self.half(&mut scene, number, false)?, with }
            };
            self.say(&format!("pair {} of {}: {}", number + 1, self.pairs, pair.line()));
            pairs.push(pair);
        }
        let Scene { mut child, grabbers, others, .. } = scene;
        drop((grabbers, others));
        child.terminate()?;
        let audit = (!self.memory).then(|| Audit::of(&program, ledger, &[])).transpose()?;
        Ok(Report::new(self.settings(ledger), pairs, audit, host))
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    fn sets(&self) -> u32 {
        let sets = (self.users + self.others).div_ceil(USERS_PER_SET) as u32;
        sets.max(self.groups).max(4).next_power_of_two()
    }

    fn settings(&self, ledger: &str) -> Settings {
        Settings {
            users: self.users,
            shares: self.shares,
            fen: self.fen,
            others: self.others,
            qps: self.qps,
            sets: self.sets(),
            groups: self.groups,
            ledger: ledger.to_owned(),
        }
    }

    fn child_options(&self, ledger: &str) -> Result<ChildOptions, Failure> {
        let all = self.users + self.others;
        ChildOptions::new(
            ChildCommand::Serve,
            [
                "--workers=1".to_owned(),
                format!("--groups={}", self.groups),
                format!("--sets={}", self.sets()),
                format!("--sessions={all}"),
                format!("--accounts={}", 2 * all),
                "--packets=10000".to_owned(),
                // All are members of each packet, and packets come to the SETs in turn.
                format!(
                    "--members={}",
                    (u64::from(self.sets()) * (all + 1_000)).min(1_000_000 * u64::from(self.sets()))
                ),
                format!("--ledger={ledger}"),
                "--cores=none".to_owned(),
                "--shakes-per-s=0".to_owned(),
                "--keepalive=10m".to_owned(),
                "--idle=30m".to_owned(),
            ],
        )
    }

    fn scene(&self, options: ChildOptions) -> Result<Scene, Failure> {
        let child = ServerChild::start(options)?;
        let options = |first_user, users, rate, duration| RunOptions {
            first_user,
            align: Duration::from_millis(1),
            ..RunOptions::new(child.listen(), child.keys().clone(), users, rate, duration)
        };
        let grab = RunOptions {
            acts_at_shots: true,
            mix: Mix { grab: 1.0, ..Mix::default() },
            ..options(1, self.users, Rate::requests_per_s(self.users), BURST)
        };
        let shake = RunOptions {
            // They are invited too, and leave it to the others.
            mix: Mix { open: 0.0, ..Mix::default() },
            ..options(self.users + 1, self.others, Rate::requests_per_s(self.qps), BURST + 2 * BESIDE)
        };
        let grabbers = Fleet::join(&grab, &mut |_| ())?;
        let others = Fleet::join(&shake, &mut |_| ())?;
        self.say(&format!("{} users have joined, and {} others", self.users, self.others));
        Ok(Scene { child, grabbers, others, grab, shake })
    }

    /// One second with the packet, or without: what became of it, and of those beside it.
    fn half(&self, scene: &mut Scene, number: u32, with_packet: bool) -> Result<Half, Failure> {
        let told = if with_packet { Some(self.tell(scene, number)?) } else { None };
        // Packets come to the SETs in turn.
        let idle_set = Some(IdleSet { set: number % self.sets(), sets: self.sets() });
        scene.shake.idle_set = idle_set;
        let Scene { grabbers, others, grab, shake, .. } = scene;
        let (burst, beside) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| others.measure(shake, &mut |_| ()));
            std::thread::sleep(BESIDE);
            let burst = grabbers.measure(grab, &mut |_| ());
            (burst, beside.join())
        });
        let beside = beside.map_err(|_| Failure::check("the load has ended; its last words are above"))??;
        let burst = burst?;
        let mut half = Half::new(&burst, &beside, told);
        if with_packet {
            half.problems.extend(self.problems(&burst, number));
        }
        Ok(half)
    }

    /// Has the packet made, and waits until everybody was told; how long that took.
    fn tell(&self, scene: &Scene, number: u32) -> Result<Duration, Failure> {
        let before = scene.grabbers.invites();
        let begun = Instant::now();
        let (all, Self { shares, fen, .. }) = (self.users + self.others, self);
        let order =
            format!("send?id=hot-{number}&rate=1&total=1&recipients={all}&shares={shares}&fen={fen}..{fen}");
        http::order(&scene.child.url(), &order).map_err(Failure::machine)?;
        let (mut invites, mut grown) = (before, Instant::now());
        while invites < before + self.users {
            std::thread::sleep(Duration::from_millis(10));
            let now = scene.grabbers.invites();
            if now > invites {
                (invites, grown) = (now, Instant::now());
            }
            if grown.elapsed() > TOLD_WITHIN {
                let told = invites - before;
                return Err(Failure::check(format!(
                    "{told} of {} users were told of the packet",
                    self.users
                )));
            }
        }
        Ok(begun.elapsed())
    }

    /// What is not as it must be.
    fn problems(&self, burst: &RunReport, number: u32) -> Vec<String> {
        let grabbed = Grabbed::of(burst);
        let mut problems = Vec::new();
        let mut expect = |what: &str, wanted: u64, got: u64| {
            if wanted != got {
                problems.push(format!("packet {}: {what}: {got} of {wanted}", number + 1));
            }
        };
        expect("users told", self.users, grabbed.told);
        expect("grabs", self.users, grabbed.sent);
        expect("answers", self.users, grabbed.granted + grabbed.refused);
        expect("grants", self.shares, grabbed.granted);
        expect("opens", self.shares, grabbed.opened);
        expect("fen", self.fen, grabbed.fen);
        let packets = burst.tally.iter().filter(|row| row.packet != 0).map(|row| row.packet);
        let set = packets.map(|packet| PacketId::from_u64(packet).set).next().unwrap_or_default();
        expect("the SET it lives in", u64::from(number % self.sets()), set.into());
        problems
    }
}
