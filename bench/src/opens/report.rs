//! What `opens` came to: for eyes, and as JSON.

use super::client::Phase;
use crate::child::Audit;
use crate::run::Host;
use redpkt::cli::Failure;
use serde::Serialize;

/// Where the money was.
pub struct Ledger {
    /// `sqlite:DIR` or `memory:`.
    pub url: String,
    /// Whether nothing was in it before.
    pub is_new: bool,
}

/// What `opens --json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub outcome: Outcome,
    pub settings: Settings,
    pub host: Host,
}

/// How it was measured.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub packets: u64,
    pub users: u32,
    pub frames_per_datagram: u16,
    /// Datagrams on their way at any time.
    pub outstanding: u32,
    pub workers: u32,
    pub groups: u32,
    pub ledger: String,
}

/// What the server counted while packets were opened.
pub struct ServerSums {
    pub rows: u64,
    pub commits: u64,
    pub frames_out: u64,
    pub datagrams_out: u64,
    pub cpu_ns: u64,
}

/// The measured part: the opens.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Opens answered a second, each after it was durable.
    pub opens_per_s: f64,
    /// Commits a second, of all groups.
    pub commits_per_s: f64,
    /// Rows of each commit, in the mean.
    pub rows_per_commit: f64,
    /// Median from a datagram's sending to its answers, in µs.
    pub p50_us: f64,
    /// 99% of the same.
    pub p99_us: f64,
    /// CPU time of all of the server's threads for each open, in ns.
    pub cpu_ns_per_open: f64,
    /// Answers in each datagram of the server's, in the mean.
    pub answers_per_datagram: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Opens.
    pub opens: u64,
    /// What they took, in fen.
    pub fen: u64,
    /// Answers that wanted to be asked again.
    pub busy: u64,
    /// Datagrams sent again, because something in them had no answer.
    pub sent_again: u64,
    /// `clean`, `differs`, or `none` where there is no ledger on disk.
    pub audit: &'static str,
    /// What is not as it must be.
    pub problems: Vec<String>,
    /// What the audit said.
    #[serde(skip)]
    verdict: String,
}

impl Outcome {
    /// Puts together what the client and the server counted while packets were opened.
    pub fn new(opened: &Phase, server: &ServerSums, audit: Option<Audit>, problems: Vec<String>) -> Outcome {
        let ServerSums { rows, commits, frames_out, datagrams_out, cpu_ns } = *server;
        let seconds = opened.time.as_secs_f64().max(1e-9);
        Outcome {
            opens_per_s: opened.ok as f64 / seconds,
            commits_per_s: commits as f64 / seconds,
            rows_per_commit: rows as f64 / commits.max(1) as f64,
            p50_us: opened.quantile_us(0.5),
            p99_us: opened.quantile_us(0.99),
            cpu_ns_per_open: cpu_ns as f64 / opened.ok.max(1) as f64,
            answers_per_datagram: frames_out as f64 / datagrams_out.max(1) as f64,
            seconds,
            opens: opened.ok,
            fen: opened.fen,
            busy: opened.busy,
            sent_again: opened.sent_again,
            audit: match &audit {
                None => "none",
                Some(audit) if audit.ok => "clean",
                Some(_) => "differs",
            },
            problems,
            verdict: audit.map_or_else(|| "no ledger on disk".to_owned(), |audit| audit.verdict()),
        }
    }
}

impl Report {
    fn text(&self) -> String {
        let Outcome {
            opens_per_s, commits_per_s, rows_per_commit, answers_per_datagram, p50_us, p99_us, ..
        } = &self.outcome;
        let Outcome { cpu_ns_per_open, seconds, opens, fen, busy, sent_again, verdict, problems, .. } =
            &self.outcome;
        let Settings { users, frames_per_datagram, outstanding, workers, groups, ledger, .. } =
            &self.settings;
        let Host { commit, kernel, cpu, load_average, debug_build, .. } = &self.host;
        let mut text = format!(
            "{opens} opens of {fen} fen in {seconds:.2} s: {opens_per_s:.0} opens/s, {cpu_ns_per_open:.0} ns of the server's CPU each\n\
             {commits_per_s:.0} commits/s, {rows_per_commit:.1} rows each; {answers_per_datagram:.1} answers a datagram; p50 {p50_us:.0} µs, p99 {p99_us:.0} µs; {busy} busy, {sent_again} datagrams sent again\n\
             {users} users, {frames_per_datagram} opens a datagram, {outstanding} datagrams on their way; {workers} workers, {groups} groups, {ledger}\n\
             {cpu}, Linux {kernel}, commit {commit}, load before {load_average}\n\
             audit: {verdict}\n"
        );
        if *debug_build {
            text += "built without --release: these figures say nothing about speed\n";
        }
        problems.iter().for_each(|problem| text += &format!("PROBLEM: {problem}\n"));
        text
    }

    /// Prints both as wished.
    pub fn print(&self, json: Option<&str>) -> Result<(), Failure> {
        crate::json_or_text(self, &self.text(), json)
    }
}
