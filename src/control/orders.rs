//! Orders to mint: taken once by id, reported ever after.

use super::settings::FEN_IN_ALL_MAX;
use crate::set::MintOrder;
use crate::set::ORDERS_MAX;
use crate::worker::WorkerSnapshot;
use serde::Serialize;

/// The orders that were taken, in the order of their positions in the workers.
#[derive(Debug, Default)]
pub struct Orders {
    taken: Vec<(String, MintOrder)>,
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
    pub fn ask(&mut self, id: &str, order: MintOrder) -> Asked {
        match self.taken.iter().position(|(known, _)| known == id) {
            Some(at) if self.taken[at].1 == order => Asked::Known(at),
            Some(_) => Asked::Conflict,
            None if self.taken.len() == ORDERS_MAX => Asked::Full,
            None if self.fen_at_most() + order.fen_at_most() > FEN_IN_ALL_MAX => Asked::TooMuch,
            None => {
                self.taken.push((id.to_owned(), order));
                Asked::New(self.taken.len() - 1)
            }
        }
    }

    /// An id for an order that came without one: `order-N`, not taken yet.
    pub fn free_id(&self) -> String {
        let is_taken = |id: &String| self.taken.iter().any(|(known, _)| known == id);
        (1..).map(|n: u32| format!("order-{n}")).find(|id| !is_taken(id)).expect("orders are few")
    }

    /// What all orders together mint at the most. Never
    /// more than [`FEN_IN_ALL_MAX`]: that was seen to when they were taken.
    fn fen_at_most(&self) -> u128 {
        self.taken.iter().map(|(_, order)| order.fen_at_most()).sum()
    }

    /// How far all orders are, from what the workers published.
    pub fn report(&self, workers: &[WorkerSnapshot]) -> Vec<OrderReport> {
        let sum = |at: usize, field: usize| workers.iter().map(|worker| worker.orders[at][field]).sum();
        let report = |(at, (id, order)): (usize, &(String, MintOrder))| {
            let (minted, minted_fen, passed_by): (u64, u64, u64) = (sum(at, 0), sum(at, 1), sum(at, 2));
            OrderReport {
                id: id.clone(),
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

    const ORDER: MintOrder = MintOrder { rate_per_s: 1, total: 2, fen_min: 3, fen_max: 4 };

    #[test]
    fn an_order_is_taken_once_and_other_content_under_its_id_is_refused() {
        let mut orders = Orders::default();
        assert_eq!(orders.ask("a", ORDER), Asked::New(0));
        assert_eq!(orders.ask("a", ORDER), Asked::Known(0));
        assert_eq!(orders.ask("a", MintOrder { total: 3, ..ORDER }), Asked::Conflict);
        (1..ORDERS_MAX).for_each(|at| assert_eq!(orders.ask(&at.to_string(), ORDER), Asked::New(at)));
        assert_eq!(orders.ask("one more", ORDER), Asked::Full);
    }

    /// Expect: every sum of fen that can ever be made fits into 63 bits, the last one exactly.
    #[test]
    fn orders_that_could_overflow_a_sum_of_money_are_not_taken() {
        let mut orders = Orders::default();
        let half = MintOrder { total: 1 << 61, fen_min: 1, fen_max: 2, ..ORDER };
        assert_eq!(orders.ask("half", half), Asked::New(0));
        assert_eq!(orders.ask("other half", half), Asked::TooMuch);
        assert_eq!(orders.ask("half", half), Asked::Known(0));
        assert_eq!(
            orders.ask("worst", MintOrder { total: u64::MAX, fen_max: u64::MAX, ..half }),
            Asked::TooMuch
        );
        let rest = MintOrder { total: (1 << 62) - 1, fen_max: 1, ..half };
        assert_eq!(orders.ask("rest", rest), Asked::New(1));
        assert_eq!(orders.ask("one more fen", MintOrder { total: 1, fen_max: 1, ..half }), Asked::TooMuch);
    }

    #[test]
    fn an_id_that_is_made_is_one_that_nobody_took() {
        let mut orders = Orders::default();
        assert_eq!(orders.free_id(), "order-1");
        orders.ask("order-1", ORDER);
        orders.ask("order-3", ORDER);
        assert_eq!(orders.free_id(), "order-2");
        orders.ask("order-2", ORDER);
        assert_eq!(orders.free_id(), "order-4");
    }

    #[test]
    fn a_report_adds_the_workers_up() {
        let mut orders = Orders::default();
        orders.ask("a", ORDER);
        let mut workers = [WorkerSnapshot::default(); 2];
        workers[0].orders[0] = [1, 3, 0];
        assert_eq!(orders.report(&workers)[0].state, "running");
        workers[1].orders[0] = [0, 0, 1];
        let report = &orders.report(&workers)[0];
        assert_eq!((report.minted, report.minted_fen, report.passed_by, report.state), (1, 3, 1, "done"));
    }
}
