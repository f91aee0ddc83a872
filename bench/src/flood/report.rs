//! What `flood` came to: for eyes, and as JSON.

use super::{Report, Thrown};
use crate::floor::Spread;
use crate::run::Report as RunReport;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The share of its rate that a generator must have kept for a run to count.
const KEPT: f64 = 0.99;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Whether both generators kept their rates.
    pub counts: bool,
    /// Garbage that the network took, a second.
    pub garbage_per_s: f64,
    /// Honest shakes made, a second.
    pub honest_per_s: f64,
    /// Of which this share was answered.
    pub answered_share: f64,
    /// Median latency of those, from the time a shake was due, in µs.
    pub p50_us: f64,
    /// 99% of them are at most this.
    pub p99_us: f64,
    /// The server's cores in use.
    pub server_cores: f64,
    /// What the server dropped, by reason.
    pub drops: BTreeMap<String, u64>,
}

/// One engine's runs.
#[derive(Clone, Debug, Serialize)]
pub struct EngineReport {
    /// `mmsg` or `xdp`.
    pub name: &'static str,
    /// In order.
    pub runs: Vec<Run>,
}

impl Run {
    /// What both generators and the server say; the server's figures are from before and after.
    pub fn new(
        honest: &RunReport,
        thrown: &Thrown,
        garbage_per_s: u32,
        cpu_ns: u64,
        before: &Value,
        after: &Value,
    ) -> Run {
        let seconds = thrown.elapsed.as_secs_f64();
        let kept = thrown.datagrams as f64 / seconds;
        let drops = |stats: &Value| -> BTreeMap<String, u64> {
            serde_json::from_value(stats["drops"].clone()).unwrap_or_default()
        };
        let before = drops(before);
        let since = |(name, count): (String, u64)| {
            let count = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
            (count > 0).then_some((name, count))
        };
        let made = honest.schedule.shots_fired.max(1);
        Run {
            counts: kept >= KEPT * f64::from(garbage_per_s) && !honest.generator_limited,
            garbage_per_s: kept,
            honest_per_s: honest.offered_qps,
            answered_share: (honest.shake.miss + honest.shake.win) as f64 / made as f64,
            p50_us: honest.latency_us.p50,
            p99_us: honest.latency_us.p99,
            server_cores: cpu_ns as f64 / 1e9 / seconds,
            drops: drops(after).into_iter().filter_map(since).collect(),
        }
    }

    /// In few words.
    pub fn line(&self) -> String {
        format!(
            "{:.0} garbage/s beside {:.0} shakes/s: {:.2}% answered, p50 {:.0} µs, p99 {:.1} ms, {:.2} cores{}",
            self.garbage_per_s,
            self.honest_per_s,
            100.0 * self.answered_share,
            self.p50_us,
            self.p99_us / 1e3,
            self.server_cores,
            if self.counts { "" } else { "; does not count: a generator was too slow" }
        )
    }
}

impl EngineReport {
    /// An engine without runs.
    pub fn new(name: &'static str) -> EngineReport {
        EngineReport { name, runs: Vec::new() }
    }

    /// Of the runs that count; `None` without any.
    fn spread(&self, field: fn(&Run) -> f64) -> Option<Spread> {
        let values: Vec<f64> = self.runs.iter().filter(|run| run.counts).map(field).collect();
        (!values.is_empty()).then(|| Spread::of(values))
    }
}

impl Report {
    /// For eyes.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} garbage datagrams/s beside {} shakes/s of {} users without retransmission, {} s; median (min–max)\n",
            self.garbage_per_s, self.qps, self.users, self.seconds
        );
        for engine in &self.engines {
            let counted = engine.runs.iter().filter(|run| run.counts).count();
            let _ = writeln!(text, "  {}: {counted} of {} runs count", engine.name, engine.runs.len());
            for (name, digits, field) in [
                ("answered, %", 2, (|run| 100.0 * run.answered_share) as fn(&Run) -> f64),
                ("p50 µs", 0, |run| run.p50_us),
                ("p99 µs", 0, |run| run.p99_us),
                ("server cores", 2, |run| run.server_cores),
            ] {
                if let Some(Spread { min, median, max, .. }) = engine.spread(field) {
                    let _ =
                        writeln!(text, "    {name:<14} {median:.digits$} ({min:.digits$}–{max:.digits$})");
                }
            }
        }
        text
    }
}
