//! The ledger: one group's append-only record of money.
//!
//! The core appends rows and keeps every answer that was decided from them until the last of them is
//! durable. What durable means is the backend's: [`sqlite::Journal`] keeps a file on disk, [`Memory`] nothing beyond the process,
//! and [`Simulated`] what a test says.

#![forbid(unsafe_code)]

mod any;
pub mod csv;
mod memory;
mod row;
mod simulated;
pub mod sqlite;

pub use any::AnyLedger;
pub use memory::Memory;
pub use row::{Account, Kind, Row, Terms};
pub use simulated::Simulated;

/// What the core needs of a group's ledger. Rows are numbered from 1 in the order they are appended.
pub trait Ledger {
    /// How many rows can be appended now. Asked before anything is changed, so that
    /// [`append`](Self::append) never has to refuse.
    fn room(&self) -> usize;

    /// Hands in a row and returns its number.
    fn append(&mut self, row: &Row) -> u64;

    /// Hands in a row of an order, a deposit or a withdrawal, with its note: at most
    /// [`NOTE_BYTES_MAX`] bytes. May allocate.
    fn append_noted(&mut self, row: &Row, note: &str) -> u64;

    /// The rows handed in are a turn's: they should be made durable now.
    fn flush(&mut self);

    /// The number of the last row that was handed in.
    fn last_row(&self) -> u64;

    /// The number up to which all rows are durable.
    fn durable_row(&mut self) -> u64;

    /// Whether a write or a sync has failed. That is final: rows after [`durable_row`](Self::durable_row)
    /// may or may not be there, and only the journal, read again, tells.
    fn has_failed(&self) -> bool;

    /// Commits so far.
    fn commits(&self) -> u64;
}

/// Bytes of a note.
pub const NOTE_BYTES_MAX: usize = 1_024;
