//! What came of a practice: the checks, the table beside the article's values, and the same as JSON.

use super::drive::{HostSessions, Opened, Shaken};
use super::event::Event;
use super::plan::{PhasePlan, Plan, RECIPIENTS};
use crate::child::Audit;
use crate::json_or_text;
use crate::run::{Host, grouped};
use redpkt::cli::Failure;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// All of it: the fields of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was asked, what was reached, what the article has.
    pub phases: Vec<Row>,
    /// Whether every rule on money holds over ledger and tallies.
    pub audit: bool,
    /// In one line.
    pub audit_verdict: String,
    /// What failed; empty if all is well.
    pub problems: Vec<String>,
    /// What was practised.
    pub plan: Plan,
    /// Whether the hosts were namespaces with wires of their own.
    pub namespaces: bool,
    /// How the sessions were opened.
    pub sessions: Opened,
    /// Phase by phase.
    pub shaken: Vec<Shaken>,
    /// Requests without an answer, by all client hosts until their end.
    pub timeouts: u64,
    /// What the highest rate means for the night of 2015.
    pub event: Option<Event>,
    /// What it was run on.
    pub host: Host,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The phase, and what of it.
    pub name: String,
    /// What was asked for.
    pub asked: f64,
    /// What was reached.
    pub reached: f64,
    /// The article's value.
    pub article: f64,
    /// What the article says of it.
    pub article_says: &'static str,
}

/// The article's sessions.
const ARTICLE_SESSIONS: f64 = 1_000_000.0;

/// The article's packets a second.
const ARTICLE_PACKETS: f64 = 200.0;

/// The article's verdict on a phase.
fn article(number: u32) -> (f64, &'static str) {
    match number {
        2 => (30_000.0, "steady"),
        _ => (60_000.0, "shaky: packets taken no longer hold 200/s"),
    }
}

impl Report {
    /// Puts it together and judges it.
    pub fn new(
        plan: Plan,
        namespaces: bool,
        host: Host,
        sessions: Opened,
        shaken: Vec<Shaken>,
        reports: &[Value],
        audit: &Audit,
    ) -> Report {
        let timeouts = reports.iter().map(|report| report["timeouts"].as_u64().unwrap_or(0)).sum();
        let fastest = shaken.iter().map(|phase| phase.shakes_per_s).fold(0.0, f64::max);
        let mut report = Report {
            phases: rows(&plan, &sessions, &shaken),
            audit: audit.ok,
            audit_verdict: audit.verdict(),
            problems: Vec::new(),
            plan,
            namespaces,
            sessions,
            shaken,
            timeouts,
            event: Event::at(fastest),
            host,
        };
        report.problems = report.judged(reports);
        report
    }

    fn judged(&self, reports: &[Value]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let (open, users) = (self.sessions.sessions, self.plan.users);
        expect(open == users, format!("{open} of {users} sessions are open"));
        expect(self.timeouts == 0, format!("{} requests were not answered", self.timeouts));
        for phase in &self.shaken {
            let number = phase.plan.number;
            for window in phase.windows.iter().filter(|window| !window.ok) {
                problems.push(format!(
                    "phase {number}, {:.0} s after the first packet: {:.1} packets won a second by the server, {:.1} by the clients, of {:.0} minted",
                    window.from_s, window.server_per_s, window.clients_per_s, window.asked_per_s
                ));
            }
            let Shaken { opens, server_opens, to_open, mint, send, plan, .. } = phase;
            let made = (mint.made, send.made);
            let asked = (plan.mint.total, plan.send.total);
            if made != asked {
                problems.push(format!("phase {number}: {made:?} packets were minted and sent of {asked:?}"));
            }
            if opens != to_open || server_opens != to_open {
                problems.push(format!(
                    "phase {number}: (opens, fen) {opens:?} by the clients and {server_opens:?} by the server of {to_open:?}"
                ));
            }
        }
        for report in reports.iter().filter(|report| report["check"]["ok"] != true) {
            problems.push(format!("host {}: {}", report["settings"]["host"], report["check"]["problems"]));
        }
        if !self.audit {
            problems.push(format!("audit: {}", self.audit_verdict));
        }
        problems
    }

