//! Options of `redpkt serve`, and how they become one checked configuration.

use super::keys::read_key_file;
use super::parse::{Cores, parse_backend, parse_batch, parse_cores, parse_seconds};
use super::{Failure, http_settings};
use crate::capture::{CaptureSettings, Sample};
use crate::control::{
    At, FEN_IN_ALL_MAX, HttpSettings, Io, OrderError, Settings, Totals, check_order, parse_at,
    parse_fen_range, read_table,
};
use crate::ledger::sqlite;
use crate::net::affinity::allowed_cores;
use crate::net::bind::BATCH_MAX;
use crate::net::xdp::{XdpMode, XdpOptions};
use crate::set::book::{Order, SHARES_MAX};
use crate::set::{Capacity, RECORDS_MAX};
use crate::worker::{Idle, Plan};
use clap::{Args, ValueEnum};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::{Layout, SETS_MAX};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Options of `serve`.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "Examples:
  redpkt keygen --out redpkt.key
  redpkt serve --key redpkt.key --mint 200 --mint-total 40000 --mint-fen 1..200
  redpkt serve --key redpkt.key --listen 0.0.0.0:7100 --listen [::]:7100 --workers 4
  redpkt serve --key redpkt.key --listen 192.0.2.1:7100 --io xdp --iface eth0
  redpkt serve --key redpkt.key --pcap night.pcap --pcap-sample 1/1000 --keylog night.keys
  redpkt serve --config redpkt.toml        # the same options by their long names, as TOML
  redpkt serve --key redpkt.key --ledger sqlite:money --mint 5000 --mint-total 500000 --mint-at 00:00:00
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
    /// Sessions that users of one IPv4 /24 or IPv6 /48 may hold; private networks may hold all; 0 for no limit
    /// [default: sessions/8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 32))]
    prefix_sessions: Option<u64>,
    /// Handshakes that one IPv4 /24 or IPv6 /48 may have in a second; private networks as many as they like; 0 for no
    /// limit [default: sessions/32, 100 at least]
    #[arg(long, value_name = "N")]
    prefix_joins: Option<u32>,
    /// SETs, a power of two; fixed for the life of a ledger [default: sessions/4,000]
    #[arg(long, value_name = "N")]
    sets: Option<u32>,
    /// Groups of SETs with a journal each; fixed for the life of a ledger [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SETS_MAX)))]
    groups: Option<u32>,
    /// Users whose money can be kept
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    accounts: u64,
    /// Packets that can be kept, opened ones only as long as there is room
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    packets: u64,
    /// Users that packets are for: winners, and who is invited [default: twice --packets]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    members: Option<u64>,
    /// How long a packet can be taken from; what is left then goes back to who put it in
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_seconds)]
    packet_life: u64,
    /// Packets that a user can win by shaking; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    wins_per_user: u32,
    /// Where money is kept: sqlite:DIR, made if it is not there, or memory:, gone with the process
    #[arg(long, value_name = "sqlite:DIR|memory:", default_value = "memory:")]
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
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "mint", value_parser = clap::value_parser!(u64).range(1..))]
    mint_total: u64,
    /// Fen in a minted packet
    #[arg(long, value_name = "MIN..MAX", default_value = "1..200", requires = "mint", value_parser = parse_fen_range)]
    mint_fen: (u64, u64),
    /// Shares of a minted packet: whoever wins it may share the others
    #[arg(long, value_name = "N", default_value_t = 1, requires = "mint", value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARES_MAX)))]
    mint_shares: u16,
    /// Most fen that all minted packets hold together [default: no limit]
    #[arg(long, value_name = "FEN", default_value = "0", hide_default_value = true, requires = "mint")]
    mint_budget: u64,
    /// Mint nothing before: a time of day or an RFC 3339 time, UTC [default: at once]
    #[arg(long, value_name = "TIME", requires = "mint", value_parser = parse_at)]
    mint_at: Option<At>,
    /// How datagrams move: mmsg is recvmmsg and sendmmsg on UDP sockets, xdp is AF_XDP on --iface; auto is xdp where
    /// an interface is named and can be used
    #[arg(long, value_enum, default_value_t = IoChoice::Auto)]
    io: IoChoice,
    /// The interface whose receive queues are taken, all of them; other traffic stays with the kernel
    #[arg(long, value_name = "IF")]
    iface: Option<String>,
    /// Where the XDP program runs: native is in the driver, generic behind it; auto is what was measured best for the
    /// driver, or else the other
    #[arg(long, value_name = "auto|native|generic", default_value = "auto", requires = "iface")]
    xdp_mode: XdpMode,
    /// The 802.1Q tag of our frames on --iface [default: none]
    #[arg(long, value_name = "ID", requires = "iface", value_parser = clap::value_parser!(u16).range(1..=4094))]
    vlan: Option<u16>,
    /// The table of levels of service, TOML; read again on SIGHUP [default: the one in docs/OVERLOAD.md]
    #[arg(long, value_name = "FILE")]
    service: Option<PathBuf>,
    /// The UDP service that RELAY messages of users are passed to, see docs/RELAY.md [default: none]
    #[arg(long, value_name = "ADDR", value_parser = parse_backend)]
    relay: Option<SocketAddr>,
    /// Datagrams that a worker takes at once, at the most
    #[arg(long, value_name = "N", default_value_t = BATCH_MAX, value_parser = parse_batch)]
    batch: usize,
    /// What a worker does when nothing waits: block sleeps in the kernel, spin asks again at once
    #[arg(long, value_enum, default_value_t = WhenIdle::Block)]
    when_idle: WhenIdle,
    /// Whether the kernel brings datagrams to the worker of their user; off hands them over by ring
    #[arg(long, value_enum, default_value_t = OnOff::On)]
    steering: OnOff,
    /// This machine's number in packet ids
    #[arg(long, value_name = "N", default_value_t = 0)]
    machine: u16,
    /// Shakes, repeated requests and refused opens that a user gets answered in a second; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    shakes_per_s: u16,
    /// How often clients are told to send something
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = parse_seconds)]
    keepalive: u64,
    /// After how much silence a session ends
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = parse_seconds)]
    idle: u64,
    /// Whether workers measure how long requests take, and what holds them up
    #[arg(long, value_enum, default_value_t = OnOff::On)]
    telemetry: OnOff,
    /// Write the datagrams of --pcap-sample into a new capture file, 0600; read it with redpkt-pcap or Wireshark
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Whose datagrams: one in N users, sessions as a whole
    #[arg(long, value_name = "1/N", default_value_t = Sample::ALL, requires = "pcap")]
    pcap_sample: Sample,
    /// Add the keys of all new sessions to a file, 0600, that opens captures; who has it can read and forge all traffic
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
    /// Let POST /sets/N/panic have a SET panic, to practise what follows
    #[arg(long)]
    drills: bool,
    /// Options from a TOML file; the command line wins
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON line each second, and the totals as JSON
    #[arg(long)]
    json: bool,
    /// Write logs as JSON
    #[arg(long)]
    pub log_json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum IoChoice {
    Auto,
    Mmsg,
    Xdp,
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

/// A year: until 2105 the end of a packet's time is a number of 32 bits.
const PACKET_LIFE_S_MAX: u32 = 365 * 86_400;

/// Users for each SET that the default number of SETs aims at.
const USERS_PER_SET: u64 = 4_000;

/// Prefixes that fill the session table when each holds as much as it may by default. A carrier's gateway hides many
/// phones behind one address, so it is few.
const PREFIXES: u64 = 8;

/// By default a prefix that holds nothing can fill its share in 4 s; small servers are not stingy.
fn default_prefix_joins(sessions: u64) -> u32 {
    u32::try_from(sessions / PREFIXES / 4).unwrap_or(u32::MAX).max(100)
}

impl ServeArgs {
    /// Checks every option, alone and with the others.
    pub fn settings(self) -> Result<Settings, Failure> {
        self.settings_with(|file| read_key_file(file, "--key"))
    }

    /// The same with keys from elsewhere than the file.
    pub(super) fn settings_with(
        self,
        keys: impl FnOnce(&Path) -> Result<KeyRing, Failure>,
    ) -> Result<Settings, Failure> {
        self.check_listen()?;
        let (workers, cores) = self.workers_and_cores()?;
        let layout = self.layout(workers)?;
        let idle_s = seconds_u16("--idle", self.idle)?;
        let keepalive_s = seconds_u16("--keepalive", self.keepalive)?;
        if keepalive_s >= idle_s {
            return Err(Failure::usage(format!(
                "--keepalive {keepalive_s}s: a session would end after {idle_s}s of silence; it must be less than --idle"
            )));
        }
        let ledger =
            sqlite::dir_of(&self.ledger).map_err(|error| Failure::usage(format!("--ledger {error}")))?;
        let members = self.members.unwrap_or(2 * self.packets);
        let totals =
            Totals { sessions: self.sessions, accounts: self.accounts, packets: self.packets, members };
        check_capacity(totals, layout)?;
        let packet_life_s = self.packet_life_s()?;
        let io = self.io()?;
        Ok(Settings {
            mint: self.mint_settings(&totals, layout)?,
            mint_any_day: self.mint_at.is_some_and(|at| at.any_day),
            ledger,
            http: self.http_settings()?,
            keys: keys(&self.key)?,
            listen: self.listen,
            layout,
            cores,
            io,
            batch: self.batch,
            service: match &self.service {
                Some(file) => read_table(file).map_err(Failure::usage)?,
                None => Plan::default(),
            },
            service_file: self.service,
            steering: self.steering == OnOff::On,
            idle: match self.when_idle {
                WhenIdle::Block => Idle::Block,
                WhenIdle::Spin => Idle::Spin,
            },
            machine: self.machine,
            totals,
            prefix_sessions: self.prefix_sessions.unwrap_or((self.sessions / PREFIXES).max(1)),
            prefix_joins: self.prefix_joins.unwrap_or_else(|| default_prefix_joins(self.sessions)),
            relay: self.relay,
            shakes_per_s: self.shakes_per_s,
            wins_per_user: self.wins_per_user,
            packet_life_s,
            keepalive_s,
            idle_s,
            key_file: self.key,
            json_lines: self.json,
            telemetry: self.telemetry == OnOff::On,
            capture: CaptureSettings { pcap: self.pcap, sample: self.pcap_sample, keylog: self.keylog },
            drills: self.drills,
        })
    }

    /// How datagrams move.
    fn io(&self) -> Result<Io, Failure> {
        let xdp = self.iface.as_ref().map(|interface| XdpOptions {
            interface: interface.clone(),
            vlan: self.vlan,
            mode: self.xdp_mode,
        });
        match (self.io, xdp) {
            (IoChoice::Auto, xdp) => Ok(Io::Auto(xdp)),
            (IoChoice::Mmsg, None) => Ok(Io::Mmsg),
            (IoChoice::Mmsg, Some(xdp)) => Err(Failure::usage(format!(
                "--iface {}: sockets need none; leave it out, or use --io xdp",
                xdp.interface
            ))),
            (IoChoice::Xdp, Some(xdp)) => Ok(Io::Xdp(xdp)),
            (IoChoice::Xdp, None) => Err(Failure::usage(
                "--io xdp: name the interface that the datagrams come from with --iface IF",
            )),
        }
    }

    fn packet_life_s(&self) -> Result<u32, Failure> {
        match u32::try_from(self.packet_life) {
            Ok(seconds) if seconds <= PACKET_LIFE_S_MAX => Ok(seconds),
            _ => Err(Failure::usage(format!(
                "--packet-life {}s: at most {} days are allowed",
                self.packet_life,
                PACKET_LIFE_S_MAX / 86_400
            ))),
        }
    }

    /// An address is listened at once. Port 0 is another port each time.
    fn check_listen(&self) -> Result<(), Failure> {
        let twice = |(at, addr): (usize, &SocketAddr)| addr.port() != 0 && self.listen[..at].contains(addr);
        match self.listen.iter().enumerate().find(|listen| twice(*listen)) {
            Some((_, addr)) => Err(Failure::usage(format!("--listen {addr}: it is given twice"))),
            None => Ok(()),
        }
    }

    /// The order `start`.
    fn mint_settings(&self, totals: &Totals, layout: Layout) -> Result<Option<Order>, Failure> {
        let Some(rate_per_s) = self.mint else { return Ok(None) };
        let order = Order {
            shares: self.mint_shares,
            budget_fen: self.mint_budget,
            at_wall_ms: self.mint_at.map_or(0, |at| at.wall_ms),
            ..Order::mint("start", rate_per_s, self.mint_total, self.mint_fen)
        };
        let option = |error: OrderError| Failure::usage(format!("--mint-{error}"));
        check_order(&order, totals, layout).map_err(option)?;
        if order.fen_at_most() > FEN_IN_ALL_MAX {
            return Err(Failure::usage(format!(
                "--mint-total {}: packets of up to {} fen could make more than {FEN_IN_ALL_MAX} fen; ask for less with --mint-total or --mint-fen",
                order.total, order.fen_max
            )));
        }
        Ok(Some(order))
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
        let sets = self.sets.unwrap_or_else(|| {
            let wished = (self.sessions / USERS_PER_SET).max(1).next_power_of_two();
            // At most SETS_MAX groups are allowed, so there is a SET for each.
            wished.clamp(u64::from(groups.next_power_of_two()), u64::from(SETS_MAX)) as u32
        });
        if !sets.is_power_of_two() || sets > SETS_MAX {
            return Err(Failure::usage(format!("--sets {sets}: a power of two up to {SETS_MAX} is allowed")));
        }
        if groups > sets {
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
            return match &self.http_token {
                None => Ok(None),
                Some(file) => Err(Failure::usage(format!(
                    "--http-token {}: with --http none nobody is asked for it; leave out one of them",
                    file.display()
                ))),
            };
        }
        let addr: SocketAddr = self
            .http
            .parse()
            .map_err(|_| Failure::usage(format!("--http {}: expected ADDRESS:PORT or none", self.http)))?;
        http_settings(addr, self.http_token.as_deref(), "--http").map(Some)
    }
}

/// Every table can be as large as asked for.
fn check_capacity(totals: Totals, layout: Layout) -> Result<(), Failure> {
    let Totals { sessions, accounts, packets, members } = totals;
    let capacity = Capacity::of_totals(layout.sets, sessions, accounts, packets, members);
    for (option, total, records) in [
        ("--sessions", sessions, capacity.sessions),
        ("--accounts", accounts, capacity.accounts),
        ("--packets", packets, capacity.packets),
        ("--members", members, capacity.members.max(capacity.invites)),
    ] {
        if records > RECORDS_MAX {
            return Err(Failure::usage(format!(
                "{option} {total}: {records} in each of {} SETs, at most {RECORDS_MAX} are allowed; ask for more --sets",
                layout.sets
            )));
        }
    }
    let mut sets_of_worker = vec![0u64; layout.workers as usize];
    (0..layout.sets).for_each(|set| sets_of_worker[layout.worker_of(set) as usize] += 1);
    let sets = sets_of_worker.into_iter().max().unwrap_or(0);
    let slots = sets * capacity.sessions as u64;
    if slots > SLOTS_MAX {
        return Err(Failure::usage(format!(
            "--sessions {sessions}: {slots} slots on one worker, at most {SLOTS_MAX} are allowed; ask for fewer, or for more --workers"
        )));
    }
    Ok(())
}

/// Session slots on one worker, which are numbered in 32 bits.
const SLOTS_MAX: u64 = u32::MAX as u64;

fn seconds_u16(option: &str, seconds: u64) -> Result<u16, Failure> {
    u16::try_from(seconds).map_err(|_| Failure::usage(format!("{option} {seconds}s: at most {}s", u16::MAX)))
}
