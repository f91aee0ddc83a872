//! What `overload` came to: for eyes, and as JSON.

use crate::floor::CorePair;
use crate::run::{Host, Report as RunReport};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One rate of the search for the knee.
pub struct Step {
    /// The share of requests answered within 100 ms and sent once.
    pub in_time: f64,
    /// In µs.
    pub p99_us: f64,
}

impl Step {
    /// What a run says.
    pub fn of(report: &RunReport) -> Step {
        let due = report.schedule.requests_due.max(1);
        Step {
            in_time: (report.first_try_answers_within_100ms as f64 / due as f64).min(1.0),
            p99_us: report.latency_us.p99,
        }
    }
}

/// One load.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// What was offered, in a word.
    pub name: String,
    /// Offered load, in multiples of the knee, as asked for.
    pub times: u32,
    /// Whether clients obeyed.
    pub obeys: bool,
    /// Requests that went out a second, over the knee: less than asked for where clients held them back, or where
    /// the generator could not do it.
    pub offered_x: f64,
    /// Whether the generator could not do it.
    pub generator_limited: bool,
    /// Answers a second, over the knee.
    pub goodput_share: f64,
    /// Opens that were answered, of all.
    pub opens_answered_share: f64,
    /// 99% of what was answered was answered within, from the time it was sent for the first time, in µs.
    pub p99_us: f64,
    /// Shakes answered by the client itself.
    pub not_now: u64,
    /// Datagrams refused unread, by class.
    pub shed: BTreeMap<String, u64>,
    /// The level of service at the end.
    pub level: String,
    /// The share of shaking users that were worked for at the end.
    pub shake_admitted: f64,
    /// p99 over the two seconds after, at half the knee, in µs.
    pub p99_after_us: f64,
}

impl Scenario {
    /// What both runs and the server say.
    pub fn new(
        times: u32,
        obeys: bool,
        knee_qps: u64,
        during: &RunReport,
        after: &RunReport,
        stats_before: &Value,
        stats_after: &Value,
    ) -> Scenario {
        let knee = knee_qps as f64;
        let shed = |stats: &Value| -> BTreeMap<String, u64> {
            serde_json::from_value(stats["service"]["shed"].clone()).unwrap_or_default()
        };
        let before = shed(stats_before);
        let since = |(class, count): (String, u64)| {
            let count = count - before.get(&class).copied().unwrap_or(0);
            (class, count)
        };
        let opens = during.open.sent.max(1) as f64;
        Scenario {
            name: format!("{times}x {}", if obeys { "obedient" } else { "disobedient" }),
            times,
            obeys,
            offered_x: during.pps_out / knee,
            generator_limited: during.generator_limited,
            goodput_share: (during.shake.miss + during.shake.win) as f64 / during.seconds / knee,
            opens_answered_share: (during.open.ok + during.open.empty) as f64 / opens,
            p99_us: during.latency_raw_us.p99,
            not_now: during.shake.not_now,
            shed: shed(stats_after).into_iter().map(since).collect(),
            level: stats_after["service"]["name"].as_str().unwrap_or_default().to_owned(),
            shake_admitted: stats_after["service"]["admitted"]["shake"].as_f64().unwrap_or(1.0),
            p99_after_us: after.latency_raw_us.p99,
        }
    }

    /// In few words.
    pub fn line(&self) -> String {
        format!(
            "{}: {:.2} x the knee went out{}, {:.2} x answered, opens {:.2}%, p99 {:.1} ms; refused unread {}, told by themselves {}; p99 after {:.1} ms",
            self.name,
            self.offered_x,
            if self.generator_limited { " (the generator could not do more)" } else { "" },
            self.goodput_share,
            100.0 * self.opens_answered_share,
            self.p99_us / 1e3,
            self.shed.values().sum::<u64>(),
            self.not_now,
            self.p99_after_us / 1e3
        )
    }
}

/// What `overload --json` writes.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) io: String,
    pub(super) knee_qps: u64,
    /// The server had one part of so many of its core.
    pub(super) share: u32,
    pub(super) seconds: u64,
    pub(super) users: u64,
    pub(super) scenarios: Vec<Scenario>,
    /// Whether every rule on money held.
    pub(super) audit: Option<bool>,
    pub(super) cores: CorePair,
    pub(super) host: Host,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} engine, 1/{} of core {}, the knee {} shakes/s, {} users, {} s each; audit {}\n",
            self.io,
            self.share,
            self.cores.server,
            self.knee_qps,
            self.users,
            self.seconds,
            if self.audit == Some(true) { "clean" } else { "not clean" }
        );
        for scenario in &self.scenarios {
            let _ = writeln!(text, "  {}", scenario.line());
        }
        let Host { cpu, kernel, commit, .. } = &self.host;
        let _ = writeln!(text, "{cpu}, Linux {kernel}, commit {commit}");
        text
    }
}
