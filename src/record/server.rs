//! What of a server's `/stats.json` is kept. Names are the contract's; what is missing is 0.

use crate::telemetry::machine::Machine;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A server's figures at one moment. Totals since its start, where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerReading {
    /// When it was read, in ms since 1970, by the server's clock.
    pub wall_ms: u64,
    /// Since its start.
    pub uptime_s: f64,
    /// The version of the program.
    pub version: String,
    /// Live sessions, now.
    pub sessions: u64,
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
    /// Datagrams that one worker gave to another.
    pub handed_over: u64,
    /// What was dropped or refused, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Shakes by outcome.
    pub shake: Shakes,
    /// Opens by outcome.
    pub open: Opens,
    /// Packets that users made for others.
    pub sends: u64,
    /// Users that were invited by others.
    pub shares: u64,
    /// Shares that were claimed.
    pub grabs: u64,
    /// Invitations.
    pub invites: Invites,
    /// Packets whose time was over before they were empty.
    pub expired: u64,
    /// Packets in the pools, now.
    pub pool_packets: u64,
    /// What they hold, in fen, now.
    pub pool_fen: u64,
    /// Orders to make packets, added up.
    pub orders: Orders,
    /// The ledger.
    pub ledger: LedgerReading,
    /// The running check of money.
    pub conservation: ConservationReading,
    /// The highest load level of a worker, now.
    pub load_level: u64,
    /// What is given up, now.
    pub service: ServiceReading,
    /// How many SETs are in which state, now.
    pub sets: SetStates,
    /// By group, now.
    pub groups: Vec<GroupReading>,
    /// By worker.
    pub workers: Vec<WorkerReading>,
    /// Times that a worker stood still.
    pub stalls: Stalls,
    /// How datagrams move.
    pub io: IoReading,
    /// What the kernel and the drivers count where it is.
    pub machine: Machine,
    /// Bytes in memory, now.
    pub rss_bytes: u64,
}

/// Shakes by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shakes {
    /// Won nothing.
    pub miss: u64,
    /// Won a packet.
    pub win: u64,
}

/// Opens by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opens {
    /// Took money.
    pub ok: u64,
    /// Found nothing to take.
    pub empty: u64,
    /// What was taken, in fen.
    pub fen: u64,
}

/// Invitations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invites {
    /// Pushed to users, each time.
    pub pushed: u64,
    /// Without room, and not told.
    pub lost: u64,
}

/// Orders to make packets, added up. A server tells a list of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OrdersAs")]
pub struct Orders {
    /// Packets made.
    pub minted: u64,
    /// What they hold, in fen.
    pub minted_fen: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Order {
    minted: u64,
    minted_fen: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OrdersAs {
    List(Vec<Order>),
    Sum(Order),
}

impl From<OrdersAs> for Orders {
    fn from(orders: OrdersAs) -> Orders {
        let list = match orders {
            OrdersAs::List(list) => list,
            OrdersAs::Sum(sum) => vec![sum],
        };
        Orders {
            minted: list.iter().map(|order| order.minted).sum(),
            minted_fen: list.iter().map(|order| order.minted_fen).sum(),
        }
    }
}

/// The ledger, all groups together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LedgerReading {
    /// Rows.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// `ok`, `failed` or `memory`.
    pub state: String,
}

/// The running check that no fen is made or lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConservationReading {
    /// Whether no check has ever failed.
    pub ok: bool,
    /// The first thing that was wrong.
    pub wrong: Option<String>,
}

/// What is given up because of load, or by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceReading {
    /// The highest level of a worker.
    pub level: u64,
    /// Its name.
    pub name: String,
    /// Whether it is kept to by hand.
    pub forced: bool,
    /// What is given up.
    pub off: Vec<String>,
    /// The share of each class's users that is worked for.
    pub admitted: BTreeMap<String, f64>,
    /// Datagrams refused unread, by class.
    pub shed: BTreeMap<String, u64>,
}

