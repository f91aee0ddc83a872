//! One worker's core: the way of a batch through it.

use super::admission::{Seen, Service};
use super::book::Book;
use super::config::Config;
use super::counters::{Counters, Drop};
use super::fault::{self, Fault};
use super::hardware::Hardware;
use super::invites::Invitation;
use super::key_log::KeyLog;
use super::links::{Links, Message};
use super::mask::{Guard, NOBODY, PANICS_MAX, Panicked, SWEEPING, SetState, Writing};
use super::mint::Inviting;
use super::prefixes::HandshakeRate;
use super::promises::Promises;
use super::pushes::Pushes;
use super::rate::ShakeRate;
use super::relay::Relay;
use super::requests::Sending;
use super::sessions::{Sessions, SlotId};
use super::settle::Done;
use super::timing::{Handled, Waits};
use crate::ledger::{Kind, Ledger, Row};
use arrayvec::ArrayVec;
use rand::Rng as _;
use redpkt_proto::body::{Body, PacketId};
use redpkt_proto::cookie::CookieJar;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use redpkt_proto::{Frame, Now, Op, Path, Rng};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
    /// Whether it works. Of one that is masked accounts and pool are not told.
    pub state: SetState,
    /// Whether it is masked and can be rebuilt.
    pub can_be_rebuilt: bool,
}

/// Where the money of a SET is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Position of its group among the worker's own.
    pub(super) group: usize,
    /// Its position among the group's SETs.
    pub(super) at: usize,
    /// Its number.
    pub(super) number: u32,
    /// Whether it works.
    pub(super) state: SetState,
}

/// A group's memory, its ledger, and what waits for that.
pub(super) struct Group<L> {
    pub(super) book: Book,
    pub(super) ledger: L,
    pub(super) promises: Promises,
    /// Whether a write has failed: its money has stopped until it is rebuilt from its journal.
    pub(super) has_failed: bool,
    /// Rows that were durable when that was last looked at.
    pub(super) durable_rows: u64,
    /// Whether it was rebuilt and what it owes is not on its way yet; until then its money stands still.
    pub(super) is_bringing: bool,
    /// Questions of its users that other groups have not answered.
    pub(super) questions_out: usize,
    /// The house packet whose recipients are being invited.
    pub(super) inviting: Option<Inviting>,
    /// The row that is being written.
    pub(super) writing: Writing,
}

impl<L: Ledger> Group<L> {
    fn new(book: Book, ledger: L, promises: usize) -> Group<L> {
        Group {
            book,
            ledger,
            promises: Promises::new(promises),
            has_failed: false,
            is_bringing: false,
            durable_rows: 0,
            questions_out: 0,
            inviting: None,
            writing: Writing::Nothing,
        }
    }

    /// Whether so many rows can be written, and promises made, beside what is held for the answers to its users'
    /// questions: one of each for every question that is out. So an answer never has to wait, and holds up nobody
    /// behind it.
    pub(super) fn has_room(&self, rows: usize, promises: usize) -> bool {
        let held = self.questions_out;
        self.ledger.room() >= rows + held && self.promises.room() >= promises + held
    }

    /// Does what a row says, and writes it; its number.
    pub(super) fn write(&mut self, row: &Row) -> u64 {
        self.apply(row, None);
        let number = self.ledger.append(row);
        self.writing = Writing::Nothing;
        number
    }

    /// The same, of a row with a note.
    pub(super) fn write_noted(&mut self, row: &Row, note: &str) -> u64 {
        self.apply(row, Some(note));
        let number = self.ledger.append_noted(row, note);
        self.writing = Writing::Nothing;
        number
    }

    /// Does what a row says, before it is handed to the ledger.
    fn apply(&mut self, row: &Row, note: Option<&str>) {
        self.writing = Writing::Applying(self.book.before(row));
        self.book.apply(row, note).expect("a row is decided from the book that it is applied to");
        if row.kind != Kind::Order {
            fault::here(Fault::Applied);
        }
        self.writing = Writing::Handing;
    }
}

