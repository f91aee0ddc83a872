//! `redpkt serve`: options to settings, and the loop of the control thread.

use super::Failure;
use super::keys::read_key_file;
use super::parse::{Cores, parse_cores, parse_fen_range, parse_seconds};
use crate::control::{HttpSettings, MintSettings, Server, Settings, StartError, Stats, Totals, serve_http};
use crate::net::affinity::allowed_cores;
use crate::set::{Capacity, RECORDS_MAX};
use crate::telemetry::{self, LogOptions};
use crate::worker::Idle;
use clap::{Args, ValueEnum};
use redpkt_proto::steer::{Layout, SETS_MAX};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Options of `serve`.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  redpkt keygen --out redpkt.key
  redpkt serve --key redpkt.key --mint 200 --mint-total 40000 --mint-fen 1..200
  redpkt serve --key redpkt.key --listen 0.0.0.0:7100 --listen [::]:7100 --workers 4
  redpkt serve --config redpkt.toml        # the same options by their long names, as TOML
  curl http://127.0.0.1:7101/stats.json

Exit codes: 0 done, 2 an option is wrong, 3 the machine refused (port, memory, permission).")]
pub struct ServeArgs {
    /// Where datagrams come in; may be given several times. A wildcard answers from the address asked at
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7100")]
    listen: Vec<SocketAddr>,
    /// Threads that handle datagrams [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// Cores that workers are pinned to, such as 0,2-5; none leaves them to the kernel [default: those allowed]
    #[arg(long, value_name = "LIST|none", value_parser = parse_cores)]
    cores: Option<Cores>,
    /// Sessions of uniformly hashed users that surely fit
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    sessions: u64,
    /// SETs, a power of two; fixed for the life of a ledger [default: sessions/4,000]
    #[arg(long, value_name = "N")]
    sets: Option<u32>,
    /// Groups of SETs with a journal each; fixed for the life of a ledger [default: one per core]
    #[arg(long, value_name = "N")]
    groups: Option<u32>,
    /// Users whose money can be kept
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    accounts: u64,
    /// Packets that can be kept, opened ones only as long as there is room
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    packets: u64,
    /// Where money is kept; memory: is gone with the process
    #[arg(long, value_name = "URL", default_value = "memory:")]
    ledger: String,
    /// Server keys, as `redpkt keygen` makes them
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where figures are read and orders are given; none for nowhere
    #[arg(long, value_name = "ADDR|none", default_value = "127.0.0.1:7101")]
    http: String,
    /// File with the token that HTTP requests must show; needed on an address other than loopback
    #[arg(long, value_name = "FILE")]
    http_token: Option<PathBuf>,
    /// Mint so many packets a second, from the start
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..))]
    mint: Option<u32>,
    /// Packets to mint in all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    mint_total: u64,
    /// Fen in a minted packet
    #[arg(long, value_name = "MIN..MAX", default_value = "1..200", value_parser = parse_fen_range)]
    mint_fen: (u64, u64),
    /// How datagrams move: mmsg is recvmmsg and sendmmsg on UDP sockets; auto picks what works best
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    io: Io,
    /// What a worker does when nothing waits: block sleeps in the kernel, spin asks again at once
    #[arg(long, value_enum, default_value_t = WhenIdle::Block)]
    when_idle: WhenIdle,
    /// Whether the kernel brings datagrams to the worker of their user; off hands them over by ring
    #[arg(long, value_enum, default_value_t = OnOff::On)]
    steering: OnOff,
    /// This machine's number in packet ids
    #[arg(long, value_name = "N", default_value_t = 0)]
    machine: u16,
    /// Shakes that a user gets answered in a second; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 10)]
    shakes_per_s: u16,
    /// How often clients are told to send something
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = parse_seconds)]
    keepalive: u64,
    /// After how much silence a session ends
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = parse_seconds)]
    idle: u64,
    /// Options from a TOML file; the command line wins
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON line each second, and the totals as JSON
    #[arg(long)]
    json: bool,
    /// Write logs as JSON
    #[arg(long)]
    log_json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Io {
    Auto,
    Mmsg,
}

