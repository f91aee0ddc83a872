//! The mint: makes packets for shaking at a rate, round-robin over the SETs.
//!
//! Packet `j` of an order is due `j / rate` seconds after its start. Packets go to the SETs in turn, each
//! order beginning where the one before ends. Every worker counts through all of them and makes those of
//! its own SETs, so workers need not speak.

use super::core::{Core, NOT_OWN};
use crate::ledger::{Account, Kind, Ledger, Row};
use rand::RngExt as _;
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;

/// Orders that a server can take in its life.
pub const ORDERS_MAX: usize = 32;

/// Packets looked at in one tick, of all orders: a wave is worked off in pieces, between batches.
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
}

impl MintOrder {
    /// Fen that it makes at the most.
    pub fn fen_at_most(&self) -> u128 {
        u128::from(self.total) * u128::from(self.fen_max)
    }
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
    /// Packets of all orders before it: where its round over the SETs begins.
    pub first: u64,
    start_ns: u64,
    next: u64,
}

impl RunningOrder {
    /// An order that begins now, of which nothing is done yet.
    pub fn new(order: MintOrder, first: u64, now: Now) -> RunningOrder {
        RunningOrder { order, progress: MintProgress::default(), first, start_ns: now.mono_ns, next: 0 }
    }

    /// The packets that are due and were not looked at yet, at most `steps`; they count as looked at.
    fn take_due(&mut self, now: Now, steps: u64) -> std::ops::Range<u64> {
        let from = self.next;
        if from < self.order.total {
            let elapsed_ns = now.mono_ns.saturating_sub(self.start_ns);
            let due = u128::from(elapsed_ns) * u128::from(self.order.rate_per_s) / 1_000_000_000;
            // The first is due at once.
            let due = u64::try_from(due + 1).unwrap_or(u64::MAX).min(self.order.total);
            self.next = due.min(from + steps).max(from);
        }
        from..self.next
    }
}

impl<L: Ledger> Core<L> {
    /// Makes the packets that are due in this worker's SETs; whether more are due than one tick makes.
    pub(super) fn mint_due(&mut self, now: Now) -> bool {
        let mut steps = STEPS_PER_TICK;
        for at in 0..self.orders.len() {
            let due = self.orders[at].take_due(now, steps);
            steps -= due.end - due.start;
            for packet in due {
                self.mint_one(now, at, packet);
            }
        }
        steps == 0
    }

    /// Makes one packet of an order, if its SET is this worker's.
    fn mint_one(&mut self, now: Now, order: usize, packet: u64) {
        let running = &mut self.orders[order];
        let set = running.first.wrapping_add(packet) % u64::from(self.config.layout.sets);
        let position = self.position_of_set[set as usize];
        if position == NOT_OWN {
            return;
        }
        let set = &mut self.sets[position as usize];
        let ledger = &mut self.groups[set.group].ledger;
        if !set.packets.has_room() || ledger.room() == 0 {
            running.progress.passed_by += 1;
            return;
        }
        let fen = self.rng.random_range(running.order.fen_min..=running.order.fen_max);
        let number = set.packets.mint(fen).expect("room was asked for");
        let id = PacketId { machine: self.config.machine, set: set.number as u16, number };
        ledger.append(&Row {
            debit: Account::House,
            credit: Account::Packet(id.to_u64()),
            fen,
            kind: Kind::Mint,
            user: 0,
            req: 0,
            packet: id.to_u64(),
            wall_ms: now.wall_ms,
            other: 0,
            detail: 0,
        });
        running.progress.packets += 1;
        running.progress.fen += fen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now { mono_ns: 5_000_000_000, wall_ms: 0 };

    fn running(rate_per_s: u32, total: u64) -> RunningOrder {
        RunningOrder::new(MintOrder { rate_per_s, total, fen_min: 1, fen_max: 1 }, 0, START)
    }

    fn after_ms(ms: u64) -> Now {
        START.plus_ns(ms * 1_000_000)
    }

    #[test]
    fn an_order_comes_at_its_rate_from_its_start_and_ends_at_its_total() {
        let mut order = running(200, 5);
        assert_eq!(order.take_due(after_ms(0), 100), 0..1);
        assert_eq!(order.take_due(after_ms(4), 100), 1..1);
        assert_eq!(order.take_due(after_ms(10), 100), 1..3);
        assert_eq!(order.take_due(after_ms(60_000), 100), 3..5);
        assert_eq!(order.take_due(after_ms(70_000), 100), 5..5);
    }

    #[test]
    fn a_wave_is_worked_off_in_bounded_pieces() {
        let mut order = running(u32::MAX, 10_000);
        assert_eq!(order.take_due(after_ms(1_000), 4_096), 0..4_096);
        assert_eq!(order.take_due(after_ms(1_000), 0), 4_096..4_096);
        assert_eq!(order.take_due(after_ms(u64::MAX >> 24), 4_096), 4_096..8_192);
        assert_eq!(order.take_due(after_ms(2_000), 4_096), 8_192..10_000);
    }
}