    /// The table, and what it means.
    fn text(&self) -> String {
        let mut text = String::new();
        if self.plan.tells_sessions {
            text += &hosts_table(&self.sessions.hosts);
        }
        self.shaken.iter().for_each(|phase| text += &windows_table(phase));
        text += &rows_table(&self.phases);
        if let Some(event) = &self.event {
            let _ = writeln!(
                text,
                "The night of 2015 on machines like this one, at {} shakes/s each: 10 billion shakes take 600 of them {:.1} min;\nthe peak of 14 million/s takes {} of them, and 10 billion at that peak {:.1} min.",
                grouped(event.qps),
                event.minutes,
                grouped(event.machines),
                event.minutes_at_peak
            );
        }
        let _ = writeln!(text, "audit: {}", self.audit_verdict);
        self.problems.iter().for_each(|problem| {
            let _ = writeln!(text, "PROBLEM: {problem}");
        });
        let host = &self.host;
        let _ =
            writeln!(text, "on {} × {}, Linux {}, commit {}", host.cores, host.cpu, host.kernel, host.commit);
        if host.debug_build {
            text += "built without --release: these figures say nothing about speed\n";
        }
        text += if self.problems.is_empty() { "check: all is well\n" } else { "check: FAILED\n" };
        text
    }

    /// Shows it, and writes it as JSON where that is wished; fails if something of it did.
    pub fn show(&self, json: Option<&str>) -> Result<(), Failure> {
        json_or_text(self, &self.text(), json)?;
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(Failure::check(format!("the check failed: {}", self.problems.join("; ")))),
        }
    }
}

fn rows(plan: &Plan, sessions: &Opened, shaken: &[Shaken]) -> Vec<Row> {
    let row = |name: String, asked, reached, (article, article_says)| Row {
        name,
        asked,
        reached,
        article,
        article_says,
    };
    let mut rows = Vec::new();
    if plan.tells_sessions {
        let name = "1 sessions".to_owned();
        rows.push(row(name, plan.users as f64, sessions.sessions as f64, (ARTICLE_SESSIONS, "all open")));
    }
    for phase in shaken {
        let PhasePlan { number, qps, mint, send } = phase.plan;
        let packets = if number == 2 { "held" } else { "not held" };
        let name = |what: &str| format!("{number} {what}");
        rows.push(row(name("shakes/s"), qps as f64, phase.shakes_per_s, article(number)));
        let wins = (ARTICLE_PACKETS, packets);
        rows.push(row(name("packets won/s"), mint.per_s as f64, phase.wins_per_s, wins));
        let sent = (ARTICLE_PACKETS, "sent to 3 users each, all opened");
        rows.push(row(name("packets sent/s"), send.per_s as f64, phase.send.made_per_s, sent));
        let shares = (3.0 * ARTICLE_PACKETS, "all opened");
        rows.push(row(
            name("shares opened/s"),
            (RECIPIENTS * send.per_s) as f64,
            phase.send.opened_per_s,
            shares,
        ));
    }
    rows
}

fn rows_table(rows: &[Row]) -> String {
    let mut text = format!("{:<20} {:>12} {:>12} {:>12}\n", "phase", "asked", "reached", "article");
    for row in rows {
        let [asked, reached, article] = [row.asked, row.reached, row.article].map(number);
        let _ =
            writeln!(text, "{:<20} {asked:>12} {reached:>12} {article:>12}  {}", row.name, row.article_says);
    }
    text
}

fn hosts_table(hosts: &[HostSessions]) -> String {
    let mut text = format!("{:<20} {:>16} {:>12} {:>12}\n", "client host", "address", "users", "sessions");
    for HostSessions { host, address, users, sessions } in hosts {
        let (users, sessions) = (grouped(*users), grouped(*sessions));
        let _ = writeln!(text, "{host:<20} {address:>16} {users:>12} {sessions:>12}");
    }
    text
}