/// Invitations that may wait for places in the rings to other workers.
pub(super) const NEWS_MAX: usize = 16_384;

/// Outcomes for the operator that wait to be fetched.
const DONE_MAX: usize = 256;

/// What a core begins with: a book for each group, as its journal says, and the ledgers behind them.
pub struct Beginning<L> {
    /// Of each of the worker's groups, ascending.
    pub groups: Vec<(Book, L)>,
    /// To and from the other workers.
    pub links: Links,
    /// Where the keys of new sessions are told; `None` for nowhere.
    pub key_log: Option<KeyLog>,
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

/// How often rows are handed on to be committed when that is not done at once: answers about money take so much longer,
/// and a commit serves more of them.
const FLUSH_EVERY_NS: u64 = 20_000_000;

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
    /// By position of a SET among the worker's own.
    pub(super) places: Vec<Place>,
    pub(super) groups: Vec<Group<L>>,
    pub(super) links: Links,
    pub(super) key_log: Option<KeyLog>,
    pub(super) pushes: Pushes,
    pub(super) sending: Option<Sending>,
    pub(super) done: ArrayVec<Done, DONE_MAX>,
    /// Invitations for other workers that wait for a place in their rings.
    pub(super) news: VecDeque<Invitation>,
    /// Of rebuilt groups, to be brought to others.
    pub(super) owed: VecDeque<Message>,
    pub(super) shake_rate: ShakeRate,
    pub(super) handshake_rate: HandshakeRate,
    pub(super) relay: Relay,
    pub(super) counters: Counters,
    pub(super) position_of_set: Vec<u32>,
    pub(super) rng: Rng,
    pub(super) returns_at: (usize, usize),
    pub(super) returned_ns: u64,
    pub(super) recount_at: usize,
    pub(super) recounted_ns: u64,
    pub(super) load_level: u8,
    pub(super) service: Service,
    pub(super) is_late: bool,
    pub(super) seen: Seen,
    pub(super) handled: Handled,
    pub(super) waits: Waits,
    /// Position of the SET that is worked on, or [`NOBODY`].
    pub(super) work: u32,
    /// By position.
    pub(super) guards: Vec<Guard>,
    pub(super) panicked: ArrayVec<Panicked, PANICS_MAX>,
    swept_ns: u64,
    flushed_ns: u64,
    found: Vec<Found>,
}

