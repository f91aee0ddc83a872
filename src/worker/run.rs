//! A worker's thread and its loop.

use super::admission::Admission;
use super::clock::Clock;
use super::front::owner;
use super::gather::Gather;
use super::hardware::ThisProcessor;
use super::latency::WorkerLatencies;
use super::load::Load;
use super::measuring::Measuring;
use super::panics::{self, Panics};
use super::relay;
use super::service::{Plan, Standing};
use super::snapshot::{GroupSnapshot, SetSnapshot, WorkerSnapshot};
use super::stalls::Cause;
use crate::ledger::Ledger;
use crate::net::{self, Backend, Datagram, Engine, Handover, RingFull};
use crate::set::book::{Book, Order, OrderState};
use crate::set::links::Message;
use crate::set::{Core, Done, Drop, Job, Payment, SetPart};
use crate::telemetry::Published;
use arrayvec::ArrayVec;
use crossbeam_queue::ArrayQueue;
use redpkt_proto::frame::frames_mut;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{FRAME_BYTES, Now};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Datagrams that are handled as one batch.
const BATCH: usize = net::bind::BATCH_MAX;

/// Commands that may wait for a worker.
const COMMANDS_MAX: usize = 128;

/// The longest sleep: how late a packet of an order can be minted when nobody shakes.
const SLEEP: Duration = Duration::from_millis(10);

/// The longest sleep while a backend has something to answer, which does not end a sleep: how late an answer can be.
const SLEEP_FOR_BACKEND: Duration = Duration::from_millis(1);

/// How often figures are published at the most.
pub const PUBLISHED_EVERY: Duration = Duration::from_millis(50);

/// How long a stopping worker goes on answering what keeps coming.
const DRAIN_NS: u64 = 500_000_000;

/// Outcomes that may wait to be fetched, beside those of all groups for some orders.
const DONE_MAX: usize = 4_096;

/// What the control plane tells a worker. What it did comes back by ticket, see [`WorkerHandle::take_done`].
pub enum Command<L> {
    /// Check tickets with these keys from now on.
    Keys(KeyRing),
    /// Make packets: the order with this number, from 1.
    Order {
        /// Its place among all orders.
        number: usize,
        /// What is made.
        order: Arc<Order>,
        /// Each group says by it that the order is written.
        ticket: u64,
    },
    /// Have an order go on or not.
    OrderState {
        /// Which.
        number: usize,
        /// How.
        state: OrderState,
        /// Each group says by it that this is written.
        ticket: u64,
    },
    /// Pay into a wallet, or out of it.
    Pay {
        /// What is paid.
        payment: Payment,
        /// Says by it what became of it.
        ticket: u64,
    },
    /// What is given up at which load, from now on.
    Service(Arc<Plan>),
    /// Put a group back to work with what its journal says.
    Rebuild(Box<(Book, L, Vec<Message>)>),
    /// Drain a SET, or have it work again.
    Drain {
        /// Which.
        set: u32,
        /// Whether it is drained.
        is_draining: bool,
    },
    /// Have a SET panic, to practise what follows.
    Drill {
        /// Which.
        set: u32,
    },
    /// Put a masked SET back to work with what its group's journal says.
    RebuildSet(Box<SetPart>),
    /// Have whatever SET comes by there panic.
    #[cfg(test)]
    Panic(crate::set::fault::Fault),
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
pub struct WorkerOptions {
    /// The core it is pinned to; `None` leaves it to the kernel.
    pub core: Option<usize>,
    /// What it does when nothing waits.
    pub idle: Idle,
    /// What it gives up at which load.
    pub plan: Arc<Plan>,
    /// What says whom it works for first, the same for all workers: one's queue may bring another's datagram.
    pub gate_secret: u32,
    /// Where RELAY messages are passed to.
    pub backend: Option<Backend>,
    /// Whether it measures how long requests and its own turns take.
    pub measures: bool,
}

/// The control plane's side of a running worker.
pub struct WorkerHandle<L> {
    commands: Arc<ArrayQueue<Command<L>>>,
    done: Arc<ArrayQueue<Done>>,
    waker: net::Waker,
    published: Arc<Published<WorkerSnapshot>>,
    sets: Arc<Vec<(u32, Published<SetSnapshot>)>>,
    groups: Arc<Vec<(u32, Published<GroupSnapshot>)>>,
    latencies: Option<Arc<WorkerLatencies>>,
    has_failed: Arc<AtomicBool>,
}

/// The queue of a worker that does not listen is full.
#[derive(Debug, thiserror::Error)]
#[error("the worker has not taken its last {COMMANDS_MAX} orders; it hangs")]
pub struct WorkerHangs;

impl<L> WorkerHandle<L> {
    /// Tells the worker something.
    pub fn command(&self, command: Command<L>) -> Result<(), WorkerHangs> {
        self.commands.push(command).map_err(|_| WorkerHangs)?;
        self.waker.wake();
        Ok(())
    }

