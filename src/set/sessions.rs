//! The session slots of a worker: preallocated, the same number for each SET.

use super::index::Index;
use super::prefixes::Held;
use super::window::RequestWindow;
use rand::Rng as _;
use redpkt_proto::body::Body;
use redpkt_proto::replay::ReplayWindow;
use redpkt_proto::seal::SessionKey;
use redpkt_proto::{Direction, Frame, Header, Now, Op, Path, Rng};

/// One user's session. 96 bytes: what a shake needs lies in two neighbouring cache lines.
#[repr(C)]
pub struct Slot {
    /// Whose session. In a free slot: the number of the next free one.
    pub user: u64,
    /// What its frames are sealed with.
    pub key: SessionKey,
    /// The address that has proved itself.
    pub path: Path,
    /// Seqs of the client that were seen.
    pub replay: ReplayWindow,
    /// The last seq that we used.
    pub seq: u32,
    /// High half of the reqs of this session; 0 in a free slot.
    pub number: u32,
    /// Which of its requests are done.
    pub window: RequestWindow,
    /// When the last authentic frame came, in wrapping monotonic ms.
    pub seen_ms: u32,
    /// When the next shake is due at the rate that a user has, in wrapping ticks of [`super::rate`].
    pub next_shake: u32,
}

const _: () = assert!(size_of::<Slot>() == 96);

/// No slot: the end of a free list.
const NONE: u32 = u32::MAX;

/// All sessions of the SETs of a worker. SETs are named by their position among the worker's own.
pub struct Sessions {
    slots: Vec<Slot>,
    index: Index,
    slots_per_set: u32,
    lists: Vec<SetList>,
    /// By source prefix.
    held: Held,
    /// Where the idle sweep goes on: a position in `slots`.
    sweep_at: usize,
}

#[derive(Clone, Copy)]
struct SetList {
    free: u32,
    live: u32,
    /// Slots below this one have been in use: live ones are found among them.
    top: u32,
    /// Whether the idle sweep passes it by.
    is_frozen: bool,
}

/// Where a session is: the SET's position and the slot's number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId {
    /// Position of the SET among the worker's own.
    pub set: u32,
    /// Number of the slot in its SET.
    pub slot: u32,
}

impl Sessions {
    /// Room for `slots_per_set` sessions in each of `sets` SETs, of which one source prefix may hold `prefix_most` in
    /// each SET; 0 means no limit. Every slot is written, so the memory is there before the first datagram comes.
    pub fn new(sets: usize, slots_per_set: usize, prefix_most: u32, rng: &mut Rng) -> Sessions {
        let count = slots_per_set as u32;
        Sessions {
            slots: (0..sets * slots_per_set).map(|at| Slot::first(at as u32 % count, count)).collect(),
            index: Index::new(sets, slots_per_set, rng.next_u64()),
            slots_per_set: slots_per_set as u32,
            lists: vec![SetList { free: 0, live: 0, top: 0, is_frozen: false }; sets],
            held: Held::new(sets, slots_per_set, prefix_most, rng),
            sweep_at: 0,
        }
    }

    /// Bytes that this takes.
    pub fn bytes(sets: usize, slots_per_set: usize) -> usize {
        sets * slots_per_set * size_of::<Slot>()
            + Index::bytes(sets, slots_per_set)
            + Held::bytes(sets, slots_per_set)
    }

    /// All slots as one piece of memory, for the kernel's advice on huge pages.
    pub fn memory(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// The index entry where the search for `user` begins, to be prefetched.
    #[inline]
    pub fn index_entry(&self, set: u32, user: u64) -> &u32 {
        self.index.first_entry(set as usize, user)
    }

    /// Where `user`'s session most likely is: the slot is not looked at, to be prefetched first.
    #[inline]
    pub fn likely(&self, set: u32, user: u64) -> Option<SlotId> {
        self.index.candidate(set as usize, user).map(|slot| SlotId { set, slot })
    }

    /// Where `user`'s session is.
    #[inline]
    pub fn find(&self, set: u32, user: u64) -> Option<SlotId> {
        let base = set * self.slots_per_set;
        self.index
            .find(set as usize, user, |slot| self.slots[(base + slot) as usize].user == user)
            .map(|slot| SlotId { set, slot })
    }

    /// The slot there.
    #[inline]
    pub fn get(&self, id: SlotId) -> &Slot {
        &self.slots[self.position(id)]
    }

    /// The slot there, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: SlotId) -> &mut Slot {
        let position = self.position(id);
        &mut self.slots[position]
    }

