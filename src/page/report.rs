//! The report of a run: one file that needs nothing else.

use super::live::push_plots;
use super::plots::{of_latencies, over_time};
use super::shell::document;
use super::sides::{Row, Sides, sides};
use super::words::{grouped, html, rate, span, time};
use crate::record::{Count, Losses, Recorded, Second};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// The report as HTML, and what it says in words.
pub fn report(recorded: &Recorded) -> (String, Vec<String>) {
    let sides = sides(&recorded.series, &recorded.seconds);
    let mut words: Vec<String> = recorded.missing.iter().cloned().collect();
    words.extend(sides.pairs.iter().map(super::sides::Pair::words));
    words.extend(sides.notes.iter().cloned());
    let started =
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(recorded.run.started_wall_ms));
    let title = format!("redpkt run of {started}");
    let mut out = format!("<h1>{}</h1>\n", html(&title));
    head(&mut out, recorded);
    tiles(&mut out, recorded);
    totals(&mut out, &sides);
    let mut plots = over_time(&recorded.seconds);
    plots.push(of_latencies(recorded.series.latencies()));
    out.push_str("<h2>Second by second</h2>\n");
    push_plots(&mut out, &plots);
    drops(&mut out, recorded);
    settings(&mut out, "What was asked for", &recorded.run.settings);
    (document(&title, &out), words)
}

fn length_s(seconds: &[Second]) -> f64 {
    seconds.iter().map(|second| second.span_s).sum()
}

fn head(out: &mut String, recorded: &Recorded) {
    let run = &recorded.run;
    let sources: Vec<String> = run.sources.iter().map(|source| html(source)).collect();
    let _ = writeln!(
        out,
        "<p class=\"soft\">{} recorded by redpkt {} from {}</p>",
        span(length_s(&recorded.seconds)),
        html(&run.version),
        if sources.is_empty() { "nobody".into() } else { sources.join(", ") }
    );
    if let Some(missing) = &recorded.missing {
        let _ = writeln!(out, "<p class=\"warn\">{}.</p>", html(missing));
    }
    if run.verdict.is_null() {
        out.push_str("<p class=\"warn\">There is no verdict: the run was cut short, or is not over.</p>\n");
    } else {
        settings(out, "Verdict", &run.verdict);
    }
}

fn tiles(out: &mut String, recorded: &Recorded) {
    let total = recorded.series.totals();
    let seconds = length_s(&recorded.seconds).max(1e-9);
    let most = |count: Count| recorded.seconds.iter().map(|second| second.per_s[count]).fold(0.0, f64::max);
    let whole = |count: Count| grouped(total[count] as u64);
    let has_server = recorded.seconds.iter().any(|second| second.gauges.servers > 0);
    let (answers, datagrams) = match has_server {
        true => (Count::Answers, Count::DatagramsIn),
        false => (Count::Answered, Count::DatagramsSent),
    };
    let clients = recorded.series.latencies().of_kind("latency");
    let (latency, who) = match clients.is_empty() {
        false => (clients, "latency p50 / p99 at the clients"),
        true => (recorded.series.latencies().of_kind("service"), "service p50 / p99 at the server"),
    };
    let at = |quantile: f64| time(latency.value_at_quantile(quantile) as f64);
    let latency = if latency.is_empty() { "–".into() } else { format!("{} / {}", at(0.5), at(0.99)) };
    let losses = Losses::of(total);
    let lost = losses.nic + losses.softnet + losses.socket + losses.us;
    let tiles = [
        (
            rate(total[answers] / seconds),
            format!("QPS on average, {} in the best second", rate(most(answers))),
        ),
        (
            rate(total[datagrams] / seconds),
            format!("PPS to the server, {} in the most", rate(most(datagrams))),
        ),
        (whole(answers), "requests answered".to_owned()),
        (latency, who.into()),
        (whole(if has_server { Count::Wins } else { Count::ClientWins }), "packets won".into()),
        (whole(if has_server { Count::Opens } else { Count::ClientOpens }), "packets opened".into()),
        (whole(Count::Rows), "ledger rows".into()),
        (grouped(lost as u64), "datagrams dropped, at all places".into()),
    ];
    out.push_str("<div class=\"tiles\">\n");
    for (value, what) in tiles {
        let _ = writeln!(out, "<div class=\"tile\"><b>{value}</b><span>{what}</span></div>");
    }
    out.push_str("</div>\n");
}

