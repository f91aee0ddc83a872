//! The ledger that a server runs on, as its options say.

use super::sqlite::Journal;
use super::{Ledger, Memory, Row};

/// A group's ledger of either kind.
pub enum AnyLedger {
    /// `memory:`: gone with the process.
    Memory(Memory),
    /// `sqlite:DIR`: a journal on disk.
    Journal(Journal),
}

macro_rules! each {
    ($ledger:expr, $inner:ident => $do:expr) => {
        match $ledger {
            AnyLedger::Memory($inner) => $do,
            AnyLedger::Journal($inner) => $do,
        }
    };
}

impl Ledger for AnyLedger {
    fn room(&self) -> usize {
        each!(self, ledger => ledger.room())
    }

    fn append(&mut self, row: &Row) -> u64 {
        each!(self, ledger => ledger.append(row))
    }

    fn append_noted(&mut self, row: &Row, note: &str) -> u64 {
        each!(self, ledger => ledger.append_noted(row, note))
    }

    fn flush(&mut self) {
        each!(self, ledger => ledger.flush());
    }

    fn last_row(&self) -> u64 {
        each!(self, ledger => ledger.last_row())
    }

    fn durable_row(&mut self) -> u64 {
        each!(self, ledger => ledger.durable_row())
    }

    fn has_failed(&self) -> bool {
        each!(self, ledger => ledger.has_failed())
    }

    fn commits(&self) -> u64 {
        each!(self, ledger => ledger.commits())
    }
}
