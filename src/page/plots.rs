//! Every plot of a run, made of its seconds. The live page and the report draw the same ones.

use super::chart::{Chart, Line, Scale};
use super::spectrum::{self, spectrum};
use crate::record::{Count, Second, Spread};
use crate::telemetry::latencies::Latencies;
use std::collections::BTreeMap;

/// A picture, or why there is none.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its name in links and file names.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// The SVG; `None` where nothing is to be seen.
    pub svg: Option<String>,
}

/// The reasons of drops that a plot names at the most; the others are one line.
const REASONS_MAX: usize = 6;

/// The workers that a plot shows at the most.
const WORKERS_MAX: usize = 8;

/// Every plot over time.
pub fn over_time(seconds: &[Second]) -> Vec<Plot> {
    // Of a live page's seconds the last one is now, and the others were before it.
    let begin_s = seconds.first().map_or(0.0, |second| second.at_s - second.span_s);
    let from = if begin_s < 0.0 { begin_s } else { 0.0 };
    let range_s = (from, seconds.last().map_or(0.0, |second| second.at_s));
    let all = Seconds { seconds, range_s };
    let mut plots = vec![all.qps()];
    plots.extend(all.pps());
    plots.extend([all.minted(), all.wins()]);
    plots.extend(all.waits());
    plots.extend([
        all.losses(),
        all.drops(),
        all.stalls(),
        all.load(),
        all.service(),
        all.cpu(),
        all.sessions(),
    ]);
    plots
}

/// The latency spectrum of all values.
pub fn of_latencies(latencies: &Latencies) -> Plot {
    let kinds = [
        ("latency", "clients: from the intended send time"),
        ("latency_raw", "clients: from the real send time"),
        ("queueing", "server: until a worker takes it"),
        ("service", "server: from there to the answer"),
        ("ledger_wait", "server: answers that wait for the disk"),
    ];
    let found: Vec<_> = kinds
        .iter()
        .map(|(kind, name)| ((*name).to_owned(), latencies.of_kind(kind)))
        .filter(|(_, histogram)| !histogram.is_empty())
        .take(spectrum::LINES_MAX)
        .collect();
    let lines: Vec<_> = found.iter().map(|(name, histogram)| (name.clone(), histogram)).collect();
    let svg = (!lines.is_empty()).then(|| spectrum(&lines).ok()).flatten();
    Plot { id: "spectrum", title: "Latency by percentile".into(), svg }
}

struct Seconds<'run> {
    seconds: &'run [Second],
    range_s: (f64, f64),
}

