//! The red packets of a SET: those in its pool to shake from, and those that somebody may take from.

use super::members::{self, Members, Stage};
use super::split::{equal_share_fen, random_share_fen};
use crate::ledger::Terms;
use crate::set::index::Index;
use rand::Rng;
use redpkt_proto::body::Status;
use std::collections::VecDeque;

/// One packet. 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number in this SET, from 1, never used again.
    pub number: u32,
    /// Seconds since 1970 when its time is over.
    pub expiry_s: u32,
    /// What was put in, in fen.
    pub total_fen: u64,
    /// What is left in it, in fen.
    pub left_fen: u64,
    /// Who put it in; 0 for the house.
    pub sender: u64,
    /// Into how many shares it is cut.
    pub shares: u16,
    /// Shares that were taken.
    pub opened: u16,
    /// Shares that were claimed and not taken yet.
    pub grabbed: u16,
    equal: bool,
    place: Place,
    /// The member that came last.
    members: u32,
    /// How many there are.
    member_count: u32,
}

const _: () = assert!(size_of::<Packet>() == 48);

/// Members of a packet from which on users let no others in.
const GUESTS_MAX: u32 = 1_000;

/// Where a packet is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the pool.
    Pool,
    /// With its members.
    Out,
    /// Nothing is left, and nothing can be taken: all shares were, or its time was over.
    Over,
}

impl Packet {
    /// Shares that nobody has claimed or taken.
    pub fn free_shares(&self) -> u16 {
        self.shares - self.opened - self.grabbed
    }

    /// Whether its time is over at that wall time.
    pub fn is_expired(&self, wall_s: u64) -> bool {
        wall_s >= u64::from(self.expiry_s)
    }

    /// Whether something can still be taken from it, or returned.
    pub fn is_open(&self) -> bool {
        self.place != Place::Over
    }
}

/// What a user may do with a packet now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There never was such a packet.
    Unknown,
    /// There was one, and it made room for newer ones.
    Forgotten,
    /// The packet is not for this user.
    Stranger,
    /// The user has taken so much of it, in fen.
    Took(u64),
    /// Its time is over.
    Expired,
    /// All its shares are taken or claimed, by others.
    Empty,
    /// The user has claimed a share.
    Claimed,
    /// There is a share for the user.
    Free,
}

impl Standing {
    /// What a user is told who can take nothing.
    pub fn refusal(self) -> Option<Status> {
        Some(match self {
            Standing::Unknown => Status::UnknownPacket,
            Standing::Forgotten => Status::TooOld,
            Standing::Stranger => Status::NotInvited,
            Standing::Expired => Status::Expired,
            Standing::Empty => Status::Empty,
            Standing::Took(_) | Standing::Claimed | Standing::Free => return None,
        })
    }
}

/// The packets of one SET, and their members. Tables of fixed size; when the packets' is full, the packet that
/// has been over for longest makes room.
pub struct Packets {
    records: Vec<Packet>,
    index: Index,
    capacity: usize,
    next_number: u32,
    /// Numbers of the packets in the pool, oldest first; some that expired there may still be among them.
    pool: VecDeque<u32>,
    pooled: usize,
    pool_fen: u64,
    /// Records of packets that are over, the longest first.
    over: VecDeque<u32>,
    /// Members of those.
    over_members: usize,
    /// Records of no packet.
    free: Vec<u32>,
    members: Members,
}

impl Packets {
    /// Room for `capacity` packets with `members` members. The memory is touched only when they come to be.
    pub fn new(capacity: usize, members: usize, seed: u64) -> Packets {
        Packets {
            records: Vec::with_capacity(capacity),
            index: Index::new(1, capacity, seed),
            capacity,
            next_number: 1,
            pool: VecDeque::with_capacity(capacity),
            pooled: 0,
            pool_fen: 0,
            over: VecDeque::with_capacity(capacity),
            over_members: 0,
            free: Vec::with_capacity(capacity),
            members: Members::new(members, seed.rotate_left(32)),
        }
    }

    /// Bytes that `capacity` packets with `members` members take.
    pub fn bytes(capacity: usize, members: usize) -> usize {
        let lists = 3 * size_of::<u32>();
        capacity * (size_of::<Packet>() + lists) + Index::bytes(1, capacity) + Members::bytes(members)
    }

    /// Whether a packet with this many members would find room. It never makes room at the cost of a packet
    /// that is not over.
    pub fn has_room(&self, members: usize) -> bool {
        let has_record = self.records.len() < self.capacity || !self.free.is_empty() || !self.over.is_empty();
        has_record && self.next_number < u32::MAX && members <= self.members.room() + self.over_members
    }