#[derive(Clone, Copy, ValueEnum)]
enum WhenIdle {
    Block,
    Spin,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

/// Users for each SET that the default number of SETs aims at.
const USERS_PER_SET: u64 = 4_000;

impl ServeArgs {
    /// Checks every option, alone and with the others.
    fn settings(self) -> Result<Settings, Failure> {
        let (workers, cores) = self.workers_and_cores()?;
        let layout = self.layout(workers)?;
        // There is one engine today, so auto has nothing to weigh.
        let (Io::Auto | Io::Mmsg) = self.io;
        let idle_s = seconds_u16("--idle", self.idle)?;
        let keepalive_s = seconds_u16("--keepalive", self.keepalive)?;
        if keepalive_s >= idle_s {
            return Err(Failure::usage(format!(
                "--keepalive {keepalive_s}s: a session would end after {idle_s}s of silence; it must be less than --idle"
            )));
        }
        if self.ledger != "memory:" {
            return Err(Failure::usage(format!(
                "--ledger {}: this version keeps money in memory: only",
                self.ledger
            )));
        }
        let totals = Totals { sessions: self.sessions, accounts: self.accounts, packets: self.packets };
        let capacity = Capacity::of_totals(layout.sets, totals.sessions, totals.accounts, totals.packets);
        for (option, total, records) in [
            ("--sessions", totals.sessions, capacity.sessions),
            ("--accounts", totals.accounts, capacity.accounts),
            ("--packets", totals.packets, capacity.packets),
        ] {
            if records > RECORDS_MAX {
                return Err(Failure::usage(format!(
                    "{option} {total}: {records} in each of {} SETs, at most {RECORDS_MAX} are allowed; ask for more --sets",
                    layout.sets
                )));
            }
        }
        let (fen_min, fen_max) = self.mint_fen;
        Ok(Settings {
            mint: self.mint.map(|rate_per_s| MintSettings {
                rate_per_s,
                total: self.mint_total,
                fen_min,
                fen_max,
            }),
            http: self.http_settings()?,
            keys: read_key_file(&self.key, "--key")?,
            listen: self.listen,
            layout,
            cores,
            steering: self.steering == OnOff::On,
            idle: match self.when_idle {
                WhenIdle::Block => Idle::Block,
                WhenIdle::Spin => Idle::Spin,
            },
            machine: self.machine,
            totals,
            shakes_per_s: self.shakes_per_s,
            keepalive_s,
            idle_s,
            key_file: self.key,
            json_lines: self.json,
        })
    }

    /// One core for each worker, unless they are left to the kernel.
    fn workers_and_cores(&self) -> Result<(u32, Vec<usize>), Failure> {
        let allowed = allowed_cores();
        let cores = match &self.cores {
            Some(Cores::None) => {
                return Ok((self.workers.unwrap_or(allowed.len() as u32), Vec::new()));
            }
            Some(Cores::List(cores)) => cores.clone(),
            None => allowed.clone(),
        };
        if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
            return Err(Failure::usage(format!(
                "--cores: core {core} is not among those allowed here, {allowed:?}"
            )));
        }
        let workers = self.workers.unwrap_or(cores.len() as u32);
        if workers as usize > cores.len() {
            return Err(Failure::usage(format!(
                "--workers {workers}: there are {} cores for them, {cores:?}; ask for fewer, or leave them to the kernel with --cores none",
                cores.len()
            )));
        }
        Ok((workers, cores))
    }

    fn layout(&self, workers: u32) -> Result<Layout, Failure> {
        let groups = self.groups.unwrap_or_else(|| workers.max(allowed_cores().len() as u32));
        let default_sets = (self.sessions / USERS_PER_SET).max(1).next_power_of_two();
        let sets = self.sets.unwrap_or((default_sets as u32).clamp(groups.next_power_of_two(), SETS_MAX));
        if !sets.is_power_of_two() || sets > SETS_MAX {
            return Err(Failure::usage(format!("--sets {sets}: a power of two up to {SETS_MAX} is allowed")));
        }
        if groups == 0 || groups > sets {
            return Err(Failure::usage(format!(
                "--groups {groups}: 1 to {sets}, the number of SETs, are allowed"
            )));
        }
        if workers > groups {
            return Err(Failure::usage(format!(
                "--workers {workers}: every worker needs a group and there are {groups}; ask for more --groups or fewer --workers"
            )));
        }
        Ok(Layout { sets, groups, workers })
    }

