//! The packets of one group, as its rows tell of them.
//!
//! 64 bytes a packet, and nothing else for one that has one holder: numbers rise in each SET, so a list in the
//! order of the rows is its own index.

use super::entry::Place;
use crate::ledger::{Kind, Row, Terms};
use redpkt_proto::body::PacketId;
use std::collections::HashMap;

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Its number in its SET.
    pub number: u32,
    /// Seconds since 1970 when its time is over.
    pub expiry_s: u32,
    /// Into how many shares it is cut.
    pub shares: u16,
    /// Shares taken.
    pub opened: u16,
    /// Shares grabbed or won, and not taken yet.
    pub held: u16,
    /// Whether its shares are equal.
    pub equal: bool,
    /// How it came to be, and where it is on its way.
    pub state: State,
    /// What was in it, in fen.
    pub total_fen: u64,
    /// What is in it, in fen. Below 0 only when a rule is broken.
    pub left_fen: i64,
    /// Who sent it; 0 is the house.
    pub maker: u64,
    /// By which request, or for which order.
    pub req: u64,
    /// The first who had to do with it, and what: most packets have one.
    first: (u64, Part),
}

const _: () = assert!(size_of::<Packet>() == 64);

/// Where a packet is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Minted, to be won.
    Minted,
    /// Minted, and won.
    Won,
    /// Sent to those who are invited.
    Sent,
    /// What was left has gone back.
    Refunded,
}

/// What a user has had to do with a packet. 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part(u64);

/// What a user can have had to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// Was invited, or has won it.
    Joined = 1,
    /// Has grabbed a share, or won the packet.
    Grabbed = 2,
    /// Has taken a share.
    Opened = 4,
}

impl Part {
    /// Whether he did this.
    pub fn has(self, did: Did) -> bool {
        self.0 & did as u64 != 0
    }

    /// He did this too.
    pub fn add(&mut self, did: Did) {
        self.0 |= did as u64;
    }

    /// He took a share of so much, at most [`FEN_MAX`](super::entry::FEN_MAX).
    pub fn take(&mut self, fen: u64) {
        self.0 = self.0 & 0xff | fen << 8 | Did::Opened as u64;
    }

    /// What he took, in fen; 0 if nothing.
    pub fn fen(self) -> u64 {
        self.0 >> 8
    }
}

impl Packet {
    /// The packet that a mint or a send makes. Its money comes with the row, like that of every account.
    pub fn made_by(row: &Row) -> Packet {
        let Terms { shares, equal, expiry_s } = Terms::from_detail(row.detail);
        Packet {
            number: PacketId::from_u64(row.packet).number,
            expiry_s,
            shares,
            opened: 0,
            held: 0,
            equal,
            state: if row.kind == Kind::Mint { State::Minted } else { State::Sent },
            total_fen: row.fen,
            left_fen: 0,
            maker: row.user,
            req: row.req,
            first: (0, Part::default()),
        }
    }
}

/// The packets of one group.
#[derive(Debug)]
pub struct Packets {
    place: Place,
    /// By SET, divided by the number of groups; in the order of their numbers.
    sets: Vec<Vec<Packet>>,
    /// What all but the first user have had to do with a packet.
    others: HashMap<(u64, u64), Part>,
}

/// Where a packet stands in its group's list.
#[derive(Clone, Copy, Debug)]
pub struct At {
    set: usize,
    at: usize,
    id: u64,
}

impl Packets {
    /// Those that live here.
    pub fn new(place: Place) -> Packets {
        Packets { place, sets: Vec::new(), others: HashMap::new() }
    }

    /// Adds a packet that lives here, unless its number is not above all others of its SET.
    pub fn add(&mut self, id: u64, packet: Packet) -> Result<(), u32> {
        let set = self.set_of(id);
        if set >= self.sets.len() {
            self.sets.resize_with(set + 1, Vec::new);
        }
        let packets = &mut self.sets[set];
        match packets.last() {
            Some(last) if last.number >= packet.number => Err(last.number),
            _ => {
                make_room(packets);
                packets.push(packet);
                Ok(())
            }
        }
    }

