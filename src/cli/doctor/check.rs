//! What was looked at and found, as a table and as JSON.

use crate::cli::Failure;
use serde::Serialize;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum State {
    /// As it should be.
    #[serde(rename = "ok")]
    Ok,
    /// A server runs, and could run better.
    #[serde(rename = "could be better")]
    CouldBeBetter,
    /// Something does not do what it is for.
    #[serde(rename = "broken")]
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub state: State,
    /// What that means for a server.
    pub effect: String,
    /// The command or option that changes it; empty if there is nothing to change.
    pub fix: String,
}

impl Check {
    pub(super) fn ok(what: impl Into<String>, effect: impl Into<String>) -> Check {
        Check { what: what.into(), state: State::Ok, effect: effect.into(), fix: String::new() }
    }

    pub(super) fn could_be_better(
        what: impl Into<String>,
        effect: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check { what: what.into(), state: State::CouldBeBetter, effect: effect.into(), fix: fix.into() }
    }

    pub(super) fn broken(
        what: impl Into<String>,
        effect: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check { what: what.into(), state: State::Broken, effect: effect.into(), fix: fix.into() }
    }

    /// Something that could not be looked at; `fix` shows it to who may.
    pub(super) fn not_known(
        what: impl Into<String>,
        why: impl std::fmt::Display,
        fix: impl Into<String>,
    ) -> Check {
        Check::could_be_better(what, format!("not known: {why}"), fix)
    }

    /// What it is about: `kernel` of `kernel: AF_XDP`.
    fn group(&self) -> &str {
        self.what.split_once(": ").map_or(&*self.what, |(group, _)| group)
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::CouldBeBetter => "could be better",
            State::Broken => "broken",
        }
    }
}

/// A heading, a line for each check with columns as wide as what is in them and its fix below, a gap between what is
/// about different things, and how many there are of each state.
pub(super) fn to_table(checks: &[Check]) -> String {
    let width = |text: fn(&Check) -> usize, least: usize| checks.iter().map(text).fold(least, usize::max);
    let what = width(|check| check.what.chars().count(), "WHAT".len());
    let state = width(|check| check.state.name().len(), "STATE".len());
    let mut lines = vec![format!("{:what$}  {:state$}  EFFECT", "WHAT", "STATE")];
    for (at, check) in checks.iter().enumerate() {
        if at > 0 && checks[at - 1].group() != check.group() {
            lines.push(String::new());
        }
        lines.push(format!("{:what$}  {:state$}  {}", check.what, check.state.name(), check.effect));
        if !check.fix.is_empty() {
            lines.push(format!("{:what$}  {:state$}  fix: {}", "", "", check.fix));
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let [ok, better, broken] = [State::Ok, State::CouldBeBetter, State::Broken].map(count);
    lines.push(format!("\n{ok} ok, {better} could be better, {broken} broken"));
    lines.join("\n")
}

/// `{"checks": [{what, state, effect, fix}]}`.
pub(super) fn to_json(checks: &[Check]) -> Result<String, Failure> {
    serde_json::to_string(&serde_json::json!({ "checks": checks })).map_err(Failure::machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> [Check; 3] {
        [
            Check::ok("processor: AES", "fast"),
            Check::could_be_better("eth0: queues", "1 queue", "ethtool -L eth0 combined 2"),
            Check::broken("server", "asleep", "wake it"),
        ]
    }

    #[test]
    fn the_table_has_a_line_for_each_check_and_its_fix_below() {
        let table = "\
WHAT            STATE            EFFECT
processor: AES  ok               fast

eth0: queues    could be better  1 queue
                                 fix: ethtool -L eth0 combined 2

server          broken           asleep
                                 fix: wake it

1 ok, 1 could be better, 1 broken";
        assert_eq!(to_table(&checks()), table);
    }

    #[test]
    fn programs_read_the_same() {
        let json: serde_json::Value = serde_json::from_str(&to_json(&checks()).unwrap()).unwrap();
        let check = |what: &str, state: &str, effect: &str, fix: &str| serde_json::json!({ "what": what, "state": state, "effect": effect, "fix": fix });
        let wanted = [
            check("processor: AES", "ok", "fast", ""),
            check("eth0: queues", "could be better", "1 queue", "ethtool -L eth0 combined 2"),
            check("server", "broken", "asleep", "wake it"),
        ];
        assert_eq!(json, serde_json::json!({ "checks": wanted }));
    }
}
