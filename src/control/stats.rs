//! `GET /stats.json`: the figures of all workers, added up. Field names are a contract with scripts.

use super::conservation::Conservation;
use super::orders::OrderReport;
use super::rates::Rates;
use super::service::ServiceStats;
use crate::capture::CaptureStats;
use crate::set::Drop;
use crate::telemetry::{self, machine::Machine};
use crate::worker::{GroupSnapshot, LONGEST, SetSnapshot, Stall, WorkerSnapshot};
use redpkt_proto::steer::Layout;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// `server`: load clients tell their figures in the same way.
    pub kind: &'static str,
    /// Now, in ms since 1970.
    pub wall_ms: u64,
    /// Since the start.
    pub uptime_s: f64,
    /// Live sessions.
    pub sessions: u64,
    /// Requests answered in the last second.
    pub qps: f64,
    /// Datagrams that came in the last second, at our sockets.
    pub pps_in: f64,
    /// Datagrams that went out in the last second, at our sockets.
    pub pps_out: f64,
    /// Frames in.
    pub frames_in: u64,
    /// Frames out.
    pub frames_out: u64,
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Datagrams out.
    pub datagrams_out: u64,
    /// Requests answered.
    pub answers: u64,
    /// Requests that got the answer they had got before.
    pub repeated: u64,
    /// Sessions that began.
    pub joins: u64,
    /// Sessions that ended because they were idle.
    pub idle_ended: u64,
    /// Sessions that proved a new address.
    pub path_changes: u64,
    /// What was dropped or refused, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Datagrams that one worker gave to another.
    pub handed_over: u64,
    /// Shakes by outcome.
    pub shake: ShakeStats,
    /// Opens by outcome.
    pub open: OpenStats,
    /// Packets that users made for others.
    pub sends: u64,
    /// Users that were invited by others to what is left of a packet.
    pub shares: u64,
    /// Shares that were claimed.
    pub grabs: u64,
    /// Sends, shares and grabs that were refused.
    pub refused: u64,
    /// Invitations by what became of them.
    pub invites: InviteStats,
    /// Messages for the backend by what became of them.
    pub relay: RelayStats,
    /// What was dropped as `prefix`, by why.
    pub prefix: PrefixStats,
    /// Packets whose time was over before they were empty.
    pub expired: u64,
    /// What went back from them, in fen.
    pub returned_fen: u64,
    /// Answers that could not be made durable.
    pub outcome_unknown: u64,
    /// Packets in the pools.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
    /// The highest load level of a worker: 16 × log2 of the queueing time in µs.
    pub load_level: u64,
    /// The ledger.
    pub ledger: LedgerStats,
    /// The running check that no fen is made or lost.
    pub conservation: Conservation,
    /// Orders to make packets.
    pub orders: Vec<OrderReport>,
    /// Turns of workers that took long.
    pub stalls: StallStats,
    /// By SET.
    pub sets: Vec<SetStats>,
    /// By group.
    pub groups: Vec<GroupStats>,
    /// By worker.
    pub workers: Vec<WorkerStats>,
    /// How datagrams move.
    pub io: IoStats,
    /// What is written of the traffic; `null` if nothing is.
    pub capture: Option<CaptureStats>,
    /// What the kernel and the drivers count where this process is.
    pub machine: Machine,
    /// What is given up because of load, or by hand.
    pub service: ServiceStats,
    /// Bytes of the process in memory.
    pub rss_bytes: u64,
    /// The version of the program.
    pub version: String,
}

/// Shakes by outcome.
#[derive(Debug, Serialize)]
pub struct ShakeStats {
    /// Won nothing.
    pub miss: u64,
    /// Won a packet.
    pub win: u64,
}

/// Opens by outcome.
#[derive(Debug, Serialize)]
pub struct OpenStats {
    /// Took money.
    pub ok: u64,
    /// Found nothing to take.
    pub empty: u64,
    /// What was taken, in fen.
    pub fen: u64,
}

