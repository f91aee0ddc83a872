//! A plan as tables for eyes, and as JSON.

use super::cost::{Costs, Measured};
use super::example::Step;
use super::sizing::{Need, Sizing};
use crate::cli::Failure;
use crate::page::words::{grouped, rate, short};
use serde::Serialize;
use serde_json::{Value, json};

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// A number.
    #[serde(rename = "")]
    None,
    /// So many a second.
    #[serde(rename = "/s")]
    PerSecond,
    /// Mbit/s.
    #[serde(rename = "Mbit/s")]
    Mbit,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
}

/// One figure, and how it was reckoned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    /// What it is of.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// The sum in words.
    pub how: String,
}

impl Figure {
    pub(super) fn new(what: &str, value: f64, unit: Unit, how: String) -> Figure {
        Figure { what: what.to_owned(), value, unit, how }
    }

    fn text(&self) -> String {
        match self.unit {
            Unit::None => rate(self.value),
            Unit::PerSecond => format!("{}/s", rate(self.value)),
            Unit::Mbit => format!("{} Mbit/s", rate(self.value)),
            Unit::Bytes => format!("{} MiB", rate(self.value / f64::from(1 << 20))),
        }
    }
}

/// What a mobile network's gateway forgets, and what that means here (RFC 4787).
fn keepalive_notes(sizing: &Sizing) -> Vec<String> {
    let demand = &sizing.demand;
    let idle = demand.idle_keepalives_per_s();
    let mut notes = vec![format!(
        "{} idle users alone are {} datagrams/s each way: that is the price of --keepalive {}s",
        grouped(demand.users),
        rate(idle),
        demand.keepalive_s
    )];
    notes.push(match demand.keepalive_s {
        ..=30 => "often enough for NATs that forget a silent UDP mapping after 30 s, as many do where RFC 4787 (REQ-5) asks for 2 minutes: invitations reach the users behind them".to_owned(),
        31..=120 => "many NATs forget a silent UDP mapping after 30 s: invitations then reach a user only after the user's next request".to_owned(),
        _ => "NATs may forget a silent UDP mapping after 2 minutes and many do after 30 s (RFC 4787, REQ-5): invitations then reach a user only after the user's next request".to_owned(),
    });
    notes
}

fn notes(sizing: &Sizing, costs: &Costs) -> Vec<String> {
    let mut notes = keepalive_notes(sizing);
    notes.push(format!(
        "all users have joined after {} s at least, {} a machine at {} joins/s",
        rate(sizing.join_s),
        grouped(sizing.demand.users.div_ceil(sizing.machines_told)),
        rate(costs.joins_per_s.value)
    ));
    notes.extend(
        measured(costs).iter().map(|(what, of)| format!("{what}: {}; {}", rate(of.value), of.source)),
    );
    if measured(costs).iter().any(|(_, of)| of.elsewhere) {
        notes.push("bring your own: redpkt-bench engines --json engines.json, redpkt-bench opens --json opens.json, redpkt plan --cost engines.json --cost opens.json".to_owned());
    }
    notes
}

