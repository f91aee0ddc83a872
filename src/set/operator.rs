//! What the operator asks for: orders, payments, a group rebuilt.

use super::book::{Book, ORDERS_MAX, Order, OrderNote, OrderState};
use super::core::Core;
use super::links::Message;
use super::mask::{NOBODY, SetState};
use super::promises::Promised;
use super::settle::DoneOutcome;
use crate::ledger::{Account, Kind, Ledger, Row};
use redpkt_proto::Now;

/// Money from or to the operator's payment system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What the operator calls it.
    pub id: String,
    /// Whose wallet.
    pub user: u64,
    /// How much, in fen.
    pub fen: u64,
    /// Whether it is paid in; else out.
    pub is_deposit: bool,
}

impl<L: Ledger> Core<L> {
    /// Takes an order, in all groups of this worker that do not have it yet. `number` is its place among all, from 1;
    /// all workers get the same orders in the same order. Each group says by `ticket` that it is written.
    pub fn add_order(&mut self, number: usize, order: &Order, ticket: u64, now: Now) {
        assert!(number <= ORDERS_MAX, "the control plane counts the orders");
        let note = OrderNote::Taken(order.clone());
        for at in 0..self.groups.len() {
            let has_it = self.groups[at].book.orders().len() >= number;
            self.note_order(at, number, &note, has_it, ticket, now);
        }
    }

    /// Has an order go on, pause or stop, in all groups of this worker.
    pub fn set_order_state(&mut self, number: usize, state: OrderState, ticket: u64, now: Now) {
        for at in 0..self.groups.len() {
            let running = self.groups[at].book.orders().get(number - 1);
            let has_it = running.is_some_and(|running| running.state == state);
            self.note_order(at, number, &OrderNote::State(state), has_it, ticket, now);
        }
    }

    fn note_order(
        &mut self,
        at: usize,
        number: usize,
        note: &OrderNote,
        has_it: bool,
        ticket: u64,
        now: Now,
    ) {
        let group = &mut self.groups[at];
        let orders = group.book.orders().len();
        // Only the next order can be taken, and only an order that was taken be changed.
        let can_take = match note {
            OrderNote::Taken(_) => number <= orders + 1,
            OrderNote::State(_) => number <= orders,
        };
        let outcome = if group.has_failed {
            DoneOutcome::Failed
        } else if !can_take || !group.has_room(1, 1) {
            DoneOutcome::Full
        } else {
            let row = if has_it {
                group.ledger.last_row()
            } else {
                let note = serde_json::to_string(note).expect("an order is written as JSON");
                group.write_noted(&order_row(number, now.wall_ms), &note)
            };
            return group.promises.push(row, Promised::Done { ticket, outcome: DoneOutcome::Written });
        };
        // Where it finds no place the control plane tells of the order once more.
        let _ = self.tell_done(ticket, outcome);
    }

    /// Pays into a wallet of this worker's, or out of it. Says by `ticket` what became of it.
    pub fn pay(&mut self, payment: &Payment, ticket: u64, now: Now) {
        self.pay_guarded(payment, ticket, now);
    }

    pub(super) fn pay_unguarded(&mut self, payment: &Payment, ticket: u64, now: Now) {
        let at = self.group_of_user(payment.user);
        let group = &mut self.groups[at];
        let (user, fen) = (payment.user, payment.fen);
        let accounts = &group.book.set_of_user(user).accounts;
        let holds_fen = accounts.get(user).map_or(0, |account| account.balance_fen);
        let has_account = accounts.has_room_for(user);
        let outcome = if group.has_failed {
            DoneOutcome::Failed
        } else if !group.has_room(1, 1) || !has_account {
            DoneOutcome::Full
        } else if !payment.is_deposit && holds_fen < fen {
            // What the wallet holds was decided from rows that may not be durable yet.
            let (row, outcome) = (group.ledger.last_row(), DoneOutcome::TooLittleMoney);
            return group.promises.push(row, Promised::Done { ticket, outcome });
        } else {
            let wallet = Account::Wallet(user);
            let (kind, debit, credit) = if payment.is_deposit {
                (Kind::Deposit, Account::House, wallet)
            } else {
                (Kind::Withdraw, wallet, Account::House)
            };
            let row = Row { kind, debit, credit, fen, user, ..order_row(0, now.wall_ms) };
            let row = group.write_noted(&row, &payment.id);
            self.work = NOBODY;
            return group.promises.push(row, Promised::Done { ticket, outcome: DoneOutcome::Written });
        };
        // It finds a place: no more payments are under way than that.
        let _ = self.tell_done(ticket, outcome);
    }

    /// Whether a group has failed and nothing of it is under way any more, so that it can be rebuilt.
    pub fn can_be_rebuilt(&self, group: u32) -> bool {
        let found = self.groups.iter().find(|own| own.book.group() == group);
        found.is_some_and(|own| {
            own.has_failed && !own.is_bringing && own.questions_out == 0 && own.promises.is_empty()
        })
    }

    /// Puts a group back to work with what its journal says. Sessions of its users end: they join again and ask what
    /// became of their requests. `owed` is what it may have failed to bring to others, invitations and money that has
    /// left it: that is brought again, money in the order of its rows, and taken once.
    pub fn rebuild(&mut self, book: Book, ledger: L, owed: Vec<Message>, now: Now) {
        let at = self.groups.iter().position(|own| own.book.group() == book.group());
        let at = at.expect("a group is rebuilt on its worker");
        let group = &mut self.groups[at];
        let mut old = std::mem::replace(&mut group.book, book);
        let state = |set: u32| self.places[self.position_of_set[set as usize] as usize].state;
        let is_broken = |set| state(set) == SetState::Masked;
        group.book.keep_invites_of(&mut old, self.config.machine, now.wall_s(), is_broken);
        for position in 0..self.sessions.sets() {
            if self.places[position as usize].group == at && self.is_masked(position) {
                self.unmask(position);
            } else if self.places[position as usize].group == at {
                self.sessions.end_all(position);
            }
        }
        let group = &mut self.groups[at];
        group.ledger = ledger;
        group.inviting = None;
        // It decides nothing before all it owes is on its way: what it decides later would overtake that.
        group.is_bringing = true;
        self.owed.extend(owed);
    }
}

/// The row of an order, or of a change of one; `number` is its place among all, from 1.
pub fn order_row(number: usize, wall_ms: u64) -> Row {
    Row {
        kind: Kind::Order,
        debit: Account::House,
        credit: Account::House,
        fen: 0,
        user: 0,
        req: number as u64,
        packet: 0,
        wall_ms,
        other: 0,
        detail: 0,
    }
}
