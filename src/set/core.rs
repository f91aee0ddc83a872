//! One worker's core: the way of a batch through it.

use super::accounts::Accounts;
use super::config::Config;
use super::counters::{Counters, Drop};
use super::hardware::Hardware;
use super::mint::{MintOrder, MintProgress, RunningOrder};
use super::packets::Packets;
use super::promises::{Promise, Promises};
use super::rate::ShakeRate;
use super::sessions::{Sessions, SlotId};
use crate::ledger::Ledger;
use rand::Rng as _;
use redpkt_proto::body::{Body, Refusal, RefusalCode};
use redpkt_proto::cookie::CookieJar;
use redpkt_proto::frame::VERSION;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal;
use redpkt_proto::steer::Layout;
use redpkt_proto::{Direction, Frame, Header, Now, Op, Path, Rng};

/// One datagram of a batch: its frames are opened, and answered, in place.
pub struct Job<'a> {
    /// Where it came from.
    pub path: Path,
    /// Its frames; after the batch, the first `replies` of them are the reply.
    pub frames: &'a mut [Frame],
    /// Frames of the reply; 0 for none.
    pub replies: usize,
}

/// What there is in one SET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetStats {
    /// The SET's number.
    pub set: u32,
    /// Live sessions.
    pub sessions: u64,
    /// Accounts in use.
    pub accounts: u64,
    /// Packets in the pool.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
}

/// A SET's money.
pub(super) struct Set {
    pub(super) number: u32,
    /// Position of its group among the worker's own.
    pub(super) group: usize,
    pub(super) accounts: Accounts,
    pub(super) packets: Packets,
}

/// A group's ledger, and the answers that wait for it.
pub(super) struct Group<L> {
    pub(super) ledger: L,
    pub(super) promises: Promises,
}

/// What a batch knows of one of its datagrams.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// Nothing more to do: dropped, or answered already.
    Done,
    /// A HELLO or JOIN.
    Handshake { set: u32 },
    /// Session frames, not looked at yet.
    Session { set: u32, user: u64 },
    /// Session frames, and where their session most likely is; its memory is on the way.
    Likely { id: SlotId, user: u64 },
}

/// Where `position_of_set` has no position: a SET of another worker.
pub(super) const NOT_OWN: u32 = u32::MAX;

/// How often every slot is looked at, so that no session outlives its idle time by more than a quarter.
const SWEEPS_PER_IDLE_TIME: u64 = 4;

/// Sweeps are not closer together: finding out that nothing is due should not cost every batch a division.
const SWEEP_EVERY_NS: u64 = 1_000_000;

/// Slots that one tick sweeps at the most.
const SWEEP_SLOTS_MAX: u64 = 4_096;

/// One worker's share of the SETs.
pub struct Core<L> {
    pub(super) config: Config,
    pub(super) keys: KeyRing,
    pub(super) cookies: CookieJar,
    /// Under which server randoms are made: lives as long as the process.
    pub(super) random_secret: [u8; 32],
    pub(super) sessions: Sessions,
    pub(super) sets: Vec<Set>,
    pub(super) groups: Vec<Group<L>>,
    pub(super) shake_rate: ShakeRate,
    pub(super) counters: Counters,
    pub(super) position_of_set: Vec<u32>,
    pub(super) orders: Vec<RunningOrder>,
    pub(super) rng: Rng,
    load_level: u8,
    swept_ns: u64,
    found: Vec<Found>,
}