    /// Gives `user`, who has none, a slot; `None` when the SET is full.
    pub fn add(&mut self, set: u32, user: u64) -> Option<SlotId> {
        let list = &mut self.lists[set as usize];
        if list.free == NONE {
            return None;
        }
        let id = SlotId { set, slot: list.free };
        let slot = &mut self.slots[(set * self.slots_per_set + id.slot) as usize];
        list.free = slot.user as u32;
        list.live += 1;
        list.top = list.top.max(id.slot + 1);
        *slot = Slot { user, ..Slot::free() };
        self.index.insert(set as usize, user, id.slot);
        Some(id)
    }

    /// Whether the prefix of `path` may hold one session more in a SET.
    pub fn may_begin(&self, set: u32, path: &Path) -> bool {
        self.held.admits(set, &Path::NONE, path)
    }

    /// Whether the session there may be one of `path`: it is, or that prefix may hold one more.
    pub fn may_move(&self, id: SlotId, path: &Path) -> bool {
        self.held.admits(id.set, &self.get(id).path, path)
    }

    /// Begins a session in a slot, and ends the one that was there.
    pub fn begin(&mut self, id: SlotId, number: u32, key: SessionKey, path: Path, now: Now) {
        let before = self.get(id).path;
        self.held.moved(id.set, &before, &path);
        self.get_mut(id).begin(number, key, path, now);
    }

    /// A session has proved another address.
    pub fn proved(&mut self, id: SlotId, path: &Path) {
        let before = self.get(id).path;
        self.held.moved(id.set, &before, path);
        self.get_mut(id).path = *path;
    }

    /// Ends a session and frees its slot.
    pub fn remove(&mut self, id: SlotId) {
        let base = id.set * self.slots_per_set;
        let Slot { user, path, .. } = *self.get(id);
        self.held.moved(id.set, &path, &Path::NONE);
        let slots = &self.slots;
        self.index.remove(id.set as usize, user, id.slot, |slot| slots[(base + slot) as usize].user);
        let list = &mut self.lists[id.set as usize];
        let next = std::mem::replace(&mut list.free, id.slot);
        list.live -= 1;
        *self.get_mut(id) = Slot { user: u64::from(next), ..Slot::free() };
    }

    /// Ends all sessions of a SET; their clients join again when they ask for something.
    pub fn end_all(&mut self, set: u32) {
        for slot in 0..self.lists[set as usize].top {
            let id = SlotId { set, slot };
            if self.get(id).number != 0 {
                self.remove(id);
            }
        }
    }

    /// Has the idle sweep pass a SET by, or not.
    pub fn set_frozen(&mut self, set: u32, is_frozen: bool) {
        self.lists[set as usize].is_frozen = is_frozen;
    }

    /// Makes a SET as it was at the start, whatever has become of its slots.
    pub fn reset(&mut self, set: u32) {
        let (count, base) = (self.slots_per_set, set * self.slots_per_set);
        (0..count).for_each(|slot| self.slots[(base + slot) as usize] = Slot::first(slot, count));
        self.index.clear(set as usize);
        self.held.reset(set);
        self.lists[set as usize] = SetList { free: 0, live: 0, top: 0, is_frozen: false };
    }

    /// The SET whose slot was swept last.
    pub fn swept_set(&self) -> u32 {
        let last = self.sweep_at.checked_sub(1).unwrap_or(self.slots.len() - 1);
        last as u32 / self.slots_per_set
    }

    /// The user of slot `at` of a SET, if a session is there, counting round those that have been in use.
    pub fn user_near(&self, set: u32, at: u32) -> Option<u64> {
        let top = self.lists[set as usize].top;
        let slot = self.get(SlotId { set, slot: at.checked_rem(top)? });
        (slot.number != 0).then_some(slot.user)
    }

    /// Looks at the next `count` slots and ends the sessions that were silent for more than `idle_ms`; how
    /// many. Live ones get their wrapping times kept near `now`.
    pub fn sweep(&mut self, count: usize, now: Now, idle_ms: u32) -> u64 {
        let mut ended = 0;
        for _ in 0..count.min(self.slots.len()) {
            let at = self.sweep_at;
            self.sweep_at = (at + 1) % self.slots.len();
            let slot = &mut self.slots[at];
            if slot.number == 0 || self.lists[at / self.slots_per_set as usize].is_frozen {
                continue;
            }
            if now.mono_ms().wrapping_sub(slot.seen_ms) > idle_ms {
                let at = at as u32;
                self.remove(SlotId { set: at / self.slots_per_set, slot: at % self.slots_per_set });
                ended += 1;
            } else {
                super::rate::keep_near(&mut slot.next_shake, now);
            }
        }
        ended
    }

