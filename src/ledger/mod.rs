//! The ledger: one group's append-only record of money.
//!
//! The core appends rows and keeps every answer that was decided from them until the last of them is
//! durable. What durable means is the backend's: [`Memory`] keeps nothing beyond the process.

#![forbid(unsafe_code)]

mod memory;

pub use memory::Memory;

/// An account of the double entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// The operator's: where minted money comes from.
    House,
    /// Packets in the pools, not won yet.
    Pool,
    /// Packets that were won and not opened yet.
    Won,
    /// A user's wallet.
    Wallet(u64),
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A packet was made for shaking: house → pool.
    Mint,
    /// A shake took a packet: pool → won.
    Win,
    /// A packet was opened: won → wallet.
    Open,
    /// A packet was opened again, by another req: nothing moves, but the req has got the first answer.
    OpenAgain,
}

/// One double entry: `fen` left `debit` and are in `credit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it leaves.
    pub debit: Account,
    /// Where it goes.
    pub credit: Account,
    /// How much, in fen.
    pub fen: u64,
    /// Why.
    pub kind: Kind,
    /// Whose request this is; 0 for the house.
    pub user: u64,
    /// Which request; 0 for the house.
    pub req: u64,
    /// Which packet.
    pub packet: u64,
    /// When, in ms since 1970.
    pub wall_ms: u64,
}

/// What the core needs of a group's ledger. Rows are numbered from 1 in the order they are appended.
pub trait Ledger {
    /// Whether `rows` more rows can be appended now. Asked before anything is changed, so that
    /// [`append`](Self::append) never has to refuse.
    fn has_room(&self, rows: usize) -> bool;

    /// Hands in a row and returns its number.
    fn append(&mut self, row: &Row) -> u64;

    /// The number of the last row that was handed in.
    fn last_row(&self) -> u64;

    /// The number up to which all rows are durable.
    fn durable_row(&mut self) -> u64;

    /// Commits so far.
    fn commits(&self) -> u64;
}
