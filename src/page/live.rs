//! The live page's figures: the last ten minutes of a server, and what it is like now.

use super::crowd::SetSessions;
use super::plots::{Plot, of_latencies, over_time};
use super::words::{grouped, html, percent, rate, span, time, yuan};
use crate::record::{Count, Reading, Sample, Second, Series, ServerReading, Source};
use crate::telemetry::latencies::Latencies;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Seconds that are kept: ten minutes.
const SECONDS_MAX: usize = 600;

/// The last minutes of one server.
#[derive(Debug, Default)]
pub struct Live {
    series: Series,
    seconds: VecDeque<Second>,
    now: ServerReading,
}

impl Live {
    /// Takes the figures of a moment, once a second. Histograms are totals.
    pub fn push(&mut self, now: ServerReading, latencies: Latencies) {
        let reading = Reading::Server(Box::new(now.clone()));
        let source = Source { url: String::new(), reading, latencies };
        let sample = Sample { wall_ms: now.wall_ms, sources: vec![source], interface: None };
        if let Some(second) = self.series.push(&sample) {
            if self.seconds.len() == SECONDS_MAX {
                self.seconds.pop_front();
            }
            self.seconds.push_back(second);
        }
        self.now = now;
    }

    /// When the last figures were taken, in ms since 1970.
    pub fn wall_ms(&self) -> u64 {
        self.now.wall_ms
    }

    /// What a fragment is made of, to be drawn without holding this one up.
    pub fn view(&self) -> View {
        let mut seconds: Vec<Second> = self.seconds.iter().cloned().collect();
        let end_s = seconds.last().map_or(0.0, |second| second.at_s);
        seconds.iter_mut().for_each(|second| second.at_s -= end_s);
        View { seconds, now: self.now.clone(), latencies: self.series.latencies().clone() }
    }
}

/// What a fragment is made of. Times of seconds are before now.
#[derive(Clone, Debug)]
pub struct View {
    seconds: Vec<Second>,
    now: ServerReading,
    latencies: Latencies,
}

/// The body of the live page.
pub fn fragment(view: &View, sets: &SetSessions) -> String {
    let View { seconds, now, latencies } = view;
    let empty = Second::default();
    let last = seconds.last().unwrap_or(&empty);
    let mut out = format!(
        "<h1>redpkt</h1>\n<p class=\"soft\">version {}, up {}, datagrams by {}</p>\n",
        html(&now.version),
        span(now.uptime_s),
        if now.io.passes_kernel() {
            "AF_XDP: the kernel's UDP counters do not see them"
        } else {
            "the kernel's sockets"
        },
    );
    warnings(&mut out, now);
    tiles(&mut out, last, now);
    funnel(&mut out, seconds, now);
    out.push_str("<h2>The last minutes</h2>\n");
    if seconds.is_empty() {
        out.push_str("<p class=\"soft\">The first second is not over.</p>\n");
    }
    let mut plots = over_time(seconds);
    plots.push(of_latencies(latencies));
    push_plots(&mut out, &plots);
    drops(&mut out, seconds, now);
    out.push_str("<div class=\"tables\">\n");
    workers(&mut out, last);
    groups(&mut out, now);
    out.push_str("</div>\n<h2>Sessions by SET</h2>\n");
    out.push_str(&sets.html());
    out
}

/// Pictures beside each other, and one line on those that would be empty.
pub(super) fn push_plots(out: &mut String, plots: &[Plot]) {
    out.push_str("<div class=\"plots\">\n");
    for plot in plots {
        if let Some(svg) = &plot.svg {
            let _ = write!(out, "<figure id=\"{}\">{svg}</figure>\n", plot.id);
        }
    }
    out.push_str("</div>\n");
    let without: Vec<String> =
        plots.iter().filter(|plot| plot.svg.is_none()).map(|plot| html(&plot.title)).collect();
    if !without.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"soft\">Nothing to draw, all zero or not measured: {}.</p>",
            without.join(" · ")
        );
    }
}

