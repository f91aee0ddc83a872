//! A running server, from start to stop.

use super::alarms::Alarms;
use super::orders::{Asked, OrderReport, Orders};
use super::rates::{Rates, Sampler};
use super::settings::Settings;
use super::stats::{IoStats, Sources, Stats, drops};
use crate::ledger::Memory;
use crate::net::{self, BindError, BindOptions, MmsgEngine, Steering};
use crate::set::book::{Book, Order};
use crate::set::{Beginning, Core, links};
use crate::telemetry;
use crate::worker::{
    self, Clock, Command, Own, SetSnapshot, WorkerHandle, WorkerHangs, WorkerOptions, WorkerSnapshot,
};
use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::keyring::KeyRing;
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
    /// The HTTP address is not to be had.
    #[error("--http {addr}: {error}; choose another address, or --http none")]
    Http {
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
    /// A worker did not take an order.
    #[error(transparent)]
    Hangs(#[from] WorkerHangs),
}

/// What the HTTP side, the ticker and the signals share of a running server.
pub struct Shared {
    workers: Vec<WorkerHandle<Memory>>,
    settings: Settings,
    listen: Vec<SocketAddr>,
    io: IoStats,
    started: Instant,
    orders: Mutex<Orders>,
    rates: Mutex<Rates>,
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    sampler: Sampler,
    alarms: Alarms,
}

impl Server {
    /// Binds the sockets, lays the memory, starts the workers, and gives the order `start`.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        check_memory(&settings)?;
        check_cipher();
        let opened_at = open_for_business()?;
        let engines = net::bind(&BindOptions {
            steering: settings.steering,
            ..BindOptions::new(&settings.listen, settings.layout)
        })?;
        let first = &engines[0];
        let listen = first.listen_addrs().to_vec();
        let io = IoStats {
            engine: "mmsg",
            steering: matches!(first.steering(), Steering::OneWorker | Steering::Attached),
            recv_buffer_bytes: first.recv_buffer_bytes() as u64,
        };
        if let Steering::Refused(errno) = first.steering() {
            tracing::warn!(
                errno,
                "the kernel refused the steering program: datagrams change workers by ring"
            );
        }
        std::thread::sleep(opened_at.saturating_duration_since(Instant::now()));
        let (workers, threads) = start_workers(&settings, engines)?;
        let shared = Shared {
            workers,
            listen,
            io,
            started: Instant::now(),
            orders: Mutex::default(),
            rates: Mutex::default(),
            settings,
        };
        if let Some(mint) = &shared.settings.mint {
            shared.give_order(mint.clone())?;
        }
        Ok(Server {
            sampler: Sampler::new(shared.started),
            alarms: Alarms::default(),
            shared: Arc::new(shared),
            threads,
        })
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
        *lock(&self.shared.rates) = rates;
        rates
    }

    /// Has the workers answer what is in flight and end; the totals, and the number of a worker that has
    /// failed, if one has.
    pub fn stop(self) -> (Stats, Option<usize>) {
        let busy = Arc::new(AtomicUsize::new(self.shared.workers.len()));
        for worker in &self.shared.workers {
            let _ = worker.command(Command::Stop(Arc::clone(&busy)));
        }
        for thread in self.threads {
            // A worker's panic was caught and is told by `failed_worker`.
            let _ = thread.join();
        }
        (self.shared.stats(), self.shared.failed_worker())
    }
}

impl Shared {
    /// The addresses that are listened at, with the ports that were really taken.
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All figures.
    pub fn stats(&self) -> Stats {
        let workers = self.snapshots();
        let sets: Vec<(u32, SetSnapshot)> = self.workers.iter().flat_map(WorkerHandle::sets).collect();
        Stats::collect(Sources {
            uptime_s: self.started.elapsed().as_secs_f64(),
            rates: *lock(&self.rates),
            orders: lock(&self.orders).report(&workers),
            workers: &workers,
            sets,
            layout: self.settings.layout,
            io: self.io.clone(),
        })
    }

    /// A worker that has panicked.
    pub fn failed_worker(&self) -> Option<usize> {
        self.workers.iter().position(WorkerHandle::has_failed)
    }