    /// Whether one more member would.
    pub fn has_room_for_member(&self) -> bool {
        self.members.room() + self.over_members > 0
    }

    /// The number that the next packet gets.
    pub fn next_number(&self) -> u32 {
        self.next_number
    }

    /// Makes a packet, of the house for shaking, or for others. `false` if there is no room.
    pub fn make(&mut self, total_fen: u64, terms: Terms, sender: u64, for_shaking: bool) -> bool {
        if !self.has_room(0) {
            return false;
        }
        let number = self.next_number;
        self.next_number += 1;
        let packet = Packet {
            number,
            expiry_s: terms.expiry_s,
            total_fen,
            left_fen: total_fen,
            sender,
            shares: terms.shares,
            opened: 0,
            grabbed: 0,
            equal: terms.equal,
            place: if for_shaking { Place::Pool } else { Place::Out },
            members: members::NONE,
            member_count: 0,
        };
        if self.records.len() == self.capacity && self.free.is_empty() {
            self.forget_oldest();
        }
        let at = match self.free.pop() {
            Some(at) => {
                self.records[at as usize] = packet;
                at
            }
            None => {
                self.records.push(packet);
                self.records.len() as u32 - 1
            }
        };
        self.index.insert(0, u64::from(number), at);
        if for_shaking {
            if self.pool.len() == self.capacity {
                // Numbers of packets that expired in the pool: without them there is room.
                let records = (&self.records, &self.index);
                self.pool.retain(|number| {
                    find(records, *number).is_some_and(|at| records.0[at as usize].place == Place::Pool)
                });
            }
            self.pool.push_back(number);
            self.pooled += 1;
            self.pool_fen += total_fen;
        }
        true
    }

    /// Forgets the packet that has been over for longest, and its members. `false` if none is over.
    fn forget_oldest(&mut self) -> bool {
        let Some(at) = self.over.pop_front() else { return false };
        let Packet { number, members, member_count, .. } = self.records[at as usize];
        self.index.remove(0, u64::from(number), at, |at| u64::from(self.records[at as usize].number));
        // 0 is no packet's number.
        self.records[at as usize].number = 0;
        self.members.remove_all(members);
        self.over_members -= member_count as usize;
        self.free.push(at);
        true
    }

    /// Adds a member to the packet of record `at`, at the cost of packets that are over. `false` if there is no room.
    fn add_member(&mut self, at: u32, user: u64) -> bool {
        while self.members.room() == 0 {
            if !self.forget_oldest() {
                return false;
            }
        }
        let packet = &mut self.records[at as usize];
        let Some(head) = self.members.add(packet.number, user, packet.members) else { return false };
        packet.members = head;
        packet.member_count += 1;
        true
    }

    /// Notes that a packet is over.
    fn end(&mut self, at: u32) {
        let packet = &mut self.records[at as usize];
        packet.place = Place::Over;
        self.over_members += packet.member_count as usize;
        self.over.push_back(at);
    }

    /// The packet that the next shake wins. Those whose time is over leave the queue; they are in no pool any
    /// more, and wait for what they hold to be returned.
    pub fn next_in_pool(&mut self, wall_s: u64) -> Option<Packet> {
        loop {
            let number = *self.pool.front()?;
            match self.get(number) {
                Some(packet) if packet.place == Place::Pool && !packet.is_expired(wall_s) => {
                    return Some(*packet);
                }
                _ => self.pool.pop_front(),
            };
        }
    }

    /// Gives the packet, which is the next of the pool, to `winner`, who has claimed a share by that. `false` if it is not in the pool, or there is
    /// no room.
    pub fn win(&mut self, number: u32, winner: u64) -> bool {
        while let Some(next) = self.pool.pop_front() {
            if next != number {
                continue;
            }
            let Some(at) = self.find(number) else { return false };
            if self.records[at as usize].place != Place::Pool || !self.add_member(at, winner) {
                return false;
            }
            let packet = &mut self.records[at as usize];
            // A share of it is the winner's, whoever else is let in before it is opened.
            *self.members.stage_mut(packet.members) = Stage::Grabbed;
            packet.grabbed += 1;
            packet.place = Place::Out;
            self.pooled -= 1;
            self.pool_fen -= packet.total_fen;
            return true;
        }
        false
    }

    /// Lets `user` take from a packet; nothing changes for one who may already. `false` if there is no room, or
    /// no such packet.
    pub fn invite(&mut self, number: u32, user: u64) -> bool {
        if self.members.find(number, user).is_some() {
            return true;
        }
        match self.find(number) {
            Some(at) if self.records[at as usize].is_open() => self.add_member(at, user),
            _ => false,
        }
    }

