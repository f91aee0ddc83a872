//! What users are invited to, until they take it up or its time is over: to be told, and to be found by
//! asking.

use super::book::Packet;
use super::index::Index;
use redpkt_proto::body::{Invite, PacketId};

/// One user's invitation to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Who is invited.
    pub user: u64,
    /// To which packet.
    pub packet: u64,
    /// By whom; 0 for the house.
    pub from: u64,
    /// What was put into the packet, in fen.
    pub total_fen: u64,
    /// Seconds since 1970 when its time is over.
    pub expiry_s: u32,
    /// Its shares.
    pub shares: u16,
}

impl Invitation {
    /// The invitation of `user` to a packet of SET `set`, by who has sent it.
    pub fn new(machine: u16, set: u32, packet: &Packet, user: u64) -> Invitation {
        let id = PacketId { machine, set: set as u16, number: packet.number };
        Invitation {
            user,
            packet: id.to_u64(),
            from: packet.sender,
            total_fen: packet.total_fen,
            expiry_s: packet.expiry_s,
            shares: packet.shares,
        }
    }

    /// The body of the INVITE that tells it.
    pub fn body(&self) -> Invite {
        Invite {
            packet: self.packet.into(),
            from: self.from.into(),
            expiry_s: self.expiry_s.into(),
            shares: self.shares.into(),
            reserved: [0; 2],
            total_fen: self.total_fen.into(),
        }
    }
}

/// How far the user was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Not yet: the user is away, or has enough to acknowledge.
    Parked,
    /// Being told, again and again.
    Pushed,
    /// The user has acknowledged it.
    Told,
}

/// An invitation in the table. 56 bytes.
#[derive(Clone, Copy, Debug)]
struct Record {
    what: Invitation,
    telling: Telling,
    /// The next invitation of the same user, an older one; in a free record, the next free one.
    next: u32,
}

const NONE: u32 = u32::MAX;

/// Invitations that are kept of one user. When one more comes, the oldest that was acknowledged goes, and if
/// there is none the new one: it is counted, and the user may still take up what others tell of.
pub const PER_USER_MAX: usize = 64;

/// Records that are looked at for one whose time is over, when the table is full.
const RECLAIM_STEPS: usize = 64;

/// The invitations of one SET's users. A table of fixed size.
pub struct Invites {
    records: Vec<Record>,
    /// Where a user's newest invitation is.
    index: Index,
    capacity: usize,
    free: u32,
    used: usize,
    reclaim_at: usize,
}

impl Invites {
    /// Room for `capacity` invitations. The memory is touched only when they come.
    pub fn new(capacity: usize, seed: u64) -> Invites {
        Invites {
            records: Vec::with_capacity(capacity),
            index: Index::new(1, capacity, seed),
            capacity,
            free: NONE,
            used: 0,
            reclaim_at: 0,
        }
    }