    /// Where this packet is, if it was made here.
    pub fn find(&self, id: u64) -> Option<At> {
        if !self.place.has_packet(id) {
            return None;
        }
        let set = self.set_of(id);
        let packets = self.sets.get(set)?;
        let number = id as u32;
        let guess = (number as usize).wrapping_sub(1);
        let at = match packets.get(guess) {
            Some(packet) if packet.number == number => guess,
            _ => packets.binary_search_by_key(&number, |packet| packet.number).ok()?,
        };
        Some(At { set, at, id })
    }

    /// The packet there.
    pub fn get(&self, at: At) -> &Packet {
        &self.sets[at.set][at.at]
    }

    /// The packet there, to change it.
    pub fn get_mut(&mut self, at: At) -> &mut Packet {
        &mut self.sets[at.set][at.at]
    }

    /// What this user has had to do with the packet there.
    pub fn part(&self, at: At, user: u64) -> Part {
        match self.get(at).first {
            (first, part) if first == user => part,
            _ => self.others.get(&(at.id, user)).copied().unwrap_or_default(),
        }
    }

    /// The same, to change it.
    pub fn part_mut(&mut self, at: At, user: u64) -> &mut Part {
        let packet = &mut self.sets[at.set][at.at];
        if packet.first.0 == 0 {
            packet.first.0 = user;
        }
        if packet.first.0 == user {
            return &mut packet.first.1;
        }
        self.others.entry((at.id, user)).or_default()
    }

    /// Every packet.
    pub fn iter(&self) -> impl Iterator<Item = &Packet> {
        self.sets.iter().flatten()
    }

    fn set_of(&self, id: u64) -> usize {
        usize::from(PacketId::from_u64(id).set) / self.place.layout.groups as usize
    }
}

/// Room for one more, by a quarter at a time: lists of tens of millions would waste too much by doubling.
pub fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Account;

    fn id(set: u16, number: u32) -> u64 {
        PacketId { machine: 3, set, number }.to_u64()
    }

    fn packet(id: u64) -> Packet {
        let (debit, credit) = (Account::House, Account::Packet(id));
        let (fen, user, req, wall_ms, other, detail) = (10, 0, 0, 0, 0, 1);
        Packet::made_by(&Row {
            kind: Kind::Mint,
            debit,
            credit,
            fen,
            user,
            req,
            packet: id,
            wall_ms,
            other,
            detail,
        })
    }

    /// Expect: a packet is found by its id whether or not numbers are left out, and no number comes again.
    #[test]
    fn numbers_rise_in_each_set() {
        let mut packets = Packets::new(Place::new(3, 8, 2, 1));
        let made = [id(1, 1), id(1, 2), id(5, 1), id(1, 7), id(1, 9)];
        made.iter().for_each(|id| packets.add(*id, packet(*id)).unwrap());
        assert_eq!(packets.add(id(1, 9), packet(id(1, 9))), Err(9));
        assert_eq!(packets.add(id(1, 8), packet(id(1, 8))), Err(9));
        for id in made {
            let at = packets.find(id).unwrap();
            assert_eq!(packets.get(at).number, id as u32);
        }
        for none in [id(1, 3), id(1, 0), id(9, 1), id(0, 1), id(4, 1)] {
            assert!(packets.find(none).is_none(), "{none}");
        }
    }

    #[test]
    fn every_user_has_his_own_part() {
        let mut packets = Packets::new(Place::new(3, 1, 1, 0));
        packets.add(id(0, 1), packet(id(0, 1))).unwrap();
        let at = packets.find(id(0, 1)).unwrap();
        for user in 1..=3 {
            packets.part_mut(at, user).add(Did::Joined);
            packets.part_mut(at, user).take(user * 10);
        }
        assert_eq!([1, 2, 3, 4].map(|user| packets.part(at, user).fen()), [10, 20, 30, 0]);
        assert!(packets.part(at, 3).has(Did::Opened) && !packets.part(at, 3).has(Did::Grabbed));
        assert_eq!(packets.part(at, 4), Part::default());
    }
}
