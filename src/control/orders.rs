//! Orders to make packets: taken once by id, reported ever after.

use crate::set::book::{Book, ORDERS_MAX, Order, OrderNote, OrderState, What};
use crate::worker::WorkerSnapshot;
use serde::Serialize;

/// The orders that were taken, in the order of their numbers, which begin with 1.
#[derive(Debug, Default)]
pub struct Orders {
    taken: Vec<Taken>,
}

#[derive(Clone, Debug)]
struct Taken {
    order: Order,
    state: OrderState,
    /// Whether a group has written it.
    is_written: bool,
}

/// What became of asking for an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It can be taken, and its position will be this.
    New(usize),
    /// It has this position, and no group has written it yet.
    NotWritten(usize),
    /// It was taken before, with the same content, and has this position.
    Known(usize),
    /// The id was used with other content.
    Conflict,
    /// There is no room for another order.
    Full,
}

/// How far an order is.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct OrderReport {
    /// Its id.
    pub id: String,
    /// `mint` or `send`.
    pub kind: &'static str,
    /// Packets per second.
    pub rate: u32,
    /// Packets in all.
    pub total: u64,
    /// `MIN..MAX`.
    pub fen: String,
    /// Shares of each packet.
    pub shares: u16,
    /// Whether they are equal.
    pub equal: bool,
    /// Users that each packet is for; none where it is for whoever shakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients: Option<u32>,
    /// Not before this time, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The most that all its packets hold together, in fen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Packets made.
    pub minted: u64,
    /// What they hold, in fen.
    pub minted_fen: u64,
    /// Packets that were due and not made since the start: no room in their SET, nobody to send to, no budget left.
    pub passed_by: u64,
    /// `running`, `paused`, `stopped` or `done`.
    pub state: &'static str,
}

