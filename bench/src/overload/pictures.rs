//! Which pictures there are, and what is in them: one for each group of scenarios.

use super::bare_echo::Echo;
use super::figures::Point;
use super::plot::{Column, Line, Panel, Scale, picture};
use super::report::Report;
use super::scenario::Scenario;
use super::table::Part;
use redpkt::cli::Failure;
use redpkt::page::drawing::COLORS;
use std::path::Path;

/// Draws all that a report has into a directory, which is made if it is not there.
pub fn draw(report: &Report, directory: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("--plots {}: {error}", directory.display()));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let save = |name: &str, title: &str, columns: &[Column]| {
        if columns.iter().all(|column| column.panels.is_empty()) {
            return Ok(());
        }
        let svg = picture(title, columns, &report.conditions())?;
        std::fs::write(directory.join(format!("{name}.svg")), svg).map_err(failed)
    };
    save("times", "Several times the knee (the shaded time), half of it before and after", &times(report))?;
    for part in [Part::Joins, Part::OneUser, Part::SetKilled, Part::DiskFailed, Part::Wave] {
        let name = part.name();
        if let Some(scenario) = report.scenarios.iter().find(|scenario| scenario.name == name) {
            save(&name, &scenario.what, &[alone(scenario)])?;
        }
    }
    Ok(())
}

/// The echo, those who do not obey, those who do.
fn times(report: &Report) -> Vec<Column> {
    let of = |suffix: &str| -> Vec<&Scenario> {
        report.scenarios.iter().filter(|scenario| scenario.name.ends_with(suffix)).collect()
    };
    // One colour for one load, in all columns.
    let echoes = report.echo.iter().map(|echo| echo.offered_x);
    let offered = report.scenarios.iter().filter(|scenario| scenario.is_times());
    let mut loads: Vec<f64> = echoes.chain(offered.map(|scenario| scenario.offered_x)).collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    let mut columns = Vec::new();
    if !report.echo.is_empty() {
        let runs: Vec<_> =
            report.echo.iter().map(|Echo { offered_x, series, .. }| (*offered_x, &series[..])).collect();
        columns.push(beside("a bare echo", &loads, &runs, report.echo[0].load_s));
    }
    for (title, suffix) in
        [("clients that do not obey", "x-disobedient"), ("clients that obey", "x-obedient")]
    {
        let scenarios = of(suffix);
        let runs: Vec<_> =
            scenarios.iter().map(|scenario| (scenario.offered_x, &scenario.series[..])).collect();
        if let Some(first) = scenarios.first() {
            columns.push(beside(title, &loads, &runs, first.load_s));
        }
    }
    columns
}

/// Runs of several loads in the same panels, a colour each.
fn beside(title: &str, loads: &[f64], runs: &[(f64, &[Point])], load_s: (f64, f64)) -> Column {
    let end_s = runs.iter().map(|(_, points)| end_s(points)).fold(load_s.1, f64::max);
    let color = |times: &f64| loads.iter().position(|load| load == times).unwrap_or(0);
    let lines = |of: fn(&Point) -> Option<f64>| {
        let line = |(times, points): &(f64, &[Point])| line(format!("{times} ×"), color(times), points, of);
        runs.iter().map(line).collect::<Vec<Line>>()
    };
    let panels = vec![
        panel("answered a second", Scale::Linear, rate, lines(|point| Some(point.shakes + point.opens))),
        panel("p99 of shakes served", Scale::Log, time, lines(|point| point.shake_p99_us)),
        panel(
            "p99 of opens, from the first transmission",
            Scale::Log,
            time,
            lines(|point| point.open_p99_us),
        ),
        panel(
            "datagrams that went out a second",
            Scale::Linear,
            rate,
            lines(|point| Some(point.datagrams_out)),
        ),
        panel("level of service", Scale::Linear, level, lines(|point| point.level.map(|level| level as f64))),
    ];
    Column { title: title.to_owned(), panels, load_s, end_s }
}

/// One run, with all that there is of it.
fn alone(scenario: &Scenario) -> Column {
    let Scenario { series, series_apart, .. } = scenario;
    let of = |name: &str, nth, of: fn(&Point) -> Option<f64>| line(name.to_owned(), nth, series, of);
    let own = |name: &str, nth, of: fn(&Point) -> Option<f64>| line(name.to_owned(), nth, series_apart, of);
    let is_apart = !series_apart.is_empty();
    let mut panels = vec![
        panel(
            "a second",
            Scale::Linear,
            rate,
            vec![
                of("shakes made", 4, |point| Some(point.shakes_made)),
                of("shakes answered", 0, |point| Some(point.shakes)),
                of("opens answered", 1, |point| Some(point.opens)),
                of("without an answer", 3, |point| Some(point.unanswered)),
            ],
        ),
        panel(
            "latency by class",
            Scale::Log,
            time,
            vec![
                of("shakes p50", 2, |point| point.shake_p50_us),
                of("shakes p99", 0, |point| point.shake_p99_us),
                of("opens p50", 4, |point| point.open_p50_us),
                of("opens p99", 1, |point| point.open_p99_us),
            ],
        ),
    ];
    if is_apart {
        panels.push(panel(
            "users whose part failed, a second",
            Scale::Linear,
            rate,
            vec![
                own("made", 4, |point| Some(point.shakes_made)),
                own("answered", 0, |point| Some(point.shakes + point.opens)),
                own("told to wait", 2, |point| Some(point.refused)),
                own("without an answer", 3, |point| Some(point.unanswered)),
            ],
        ));
    }
    panels.push(panel(
        "level of service; shakes let in (1 is all)",
        Scale::Linear,
        level,
        vec![
            of("level", 3, |point| point.level.map(|level| level as f64)),
            of("shakes let in", 2, |point| point.shakes_admitted),
        ],
    ));
    Column { title: scenario.name.clone(), panels, load_s: scenario.load_s, end_s: end_s(series) }
}

/// When the last piece begins.
fn end_s(points: &[Point]) -> f64 {
    points.last().map_or(0.0, |point| point.at_s)
}

fn panel(title: &'static str, scale: Scale, say: fn(f64) -> String, lines: Vec<Line>) -> Panel {
    Panel { title, scale, say, lines }
}

fn line(name: String, nth: usize, points: &[Point], of: fn(&Point) -> Option<f64>) -> Line {
    let points = points.iter().filter_map(|point| Some((point.at_s, of(point)?))).collect();
    Line { name, color: COLORS[nth % COLORS.len()], points }
}

fn rate(per_s: f64) -> String {
    if per_s >= 1_000.0 { format!("{:.0}k", per_s / 1e3) } else { format!("{per_s:.0}") }
}

fn time(us: f64) -> String {
    if us >= 1e6 {
        format!("{:.0} s", us / 1e6)
    } else if us >= 1e3 {
        format!("{:.0} ms", us / 1e3)
    } else {
        format!("{us:.0} µs")
    }
}

fn level(level: f64) -> String {
    format!("{level:.1}").trim_end_matches(".0").to_owned()
}
