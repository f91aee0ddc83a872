//! What a run is told, checked.

use super::habits::SendHabit;
use super::mix::Mix;
use super::phases::Phase;
use super::remote::Remote;
use super::schedule::{Arrivals, Rate};
use super::series::SeriesOptions;
use super::xdp::XdpClient;
use crate::relay::{PEERS_MAX, RelayOptions};
use redpkt::cli::Failure;
use redpkt::control::HttpSettings;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, RECIPIENTS_MAX, RECIPIENTS_PER_FRAME, SEND_FEN_MAX};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Users that one run can have: their numbers within it fit 32 bits.
pub const USERS_MAX: u64 = u32::MAX as u64;

/// Source ports that one run can have.
pub const SOURCE_PORTS_MAX: usize = 60_000;

/// Source ports that a run has by default.
pub const SOURCE_PORTS: usize = 16;

/// Threads that one run can have.
pub const THREADS_MAX: u32 = 256;

/// The most that `--deposit` gives a user, in fen.
pub const DEPOSIT_FEN_MAX: u64 = 1_000_000_000;

/// How long it takes by default until users who come late are there.
pub const LATE_OVER: Duration = Duration::from_secs(10);

/// The longest nap: shots wait so long for their turn.
const NAP_MAX: Duration = Duration::from_millis(100);

/// The longest run.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A checked configuration of a run. Made from [`RunArgs`](super::RunArgs), or in code from
/// [`RunOptions::new`] and its public fields; [`RunOptions::check`] is called by whoever runs it.
#[derive(Clone, Debug, Serialize)]
pub struct RunOptions {
    /// The server.
    pub target: SocketAddr,
    /// What tickets are made with.
    #[serde(skip)]
    pub keys: KeyRing,
    /// Users of all hosts together.
    pub users: u64,
    /// The first of them; they are consecutive.
    pub first_user: u64,
    /// How fast all hosts together ask.
    pub rate: Rate,
    /// How long.
    #[serde(serialize_with = "as_text")]
    pub duration: Duration,
    /// What follows at other rates, in the same run.
    pub phases: Vec<Phase>,
    /// Whether it is recorded piece by piece what became of requests.
    pub series: Option<SeriesOptions>,
    /// Whether the latencies of each second are kept as a log of histograms: some KB a second.
    pub latency_log: bool,
    /// What users do.
    pub mix: Mix,
    /// What users send.
    pub send: SendHabit,
    /// What each user is paid before the run, in fen; 0 for nothing.
    pub deposit_fen: u64,
    /// An order of packets of the house, given when the run begins: the query of `POST /send`.
    pub order: Option<String>,
    /// Whether the server is killed meanwhile: opens and grabs whose outcome is not known are made again until it is,
    /// and the server's counters are not compared.
    pub persists: bool,
    /// Requests in each shot.
    pub frames_per_datagram: usize,
    /// Which host this is, from 1.
    pub host: u32,
    /// How many hosts there are.
    pub hosts: u32,
    /// Ports, thus peers in the server's eyes, that this host's users come from.
    pub source_ports: usize,
    /// Past this host's kernel, each user from an address and port of its own; `None` for sockets.
    pub xdp: Option<XdpClient>,
    /// How shots are spread in time.
    pub arrivals: Arrivals,
    /// Seed of random arrivals.
    pub seed: u64,
    /// Whether runs of datagrams of one socket cross the kernel as one system packet.
    pub gso: bool,
    /// When a request counts as unanswered, from its first transmission on.
    #[serde(serialize_with = "as_text")]
    pub deadline: Duration,
    /// Whether requests are sent again while they wait.
    pub retransmits: bool,
    /// Whether users do what a loaded server asks of them.
    pub obeys: bool,
    /// Joins in flight.
    pub join_window: usize,
    /// Threads that send and receive.
    pub threads: u32,
    /// The core of each thread; empty to leave them to the kernel.
    pub cores: Vec<usize>,
    /// A thread asks for datagrams again and again, instead of sleeping, when the next shot is due so soon.
    #[serde(serialize_with = "as_text")]
    pub spin: Duration,
    /// The run begins at a whole multiple of this on the server's clock. Hosts that join at different speed
    /// begin together when it is longer than the difference.
    #[serde(serialize_with = "as_text")]
    pub align: Duration,
    /// The server's HTTP side, such as `http://127.0.0.1:7101`, whose counters are compared with ours.
    pub http: Option<String>,
    /// Whether plain misses are kept for the tally too.
    pub tally_misses: bool,
    /// The longest random wait before a session that the server has lost is asked for again.
    #[serde(serialize_with = "as_text")]
    pub rejoin_wait: Duration,
    /// How long after the run's time shots that are due in it may still go out.
    #[serde(serialize_with = "as_text")]
    pub grace: Duration,
    /// Whether users act on an invitation at their next shot, and not at once.
    pub acts_at_shots: bool,
    /// A SET whose users make no shots.
    pub idle_set: Option<IdleSet>,
    /// Ends the shots before their time when it is set.
    #[serde(skip)]
    pub stop: Option<Arc<AtomicBool>>,
    /// A relay of our own between us and the server, and what it does to datagrams.
    pub wire: Option<RelayOptions>,
    /// How long threads sleep between two turns, whatever comes meanwhile: shots and answers of this time are handled
    /// together, which spares CPU and costs latency.
    #[serde(serialize_with = "as_text")]
    pub nap: Duration,
    /// The share of the users that leave in a second and join anew.
    pub churn_per_s: f64,
    /// The share of the users that join only when the run goes on.
    pub late: f64,
    /// How long it takes until all of those are there.
    #[serde(serialize_with = "as_text")]
    pub late_over: Duration,
    /// Where the run can be watched and steered; this host's users then follow a rate of their own.
    #[serde(skip)]
    pub http_listen: Option<HttpSettings>,
    /// The same, once it is served.
    #[serde(skip)]
    pub remote: Option<Arc<Remote>>,
}