fn windows_table(phase: &Shaken) -> String {
    let mut text =
        format!("{:<20} {:>12} {:>12} {:>12}\n", "packets won/s", "minted", "by server", "by clients");
    for window in &phase.windows {
        let name = format!("phase {}, {:>4.0} s", phase.plan.number, window.from_s);
        let [asked, server, clients] =
            [window.asked_per_s, window.server_per_s, window.clients_per_s].map(number);
        let mark = if window.ok { "" } else { "  NOT HELD" };
        let _ = writeln!(text, "{name:<20} {asked:>12} {server:>12} {clients:>12}{mark}");
    }
    text
}

/// A number as it is best read: whole where it is large.
fn number(number: f64) -> String {
    if number >= 1_000.0 || number.fract() == 0.0 { grouped(number) } else { format!("{number:.1}") }
}

#[cfg(test)]
mod tests {
    use super::super::drive::Flow;
    use super::super::windows::Window;
    use super::*;
    use serde_json::json;

    fn report(spoil: impl FnOnce(&mut Shaken, &mut Audit, &mut Value)) -> Report {
        let plan = Plan::new(0.1, false, &[1, 2], 2, 0.0).unwrap();
        let phase = plan.phases[0];
        let host = |host| HostSessions { host, address: "10.78.0.2".into(), users: 50_000, sessions: 50_000 };
        let sessions = Opened { sessions: 100_000, seconds: 3.0, hosts: vec![host(1), host(2)] };
        let window = Window {
            from_s: 10.0,
            seconds: 10.0,
            server_per_s: 20.0,
            clients_per_s: 20.1,
            asked_per_s: 20.0,
            ok: true,
        };
        let flow = |made| Flow { made, made_per_s: 20.0, opened_per_s: 60.0 };
        let mut shaken = Shaken {
            plan: phase,
            shakes_per_s: 2_999.6,
            server_shakes_per_s: 3_000.0,
            slowest_per_s: 2_990.0,
            mint: flow(4_000),
            wins_per_s: 20.0,
            windows: vec![window],
            send: flow(2_000),
            wins: 4_000,
            opens: (10_000, 70),
            server_opens: (10_000, 70),
            to_open: (10_000, 70),
            timeouts: 0,
            rejoins: 5,
            seconds: 320.0,
        };
        let mut audit = Audit { ok: true, report: json!({"rows": 3, "commits": 2}) };
        let mut client = json!({"timeouts": 0, "check": {"ok": true}, "settings": {"host": 1}});
        spoil(&mut shaken, &mut audit, &mut client);
        Report::new(plan, true, Host::default(), sessions, vec![shaken], &[client], &audit)
    }

    /// Expect: a line for the sessions and four for the phase, with what the article has.
    #[test]
    fn the_table_has_what_was_asked_and_reached() {
        let report = report(|_, _, _| ());
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let text = report.text();
        assert!(text.contains("2 shakes/s") && text.contains("3,000") && text.contains("steady"), "{text}");
        assert!(text.contains("phase 2,   10 s") && text.ends_with("check: all is well\n"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["phases"].as_array().unwrap().len(), 5);
        assert_eq!(json["phases"][0]["article"], 1_000_000.0);
        assert_eq!(json["audit"], true);
    }

    /// Expect: each fault is named, and the check fails.
    #[test]
    fn faults_are_named() {
        type Spoil = fn(&mut Shaken, &mut Audit, &mut Value);
        let faults: [(&str, Spoil); 6] = [
            ("not answered", |_, _, client| client["timeouts"] = 2.into()),
            ("minted", |shaken, _, _| shaken.windows[0].ok = false),
            ("(opens, fen)", |shaken, _, _| shaken.opens.1 -= 1),
            ("minted and sent of", |shaken, _, _| shaken.send.made -= 1),
            ("host 1", |_, _, client| client["check"] = json!({"ok": false, "problems": ["x"]})),
            ("audit", |_, audit, _| audit.ok = false),
        ];
        for (what, spoil) in faults {
            let report = report(spoil);
            assert!(report.problems.iter().any(|problem| problem.contains(what)), "{what}");
            assert!(report.text().ends_with("check: FAILED\n"));
        }
    }
}