impl Orders {
    /// What the books of all groups say. A group may not have written the last ones yet, when the server ended in
    /// between; anything else that differs is an error.
    pub fn of_books<'book>(books: &(impl Iterator<Item = &'book Book> + Clone)) -> Result<Orders, String> {
        let fullest = books.clone().max_by_key(|book| book.orders().len());
        let Some(fullest) = fullest else { return Ok(Orders::default()) };
        let mut taken: Vec<Taken> = Vec::new();
        for (at, running) in fullest.orders().iter().enumerate() {
            let order = &running.order;
            let mut state = OrderState::Running;
            for book in books.clone() {
                let Some(its) = book.orders().get(at) else { continue };
                if its.order != *order {
                    return Err(format!(
                        "groups {} and {} disagree about order {}: {:?} and {:?}",
                        fullest.group(),
                        book.group(),
                        at + 1,
                        order.id,
                        its.order.id
                    ));
                }
                state = stricter(state, its.state);
            }
            taken.push(Taken { order: order.clone(), state, is_written: true });
        }
        Ok(Orders { taken })
    }

    /// What a group has to write to have the same orders as all: numbers and notes.
    pub fn missing(&self, book: &Book) -> Vec<(usize, OrderNote)> {
        let mut missing = Vec::new();
        for (at, taken) in self.taken.iter().enumerate() {
            let its = book.orders().get(at).map(|running| running.state);
            if its.is_none() {
                missing.push((at + 1, OrderNote::Taken(taken.order.clone())));
            }
            if its.unwrap_or(OrderState::Running) != taken.state {
                missing.push((at + 1, OrderNote::State(taken.state)));
            }
        }
        missing
    }

    /// Whether an order is known or can be taken. `any_day`: its time was given as a time of day, so an order of that
    /// id may have been taken for an earlier day.
    pub fn ask(&self, order: &Order, any_day: bool) -> Asked {
        match self.position(&order.id) {
            Some(at) => match &self.taken[at] {
                taken if !is_same(&taken.order, order, any_day) => Asked::Conflict,
                Taken { is_written: false, .. } => Asked::NotWritten(at),
                _ => Asked::Known(at),
            },
            None if self.taken.len() == ORDERS_MAX => Asked::Full,
            None => Asked::New(self.taken.len()),
        }
    }

    /// Takes an order that [`ask`](Self::ask) has called new.
    pub fn take(&mut self, order: Order) {
        self.taken.push(Taken { order, state: OrderState::Running, is_written: false });
    }

    /// A group has written the order at this position.
    pub fn is_written(&mut self, at: usize) {
        self.taken[at].is_written = true;
    }

    /// Whether a group has written the order at this position.
    pub fn has_written(&self, at: usize) -> bool {
        self.taken[at].is_written
    }

    /// A group has written all orders, and every group that works has.
    pub fn are_written(&mut self) {
        self.taken.iter_mut().for_each(|taken| taken.is_written = true);
    }

    /// The position of the order with this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.taken.iter().position(|known| known.order.id == id)
    }

    /// The order at this position, and whether it goes on.
    pub fn get(&self, at: usize) -> (&Order, OrderState) {
        (&self.taken[at].order, self.taken[at].state)
    }

    /// The order at this position goes on or not.
    pub fn set_state(&mut self, at: usize, state: OrderState) {
        self.taken[at].state = state;
    }

    /// An id for an order that came without one: `order-N`, neither an order's nor `is_taken` by something else.
    pub fn free_id(&self, is_taken: impl Fn(&str) -> bool) -> String {
        (1..)
            .map(|n: u32| format!("order-{n}"))
            .find(|id| self.position(id).is_none() && !is_taken(id))
            .expect("ids are few")
    }

    /// What all orders together make at the most.
    pub fn fen_at_most(&self) -> u128 {
        self.taken.iter().map(|taken| taken.order.fen_at_most()).sum()
    }

    /// How far all orders are, from what the workers of `groups` groups published.
    pub fn report(&self, workers: &[WorkerSnapshot], groups: u32) -> Vec<OrderReport> {
        let report = |(at, taken): (usize, &Taken)| {
            let sum = |field: usize| workers.iter().map(|worker| worker.orders[at][field]).sum::<u64>();
            let order = &taken.order;
            OrderReport {
                id: order.id.clone(),
                kind: if order.what == What::Mint { "mint" } else { "send" },
                rate: order.rate_per_s,
                total: order.total,
                fen: format!("{}..{}", order.fen_min, order.fen_max),
                shares: order.shares,
                equal: order.equal,
                recipients: match order.what {
                    What::Mint => None,
                    What::Send { recipients } => Some(recipients),
                },
                at: (order.at_wall_ms > 0).then(|| time(order.at_wall_ms)),
                budget: (order.budget_fen > 0).then_some(order.budget_fen),
                minted: sum(0),
                minted_fen: sum(1),
                passed_by: sum(2),
                state: match taken.state {
                    // Each group looks at all packets, and makes its own.
                    OrderState::Running | OrderState::Paused if sum(3) == u64::from(groups) => "done",
                    OrderState::Running => "running",
                    OrderState::Paused => "paused",
                    OrderState::Stopped => "stopped",
                },
            }
        };
        self.taken.iter().enumerate().map(report).collect()
    }
}

/// Of two groups that differ, one has not written the last change: nobody was told that it was made, so the state
/// that makes fewer packets holds.
fn stricter(one: OrderState, other: OrderState) -> OrderState {
    let strictness = |state: &OrderState| match state {
        OrderState::Running => 0,
        OrderState::Paused => 1,
        OrderState::Stopped => 2,
    };
    std::cmp::max_by_key(one, other, strictness)
}

const DAY_MS: u64 = 86_400_000;

fn is_same(known: &Order, asked: &Order, any_day: bool) -> bool {
    let is_time = known.at_wall_ms == asked.at_wall_ms
        || any_day && known.at_wall_ms > 0 && known.at_wall_ms % DAY_MS == asked.at_wall_ms % DAY_MS;
    is_time && *known == Order { at_wall_ms: known.at_wall_ms, ..asked.clone() }
}