/// One of the server's SETs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdleSet {
    /// Which one.
    pub set: u32,
    /// How many there are.
    pub sets: u32,
}

impl IdleSet {
    /// Whether it is this user's.
    pub fn has(&self, user: u64) -> bool {
        Layout { sets: self.sets, groups: 1, workers: 1 }.set_of(user) == self.set
    }
}

impl RunOptions {
    /// A run with the command's defaults: one host, one thread, one frame a datagram, every win opened.
    pub fn new(target: SocketAddr, keys: KeyRing, users: u64, rate: Rate, duration: Duration) -> RunOptions {
        RunOptions {
            target,
            keys,
            users,
            first_user: 1,
            rate,
            duration,
            phases: Vec::new(),
            series: None,
            latency_log: false,
            mix: Mix::default(),
            send: SendHabit::default(),
            deposit_fen: 0,
            order: None,
            persists: false,
            frames_per_datagram: 1,
            host: 1,
            hosts: 1,
            source_ports: SOURCE_PORTS,
            xdp: None,
            arrivals: Arrivals::Even,
            seed: 1,
            gso: false,
            deadline: Duration::from_secs(10),
            retransmits: true,
            obeys: false,
            join_window: 512,
            threads: 1,
            cores: Vec::new(),
            spin: Duration::from_micros(20),
            align: Duration::from_secs(1),
            http: None,
            tally_misses: false,
            rejoin_wait: Duration::from_secs(1),
            grace: Duration::from_millis(10),
            acts_at_shots: false,
            idle_set: None,
            stop: None,
            wire: None,
            nap: Duration::ZERO,
            churn_per_s: 0.0,
            late: 0.0,
            late_over: LATE_OVER,
            http_listen: None,
            remote: None,
        }
    }

