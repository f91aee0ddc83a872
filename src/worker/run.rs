//! A worker's thread and its loop.

use super::clock::Clock;
use super::front::owner;
use super::hardware::ThisProcessor;
use super::load::Load;
use super::snapshot::{SetSnapshot, WorkerSnapshot};
use crate::ledger::Ledger;
use crate::net::{self, Datagram, Engine, Handover, RingFull};
use crate::set::{Core, Drop, Job, MintOrder};
use crate::telemetry::Published;
use arrayvec::ArrayVec;
use crossbeam_queue::ArrayQueue;
use redpkt_proto::frame::frames_mut;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{FRAME_BYTES, Now};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Datagrams that are handled as one batch.
const BATCH: usize = net::bind::BATCH_MAX;

/// Commands that may wait for a worker.
const COMMANDS_MAX: usize = 128;

/// The longest sleep: how late a packet of an order can be minted when nobody shakes.
const SLEEP: Duration = Duration::from_millis(10);

/// How often figures are published at the most.
const PUBLISH_NS: u64 = 50_000_000;

/// How long a stopping worker goes on answering what keeps coming.
const DRAIN_NS: u64 = 500_000_000;

/// What the control plane tells a worker.
pub enum Command {
    /// Check tickets with these keys from now on.
    Keys(KeyRing),
    /// Mint.
    Order(MintOrder),
    /// Answer what is in flight, then end. All workers get the same number, which begins as how many they
    /// are: of those that may still have datagrams for the others.
    Stop(Arc<AtomicUsize>),
}

/// What a worker does when nothing waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Sleep in the kernel until a datagram comes.
    Block,
    /// Ask again at once: a core of its own for a few µs less.
    Spin,
}

/// How a worker runs.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// The core it is pinned to; `None` leaves it to the kernel.
    pub core: Option<usize>,
    /// What it does when nothing waits.
    pub idle: Idle,
}

/// The control plane's side of a running worker.
pub struct WorkerHandle {
    commands: Arc<ArrayQueue<Command>>,
    waker: net::Waker,
    published: Arc<Published<WorkerSnapshot>>,
    sets: Arc<Vec<(u32, Published<SetSnapshot>)>>,
}

/// The queue of a worker that does not listen is full.
#[derive(Debug, thiserror::Error)]
#[error("the worker has not taken its last {COMMANDS_MAX} orders; it hangs")]
pub struct WorkerHangs;

impl WorkerHandle {
    /// Tells the worker something.
    pub fn command(&self, command: Command) -> Result<(), WorkerHangs> {
        self.commands.push(command).map_err(|_| WorkerHangs)?;
        self.waker.wake();
        Ok(())
    }

    /// What it published last.
    pub fn snapshot(&self) -> WorkerSnapshot {
        self.published.load()
    }

    /// What it published last of each of its SETs, with the SET's number.
    pub fn sets(&self) -> impl Iterator<Item = (u32, SetSnapshot)> {
        self.sets.iter().map(|(number, published)| (*number, published.load()))
    }
}

/// Starts a worker's thread. It is pinned before the core is made, so that its memory is near.
pub fn start<E, L>(
    number: u32,
    engine: E,
    handover: Handover,
    options: WorkerOptions,
    new_core: impl FnOnce(Now) -> Core<L> + Send + 'static,
    own_sets: Vec<u32>,
) -> io::Result<(WorkerHandle, JoinHandle<()>)>
where
    E: Engine + Send + 'static,
    L: Ledger + Send + 'static,
{
    let commands = Arc::new(ArrayQueue::new(COMMANDS_MAX));
    let published = Arc::new(Published::new());
    let sets: Vec<_> = own_sets.into_iter().map(|set| (set, Published::new())).collect();
    let sets = Arc::new(sets);
    let waker = engine.waker();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (its_commands, its_published, its_sets) =
        (Arc::clone(&commands), Arc::clone(&published), Arc::clone(&sets));
    let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let pinned = options.core.map_or(Ok(()), net::affinity::pin_current_thread);
        let mut clock = Clock::new();
        let now = clock.now();
        let mut core = new_core(now);
        net::advise_huge_pages(core.session_memory());
        let failed = pinned.is_err();
        if ready.send(pinned).is_err() || failed {
            return;
        }
        let worker = Worker {
            number,
            engine,
            core,
            handover,
            hardware: ThisProcessor::detect(),
            clock,
            idle: options.idle,
            commands: its_commands,
            published: its_published,
            sets: its_sets,
            load: Load::default(),
            snapshot: WorkerSnapshot::default(),
            published_ns: 0,
            stopping: None,
        };
        worker.run();
    })?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok((WorkerHandle { commands, waker, published, sets }, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the worker's thread died while it set up its memory")),
    }
}

/// One worker.
pub struct Worker<E, L> {
    number: u32,
    engine: E,
    core: Core<L>,
    handover: Handover,
    hardware: ThisProcessor,
    clock: Clock,
    idle: Idle,
    commands: Arc<ArrayQueue<Command>>,
    published: Arc<Published<WorkerSnapshot>>,
    sets: Arc<Vec<(u32, Published<SetSnapshot>)>>,
    load: Load,
    snapshot: WorkerSnapshot,
    published_ns: u64,
    stopping: Option<Stopping>,
}

/// A worker on its way to its end.
struct Stopping {
    since_ns: Option<u64>,
    /// Workers whose sockets may still hold datagrams from before the order to stop.
    busy: Arc<AtomicUsize>,
    /// Whether this worker is no longer among them.
    is_dry: bool,
}

