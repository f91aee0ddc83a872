//! Who may take from which packet: one record for each user that was invited to a packet or has won it.

use crate::set::index::Index;

/// How far a user is with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// May take a share.
    Invited,
    /// Has claimed a share.
    Grabbed,
    /// Has taken so much, in fen.
    Opened(u64),
}

/// One user's part in one packet. 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Who.
    pub user: u64,
    /// Number of the packet.
    pub number: u32,
    /// The next member of the same packet, or [`NONE`]; in a free record, the next free one.
    next: u32,
    /// How far.
    pub stage: Stage,
}

/// No member: the end of a chain.
pub const NONE: u32 = u32::MAX;

/// The members of all packets of one SET. A table of fixed size.
pub struct Members {
    records: Vec<Member>,
    index: Index,
    capacity: usize,
    free: u32,
    used: usize,
}

impl Members {
    /// Room for `capacity` members. The memory is touched only when members come to be.
    pub fn new(capacity: usize, seed: u64) -> Members {
        Members {
            records: Vec::with_capacity(capacity),
            index: Index::new(1, capacity, seed),
            capacity,
            free: NONE,
            used: 0,
        }
    }

    /// Bytes that `capacity` members take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Member>() + Index::bytes(1, capacity)
    }

    /// How many more can be added.
    pub fn room(&self) -> usize {
        self.capacity - self.used
    }

    /// The member `user` of packet `number`.
    pub fn find(&self, number: u32, user: u64) -> Option<u32> {
        self.index.find(0, key(number, user), |at| {
            let member = &self.records[at as usize];
            member.user == user && member.number == number
        })
    }

    /// The member there.
    pub fn get(&self, at: u32) -> &Member {
        &self.records[at as usize]
    }

    /// The stage of the member there, to be changed.
    pub fn stage_mut(&mut self, at: u32) -> &mut Stage {
        &mut self.records[at as usize].stage
    }

    /// Adds `user` to packet `number` before the chain `head`; the new head, or `None` when the table is full.
    pub fn add(&mut self, number: u32, user: u64, head: u32) -> Option<u32> {
        let member = Member { user, number, next: head, stage: Stage::Invited };
        let at = if self.free != NONE {
            let at = self.free;
            self.free = self.records[at as usize].next;
            self.records[at as usize] = member;
            at
        } else if self.records.len() < self.capacity {
            self.records.push(member);
            self.records.len() as u32 - 1
        } else {
            return None;
        };
        self.index.insert(0, key(number, user), at);
        self.used += 1;
        Some(at)
    }

    /// Takes out all members of the chain `head`.
    pub fn remove_all(&mut self, head: u32) {
        let mut at = head;
        while at != NONE {
            let Member { user, number, next, .. } = self.records[at as usize];
            let records = &self.records;
            self.index.remove(0, key(number, user), at, |at| {
                let member = &records[at as usize];
                key(member.number, member.user)
            });
            self.records[at as usize].next = self.free;
            self.free = at;
            self.used -= 1;
            at = next;
        }
    }

    /// The members of the chain `head`, the last that was added first.
    pub fn chain(&self, head: u32) -> impl Iterator<Item = &Member> {
        let mut at = head;
        std::iter::from_fn(move || {
            let member = self.records.get(at as usize)?;
            at = member.next;
            Some(member)
        })
    }
}

/// One number for packet and user; the table's seed is what outsiders do not know.
fn key(number: u32, user: u64) -> u64 {
    user ^ u64::from(number).wrapping_mul(0x9fb2_1c65_1e98_df25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_has_room_again_when_a_packet_is_gone() {
        let mut members = Members::new(3, 1);
        let first = members.add(1, 7, NONE).unwrap();
        let second = members.add(1, 8, first).unwrap();
        let other = members.add(2, 7, NONE).unwrap();
        assert_eq!((members.add(2, 9, other), members.room()), (None, 0));
        *members.stage_mut(other) = Stage::Grabbed;
        assert_eq!(members.chain(second).map(|member| member.user).collect::<Vec<_>>(), [8, 7]);
        members.remove_all(second);
        assert_eq!((members.find(1, 7), members.find(2, 7), members.room()), (None, Some(other), 2));
        let third = members.add(2, 9, other).unwrap();
        assert_eq!(members.get(members.find(2, 9).unwrap()).stage, Stage::Invited);
        assert_eq!(members.chain(third).map(|member| member.stage).nth(1), Some(Stage::Grabbed));
    }
}
