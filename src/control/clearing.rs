//! What the journals owe each other: money on its way, orders that not all have written, invitations.

use super::orders::Orders;
use super::recover::{Read, RecoverError};
use crate::ledger::sqlite::{LedgerError, Reader};
use crate::ledger::{AnyLedger, Ledger as _};
use crate::set::book::Book;
use crate::set::links::Delivery;
use crate::set::order_row;
use crate::worker::Clock;
use std::time::Duration;

/// By group: the money that has left other groups for its users and has not come, in the order it left each.
pub fn on_its_way(reads: &[Read], readers: &[Reader]) -> Result<Vec<Vec<Delivery>>, LedgerError> {
    let mut all: Vec<Vec<Delivery>> = reads.iter().map(|_| Vec::new()).collect();
    for (from, reader) in reads.iter().zip(readers) {
        for (to, deliveries) in reads.iter().zip(&mut all) {
            let (from_group, to_group) = (from.book.group(), to.book.group());
            let has_come = to.book.delivered(from_group);
            if from.owed_up_to[to_group as usize] > has_come {
                deliveries.extend(owed(reader, to_group, has_come)?);
            }
        }
    }
    Ok(all)
}

/// Checks that every group still has the rows of which it has brought the money to others.
pub fn check_delivered(reads: &[Read]) -> Result<(), RecoverError> {
    for from in reads {
        let (group, rows) = (from.book.group(), from.tip.map_or(0, |tip| tip.rows));
        for to in reads {
            let row = to.book.delivered(group);
            if row > rows {
                return Err(RecoverError::Shortened { group, rows, row, to: to.book.group() });
            }
        }
    }
    Ok(())
}

/// What a journal owes to the users of group `to` beyond what `has_come`.
pub fn owed(reader: &Reader, to: u32, has_come: u64) -> Result<impl Iterator<Item = Delivery>, LedgerError> {
    let group = reader.group();
    let rows = reader.owed(to, has_come)?;
    Ok(rows.into_iter().map(move |(number, row)| Delivery {
        user: row.user,
        req: row.req,
        packet: row.packet,
        fen: row.fen,
        group,
        row: number,
    }))
}

/// Writes what has come from other groups into a group's book and ledger, at time `wall_ms`.
pub fn deliver(
    book: &mut Book,
    ledger: &mut AnyLedger,
    deliveries: &[Delivery],
    wall_ms: u64,
) -> Result<(), RecoverError> {
    let (group, mut fen) = (book.group(), 0);
    for delivery in deliveries {
        while ledger.room() == 0 {
            ledger.flush();
            std::thread::sleep(Duration::from_micros(200));
            if ledger.has_failed() {
                return Err(RecoverError::Delivery(group));
            }
        }
        let row = delivery.row(wall_ms);
        let fails =
            |error| RecoverError::Row { file: "what it is owed".into(), group, row: delivery.row, error };
        book.apply(&row, None).map_err(fails)?;
        ledger.append(&row);
        fen += delivery.fen;
    }
    ledger.flush();
    if !deliveries.is_empty() {
        tracing::info!(group, rows = deliveries.len(), fen, "money on its way from other groups has come");
    }
    Ok(())
}

/// Gives a group, at time `wall_ms`, the orders and the changes of orders that only others had written when the
/// server ended.
pub fn catch_up(
    orders: &Orders,
    book: &mut Book,
    ledger: &mut AnyLedger,
    wall_ms: u64,
) -> Result<(), RecoverError> {
    for (number, note) in orders.missing(book) {
        let (row, group) = (order_row(number, wall_ms), book.group());
        let fails = |error| RecoverError::Row { file: "orders of others".into(), group, row: 0, error };
        let note = serde_json::to_string(&note).expect("an order is written as JSON");
        book.apply(&row, Some(&note)).map_err(fails)?;
        ledger.append_noted(&row, &note);
        tracing::info!(group, number, "an order that only other groups had written is taken here too");
    }
    Ok(())
}

/// Waits until everything that was appended is durable.
pub fn wait_durable(group: u32, ledger: &mut AnyLedger) -> Result<(), RecoverError> {
    ledger.flush();
    while ledger.durable_row() < ledger.last_row() {
        if ledger.has_failed() {
            return Err(RecoverError::Delivery(group));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Puts every invitation that is still good into the SET of who is invited.
pub fn tell_invitations(machine: u16, reads: &mut [Read]) {
    let wall_s = Clock::new().now().wall_s();
    let mut lost = 0u64;
    for from in 0..reads.len() {
        let invitations: Vec<_> = reads[from].book.invitations(machine).collect();
        for invitation in invitations.into_iter().filter(|what| wall_s < u64::from(what.expiry_s)) {
            let to = reads[from].book.group_of_user(invitation.user) as usize;
            let set = reads[to].book.set_of_user(invitation.user);
            lost += u64::from(set.invites.add(invitation, wall_s).is_none());
        }
    }
    if lost > 0 {
        tracing::warn!(lost, "invitations found no room and are not told again: more --members");
    }
}