/// Invitations by what became of them.
#[derive(Debug, Serialize)]
pub struct InviteStats {
    /// Pushed to users, each time.
    pub pushed: u64,
    /// Without room, and not told.
    pub lost: u64,
}

/// Messages for the backend by what became of them.
#[derive(Debug, Serialize)]
pub struct RelayStats {
    /// Sent to the backend.
    pub sent: u64,
    /// Answered by it, and told to who has asked.
    pub answered: u64,
    /// Answered Busy or NotDone at once.
    pub refused: u64,
    /// Not answered by it in time, and answered Busy.
    pub expired: u64,
    /// Answered by it, when who has asked had no session any more, another one, or another address.
    pub undelivered: u64,
    /// What came from it and answers nothing that was asked: late, twice, or forged.
    pub unasked: u64,
    /// What came from it and is no answer.
    pub malformed: u64,
    /// Not sent: the kernel did not take it.
    pub send_error: u64,
    /// How often the network said that it cannot be reached.
    pub unreachable: u64,
}

/// What was dropped because a source prefix has had its share, by why.
#[derive(Debug, Serialize)]
pub struct PrefixStats {
    /// HELLOs and JOINs that were not looked at: under load, faster than `--prefix-joins`.
    pub unread: u64,
    /// Sessions that did not begin: faster than `--prefix-joins`.
    pub joins: u64,
    /// Sessions that did not begin, or not move there: more than `--prefix-sessions`.
    pub sessions: u64,
}

/// The ledger, all groups together.
#[derive(Debug, Serialize)]
pub struct LedgerStats {
    /// Rows.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// `ok`, `failed` if a group has, `memory` where nothing is kept.
    pub state: &'static str,
}