    /// Whether `user` may take from the packet, or did.
    pub fn is_member(&self, number: u32, user: u64) -> bool {
        self.members.find(number, user).is_some()
    }

    /// Whether users may let others in: a packet of as many as this has enough of them.
    pub fn takes_guests(&self, number: u32) -> bool {
        self.get(number).is_some_and(|packet| packet.member_count < GUESTS_MAX)
    }

    /// What `user` may do with a packet at that wall time.
    pub fn standing(&self, number: u32, user: u64, wall_s: u64) -> Standing {
        let Some(packet) = self.get(number) else {
            let was_made = (1..self.next_number).contains(&number);
            return if was_made { Standing::Forgotten } else { Standing::Unknown };
        };
        let Some(at) = self.members.find(number, user) else { return Standing::Stranger };
        match self.members.get(at).stage {
            Stage::Opened(fen) => Standing::Took(fen),
            _ if packet.opened == packet.shares => Standing::Empty,
            _ if !packet.is_open() || packet.is_expired(wall_s) => Standing::Expired,
            Stage::Grabbed => Standing::Claimed,
            Stage::Invited if packet.free_shares() == 0 => Standing::Empty,
            Stage::Invited => Standing::Free,
        }
    }

    /// Claims a share for `user`. `false` if there is none to be had.
    pub fn grab(&mut self, number: u32, user: u64) -> bool {
        let (Some(at), Some(member)) = (self.find(number), self.members.find(number, user)) else {
            return false;
        };
        let packet = &mut self.records[at as usize];
        let stage = self.members.stage_mut(member);
        if *stage != Stage::Invited || packet.free_shares() == 0 || !packet.is_open() {
            return false;
        }
        *stage = Stage::Grabbed;
        packet.grabbed += 1;
        true
    }

    /// How much the next share of a packet is.
    pub fn next_share_fen(&self, number: u32, rng: &mut impl Rng) -> u64 {
        let packet = self.get(number).expect("a share is drawn from a packet that was found");
        let (shares, opened) = (u64::from(packet.shares), u64::from(packet.opened));
        if packet.equal {
            equal_share_fen(packet.total_fen, shares, opened)
        } else {
            random_share_fen(packet.left_fen, shares - opened, rng)
        }
    }

    /// Gives `user` a share of `fen`. `false` if the user has none to take, or the packet not that much.
    pub fn open(&mut self, number: u32, user: u64, fen: u64) -> bool {
        let (Some(at), Some(member)) = (self.find(number), self.members.find(number, user)) else {
            return false;
        };
        let packet = &mut self.records[at as usize];
        let stage = self.members.stage_mut(member);
        match *stage {
            Stage::Invited if packet.free_shares() > 0 => {}
            Stage::Grabbed => packet.grabbed -= 1,
            _ => return false,
        }
        if packet.place != Place::Out || packet.left_fen < fen {
            return false;
        }
        *stage = Stage::Opened(fen);
        packet.opened += 1;
        packet.left_fen -= fen;
        if packet.opened == packet.shares {
            self.end(at);
        }
        true
    }

    /// Ends a packet and takes out what is left of it, in fen. `None` if it is over already.
    pub fn refund(&mut self, number: u32) -> Option<u64> {
        let at = self.find(number)?;
        let packet = &mut self.records[at as usize];
        match packet.place {
            // Its number stays in the queue until it comes to the front.
            Place::Pool => {
                self.pooled -= 1;
                self.pool_fen -= packet.total_fen;
            }
            Place::Out => {}
            Place::Over => return None,
        }
        let left_fen = std::mem::take(&mut packet.left_fen);
        self.end(at);
        Some(left_fen)
    }

    /// The packet with this number, if it is still known.
    pub fn get(&self, number: u32) -> Option<&Packet> {
        self.find(number).map(|at| &self.records[at as usize])
    }

    /// The packet of record `at`, counted from 0: for going through all of them in turn.
    pub fn at(&self, at: usize) -> Option<&Packet> {
        // That of no packet is over.
        self.records.get(at)
    }

    /// Who may still take from a packet that is open.
    pub fn invited(&self) -> impl Iterator<Item = (&Packet, u64)> {
        let open = self.records.iter().filter(|packet| packet.place == Place::Out);
        open.flat_map(|packet| {
            let members = self.members.chain(packet.members);
            let waiting = members.filter(|member| member.stage == Stage::Invited);
            waiting.map(move |member| (packet, member.user))
        })
    }

    /// What is left in all packets, in fen, counted one by one.
    pub fn held_fen(&self) -> u64 {
        self.records.iter().map(|packet| packet.left_fen).sum()
    }

