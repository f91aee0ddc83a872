//! What a worker publishes about itself, some times a second.

use super::stalls::Stalls;
use crate::gate::CLASSES;
use crate::net;
use crate::set::{self, SetState};
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout};

/// One worker's totals since the start, and its state now.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WorkerSnapshot {
    /// What the core counts.
    pub core: set::Counters,
    /// What the engine counts.
    pub net: net::Counters,
    /// What the way to the backend counts.
    pub backend: net::BackendCounters,
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
    /// The level of service.
    pub service_level: u64,
    /// What it gives up, a bit for each [`Switch`](super::Switch).
    pub service_off: u64,
    /// The share of each class's users who are worked for, in 1/2³².
    pub admitted: [u64; CLASSES],
    /// Rows of the ledgers of its groups.
    pub ledger_rows: u64,
    /// Commits of the ledgers of its groups.
    pub ledger_commits: u64,
    /// CPU time of the worker's thread, in ns.
    pub cpu_ns: u64,
    /// Turns that took long.
    pub stalls: Stalls,
    /// Progress of each order: packets, fen, passed by, groups that have looked at all its packets.
    pub orders: [[u64; 4]; set::book::ORDERS_MAX],
}

impl Default for WorkerSnapshot {
    fn default() -> Self {
        WorkerSnapshot::new_zeroed()
    }
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
    /// Whether it works: 0 ok, 1 draining, 2 masked. Of one that is masked accounts and pool are not told.
    pub state: u64,
    /// Whether it is masked and nothing of it is under way, so that it can be rebuilt: 0 or 1.
    pub can_be_rebuilt: u64,
}

impl SetSnapshot {
    /// What a core tells of one of its SETs.
    pub fn of(set: &set::SetStats) -> SetSnapshot {
        let set::SetStats { sessions, accounts, pool_packets, pool_fen, state, can_be_rebuilt, .. } = *set;
        SetSnapshot {
            sessions,
            accounts,
            pool_packets,
            pool_fen,
            state: state as u64,
            can_be_rebuilt: can_be_rebuilt.into(),
        }
    }

    /// Whether it works.
    pub fn state(&self) -> SetState {
        match self.state {
            0 => SetState::Ok,
            1 => SetState::Draining,
            _ => SetState::Masked,
        }
    }
}

/// One group's state.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GroupSnapshot {
    /// How often this was published: two publications later is surely newer than what is read now.
    pub publications: u64,
    /// Whether its money has stopped: 0 or 1.
    pub has_failed: u64,
    /// Whether it has, and nothing of it is under way, so that it can be rebuilt: 0 or 1.
    pub can_be_rebuilt: u64,
    /// Rows written.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// Answers that wait for them.
    pub promises: u64,
    /// What the house has put in and not taken out, in fen.
    pub house_fen: i64,
    /// In packets, in fen.
    pub packets_fen: u64,
    /// In wallets, in fen.
    pub wallets_fen: u64,
    /// Gone to other groups' users, in fen.
    pub cleared_out_fen: u64,
    /// Come from other groups' packets, in fen.
    pub cleared_in_fen: u64,
}

impl GroupSnapshot {
    /// What a core tells of one of its groups.
    pub fn of(group: &set::GroupStats, can_be_rebuilt: bool, publications: u64) -> GroupSnapshot {
        let set::GroupStats { has_failed, rows, durable_rows, commits, promises, totals, .. } = *group;
        GroupSnapshot {
            publications,
            has_failed: has_failed.into(),
            can_be_rebuilt: can_be_rebuilt.into(),
            rows,
            durable_rows,
            commits,
            promises,
            house_fen: totals.house_fen,
            packets_fen: totals.packets_fen,
            wallets_fen: totals.wallets_fen,
            cleared_out_fen: totals.cleared_out_fen,
            cleared_in_fen: totals.cleared_in_fen,
        }
    }
}