/// Turns of the workers' loops of more than 1 ms, for which none of their users was answered.
#[derive(Debug, Serialize)]
pub struct StallStats {
    /// How many.
    pub count: u64,
    /// How long together, in ns.
    pub total_ns: u64,
    /// The longest ones, longest first.
    pub longest: Vec<StallFound>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct StallFound {
    /// Which worker.
    pub worker: u32,
    /// When it ended, in ms since 1970.
    pub wall_ms: u64,
    /// How long it was.
    pub ns: u64,
    /// What it came from: `receive`, `batch`, `turn`, `publish`, `command` or `no_processor`.
    pub cause: &'static str,
}

/// One SET.
#[derive(Debug, Serialize)]
pub struct SetStats {
    /// Its number.
    pub set: u32,
    /// Its group.
    pub group: u32,
    /// Live sessions.
    pub sessions: u64,
    /// Accounts in use.
    pub accounts: u64,
    /// Packets in the pool.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
    /// `ok`, `draining` or `masked`. Of one that is masked accounts and pool are not told.
    pub state: &'static str,
    /// Whether it is masked and `POST /sets/N/rebuild` can put it back to work now.
    pub can_be_rebuilt: bool,
}

/// One group.
#[derive(Debug, Serialize)]
pub struct GroupStats {
    /// Its number.
    pub group: u32,
    /// Its worker.
    pub worker: u32,
    /// Live sessions.
    pub sessions: u64,
    /// Packets in the pools.
    pub pool_packets: u64,
    /// `ok` or `failed`.
    pub state: &'static str,
    /// Whether it has failed and `POST /groups/N/rebuild` can put it back to work.
    pub can_be_rebuilt: bool,
    /// Rows written.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// Answers that wait for the disk.
    pub waiting: u64,
    /// What the house has put in less what it has taken out, in fen.
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

/// One worker.
#[derive(Debug, Serialize)]
pub struct WorkerStats {
    /// CPU time of its thread, in ns.
    pub cpu_ns: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Datagrams out.
    pub datagrams_out: u64,
    /// Frames in.
    pub frames_in: u64,
    /// Datagrams given to the workers that own their users.
    pub handed_over: u64,
    /// Its load level.
    pub load_level: u64,
    /// System calls that receive.
    pub recv_calls: u64,
    /// System calls that send.
    pub send_calls: u64,
    /// Times it went to sleep.
    pub sleeps: u64,
    /// Panics of its SETs, each of which masked its SET.
    pub panics: u64,
}

/// How datagrams move.
#[derive(Clone, Debug, Serialize)]
pub struct IoStats {
    /// The engine in use.
    pub engine: &'static str,
    /// Whether the kernel brings datagrams to their owner.
    pub steering: bool,
    /// Bytes of a socket's receive buffer, as granted.
    pub recv_buffer_bytes: u64,
    /// Why this engine and no other, where `--io auto` chose.
    pub why: Option<String>,
    /// The AF_XDP side, where the engine is `xdp`.
    pub xdp: Option<XdpStats>,
}

/// What AF_XDP was got.
#[derive(Clone, Debug, Serialize)]
pub struct XdpStats {
    /// The interface.
    pub interface: String,
    /// Its driver.
    pub driver: String,
    /// Its receive queues, all of which are taken.
    pub queues: u32,
    /// `native` or `generic`.
    pub mode: &'static str,
    /// Whether the NIC reads and writes our memory; else the kernel copies.
    pub zero_copy: bool,
    /// Queues given up since the start, because the interface has gone.
    pub queues_lost: u64,
    /// The addresses whose datagrams come past the kernel's stack.
    pub taken: Vec<SocketAddr>,
}

/// Everything that figures come from.
pub struct Sources<'a> {
    /// Since the start, in seconds.
    pub uptime_s: f64,
    /// The last second.
    pub rates: Rates,
    /// What each worker published.
    pub workers: &'a [WorkerSnapshot],
    /// What was published of each SET.
    pub sets: Vec<(u32, SetSnapshot)>,
    /// What was published of each group.
    pub groups: Vec<(u32, GroupSnapshot)>,
    /// Whether money is gone with the process.
    pub is_memory: bool,
    /// The last check of conservation.
    pub conservation: Conservation,
    /// How SETs are divided.
    pub layout: Layout,
    /// Orders.
    pub orders: Vec<OrderReport>,
    /// How datagrams move.
    pub io: IoStats,
    /// What is written of the traffic.
    pub capture: Option<CaptureStats>,
    /// What the kernel and the drivers count.
    pub machine: Machine,
    /// What is given up.
    pub service: ServiceStats,
}

impl Stats {
    /// Adds everything up.
    pub fn collect(sources: Sources<'_>) -> Stats {
        let Sources { uptime_s, rates, workers, mut sets, layout, orders, mut io, machine, service, .. } =
            sources;
        let groups = groups(&sets, &sources.groups, layout);
        let sum = |field: fn(&WorkerSnapshot) -> u64| workers.iter().map(field).sum::<u64>();
        if let Some(xdp) = &mut io.xdp {
            xdp.queues_lost = queues_lost(workers);
        }
        sets.sort_by_key(|(set, _)| *set);
        Stats {
            kind: "server",
            wall_ms: telemetry::wall_ms(),
            uptime_s,
            sessions: sum(|worker| worker.sessions),
            qps: rates.qps,
            pps_in: rates.pps_in,
            pps_out: rates.pps_out,
            frames_in: sum(|worker| worker.core.frames_in),
            frames_out: sum(|worker| worker.core.frames_out),
            datagrams_in: sum(|worker| worker.net.datagrams_in),
            datagrams_out: sum(|worker| worker.net.datagrams_out),
            answers: sum(|worker| worker.core.answers),
            repeated: sum(|worker| worker.core.repeated),
            joins: sum(|worker| worker.core.joins),
            idle_ended: sum(|worker| worker.core.idle_ended),
            path_changes: sum(|worker| worker.core.path_changes),
            drops: drops(workers),
            handed_over: sum(|worker| worker.handed_over),
            shake: ShakeStats {
                miss: sum(|worker| worker.core.shake_miss),
                win: sum(|worker| worker.core.shake_win),
            },
            open: OpenStats {
                ok: sum(|worker| worker.core.open_ok),
                empty: sum(|worker| worker.core.open_empty),
                fen: sum(|worker| worker.core.open_fen),
            },
            sends: sum(|worker| worker.core.sends),
            shares: sum(|worker| worker.core.shares),
            grabs: sum(|worker| worker.core.grabs),
            refused: sum(|worker| worker.core.refused),
            invites: InviteStats {
                pushed: sum(|worker| worker.core.invites_pushed),
                lost: sum(|worker| worker.core.invites_lost),
            },
            relay: RelayStats {
                sent: sum(|worker| worker.backend.sent),
                answered: sum(|worker| worker.core.relay.answered),
                refused: sum(|worker| worker.core.relay.refused),
                expired: sum(|worker| worker.core.relay.expired),
                undelivered: sum(|worker| worker.core.relay.undelivered),
                unasked: sum(|worker| worker.core.relay.unasked),
                malformed: sum(|worker| worker.core.relay.malformed),
                send_error: sum(|worker| worker.backend.send_error),
                unreachable: sum(|worker| worker.backend.unreachable),
            },
            prefix: PrefixStats {
                unread: sum(|worker| worker.core.prefix_unread),
                joins: sum(|worker| worker.core.prefix_joins),
                sessions: sum(|worker| worker.core.prefix_sessions),
            },
            expired: sum(|worker| worker.core.expired),
            returned_fen: sum(|worker| worker.core.returned_fen),
            outcome_unknown: sum(|worker| worker.core.outcome_unknown),
            pool_packets: sum(|worker| worker.pool_packets),
            pool_fen: sum(|worker| worker.pool_fen),
            load_level: workers.iter().map(|worker| worker.load_level).max().unwrap_or(0),
            ledger: LedgerStats {
                rows: groups.iter().map(|group| group.rows).sum(),
                durable_rows: groups.iter().map(|group| group.durable_rows).sum(),
                commits: groups.iter().map(|group| group.commits).sum(),
                state: match sources.is_memory {
                    true => "memory",
                    false if groups.iter().any(|group| group.state != OK) => FAILED,
                    false => OK,
                },
            },
            conservation: sources.conservation,
            orders,
            groups,
            stalls: StallStats::of(workers),
            sets: sets.iter().map(|(set, snapshot)| SetStats::new(*set, snapshot, layout)).collect(),
            workers: workers.iter().map(WorkerStats::new).collect(),
            io,
            capture: sources.capture,
            machine,
            service,
            rss_bytes: telemetry::resident_bytes().unwrap_or(0),
            version: crate::version(),
        }
    }
}

/// Receive queues that workers have given up, because their interface has gone.
pub fn queues_lost(workers: &[WorkerSnapshot]) -> u64 {
    workers.iter().map(|worker| worker.net.queues_lost).sum()
}

/// Drops of all workers by reason: the core's, the engines', and the rings' between workers.
pub fn drops(workers: &[WorkerSnapshot]) -> BTreeMap<&'static str, u64> {
    let mut drops = BTreeMap::new();
    for worker in workers {
        for reason in Drop::ALL {
            *drops.entry(reason.name()).or_insert(0) += worker.core.dropped(reason);
        }
        for (name, count) in [
            ("length", worker.net.length),
            ("version", worker.net.version),
            ("malformed", worker.net.malformed),
            ("checksum", worker.net.checksum),
            ("truncated", worker.net.truncated),
            ("source", worker.net.source),
            ("rxq_overflow", worker.net.rxq_overflow),
            ("shed_in_kernel", worker.net.shed),
            ("send_error", worker.net.send_error),
            ("send_timeout", worker.net.send_timeout),
            ("recv_error", worker.net.recv_error),
            ("ring_full", worker.ring_full),
        ] {
            *drops.entry(name).or_insert(0) += count;
        }
    }
    drops
}

