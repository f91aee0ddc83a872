//! What one scenario came to.

use super::figures::{Point, Span, calm_s, datagrams, points, quantile_us, recovery_s, sum};
use super::stage::World;
use super::watch::{Look, Watched};
use crate::child::Audit;
use crate::run::{Piece, Series};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A scenario's figures. Those without another word are of the requests made while the load lasts, of users whose part
/// of the server works.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// Its name, as for `--only`.
    pub name: String,
    /// What was done.
    pub what: String,
    /// Offered load, in multiples of the knee, as asked for.
    pub offered_x: f64,
    /// Datagrams of all users that went out, over the knee: more where clients sent again, less where they obeyed, or
    /// where the generator could do no more.
    pub sent_x: f64,
    /// Whether the generator could not do it.
    pub generator_limited: bool,
    /// Shakes answered a second, over the knee.
    pub goodput_share: f64,
    /// Opens made.
    pub opens: u64,
    /// The share of them that was answered within the deadline.
    pub opens_answered_share: f64,
    /// 99% of what was served was answered within, from the transmission that was answered, in µs.
    pub p99_us: f64,
    /// The same from the first transmission.
    pub p99_waited_us: f64,
    /// The same of opens, from the first transmission.
    pub p99_open_us: f64,
    /// 99% of shakes, from the first transmission, before the load, in µs: what is normal.
    pub p99_before_us: f64,
    /// After the load until latency was normal again and stayed so, in s; `null` if it was not.
    pub recovery_s: Option<f64>,
    /// After the load's begin until what went out was at most 1.2 times what was answered and stayed so, in s; `null`
    /// if never, and where it is not asked: but for several times the knee.
    pub calm_s: Option<f64>,
    /// Requests that the server refused to their end, in the whole run.
    pub refused: u64,
    /// Requests without an answer at their deadline, in the whole run.
    pub unanswered: u64,
    /// Shakes that sessions spared the server, in the whole run.
    pub not_now: u64,
    /// Datagrams that the server refused unread, in the whole run.
    pub shed: u64,
    /// The highest level of service.
    pub level: String,
    /// More figures, of this scenario alone.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, f64>,
    /// Whether every rule on money held, what users were told among them.
    pub audit: bool,
    /// What the audit found, in a line.
    pub audit_verdict: String,
    /// When the load began and ended, in s from the run's beginning.
    pub load_s: (f64, f64),
    /// Piece by piece.
    pub series: Vec<Point>,
    /// The same of the users whose part of the server failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series_apart: Vec<Point>,
}

impl Scenario {
    /// What a run of lead, load and after says. Its audit comes later.
    pub fn of(name: &str, what: String, offered_x: f64, world: &World, watched: &Watched) -> Scenario {
        let Watched { report, looks } = watched;
        let series = report.series.as_ref().expect("all scenarios record one");
        let (before, load, after) = spans(world);
        let [lead, during] = [before, load].map(|span| sum(&series.pieces, series.piece_s(), span));
        let p99_before_us = p99_us(&lead.shake.waited);
        let all = sum(&series.pieces, series.piece_s(), Span { from: Duration::ZERO, to: Duration::MAX });
        let knee = world.knee_qps.max(1) as f64;
        let answered = during.shake.answered as f64 / load.seconds();
        let shed = looks.first().zip(looks.last()).map_or(0, |(first, last)| last.shed - first.shed);
        Scenario {
            name: name.to_owned(),
            what,
            offered_x,
            sent_x: datagrams(series, load) as f64 / load.seconds() / knee,
            generator_limited: report.generator_limited,
            goodput_share: answered / knee,
            opens: during.open.made,
            opens_answered_share: during.open.answered_share(),
            p99_us: p99_us(&both(&during).served),
            p99_waited_us: p99_us(&both(&during).waited),
            p99_open_us: p99_us(&during.open.waited),
            p99_before_us,
            recovery_s: recovery_s(series, after, p99_before_us),
            calm_s: None,
            refused: all.shake.refused + all.open.refused,
            unanswered: all.shake.unanswered + all.open.unanswered,
            not_now: all.shake.not_now,
            shed,
            level: highest_level(looks),
            more: BTreeMap::new(),
            audit: false,
            audit_verdict: String::new(),
            load_s: (load.from.as_secs_f64(), load.to.as_secs_f64()),
            series: points(&series.pieces, series, looks, world.time()),
            series_apart: points(&series.apart, series, looks, world.time()),
        }
    }

