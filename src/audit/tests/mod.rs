//! Each rule is held by a ledger that keeps it, and by one that breaks it and nothing else.

mod between;
mod book;
mod history;
mod life;
mod mutations;
mod rows;
mod tallies;