impl StallStats {
    fn of(workers: &[WorkerSnapshot]) -> StallStats {
        let of_worker = |(number, worker): (u32, &WorkerSnapshot)| {
            let found = move |stall: Stall| StallFound {
                worker: number,
                wall_ms: stall.wall_ms,
                ns: stall.ns,
                cause: stall.cause().name(),
            };
            worker.stalls.longest.into_iter().filter(|stall| stall.ns > 0).map(found)
        };
        let mut longest: Vec<StallFound> = (0..).zip(workers).flat_map(of_worker).collect();
        longest.sort_by_key(|stall| std::cmp::Reverse(stall.ns));
        longest.truncate(LONGEST);
        StallStats {
            count: workers.iter().map(|worker| worker.stalls.count).sum(),
            total_ns: workers.iter().map(|worker| worker.stalls.total_ns).sum(),
            longest,
        }
    }
}

impl SetStats {
    fn new(set: u32, snapshot: &SetSnapshot, layout: Layout) -> SetStats {
        let SetSnapshot { sessions, accounts, pool_packets, pool_fen, .. } = *snapshot;
        SetStats {
            set,
            group: layout.group_of(set),
            sessions,
            accounts,
            pool_packets,
            pool_fen,
            state: snapshot.state().name(),
            can_be_rebuilt: snapshot.can_be_rebuilt != 0,
        }
    }
}