fn warnings(out: &mut String, now: &ServerReading) {
    let mut warn = |text: String| {
        let _ = writeln!(out, "<p class=\"warn\">{text}</p>");
    };
    if let Some(wrong) = now.conservation.wrong.as_ref().filter(|_| !now.conservation.ok) {
        warn(format!(
            "<span class=\"bad\">Money is not conserved:</span> {}. Stop the server and run redpkt audit.",
            html(wrong)
        ));
    }
    let failed: Vec<String> = now
        .groups
        .iter()
        .filter(|group| group.state == "failed")
        .map(|group| group.group.to_string())
        .collect();
    if !failed.is_empty() {
        let groups = failed.join(", ");
        warn(format!(
            "<span class=\"bad\">Failed groups: {groups}.</span> Their journals take no rows; money of their users stands still. POST /groups/N/rebuild once the disk is mended."
        ));
    }
    if now.sets.masked > 0 {
        warn(format!(
            "<span class=\"bad\">{} SETs are masked</span> after a panic. POST /sets/N/rebuild puts one back to work.",
            now.sets.masked
        ));
    }
    let service = &now.service;
    if service.level > 0 || service.forced || !service.off.is_empty() {
        let by = if service.forced { ", by hand" } else { ", because of load" };
        let off = if service.off.is_empty() { "nothing yet".to_owned() } else { service.off.join(", ") };
        warn(format!(
            "Service is at level {} ({}){by}. Given up: {}.",
            service.level,
            html(&service.name),
            html(&off)
        ));
    }
}

fn tiles(out: &mut String, last: &Second, now: &ServerReading) {
    let per = |count: Count| rate(last.per_s[count]);
    let latency = last.waits.nearest_to_users().map_or("–".into(), |(_, spread)| {
        format!("{} / {}", time(spread.p50_ns as f64), time(spread.p99_ns as f64))
    });
    let frames = last.counts[Count::FramesIn] / last.counts[Count::DatagramsIn].max(1.0);
    let lost = [Count::LostNic, Count::LostSoftnet, Count::LostSocket, Count::LostUs];
    let lost: f64 = lost.iter().map(|place| last.per_s[*place]).sum();
    let money = if now.conservation.ok { "conserved" } else { "NOT CONSERVED" };
    let tiles = [
        (per(Count::Answers), "QPS: requests answered a second".to_owned()),
        (per(Count::DatagramsIn), format!("PPS in: datagrams a second, of {frames:.1} frames")),
        (per(Count::DatagramsOut), "PPS out: datagrams a second".into()),
        (grouped(now.sessions), "live sessions".into()),
        (per(Count::Wins), "wins a second".into()),
        (per(Count::Opens), "opens a second".into()),
        (latency, "service p50 / p99, last second".into()),
        (now.load_level.to_string(), "load level, 0 to 255".into()),
        (rate(lost), "datagrams dropped a second".into()),
        (grouped(now.pool_packets), format!("packets in the pools, {}", yuan(now.pool_fen))),
        (grouped(now.ledger.rows), format!("ledger rows, {}", html(&now.ledger.state))),
        (money.into(), "money, to the fen".into()),
    ];
    out.push_str("<div class=\"tiles\">\n");
    for (value, what) in tiles {
        let _ = writeln!(out, "<div class=\"tile\"><b>{value}</b><span>{what}</span></div>");
    }
    out.push_str("</div>\n");
}