    /// The token that HTTP requests have to show.
    pub fn http_token(&self) -> Option<&str> {
        self.settings.http.as_ref()?.token.as_deref()
    }

    /// Takes an order, and tells the workers if it is new. Without an id it gets one.
    pub fn give_order(&self, mut order: Order) -> Result<Asked, WorkerHangs> {
        // The lock is held until all workers are told: they count orders in the order they come.
        let mut orders = lock(&self.orders);
        if order.id.is_empty() {
            order.id = orders.free_id();
        }
        let asked = orders.ask(&order);
        if let Asked::New(at) = asked {
            let Order { id, rate_per_s, total, .. } = &order;
            tracing::info!(id, rate = rate_per_s, total, "order taken");
            let order = Arc::new(order);
            self.tell_all(|| Command::Order { number: at + 1, order: Arc::clone(&order), ticket: 0 })?;
        }
        Ok(asked)
    }

    /// How far the order at this position is.
    pub fn order(&self, at: usize) -> OrderReport {
        lock(&self.orders).report(&self.snapshots()).swap_remove(at)
    }

    /// Has all workers check tickets with these keys.
    pub fn set_keys(&self, keys: &KeyRing) -> Result<(), WorkerHangs> {
        self.tell_all(|| Command::Keys(keys.clone()))
    }

    fn tell_all(&self, command: impl Fn() -> Command<Memory>) -> Result<(), WorkerHangs> {
        self.workers.iter().try_for_each(|worker| worker.command(command()))
    }

    fn snapshots(&self) -> Vec<WorkerSnapshot> {
        self.workers.iter().map(WorkerHandle::snapshot).collect()
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

/// When the first join may be taken: a server that ran here a moment ago may have given session numbers up
/// to the present step, so this one begins with the next.
fn open_for_business() -> Result<Instant, StartError> {
    let now = Clock::new().now();
    if now.wall_ms < SESSION_EPOCH_WALL_MS {
        return Err(StartError::Clock(now.wall_ms));
    }
    let step_ms = redpkt_proto::SESSION_STEP_MS;
    Ok(Instant::now() + Duration::from_millis(step_ms - now.wall_ms % step_ms))
}

fn start_workers(
    settings: &Settings,
    engines: Vec<MmsgEngine>,
) -> Result<(Vec<WorkerHandle<Memory>>, Vec<JoinHandle<()>>), StartError> {
    use net::Engine as _;
    let wakers: Vec<_> = engines.iter().map(MmsgEngine::waker).collect();
    let handovers = net::mesh(&wakers, RING_DATAGRAMS);
    let mut workers = Vec::new();
    let mut threads = Vec::new();
    let mesh = links::mesh(engines.len());
    for (((engine, handover), links), number) in engines.into_iter().zip(handovers).zip(mesh).zip(0u32..) {
        let config = settings.core_config(number);
        let own = Own { sets: config.own_sets().collect(), groups: config.own_groups().collect() };
        let keys = settings.keys.clone();
        let mut rng = os_seeded_rng().map_err(StartError::Random)?;
        let core = settings.cores.get(number as usize).copied();
        let options = WorkerOptions { core, idle: settings.idle };
        let new_core = move |now: Now| {
            let book = |group| Book::new(group, config.layout, &config.capacity, || rng.next_u64());
            let groups: Vec<_> =
                config.own_groups().map(book).map(|book| (book, Memory::default())).collect();
            Core::new(config, keys, now, rng, Beginning { groups, links })
        };
        let (worker, thread) = worker::start(number, engine, handover, options, new_core, own)
            .map_err(|error| StartError::Worker { worker: number, core, error })?;
        workers.push(worker);
        threads.push(thread);
    }
    Ok((workers, threads))
}

/// A generator seeded by the operating system.
pub fn os_seeded_rng() -> Result<Rng, getrandom::Error> {
    let mut seed = <Rng as rand::SeedableRng>::Seed::default();
    getrandom::fill(&mut seed)?;
    Ok(Rng::from_seed(seed))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
