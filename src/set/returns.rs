//! Going through what is kept, piece by piece: what is left of packets when their time is over goes back to who put
//! it in, and what is kept is counted against what the rows say.

use super::book::Packet;
use super::core::{Core, Place};
use super::fault::{self, Fault};
use super::mask::SetState;
use crate::ledger::{Account, Kind, Ledger, Row};
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;

/// Packets that are looked at in one round.
const STEPS_PER_ROUND: usize = 512;

/// Rounds are not closer together.
const ROUND_NS: u64 = 1_000_000;

/// How often a SET is counted.
const RECOUNT_NS: u64 = 1_000_000_000;

impl<L: Ledger> Core<L> {
    /// Once a second counts the wallets and packets of the next SET, one by one.
    pub(super) fn recount(&mut self, now: Now) {
        if now.mono_ns.saturating_sub(self.recounted_ns) < RECOUNT_NS {
            return;
        }
        self.recounted_ns = now.mono_ns;
        let place = self.places[self.recount_at];
        self.work_on(self.recount_at as u32);
        self.recount_at = (self.recount_at + 1) % self.places.len();
        if place.state == SetState::Masked {
            return;
        }
        fault::here(Fault::Recount);
        let group = &self.groups[place.group];
        if !group.book.sets()[place.at].is_counted_right() {
            self.counters.miscounted += 1;
        }
    }

    /// Looks at the next packets, of all SETs in turn, and returns what is left in those whose time is over. A million
    /// packets are gone through in a few seconds; until a packet's turn comes it is told as expired all the same.
    pub(super) fn return_expired(&mut self, now: Now) {
        if now.mono_ns.saturating_sub(self.returned_ns) < ROUND_NS {
            return;
        }
        self.returned_ns = now.mono_ns;
        let mut sets_left = self.places.len();
        for _ in 0..STEPS_PER_ROUND {
            let (position, at) = self.returns_at;
            let place = self.places[position];
            if place.state == SetState::Masked {
                if sets_left == 0 {
                    return;
                }
                sets_left -= 1;
                self.returns_at = ((position + 1) % self.places.len(), 0);
                continue;
            }
            self.work_on(position as u32);
            match self.groups[place.group].book.sets()[place.at].packets.at(at).copied() {
                None if sets_left == 0 => return,
                None => {
                    sets_left -= 1;
                    self.returns_at = ((position + 1) % self.places.len(), 0);
                }
                Some(packet) => {
                    self.returns_at = (position, at + 1);
                    if packet.is_open() && packet.is_expired(now.wall_s()) {
                        self.give_back(now, place, &packet);
                    }
                }
            }
        }
    }

    /// Returns what is left in a packet whose time is over, if there is room for the row; else in its next turn.
    fn give_back(&mut self, now: Now, place: Place, expired: &Packet) {
        let group = &mut self.groups[place.group];
        if group.has_failed || !group.has_room(1, 0) {
            return;
        }
        fault::here(Fault::Expiry);
        let number = expired.number;
        let packet = PacketId { machine: self.config.machine, set: place.number as u16, number }.to_u64();
        let house = expired.sender == 0;
        group.write(&Row {
            kind: Kind::Refund,
            debit: Account::Packet(packet),
            credit: if house { Account::House } else { Account::Wallet(expired.sender) },
            fen: expired.left_fen,
            user: expired.sender,
            req: 0,
            packet,
            wall_ms: now.wall_ms,
            other: 0,
            detail: 0,
        });
        self.counters.expired += 1;
        self.counters.returned_fen += expired.left_fen;
    }
}