/// From what comes in to what is written down: on a scale of powers of ten, for each step is a fraction of the one
/// before.
fn funnel(out: &mut String, seconds: &[Second], now: &ServerReading) {
    let minute = &seconds[seconds.len().saturating_sub(60)..];
    let last = |count: Count| minute.iter().map(|second| second.counts[count]).sum::<f64>();
    let shakes = last(Count::Misses) + last(Count::Wins);
    let steps = [
        ("frames in", now.frames_in, last(Count::FramesIn)),
        ("shakes answered", now.shake.miss + now.shake.win, shakes),
        ("packets won", now.shake.win, last(Count::Wins)),
        ("packets opened", now.open.ok, last(Count::Opens)),
        ("ledger rows", now.ledger.rows, last(Count::Rows)),
    ];
    let most = steps.iter().map(|step| step.1).max().unwrap_or(0) as f64 + 1.0;
    out.push_str("<h2>From frames to money</h2>\n<div class=\"funnel\">\n");
    out.push_str("<div class=\"soft\"></div><div class=\"soft\">by powers of ten</div><span class=\"soft\">since the start</span><span class=\"soft\">last minute</span>\n");
    for (name, total, minute) in steps {
        let share = 100.0 * (total as f64 + 1.0).log10() / most.log10().max(1.0);
        let _ = writeln!(
            out,
            "<div>{name}</div><i style=\"width:{share:.1}%\"></i><span>{}</span><span>{}</span>",
            grouped(total),
            grouped(minute as u64)
        );
    }
    out.push_str("</div>\n");
}

fn drops(out: &mut String, seconds: &[Second], now: &ServerReading) {
    out.push_str("<h2>Drops</h2>\n<div class=\"tables\">\n");
    let minute = &seconds[seconds.len().saturating_sub(60)..];
    let sum = |count: Count, of: &[Second]| {
        grouped(of.iter().map(|second| second.counts[count]).sum::<f64>() as u64)
    };
    out.push_str("<table><tr><th>place</th><th>last minute</th><th>last ten minutes</th></tr>\n");
    for (name, count) in [
        ("card: no room, damaged", Count::LostNic),
        ("softnet: backlog full", Count::LostSoftnet),
        ("socket: buffer full, damaged", Count::LostSocket),
        ("server: for a named reason", Count::LostUs),
    ] {
        let _ = writeln!(
            out,
            "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>",
            sum(count, minute),
            sum(count, seconds)
        );
    }
    out.push_str("</table>\n<table><tr><th>reason</th><th>last minute</th><th>since the start</th></tr>\n");
    let mut reasons: Vec<_> = now.drops.iter().filter(|(_, count)| **count > 0).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in &reasons {
        let last: u64 = minute.iter().filter_map(|second| second.drops.get(*reason)).sum();
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            html(reason),
            grouped(last),
            grouped(**count)
        );
    }
    if reasons.is_empty() {
        out.push_str("<tr><td class=\"good\">none</td><td>0</td><td>0</td></tr>\n");
    }
    out.push_str("</table>\n</div>\n");
}

fn workers(out: &mut String, last: &Second) {
    out.push_str("<div><h2>Workers</h2>\n<div class=\"scroll\"><table><tr><th>worker</th><th>core used</th><th>load level</th><th>sessions</th><th>datagrams/s in</th></tr>\n");
    for (number, worker) in last.gauges.workers.iter().enumerate() {
        let _ = writeln!(
            out,
            "<tr><td>{number}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            percent(worker.cpu),
            worker.load_level,
            grouped(worker.sessions),
            rate(worker.datagrams_in)
        );
    }
    out.push_str("</table></div></div>\n");
}

fn groups(out: &mut String, now: &ServerReading) {
    out.push_str("<div><h2>Groups</h2>\n<div class=\"scroll\"><table><tr><th>group</th><th>state</th><th>sessions</th><th>rows</th><th>commits</th><th>answers waiting</th></tr>\n");
    for group in &now.groups {
        let class = if group.state == "failed" { "bad" } else { "good" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            group.group,
            html(&group.state),
            grouped(group.sessions),
            grouped(group.rows),
            grouped(group.commits),
            grouped(group.waiting)
        );
    }
    out.push_str("</table></div></div>\n");
}