fn time(wall_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(wall_ms);
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::Capacity;
    use crate::set::order_row;
    use redpkt_proto::steer::Layout;

    fn order(id: &str, total: u64, fen_max: u64) -> Order {
        Order::mint(id, 1, total, (1, fen_max))
    }

    fn take(orders: &mut Orders, order: &Order) -> Asked {
        let asked = orders.ask(order, false);
        if let Asked::New(at) = asked {
            orders.take(order.clone());
            orders.is_written(at);
        }
        asked
    }

    #[test]
    fn an_order_is_taken_once_and_other_content_under_its_id_is_refused() {
        let mut orders = Orders::default();
        assert_eq!(take(&mut orders, &order("a", 2, 4)), Asked::New(0));
        assert_eq!(take(&mut orders, &order("a", 2, 4)), Asked::Known(0));
        assert_eq!(take(&mut orders, &order("a", 3, 4)), Asked::Conflict);
        (1..ORDERS_MAX)
            .for_each(|at| assert_eq!(take(&mut orders, &order(&at.to_string(), 2, 4)), Asked::New(at)));
        assert_eq!(take(&mut orders, &order("one more", 2, 4)), Asked::Full);
    }

    /// Expect: the same command line is the same order the day after, another time of day is not.
    #[test]
    fn a_time_of_day_is_the_same_on_another_day() {
        let mut orders = Orders::default();
        let at = |wall_ms| Order { at_wall_ms: wall_ms, ..order("start", 2, 4) };
        take(&mut orders, &at(5 * DAY_MS + 100));
        assert_eq!(orders.ask(&at(6 * DAY_MS + 100), true), Asked::Known(0));
        assert_eq!(orders.ask(&at(6 * DAY_MS + 100), false), Asked::Conflict);
        assert_eq!(orders.ask(&at(6 * DAY_MS + 101), true), Asked::Conflict);
    }

    #[test]
    fn an_id_that_is_made_is_one_that_nobody_took() {
        let mut orders = Orders::default();
        assert_eq!(orders.free_id(|id| id == "order-5"), "order-1");
        take(&mut orders, &order("order-1", 2, 4));
        take(&mut orders, &order("order-3", 2, 4));
        assert_eq!(orders.free_id(|id| id == "order-5"), "order-2");
        take(&mut orders, &order("order-2", 2, 4));
        assert_eq!(orders.free_id(|id| id == "order-4"), "order-5");
    }

    #[test]
    fn a_report_adds_the_workers_up_and_is_done_when_all_groups_are() {
        let mut orders = Orders::default();
        take(&mut orders, &order("a", 2, 4));
        let mut workers = [WorkerSnapshot::default(); 2];
        workers[0].orders[0] = [1, 3, 0, 1];
        assert_eq!(orders.report(&workers, 2)[0].state, "running");
        workers[1].orders[0] = [0, 0, 1, 1];
        let report = &orders.report(&workers, 2)[0];
        assert_eq!((report.minted, report.minted_fen, report.passed_by, report.state), (1, 3, 1, "done"));
        orders.set_state(0, OrderState::Stopped);
        assert_eq!(orders.report(&workers, 2)[0].state, "stopped");
    }

    fn book(group: u32, notes: &[(usize, OrderNote)]) -> Book {
        let layout = Layout { sets: 2, groups: 2, workers: 1 };
        let mut book = Book::new(group, layout, &Capacity::of_totals(2, 10, 10, 10, 10), || 0);
        for (number, note) in notes {
            book.apply(&order_row(*number, 1), Some(&serde_json::to_string(note).unwrap())).unwrap();
        }
        book
    }

    /// Expect: what one group missed at the end it is told, and what cannot have come so is refused.
    #[test]
    fn a_group_that_missed_the_last_order_is_told_it() {
        let (a, b) = (order("a", 2, 4), order("b", 2, 4));
        let (taken_a, taken_b) = (|| (1, OrderNote::Taken(a.clone())), || (2, OrderNote::Taken(b.clone())));
        let stopped = || (1, OrderNote::State(OrderState::Stopped));
        let books = [book(0, &[taken_a(), taken_b()]), book(1, &[taken_a(), stopped()])];
        let orders = Orders::of_books(&books.iter()).unwrap();
        assert_eq!(
            (orders.taken.len(), orders.get(0).1, orders.get(1).1),
            (2, OrderState::Stopped, OrderState::Running)
        );
        let missing =
            |at: usize| orders.missing(&books[at]).iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!((missing(0), missing(1)), (vec![1], vec![2]));

        let books = [book(0, &[taken_a()]), book(1, &[(1, OrderNote::Taken(b.clone()))])];
        assert!(Orders::of_books(&books.iter()).unwrap_err().contains("disagree about order 1"));
    }
}
