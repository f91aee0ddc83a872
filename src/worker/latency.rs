//! How long requests take in a worker, by op.

use crate::set::Waited;
use crate::telemetry::Recorder;
use crate::telemetry::latencies::Latencies;
use hdrhistogram::Histogram;
use redpkt_proto::Op;
use std::collections::BTreeMap;

/// The ops whose requests are measured, and their names in figures.
const OPS: [(Op, &str); 11] = [
    (Op::Shake, "shake"),
    (Op::Open, "open"),
    (Op::Send, "send"),
    (Op::Share, "share"),
    (Op::Grab, "grab"),
    (Op::Balance, "balance"),
    (Op::History, "history"),
    (Op::Invites, "invites"),
    (Op::Relay, "relay"),
    (Op::Hello, "hello"),
    (Op::Join, "join"),
];

/// Where an op stands in [`OPS`]; by its number on the wire.
const PLACES: [u8; 32] = places();

const NOT_MEASURED: u8 = u8::MAX;

const fn places() -> [u8; 32] {
    let mut places = [NOT_MEASURED; 32];
    let mut at = 0;
    while at < OPS.len() {
        places[OPS[at].0 as usize] = at as u8;
        at += 1;
    }
    places
}

/// What a worker measures of its requests. It records, others read.
#[derive(Debug)]
pub struct WorkerLatencies {
    /// From the kernel's receiving of a batch's first datagram to the worker's taking of the batch.
    queueing: [Recorder; OPS.len()],
    /// From that to when the batch's answers are with the kernel, or its decisions with the ledger.
    service: [Recorder; OPS.len()],
    /// From a decision to when it is durable and its answer goes out.
    ledger_wait: [Recorder; OPS.len()],
    /// A turn of the worker's loop in which there was something to do.
    turn: Recorder,
}

impl WorkerLatencies {
    /// Without values.
    pub fn new() -> WorkerLatencies {
        let recorders = || std::array::from_fn(|_| Recorder::new());
        let (queueing, service, ledger_wait) = (recorders(), recorders(), recorders());
        WorkerLatencies { queueing, service, ledger_wait, turn: Recorder::new() }
    }

    /// So many requests of an op were taken in a batch and answered, or decided. `queued_ns` is not known of those that
    /// another worker has handed over.
    #[inline]
    pub fn served(&self, op: Op, count: u32, queued_ns: Option<u64>, service_ns: u64) {
        let place = usize::from(PLACES[op as usize % PLACES.len()]);
        if let (Some(queueing), Some(service)) = (self.queueing.get(place), self.service.get(place)) {
            if let Some(queued_ns) = queued_ns {
                queueing.record(queued_ns, count.into());
            }
            service.record(service_ns, count.into());
        }
    }

    /// Answers that have waited for the ledger go out.
    #[inline]
    pub fn waited(&self, waited: &Waited, now_ns: u64) {
        let place = usize::from(PLACES[waited.op as usize % PLACES.len()]);
        if let Some(ledger_wait) = self.ledger_wait.get(place) {
            ledger_wait.record(now_ns.saturating_sub(waited.since_ns), waited.count.into());
        }
    }

    /// A turn in which there was something to do has taken so long.
    #[inline]
    pub fn turned(&self, ns: u64) {
        self.turn.record(ns, 1);
    }

    /// Everything so far, by name: what is measured, and of which op.
    pub fn read(&self) -> Latencies {
        let mut all: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        let kinds =
            [("queueing", &self.queueing), ("service", &self.service), ("ledger_wait", &self.ledger_wait)];
        for (kind, recorders) in kinds {
            // A histogram is some hundred times as much memory as the buckets that have values.
            let named = recorders.iter().zip(OPS).filter(|(recorder, _)| !recorder.is_empty());
            all.extend(named.map(|(recorder, (_, op))| (format!("{kind}/{op}"), recorder.read())));
        }
        if !self.turn.is_empty() {
            all.insert("turn/worker".to_owned(), self.turn.read());
        }
        Latencies(all)
    }
}

impl Default for WorkerLatencies {
    fn default() -> Self {
        WorkerLatencies::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_what_is_measured_and_by_op() {
        let latencies = WorkerLatencies::new();
        latencies.served(Op::Shake, 31, Some(20_000), 60_000);
        latencies.served(Op::Open, 1, None, 60_000);
        latencies.served(Op::Keepalive, 5, Some(20_000), 60_000);
        latencies.waited(&Waited { op: Op::Open, since_ns: 1_000_000, count: 2 }, 4_000_000);
        let read = latencies.read();
        let counts: Vec<_> =
            read.0.iter().map(|(name, histogram)| (name.as_str(), histogram.len())).collect();
        let expected =
            [("ledger_wait/open", 2), ("queueing/shake", 31), ("service/open", 1), ("service/shake", 31)];
        assert_eq!(counts, expected);
        assert!(read.0["ledger_wait/open"].max().abs_diff(3_000_000) < 30_000);
    }
}