/// One group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupReading {
    /// Its number.
    pub group: u32,
    /// Live sessions.
    pub sessions: u64,
    /// `ok` or `failed`.
    pub state: String,
    /// Rows written.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// Answers that wait for the disk.
    pub waiting: u64,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReading {
    /// CPU time of its thread, in ns.
    pub cpu_ns: u64,
    /// Live sessions, now.
    pub sessions: u64,
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Its load level, now.
    pub load_level: u64,
}

/// Times that a worker stood still.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stalls {
    /// How many.
    pub count: u64,
    /// All of them together, in ns.
    pub total_ns: u64,
    /// The longest ones.
    pub longest: Vec<Stall>,
}

/// One of the longest stalls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stall {
    /// When, in ms since 1970.
    pub wall_ms: u64,
    /// How long, in ns.
    pub ns: u64,
    /// Whose.
    pub worker: u64,
    /// By what, if it is known.
    pub cause: Option<String>,
}

/// How datagrams move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoReading {
    /// `mmsg` or `xdp`.
    pub engine: String,
}

impl IoReading {
    /// Whether datagrams pass by the kernel's UDP, so that it does not count them.
    pub fn passes_kernel(&self) -> bool {
        self.engine == "xdp"
    }
}

/// How many SETs are in which state. A server tells a list of up to 65,536 SETs, of which no more is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SetStates {
    /// At work.
    pub ok: u64,
    /// That nobody can join.
    pub draining: u64,
    /// That have panicked.
    pub masked: u64,
}

impl SetStates {
    /// Counts states by their names.
    pub fn of<'name>(states: impl Iterator<Item = &'name str>) -> SetStates {
        let mut sum = SetStates::default();
        states.for_each(|state| sum.count(state));
        sum
    }

    fn count(&mut self, state: &str) {
        match state {
            "draining" => self.draining += 1,
            "masked" => self.masked += 1,
            _ => self.ok += 1,
        }
    }
}

#[derive(Deserialize)]
struct SetState {
    #[serde(default)]
    state: String,
}

impl<'de> Deserialize<'de> for SetStates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SetStates, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SetStates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of SETs, or how many are in which state")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SetStates, A::Error> {
                let mut sum = SetStates::default();
                while let Some(SetState { state }) = list.next_element()? {
                    sum.count(&state);
                }
                Ok(sum)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SetStates, A::Error> {
                let mut sum = SetStates::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "ok" => sum.ok = map.next_value()?,
                        "draining" => sum.draining = map.next_value()?,
                        "masked" => sum.masked = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(sum)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: lists become sums, unknown fields and missing ones do no harm, and what was kept reads back the same.
    #[test]
    fn a_servers_answer_is_trimmed_and_comes_back() {
        let told = r#"{
            "kind": "server", "uptime_s": 3.5, "answers": 7, "future": {"a": [1]}, "drops": {"tag": 2},
            "sets": [{"set": 0, "state": "ok"}, {"set": 1, "state": "masked", "x": 1}, {"set": 2, "state": "draining"}],
            "orders": [{"id": "start", "minted": 5, "minted_fen": 50}, {"id": "b", "minted": 2, "minted_fen": 8}],
            "io": {"engine": "xdp", "steering": false}, "workers": [{"cpu_ns": 9, "sleeps": 1}]
        }"#;
        let reading: ServerReading = serde_json::from_str(told).unwrap();
        assert_eq!((reading.answers, reading.drops["tag"], reading.workers[0].cpu_ns), (7, 2, 9));
        assert_eq!(reading.sets, SetStates { ok: 1, draining: 1, masked: 1 });
        assert_eq!(reading.orders, Orders { minted: 7, minted_fen: 58 });
        assert!(reading.io.passes_kernel() && reading.stalls == Stalls::default());
        let kept = serde_json::to_string(&reading).unwrap();
        assert_eq!(serde_json::from_str::<ServerReading>(&kept).unwrap(), reading);
        let states = SetStates::of(["ok", "masked", "draining"].into_iter());
        assert_eq!(states, reading.sets);
    }
}