    /// Adds how long it took until it was calm.
    pub fn with_calm(mut self, world: &World, series: &Series) -> Scenario {
        self.calm_s = calm_s(series, spans(world).1);
        self
    }

    /// Adds a figure.
    pub fn with(mut self, name: &'static str, figure: impl Into<Option<f64>>) -> Scenario {
        if let Some(figure) = figure.into() {
            self.more.insert(name, figure);
        }
        self
    }

    /// Adds how those fared whose part of the server failed, beside the others: who was told so, who heard nothing; and
    /// whether the others noticed.
    pub fn with_apart(self, world: &World, series: &Series) -> Scenario {
        let whole = Span { from: Duration::ZERO, to: Duration::MAX };
        let (before, load, _) = spans(world);
        let p99 = |span| p99_us(&sum(&series.pieces, series.piece_s(), span).shake.waited);
        let own = sum(&series.apart, series.piece_s(), whole);
        let unanswered = self.unanswered as f64;
        let (p99_before, p99_after) = (p99(before), p99(load));
        self.with("others_p99_before_us", p99_before)
            .with("others_p99_after_us", p99_after)
            .with("others_p99_ratio", p99_after / p99_before.max(1.0))
            .with("others_unanswered", unanswered)
            .with("own_requests", (own.shake.made + own.open.made) as f64)
            .with("own_told_to_wait", (own.shake.refused + own.open.refused) as f64)
            .with("own_unanswered", (own.shake.unanswered + own.open.unanswered) as f64)
    }

    /// With what the audit found.
    pub fn audited(mut self, audit: &Audit) -> Scenario {
        (self.audit, self.audit_verdict) = (audit.ok, audit.verdict());
        self
    }

    /// Whether it is of several times the knee.
    pub fn is_times(&self) -> bool {
        self.name.ends_with("obedient")
    }

    /// The figures of this scenario alone, in words.
    pub fn more_text(&self) -> String {
        let figure = |(name, figure): (&&str, &f64)| {
            let digits = if figure.fract() == 0.0 { 0 } else { 2 };
            format!("{} {figure:.digits$}", name.replace('_', " "))
        };
        self.more.iter().map(figure).collect::<Vec<_>>().join(", ")
    }

    /// In few words.
    pub fn line(&self) -> String {
        let more = if self.more.is_empty() { String::new() } else { format!("; {}", self.more_text()) };
        format!(
            "{}: {:.2} x the knee went out{}, {:.2} x answered, opens {:.2}%, p99 {:.1} ms{more}; {}",
            self.name,
            self.sent_x,
            if self.generator_limited { " (the generator could do no more)" } else { "" },
            self.goodput_share,
            100.0 * self.opens_answered_share,
            self.p99_us / 1e3,
            self.audit_verdict
        )
    }
}

/// Before, during and after the load.
pub fn spans(world: &World) -> (Span, Span, Span) {
    let (begin, end) = (world.times.lead, world.times.lead + world.times.load);
    let span = |from, to| Span { from, to };
    (span(Duration::ZERO, begin), span(begin, end), span(end, world.time()))
}

fn p99_us(histogram: &hdrhistogram::Histogram<u64>) -> f64 {
    quantile_us(histogram, 0.99).unwrap_or(0.0)
}

/// Shakes and opens together.
fn both(piece: &Piece) -> crate::run::Requested {
    let mut both = piece.shake.clone();
    both.add(&piece.open);
    both
}

fn highest_level(looks: &[Look]) -> String {
    looks.iter().max_by_key(|look| look.level).map(|look| look.level_name.clone()).unwrap_or_default()
}
