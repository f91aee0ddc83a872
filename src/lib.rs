//! redpkt: a UDP datagram server for flash events.
//!
//! `docs/ARCHITECTURE.md` shows the way of a datagram and which module may import which.

pub mod audit;
pub mod capture;
pub mod cli;
pub mod control;
pub mod gate;
pub mod hdr;
pub mod ledger;
pub mod net;
pub mod page;
pub mod record;
pub mod set;
pub mod telemetry;
pub mod watch;
pub mod worker;

/// The commit this was built from.
pub const COMMIT: &str = env!("REDPKT_COMMIT");

/// What `--version` says: the program, its commit, and the version of the wire.
pub fn version() -> String {
    format!("{} ({COMMIT}, wire version {})", env!("CARGO_PKG_VERSION"), redpkt_proto::frame::VERSION)
}
