//! The core: what redpkt does with a datagram, without sockets, threads, clocks or OS randomness.
//!
//! A [`Core`] is one worker's share of the SETs. It is given batches of datagrams and answers them in
//! place; answers about money come out later, once the ledger has them. Time and randomness are
//! arguments, so a test feeds frames and reads what comes out.

mod accounts;
mod config;
mod core;
mod counters;
mod handshake;
mod hardware;
mod index;
mod lanes;
mod mint;
mod packets;
mod promises;
mod rate;
mod requests;
mod sessions;
#[cfg(test)]
mod tests;
mod window;

pub use self::core::{Core, Job, SetStats};
pub use accounts::ANSWER_FEN_MAX;
pub use config::{Capacity, Config};
pub use counters::{Counters, Drop};
pub use hardware::{Hardware, LANES, Portable};
pub use index::RECORDS_MAX;
pub use mint::{MintOrder, MintProgress, ORDERS_MAX};