    /// Wakes it.
    pub fn waker(&self) -> net::Waker {
        self.waker.clone()
    }

    /// What it published last.
    pub fn snapshot(&self) -> WorkerSnapshot {
        self.published.load()
    }

    /// How long its requests take, by op; `None` if it does not measure.
    pub fn latencies(&self) -> Option<&WorkerLatencies> {
        self.latencies.as_deref()
    }

    /// Whether it has panicked: its users are not answered any more, the other workers' are.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The next outcome of what it was told.
    pub fn take_done(&self) -> Option<Done> {
        self.done.pop()
    }

    /// What it published last of each of its groups, with the group's number.
    pub fn groups(&self) -> impl Iterator<Item = (u32, GroupSnapshot)> {
        self.groups.iter().map(|(number, published)| (*number, published.load()))
    }

    /// What it published last of each of its SETs, with the SET's number.
    pub fn sets(&self) -> impl Iterator<Item = (u32, SetSnapshot)> {
        self.sets.iter().map(|(number, published)| (*number, published.load()))
    }
}

/// What belongs to a worker, ascending.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its SETs.
    pub sets: Vec<u32>,
    /// Its groups.
    pub groups: Vec<u32>,
}

/// Starts a worker's thread. It is pinned before the core is made, so that its memory is near.
pub fn start<E, L>(
    number: u32,
    engine: E,
    handover: Handover,
    options: WorkerOptions,
    new_core: impl FnOnce(Now) -> Core<L> + Send + 'static,
    own: Own,
) -> io::Result<(WorkerHandle<L>, JoinHandle<()>)>
where
    E: Engine + Send + 'static,
    L: Ledger + Send + 'static,
{
    let commands = Arc::new(ArrayQueue::new(COMMANDS_MAX));
    let published = Arc::new(Published::new());
    let done = Arc::new(ArrayQueue::new(DONE_MAX + 4 * own.groups.len()));
    let sets: Arc<Vec<_>> = Arc::new(own.sets.into_iter().map(|set| (set, Published::new())).collect());
    let groups: Arc<Vec<_>> =
        Arc::new(own.groups.into_iter().map(|group| (group, Published::new())).collect());
    let waker = engine.waker();
    let has_failed = Arc::new(AtomicBool::new(false));
    let its_failure = Arc::clone(&has_failed);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (its_commands, its_published, its_sets) =
        (Arc::clone(&commands), Arc::clone(&published), Arc::clone(&sets));
    let (its_done, its_groups) = (Arc::clone(&done), Arc::clone(&groups));
    let latencies = options.measures.then(|| Arc::new(WorkerLatencies::new()));
    let its_latencies = latencies.clone();
    let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        panics::note_those_of_this_thread();
        let pinned = options.core.map_or(Ok(()), net::affinity::pin_current_thread);
        let mut clock = Clock::new();
        let now = clock.now();
        let mut core = new_core(now);
        net::advise_huge_pages(core.session_memory());
        let failed = pinned.is_err();
        if ready.send(pinned).is_err() || failed {
            return;
        }
        let mut worker = Worker {
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
            done: its_done,
            groups: its_groups,
            load: Load::default(),
            admission: Admission::new(now.mono_ns, options.gate_secret),
            plan: options.plan,
            backend: options.backend,
            standing: Standing::default(),
            snapshot: WorkerSnapshot::default(),
            published_ns: 0,
            publications: 0,
            stopping: None,
            panics: Panics::new(),
            measuring: Measuring::new(its_latencies, &clock),
        };
        if catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
            its_failure.store(true, Ordering::Relaxed);
            let at = panics::last_panic();
            tracing::error!(
                worker = number,
                at,
                "worker has panicked: its users are not answered any more; restart the server, and report the panic"
            );
            worker.stay_until_stopped();
        }
    })?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok((
            WorkerHandle { commands, done, waker, published, sets, groups, latencies, has_failed },
            thread,
        )),
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
    commands: Arc<ArrayQueue<Command<L>>>,
    done: Arc<ArrayQueue<Done>>,
    published: Arc<Published<WorkerSnapshot>>,
    sets: Arc<Vec<(u32, Published<SetSnapshot>)>>,
    groups: Arc<Vec<(u32, Published<GroupSnapshot>)>>,
    load: Load,
    admission: Admission,
    plan: Arc<Plan>,
    backend: Option<Backend>,
    standing: Standing,
    snapshot: WorkerSnapshot,
    published_ns: u64,
    publications: u64,
    stopping: Option<Stopping>,
    panics: Panics,
    measuring: Measuring,
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
    fn run(&mut self) {
        loop {
            // Before receiving: a turn that then finds nothing has found all that came before the order.
            while let Some(command) = self.commands.pop() {
                let now = self.clock.now();
                self.measuring.begins(now.mono_ns);
                self.obey(command, now);
                self.measuring.did(Cause::Command, &self.clock);
            }
            let all_are_dry = self.all_are_dry();
            let received = self.engine.recv();
            let now = self.clock.now();
            self.load.turn(now.mono_ns, received > 0, self.engine.waited_ns());
            self.measuring.received(now.mono_ns, self.load.last_ns());
            self.follow_load(now);
            if received > 0 {
                self.handle_received(now);
                self.measuring.handled_own(&mut self.core);
            }
            let taken = self.handover.recv();
            if taken > 0 {
                self.handle_taken_over(now);
                self.measuring.handled_others(&mut self.core);
            }
            self.measuring.handled(received + taken, &self.clock);
            let engine = &mut self.engine;
            let mut gather = Gather::new(|path, frames| engine.send(path, frames.as_bytes()));
            let heard = match &mut self.backend {
                Some(backend) if received == 0 || self.core.awaits_backend() => {
                    relay::hear(backend, &mut self.core, now, |path, frame| gather.push(path, frame))
                }
                _ => 0,
            };
            let more_is_due = self.core.turn(now, |path, frame| gather.push(path, frame));
            gather.flush();
            self.engine.flush();
            if let Some(backend) = &mut self.backend {
                relay::pass_on(backend, &mut self.core, now);
            }
            self.core.told_workers().for_each(|worker| self.handover.wake(worker as usize));
            for panicked in self.core.take_panicked() {
                self.panics.tell(self.number, &panicked, now);
            }
            for done in self.core.take_done() {
                // Nobody waits any more for what finds no place: whoever has asked asks again.
                let _ = self.done.push(done);
            }
            let idle = received == 0 && taken == 0 && heard == 0 && !more_is_due;
            if !idle || self.core.has_waits() {
                self.measuring.sent(&mut self.core, &self.clock);
            }
            if now.mono_ns - self.published_ns >= PUBLISHED_EVERY.as_nanos() as u64 {
                self.publish(now);
                self.measuring.did(Cause::Publish, &self.clock);
            }
            self.measuring.ended(!idle, now.wall_ms);
            if self.is_over(now, idle, all_are_dry) {
                return self.publish(now);
            }
            if idle && self.idle == Idle::Block {
                let awaits = self.core.awaits_backend();
                self.engine.wait(if awaits { SLEEP_FOR_BACKEND } else { SLEEP });
                self.measuring.woke();
            } else if idle {
                std::hint::spin_loop();
            }
        }
    }

    /// What is left to do after a panic: keep the sockets, because closing one would renumber the others'
    /// reuseport group, until the server stops.
    fn stay_until_stopped(&mut self) {
        self.core.close_links();
        loop {
            while let Some(command) = self.commands.pop() {
                if let Command::Stop(busy) = command {
                    busy.fetch_sub(1, Ordering::AcqRel);
                    return;
                }
            }
            std::thread::sleep(SLEEP);
        }
    }

    /// How much is let in, and what is given up.
    fn follow_load(&mut self, now: Now) {
        self.core.set_late(self.admission.is_late(self.load.last_ns()));
        if !self.admission.turn(now, self.load.last_ns()) {
            return;
        }
        self.standing.follow(&self.plan, now.mono_ns, self.admission.standing_ns());
        let off = self.standing.classes_off(&self.plan);
        let dropped = self.engine.counters().shed;
        self.admission.decide(now, std::mem::take(self.core.seen()), dropped, off);
        self.core.set_service(self.standing.service(&self.plan, &self.admission));
        self.engine.set_gate(&self.admission.gate());
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

    fn obey(&mut self, command: Command<L>, now: Now) {
        match command {
            Command::Keys(keys) => self.core.set_keys(keys),
            Command::Order { number, order, ticket } => self.core.add_order(number, &order, ticket, now),
            Command::OrderState { number, state, ticket } => {
                self.core.set_order_state(number, state, ticket, now);
            }
            Command::Pay { payment, ticket } => self.core.pay(&payment, ticket, now),
            Command::Service(plan) => self.plan = plan,
            Command::Rebuild(group) => {
                let (book, ledger, owed) = *group;
                self.core.rebuild(book, ledger, owed, now);
            }
            Command::Drain { set, is_draining } => self.core.set_draining(set, is_draining),
            Command::Drill { set } => self.core.drill(set),
            // Where it was read too early the control plane finds the SET still masked, and reads once more.
            Command::RebuildSet(part) => _ = self.core.rebuild_set(*part, now),
            #[cfg(test)]
            Command::Panic(fault) => crate::set::fault::arm(fault),
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
        let idle = idle && !self.core.has_promises();
        if idle && !stopping.is_dry {
            stopping.is_dry = true;
            stopping.busy.fetch_sub(1, Ordering::AcqRel);
        }
        idle && all_are_dry || now.mono_ns - since_ns > DRAIN_NS
    }

    fn publish(&mut self, now: Now) {
        self.published_ns = now.mono_ns;
        self.publications += 1;
        self.clock.discipline();
        let snapshot = &mut self.snapshot;
        snapshot.core = *self.core.counters();
        snapshot.net = self.engine.counters();
        snapshot.backend = self.backend.as_ref().map_or_else(Default::default, Backend::counters);
        (snapshot.sessions, snapshot.pool_packets, snapshot.pool_fen) = (0, 0, 0);
        for (set, (number, published)) in self.core.set_stats().zip(self.sets.iter()) {
            assert_eq!(set.set, *number, "a worker publishes the SETs that it owns");
            snapshot.sessions += set.sessions;
            snapshot.pool_packets += set.pool_packets;
            snapshot.pool_fen += set.pool_fen;
            published.store(&SetSnapshot::of(&set));
        }
        snapshot.load_level = self.load.level().into();
        snapshot.service_level = self.standing.level() as u64;
        snapshot.service_off = self.standing.off(&self.plan).bits();
        snapshot.admitted = self.core.service().gate.limits.map(u64::from);
        (snapshot.ledger_rows, snapshot.ledger_commits) = (0, 0);
        for (group, (number, published)) in self.core.group_stats().zip(self.groups.iter()) {
            assert_eq!(group.group, *number, "a worker publishes the groups that it owns");
            snapshot.ledger_rows += group.rows;
            snapshot.ledger_commits += group.commits;
            let can_be_rebuilt = self.core.can_be_rebuilt(group.group);
            published.store(&GroupSnapshot::of(&group, can_be_rebuilt, self.publications));
        }
        snapshot.cpu_ns = net::affinity::thread_cpu_ns();
        snapshot.stalls = self.measuring.stalls();
        snapshot.orders.iter_mut().for_each(|order| *order = [0; 4]);
        for book in self.core.books() {
            for (published, running) in snapshot.orders.iter_mut().zip(book.orders()) {
                let progress = &running.progress;
                published[0] += progress.packets;
                published[1] += progress.fen;
                published[2] += progress.passed_by;
                published[3] += u64::from(running.next >= running.order.total);
            }
        }
        self.published.store(snapshot);
    }
}
