//! The table of levels of service: read from a file, changed by hand, told in figures.

use crate::gate::{ALL, Class};
use crate::worker::{LEVELS_MAX, Level, Plan, Switch, Switches, WorkerSnapshot};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is given up at which load, as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    hold_ms: Option<u64>,
    level: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    above_ms: f64,
    #[serde(default)]
    below_ms: f64,
    #[serde(default)]
    off: Vec<String>,
}

/// Why a table or a change of it is not taken; what was in force stays. One line.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The file cannot be read.
    #[error("--service {}: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not such a table.
    #[error("--service {}: {why}", file.display())]
    Table {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no such level.
    #[error("level {level}: 0 to {last}, one of {names}, or auto")]
    NoLevel {
        /// As asked for.
        level: String,
        /// The highest.
        last: usize,
        /// All of them.
        names: String,
    },
    /// There is no such switch.
    #[error("{0}: {names} can be switched", names = switch_names())]
    NoSwitch(String),
    /// It is no state of a switch.
    #[error("state {0}: on, off or auto")]
    NoState(String),
}

/// Reads a table.
pub fn read_table(file: &Path) -> Result<Plan, ServiceError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| ServiceError::Read { file: file.into(), error })?;
    parse(&text).map_err(|why| ServiceError::Table { file: file.into(), why })
}

