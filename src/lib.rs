//! redpkt: a UDP datagram server for flash events.
//!
//! `docs/ARCHITECTURE.md` shows the way of a datagram and which module may import which.

pub mod cli;
pub mod control;
pub mod ledger;
pub mod net;
pub mod set;
pub mod telemetry;
pub mod worker;

/// The version of this program, with the commit it was built from and the version of the wire.
pub const VERSION: &str = env!("REDPKT_VERSION");
