//! What `overload` came to: for eyes, and as JSON.

use super::bare_echo::Echo;
use super::refusal::RefusalCost;
use super::scenario::Scenario;
use crate::floor::{CorePair, Spread};
use crate::run::Host;
use serde::Serialize;
use std::fmt::Write as _;

/// What `overload --json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The server's engine.
    pub io: String,
    /// Shakes a second that are all answered in time.
    pub knee_qps: u64,
    /// The server had one part of so many of its core.
    pub share: u32,
    /// How long each load lasted.
    pub seconds: f64,
    pub users: u64,
    pub scenarios: Vec<Scenario>,
    /// The bare echo under the same loads.
    pub echo: Vec<Echo>,
    /// CPU for a refusal over CPU for an answer; `null` where it was not measured.
    pub refusal_cost_ratio: Option<Spread>,
    /// The same in full.
    pub refusal_cost: Option<RefusalCost>,
    /// Whether every scenario's audit was clean.
    pub audit: bool,
    pub cores: CorePair,
    pub host: Host,
}

impl Report {
    /// Under what it was measured, in a line.
    pub fn conditions(&self) -> String {
        let Host { cpu, kernel, commit, .. } = &self.host;
        format!(
            "{} engine with 1/{} of core {}, the knee {} shakes/s, {} users, {} s each, over a veth pair; {cpu}, Linux {kernel}, commit {commit}",
            self.io, self.share, self.cores.server, self.knee_qps, self.users, self.seconds
        )
    }

    /// Tables that can be pasted into a document, and what else there is.
    pub fn text(&self) -> String {
        let mut text = self.conditions() + "\n";
        if !self.scenarios.is_empty() {
            text += "\n| scenario | went out | answered | opens answered | p99 served | p99 from the first transmission | normal again | calm | audit |\n|---|---|---|---|---|---|---|---|---|\n";
        }
        for scenario in &self.scenarios {
            let _ = writeln!(
                text,
                "| {} | {:.2} ×{} | {:.2} × | {:.2}% of {} | {:.1} ms | {:.1} ms | {} | {} | {} |",
                scenario.name,
                scenario.sent_x,
                if scenario.generator_limited { " (all it could)" } else { "" },
                scenario.goodput_share,
                100.0 * scenario.opens_answered_share,
                scenario.opens,
                scenario.p99_us / 1e3,
                scenario.p99_waited_us / 1e3,
                seconds(scenario.recovery_s),
                if scenario.is_times() { seconds(scenario.calm_s) } else { "–".into() },
                if scenario.audit { "clean" } else { "FAILED" }
            );
        }
        for scenario in self.scenarios.iter().filter(|scenario| !scenario.more.is_empty()) {
            let _ = writeln!(text, "\n{}: {}: {}", scenario.name, scenario.what, scenario.more_text());
        }
        for scenario in self.scenarios.iter().filter(|scenario| !scenario.audit) {
            let _ = writeln!(text, "\n{}: the audit found {}", scenario.name, scenario.audit_verdict);
        }
        if !self.echo.is_empty() {
            text += "\n| bare echo | went out | came back | lost | p99 | normal again |\n|---|---|---|---|---|---|\n";
        }
        for echo in &self.echo {
            let _ = writeln!(
                text,
                "| {} | {:.2} ×{} | {:.2} × | {:.1}% | {:.1} ms | {} |",
                echo.name,
                echo.sent_x,
                if echo.generator_limited { " (all it could)" } else { "" },
                echo.goodput_share,
                100.0 * echo.lost_share,
                echo.p99_us / 1e3,
                seconds(echo.recovery_s)
            );
        }
        if let Some(cost) = &self.refusal_cost {
            let _ = writeln!(text, "\n{}", cost.line());
        }
        if self.host.debug_build {
            text += "\nbuilt without optimisation: these figures say nothing\n";
        }
        text
    }
}

/// After how long, or never.
fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s"))
}
