//! The red packets of a SET: those in its pool to shake from, and those that were won.

use super::index::Index;
use std::collections::VecDeque;

/// One packet of one share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number in this SET, from 1, never used again.
    pub number: u32,
    /// Where it is on its way.
    pub state: PacketState,
    /// What is in it, in fen.
    pub total_fen: u64,
}

/// The way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketState {
    /// In the pool.
    Pooled,
    /// Won by this user, to be opened.
    Won(u64),
    /// Opened by this user; kept to answer a second open as the first.
    Opened(u64),
}

/// Why no packet can be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketsFull;

/// The packets of one SET. A table of fixed size; when it is full, the packet that was opened longest ago
/// makes room.
pub struct Packets {
    records: Vec<Packet>,
    index: Index,
    capacity: usize,
    next_number: u32,
    pool: VecDeque<u32>,
    pool_fen: u64,
    opened: VecDeque<u32>,
}

impl Packets {
    /// Room for `capacity` packets. The memory is touched only when packets come to be.
    pub fn new(capacity: usize, seed: u64) -> Packets {
        Packets {
            records: Vec::with_capacity(capacity),
            index: Index::new(1, capacity, seed),
            capacity,
            next_number: 1,
            pool: VecDeque::with_capacity(capacity),
            pool_fen: 0,
            opened: VecDeque::with_capacity(capacity),
        }
    }

    /// Bytes that `capacity` packets take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * (size_of::<Packet>() + 2 * size_of::<u32>()) + Index::bytes(1, capacity)
    }

    /// Whether [`mint`](Self::mint) would find room.
    pub fn has_room(&self) -> bool {
        (self.records.len() < self.capacity || !self.opened.is_empty()) && self.next_number < u32::MAX
    }

    /// Makes a packet of `total_fen`, puts it at the end of the pool, and returns its number.
    pub fn mint(&mut self, total_fen: u64) -> Result<u32, PacketsFull> {
        if !self.has_room() {
            return Err(PacketsFull);
        }
        let number = self.next_number;
        self.next_number += 1;
        let packet = Packet { number, state: PacketState::Pooled, total_fen };
        let at = if self.records.len() < self.capacity {
            self.records.push(packet);
            self.records.len() as u32 - 1
        } else {
            let at = self.opened.pop_front().ok_or(PacketsFull)?;
            let old = std::mem::replace(&mut self.records[at as usize], packet);
            // The index asks for keys of other records only, so the new packet may stand there already.
            self.index.remove(0, u64::from(old.number), at, |at| u64::from(self.records[at as usize].number));
            at
        };
        self.index.insert(0, u64::from(number), at);
        self.pool.push_back(at);
        self.pool_fen += total_fen;
        Ok(number)
    }

    /// Gives the oldest packet of the pool to `winner`.
    pub fn win(&mut self, winner: u64) -> Option<Packet> {
        let at = self.pool.pop_front()?;
        let packet = &mut self.records[at as usize];
        packet.state = PacketState::Won(winner);
        self.pool_fen -= packet.total_fen;
        Some(*packet)
    }

    /// The packet with this number, if it is still known.
    pub fn get(&self, number: u32) -> Option<&Packet> {
        self.find(number).map(|at| &self.records[at as usize])
    }

    /// Whether a packet with this number was ever made here.
    pub fn was_made(&self, number: u32) -> bool {
        (1..self.next_number).contains(&number)
    }

    /// Marks a won packet as opened.
    pub fn open(&mut self, number: u32) {
        let at = self.find(number).expect("only a packet that was found is opened");
        let packet = &mut self.records[at as usize];
        let PacketState::Won(winner) = packet.state else { panic!("only a won packet is opened") };
        packet.state = PacketState::Opened(winner);
        self.opened.push_back(at);
    }

    /// Packets in the pool.
    pub fn pool_packets(&self) -> usize {
        self.pool.len()
    }

    /// What they hold, in fen.
    pub fn pool_fen(&self) -> u64 {
        self.pool_fen
    }

    fn find(&self, number: u32) -> Option<u32> {
        self.index.find(0, u64::from(number), |at| self.records[at as usize].number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_packet_is_won_first_and_numbers_are_never_used_again() {
        let mut packets = Packets::new(2, 0);
        assert_eq!((packets.mint(10), packets.mint(20), packets.mint(30)), (Ok(1), Ok(2), Err(PacketsFull)));
        assert_eq!(packets.win(7).map(|packet| (packet.number, packet.total_fen)), Some((1, 10)));
        assert_eq!((packets.pool_packets(), packets.pool_fen()), (1, 20));
        assert_eq!(packets.mint(30), Err(PacketsFull), "a packet that is not opened stays");
        packets.open(1);
        assert_eq!(packets.mint(30), Ok(3));
        assert!(packets.get(1).is_none() && packets.was_made(1) && !packets.was_made(4));
        assert_eq!(packets.get(3).map(|packet| packet.total_fen), Some(30));
    }
}