impl WorkerStats {
    fn new(worker: &WorkerSnapshot) -> WorkerStats {
        WorkerStats {
            cpu_ns: worker.cpu_ns,
            sessions: worker.sessions,
            datagrams_in: worker.net.datagrams_in,
            datagrams_out: worker.net.datagrams_out,
            frames_in: worker.core.frames_in,
            handed_over: worker.handed_over,
            load_level: worker.load_level,
            recv_calls: worker.net.recv_calls,
            send_calls: worker.net.send_calls,
            sleeps: worker.net.sleeps,
            panics: worker.core.panics,
        }
    }
}

const OK: &str = "ok";
const FAILED: &str = "failed";

fn groups(
    sets: &[(u32, SetSnapshot)],
    published: &[(u32, GroupSnapshot)],
    layout: Layout,
) -> Vec<GroupStats> {
    let mut groups: Vec<GroupStats> = published
        .iter()
        .map(|(group, snapshot)| GroupStats {
            group: *group,
            worker: group % layout.workers,
            sessions: 0,
            pool_packets: 0,
            state: if snapshot.has_failed == 0 { OK } else { FAILED },
            can_be_rebuilt: snapshot.can_be_rebuilt != 0,
            rows: snapshot.rows,
            durable_rows: snapshot.durable_rows,
            commits: snapshot.commits,
            waiting: snapshot.promises,
            house_fen: snapshot.house_fen,
            packets_fen: snapshot.packets_fen,
            wallets_fen: snapshot.wallets_fen,
            cleared_out_fen: snapshot.cleared_out_fen,
            cleared_in_fen: snapshot.cleared_in_fen,
        })
        .collect();
    groups.sort_by_key(|group| group.group);
    for (set, snapshot) in sets {
        let group = &mut groups[layout.group_of(*set) as usize];
        group.sessions += snapshot.sessions;
        group.pool_packets += snapshot.pool_packets;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_the_sum_of_its_sets() {
        let layout = Layout { sets: 8, groups: 3, workers: 2 };
        let snapshot = |set: u32| SetSnapshot {
            sessions: u64::from(set),
            pool_packets: 10 * u64::from(set),
            ..SetSnapshot::default()
        };
        let sets: Vec<(u32, SetSnapshot)> = (0..8).map(|set| (set, snapshot(set))).collect();
        let of = |group: &GroupStats| (group.group, group.worker, group.sessions, group.pool_packets);
        let published: Vec<_> = (0..3).map(|group| (group, GroupSnapshot::default())).collect();
        let found: Vec<_> = groups(&sets, &published, layout).iter().map(of).collect();
        // 0 + 3 + 6, 1 + 4 + 7, 2 + 5.
        assert_eq!(found, [(0, 0, 9, 90), (1, 1, 12, 120), (2, 0, 7, 70)]);
    }
}
