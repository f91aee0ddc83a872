//! The core: what redpkt does with a datagram, without sockets, threads, clocks or OS randomness.
//!
//! A [`Core`] is one worker's share of the SETs. It is given batches of datagrams and answers them in
//! place; answers about money come out later, once the ledger has them. Time and randomness are
//! arguments, so a test feeds frames and reads what comes out.

#![forbid(unsafe_code)]

pub mod admission;
pub mod book;
mod config;
mod core;
mod counters;
#[cfg(test)]
pub(crate) mod fault;
#[cfg(not(test))]
mod fault;
mod handshake;
mod hardware;
mod headers;
mod index;
mod invites;
mod key_log;
mod lanes;
pub mod links;
mod mask;
mod mint;
mod operator;
pub mod prefixes;
mod promises;
mod pushes;
mod rate;
mod relay;
mod requests;
mod returns;
mod sessions;
mod settle;
#[cfg(test)]
mod tests;
mod timing;
mod window;

pub use self::book::ANSWER_FEN_MAX;
pub use self::core::{Beginning, Core, Job, SetStats};
pub use config::{Capacity, Config};
pub use counters::{Counters, Drop};
pub use hardware::{Hardware, LANES, Portable};
pub use index::RECORDS_MAX;
pub use invites::Invitation;
pub use key_log::KeyLog;
pub use mask::{Panicked, SetPart, SetState};
pub use operator::{Payment, order_row};
pub use relay::RelayCounters;
pub use settle::{Done, DoneOutcome, GroupStats};
pub use timing::{Handled, Waited, Waits};
