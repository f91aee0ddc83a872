//! Orders to mint: taken once by id, reported ever after.

use super::settings::FEN_IN_ALL_MAX;
use crate::set::book::{ORDERS_MAX, Order};
use crate::worker::WorkerSnapshot;
use serde::Serialize;

/// The orders that were taken, in the order of their positions in the workers.
#[derive(Debug, Default)]
pub struct Orders {
    taken: Vec<Order>,
}

/// What became of asking for an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is new, and has this position; the workers are to be told.
    New(usize),
    /// It was taken before, with the same content.
    Known(usize),
    /// The id was used with other content.
    Conflict,
    /// There is no room for another order.
    Full,
    /// All orders together could mint more fen than [`FEN_IN_ALL_MAX`].
    TooMuch,
}

/// How far an order is.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct OrderReport {
    /// Its id.
    pub id: String,
    /// Packets per second.
    pub rate: u32,
    /// Packets in all.
    pub total: u64,
    /// `MIN..MAX`.
    pub fen: String,
    /// Packets made.
    pub minted: u64,
    /// What they hold, in fen.
    pub minted_fen: u64,
    /// Packets that found no room in their SET and were not made.
    pub passed_by: u64,
    /// `running` or `done`.
    pub state: &'static str,
}

impl Orders {
    /// Takes an order, or says why not.
    pub fn ask(&mut self, order: &Order) -> Asked {
        match self.taken.iter().position(|known| known.id == order.id) {
            Some(at) if self.taken[at] == *order => Asked::Known(at),
            Some(_) => Asked::Conflict,
            None if self.taken.len() == ORDERS_MAX => Asked::Full,
            None if self.fen_at_most() + order.fen_at_most() > FEN_IN_ALL_MAX => Asked::TooMuch,
            None => {
                self.taken.push(order.clone());
                Asked::New(self.taken.len() - 1)
            }
        }
    }

    /// An id for an order that came without one: `order-N`, not taken yet.
    pub fn free_id(&self) -> String {
        let is_taken = |id: &String| self.taken.iter().any(|known| known.id == *id);
        (1..).map(|n: u32| format!("order-{n}")).find(|id| !is_taken(id)).expect("orders are few")
    }

    /// What all orders together mint at the most. Never
    /// more than [`FEN_IN_ALL_MAX`]: that was seen to when they were taken.
    fn fen_at_most(&self) -> u128 {
        self.taken.iter().map(Order::fen_at_most).sum()
    }

    /// How far all orders are, from what the workers published.
    pub fn report(&self, workers: &[WorkerSnapshot]) -> Vec<OrderReport> {
        let sum = |at: usize, field: usize| workers.iter().map(|worker| worker.orders[at][field]).sum();
        let report = |(at, order): (usize, &Order)| {
            let (minted, minted_fen, passed_by): (u64, u64, u64) = (sum(at, 0), sum(at, 1), sum(at, 2));
            OrderReport {
                id: order.id.clone(),
                rate: order.rate_per_s,
                total: order.total,
                fen: format!("{}..{}", order.fen_min, order.fen_max),
                minted,
                minted_fen,
                passed_by,
                state: if minted + passed_by < order.total { "running" } else { "done" },
            }
        };
        self.taken.iter().enumerate().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, total: u64, fen_max: u64) -> Order {
        Order::mint(id, 1, total, (1, fen_max))
    }

    #[test]
    fn an_order_is_taken_once_and_other_content_under_its_id_is_refused() {
        let mut orders = Orders::default();
        assert_eq!(orders.ask(&order("a", 2, 4)), Asked::New(0));
        assert_eq!(orders.ask(&order("a", 2, 4)), Asked::Known(0));
        assert_eq!(orders.ask(&order("a", 3, 4)), Asked::Conflict);
        (1..ORDERS_MAX).for_each(|at| assert_eq!(orders.ask(&order(&at.to_string(), 2, 4)), Asked::New(at)));
        assert_eq!(orders.ask(&order("one more", 2, 4)), Asked::Full);
    }

    /// Expect: every sum of fen that can ever be made fits into 63 bits, the last one exactly.
    #[test]
    fn orders_that_could_overflow_a_sum_of_money_are_not_taken() {
        let mut orders = Orders::default();
        assert_eq!(orders.ask(&order("half", 1 << 61, 2)), Asked::New(0));
        assert_eq!(orders.ask(&order("other half", 1 << 61, 2)), Asked::TooMuch);
        assert_eq!(orders.ask(&order("half", 1 << 61, 2)), Asked::Known(0));
        assert_eq!(orders.ask(&order("worst", u64::MAX, u64::MAX)), Asked::TooMuch);
        assert_eq!(orders.ask(&order("rest", (1 << 62) - 1, 1)), Asked::New(1));
        assert_eq!(orders.ask(&order("one more fen", 1, 1)), Asked::TooMuch);
    }

    #[test]
    fn an_id_that_is_made_is_one_that_nobody_took() {
        let mut orders = Orders::default();
        assert_eq!(orders.free_id(), "order-1");
        orders.ask(&order("order-1", 2, 4));
        orders.ask(&order("order-3", 2, 4));
        assert_eq!(orders.free_id(), "order-2");
        orders.ask(&order("order-2", 2, 4));
        assert_eq!(orders.free_id(), "order-4");
    }

    #[test]
    fn a_report_adds_the_workers_up() {
        let mut orders = Orders::default();
        orders.ask(&order("a", 2, 4));
        let mut workers = [WorkerSnapshot::default(); 2];
        workers[0].orders[0] = [1, 3, 0];
        assert_eq!(orders.report(&workers)[0].state, "running");
        workers[1].orders[0] = [0, 0, 1];
        let report = &orders.report(&workers)[0];
        assert_eq!((report.minted, report.minted_fen, report.passed_by, report.state), (1, 3, 1, "done"));
    }
}