impl<L: Ledger> Core<L> {
    /// A core for the SETs of `config.worker`, with all its memory in place.
    pub fn new(config: Config, keys: KeyRing, now: Now, mut rng: Rng, beginning: Beginning<L>) -> Core<L> {
        let Beginning { groups, links, key_log } = beginning;
        assert!(groups.iter().map(|(book, _)| book.group()).eq(config.own_groups()), "a worker's own groups");
        let mut position_of_set = vec![NOT_OWN; config.layout.sets as usize];
        let place = |(position, number): (usize, u32)| {
            position_of_set[number as usize] = position as u32;
            let group = config.layout.group_of(number);
            Place {
                group: (group / config.layout.workers) as usize,
                at: (number / config.layout.groups) as usize,
                number,
                state: SetState::Ok,
            }
        };
        let places: Vec<Place> = config.own_sets().enumerate().map(place).collect();
        let mut random_secret = [0; 32];
        rng.fill_bytes(&mut random_secret);
        let group = |(book, ledger)| Group::new(book, ledger, config.promises);
        Core {
            cookies: CookieJar::new(now, &mut rng),
            random_secret,
            sessions: Sessions::new(places.len(), config.capacity.sessions, config.prefix_sessions, &mut rng),
            guards: vec![Guard::default(); places.len()],
            work: NOBODY,
            panicked: ArrayVec::new(),
            places,
            groups: groups.into_iter().map(group).collect(),
            links,
            key_log,
            pushes: Pushes::new(config.pushes),
            sending: None,
            done: ArrayVec::new(),
            news: VecDeque::with_capacity(NEWS_MAX),
            owed: VecDeque::new(),
            shake_rate: ShakeRate::new(config.shakes_per_s),
            handshake_rate: HandshakeRate::new(config.prefix_joins_per_s, &mut rng),
            relay: Relay::new(config.relay_questions),
            counters: Counters::default(),
            position_of_set,
            rng,
            returns_at: (0, 0),
            returned_ns: now.mono_ns,
            recount_at: 0,
            recounted_ns: now.mono_ns,
            load_level: 0,
            service: Service::FULL,
            is_late: false,
            seen: Seen::default(),
            handled: Handled::default(),
            waits: Waits::default(),
            swept_ns: now.mono_ns,
            flushed_ns: now.mono_ns,
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
    ///
    /// Where a SET panics it is masked, and nothing of the batch is answered: clients ask again.
    pub fn handle_batch(&mut self, now: Now, load_level: u8, jobs: &mut [Job<'_>], hardware: impl Hardware) {
        self.load_level = load_level;
        self.set_time(now);
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle_whole(now, jobs, &mut found, hardware)));
        self.found = found;
        if let Err(panic) = handled {
            self.give_up_batch(jobs, panic);
        }
        self.work = NOBODY;
        self.counters.frames_out += jobs.iter().map(|job| job.replies as u64).sum::<u64>();
    }

    fn handle_whole(
        &mut self,
        now: Now,
        jobs: &mut [Job<'_>],
        found: &mut Vec<Found>,
        hardware: impl Hardware,
    ) {
        for job in jobs.iter_mut() {
            let what = self.check_headers(now, job);
            if let Found::Session { set, user } = what {
                hardware.prefetch(self.sessions.index_entry(set, user));
            }
            found.push(what);
        }
        for (job, what) in jobs.iter_mut().zip(found.iter()) {
            if let Found::Handshake { set } = *what {
                self.work_on(set);
                let op = job.frames[0].header.op;
                self.handshake(now, job, set);
                if job.replies > 0 {
                    self.handled.count(op);
                }
            }
        }
        self.handle_sessions(now, jobs, found, hardware);
    }

    /// What time and the other workers bring, and what has become durable: to be called after every batch, and some
    /// hundred times a second at least while something is due. A bounded piece of each.
    ///
    /// Returns whether there is more to do right now.
    pub fn turn(&mut self, now: Now, mut send: impl FnMut(&Path, &Frame)) -> bool {
        self.set_time(now);
        let more = self.guarded(|core| core.take_messages(now, &mut send));
        self.guarded(|core| core.bring_owed(now));
        self.bring_news();
        let due = self.tick(now);
        let more = self.settle(now, &mut send) | more;
        let more = self.guarded(|core| core.push_due(now, &mut send)) | more;
        self.guarded(|core| core.expire_questions(now, &mut send));
        if self.service.prompt || now.mono_ns.saturating_sub(self.flushed_ns) >= FLUSH_EVERY_NS {
            self.flushed_ns = now.mono_ns;
            self.groups.iter_mut().for_each(|group| group.ledger.flush());
        }
        more | due
    }

    fn set_time(&mut self, now: Now) {
        self.groups.iter_mut().for_each(|group| group.promises.set_time(now));
    }

    /// What time brings: packets that are due, and those whose time is over; sessions that were idle too long; a new
    /// cookie secret. Returns whether more is due right now than one tick does.
    pub fn tick(&mut self, now: Now) -> bool {
        self.guarded(|core| core.tick_once(now))
    }

    fn tick_once(&mut self, now: Now) -> bool {
        self.cookies.rotate(now, &mut self.rng);
        self.sweep(now);
        self.work_on(NOBODY);
        self.return_expired(now);
        self.work_on(NOBODY);
        self.recount(now);
        self.work_on(NOBODY);
        self.mint_due(now)
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
            // What is more than one piece stays due.
            let count = due.min(SWEEP_SLOTS_MAX);
            self.work_on(SWEEPING);
            self.swept_ns += (u128::from(elapsed_ns) * u128::from(count) / u128::from(due)) as u64;
            self.counters.idle_ended += self.sessions.sweep(count as usize, now, idle_ms as u32);
        }
    }

    /// Whether answers wait for the ledger.
    pub fn has_promises(&self) -> bool {
        self.groups.iter().any(|group| !group.promises.is_empty())
    }

    /// How SETs are divided.
    pub fn layout(&self) -> &Layout {
        &self.config.layout
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
        (0..).zip(&self.places).map(|(position, place)| {
            let mut stats = SetStats {
                set: place.number,
                sessions: u64::from(self.sessions.live(position)),
                state: place.state,
                ..SetStats::default()
            };
            if place.state == SetState::Masked {
                stats.can_be_rebuilt = self.can_set_be_rebuilt(place.number);
                return stats;
            }
            let set = &self.groups[place.group].book.sets()[place.at];
            SetStats {
                accounts: set.accounts.count() as u64,
                pool_packets: set.packets.pool_packets() as u64,
                pool_fen: set.packets.pool_fen(),
                ..stats
            }
        })
    }

    /// The books of this worker's groups.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.groups.iter().map(|group| &group.book)
    }