impl<L: Ledger> Core<L> {
    /// A core for the SETs of `config.worker`, with all its memory in place. `new_ledger` is asked once for
    /// each of its groups.
    pub fn new(
        config: Config,
        keys: KeyRing,
        now: Now,
        mut rng: Rng,
        mut new_ledger: impl FnMut(u32) -> L,
    ) -> Core<L> {
        let numbers: Vec<u32> = config.own_sets().collect();
        let groups: Vec<u32> = config.own_groups().collect();
        let mut position_of_set = vec![NOT_OWN; config.layout.sets as usize];
        for (position, number) in numbers.iter().enumerate() {
            position_of_set[*number as usize] = position as u32;
        }
        let sets = numbers.iter().map(|number| {
            let group = config.layout.group_of(*number);
            Set {
                number: *number,
                group: groups.iter().position(|own| *own == group).expect("a worker owns its SETs' groups"),
                accounts: Accounts::new(config.capacity.accounts, rng.next_u64()),
                packets: Packets::new(config.capacity.packets, rng.next_u64()),
            }
        });
        let sets = sets.collect();
        let mut random_secret = [0; 32];
        rng.fill_bytes(&mut random_secret);
        let group =
            |group: &u32| Group { ledger: new_ledger(*group), promises: Promises::new(config.promises) };
        Core {
            cookies: CookieJar::new(now, &mut rng),
            random_secret,
            sessions: Sessions::new(numbers.len(), config.capacity.sessions, rng.next_u64()),
            sets,
            groups: groups.iter().map(group).collect(),
            shake_rate: ShakeRate::new(config.shakes_per_s),
            counters: Counters::default(),
            position_of_set,
            orders: Vec::with_capacity(super::ORDERS_MAX),
            rng,
            load_level: 0,
            swept_ns: now.mono_ns,
            found: Vec::with_capacity(64),
            keys,
            config,
        }
    }

    /// Handles a batch of datagrams of this worker's users: answers what can be answered now in place,
    /// and keeps what waits for the ledger for [`settle`](Self::settle).
    ///
    /// The memory of a session is asked for some datagrams before it is needed, and frames are opened and
    /// sealed several at a time. Handshakes come first: they may replace keys.
    pub fn handle_batch(&mut self, now: Now, load_level: u8, jobs: &mut [Job<'_>], hardware: impl Hardware) {
        self.load_level = load_level;
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for job in jobs.iter_mut() {
            let what = self.check_headers(job);
            if let Found::Session { set, user } = what {
                hardware.prefetch(self.sessions.index_entry(set, user));
            }
            found.push(what);
        }
        for (job, what) in jobs.iter_mut().zip(&found) {
            if let Found::Handshake { set } = *what {
                self.handshake(now, job, set);
            }
        }
        self.handle_sessions(now, jobs, &mut found, hardware);
        self.counters.frames_out += jobs.iter().map(|job| job.replies as u64).sum::<u64>();
        self.found = found;
    }

    /// Hands out the answers that have become durable, sealed, each for the path of its request.
    pub fn settle(&mut self, mut send: impl FnMut(&Path, &Frame)) {
        for group in &mut self.groups {
            let durable = group.ledger.durable_row();
            while let Some(promise) = group.promises.pop_durable(durable) {
                let slot = self.sessions.get_mut(promise.id);
                if slot.user != promise.user || slot.number != promise.session_number {
                    continue;
                }
                let Promise { op, flags, .. } = promise;
                let Some(mut frame) = slot.frame(op, flags, self.load_level, &promise.answer) else {
                    continue;
                };
                seal::seal(&slot.key, &mut frame);
                self.counters.frames_out += 1;
                send(&promise.path, &frame);
            }
        }
    }

    /// What time brings: packets that are due, sessions that were idle too long, a new cookie secret.
    /// A bounded piece of each; to be called after every batch, and some hundred times a second at least
    /// while something is due.
    pub fn tick(&mut self, now: Now) {
        self.cookies.rotate(now, &mut self.rng);
        self.mint_due(now);
        self.sweep(now);
    }

    /// Looks for idle sessions, all slots within a quarter of the idle time.
    fn sweep(&mut self, now: Now) {
        let elapsed_ns = now.mono_ns.saturating_sub(self.swept_ns);
        if elapsed_ns < SWEEP_EVERY_NS {
            return;
        }
        let idle_ms = u64::from(self.config.idle_s) * 1_000;
        let due =
            elapsed_ns / 1_000 * self.sessions.slots() as u64 * SWEEPS_PER_IDLE_TIME / (idle_ms * 1_000);
        if due > 0 {
            self.swept_ns = now.mono_ns;
            let count = due.min(SWEEP_SLOTS_MAX) as usize;
            self.counters.idle_ended += self.sessions.sweep(count, now, idle_ms as u32);
        }
    }

    /// Takes an order to mint. All workers get the same orders in the same order.
    pub fn add_order(&mut self, order: MintOrder) {
        assert!(self.orders.len() < super::ORDERS_MAX, "the control plane counts the orders");
        self.orders.push(RunningOrder::new(order));
    }

    /// How SETs are divided.
    pub fn layout(&self) -> &Layout {
        &self.config.layout
    }

    /// How far each order is, in the order they were added.
    pub fn orders(&self) -> impl Iterator<Item = MintProgress> {
        self.orders.iter().map(|running| running.progress)
    }

    /// From now on tickets are checked with these keys. Sessions go on.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.keys = keys;
    }