    /// Packets in the pool.
    pub fn pool_packets(&self) -> usize {
        self.pooled
    }

    /// What they hold, in fen.
    pub fn pool_fen(&self) -> u64 {
        self.pool_fen
    }

    fn find(&self, number: u32) -> Option<u32> {
        find((&self.records, &self.index), number)
    }
}

fn find((records, index): (&Vec<Packet>, &Index), number: u32) -> Option<u32> {
    index.find(0, u64::from(number), |at| records[at as usize].number == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use redpkt_proto::Rng;

    fn terms(shares: u16) -> Terms {
        Terms { shares, equal: false, expiry_s: 100 }
    }

    fn open(packets: &mut Packets, number: u32, user: u64) -> u64 {
        let fen = packets.next_share_fen(number, &mut Rng::seed_from_u64(1));
        assert!(packets.open(number, user, fen));
        fen
    }

    #[test]
    fn the_oldest_packet_is_won_first_and_numbers_are_never_used_again() {
        let mut packets = Packets::new(2, 8, 0);
        assert!(packets.make(10, terms(1), 0, true) && packets.make(20, terms(1), 0, true));
        assert!(!packets.make(30, terms(1), 0, true), "full");
        assert_eq!(packets.next_in_pool(99).map(|packet| packet.number), Some(1));
        assert!(packets.win(1, 7));
        assert_eq!((packets.pool_packets(), packets.pool_fen()), (1, 20));
        assert!(!packets.has_room(0), "a packet that is not over stays");
        assert_eq!(open(&mut packets, 1, 7), 10);
        assert!(packets.make(30, terms(1), 0, true));
        assert_eq!(packets.standing(1, 7, 0), Standing::Forgotten);
        assert_eq!(packets.standing(4, 7, 0), Standing::Unknown);
        assert_eq!(packets.get(3).map(|packet| packet.total_fen), Some(30));
    }

    /// Expect: whoever claims a share finds one, others find what is free, and nobody finds more than there is.
    #[test]
    fn a_claim_keeps_a_share_and_the_rest_is_for_who_comes() {
        let mut packets = Packets::new(2, 8, 0);
        packets.make(10, terms(2), 5, false);
        (6..=9).for_each(|user| assert!(packets.invite(1, user)));
        assert_eq!(packets.standing(1, 5, 0), Standing::Stranger, "nobody takes from his own");
        assert!(packets.grab(1, 6) && !packets.grab(1, 6));
        assert_eq!(
            (packets.standing(1, 6, 0), packets.standing(1, 7, 0)),
            (Standing::Claimed, Standing::Free)
        );
        let first = open(&mut packets, 1, 7);
        assert_eq!(
            (packets.standing(1, 7, 0), packets.standing(1, 8, 0)),
            (Standing::Took(first), Standing::Empty)
        );
        assert!(!packets.grab(1, 8) && !packets.open(1, 8, 1));
        assert_eq!(open(&mut packets, 1, 6), 10 - first, "the last share is the rest");
        assert_eq!(packets.standing(1, 6, 1_000), Standing::Took(10 - first), "an answer outlives the time");
        assert_eq!(packets.refund(1), None);
    }

    #[test]
    fn when_its_time_is_over_what_is_left_comes_out_once() {
        let mut packets = Packets::new(3, 8, 0);
        packets.make(10, terms(2), 5, false);
        packets.make(7, terms(1), 0, true);
        packets.make(8, Terms { expiry_s: 200, ..terms(1) }, 0, true);
        (6..=7).for_each(|user| assert!(packets.invite(1, user)));
        let first = open(&mut packets, 1, 6);
        assert!(packets.grab(1, 7));
        assert_eq!(packets.standing(1, 7, 100), Standing::Expired);
        assert_eq!((packets.refund(1), packets.refund(1)), (Some(10 - first), None));
        assert_eq!(packets.standing(1, 7, 0), Standing::Expired);
        assert_eq!(packets.next_in_pool(100).map(|packet| packet.number), Some(3), "the second is too old");
        assert_eq!((packets.refund(2), packets.pool_packets(), packets.pool_fen()), (Some(7), 1, 8));
        assert!(packets.win(3, 9));
    }

    #[test]
    fn equal_shares_differ_by_one_fen_at_the_most() {
        let mut packets = Packets::new(1, 8, 0);
        packets.make(11, Terms { equal: true, ..terms(4) }, 5, false);
        let fen: Vec<u64> = (6..=9)
            .map(|user| {
                packets.invite(1, user);
                open(&mut packets, 1, user)
            })
            .collect();
        assert_eq!(fen, [3, 3, 3, 2]);
    }
}
