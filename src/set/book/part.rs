//! One SET as a part of its group's book: what it shares with the others, taken back, written past it, exchanged.
//!
//! A row changes the tables of the SETs it is about, and what the whole group keeps: its totals, how far an order is,
//! what has come from other groups. When a SET panics while a row is applied, the second is put back to what it was
//! before that row, which was not written; the first is not read any more until it comes from the journal.

use super::{Book, Progress, Set, Totals};
use crate::ledger::{Account, Kind, Row};
use redpkt_proto::body::PacketId;

/// What a group keeps beside its SETs, as far as one row changes it.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    row: Row,
    totals: Totals,
    /// What had come from the group that the row is about.
    delivered: u64,
    /// How far the row's order was, and its budget.
    order: Option<(Progress, u64)>,
}

impl Book {
    /// What the group keeps beside its SETs before `row` is applied.
    pub fn before(&self, row: &Row) -> Before {
        let delivered = self.origin_of(row).map_or(0, |from| self.delivered[from]);
        let order = self.order_of(row).map(|at| (self.orders[at].progress, self.orders[at].budget_fen));
        Before { row: *row, totals: self.totals, delivered, order }
    }

    /// Puts that back, after a panic while the row was applied or before it was written. The SETs are left as the
    /// panic left them: which ones comes back.
    pub fn put_back(&mut self, before: &Before) -> [Option<u32>; 2] {
        self.totals = before.totals;
        if let Some(from) = self.origin_of(&before.row) {
            self.delivered[from] = before.delivered;
        }
        if let (Some(at), Some((progress, budget_fen))) = (self.order_of(&before.row), before.order) {
            (self.orders[at].progress, self.orders[at].budget_fen) = (progress, budget_fen);
        }
        self.sets_of(&before.row)
    }

    /// Takes over what a delivery says, but for the user's SET, which learns it from the journal.
    pub fn apply_past_set(&mut self, row: &Row) {
        let from = self.origin_of(row).expect("only deliveries go past a SET");
        self.delivered[from] = row.other;
        self.totals.cleared_in_fen += row.fen;
        self.totals.wallets_fen += row.fen;
        self.newest_session = self.newest_session.max((row.req >> 32) as u32);
    }

    /// Takes a SET out of a book that was read from the journal, with what its users are invited to in this group, and
    /// leaves the rest.
    pub fn into_set(mut self, number: u32, machine: u16, wall_s: u64) -> Set {
        let own = self.invitations(machine).filter(|what| self.layout.set_of(what.user) == number);
        let own: Vec<_> = own.collect();
        for invitation in own {
            let _ = self.set_mut(number).invites.add(invitation, wall_s);
        }
        self.sets.into_iter().find(|set| set.number == number).expect("it is one of the group's")
    }

    /// Puts a SET, read from the journal up to the last row about it, in place of the one that is here.
    pub fn exchange(&mut self, set: Set, wall_s: u64) {
        let number = set.number;
        let old = std::mem::replace(self.set_mut(number), set);
        self.set_mut(number).invites.add_all_of(&old.invites, wall_s);
    }

    /// The SETs of this group whose tables a row is about.
    fn sets_of(&self, row: &Row) -> [Option<u32>; 2] {
        let packet = match (row.debit, row.credit) {
            (Account::Packet(id), _) | (_, Account::Packet(id)) => {
                Some(u32::from(PacketId::from_u64(id).set))
            }
            _ => None,
        };
        let user = (row.user != 0 && self.has_user(row.user)).then(|| self.layout.set_of(row.user));
        [packet, user]
    }

    /// Position of the group that a delivery comes from.
    fn origin_of(&self, row: &Row) -> Option<usize> {
        match row.debit {
            Account::Clearing(from) if row.kind == Kind::Deliver => Some(from as usize),
            _ => None,
        }
    }

    /// Position of the order by which a row makes a packet.
    fn order_of(&self, row: &Row) -> Option<usize> {
        let is_made = matches!(row.kind, Kind::Mint | Kind::Send) && row.user == 0;
        let at = usize::try_from(row.req).ok()?.checked_sub(1)?;
        (is_made && at < self.orders.len()).then_some(at)
    }
}