fn parse(text: &str) -> Result<Plan, String> {
    let table: Table = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    let hold_ns = table.hold_ms.map_or(Plan::default().hold_ns, |ms| ms.saturating_mul(1_000_000));
    if !(1..=LEVELS_MAX).contains(&table.level.len()) {
        return Err(format!("{} levels; 1 to {LEVELS_MAX} are allowed", table.level.len()));
    }
    let levels: Vec<Level> = table.level.iter().map(level).collect::<Result<_, String>>()?;
    for (nth, level) in levels.iter().enumerate() {
        let Level { name, above_ns, below_ns, .. } = level;
        if levels[..nth].iter().any(|before| before.name == *name) {
            return Err(format!("level {name}: there are two of this name"));
        }
        match nth.checked_sub(1).map(|before| &levels[before]) {
            None if *above_ns > 0 => {
                return Err(format!("level {name}: the first is full service, above_ms is 0"));
            }
            None => {}
            Some(before) if *above_ns <= before.above_ns => {
                return Err(format!(
                    "level {name}: above_ms must be more than that of level {}",
                    before.name
                ));
            }
            Some(_) if *below_ns >= *above_ns => {
                return Err(format!(
                    "level {name}: below_ms must be less than above_ms, or it comes and goes"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(Plan { levels, hold_ns, forced: None, ..Plan::default() })
}

fn level(row: &Row) -> Result<Level, String> {
    let Row { name, above_ms, below_ms, off } = row;
    let ns = |what: &str, ms: f64| match ms {
        ms if (0.0..=10_000.0).contains(&ms) => Ok((ms * 1e6) as u64),
        _ => Err(format!("level {name}: {what} {ms}: 0 to 10000 is allowed")),
    };
    let off = off.iter().try_fold(Switches::default(), |all, word| {
        let switch = switch(word)
            .ok_or_else(|| format!("level {name}: off {word:?}: {} can be given up", switch_names()))?;
        Ok::<_, String>(all.with(switch))
    })?;
    Ok(Level {
        name: name.clone(),
        above_ns: ns("above_ms", *above_ms)?,
        below_ns: ns("below_ms", *below_ms)?,
        off,
    })
}

fn switch(name: &str) -> Option<Switch> {
    Switch::ALL.into_iter().find(|switch| switch.name() == name)
}

/// All of them, as a sentence has them.
fn switch_names() -> String {
    let [others @ .., last] = Switch::ALL.map(Switch::name);
    format!("{} and {last}", others.join(", "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Keeps to a level, by number or name, or follows the load again.
pub fn force(plan: &mut Plan, level: &str) -> Result<(), ServiceError> {
    let find = |level: &str| {
        let by_name = plan.levels.iter().position(|each| each.name == level);
        by_name.or_else(|| level.parse().ok().filter(|number| *number < plan.levels.len()))
    };
    plan.forced = match level {
        "auto" => None,
        level => Some(find(level).ok_or_else(|| ServiceError::NoLevel {
            level: level.into(),
            last: plan.levels.len() - 1,
            names: plan.levels.iter().map(|level| level.name.as_str()).collect::<Vec<_>>().join(", "),
        })?),
    };
    Ok(())
}

/// Has a switch on or off whatever the level, or by the level again.
pub fn set_switch(plan: &mut Plan, name: &str, state: &str) -> Result<(), ServiceError> {
    let switch = switch(name).ok_or_else(|| ServiceError::NoSwitch(name.into()))?;
    let without = |all: Switches| {
        let others = Switch::ALL.into_iter().filter(|each| *each != switch && all.has(*each));
        others.fold(Switches::default(), Switches::with)
    };
    let (on, off) = (without(plan.on), without(plan.off));
    (plan.on, plan.off) = match state {
        "on" => (on.with(switch), off),
        "off" => (on, off.with(switch)),
        "auto" => (on, off),
        _ => return Err(ServiceError::NoState(state.into())),
    };
    Ok(())
}

/// What `/stats.json` tells.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceStats {
    /// The highest level of a worker.
    pub level: u64,
    /// Its name.
    pub name: String,
    /// Whether it is kept to by hand.
    pub forced: bool,
    /// What is given up, by some worker.
    pub off: Vec<&'static str>,
    /// The share of each class's users that the most loaded worker works for.
    pub admitted: std::collections::BTreeMap<&'static str, f64>,
    /// Datagrams refused unread, by class.
    pub shed: std::collections::BTreeMap<&'static str, u64>,
}

/// What the workers say of themselves, under a plan.
pub(super) fn service_stats(plan: &Plan, workers: &[WorkerSnapshot]) -> ServiceStats {
    let level = workers.iter().map(|worker| worker.service_level).max().unwrap_or(0);
    let off = Switches::of_bits(workers.iter().fold(0, |all, worker| all | worker.service_off));
    let share = |class: Class| {
        let limits = workers.iter().map(|worker| worker.admitted[class as usize]);
        limits.min().unwrap_or(ALL.into()) as f64 / f64::from(ALL)
    };
    let shed = |class: Class| workers.iter().map(|worker| worker.core.shed[class as usize]).sum();
    ServiceStats {
        level,
        name: plan.levels.get(level as usize).map_or_else(String::new, |level| level.name.clone()),
        forced: plan.forced.is_some(),
        off: Switch::ALL.into_iter().filter(|switch| off.has(*switch)).map(Switch::name).collect(),
        admitted: Class::ALL.into_iter().map(|class| (class.name(), share(class))).collect(),
        shed: Class::ALL.into_iter().map(|class| (class.name(), shed(class))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        hold_ms = 250
        [[level]]
        name = "full"
        [[level]]
        name = "busy"
        above_ms = 5
        below_ms = 2.5
        off = ["read", "mint"]
    "#;

    #[test]
    fn a_table_is_what_it_says() {
        let plan = parse(GOOD).unwrap();
        assert_eq!((plan.levels.len(), plan.hold_ns), (2, 250_000_000));
        let busy = &plan.levels[1];
        assert_eq!((busy.above_ns, busy.below_ns), (5_000_000, 2_500_000));
        assert!(busy.off.has(Switch::Mint) && !busy.off.has(Switch::Join));
    }

    #[test]
    fn the_default_is_a_table_that_would_be_taken() {
        let plan = Plan::default();
        let rows = plan.levels.iter().map(|level| {
            let off: Vec<_> = Switch::ALL.into_iter().filter(|switch| level.off.has(*switch)).collect();
            let off: Vec<String> = off.iter().map(|switch| format!("{:?}", switch.name())).collect();
            format!(
                "[[level]]\nname = {:?}\nabove_ms = {}\nbelow_ms = {}\noff = [{}]\n",
                level.name,
                level.above_ns / 1_000_000,
                level.below_ns / 1_000_000,
                off.join(", ")
            )
        });
        assert_eq!(parse(&rows.collect::<String>()), Ok(plan));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        for (from, to, why) in [
            ("below_ms = 2.5", "below_ms = 5", "below_ms must be less"),
            ("above_ms = 5", "above_ms = 0", "above_ms must be more"),
            ("above_ms = 5", "above_ms = 99999", "0 to 10000"),
            ("\"mint\"", "\"miint\"", "\"miint\": mint, invites, prompt"),
            ("name = \"busy\"", "name = \"full\"", "two of this name"),
            ("off =", "of =", "unknown field"),
            ("name = \"full\"", "name = \"full\"\nabove_ms = 1", "the first is full service"),
            (GOOD, "", "missing field"),
        ] {
            let said = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        }
    }

    #[test]
    fn levels_and_switches_are_forced_by_name_and_let_go_again() {
        let mut plan = parse(GOOD).unwrap();
        force(&mut plan, "busy").unwrap();
        assert_eq!(plan.forced, Some(1));
        assert!(
            force(&mut plan, "2").unwrap_err().to_string().contains("0 to 1, one of full, busy, or auto")
        );
        assert_eq!(plan.forced, Some(1), "what was stays");
        force(&mut plan, "auto").unwrap();
        assert_eq!(plan.forced, None);
        set_switch(&mut plan, "join", "off").unwrap();
        assert!(plan.off.has(Switch::Join));
        set_switch(&mut plan, "join", "on").unwrap();
        assert!(plan.on.has(Switch::Join) && !plan.off.has(Switch::Join));
        set_switch(&mut plan, "join", "auto").unwrap();
        assert_eq!((plan.on, plan.off), Default::default());
        assert!(
            set_switch(&mut plan, "chat", "off").is_err() && set_switch(&mut plan, "join", "so").is_err()
        );
    }
}
