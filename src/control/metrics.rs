//! `GET /metrics`: the figures for Prometheus, in the OpenMetrics text format. Few series, whatever the load: nothing
//! is told by user, SET or packet. docs/METRICS.md lists them.

use super::stats::Stats;
use crate::telemetry::latencies::Latencies;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// What the text is, for the HTTP header (OpenMetrics 1.0, "Text format").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the histograms' buckets, in s: three for each power of ten, from 10 µs to 1 s.
const BOUNDS_S: [f64; 16] = [
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
    0.5, 1.0,
];

/// The whole text.
pub fn text(stats: &Stats, latencies: &Latencies) -> String {
    let mut registry = Registry::with_prefix("redpkt");
    registry
        .register_collector(Box::new(Metrics { families: families(stats), latencies: latencies.clone() }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing into memory");
    text
}

/// All figures of one moment.
#[derive(Debug)]
struct Metrics {
    families: Vec<Family>,
    latencies: Latencies,
}

/// Series of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    is_counter: bool,
    series: Vec<(Labels, f64)>,
}

type Labels = Vec<(&'static str, String)>;

fn counter(name: &'static str, help: &'static str, series: Vec<(Labels, f64)>) -> Family {
    Family { name, help, unit: None, is_counter: true, series }
}

fn gauge(name: &'static str, help: &'static str, series: Vec<(Labels, f64)>) -> Family {
    Family { is_counter: false, ..counter(name, help, series) }
}

impl Family {
    fn in_unit(self, unit: Unit) -> Family {
        Family { unit: Some(unit), ..self }
    }
}

/// One series without labels.
fn one(value: impl Figure) -> Vec<(Labels, f64)> {
    vec![(Vec::new(), value.figure())]
}

/// A series for each value of one label.
fn by<N: Into<String>, V: Figure>(
    label: &'static str,
    values: impl IntoIterator<Item = (N, V)>,
) -> Vec<(Labels, f64)> {
    let series = |(name, value): (N, V)| (vec![(label, name.into())], value.figure());
    values.into_iter().map(series).collect()
}

/// Prometheus has no numbers but `f64`: exact up to 2^53.
trait Figure {
    fn figure(self) -> f64;
}

impl Figure for u64 {
    fn figure(self) -> f64 {
        self as f64
    }
}

impl Figure for f64 {
    fn figure(self) -> f64 {
        self
    }
}

impl Figure for bool {
    fn figure(self) -> f64 {
        self.into()
    }
}

fn families(stats: &Stats) -> Vec<Family> {
    [requests(stats), money(stats), state(stats), workers(stats), capture(stats), machine(stats)]
        .into_iter()
        .flatten()
        .collect()
}

fn requests(stats: &Stats) -> Vec<Family> {
    let ways = |into, out| by("direction", [("in", into), ("out", out)]);
    let drops = stats.drops.iter().map(|(reason, count)| (*reason, *count));
    let shed = stats.service.shed.iter().map(|(class, count)| (*class, *count));
    vec![
        counter("requests_answered", "Requests that were answered", one(stats.answers)),
        counter("requests_repeated", "Requests that got the answer they had got before", one(stats.repeated)),
        counter("frames", "Frames of 64 bytes", ways(stats.frames_in, stats.frames_out)),
        counter("datagrams", "Datagrams at our sockets", ways(stats.datagrams_in, stats.datagrams_out)),
        counter("drops", "Datagrams and frames that were dropped or refused", by("reason", drops)),
        counter("shed", "Datagrams that were refused unread because of load", by("class", shed)),
        counter("joins", "Sessions that began", one(stats.joins)),
        counter("idle_ended", "Sessions that ended because they were idle", one(stats.idle_ended)),
        counter(
            "shakes",
            "Shakes by what came of them",
            by("outcome", [("miss", stats.shake.miss), ("win", stats.shake.win)]),
        ),
        counter(
            "opens",
            "Opens by what came of them",
            by("outcome", [("ok", stats.open.ok), ("empty", stats.open.empty)]),
        ),
        counter("sends", "Packets that users made for others", one(stats.sends)),
        counter("shares", "Users that were invited by others", one(stats.shares)),
        counter("grabs", "Shares that were claimed", one(stats.grabs)),
        counter(
            "invitations",
            "Invitations by what became of them",
            by("outcome", [("pushed", stats.invites.pushed), ("lost", stats.invites.lost)]),
        ),
    ]
}

fn money(stats: &Stats) -> Vec<Family> {
    let fen = || Unit::Other("fen".to_owned());
    let minted: u64 = stats.orders.iter().map(|order| order.minted).sum();
    let minted_fen: u64 = stats.orders.iter().map(|order| order.minted_fen).sum();
    let groups = |of: fn(&super::stats::GroupStats) -> bool| {
        by("group", stats.groups.iter().map(move |group| (group.group.to_string(), of(group))))
    };
    vec![
        counter("opened", "What opens took", one(stats.open.fen)).in_unit(fen()),
        counter("packets_minted", "Packets of the operator's orders", one(minted)),
        counter("minted", "What they hold", one(minted_fen)).in_unit(fen()),
        counter("packets_expired", "Packets whose time was over before they were empty", one(stats.expired)),
        counter("returned", "What went back from those", one(stats.returned_fen)).in_unit(fen()),
        counter("ledger_rows", "Rows of the ledger", one(stats.ledger.rows)),
        counter("ledger_commits", "Commits of the ledger", one(stats.ledger.commits)),
        counter("outcome_unknown", "Answers that could not be made durable", one(stats.outcome_unknown)),
        gauge("pool_packets", "Packets to shake for", one(stats.pool_packets)),
        gauge("pool", "What they hold", one(stats.pool_fen)).in_unit(fen()),
        gauge("conservation_ok", "Whether no check of the money has ever failed", one(stats.conservation.ok)),
        gauge("group_ok", "Whether a group's journal works", groups(|group| group.state == "ok")),
        gauge(
            "group_waiting",
            "Answers that wait for a group's journal",
            by("group", stats.groups.iter().map(|group| (group.group.to_string(), group.waiting))),
        ),
    ]
}

fn state(stats: &Stats) -> Vec<Family> {
    let sets = |state| stats.sets.iter().filter(|set| set.state == state).count() as u64;
    let admitted = stats.service.admitted.iter().map(|(class, share)| (*class, *share));
    vec![
        gauge("uptime", "Since the start", one(stats.uptime_s)).in_unit(Unit::Seconds),
        gauge("sessions", "Live sessions", one(stats.sessions)),
        gauge(
            "sets",
            "SETs by whether they work",
            by("state", ["ok", "draining", "masked"].map(|state| (state, sets(state)))),
        ),
        gauge(
            "load_level",
            "16 times the binary logarithm of the queueing time in us",
            one(stats.load_level),
        ),
        gauge(
            "service_level",
            "How much is given up because of load, 0 for nothing",
            one(stats.service.level),
        ),
        gauge("admitted", "Share of users who are worked for", by("class", admitted)).in_unit(Unit::Ratios),
        gauge("resident_memory", "Memory of the process", one(stats.rss_bytes)).in_unit(Unit::Bytes),
    ]
}

fn workers(stats: &Stats) -> Vec<Family> {
    let by_worker = |figure: fn(&super::stats::WorkerStats) -> f64| {
        by(
            "worker",
            stats.workers.iter().enumerate().map(move |(at, worker)| (at.to_string(), figure(worker))),
        )
    };
    vec![
        counter(
            "worker_cpu",
            "CPU time of a worker's thread",
            by_worker(|worker| worker.cpu_ns as f64 / 1e9),
        )
        .in_unit(Unit::Seconds),
        gauge("worker_sessions", "Live sessions of a worker", by_worker(|worker| worker.sessions as f64)),
        gauge("worker_load_level", "Load level of a worker", by_worker(|worker| worker.load_level as f64)),
        counter("stalls", "Turns of a worker's loop of more than 1 ms", one(stats.stalls.count)),
        counter("stall", "How long those took", one(stats.stalls.total_ns as f64 / 1e9))
            .in_unit(Unit::Seconds),
    ]
}

/// Nothing, where nothing is written.
fn capture(stats: &Stats) -> Vec<Family> {
    let Some(capture) = stats.capture else { return Vec::new() };
    let of = |datagrams, keys| by("what", [("datagrams", datagrams), ("keys", keys)]);
    vec![
        counter("captured", "Written to --pcap and --keylog", of(capture.datagrams, capture.keys)),
        counter("capture_lost", "Not written there", of(capture.datagrams_lost, capture.keys_lost)),
    ]
}

fn machine(stats: &Stats) -> Vec<Family> {
    let machine = &stats.machine;
    let serving = || machine.interfaces.iter().filter(|interface| interface.serves);
    let of_interface = |interface: &str, way: &str, value: u64| {
        (vec![("interface", interface.to_owned()), ("direction", way.to_owned())], value as f64)
    };
    let both = |into: fn(&crate::telemetry::machine::Interface) -> u64,
                out: fn(&crate::telemetry::machine::Interface) -> u64| {
        let each = |interface: &crate::telemetry::machine::Interface| {
            let name = interface.name.clone();
            [of_interface(&name, "in", into(interface)), of_interface(&name, "out", out(interface))]
        };
        serving().flat_map(each).collect::<Vec<_>>()
    };
    let mut families = vec![
        counter(
            "interface_packets",
            "Packets at the interfaces that serve",
            both(|each| each.rx_packets, |each| each.tx_packets),
        ),
        counter(
            "interface_dropped",
            "Packets that the kernel or the driver dropped there",
            both(|each| each.rx_dropped, |each| each.tx_dropped),
        ),
        counter(
            "interface_missed",
            "Packets that the card had no room for",
            by("interface", serving().map(|each| (each.name.clone(), each.rx_missed))),
        ),
    ];
    if let Some(udp) = &machine.udp {
        families.extend([
            counter(
                "udp_datagrams",
                "Datagrams by the kernel's count",
                by("direction", [("in", udp.in_datagrams), ("out", udp.out_datagrams)]),
            ),
            counter(
                "udp_lost",
                "Datagrams that the kernel did not deliver or send",
                by(
                    "reason",
                    [
                        ("receive_buffer", udp.rcvbuf_errors),
                        ("send_buffer", udp.sndbuf_errors),
                        ("checksum", udp.csum_errors),
                        ("memory", udp.mem_errors),
                        ("no_port", udp.no_ports),
                    ],
                ),
            ),
        ]);
    }
    if let Some(softnet) = &machine.softnet {
        let dropped = one(softnet.dropped);
        families.push(counter(
            "softnet_dropped",
            "Packets dropped before any protocol, machine-wide",
            dropped,
        ));
    }
    families
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, unit, is_counter, series } in &self.families {
            let kind = if *is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for (labels, value) in series {
                match (labels.is_empty(), is_counter) {
                    (true, true) => metric.encode_counter::<NoLabelSet, _, f64>(value, None)?,
                    (true, false) => metric.encode_gauge(value)?,
                    (false, true) => {
                        metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(value, None)?;
                    }
                    (false, false) => metric.encode_family(labels)?.encode_gauge(value)?,
                }
            }
        }
        let seconds = Some(&Unit::Seconds);
        let help = "How long requests take: queueing before the worker, service in it, ledger_wait after it";
        let mut metric = encoder.encode_descriptor("request", help, seconds, MetricType::Histogram)?;
        for (name, histogram) in &self.latencies.0 {
            let Some((stage, op)) = name.split_once('/').filter(|(stage, _)| *stage != TURN) else {
                continue;
            };
            encode_histogram(metric.encode_family(&[("stage", stage), ("op", op)])?, histogram)?;
        }
        let help =
            "How long a worker's loop takes when there is something to do: nobody is answered meanwhile";
        let metric = encoder.encode_descriptor("worker_turn", help, seconds, MetricType::Histogram)?;
        encode_histogram(metric, &self.latencies.of_kind(TURN))
    }
}

/// Turns of workers' loops are among the latencies, and are no requests.
const TURN: &str = "turn";

fn encode_histogram(mut metric: MetricEncoder<'_>, histogram: &Histogram<u64>) -> fmt::Result {
    let (sum_s, count) = (histogram.mean() * histogram.len() as f64 / 1e9, histogram.len());
    metric.encode_histogram::<NoLabelSet>(sum_s, count, &buckets(histogram), None)
}

/// How many values there are up to each bound and above the one before; the last bound stands for infinity.
fn buckets(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut beyond = |bound_s, upto| (bound_s, upto - std::mem::replace(&mut below, upto));
    let upto = |bound_s: f64| histogram.count_between(0, (bound_s * 1e9) as u64);
    let mut buckets: Vec<_> = BOUNDS_S.iter().map(|bound_s| beyond(*bound_s, upto(*bound_s))).collect();
    buckets.push(beyond(f64::INFINITY, histogram.len()));
    buckets
}
