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

/// A heading, and a line for each check, with columns as wide as what is in them.
pub(super) fn to_table(checks: &[Check]) -> String {
    let rows = checks
        .iter()
        .map(|check| [check.what.as_str(), check.state.name(), check.effect.as_str(), check.fix.as_str()]);
    let rows: Vec<[&str; 4]> = std::iter::once(["WHAT", "STATE", "EFFECT", "FIX"]).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (what, state, effect) = (width(0), width(1), width(2));
    let line = |row: &[&str; 4]| {
        let line = format!("{:what$}  {:state$}  {:effect$}  {}", row[0], row[1], row[2], row[3]);
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
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
    fn the_table_has_a_line_for_each_check_and_even_columns() {
        let table = "\
WHAT            STATE            EFFECT   FIX
processor: AES  ok               fast
eth0: queues    could be better  1 queue  ethtool -L eth0 combined 2
server          broken           asleep   wake it";
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
