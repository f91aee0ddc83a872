//! What `hot` came to: for eyes, and as JSON.

use crate::child::Audit;
use crate::floor::Spread;
use crate::run::{Host, Report as RunReport};
use redpkt::cli::Failure;
use serde::Serialize;
use std::time::Duration;

/// What became of the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grabbed {
    /// Users who were told of it.
    pub told: u64,
    /// Grabs made.
    pub sent: u64,
    /// Grabs that got a share.
    pub granted: u64,
    /// Grabs that were told that nothing is left.
    pub refused: u64,
    /// Grabs that were told, when they were sent again, that nothing was done, and were made anew.
    pub not_done: u64,
    /// Shares opened.
    pub opened: u64,
    /// What was in them, in fen.
    pub fen: u64,
}

impl Grabbed {
    /// What the users say who have grabbed.
    pub fn of(burst: &RunReport) -> Grabbed {
        Grabbed {
            told: burst.invites.received,
            sent: burst.grab.sent,
            granted: burst.grab.ok,
            refused: burst.grab.refused,
            not_done: burst.grab.not_done,
            opened: burst.open.ok,
            fen: burst.open.fen,
        }
    }
}

/// One second with the packet or without.
#[derive(Clone, Debug, Serialize)]
pub struct Half {
    /// Of the users of other SETs, from the time a shake was due, in µs.
    pub others_p50_us: f64,
    pub others_p99_us: f64,
    /// Within which all requests of the burst went out, in s: 1 unless this machine was too slow.
    pub burst_s: f64,
    /// Requests that were sent again, of all.
    pub retransmits: u64,
    /// The packet's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grabbed: Option<Grabbed>,
    /// How long it took until all were told, in s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_in_s: Option<f64>,
    #[serde(skip)]
    pub problems: Vec<String>,
}

impl Half {
    /// What both say; `told` is there with the packet.
    pub fn new(burst: &RunReport, beside: &RunReport, told: Option<Duration>) -> Half {
        let mut problems = burst.check.problems.clone();
        problems.extend(beside.check.problems.iter().map(|problem| format!("others: {problem}")));
        for (whose, report) in [("", burst), ("others: ", beside)] {
            let unanswered = report.timeouts + report.busy;
            if unanswered > 0 {
                problems.push(format!("{whose}{unanswered} requests without an answer"));
            }
        }
        Half {
            others_p50_us: beside.latency_us.p50,
            others_p99_us: beside.latency_us.p99,
            burst_s: burst.seconds + burst.schedule.late_us.max / 1e6,
            retransmits: burst.retransmits + beside.retransmits,
            grabbed: told.map(|_| Grabbed::of(burst)),
            told_in_s: told.map(|told| told.as_secs_f64()),
            problems,
        }
    }
}

/// Both.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    pub without: Half,
    pub with: Half,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.with.others_p99_us / self.without.others_p99_us.max(1.0)
    }

    /// In a line.
    pub fn line(&self) -> String {
        let Grabbed { sent, granted, refused, fen, .. } = self.with.grabbed.unwrap_or_default();
        format!(
            "{sent} grabs in {:.2} s, {granted} granted, {refused} refused, {fen} fen; others' p99 {:.0} µs, without {:.0} µs, × {:.2}",
            self.with.burst_s,
            self.with.others_p99_us,
            self.without.others_p99_us,
            self.ratio()
        )
    }
}

/// How it was done.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub users: u64,
    pub shares: u64,
    pub fen: u64,
    pub others: u64,
    pub qps: u64,
    pub sets: u32,
    pub groups: u32,
    pub ledger: String,
}

/// What `hot --json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// 99% of the others' shakes with the packet, in µs.
    pub others_p99_us_with: Spread,
    /// The same without it.
    pub others_p99_us_without: Spread,
    /// With it against without, pair by pair.
    pub others_p99_ratio: Spread,
    pub pairs: Vec<Pair>,
    /// `clean`, `differs`, or `none` where there is no ledger on disk.
    pub audit: &'static str,
    /// What is not as it must be.
    pub problems: Vec<String>,
    pub settings: Settings,
    pub host: Host,
    #[serde(skip)]
    verdict: String,
}

impl Report {
    /// Puts it together.
    pub fn new(settings: Settings, pairs: Vec<Pair>, audit: Option<Audit>, host: Host) -> Report {
        let halves = pairs.iter().flat_map(|pair| [&pair.without, &pair.with]);
        let mut problems: Vec<String> = halves.flat_map(|half| half.problems.clone()).collect();
        let taken_fen: u64 =
            pairs.iter().filter_map(|pair| pair.with.grabbed).map(|grabbed| grabbed.fen).sum();
        if let Some(audit) = &audit {
            let wallets_fen = audit.number("/wallets_fen") + audit.number("/on_its_way_fen");
            if !audit.ok {
                problems.push(format!("audit: {}", audit.verdict()));
            }
            if wallets_fen != taken_fen as i64 {
                problems.push(format!("clients took {taken_fen} fen, wallets hold {wallets_fen}"));
            }
        }
        let spread = |of: fn(&Pair) -> f64| Spread::of(pairs.iter().map(of));
        Report {
            others_p99_us_with: spread(|pair| pair.with.others_p99_us),
            others_p99_us_without: spread(|pair| pair.without.others_p99_us),
            others_p99_ratio: spread(Pair::ratio),
            audit: match &audit {
                None => "none",
                Some(audit) if audit.ok => "clean",
                Some(_) => "differs",
            },
            verdict: audit.map_or_else(|| "no ledger on disk".to_owned(), |audit| audit.verdict()),
            pairs,
            problems,
            settings,
            host,
        }
    }

    fn text(&self) -> String {
        let Settings { users, shares, fen, others, qps, sets, groups, ledger } = &self.settings;
        let Host { commit, kernel, cpu, load_average, debug_build, .. } = &self.host;
        let of = |spread: &Spread, digits: usize| {
            let Spread { min, median, max, .. } = spread;
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        };
        let mut text = format!(
            "{users} users, one packet of {shares} shares and {fen} fen, {} pairs; {others} others shake {qps} times a second; {sets} SETs, {groups} groups, {ledger}\n\
             others' p99: {} µs with the packet, {} µs without, × {}; median (min–max)\n\
             {cpu}, Linux {kernel}, commit {commit}, load before {load_average}\n\
             audit: {}\n",
            self.pairs.len(),
            of(&self.others_p99_us_with, 0),
            of(&self.others_p99_us_without, 0),
            of(&self.others_p99_ratio, 2),
            self.verdict
        );
        if *debug_build {
            text += "built without --release: these figures say nothing about speed\n";
        }
        self.problems.iter().for_each(|problem| text += &format!("PROBLEM: {problem}\n"));
        text
    }

    /// Prints both as wished.
    pub fn print(&self, json: Option<&str>) -> Result<(), Failure> {
        crate::json_or_text(self, &self.text(), json)
    }
}
