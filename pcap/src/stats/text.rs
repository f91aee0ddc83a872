//! The result, for a person.

use super::report::{InOut, Percentiles, Report};
use hdrhistogram::Histogram;
use redpkt::page::words::grouped;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows of the table of seconds; of a longer capture several seconds share one.
const ROWS_MAX: u64 = 40;

/// The widest bar.
const BAR: u64 = 30;

fn time(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.1} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

fn pairs(counts: &BTreeMap<impl AsRef<str>, u64>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    let pairs: Vec<String> =
        counts.iter().map(|(name, count)| format!("{} {}", name.as_ref(), grouped(*count))).collect();
    pairs.join(", ")
}

fn ways(ways: InOut) -> String {
    format!("{} in, {} out", grouped(ways.to_server), grouped(ways.to_client))
}

/// The whole text.
pub fn text(report: &Report, response: &Histogram<u64>) -> String {
    let mut text = String::new();
    capture(report, &mut text);
    ops(report, &mut text);
    requests(report, &mut text);
    responses(report, response, &mut text);
    talkers(report, &mut text);
    seconds(report, &mut text);
    text
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name:<16} {value}");
}

fn capture(report: &Report, text: &mut String) {
    let cut = if report.cut_short { ", cut short" } else { "" };
    line(
        text,
        "records",
        format!(
            "{} ({}){cut}, {} bytes, {:.3} s",
            grouped(report.records),
            pairs(&report.link_types),
            grouped(report.bytes),
            report.seconds
        ),
    );
    line(text, "datagrams", ways(report.datagrams));
    line(text, "frames", ways(report.frames));
    let unverified = if report.unverified { " (no key given: seqs are unverified)" } else { "" };
    line(text, "opened", format!("{}{unverified}", ways(report.opened)));
    line(
        text,
        "sealed",
        format!("no_key {}, tag {}", grouped(report.sealed.no_key), grouped(report.sealed.tag)),
    );
    line(text, "not redpkt", pairs(&report.not_redpkt));
    if report.doubled > 0 {
        line(
            text,
            "doubled",
            format!("{} captured going out and coming in, counted once", grouped(report.doubled)),
        );
    }
    if report.checksum_partial_or_wrong > 0 {
        line(text, "checksums", format!("{} partial or wrong", grouped(report.checksum_partial_or_wrong)));
    }
    if report.timestamps_backwards > 0 {
        line(
            text,
            "times",
            format!("{} records are earlier than the one before", grouped(report.timestamps_backwards)),
        );
    }
    line(
        text,
        "users",
        format!(
            "{}, {} sessions, {} MiB of tables",
            grouped(report.users),
            grouped(report.sessions),
            report.memory_bytes >> 20
        ),
    );
}

fn ops(report: &Report, text: &mut String) {
    let _ = writeln!(text, "\n{:<16} {:>14} {:>14}  answers", "op", "in", "out");
    for (op, ways) in &report.ops {
        let outcomes = report.outcomes.get(op).map(pairs).unwrap_or_default();
        let row =
            format!("{op:<16} {:>14} {:>14}  {outcomes}", grouped(ways.to_server), grouped(ways.to_client));
        let _ = writeln!(text, "{}", row.trim_end());
    }
}

fn requests(report: &Report, text: &mut String) {
    text.push('\n');
    line(text, "requests", grouped(report.requests));
    line(
        text,
        "sent again",
        format!(
            "{} retransmissions ({}), {} of handshakes",
            grouped(report.retransmissions),
            pairs(&report.retransmissions_by_op),
            grouped(report.handshake_retransmissions)
        ),
    );
    line(
        text,
        "answers",
        format!("{}, {} requests unanswered", grouped(report.answers), grouped(report.unanswered)),
    );
    line(text, "duplicates", ways(report.duplicates_by_direction));
    line(text, "reordered", ways(report.reordered_by_direction));
    if report.too_old > 0 {
        line(text, "too old to tell", grouped(report.too_old));
    }
    line(text, "lost", grouped(report.lost));
    line(text, "refusals", pairs(&report.refusals));
    let shake = &report.shake;
    line(
        text,
        "shakes",
        format!(
            "{} sent, {} won, {} missed; repeated: {} wins, {} misses",
            grouped(shake.sent),
            grouped(shake.win),
            grouped(shake.miss),
            grouped(shake.repeated_win),
            grouped(shake.repeated_miss)
        ),
    );
    let open = &report.open;
    line(
        text,
        "opens",
        format!(
            "{} sent, {} ok with {} fen, {} empty; {} repeated",
            grouped(open.sent),
            grouped(open.ok),
            grouped(open.fen),
            grouped(open.empty),
            grouped(open.repeated)
        ),
    );
    line(text, "load level", format!("{} at the most", report.load_level_max));
}

fn responses(report: &Report, response: &Histogram<u64>, text: &mut String) {
    if response.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<16} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "response", "answers", "p50", "p90", "p99", "p99.9", "max"
    );
    let mut row = |name: &str, of: &Percentiles| {
        let _ = writeln!(
            text,
            "{name:<16} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
            grouped(of.count),
            time(of.p50),
            time(of.p90),
            time(of.p99),
            time(of.p999),
            time(of.max)
        );
    };
    row("all", &report.response_us);
    report.response_us_by_op.iter().for_each(|(op, percentiles)| row(op, percentiles));
}

fn talkers(report: &Report, text: &mut String) {
    if report.top_talkers.is_empty() {
        return;
    }
    let estimate = match report.top_talkers_error {
        0 => String::new(),
        error => format!("  (an estimate: each may be {} datagrams too low)", grouped(error)),
    };
    let _ = writeln!(
        text,
        "\n{:<40} {:>12} {:>14} {:>11}{estimate}",
        "to the server from", "datagrams", "bytes", "not redpkt"
    );
    for talker in &report.top_talkers {
        let _ = writeln!(
            text,
            "{:<40} {:>12} {:>14} {:>10.1}%",
            talker.address,
            grouped(talker.datagrams),
            grouped(talker.bytes),
            talker.not_redpkt_share * 100.0
        );
    }
}

/// Several seconds that share a row.
#[derive(Default)]
struct Row {
    datagrams: u64,
    requests: u64,
    answers: u64,
    wins: u64,
}

fn seconds(report: &Report, text: &mut String) {
    let Some(last) = report.per_second.last() else { return };
    let step = (last.s + 1).div_ceil(ROWS_MAX);
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    for second in &report.per_second {
        let row = rows.entry(second.s / step).or_default();
        row.datagrams += second.datagrams_in + second.datagrams_out;
        row.requests += second.requests;
        row.answers += second.answers;
        row.wins += second.wins;
    }
    let most = rows.values().map(|row| row.datagrams).max().unwrap_or(1).max(1);
    let _ = writeln!(
        text,
        "\n{:>8} {:>12} {:>12} {:>12} {:>10}  PPS",
        "second", "PPS", "requests/s", "QPS", "wins/s"
    );
    for (at, row) in rows {
        let bar = "█".repeat((u128::from(row.datagrams) * u128::from(BAR)).div_ceil(most.into()) as usize);
        let _ = writeln!(
            text,
            "{:>8} {:>12} {:>12} {:>12} {:>10}  {bar}",
            at * step,
            grouped(row.datagrams / step),
            grouped(row.requests / step),
            grouped(row.answers / step),
            grouped(row.wins / step)
        );
    }
}
