//! What `crash` came to: for eyes, and as JSON.

use super::Kills;
use crate::child::Audit;
use crate::run::{Host, Mix, Report as RunReport};
use redpkt::cli::Failure;
use serde::Serialize;

/// What `crash --json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How often the server was killed.
    pub kills: u32,
    /// How often of these while it started.
    pub kills_while_starting: u32,
    /// What clients know they have taken, in fen; each user's share of a packet once.
    pub fen_clients: i64,
    /// What they have taken as the ledger has it, in fen.
    pub fen_ledger: i64,
    /// `clean` or `differs`.
    pub audit: &'static str,
    /// Requests about money whose outcome the clients do not know.
    pub unknown: i64,
    /// Requests that were executed, and that no client tells of.
    pub unheard: i64,
    /// Requests made.
    pub requests: u64,
    /// Opens that took money, those made again among them.
    pub opens: u64,
    /// Packets that users made for others.
    pub sends: u64,
    /// Sessions that were joined again.
    pub rejoins: u64,
    /// The longest time until a server that was started again answered, in s.
    pub slowest_start_s: f64,
    /// How long it took, in s.
    pub seconds: f64,
    /// Decides when the server is killed.
    pub seed: u64,
    /// What is not as it must be.
    pub problems: Vec<String>,
    pub settings: Settings,
    pub host: Host,
    #[serde(skip)]
    verdict: String,
}

/// How it was done.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub users: u64,
    pub qps: u64,
    pub workers: u32,
    pub groups: u32,
    pub mix: Mix,
    pub ledger: String,
}

impl Report {
    /// Compares what clients were told with what the ledger says.
    pub(super) fn new(
        told: &RunReport,
        audit: &Audit,
        seed: u64,
        kills: Kills,
        seconds: f64,
        settings: Settings,
        host: Host,
    ) -> Report {
        let tallies = |name: &str| audit.number(&format!("/tallies/{name}"));
        let (fen_clients, fen_ledger) = (tallies("fen_clients"), tallies("fen_ledger"));
        let unheard = tallies("unheard");
        let mut problems = told.check.problems.clone();
        let mut expect = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        expect(audit.ok, format!("audit: {}", audit.verdict()));
        expect(
            fen_clients == fen_ledger,
            format!("clients have taken {fen_clients} fen, and by the ledger {fen_ledger}"),
        );
        expect(unheard == 0, format!("{unheard} requests were executed that no client tells of"));
        expect(fen_clients > 0 && told.rejoins > 0, "nothing was taken, or nobody had to join again".into());
        let made = |count: &crate::run::Requests| count.sent;
        let others = [&told.send, &told.share, &told.grab, &told.balance, &told.history];
        Report {
            kills: kills.all,
            kills_while_starting: kills.while_starting,
            fen_clients,
            fen_ledger,
            audit: if audit.ok { "clean" } else { "differs" },
            unknown: tallies("unknown"),
            unheard,
            requests: told.shake.sent + told.open.sent + others.map(made).iter().sum::<u64>(),
            opens: told.open.ok,
            sends: told.send.ok,
            rejoins: told.rejoins,
            slowest_start_s: kills.slowest_start.as_secs_f64(),
            seconds,
            seed,
            problems,
            settings,
            host,
            verdict: audit.verdict(),
        }
    }

    fn text(&self) -> String {
        let Report { kills, kills_while_starting, fen_clients, fen_ledger, unknown, requests, .. } = self;
        let Report { opens, sends, rejoins, slowest_start_s, seconds, seed, verdict, problems, .. } = self;
        let mut text = format!(
            "{kills} kills in {seconds:.0} s, {kills_while_starting} of them while the server started; seed {seed}; back after {slowest_start_s:.2} s at most\n\
             {requests} requests, {opens} opens, {sends} sends, {rejoins} rejoins; the outcome of {unknown} is not known\n\
             clients {fen_clients} fen, ledger {fen_ledger} fen\n\
             audit: {verdict}\n"
        );
        problems.iter().for_each(|problem| text += &format!("PROBLEM: {problem}\n"));
        text
    }

    /// Prints both as wished.
    pub fn print(&self, json: Option<&str>) -> Result<(), Failure> {
        crate::json_or_text(self, &self.text(), json)
    }
}