fn measured(costs: &Costs) -> [(&'static str, &Measured); 4] {
    [
        ("CPU ns an answer", &costs.answer_cpu_ns),
        ("durable rows/s", &costs.rows_per_s),
        ("joins/s", &costs.joins_per_s),
        ("bytes a row", &costs.row_bytes),
    ]
}

/// Rows with columns as wide as what is in them; all but the first and the last column are numbers, to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column == 0 || column + 1 == columns {
                format!("{cell:width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// All of a plan.
pub(super) fn tables(sizing: &Sizing, costs: &Costs) -> String {
    let notes: Vec<String> = notes(sizing, costs).iter().map(|note| format!("  - {note}")).collect();
    format!("{}\n\n{}\n\nNOTES\n{}", demand_table(sizing, costs), machine_table(sizing), notes.join("\n"))
}

fn demand_table(sizing: &Sizing, costs: &Costs) -> String {
    let figures = sizing.demand.figures(costs.row_bytes.value);
    let rows: Vec<_> = figures.iter().map(|each| row(&[&each.what, &each.text(), &each.how])).collect();
    format!("WHAT IS ASKED OF ALL MACHINES\n{}", table(&rows))
}

fn machine_table(sizing: &Sizing) -> String {
    let machine = &sizing.machine;
    let mut rows = vec![row(&["resource", "asked", "one machine gives", "machines", "used", "", "how"])];
    rows.extend(sizing.needs.iter().map(|need| {
        let Need { resource, unit, asked, one_machine_gives, machines, decides, used, how } = need;
        row(&[
            resource,
            &format!("{} {unit}", rate(*asked)),
            &format!("{} {unit}", rate(*one_machine_gives)),
            &grouped(*machines),
            &format!("{:.0}%", 100.0 * used),
            if *decides { "← decides" } else { "" },
            how,
        ])
    }));
    format!(
        "ONE MACHINE: {} cores, {} MiB, {} Mbit/s, of which {:.0}% are kept free\n{}\n\n{}",
        machine.cores,
        rate(machine.memory_bytes as f64 / f64::from(1 << 20)),
        grouped(machine.link_mbit),
        100.0 * machine.headroom,
        table(&rows),
        verdict(sizing)
    )
}

fn verdict(sizing: &Sizing) -> String {
    let Sizing { machines, machines_with_failures, machines_told, machine, .. } = sizing;
    let mut text = format!("MACHINES: {}", grouped(*machines));
    if machine.failures > 0.0 {
        text += &format!(
            "; {} where {:.0}% of them may fail",
            grouped(*machines_with_failures),
            100.0 * machine.failures
        );
    }
    let told = match machines_told {
        1 => "one machine has".to_owned(),
        many => format!("{} machines have", grouped(*many)),
    };
    text += &format!(". \"used\" is of everything that {told}");
    if !sizing.is_enough() {
        text += &format!(", too few to keep {:.0}% free", 100.0 * machine.headroom);
    }
    text
}

fn to_value(sizing: &Sizing, costs: &Costs) -> Value {
    json!({
        "demand": sizing.demand.figures(costs.row_bytes.value),
        "machine": sizing.machine,
        "needs": sizing.needs,
        "machines": sizing.machines,
        "machines_with_failures": sizing.machines_with_failures,
        "machines_told": sizing.machines_told,
        "enough": sizing.is_enough(),
        "join_s": sizing.join_s,
        "notes": keepalive_notes(sizing),
    })
}

fn print(json: &Value) -> Result<String, Failure> {
    serde_json::to_string(json).map_err(Failure::machine)
}

/// `{demand: [{what, value, unit, how}], machine, needs: […], machines, …, costs}`.
pub(super) fn json(sizing: &Sizing, costs: &Costs) -> Result<String, Failure> {
    let mut value = to_value(sizing, costs);
    value["costs"] = json!(costs);
    print(&value)
}

/// The steps of an example, and the plans for it.
pub(super) fn example_json(steps: &[Step], sizings: &[Sizing], costs: &Costs) -> Result<String, Failure> {
    let plans: Vec<Value> = sizings.iter().map(|sizing| to_value(sizing, costs)).collect();
    print(&json!({ "steps": steps, "plans": plans, "costs": costs }))
}

/// The same for eyes.
pub(super) fn example_tables(steps: &[Step], sizings: &[Sizing], costs: &Costs) -> String {
    let mut rows = vec![row(&["claim", "said", "comes to", "", "sum"])];
    for step in steps {
        let figure = |value: f64| format!("{} {}", sized(value), step.unit);
        let verdict = if step.follows { "follows" } else { "does not follow" };
        rows.push(row(&[step.what, &figure(step.claimed), &figure(step.recomputed), verdict, &step.sum]));
        if !step.note.is_empty() {
            rows.push(row(&["", "", "", "", &format!("  {}", step.note)]));
        }
    }
    let follow = steps.iter().filter(|step| step.follows).count();
    let mut text = format!(
        "WHAT IS SAID OF THE NIGHT, AND WHAT IT COMES TO\n{}\n\n  {follow} of {} follow\n",
        table(&rows),
        steps.len()
    );
    for sizing in sizings {
        text += &format!(
            "\nTHE SAME NIGHT ASKED OF REDPKT: {} shakes/s\n\n{}\n\n{}\n",
            grouped(sizing.demand.shakes_per_s),
            demand_table(sizing, costs),
            machine_table(sizing)
        );
    }
    let notes = sizings.first().map(|sizing| notes(sizing, costs)).unwrap_or_default();
    let notes: Vec<String> = notes.iter().map(|note| format!("  - {note}")).collect();
    format!("{text}\nNOTES\n{}", notes.join("\n"))
}

/// Whole below a million, short above.
fn sized(value: f64) -> String {
    if value >= 1e6 { short(value) } else { rate(value) }
}

#[cfg(test)]
mod tests {
    use super::super::Io;
    use super::super::demand::{Demand, tests::MILLION};
    use super::super::sizing::tests::SMALL;
    use super::super::{example, sizing::Machine};
    use super::*;

    fn plan(demand: &Demand, machine: &Machine) -> (Sizing, Costs) {
        let costs = Costs::elsewhere(Io::Mmsg);
        (Sizing::of(demand, machine, &costs, None).unwrap(), costs)
    }

    #[test]
    fn a_plan_says_how_each_figure_was_reckoned_and_who_measured_it() {
        let (sizing, costs) = plan(&MILLION, &SMALL);
        let text = tables(&sizing, &costs);
        for part in [
            "40,000/s  1,000,000 users / 25 s",
            "1,000,000 idle users alone are 40,000 datagrams/s",
            "MACHINES: 1. \"used\" is of everything that one machine has",
            "← decides",
            "measured elsewhere: redpkt-bench engines",
            "bring your own",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn programs_read_the_same() {
        let machine = Machine { failures: 0.33, ..SMALL };
        let (sizing, costs) = plan(&MILLION, &machine);
        let value: Value = serde_json::from_str(&json(&sizing, &costs).unwrap()).unwrap();
        assert_eq!((&value["machines"], &value["machines_with_failures"]), (&json!(1), &json!(2)));
        assert_eq!(value["demand"][5]["value"], 40_000.0);
        assert_eq!(value["demand"][5]["unit"], "/s");
        assert_eq!(value["needs"].as_array().unwrap().len(), 4);
        assert_eq!(value["costs"]["answer_cpu_ns"]["elsewhere"], true);
        let steps = example::steps();
        let value: Value = serde_json::from_str(&example_json(&steps, &[sizing], &costs).unwrap()).unwrap();
        assert_eq!(
            (value["steps"].as_array().unwrap().len(), value["plans"].as_array().unwrap().len()),
            (steps.len(), 1)
        );
    }

    #[test]
    fn an_example_says_which_claims_do_not_follow() {
        let (sizing, costs) = plan(&MILLION, &SMALL);
        let text = example_tables(&example::steps(), &[sizing], &costs);
        let line =
            |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{text}"));
        assert!(line("users a machine, by capacity").contains("2.24M users  does not follow"), "{text}");
        assert!(line("by monthly actives").contains("  follows"), "{text}");
        assert!(text.contains("THE SAME NIGHT ASKED OF REDPKT"), "{text}");
    }
}
