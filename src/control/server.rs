//! A running server, from start to stop.

use super::alarms::Alarms;
use super::desk::{Desk, Refused};
use super::io::{self, Engines, Opened};
use super::rates::{Rates, Sampler};
use super::recover::{RecoverError, Store, recover};
use super::settings::Settings;
use super::shared::Shared;
use super::stats::{Stats, drops, queues_lost};
use crate::capture::{Capture, CaptureError, Tapped, WorkerEnds};
use crate::ledger::AnyLedger;
use crate::net::{self, BindError, Engine, XdpError};
use crate::set::book::Book;
use crate::set::{Beginning, Core, KeyLog, links};
use crate::telemetry;
use crate::worker::{self, Clock, Command, Own, WorkerHandle, WorkerOptions};
use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::{Now, Rng, SESSION_EPOCH_WALL_MS};
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Datagrams of one frame that a ring between two workers holds.
const RING_DATAGRAMS: usize = 512;

/// Why a server did not start. The messages name the option and the fix.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tables do not fit into memory.
    #[error(
        "--sessions {sessions}: the tables take {needed_mib} MiB and {available_mib} MiB of memory are free; \
         ask for less with --sessions, --accounts, --packets or --members"
    )]
    Memory {
        /// Sessions asked for.
        sessions: u64,
        /// MiB they and the other tables take.
        needed_mib: u64,
        /// MiB there are.
        available_mib: u64,
    },
    /// A listen address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The interface's queues are not to be had.
    #[error(transparent)]
    Xdp(#[from] XdpError),
    /// The HTTP address is not to be had.
    #[error("--http {addr}: {error}; choose another address, or --http none")]
    Http {
        /// The address.
        addr: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// There is no way to the backend.
    #[error("--relay {addr}: {error}; name an address that can be reached from here")]
    Relay {
        /// The address.
        addr: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// A worker's thread did not start.
    #[error("worker {worker} on core {core:?}: {error}; name other cores with --cores, or --cores none")]
    Worker {
        /// Which.
        worker: u32,
        /// Where it was to run.
        core: Option<usize>,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The clock is before the protocol's epoch.
    #[error("the clock says {0} ms since 1970, before 2025: set the clock, session numbers are made from it")]
    Clock(u64),
    /// No randomness.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// Traffic or keys cannot be written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The ledger cannot be gone on with.
    #[error(transparent)]
    Ledger(#[from] RecoverError),
    /// The ledger has another order `start`.
    #[error(
        "--mint: the ledger has an order \"start\" with other content; give --mint and its options as they were, or leave them out and POST /mint with another id"
    )]
    OtherMint,
    /// The order `start` cannot be taken.
    #[error("--mint: order \"start\": {0}")]
    Mint(Refused),
}

impl StartError {
    /// Whether what the user wrote is to be changed: exit code 2.
    pub fn is_usage(&self) -> bool {
        match self {
            StartError::Ledger(error) => error.is_usage(),
            StartError::Capture(error) => error.is_usage(),
            StartError::OtherMint => true,
            StartError::Xdp(error) => error.is_usage(),
            StartError::Mint(refused) => matches!(refused, Refused::TooMuch | Refused::Full(_)),
            _ => false,
        }
    }
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    capture: Option<Capture>,
    sampler: Sampler,
    alarms: Alarms,
}

impl Server {
    /// Binds the sockets, lays the memory, starts the workers, and gives the order `start`.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        check_memory(&settings)?;
        check_cipher();
        let now = Clock::new().now();
        if now.wall_ms < SESSION_EPOCH_WALL_MS {
            return Err(StartError::Clock(now.wall_ms));
        }
        let store = Store::open(&settings, now.wall_ms)?;
        let Opened { engines, listen, stats: io } = io::open(&settings)?;
        let wakers = engines.wakers();
        os_seeded_rng().map_err(StartError::Random)?;
        let rngs = || os_seeded_rng().expect("the operating system has just given random bytes");
        let recovered = recover(&settings, &store, &wakers, rngs)?;
        open_for_business(newest_session(&recovered.groups), recovered.newest_wall_ms)?;
        let Running { workers, threads, capture } = match engines {
            Engines::Mmsg(engines) => start_capturing(&settings, engines, recovered.groups)?,
            Engines::Xdp(engines) => start_capturing(&settings, engines, recovered.groups)?,
        };
        let desk = Desk::recovered(recovered.orders, recovered.payments);
        let captured = capture.as_ref().map(|capture| Arc::clone(capture.counters()));
        let shared = Shared::new(settings, store, workers, desk, listen, io, captured);
        let server = Server {
            sampler: Sampler::new(shared.started()),
            alarms: Alarms::default(),
            shared: Arc::new(shared),
            threads,
            capture,
        };
        match server.give_first_order() {
            Ok(()) => Ok(server),
            Err(refused) => {
                server.stop();
                Err(match refused {
                    Refused::Conflict(_) => StartError::OtherMint,
                    refused => StartError::Mint(refused),
                })
            }
        }
    }

    /// The order `start`. After a restart it is known, and goes on.
    fn give_first_order(&self) -> Result<(), Refused> {
        let settings = self.shared.settings();
        let Some(mint) = &settings.mint else { return Ok(()) };
        self.shared.give_order_now(mint.clone(), settings.mint_any_day).map(|_| ())
    }

    /// What the HTTP side needs.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes the last second's rates, and warns of losses.
    pub fn sample(&mut self) -> Rates {
        let (now, workers) = (Instant::now(), self.shared.snapshots());
        let rates = self.sampler.sample(now, &workers);
        self.alarms.check(now, drops(&workers));
        self.alarms.check_queues(now, queues_lost(&workers));
        if let Some(capture) = &self.capture {
            self.alarms.check_capture(now, capture.counters().read());
        }
        self.shared.set_rates(rates);
        self.shared.collect();
        self.shared.check_money(&workers);
        self.alarms.check_groups(&self.shared);
        self.shared.keep_second();
        rates
    }

    /// Has the workers answer what is in flight and end; the totals, and the number of a worker that has
    /// failed, if one has.
    pub fn stop(self) -> (Stats, Option<usize>) {
        let busy = Arc::new(AtomicUsize::new(self.shared.workers().len()));
        for worker in self.shared.workers() {
            let _ = worker.command(Command::Stop(Arc::clone(&busy)));
        }
        for thread in self.threads {
            // A worker's panic was caught and is told by `failed_worker`.
            let _ = thread.join();
        }
        if let Some(capture) = self.capture {
            capture.finish();
        }
        (self.shared.stats(), self.shared.failed_worker())
    }
}

fn check_memory(settings: &Settings) -> Result<(), StartError> {
    const MIB: u64 = 1 << 20;
    let (needed, available) = (settings.bytes(), telemetry::memory_available_bytes());
    match available {
        Some(available) if needed > available => Err(StartError::Memory {
            sessions: settings.totals.sessions,
            needed_mib: needed.div_ceil(MIB),
            available_mib: available / MIB,
        }),
        _ => Ok(()),
    }
}

/// A machine without AES instructions, or a build that does not use them, seals 50 times slower.
fn check_cipher() {
    let cost = telemetry::sealing_cost_in_hashes();
    if cost > telemetry::SEALING_COST_IN_HASHES_MAX {
        tracing::warn!(
            cost_in_hashes = cost,
            "sealing runs without AES instructions: expect a fraction of the speed"
        );
    }
}

/// How far the clock may be behind the ledger for the start to wait for it.
pub const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(10);

fn newest_session(groups: &[(Book, AnyLedger)]) -> u32 {
    groups.iter().map(|(book, _)| book.newest_session()).max().unwrap_or(0)
}

/// Waits until the first join may be taken: a server that ran here a moment ago may have given session numbers up to
/// the present step, so this one begins with the next. `newest` is the newest one in the ledger. Rows are not written
/// at times before the newest one's either.
fn open_for_business(newest: u32, newest_wall_ms: u64) -> Result<(), StartError> {
    let now = Clock::new().now();
    let step_ms = redpkt_proto::SESSION_STEP_MS;
    let steps = 1 + u64::from(newest.saturating_sub(now.session_number()));
    let behind_ms = newest_wall_ms.saturating_sub(now.wall_ms);
    let wait = Duration::from_millis(behind_ms.max(steps * step_ms - now.wall_ms % step_ms));
    if wait > CLOCK_BEHIND_MAX + Duration::from_millis(step_ms) {
        return Err(RecoverError::Clock { behind_s: wait.as_secs() }.into());
    }
    std::thread::sleep(wait);
    Ok(())
}

/// Workers, their threads, and what is written of their traffic.
struct Running {
    workers: Vec<WorkerHandle<AnyLedger>>,
    threads: Vec<JoinHandle<()>>,
    capture: Option<Capture>,
}

/// Starts the workers, with what they write of their traffic if that is wanted.
fn start_capturing<E: Engine + Send + 'static>(
    settings: &Settings,
    engines: Vec<E>,
    groups: Vec<(Book, AnyLedger)>,
) -> Result<Running, StartError> {
    let workers = engines.len();
    if settings.capture.is_off() {
        let key_logs = (0..workers).map(|_| None).collect();
        return start_workers(settings, engines, groups, key_logs);
    }
    let (capture, ends) = Capture::start(&settings.capture, engines[0].own_ends(), workers)?;
    let (taps, key_logs): (Vec<_>, Vec<_>) =
        ends.into_iter().map(|WorkerEnds { tap, key_log }| (tap, key_log)).unzip();
    let running = match taps.into_iter().collect::<Option<Vec<_>>>() {
        None => start_workers(settings, engines, groups, key_logs)?,
        Some(taps) => {
            let tapped = engines.into_iter().zip(taps).map(|(engine, tap)| Tapped::new(engine, tap));
            start_workers(settings, tapped.collect(), groups, key_logs)?
        }
    };
    Ok(Running { capture: Some(capture), ..running })
}