    fn http_settings(&self) -> Result<Option<HttpSettings>, Failure> {
        if self.http == "none" {
            return Ok(None);
        }
        let addr: SocketAddr = self
            .http
            .parse()
            .map_err(|_| Failure::usage(format!("--http {}: expected ADDRESS:PORT or none", self.http)))?;
        let token = match &self.http_token {
            None if addr.ip().is_loopback() => None,
            None => {
                return Err(Failure::usage(format!(
                    "--http {addr}: others can reach this address; name a file with a secret by --http-token FILE"
                )));
            }
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::usage(format!("--http-token {}: {error}", file.display())))?;
                let token = text.trim().to_owned();
                if token.len() < 16 {
                    return Err(Failure::usage(format!(
                        "--http-token {}: at least 16 characters",
                        file.display()
                    )));
                }
                Some(token)
            }
        };
        Ok(Some(HttpSettings { addr, token }))
    }
}

fn seconds_u16(option: &str, seconds: u64) -> Result<u16, Failure> {
    u16::try_from(seconds).map_err(|_| Failure::usage(format!("{option} {seconds}s: at most {}s", u16::MAX)))
}

/// Runs the server until it is told to stop.
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    telemetry::init_log(LogOptions { json: args.log_json });
    let settings = args.settings()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("the control thread: {error}")))?;
    runtime.block_on(control(settings))
}

async fn control(settings: Settings) -> Result<(), Failure> {
    let json = settings.json_lines;
    let http = match &settings.http {
        None => None,
        Some(http) => Some(
            tokio::net::TcpListener::bind(http.addr)
                .await
                .map_err(|error| Failure::machine(StartError::Http { addr: http.addr, error }))?,
        ),
    };
    // Signals are caught before the first datagram is, so that none of them ends the process halfway.
    let caught = |kind| signal(kind).map_err(|error| Failure::machine(format!("catching signals: {error}")));
    let mut terminate = caught(SignalKind::terminate())?;
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut hangup = caught(SignalKind::hangup())?;
    let mut server = Server::start(settings).map_err(Failure::machine)?;
    let shared = std::sync::Arc::clone(server.shared());
    announce(&shared, http.as_ref());
    if let Some(listener) = http {
        tokio::spawn(serve_http(listener, std::sync::Arc::clone(&shared)));
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let rates = server.sample();
                println!("{}", if json { serde_json::to_string(&rates).unwrap_or_default() } else { rates.line() });
            }
            _ = hangup.recv() => reload_keys(&shared),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let (stats, failed) = server.stop();
    print_totals(&stats, json);
    match failed {
        None => Ok(()),
        Some(worker) => Err(Failure::check(format!("worker {worker} has failed; its last words are above"))),
    }
}

fn announce(shared: &crate::control::Shared, http: Option<&tokio::net::TcpListener>) {
    let settings = shared.settings();
    let Layout { sets, groups, workers } = settings.layout;
    tracing::info!(
        version = crate::version(),
        listen = ?shared.listen(),
        http = ?http.and_then(|listener| listener.local_addr().ok()),
        workers,
        cores = ?settings.cores.get(..workers as usize).unwrap_or(&[]),
        groups,
        sets,
        sessions = settings.totals.sessions,
        memory_mib = settings.bytes() >> 20,
        "serving"
    );
}

fn reload_keys(shared: &crate::control::Shared) {
    match read_key_file(&shared.settings().key_file, "--key") {
        Ok(keys) => match shared.set_keys(&keys) {
            Ok(()) => tracing::info!(ids = ?keys.ids().collect::<Vec<_>>(), "keys read again"),
            Err(error) => tracing::error!(%error, "keys read again, but not taken"),
        },
        Err(failure) => tracing::error!(%failure, "keys stay as they were"),
    }
}

fn print_totals(stats: &Stats, json: bool) {
    if json {
        println!("{}", serde_json::to_string(stats).unwrap_or_default());
        return;
    }
    println!(
        "served {:.1} s: {} joins, {} requests answered, {} datagrams in, {} out",
        stats.uptime_s, stats.joins, stats.answers, stats.datagrams_in, stats.datagrams_out
    );
    println!(
        "shakes: {} missed, {} won; opens: {} took {} fen, {} found nothing; pool: {} packets, {} fen",
        stats.shake.miss,
        stats.shake.win,
        stats.open.ok,
        stats.open.fen,
        stats.open.empty,
        stats.pool_packets,
        stats.pool_fen
    );
    let drops: Vec<String> = stats
        .drops
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!("drops: {}", if drops.is_empty() { "none".to_owned() } else { drops.join(", ") });
}