    /// How many SETs there are.
    pub fn sets(&self) -> u32 {
        self.lists.len() as u32
    }

    /// Slots of a SET that have been in use: those below this one.
    pub fn top(&self, set: u32) -> u32 {
        self.lists[set as usize].top
    }

    /// Slots of all SETs.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Sessions of a SET that are counted under a prefix.
    #[cfg(test)]
    pub fn held(&self, set: u32) -> u32 {
        self.held.counted(set)
    }

    /// Live sessions of a SET.
    pub fn live(&self, set: u32) -> u32 {
        self.lists[set as usize].live
    }

    fn position(&self, id: SlotId) -> usize {
        (id.set * self.slots_per_set + id.slot) as usize
    }
}

impl Slot {
    /// Slot `at` of a SET of `count`, of which none was ever in use.
    fn first(at: u32, count: u32) -> Slot {
        Slot { user: u64::from(if at + 1 == count { NONE } else { at + 1 }), ..Slot::free() }
    }

    fn free() -> Slot {
        Slot {
            user: 0,
            key: SessionKey::from_bytes([0; 16]),
            path: Path::NONE,
            replay: ReplayWindow::new(),
            seq: 0,
            number: 0,
            window: RequestWindow::default(),
            seen_ms: 0,
            next_shake: 0,
        }
    }

    /// A frame of this session to its client, to be sealed. `None` when its seqs are used up: the client
    /// hears nothing more, and joins again.
    #[inline]
    pub fn frame<B: Body>(&mut self, op: Op, flags: u8, load_level: u8, body: &B) -> Option<Frame> {
        self.seq = self.seq.checked_add(1)?;
        let header = Header {
            seq: self.seq.into(),
            flags,
            load_level,
            ..Header::new(self.user, Direction::ToClient, op)
        };
        Some(Frame::new(header, body))
    }

    /// Begins a new session in this slot: nothing of the one before remains but the user, and how much of
    /// the user's allowance is used up.
    fn begin(&mut self, number: u32, key: SessionKey, path: Path, now: Now) {
        let user = self.user;
        let next_shake = if self.number == 0 { super::rate::ticks(now) } else { self.next_shake };
        *self = Slot { user, key, path, number, seen_ms: now.mono_ms(), next_shake, ..Slot::free() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    const NOW: Now = Now { mono_ns: 1_000_000_000, wall_ms: 0 };

    fn begun(sessions: &mut Sessions, set: u32, user: u64) -> Option<SlotId> {
        let id = sessions.add(set, user)?;
        sessions.begin(id, 1, SessionKey::from_bytes([1; 16]), Path::NONE, NOW);
        Some(id)
    }

    #[test]
    fn a_full_set_takes_nobody_and_leaves_the_others_alone() {
        let mut sessions = Sessions::new(2, 3, 0, &mut Rng::seed_from_u64(1));
        for user in 1..=3 {
            assert!(begun(&mut sessions, 0, user).is_some());
        }
        assert!(sessions.add(0, 4).is_none());
        assert!(begun(&mut sessions, 1, 4).is_some());
        let id = sessions.find(0, 2).unwrap();
        sessions.remove(id);
        assert!(begun(&mut sessions, 0, 4).is_some());
        assert_eq!((sessions.live(0), sessions.live(1)), (3, 1));
        assert!(sessions.find(0, 2).is_none() && sessions.find(0, 4).is_some());
    }

    /// Expect: a sweep ends only sessions that were silent longer than allowed, and looks at no more
    /// slots than it was told.
    #[test]
    fn a_sweep_is_bounded_and_ends_only_idle_sessions() {
        let mut sessions = Sessions::new(1, 8, 0, &mut Rng::seed_from_u64(1));
        for user in 0..8 {
            begun(&mut sessions, 0, user).unwrap();
        }
        let late = NOW.plus_ns(61_000_000_000);
        for user in [1, 5] {
            let id = sessions.find(0, user).unwrap();
            sessions.get_mut(id).seen_ms = late.mono_ms();
        }
        assert_eq!(sessions.sweep(4, late, 60_000), 3);
        assert_eq!(sessions.sweep(4, late, 60_000), 3);
        assert_eq!(sessions.live(0), 2);
        assert!(sessions.find(0, 1).is_some() && sessions.find(0, 5).is_some());
    }
}
