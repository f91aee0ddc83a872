//! Orders of the operator to make packets, and how far they are in one group.

use redpkt_proto::Now;
use serde::{Deserialize, Serialize};

/// Orders to make packets that a server can take in the life of its ledger.
pub const ORDERS_MAX: usize = 32;

/// The most shares of a packet.
pub const SHARES_MAX: u16 = 500;

/// What is made, and how fast. Written into the ledger as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What the operator calls it.
    pub id: String,
    /// Whom the packets are for.
    pub what: What,
    /// Packets per second, at least 1.
    pub rate_per_s: u32,
    /// Packets in all.
    pub total: u64,
    /// The least that a packet holds, in fen, at least 1 for each share.
    pub fen_min: u64,
    /// The most that a packet holds, in fen.
    pub fen_max: u64,
    /// Shares of each packet, 1 to [`SHARES_MAX`].
    pub shares: u16,
    /// Whether shares are equal.
    pub equal: bool,
    /// Not before this wall time, in ms since 1970; 0 for at once.
    pub at_wall_ms: u64,
    /// The most that all its packets hold together, in fen; 0 for no limit but the others.
    pub budget_fen: u64,
}

/// Whom an order's packets are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Whoever shakes.
    Mint,
    /// So many users each, drawn among those with a session.
    Send {
        /// How many.
        recipients: u32,
    },
}

impl Order {
    /// Packets of one share for whoever shakes, at once and without a limit of its own.
    pub fn mint(id: &str, rate_per_s: u32, total: u64, (fen_min, fen_max): (u64, u64)) -> Order {
        Order {
            id: id.to_owned(),
            what: What::Mint,
            rate_per_s,
            total,
            fen_min,
            fen_max,
            shares: 1,
            equal: false,
            at_wall_ms: 0,
            budget_fen: 0,
        }
    }

    /// Fen that it makes at the most.
    pub fn fen_at_most(&self) -> u128 {
        let packets = u128::from(self.total) * u128::from(self.fen_max);
        if self.budget_fen == 0 { packets } else { packets.min(self.budget_fen.into()) }
    }
}

/// Whether an order makes packets now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It does, when they are due.
    Running,
    /// Not until it is resumed.
    Paused,
    /// Never again.
    Stopped,
}

/// The note of an [`Order`](crate::ledger::Kind::Order) row.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderNote {
    /// The order was taken.
    Taken(Order),
    /// It was told to go on or not.
    State(OrderState),
}

/// An order in one group.
#[derive(Clone, Debug)]
pub struct RunningOrder {
    /// What was ordered.
    pub order: Order,
    /// Whether it makes packets now.
    pub state: OrderState,
    /// What came of it here.
    pub progress: Progress,
    /// Packets of all orders before it: where its round over the SETs begins.
    pub first: u64,
    /// The next of its packets that was not looked at here.
    pub next: u64,
    /// What this group may still put into its packets, in fen.
    pub budget_fen: u64,
    /// Since when, and from which packet on, it keeps its pace; `None` while it makes none.
    pace: Option<(u64, u64)>,
}

/// How far an order is in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Packets made.
    pub packets: u64,
    /// What they hold, in fen.
    pub fen: u64,
    /// Packets that were due and not made: no room in their SET, nobody to send to, or no budget left.
    pub passed_by: u64,
}

impl RunningOrder {
    /// An order of which nothing is done yet.
    pub fn new(order: Order, first: u64, budget_fen: u64) -> RunningOrder {
        RunningOrder {
            order,
            state: OrderState::Running,
            progress: Progress::default(),
            first,
            next: 0,
            budget_fen,
            pace: None,
        }
    }

    /// Has the pace begin anew.
    pub fn hold(&mut self) {
        self.pace = None;
    }

    /// The packets that are due and were not looked at yet, at most `steps`. They count as looked at when
    /// [`next`](Self::next) is moved on. The pace begins anew whenever the order has not run: what was missed
    /// while it was paused, or the server down, does not come at once.
    pub fn due(&mut self, now: Now, steps: u64) -> std::ops::Range<u64> {
        let from = self.next;
        if self.state != OrderState::Running
            || now.wall_ms < self.order.at_wall_ms
            || from >= self.order.total
        {
            self.pace = None;
            return from..from;
        }
        let (since_ns, since_packet) = *self.pace.get_or_insert((now.mono_ns, from));
        let elapsed_ns = now.mono_ns.saturating_sub(since_ns);
        let due = u128::from(elapsed_ns) * u128::from(self.order.rate_per_s) / 1_000_000_000;
        // The first is due at once.
        let due =
            u64::try_from(due + 1).unwrap_or(u64::MAX).saturating_add(since_packet).min(self.order.total);
        from..due.min(from.saturating_add(steps)).max(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now { mono_ns: 5_000_000_000, wall_ms: 1_000 };

    fn running(rate_per_s: u32, total: u64) -> RunningOrder {
        let order = Order {
            id: "a".into(),
            what: What::Mint,
            rate_per_s,
            total,
            fen_min: 1,
            fen_max: 1,
            shares: 1,
            equal: false,
            at_wall_ms: 0,
            budget_fen: 0,
        };
        RunningOrder::new(order, 0, u64::MAX)
    }

    fn after_ms(ms: u64) -> Now {
        START.plus_ns(ms * 1_000_000)
    }

    fn take(order: &mut RunningOrder, now: Now, steps: u64) -> std::ops::Range<u64> {
        let due = order.due(now, steps);
        order.next = due.end;
        due
    }

    #[test]
    fn an_order_comes_at_its_rate_from_its_start_and_ends_at_its_total() {
        let mut order = running(200, 5);
        assert_eq!(take(&mut order, after_ms(0), 100), 0..1);
        assert_eq!(take(&mut order, after_ms(4), 100), 1..1);
        assert_eq!(take(&mut order, after_ms(10), 100), 1..3);
        assert_eq!(take(&mut order, after_ms(60_000), 100), 3..5);
        assert_eq!(take(&mut order, after_ms(70_000), 100), 5..5);
    }

    #[test]
    fn a_wave_is_worked_off_in_bounded_pieces() {
        let mut order = running(u32::MAX, 10_000);
        assert_eq!(take(&mut order, after_ms(0), 4_096), 0..1);
        assert_eq!(take(&mut order, after_ms(1_000), 4_096), 1..4_097);
        assert_eq!(take(&mut order, after_ms(1_000), 0), 4_097..4_097);
        assert_eq!(take(&mut order, after_ms(u64::MAX >> 24), 4_096), 4_097..8_193);
        assert_eq!(take(&mut order, after_ms(2_000), 4_096), 8_193..10_000);
    }

    /// Expect: nothing before its time, nothing while it is paused, and then its pace, without a burst.
    #[test]
    fn what_was_not_made_while_it_did_not_run_does_not_come_at_once() {
        let mut order = running(10, 100);
        order.order.at_wall_ms = 2_000;
        assert_eq!(take(&mut order, after_ms(999), 100), 0..0);
        assert_eq!(take(&mut order, after_ms(1_000), 100), 0..1);
        assert_eq!(take(&mut order, after_ms(1_400), 100), 1..5);
        order.state = OrderState::Paused;
        assert_eq!(take(&mut order, after_ms(9_000), 100), 5..5);
        order.state = OrderState::Running;
        assert_eq!(take(&mut order, after_ms(10_000), 100), 5..6);
        assert_eq!(take(&mut order, after_ms(10_100), 100), 6..7);
    }
}
