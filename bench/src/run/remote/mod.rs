//! A run that others can watch and steer by HTTP while it goes on.
//!
//! | file | what |
//! |---|---|
//! | `pace` | the rate, and when each shot is due by it |
//! | `churn` | users who leave and come again, and users who come late |
//! | `figures` | what threads tell |
//! | `http` | what is served: `/stats.json`, `/histograms.json`, `POST /qps`, `/churn`, `/stop` |

mod churn;
mod figures;
mod http;
mod pace;

pub use churn::{Churn, Turnover, parse_per_s};
pub use figures::Figures;
pub use pace::{Pace, Segment, split};

use super::clock::Clock;
use super::options::RunOptions;
use super::schedule::Share;
use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::telemetry::Published;
use redpkt::telemetry::latencies::Latencies;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RunPhase {
    /// Sessions are being opened.
    Joining,
    /// Users may shake.
    Running,
    /// No more shots; the last answers are waited for.
    Draining,
    /// All is known; files are being written.
    Done,
}

impl RunPhase {
    const ALL: [RunPhase; 4] = [RunPhase::Joining, RunPhase::Running, RunPhase::Draining, RunPhase::Done];

    fn name(self) -> &'static str {
        match self {
            RunPhase::Joining => "joining",
            RunPhase::Running => "running",
            RunPhase::Draining => "draining",
            RunPhase::Done => "done",
        }
    }
}

/// What the threads of a run and its HTTP side have in common.
pub struct Remote {
    /// The run's clock: both sides read the same.
    pub clock: Clock,
    /// The rate of this host.
    pub pace: Pace,
    /// How many sessions are renewed.
    pub churn: Churn,
    /// Ends the run when it is set.
    pub stop: Arc<AtomicBool>,
    target: SocketAddr,
    host: u32,
    hosts: u32,
    /// Of this host.
    users: u64,
    phase: AtomicU8,
    threads: Box<[Published<Figures>]>,
    /// Of the seconds that are over.
    latencies: Mutex<Latencies>,
    /// Addresses that users speak from.
    locals: Mutex<Vec<SocketAddr>>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote(host {} of {})", self.host, self.hosts)
    }
}

impl Remote {
    /// Serves HTTP beside the run with these options from now on, and has the run follow what it is told there. Its
    /// options are to be checked before.
    pub fn listen(options: &mut RunOptions) -> Result<Option<(Arc<Remote>, SocketAddr)>, Failure> {
        let Some(settings) = options.http_listen.clone() else { return Ok(None) };
        let remote = Arc::new(Remote::new(options));
        let addr = http::listen(&settings, Arc::clone(&remote))?;
        (options.stop, options.remote) = (Some(Arc::clone(&remote.stop)), Some(Arc::clone(&remote)));
        Ok(Some((remote, addr)))
    }

    fn new(options: &RunOptions) -> Remote {
        let frames = options.frames_per_datagram;
        let users_of = |host| Share::new(options.users, (host, options.hosts), (0, 1)).count();
        let users: Vec<u64> = (1..=options.hosts).map(users_of).collect();
        let own = options.host as usize - 1;
        Remote {
            clock: Clock::start(),
            pace: Pace::new(split(options.rate.requests(frames) as u64, &users)[own], frames),
            churn: Churn::new(options.churn_per_s),
            stop: Arc::default(),
            target: options.target,
            host: options.host,
            hosts: options.hosts,
            users: users[own],
            phase: AtomicU8::new(0),
            threads: (0..options.threads).map(|_| Published::new()).collect(),
            latencies: Mutex::default(),
            locals: Mutex::default(),
        }
    }

    /// Says where the run is.
    pub fn set_phase(&self, phase: RunPhase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> RunPhase {
        RunPhase::ALL[usize::from(self.phase.load(Ordering::Relaxed)).min(3)]
    }

    /// A thread tells its totals.
    pub fn publish(&self, thread: usize, figures: &Figures) {
        self.threads[thread].store(figures);
    }

    /// Adds the latencies of a second that is over.
    pub fn measured(&self, latencies: [(&str, &Histogram<u64>); 3]) {
        let named = latencies.map(|(name, histogram)| (name.to_owned(), histogram.clone()));
        lock(&self.latencies).add(&Latencies(named.into()));
    }

    /// Users speak from this address.
    pub fn speaks_from(&self, addr: SocketAddr) {
        lock(&self.locals).push(addr);
    }

    fn figures(&self) -> Figures {
        let mut all = Figures::default();
        self.threads.iter().for_each(|thread| all.add(&thread.load()));
        all
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
