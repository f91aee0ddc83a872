//! What happened between two moments.

use super::{Count, Counts};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// What happened between two samples, of all sources together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Second {
    /// Its end, in ms since 1970.
    pub wall_ms: u64,
    /// Its end, in s since the first sample.
    pub at_s: f64,
    /// How long it was, in s.
    pub span_s: f64,
    /// How much of each there was.
    #[serde(skip)]
    pub counts: Counts,
    /// How much of each there was in a second. A source that was away for some of them has its own, longer time.
    pub per_s: Counts,
    /// What the servers dropped or refused, by reason; reasons that grew.
    pub drops: BTreeMap<String, u64>,
    /// Latencies.
    pub waits: Waits,
    /// What does not only grow, at its end.
    pub gauges: Gauges,
    /// Whether the UDP figures are the AF_XDP engine's, because the kernel does not see its datagrams.
    pub is_xdp: bool,
    /// The interfaces whose packets are counted.
    pub interfaces: Vec<String>,
}

impl Second {
    /// The interfaces whose packets are counted, in a few words; of many only how many they are. Empty if none is.
    pub fn interface_names(&self) -> String {
        match self.interfaces.as_slice() {
            [_, _, _, _, ..] => format!("{} interfaces", self.interfaces.len()),
            few => few.join(", "),
        }
    }
}

/// Datagrams lost, by place, in one second or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// At the card.
    pub nic: f64,
    /// Between driver and protocols.
    pub softnet: f64,
    /// At a socket.
    pub socket: f64,
    /// By the server, for a reason that it names.
    pub us: f64,
}

impl Losses {
    /// Those among all counts.
    pub fn of(counts: &Counts) -> Losses {
        Losses {
            nic: counts[Count::LostNic],
            softnet: counts[Count::LostSoftnet],
            socket: counts[Count::LostSocket],
            us: counts[Count::LostUs],
        }
    }
}

/// Latencies of one second, by who measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waits {
    /// Clients: from the intended send time to the answer.
    pub client: Option<Spread>,
    /// Server: from the kernel's receipt to a worker's taking it.
    pub queueing: Option<Spread>,
    /// Server: from there to the answer.
    pub service: Option<Spread>,
    /// Server: promises that waited for the disk.
    pub ledger: Option<Spread>,
}

impl Waits {
    /// The one that says most of what users felt, and who measured it.
    pub fn nearest_to_users(&self) -> Option<(&'static str, Spread)> {
        let client = self.client.map(|spread| ("client", spread));
        client.or_else(|| self.service.map(|spread| ("service", spread)))
    }
}

/// How values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Half of them took no longer, in ns.
    pub p50_ns: u64,
    /// 99 of 100 took no longer, in ns.
    pub p99_ns: u64,
    /// The longest, in ns.
    pub max_ns: u64,
}

impl Spread {
    /// Of a histogram; `None` of an empty one.
    pub fn of(histogram: &Histogram<u64>) -> Option<Spread> {
        (!histogram.is_empty()).then(|| Spread {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            max_ns: histogram.max(),
        })
    }
}

/// What does not only grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gauges {
    /// Servers that answered.
    pub servers: usize,
    /// Clients that answered.
    pub clients: usize,
    /// Live sessions, at the servers; at the clients if no server was asked.
    pub sessions: u64,
    /// Packets in the pools.
    pub pool_packets: u64,
    /// What they hold, in fen.
    pub pool_fen: u64,
    /// The highest load level.
    pub load_level: u64,
    /// The highest level of service.
    pub service_level: u64,
    /// Its name.
    pub service: String,
    /// What is given up.
    pub off: Vec<String>,
    /// SETs that nobody can join.
    pub sets_draining: u64,
    /// SETs that have panicked.
    pub sets_masked: u64,
    /// Groups whose journals have failed.
    pub groups_failed: u64,
    /// The rate that the clients are to reach.
    pub target_qps: f64,
    /// The clients' users.
    pub users: u64,
    /// What the clients do: `joining`, `running`, `draining`, `done`; the least far of several.
    pub phase: String,
    /// By worker, of all servers one after another.
    pub workers: Vec<WorkerGauge>,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WorkerGauge {
    /// The share of its core that it used, 0 to 1.
    pub cpu: f64,
    /// Its load level.
    pub load_level: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Datagrams in, a second.
    pub datagrams_in: f64,
}