impl<E: Engine, L: Ledger> Worker<E, L> {
    fn run(mut self) {
        loop {
            // Before receiving: a turn that then finds nothing has found all that came before the order.
            while let Some(command) = self.commands.pop() {
                self.obey(command);
            }
            let all_are_dry = self.all_are_dry();
            let received = self.engine.recv();
            let now = self.clock.now();
            self.load.turn(now.mono_ns, received > 0);
            if received > 0 {
                self.handle_received(now);
            }
            let taken = self.handover.recv();
            if taken > 0 {
                self.handle_taken_over(now);
            }
            self.core.tick(now);
            let engine = &mut self.engine;
            self.core.settle(|path, frame| engine.send(path, frame.as_bytes()));
            self.engine.flush();
            let idle = received == 0 && taken == 0;
            if now.mono_ns - self.published_ns >= PUBLISH_NS {
                self.publish(now);
            }
            if self.is_over(now, idle, all_are_dry) {
                return self.publish(now);
            }
            if idle && self.idle == Idle::Block {
                self.engine.wait(SLEEP);
            } else if idle {
                std::hint::spin_loop();
            }
        }
    }

    /// Answers the datagrams of the last `recv` in place; those of other workers' users are given to them.
    fn handle_received(&mut self, now: Now) {
        let layout = *self.core.layout();
        let mut reply_bytes: ArrayVec<usize, BATCH> = ArrayVec::new();
        let mut jobs: ArrayVec<Job<'_>, BATCH> = ArrayVec::new();
        let mut datagram_of_job: ArrayVec<u8, BATCH> = ArrayVec::new();
        for Datagram { path, bytes } in self.engine.datagrams() {
            match owner(bytes, &layout) {
                Some(owner) if owner == self.number => {
                    datagram_of_job.push(reply_bytes.len() as u8);
                    jobs.push(Job { path, frames: frames_mut(bytes).expect("it has an owner"), replies: 0 });
                }
                Some(owner) => match self.handover.push(owner as usize, &path, bytes) {
                    Ok(()) => self.snapshot.handed_over += 1,
                    Err(RingFull) => self.snapshot.ring_full += 1,
                },
                None => self.core.count_drop(Drop::Length),
            }
            reply_bytes.push(0);
        }
        self.handover.flush_wakes();
        self.core.handle_batch(now, self.load.level(), &mut jobs, self.hardware);
        for (job, at) in jobs.iter().zip(&datagram_of_job) {
            reply_bytes[usize::from(*at)] = job.replies * FRAME_BYTES;
        }
        drop(jobs);
        self.engine.reply(&reply_bytes);
    }

    /// Answers the datagrams that other workers handed over, from this worker's own sockets.
    fn handle_taken_over(&mut self, now: Now) {
        let mut jobs: ArrayVec<Job<'_>, BATCH> = ArrayVec::new();
        for Datagram { path, bytes } in self.handover.datagrams() {
            self.snapshot.taken_over += 1;
            jobs.push(Job { path, frames: frames_mut(bytes).expect("its first worker looked"), replies: 0 });
        }
        self.core.handle_batch(now, self.load.level(), &mut jobs, self.hardware);
        for job in jobs.iter().filter(|job| job.replies > 0) {
            self.engine.send(&job.path, job.frames[..job.replies].as_bytes());
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Keys(keys) => self.core.set_keys(keys),
            Command::Order(order) => self.core.add_order(order),
            Command::Stop(busy) => self.stopping = Some(Stopping { since_ns: None, busy, is_dry: false }),
        }
    }

    /// Whether no worker has anything more for the others.
    fn all_are_dry(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.busy.load(Ordering::Acquire) == 0)
    }

    /// A stopping worker ends when nothing more comes, neither from its sockets nor from the others, or when
    /// it has come for too long. `all_are_dry` is from before this turn received.
    fn is_over(&mut self, now: Now, idle: bool, all_are_dry: bool) -> bool {
        let Some(stopping) = &mut self.stopping else { return false };
        let since_ns = *stopping.since_ns.get_or_insert(now.mono_ns);
        if idle && !stopping.is_dry {
            stopping.is_dry = true;
            stopping.busy.fetch_sub(1, Ordering::AcqRel);
        }
        idle && all_are_dry || now.mono_ns - since_ns > DRAIN_NS
    }

    fn publish(&mut self, now: Now) {
        self.published_ns = now.mono_ns;
        let snapshot = &mut self.snapshot;
        snapshot.core = *self.core.counters();
        snapshot.net = self.engine.counters();
        (snapshot.sessions, snapshot.pool_packets, snapshot.pool_fen) = (0, 0, 0);
        for (set, (number, published)) in self.core.set_stats().zip(self.sets.iter()) {
            assert_eq!(set.set, *number, "a worker publishes the SETs that it owns");
            snapshot.sessions += set.sessions;
            snapshot.pool_packets += set.pool_packets;
            snapshot.pool_fen += set.pool_fen;
            published.store(&SetSnapshot {
                sessions: set.sessions,
                accounts: set.accounts,
                pool_packets: set.pool_packets,
                pool_fen: set.pool_fen,
            });
        }
        snapshot.load_level = self.load.level().into();
        snapshot.ledger_rows = self.core.ledgers().map(Ledger::last_row).sum();
        snapshot.ledger_commits = self.core.ledgers().map(Ledger::commits).sum();
        snapshot.cpu_ns = net::affinity::thread_cpu_ns();
        for (published, progress) in snapshot.orders.iter_mut().zip(self.core.orders()) {
            *published = [progress.packets, progress.fen, progress.passed_by];
        }
        self.published.store(snapshot);
    }
}
