//! The audit: every rule on money, proved from the rows alone.
//!
//! It shares no code with what wrote the rows. Each group's rows go into a [`Group`], one thread for each;
//! [`judge`] then compares the groups with each other, and with what clients were told.
//! `docs/LEDGER.md` lists the rules.

#![forbid(unsafe_code)]

mod accounts;
mod clearing;
mod entry;
mod group;
mod judge;
mod life;
mod orders;
mod packets;
mod report;
mod requests;
mod rule;
mod split;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use entry::Place;
pub use group::{Group, Tip};
pub use judge::judge;
pub use report::Report;
pub use rule::{Difference, Differences, Rule};
pub use tally::{Tallies, TallySums};