fn totals(out: &mut String, sides: &Sides) {
    out.push_str(
        "<h2>Seen from all sides</h2>\n<table><tr><th></th><th>client frames</th><th>server frames</th>\
         <th>client datagrams</th><th>server datagrams</th><th>UDP datagrams of the kernel</th><th>packets of the interface</th></tr>\n",
    );
    let number = |count: Option<f64>| count.map_or("–".to_owned(), |count| grouped(count as u64));
    for Row { way, client, server, kernel, interface } in &sides.rows {
        let cells = [
            client.map(|sides| sides.0),
            server.map(|sides| sides.0),
            client.map(|sides| sides.1),
            server.map(|sides| sides.1),
            Some(*kernel),
            Some(*interface),
        ];
        let cells: String = cells.map(|cell| format!("<td>{}</td>", number(cell))).concat();
        let _ = writeln!(out, "<tr><td>{way}</td>{cells}</tr>");
    }
    out.push_str("</table>\n<ul>\n");
    for pair in &sides.pairs {
        let class = if pair.agrees() { "good" } else { "bad" };
        let mark = if pair.agrees() { "agree" } else { "differ" };
        let _ = writeln!(out, "<li><span class=\"{class}\">{mark}</span> {}</li>", html(&pair.words()));
    }
    for note in sides.ratios.iter().chain(&sides.notes) {
        let _ = writeln!(out, "<li class=\"soft\">{}</li>", html(note));
    }
    out.push_str("</ul>\n");
}

fn drops(out: &mut String, recorded: &Recorded) {
    let losses = Losses::of(recorded.series.totals());
    out.push_str(
        "<h2>Drops</h2>\n<div class=\"tables\">\n<table><tr><th>place</th><th>datagrams</th></tr>\n",
    );
    for (place, count) in [
        ("card: no room, damaged", losses.nic),
        ("softnet: backlog full", losses.softnet),
        ("socket: buffer full, damaged", losses.socket),
        ("server: for a named reason", losses.us),
    ] {
        let _ = writeln!(out, "<tr><td>{place}</td><td>{}</td></tr>", grouped(count as u64));
    }
    out.push_str("</table>\n<table><tr><th>reason</th><th>count</th></tr>\n");
    let mut reasons: Vec<_> = recorded.series.drops().iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in &reasons {
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", html(reason), grouped(**count));
    }
    if reasons.is_empty() {
        out.push_str("<tr><td class=\"good\">none</td><td>0</td></tr>\n");
    }
    out.push_str("</table>\n</div>\n");
}

/// What whoever recorded it says, as a table if it is one, else as it is.
fn settings(out: &mut String, title: &str, value: &Value) {
    let _ = writeln!(out, "<h2>{title}</h2>");
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_flat =
        |value: &Value| !matches!(value, Value::Object(_) | Value::Array(_)) || value.to_string().len() < 90;
    match value {
        Value::Object(fields) if !fields.is_empty() && fields.values().all(is_flat) => {
            out.push_str("<table class=\"words\">\n");
            for (name, value) in fields {
                let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", html(name), html(&text(value)));
            }
            out.push_str("</table>\n");
        }
        Value::Null => out.push_str("<p class=\"soft\">nothing was written down</p>\n"),
        Value::String(text) => {
            let _ = writeln!(out, "<p>{}</p>", html(text));
        }
        other => {
            let _ = writeln!(
                out,
                "<pre>{}</pre>",
                html(&serde_json::to_string_pretty(other).unwrap_or_default())
            );
        }
    }
}
