//! The mint: makes packets for shaking at a rate, round-robin over the SETs.
//!
//! Packet `j` of an order is due `j / rate` seconds after its start and goes to SET `j mod sets`. Every
//! worker counts through all of them and makes those of its own SETs, so workers need not speak.

use super::core::{Core, NOT_OWN};
use crate::ledger::{Account, Kind, Ledger, Row};
use rand::RngExt as _;
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;

/// Orders that a server can take in its life.
pub const ORDERS_MAX: usize = 32;

/// Packets looked at in one tick: a big order is worked off in pieces, between batches.
const STEPS_PER_TICK: u64 = 4_096;

/// An order to mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintOrder {
    /// Packets per second, at least 1.
    pub rate_per_s: u32,
    /// Packets in all.
    pub total: u64,
    /// The least that a packet holds, in fen, at least 1.
    pub fen_min: u64,
    /// The most that a packet holds, in fen.
    pub fen_max: u64,
    /// When the first is due, in ms since 1970.
    pub start_wall_ms: u64,
}

/// How far an order is, as far as this worker's SETs go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MintProgress {
    /// Packets made.
    pub packets: u64,
    /// What they hold, in fen.
    pub fen: u64,
    /// Packets that were due in a SET without room, and were not made.
    pub passed_by: u64,
}

/// An order under way.
#[derive(Clone, Copy, Debug)]
pub struct RunningOrder {
    /// What was ordered.
    pub order: MintOrder,
    /// What came of it here.
    pub progress: MintProgress,
    next: u64,
}

impl RunningOrder {
    /// An order of which nothing is done yet.
    pub fn new(order: MintOrder) -> RunningOrder {
        RunningOrder { order, progress: MintProgress::default(), next: 0 }
    }

    /// The positions that are due and were not looked at yet, at most one tick's worth; they count as
    /// looked at.
    pub fn take_due(&mut self, now: Now) -> std::ops::Range<u64> {
        let elapsed_ms = now.wall_ms.saturating_sub(self.order.start_wall_ms);
        let due = match now.wall_ms < self.order.start_wall_ms {
            true => 0,
            // The first is due at once.
            false => (elapsed_ms.saturating_mul(u64::from(self.order.rate_per_s)) / 1_000).saturating_add(1),
        };
        let from = self.next;
        self.next = due.min(self.order.total).min(from + STEPS_PER_TICK).max(from);
        from..self.next
    }
}

impl<L: Ledger> Core<L> {
    /// Makes the packets that are due in this worker's SETs.
    pub(super) fn mint_due(&mut self, now: Now) {
        let sets = u64::from(self.config.layout.sets);
        for running in &mut self.orders {
            for packet in running.take_due(now) {
                let position = self.position_of_set[(packet % sets) as usize];
                if position == NOT_OWN {
                    continue;
                }
                let set = &mut self.sets[position as usize];
                let ledger = &mut self.groups[set.group].ledger;
                if !set.packets.has_room() || !ledger.has_room(1) {
                    running.progress.passed_by += 1;
                    continue;
                }
                let fen = self.rng.random_range(running.order.fen_min..=running.order.fen_max);
                let number = set.packets.mint(fen).expect("room was asked for");
                let id = PacketId { machine: self.config.machine, set: set.number as u16, number };
                ledger.append(&Row {
                    debit: Account::House,
                    credit: Account::Pool,
                    fen,
                    kind: Kind::Mint,
                    user: 0,
                    req: 0,
                    packet: id.to_u64(),
                    wall_ms: now.wall_ms,
                });
                running.progress.packets += 1;
                running.progress.fen += fen;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(rate_per_s: u32, total: u64) -> RunningOrder {
        RunningOrder::new(MintOrder { rate_per_s, total, fen_min: 1, fen_max: 1, start_wall_ms: 1_000 })
    }

    fn at(wall_ms: u64) -> Now {
        Now { mono_ns: 0, wall_ms }
    }

    #[test]
    fn an_order_comes_at_its_rate_from_its_start_and_ends_at_its_total() {
        let mut order = running(200, 5);
        assert_eq!(order.take_due(at(999)), 0..0);
        assert_eq!(order.take_due(at(1_000)), 0..1);
        assert_eq!(order.take_due(at(1_004)), 1..1);
        assert_eq!(order.take_due(at(1_010)), 1..3);
        assert_eq!(order.take_due(at(60_000)), 3..5);
        assert_eq!(order.take_due(at(70_000)), 5..5);
    }

    #[test]
    fn a_wave_is_worked_off_in_bounded_pieces_and_a_clock_that_steps_back_does_no_harm() {
        let mut order = running(u32::MAX, 10_000);
        assert_eq!(order.take_due(at(2_000)), 0..4_096);
        assert_eq!(order.take_due(at(500)), 4_096..4_096);
        assert_eq!(order.take_due(at(u64::MAX)), 4_096..8_192);
        assert_eq!(order.take_due(at(2_000)), 8_192..10_000);
    }
}
