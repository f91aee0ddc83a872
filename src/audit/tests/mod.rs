//! Each rule is held by a ledger that keeps it, and by one that breaks it and nothing else.

mod between;
pub mod book;
pub mod history;
mod life;
mod mutations;
pub mod rows;
mod tallies;
