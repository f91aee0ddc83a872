//! Watches how sessions are opened, and finds out why they are not.

use super::Progress;
use super::clock::ClockSamples;
use super::crowd::JoinState;
use super::generator::Message;
use super::options::RunOptions;
use super::report::Joins;
use redpkt::cli::Failure;
use redpkt::net::client::ClientCounters;
use redpkt_proto::body::RefusalCode;
use std::time::{Duration, Instant};

/// Nobody is there: that long without an answer while the network says so.
const UNREACHABLE_FOR: Duration = Duration::from_secs(2);

/// That long without an answer.
const SILENT_FOR: Duration = Duration::from_secs(5);

/// That long without another session.
const STALLED_FOR: Duration = Duration::from_secs(15);

/// What each thread said last.
pub struct JoinWatch {
    users: u64,
    threads: Vec<(JoinState, ClientCounters, ClockSamples)>,
    /// Sessions when there was one more the last time, and when that was.
    grown: (u64, Instant),
    /// Sessions at the last look of a second, and when that was.
    told: (u64, Instant),
    /// Of the last whole second; `None` in the first.
    joins_per_s: Option<f64>,
    next_tell: Instant,
}

impl JoinWatch {
    /// Watches `threads` that open sessions for `users` together.
    pub fn new(threads: usize, users: u64) -> JoinWatch {
        let now = Instant::now();
        let threads = (0..threads).map(|_| Default::default()).collect();
        JoinWatch { users, threads, grown: (0, now), told: (0, now), joins_per_s: None, next_tell: now }
    }

    /// Takes in what a thread says.
    pub fn on_message(&mut self, message: Message) {
        if let Message::Joining { thread, joins, sockets, clock_samples } = message {
            self.threads[thread] = (joins, sockets, clock_samples);
        }
    }

    fn joined(&self) -> u64 {
        self.threads.iter().map(|(joins, ..)| joins.joined).sum()
    }

    /// Whether all sessions are open.
    pub fn is_done(&self) -> bool {
        self.joined() == self.users
    }

    /// The samples of all threads.
    pub fn clock_samples(&self) -> ClockSamples {
        let mut all = ClockSamples::default();
        self.threads.iter().for_each(|(.., samples)| all.merge(samples));
        all
    }

    /// How it went.
    pub fn joins(&self, options: &RunOptions, seconds: f64) -> Joins {
        Joins {
            sessions: self.joined(),
            seconds,
            peers: if options.xdp.is_some() { self.users } else { options.source_ports as u64 },
            refusals: self.threads.iter().map(|(joins, ..)| joins.refusals).sum(),
            shakes_per_s: self.threads.iter().map(|(joins, ..)| joins.shakes_per_s).max().unwrap_or(0),
        }
    }

    /// Tells how far it is, and fails if it gets no further.
    pub fn look(&mut self, options: &RunOptions, progress: &mut dyn FnMut(Progress)) -> Result<(), Failure> {
        let (joined, now) = (self.joined(), Instant::now());
        if joined > self.grown.0 {
            self.grown = (joined, now);
        }
        let told_for = (now - self.told.1).as_secs_f64();
        if told_for >= 1.0 {
            self.joins_per_s = Some((joined - self.told.0) as f64 / told_for);
            self.told = (joined, now);
        }
        if now >= self.next_tell {
            self.next_tell = now + Duration::from_millis(100);
            let joins_per_s = self.joins_per_s.unwrap_or(joined as f64 / told_for.max(0.001));
            progress(Progress::Joining { joined, users: self.users, joins_per_s });
        }
        self.refused_for_good(options)?;
        self.stalled(options, now - self.grown.1)
    }

    fn refused_for_good(&self, options: &RunOptions) -> Result<(), Failure> {
        let Some(code) = self.threads.iter().find_map(|(joins, ..)| joins.refused_for_good) else {
            return Ok(());
        };
        let target = options.target;
        Err(match code {
            RefusalCode::TicketKey => Failure::usage(format!(
                "--key: {target} does not have this key; name the file it was started with"
            )),
            RefusalCode::TicketExpired => Failure::machine(format!(
                "{target} says that tickets made just now have expired; set the clocks of both machines"
            )),
            RefusalCode::Version => Failure::machine(format!(
                "{target} speaks another version of the wire; build both from one commit"
            )),
            RefusalCode::Full | RefusalCode::Busy | RefusalCode::Load => {
                Failure::machine(format!("{target} refuses to open sessions: {code:?}"))
            }
        })
    }

    fn stalled(&self, options: &RunOptions, stalled_for: Duration) -> Result<(), Failure> {
        let (target, users, joined) = (options.target, self.users, self.joined());
        let sum = |field: fn(&ClientCounters) -> u64| -> u64 {
            self.threads.iter().map(|(_, sockets, _)| field(sockets)).sum()
        };
        if sum(|sockets| sockets.datagrams_received) == 0 {
            if stalled_for >= UNREACHABLE_FOR && sum(|sockets| sockets.unreachable) > 0 {
                return Err(Failure::machine(format!(
                    "no answer from {target}: is the server running there? The network says that nobody has this port"
                )));
            }
            if stalled_for >= SILENT_FOR {
                return Err(Failure::machine(format!(
                    "no answer from {target}: is the server running there, with the keys of --key, and does UDP reach it?"
                )));
            }
        }
        if stalled_for < STALLED_FOR {
            return Ok(());
        }
        let refused = self.threads.iter().find_map(|(joins, ..)| joins.refused);
        Err(match refused {
            Some(RefusalCode::Full) => Failure::machine(format!(
                "{target} has no room for more than {joined} of {users} sessions beside those that it has; serve with more --sessions"
            )),
            Some(code) => Failure::machine(format!(
                "{target} opened {joined} of {users} sessions and then refused for {STALLED_FOR:?}: {code:?}"
            )),
            None => Failure::check(format!(
                "{target} opened {joined} of {users} sessions and then none for {STALLED_FOR:?}"
            )),
        })
    }
}