fn start_workers<E: Engine + Send + 'static>(
    settings: &Settings,
    engines: Vec<E>,
    groups: Vec<(Book, AnyLedger)>,
    key_logs: Vec<Option<KeyLog>>,
) -> Result<Running, StartError> {
    let wakers: Vec<_> = engines.iter().map(Engine::waker).collect();
    let handovers = net::mesh(&wakers, RING_DATAGRAMS);
    let mut workers = Vec::new();
    let mut threads = Vec::new();
    let mesh = links::mesh(engines.len());
    let gate_secret = os_seeded_rng().map_err(StartError::Random)?.next_u32();
    let mut own_groups: Vec<Vec<_>> = engines.iter().map(|_| Vec::new()).collect();
    for group in groups {
        own_groups[(group.0.group() % settings.layout.workers) as usize].push(group);
    }
    let ends = engines.into_iter().zip(handovers).zip(mesh).zip(key_logs);
    for ((((engine, handover), links), key_log), number) in ends.zip(0u32..) {
        let config = settings.core_config(number);
        let own = Own { sets: config.own_sets().collect(), groups: config.own_groups().collect() };
        let keys = settings.keys.clone();
        let groups = std::mem::take(&mut own_groups[number as usize]);
        let rng = os_seeded_rng().map_err(StartError::Random)?;
        let core = settings.worker_cores().get(number as usize).copied();
        let plan = Arc::new(settings.service.clone());
        let backend = settings
            .relay
            .map(|addr| net::Backend::connect(addr).map_err(|error| StartError::Relay { addr, error }));
        let options = WorkerOptions {
            core,
            idle: settings.idle,
            plan,
            gate_secret,
            backend: backend.transpose()?,
            measures: settings.telemetry,
        };
        let beginning = Beginning { groups, links, key_log };
        let new_core = move |now: Now| Core::new(config, keys, now, rng, beginning);
        let (worker, thread) = worker::start(number, engine, handover, options, new_core, own)
            .map_err(|error| StartError::Worker { worker: number, core, error })?;
        workers.push(worker);
        threads.push(thread);
    }
    Ok(Running { workers, threads, capture: None })
}

/// A generator seeded by the operating system.
pub fn os_seeded_rng() -> Result<Rng, getrandom::Error> {
    let mut seed = <Rng as rand::SeedableRng>::Seed::default();
    getrandom::fill(&mut seed)?;
    Ok(Rng::from_seed(seed))
}

/// Locks, also what a panic elsewhere has left.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
