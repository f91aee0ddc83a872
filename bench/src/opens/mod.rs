//! `redpkt-bench opens`: the highest rate of durable opens.
//!
//! A server is started on a new ledger, packets are minted and won, and then opened as fast as they are answered:
//! each answer waits for the disk, is opened and checked, and every fen is added up. At the end the ledger is
//! audited.
//!
//! | file | what |
//! |---|---|
//! | `users` | what the client keeps of each user |
//! | `client` | the closed loop that asks |
//! | `report` | what it came to |

mod client;
mod report;
mod users;

use crate::child::{Audit, ChildCommand, ChildOptions, ServerChild, temporary_directory};
use crate::floor;
use crate::http;
use crate::run::Host;
use clap::Args;
use client::{Client, Phase, Width};
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt::net::affinity;
use redpkt::net::client::{ClientSockets, Peers};
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Op};
use report::{Ledger, Outcome, Report, ServerSums, Settings};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};
use users::{REQUESTS_MAX, User};

/// Packets minted a second: as many as a tick makes.
const MINT_PER_S: u64 = 1_000_000;

/// How long minting may take without one more packet.
const MINT_STALLED: Duration = Duration::from_secs(20);

/// Users for each SET.
const USERS_PER_SET: u32 = 1_000;

/// Options of `opens`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench opens                                # durable, on a new ledger in the directory for temporary files
  redpkt-bench opens --memory                       # the same without a disk
  redpkt-bench opens --packets 2000000 --json -
  bench/redis/opens.sh                              # beside Redis that syncs before every answer, in turn

Exits with 1 unless every packet was won and opened once, every fen is there, and the audit is clean.")]
pub struct OpensArgs {
    /// Packets that are won, and then opened
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    packets: u64,
    /// Users, each with a session
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Opens in each datagram, all of one user
    #[arg(long, value_name = "K", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=REQUESTS_MAX as i64))]
    frames_per_datagram: u16,
    /// Datagrams on their way at any time, each of another user
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    outstanding: u32,
    /// The server's workers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Groups, with a journal each [default: one for each worker]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    groups: Option<u32>,
    /// The cores of the server's workers, such as 0 or 2-3; none leaves them to the kernel
    #[arg(long, value_name = "LIST|none", default_value = "none")]
    server_cores: String,
    /// The core of the client; without it the kernel decides
    #[arg(long, value_name = "N")]
    client_core: Option<usize>,
    /// Ports that the users come from
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    source_ports: u32,
    /// The ledger, sqlite:DIR, new or of such runs with as many users and groups [default: a new one that is removed]
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    ledger: Option<String>,
    /// Keep no ledger on disk: what the disk costs is the difference
    #[arg(long)]
    memory: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Where the result goes as JSON; - is stdout, and then the rest goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Runs the command.
pub fn run(args: &OpensArgs) -> Result<(), Failure> {
    let directory = temporary_directory()
        .map_err(|error| Failure::machine(format!("making a temporary directory: {error}")))?;
    let ledger = match (&args.ledger, args.memory) {
        (Some(url), _) => Ledger { url: url.clone(), is_new: false },
        (None, true) => Ledger { url: "memory:".into(), is_new: true },
        (None, false) => {
            Ledger { url: format!("sqlite:{}", directory.path().join("ledger").display()), is_new: true }
        }
    };
    let report = args.measure(&ledger)?;
    report.print(args.json.as_deref())?;
    match report.outcome.problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::check(format!("the check failed: {}", report.outcome.problems.join("; ")))),
    }
}