    /// Checks every option, alone and with the others; says which is wrong, and what is allowed.
    pub fn check(&self) -> Result<(), Failure> {
        let hosts = u64::from(self.hosts);
        within("--users", self.users, 1, USERS_MAX)?;
        within("--first-user", self.first_user, 0, u64::MAX - self.users)?;
        // A rate of nothing waits for another one, which only the HTTP side can bring.
        self.rate.check(u64::from(self.http_listen.is_none()))?;
        within("--frames-per-datagram", self.frames_per_datagram as u64, 1, FRAMES_PER_DATAGRAM_MAX as u64)?;
        if self.hosts == 0 || self.host == 0 || self.host > self.hosts {
            return Err(Failure::usage(format!(
                "--hosts {}/{}: expected I/N with I from 1 to N, such as 1/2",
                self.host, self.hosts
            )));
        }
        within("--threads", self.threads.into(), 1, THREADS_MAX.into())?;
        if self.users < hosts * u64::from(self.threads) {
            return Err(Failure::usage(format!(
                "--users {}: each of {hosts} hosts with {} threads needs at least one; ask for more users or fewer threads",
                self.users, self.threads
            )));
        }
        within("--source-ports", self.source_ports as u64, self.threads.into(), SOURCE_PORTS_MAX as u64)?;
        within("--join-window", self.join_window as u64, self.threads.into(), 1 << 20)?;
        within_time("--duration", self.time(), Duration::from_millis(10), DURATION_MAX)?;
        self.phases.iter().try_for_each(|phase| phase.rate.check(1))?;
        within_time("--deadline", self.deadline, Duration::from_millis(10), Duration::from_secs(600))?;
        within_time("--align", self.align, Duration::from_millis(1), Duration::from_secs(3_600))?;
        within_time("--spin", self.spin, Duration::ZERO, Duration::from_secs(1))?;
        within_time("--nap", self.nap, Duration::ZERO, NAP_MAX)?;
        within_time("--late-over", self.late_over, Duration::from_millis(10), DURATION_MAX)?;
        self.mix.check()?;
        self.check_money()?;
        self.check_coming()?;
        if let Some(xdp) = &self.xdp {
            xdp.check(self)?;
        }
        if !self.cores.is_empty() && self.cores.len() != self.threads as usize {
            return Err(Failure::usage(format!(
                "--cores: {} cores for {} threads; name one for each, or none",
                self.cores.len(),
                self.threads
            )));
        }
        if self.wire.is_some() {
            within("--source-ports", self.source_ports as u64, 1, PEERS_MAX as u64)?;
        }
        Ok(())
    }
}

impl RunOptions {
    /// What concerns users who come late, and rates that are told.
    fn check_coming(&self) -> Result<(), Failure> {
        for (option, share) in [("--churn", self.churn_per_s), ("--late", self.late)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Failure::usage(format!("{option} {share}: a share from 0 to 1 is allowed")));
            }
        }
        if self.late >= 1.0 {
            return Err(Failure::usage("--late 100%: somebody has to be there when the run begins"));
        }
        if self.http_listen.is_some() && (self.arrivals != Arrivals::Even || !self.phases.is_empty()) {
            return Err(Failure::usage("--arrivals poisson: with --http-listen only even arrivals are made"));
        }
        Ok(())
    }

    /// What concerns sends, deposits and orders.
    fn check_money(&self) -> Result<(), Failure> {
        let SendHabit { recipients, shares, fen_min, fen_max, equal } = self.send;
        if self.mix.send > 0.0 {
            within("--send-recipients", recipients.into(), 1, RECIPIENTS_MAX as u64)?;
            within("--send-recipients", recipients.into(), 1, self.users - 1)?;
            within("--send-shares", shares.into(), 1, fen_min.into())?;
            within("--send-fen", fen_min.into(), 1, fen_max.into())?;
            within("--send-fen", fen_max.into(), 1, SEND_FEN_MAX.into())?;
            if !(0.0..=1.0).contains(&equal) {
                return Err(Failure::usage(format!("--send-equal {equal}: a share from 0 to 1 is allowed")));
            }
        }
        within("--deposit", self.deposit_fen, 0, DEPOSIT_FEN_MAX)?;
        let asks_http = [("--deposit", self.deposit_fen > 0), ("--order", self.order.is_some())];
        if let Some((option, _)) = asks_http.iter().find(|(_, is_given)| *is_given && self.http.is_none()) {
            return Err(Failure::usage(format!("{option}: name the server's HTTP side by --http URL")));
        }
        if self.order.is_some()
            && (self.hosts > 1 || self.mix.invites() || self.mix.open < 1.0 || self.mix.again > 0.0)
        {
            return Err(Failure::usage(
                "--order: every packet of it is looked for, so one host has all users, they open all they are                  invited to once, and send and share nothing themselves",
            ));
        }
        Ok(())
    }

    /// How long all phases take.
    pub fn time(&self) -> Duration {
        self.duration + self.phases.iter().map(|phase| phase.duration).sum::<Duration>()
    }

    /// Frames that a datagram may have: those of a shot, or those of a send if they are more.
    pub(super) fn frames_max(&self) -> usize {
        let send =
            if self.mix.send > 0.0 { self.send.recipients.div_ceil(RECIPIENTS_PER_FRAME as u32) } else { 1 };
        self.frames_per_datagram.max(send as usize)
    }
}