    /// Bytes that `capacity` invitations take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Record>() + Index::bytes(1, capacity)
    }

    /// Invitations that are kept.
    pub fn count(&self) -> usize {
        self.used
    }

    /// Keeps an invitation. `None` if there is no room for it; else whether it is new.
    pub fn add(&mut self, what: Invitation, wall_s: u64) -> Option<bool> {
        let user = what.user;
        let mut count = 0;
        let mut oldest_told = None;
        let mut over = None;
        for (_, record) in self.chain(user) {
            if record.what.packet == what.packet {
                return Some(false);
            }
            count += 1;
            if record.telling == Telling::Told {
                oldest_told = Some(record.what.packet);
            }
            if wall_s >= u64::from(record.what.expiry_s) {
                over = Some(record.what.packet);
            }
        }
        if count >= PER_USER_MAX {
            let goes = over.or(oldest_told)?;
            self.remove(user, goes);
        }
        if self.used == self.capacity {
            self.reclaim(wall_s);
        }
        let head = self.head(user);
        let record = Record { what, telling: Telling::Parked, next: head.unwrap_or(NONE) };
        let at = if self.free != NONE {
            let at = self.free;
            self.free = self.records[at as usize].next;
            self.records[at as usize] = record;
            at
        } else if self.records.len() < self.capacity {
            self.records.push(record);
            self.records.len() as u32 - 1
        } else {
            return None;
        };
        self.used += 1;
        self.set_head(user, head, at);
        Some(true)
    }

    /// Takes over the invitations of a table whose order may be broken: each is written as one piece, so it is whole or
    /// not there.
    pub fn add_all_of(&mut self, broken: &Invites, wall_s: u64) {
        for record in broken.records.iter().filter(|record| record.what.user != 0) {
            let _ = self.add(record.what, wall_s);
        }
    }

    /// Forgets an invitation, if it is there: the user has taken it up.
    pub fn remove(&mut self, user: u64, packet: u64) {
        let mut before = None;
        let found = self.chain(user).find(|(at, record)| {
            let is_it = record.what.packet == packet;
            if !is_it {
                before = Some(*at);
            }
            is_it
        });
        let Some((at, Record { next, .. })) = found else { return };
        match before {
            Some(before) => self.records[before as usize].next = next,
            None => self.set_head(user, Some(at), next),
        }
        // A free record is nobody's: 0 is no user.
        self.records[at as usize].what.user = 0;
        self.records[at as usize].next = self.free;
        self.free = at;
        self.used -= 1;
    }

    /// The invitation of `user` to `packet`, and how far it was told.
    pub fn get(&self, user: u64, packet: u64) -> Option<(Invitation, Telling)> {
        self.chain(user)
            .find(|(_, record)| record.what.packet == packet)
            .map(|(_, record)| (record.what, record.telling))
    }

    /// Notes how far a user was told of a packet.
    pub fn set_telling(&mut self, user: u64, packet: u64, telling: Telling) {
        let found = self.chain(user).find(|(_, record)| record.what.packet == packet).map(|(at, _)| at);
        if let Some(at) = found {
            self.records[at as usize].telling = telling;
        }
    }

    /// The newest invitation that waits to be told, unless `max` are being told already.
    pub fn next_to_push(&self, user: u64, max: usize, wall_s: u64) -> Option<Invitation> {
        let pushed = self.chain(user).filter(|(_, record)| record.telling == Telling::Pushed).count();
        let is_next =
            |record: &Record| record.telling == Telling::Parked && wall_s < u64::from(record.what.expiry_s);
        let next = self.chain(user).find(|(_, record)| is_next(record))?;
        (pushed < max).then_some(next.1.what)
    }

    /// The user has a new session: nothing is on its way to it.
    pub fn park_pushed(&mut self, user: u64) {
        let mut at = self.head(user).unwrap_or(NONE);
        while at != NONE {
            let record = &mut self.records[at as usize];
            if record.telling == Telling::Pushed {
                record.telling = Telling::Parked;
            }
            at = record.next;
        }
    }

    /// The invitation of `user` that is listed after the one to `after`; the newest for 0, and where that one was
    /// taken up meanwhile.
    pub fn after(&self, user: u64, after: u64, wall_s: u64) -> Option<Invitation> {
        let mut chain = self.chain(user);
        let is_listed = |packet| self.chain(user).any(|(_, record)| record.what.packet == packet);
        if after != 0 && is_listed(after) {
            chain.find(|(_, record)| record.what.packet == after);
        }
        chain.find(|(_, record)| wall_s < u64::from(record.what.expiry_s)).map(|(_, record)| record.what)
    }

    fn chain(&self, user: u64) -> impl Iterator<Item = (u32, Record)> {
        let mut at = self.head(user).unwrap_or(NONE);
        std::iter::from_fn(move || {
            let record = *self.records.get(at as usize)?;
            let here = at;
            at = record.next;
            Some((here, record))
        })
    }

    fn head(&self, user: u64) -> Option<u32> {
        self.index.find(0, user, |at| self.records[at as usize].what.user == user)
    }

    /// The index holds the head of each chain alone.
    fn set_head(&mut self, user: u64, old: Option<u32>, new: u32) {
        if let Some(old) = old {
            let records = &self.records;
            self.index.remove(0, user, old, |at| records[at as usize].what.user);
        }
        if new != NONE {
            self.index.insert(0, user, new);
        }
    }

    /// Looks for an invitation whose time is over, and forgets it.
    fn reclaim(&mut self, wall_s: u64) {
        for _ in 0..RECLAIM_STEPS.min(self.records.len()) {
            let Invitation { user, packet, expiry_s, .. } = self.records[self.reclaim_at].what;
            self.reclaim_at = (self.reclaim_at + 1) % self.records.len();
            if user != 0 && wall_s >= u64::from(expiry_s) {
                return self.remove(user, packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(user: u64, packet: u64) -> Invitation {
        Invitation { user, packet, from: 9, total_fen: 1, expiry_s: 100, shares: 1 }
    }

    fn listed(invites: &Invites, user: u64) -> Vec<u64> {
        let next = |after: &u64| invites.after(user, *after, 0).map(|what| what.packet);
        std::iter::successors(next(&0), next).collect()
    }

    #[test]
    fn each_is_kept_once_listed_newest_first_and_gone_when_taken_up() {
        let mut invites = Invites::new(8, 3);
        for packet in 1..=3 {
            assert_eq!(invites.add(to(5, packet), 0), Some(true));
        }
        assert_eq!((invites.add(to(5, 2), 0), invites.add(to(6, 2), 0)), (Some(false), Some(true)));
        assert_eq!(listed(&invites, 5), [3, 2, 1]);
        invites.remove(5, 3);
        invites.remove(5, 1);
        invites.remove(5, 99);
        assert_eq!((listed(&invites, 5), listed(&invites, 6), invites.count()), (vec![2], vec![2], 2));
        invites.remove(5, 2);
        assert_eq!((invites.get(5, 2), listed(&invites, 5)), (None, vec![]));
        assert_eq!(invites.add(to(5, 4), 0), Some(true));
    }

    /// Expect: only so many wait for an acknowledgement, each that comes lets one more go, and a new session
    /// is told again what the old one had not acknowledged.
    #[test]
    fn a_user_is_told_a_few_at_a_time() {
        let mut invites = Invites::new(8, 3);
        (1..=4).for_each(|packet| assert!(invites.add(to(5, packet), 0).is_some()));
        let push = |invites: &mut Invites| {
            let next = invites.next_to_push(5, 2, 0)?.packet;
            invites.set_telling(5, next, Telling::Pushed);
            Some(next)
        };
        assert_eq!([push(&mut invites), push(&mut invites), push(&mut invites)], [Some(4), Some(3), None]);
        invites.set_telling(5, 4, Telling::Told);
        assert_eq!((push(&mut invites), push(&mut invites)), (Some(2), None));
        invites.park_pushed(5);
        assert_eq!(invites.get(5, 4).map(|(_, telling)| telling), Some(Telling::Told));
        assert_eq!([push(&mut invites), push(&mut invites)], [Some(3), Some(2)]);
        assert_eq!(invites.next_to_push(5, 8, 100), None, "their time is over");
    }

    #[test]
    fn a_full_table_and_a_full_user_lose_the_new_one_unless_an_old_one_is_over() {
        let mut invites = Invites::new(PER_USER_MAX + 1, 3);
        (1..=PER_USER_MAX as u64).for_each(|packet| assert!(invites.add(to(5, packet), 0).is_some()));
        assert_eq!(invites.add(to(5, 1_000), 0), None, "the user has enough");
        invites.set_telling(5, 7, Telling::Told);
        assert_eq!((invites.add(to(5, 1_000), 0), invites.get(5, 7)), (Some(true), None));
        assert_eq!(
            (invites.add(to(6, 1), 0), invites.add(to(7, 1), 0)),
            (Some(true), None),
            "the table is full"
        );
        assert_eq!(invites.add(to(7, 1), 100), Some(true), "what is over makes room");
    }
}
