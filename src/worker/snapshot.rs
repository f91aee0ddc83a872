//! What a worker publishes about itself, some times a second.

use crate::net;
use crate::set;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One worker's totals since the start, and its state now.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WorkerSnapshot {
    /// What the core counts.
    pub core: set::Counters,
    /// What the engine counts.
    pub net: net::Counters,
    /// Datagrams given to the workers that own their users.
    pub handed_over: u64,
    /// Datagrams that could not be given over: a ring was full.
    pub ring_full: u64,
    /// Datagrams taken from other workers.
    pub taken_over: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Packets in the pools.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
    /// The load level that answers carry.
    pub load_level: u64,
    /// Rows of the ledgers of its groups.
    pub ledger_rows: u64,
    /// Commits of the ledgers of its groups.
    pub ledger_commits: u64,
    /// CPU time of the worker's thread, in ns.
    pub cpu_ns: u64,
    /// Progress of each order: packets, fen, passed by.
    pub orders: [[u64; 3]; set::ORDERS_MAX],
}

/// One SET's state.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SetSnapshot {
    /// Live sessions.
    pub sessions: u64,
    /// Accounts in use.
    pub accounts: u64,
    /// Packets in the pool.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
}