/// A time as `10s`, which our options read again.
pub(super) fn as_text<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*time))
}

fn within(option: &str, value: u64, min: u64, max: u64) -> Result<(), Failure> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(Failure::usage(format!("{option} {value}: {min} to {max} is allowed"))),
    }
}

fn within_time(option: &str, value: Duration, min: Duration, max: Duration) -> Result<(), Failure> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(Failure::usage(format!("{option} {value:?}: {min:?} to {max:?} is allowed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn good() -> RunOptions {
        let keys = KeyRing::generate(&mut redpkt_proto::Rng::seed_from_u64(1));
        let rate = Rate::requests_per_s(1_000);
        RunOptions::new("127.0.0.1:7100".parse().unwrap(), keys, 100, rate, Duration::from_secs(1))
    }

    /// Expect: one line that begins with the option's name.
    #[test]
    fn bad_values_name_their_option() {
        good().check().unwrap();
        type Spoil = fn(&mut RunOptions);
        let bad: [(&str, Spoil); 24] = [
            ("--users 0:", |options| options.users = 0),
            ("--users 3:", |options| (options.users, options.threads) = (3, 4)),
            ("--first-user ", |options| options.first_user = u64::MAX),
            ("--qps 0:", |options| options.rate = Rate::requests_per_s(0)),
            ("--pps 0:", |options| options.rate = Rate::datagrams_per_s(0)),
            ("--frames-per-datagram 0:", |options| options.frames_per_datagram = 0),
            ("--frames-per-datagram 19:", |options| options.frames_per_datagram = 19),
            ("--hosts 3/2:", |options| (options.host, options.hosts) = (3, 2)),
            ("--hosts 0/1:", |options| options.host = 0),
            ("--threads 0:", |options| options.threads = 0),
            ("--source-ports 0:", |options| options.source_ports = 0),
            ("--join-window 0:", |options| options.join_window = 0),
            ("--duration 0ns:", |options| options.duration = Duration::ZERO),
            ("--deadline 0ns:", |options| options.deadline = Duration::ZERO),
            ("--mix open=1.5:", |options| options.mix.open = 1.5),
            ("--send-recipients 55:", |options| (options.mix.send, options.send.recipients) = (1.0, 55)),
            ("--send-recipients 3:", |options| (options.mix.send, options.users) = (1.0, 3)),
            ("--send-shares 11:", |options| (options.mix.send, options.send.shares) = (1.0, 11)),
            ("--send-fen 10:", |options| (options.mix.send, options.send.fen_max) = (1.0, 9)),
            ("--send-equal ", |options| (options.mix.send, options.send.equal) = (1.0, 1.5)),
            ("--deposit:", |options| options.deposit_fen = 5),
            ("--order:", |options| options.order = Some("rate=1&total=1".into())),
            ("--cores:", |options| options.cores = vec![0, 1]),
            ("--source-ports 5000:", |options| {
                (options.wire, options.source_ports) = (Some(RelayOptions::default()), 5_000);
            }),
        ];
        for (start, spoil) in bad {
            let mut options = good();
            spoil(&mut options);
            let why = options.check().unwrap_err().to_string();
            assert!(why.starts_with(start) && !why.contains('\n'), "{start} {why}");
        }
    }
}