    /// The workers that were told something since the last call: they are to be waked.
    pub fn told_workers(&mut self) -> impl Iterator<Item = u32> {
        self.links.take_pushed()
    }

    /// Gives up the rings to the other workers, which then ask nothing more of this one.
    pub fn close_links(&mut self) {
        self.links = Links::default();
    }

    /// What became of what the operator asked for, since the last call.
    pub fn take_done(&mut self) -> impl Iterator<Item = Done> {
        self.done.drain(..)
    }

    /// Where the money of a session's SET is.
    #[inline]
    pub(super) fn place(&self, id: SlotId) -> Place {
        self.places[id.set as usize]
    }

    /// Position of the group of a packet that lives on this worker.
    pub(super) fn group_of_packet(&self, packet: u64) -> usize {
        self.group_of_set(PacketId::from_u64(packet).set.into())
    }

    /// Position of the group of a user of this worker.
    pub(super) fn group_of_user(&self, user: u64) -> usize {
        self.group_of_set(self.config.layout.set_of(user))
    }

    pub(super) fn group_of_set(&self, set: u32) -> usize {
        (self.config.layout.group_of(set) / self.config.layout.workers) as usize
    }

    /// When the time of a packet that is made now is over, in seconds since 1970.
    pub(super) fn expiry_s(&self, now: Now) -> u32 {
        (now.wall_s() + u64::from(self.config.packet_life_s)).min(u32::MAX.into()) as u32
    }

    /// The memory of all session slots, for the kernel's advice on huge pages.
    pub fn session_memory(&mut self) -> &mut [impl Sized + use<L>] {
        self.sessions.memory()
    }

    /// What is to be done and left from now on.
    pub fn set_service(&mut self, service: Service) {
        if service.mints != self.service.mints {
            self.begin_paces_anew();
        }
        self.service = service;
    }

    /// Whether the datagrams of the next batches have waited too long, but for those about money.
    pub fn set_late(&mut self, is_late: bool) {
        self.is_late = is_late;
    }

    /// What is done and left now.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Datagrams by class since they were last cleared.
    pub fn seen(&mut self) -> &mut Seen {
        &mut self.seen
    }

    /// Authentic requests by op, since they were last taken.
    pub fn handled(&mut self) -> &mut Handled {
        &mut self.handled
    }

    /// Whether some have waited.
    pub fn has_waits(&self) -> bool {
        !self.waits.is_empty()
    }

    /// For how long answers have waited for the ledger, since that was last taken.
    pub fn waits(&mut self) -> &mut Waits {
        &mut self.waits
    }

    /// A reply of a session, to be sealed.
    #[inline]
    pub(super) fn reply<B: Body>(&mut self, id: SlotId, op: Op, flags: u8, body: &B) -> Option<Frame> {
        let load_level = self.load_level;
        self.sessions.get_mut(id).frame(op, flags, load_level, body)
    }
}