impl Seconds<'_> {
    fn points(&self, of: impl Fn(&Second) -> Option<f64>) -> Vec<(f64, f64)> {
        self.seconds.iter().filter_map(|second| Some((second.at_s, of(second)?))).collect()
    }

    /// Of something that servers count, where one answered.
    fn server(&self, name: &str, nth: usize, count: Count) -> Line {
        let value = |second: &Second| (second.gauges.servers > 0).then_some(second.per_s[count]);
        Line::new(name, nth, self.points(value))
    }

    fn client(&self, name: &str, nth: usize, count: Count) -> Line {
        let value = |second: &Second| (second.gauges.clients > 0).then_some(second.per_s[count]);
        Line::new(name, nth, self.points(value))
    }

    fn plot(&self, id: &'static str, title: impl Into<String>, scale: Scale, lines: Vec<Line>) -> Plot {
        let lines = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
        let chart = Chart { title: title.into(), scale, lines, range_s: self.range_s };
        let svg = chart.has_values().then(|| chart.svg().ok()).flatten();
        Plot { id, title: chart.title, svg }
    }

    fn qps(&self) -> Plot {
        let target = |second: &Second| (second.gauges.target_qps > 0.0).then_some(second.gauges.target_qps);
        let lines = vec![
            self.client("clients: answered", 1, Count::Answered).broad(),
            self.server("server: answered", 0, Count::Answers),
            Line::new("clients: wanted", 7, self.points(target)),
        ];
        self.plot("qps", "QPS: requests a second", Scale::Number, lines)
    }

    fn pps(&self) -> [Plot; 2] {
        let is_xdp = self.seconds.iter().any(|second| second.is_xdp);
        let udp =
            if is_xdp { "UDP: the AF_XDP engine's (the kernel sees none)" } else { "UDP: the kernel's" };
        let interfaces = self.seconds.iter().rev().find(|second| !second.interfaces.is_empty());
        let interface = interfaces.map_or_else(String::new, Second::interface_names);
        let lines = |server, kernel, card, client: (&str, Count)| {
            vec![
                self.server("server: datagrams", 0, server).broad(),
                Line::new(udp, 2, self.points(|second| Some(second.per_s[kernel]))),
                Line::new(
                    format!("packets of {interface}"),
                    1,
                    self.points(|second| (!second.interfaces.is_empty()).then_some(second.per_s[card])),
                ),
                self.client(client.0, 4, client.1),
            ]
        };
        let sent = ("clients: datagrams sent", Count::DatagramsSent);
        let received = ("clients: datagrams received", Count::DatagramsReceived);
        let inwards = lines(Count::DatagramsIn, Count::UdpIn, Count::InterfaceIn, sent);
        let outwards = lines(Count::DatagramsOut, Count::UdpOut, Count::InterfaceOut, received);
        [
            self.plot("pps_in", "PPS to the server: datagrams and packets a second", Scale::Number, inwards),
            self.plot(
                "pps_out",
                "PPS from the server: datagrams and packets a second",
                Scale::Number,
                outwards,
            ),
        ]
    }

    fn minted(&self) -> Plot {
        let lines = vec![
            self.server("made by orders", 2, Count::Minted),
            self.server("sent by users", 4, Count::Sends),
            self.server("taken: won by shaking", 0, Count::Wins),
            self.server("taken: grabbed", 1, Count::Grabs),
        ];
        self.plot("packets", "Packets made and taken a second", Scale::Number, lines)
    }

    fn wins(&self) -> Plot {
        let lines = vec![
            self.client("clients: won", 1, Count::ClientWins).broad(),
            self.server("server: won", 0, Count::Wins),
            self.client("clients: opened", 3, Count::ClientOpens).broad(),
            self.server("server: opened", 2, Count::Opens),
        ];
        self.plot("wins", "Wins and opens a second", Scale::Number, lines)
    }

    fn waits(&self) -> [Plot; 4] {
        let lines = |of: fn(&Second) -> Option<Spread>| {
            vec![
                Line::new("longest", 3, self.points(|second| of(second).map(|spread| spread.max_ns as f64)))
                    .most(),
                Line::new("p99", 1, self.points(|second| of(second).map(|spread| spread.p99_ns as f64)))
                    .most(),
                Line::new("p50", 0, self.points(|second| of(second).map(|spread| spread.p50_ns as f64)))
                    .most(),
            ]
        };
        let plot = |id, title: &str, of| self.plot(id, title, Scale::Time, lines(of));
        [
            plot("latency", "Latency at the clients, each second", |second| second.waits.client),
            plot("queueing", "Server: until a worker takes it, each second", |second| second.waits.queueing),
            plot("service", "Server: from there to the answer, each second", |second| second.waits.service),
            plot("ledger_wait", "Server: waiting for the disk, each second", |second| second.waits.ledger),
        ]
    }

    fn losses(&self) -> Plot {
        let line = |name: &str, nth, count| {
            Line::new(name, nth, self.points(|second| Some(second.per_s[count]))).most()
        };
        let lines = vec![
            line("card", 3, Count::LostNic),
            line("softnet", 4, Count::LostSoftnet),
            line("socket", 1, Count::LostSocket),
            line("server (named reasons)", 0, Count::LostUs),
        ];
        self.plot("losses", "Drops by place: datagrams a second", Scale::Number, lines)
    }

    fn drops(&self) -> Plot {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (reason, count) in self.seconds.iter().flat_map(|second| &second.drops) {
            *sums.entry(reason).or_insert(0) += count;
        }
        let mut reasons: Vec<(&str, u64)> = sums.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others = reasons.split_off(reasons.len().min(REASONS_MAX));
        let rate = |second: &Second, reason: &str| {
            second.drops.get(reason).map_or(0.0, |count| *count as f64 / second.span_s)
        };
        let line = |(nth, (reason, _)): (usize, &(&str, u64))| {
            Line::new(*reason, nth, self.points(|second| Some(rate(second, reason)))).most()
        };
        let mut lines: Vec<Line> = reasons.iter().enumerate().map(line).collect();
        if !others.is_empty() {
            let sum = |second: &Second| Some(others.iter().map(|(reason, _)| rate(second, reason)).sum());
            lines.push(Line::new("others", 7, self.points(sum)).most());
        }
        self.plot("drops", "Drops of the server by reason, a second", Scale::Number, lines)
    }

    fn stalls(&self) -> Plot {
        let ms = |second: &Second| (second.gauges.servers > 0).then_some(second.per_s[Count::StallNs] / 1e6);
        let lines = vec![
            Line::new("ms that workers stood still", 3, self.points(ms)).most(),
            self.server("how often", 0, Count::Stalls).most(),
        ];
        self.plot("stalls", "Worker stalls: ms and times a second", Scale::Number, lines)
    }

    fn gauge(&self, of: impl Fn(&Second) -> u64) -> Vec<(f64, f64)> {
        self.points(|second| (second.gauges.servers > 0).then(|| of(second) as f64))
    }

    fn load(&self) -> Plot {
        let line =
            Line::new("the most loaded worker", 0, self.gauge(|second| second.gauges.load_level)).most();
        self.plot("load", "Load level: 16 × log2 of the queueing time in µs", Scale::Number, vec![line])
    }

    fn service(&self) -> Plot {
        let line = Line::new("0 is full service", 3, self.gauge(|second| second.gauges.service_level)).most();
        self.plot("level", "Level of service", Scale::Number, vec![line])
    }

    fn cpu(&self) -> Plot {
        let workers = self.seconds.iter().map(|second| second.gauges.workers.len()).max().unwrap_or(0);
        let share = |second: &Second, worker: usize| Some(100.0 * second.gauges.workers.get(worker)?.cpu);
        let line = |worker| {
            Line::new(format!("worker {worker}"), worker, self.points(|second| share(second, worker)))
        };
        let mut lines: Vec<Line> = (0..workers.min(WORKERS_MAX)).map(line).collect();
        if workers > WORKERS_MAX {
            let most = |second: &Second| {
                second.gauges.workers.iter().map(|worker| 100.0 * worker.cpu).reduce(f64::max)
            };
            lines = vec![Line::new(format!("the busiest of {workers} workers"), 0, self.points(most)).most()];
        }
        self.plot("cpu", "Workers: share of their cores used", Scale::Percent, lines)
    }

    fn sessions(&self) -> Plot {
        let users = |second: &Second| (second.gauges.users > 0).then_some(second.gauges.users as f64);
        let lines = vec![
            Line::new("live sessions", 0, self.points(|second| Some(second.gauges.sessions as f64))),
            Line::new("the clients' users", 7, self.points(users)),
        ];
        self.plot("sessions", "Sessions", Scale::Number, lines)
    }
}
