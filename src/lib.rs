//! redpkt: a UDP datagram server for flash events.
//!
//! `docs/ARCHITECTURE.md` shows the way of a datagram and which module may import which.

pub mod ledger;
pub mod set;