impl OpensArgs {
    fn measure(&self, ledger: &Ledger) -> Result<Report, Failure> {
        let host = Host::read();
        let options = self.child_options(ledger)?;
        let program = options.program.clone();
        let mut child = ServerChild::start(options)?;
        let mut client = self.join(&child)?;
        self.mint(&child)?;
        if let Some(core) = self.client_core {
            affinity::pin_current_thread(core)
                .map_err(|error| Failure::usage(format!("--client-core {core}: {error}")))?;
        }
        let width = Width { datagrams: self.outstanding as usize, frames: self.frames_per_datagram.into() };
        let won = self.phase(&mut client, Op::Shake, "won", width)?;
        let mut problems = self.check_won(&client, &won);
        let (stats_before, cpu_before) = (child.stats()?, child.cpu_ns()?);
        let opened = self.phase(&mut client, Op::Open, "opened", width)?;
        let cpu_ns = child.cpu_ns()? - cpu_before;
        // The workers publish what they have done some times a second.
        std::thread::sleep(Duration::from_millis(200));
        let stats_after = child.stats()?;
        child.terminate()?;
        problems.extend(self.check_opened(&won, &opened, stats_after["open"]["fen"].as_u64()));
        let audit = self.audit(&program, ledger, &opened, &mut problems)?;
        let since = |pointer: &str| {
            let of = |stats: &Value| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
            of(&stats_after).saturating_sub(of(&stats_before))
        };
        let server = ServerSums {
            rows: since("/ledger/rows"),
            commits: since("/ledger/commits"),
            frames_out: since("/frames_out"),
            datagrams_out: since("/datagrams_out"),
            cpu_ns,
        };
        let outcome = Outcome::new(&opened, &server, audit, problems);
        Ok(Report { outcome, settings: self.settings(ledger), host })
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    fn groups(&self) -> u32 {
        self.groups.unwrap_or(self.workers)
    }

    fn settings(&self, ledger: &Ledger) -> Settings {
        Settings {
            packets: self.packets,
            users: self.users,
            frames_per_datagram: self.frames_per_datagram,
            outstanding: self.outstanding,
            workers: self.workers,
            groups: self.groups(),
            ledger: ledger.url.clone(),
        }
    }

    fn child_options(&self, ledger: &Ledger) -> Result<ChildOptions, Failure> {
        let sets = (self.users / USERS_PER_SET).max(self.groups()).max(1).next_power_of_two();
        let room = 2 * self.packets + u64::from(sets);
        ChildOptions::new(
            ChildCommand::Serve,
            [
                format!("--workers={}", self.workers),
                format!("--groups={}", self.groups()),
                format!("--cores={}", self.server_cores),
                format!("--sets={sets}"),
                format!("--sessions={}", self.users),
                format!("--accounts={}", 2 * self.users),
                format!("--packets={room}"),
                format!("--members={room}"),
                format!("--ledger={}", ledger.url),
                "--shakes-per-s=0".to_owned(),
                "--keepalive=1h".to_owned(),
                "--idle=2h".to_owned(),
            ],
        )
    }

    fn join(&self, child: &ServerChild) -> Result<Client, Failure> {
        let sockets = ClientSockets::connect(child.listen(), self.source_ports as usize, false)
            .map_err(|error| Failure::machine(format!("--source-ports: {error}")))?;
        let mut sockets = Peers::Sockets(sockets);
        let mut rng =
            os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
        let sessions = floor::join(&mut sockets, child.keys(), self.users as usize, &mut rng)?;
        self.say(&format!("{} users have joined", self.users));
        Ok(Client::new(sockets, sessions.iter().map(User::new).collect()))
    }

    /// Has the packets minted, and waits until they are all in the pools.
    fn mint(&self, child: &ServerChild) -> Result<(), Failure> {
        let failed = |why: String| Failure::machine(format!("minting: {why}"));
        let begun = Instant::now();
        let target = format!("mint?rate={MINT_PER_S}&total={}&fen=1..200", self.packets);
        let id = http::order(&child.url(), &target).map_err(failed)?["id"].take();
        let (mut minted, mut grown) = (0, Instant::now());
        loop {
            let stats = child.stats()?;
            let orders = stats["orders"].as_array().cloned().unwrap_or_default();
            let order = orders.into_iter().find(|order| order["id"] == id).unwrap_or_default();
            let now = order["minted"].as_u64().unwrap_or(0);
            if now > minted {
                (minted, grown) = (now, Instant::now());
            }
            if minted >= self.packets {
                break;
            }
            if grown.elapsed() > MINT_STALLED {
                return Err(failed(format!("{minted} of {} packets, and no more come", self.packets)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.say(&format!("{minted} packets minted in {:.1} s", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    fn phase(&self, client: &mut Client, op: Op, done: &str, width: Width) -> Result<Phase, Failure> {
        let phase = client.run(op, width, &mut |count| self.say(&format!("{count} {done}")))?;
        let (seconds, per_s) =
            (phase.time.as_secs_f64(), phase.ok as f64 / phase.time.as_secs_f64().max(1e-9));
        self.say(&format!("{} {done} in {seconds:.2} s, {per_s:.0}/s", phase.ok));
        Ok(phase)
    }

    /// All packets must be won, each once. Packets of earlier runs may be among them where the ledger is not new.
    fn check_won(&self, client: &Client, won: &Phase) -> Vec<String> {
        let mut problems = wrong("shakes", won);
        let packets: HashSet<u64> = client.users().iter().flat_map(User::packets).copied().collect();
        if packets.len() as u64 != won.ok {
            problems.push(format!("{} packets were won twice", won.ok - packets.len() as u64));
        }
        let is_enough = won.ok == self.packets || (self.ledger.is_some() && won.ok > self.packets);
        if !is_enough {
            problems.push(format!("{} of {} packets were won", won.ok, self.packets));
        }
        problems
    }

    fn check_opened(&self, won: &Phase, opened: &Phase, server_fen: Option<u64>) -> Vec<String> {
        let mut problems = wrong("opens", opened);
        if opened.ok != won.ok {
            problems.push(format!("{} packets were won and {} opened", won.ok, opened.ok));
        }
        if server_fen != Some(opened.fen) {
            problems.push(format!("clients took {} fen, the server says {server_fen:?}", opened.fen));
        }
        problems
    }

    fn audit(
        &self,
        program: &Path,
        ledger: &Ledger,
        opened: &Phase,
        problems: &mut Vec<String>,
    ) -> Result<Option<Audit>, Failure> {
        if self.memory {
            return Ok(None);
        }
        self.say("auditing");
        let audit = Audit::of(program, &ledger.url, &[])?;
        if !audit.ok {
            problems.push(format!("audit: {}", audit.verdict()));
        }
        let wallets_fen = audit.number("/wallets_fen") + audit.number("/on_its_way_fen");
        if ledger.is_new && wallets_fen != opened.fen as i64 {
            problems.push(format!("clients took {} fen, wallets hold {wallets_fen}", opened.fen));
        }
        Ok(Some(audit))
    }
}

fn wrong(what: &str, phase: &Phase) -> Vec<String> {
    match phase.wrong {
        0 => Vec::new(),
        count => vec![format!("{count} answers to {what} cannot be right")],
    }
}

const _: () = assert!(REQUESTS_MAX <= FRAMES_PER_DATAGRAM_MAX);