    /// Totals since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts a datagram that did not get as far as a batch.
    pub fn count_drop(&mut self, reason: Drop) {
        self.counters.drop(reason);
    }

    /// What there is in each SET of this worker.
    pub fn set_stats(&self) -> impl Iterator<Item = SetStats> {
        self.sets.iter().enumerate().map(|(position, set)| SetStats {
            set: set.number,
            sessions: u64::from(self.sessions.live(position as u32)),
            accounts: set.accounts.count() as u64,
            pool_packets: set.packets.pool_packets() as u64,
            pool_fen: set.packets.pool_fen(),
        })
    }

    /// The ledgers of this worker's groups.
    pub fn ledgers(&self) -> impl Iterator<Item = &L> {
        self.groups.iter().map(|group| &group.ledger)
    }

    /// The memory of all session slots, for the kernel's advice on huge pages.
    pub fn session_memory(&mut self) -> &mut [impl Sized + use<L>] {
        self.sessions.memory()
    }

    /// Version, direction and user of all frames, and the op of a handshake, which comes alone.
    fn check_headers(&mut self, job: &mut Job<'_>) -> Found {
        job.replies = 0;
        self.counters.frames_in += job.frames.len() as u64;
        let first = job.frames[0].header;
        let fits =
            |frame: &Frame| frame.header.version_direction == VERSION && frame.header.user == first.user;
        if !job.frames.iter().all(fits) {
            return self.refuse_headers(job);
        }
        let user = first.user.get();
        let set = self.position_of_set[self.config.layout.set_of(user) as usize];
        assert_ne!(set, NOT_OWN, "a datagram is handed to the worker that owns its user");
        match Op::from_wire(first.op) {
            Some(Op::Hello | Op::Join) if job.frames.len() == 1 => Found::Handshake { set },
            _ => Found::Session { set, user },
        }
    }

    /// A datagram whose headers do not fit: which of them, and what is said about it.
    fn refuse_headers(&mut self, job: &mut Job<'_>) -> Found {
        let has = |test: &dyn Fn(&Header) -> bool| job.frames.iter().any(|frame| test(&frame.header));
        if has(&|header| header.direction() == Direction::ToClient) {
            self.counters.drop(Drop::Direction);
        } else if has(&|header| header.version() != VERSION) {
            self.counters.drop(Drop::Version);
            refuse(job, Op::Error, RefusalCode::Version as u8, 0);
        } else {
            self.counters.drop(Drop::MixedUsers);
        }
        Found::Done
    }

    /// A reply of a session, to be sealed.
    #[inline]
    pub(super) fn reply<B: Body>(&mut self, id: SlotId, op: Op, flags: u8, body: &B) -> Option<Frame> {
        let load_level = self.load_level;
        self.sessions.get_mut(id).frame(op, flags, load_level, body)
    }
}

/// Answers a datagram with one STALE or ERROR for its first frame.
pub(super) fn refuse(job: &mut Job<'_>, op: Op, code: u8, retry_after_ms: u32) {
    let refused = job.frames[0];
    job.frames[0] = Frame::new(
        Header::new(refused.header.user.get(), Direction::ToClient, op),
        &Refusal {
            refused_tag: refused.tag,
            code,
            version_min: VERSION,
            version_max: VERSION,
            reserved1: 0,
            retry_after_ms: retry_after_ms.into(),
            reserved2: [0; 8],
        },
    );
    job.replies = 1;
}
