//! Figures from a run's series: sums over a while, how long until it was calm, and until it was as before.

use super::watch::Look;
use crate::run::{Piece, Series};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// A p99 up to this counts as normal, however short it was before, in µs.
const NORMAL_US: f64 = 5_000.0;

/// By how much a p99 may be longer than before and still be normal.
const NORMAL_TIMES: f64 = 2.0;

/// The share of requests made that must be answered for a piece to be normal.
const NORMAL_ANSWERED: f64 = 0.99;

/// What goes out is at most this many times what is answered where an overload has been calmed down.
const CALM_TIMES: f64 = 1.2;

/// One piece of a run, as JSON and for the plots. Rates are per second, latencies in µs and `None` where nothing was
/// answered.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// When it begins, in s from the run's beginning.
    pub at_s: f64,
    /// Datagrams that left the users' sockets.
    pub datagrams_out: f64,
    /// Shakes made.
    pub shakes_made: f64,
    /// Shakes answered.
    pub shakes: f64,
    /// Opens answered.
    pub opens: f64,
    /// Requests refused to their end.
    pub refused: f64,
    /// Requests whose deadline passed.
    pub unanswered: f64,
    /// Shakes that the session spared the server.
    pub not_now: f64,
    /// Of shakes first sent in it, from the transmission that was answered.
    pub shake_p50_us: Option<f64>,
    /// The same.
    pub shake_p99_us: Option<f64>,
    /// The same from the first transmission.
    pub shake_waited_p99_us: Option<f64>,
    /// Of opens first sent in it.
    pub open_p50_us: Option<f64>,
    /// The same.
    pub open_p99_us: Option<f64>,
    /// The server's level of service, from 0; `None` where it was not asked.
    pub level: Option<u64>,
    /// The share of shaking users that the server works for.
    pub shakes_admitted: Option<f64>,
    /// Datagrams that it refuses unread.
    pub shed: Option<f64>,
}

/// A quantile of a histogram of ns, in µs; `None` where there is nothing in it.
pub fn quantile_us(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
}

/// From when to when, from a run's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Duration,
    pub to: Duration,
}

impl Span {
    fn pieces(self, piece_s: f64) -> std::ops::Range<usize> {
        let at = |time: Duration| (time.as_secs_f64() / piece_s).round() as usize;
        at(self.from)..at(self.to)
    }

    /// How long, in s.
    pub fn seconds(self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }
}

/// The sum of a span's pieces.
pub fn sum(pieces: &[Piece], piece_s: f64, span: Span) -> Piece {
    let mut all = Piece::default();
    let span = span.pieces(piece_s);
    pieces.iter().take(span.end).skip(span.start).for_each(|piece| all.add(piece));
    all
}

/// Datagrams that left in a span.
pub fn datagrams(series: &Series, span: Span) -> u64 {
    let span = span.pieces(series.piece_s());
    series.datagrams.iter().take(span.end).skip(span.start).sum()
}

/// How long after the beginning of a span its shakes were as before for good: nearly all answered, with a p99 near what
/// was normal. `None` if never. In s.
pub fn recovery_s(series: &Series, span: Span, normal_us: f64) -> Option<f64> {
    let most_us = (NORMAL_TIMES * normal_us).max(NORMAL_US);
    let is_normal = |at: usize| {
        series.pieces.get(at).is_some_and(|piece| {
            let p99_us = quantile_us(&piece.shake.waited, 0.99);
            p99_us.is_some_and(|us| us <= most_us) && piece.shake.answered_share() >= NORMAL_ANSWERED
        })
    };
    settled_s(series, span, is_normal)
}

/// How long after the beginning of a span what goes out was hardly more than what is answered, for good. `None` if
/// never. In s.
pub fn calm_s(series: &Series, span: Span) -> Option<f64> {
    let is_calm = |at: usize| {
        let out = series.datagrams.get(at).copied().unwrap_or(0) as f64;
        let answered = series.pieces.get(at).map_or(0, |piece| piece.shake.answered + piece.open.answered);
        answered > 0 && out <= CALM_TIMES * answered as f64
    };
    settled_s(series, span, is_calm)
}

/// From when on, in s from the beginning of a span, no two pieces in a row were bad: one alone is chance. `None` if the
/// last two were.
fn settled_s(series: &Series, span: Span, is_good: impl Fn(usize) -> bool) -> Option<f64> {
    let pieces = span.pieces(series.piece_s());
    let are_bad = |at: &usize| !is_good(*at) && !is_good(at + 1);
    let last = pieces.end.checked_sub(1)?;
    let first_good = (pieces.start..last).rev().find(are_bad).map_or(pieces.start, |at| at + 2);
    (first_good <= last).then(|| (first_good - pieces.start) as f64 * series.piece_s())
}

/// A series as points, with the server's word where it was asked.
pub fn points(pieces: &[Piece], series: &Series, looks: &[Look], end: Duration) -> Vec<Point> {
    let piece_s = series.piece_s();
    let count = (end.as_secs_f64() / piece_s).round() as usize;
    let point = |(at, piece): (usize, &Piece)| {
        let Piece { shake, open } = piece;
        let (from, to) = (at as f64 * piece_s, (at + 1) as f64 * piece_s);
        let look = looks.iter().position(|look| (from..to).contains(&look.at_s));
        let shed = look.and_then(|nth| {
            let (now, before) = (looks.get(nth)?, looks.get(nth.checked_sub(1)?)?);
            Some((now.shed - before.shed) as f64 / (now.at_s - before.at_s).max(piece_s / 10.0))
        });
        let look = look.map(|nth| &looks[nth]);
        let rate = |count: u64| count as f64 / piece_s;
        Point {
            at_s: from,
            datagrams_out: rate(series.datagrams.get(at).copied().unwrap_or(0)),
            shakes_made: rate(shake.made),
            shakes: rate(shake.answered),
            opens: rate(open.answered),
            refused: rate(shake.refused + open.refused),
            unanswered: rate(shake.unanswered + open.unanswered),
            not_now: rate(shake.not_now),
            shake_p50_us: quantile_us(&shake.served, 0.5),
            shake_p99_us: quantile_us(&shake.served, 0.99),
            shake_waited_p99_us: quantile_us(&shake.waited, 0.99),
            open_p50_us: quantile_us(&open.waited, 0.5),
            open_p99_us: quantile_us(&open.waited, 0.99),
            level: look.map(|look| look.level),
            shakes_admitted: look.map(|look| look.shakes_admitted),
            shed,
        }
    };
    pieces.iter().take(count).enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::SeriesOptions;

    const PIECE: Duration = Duration::from_millis(100);

    /// A series by what each piece made, answered, waited (in ms) and sent.
    fn series(pieces: &[(u64, u64, u64, u64)]) -> Series {
        let mut series = Series::new(SeriesOptions { piece: PIECE, apart: None }, 0, 0);
        for (made, answered, waited_ms, datagrams) in pieces {
            let mut piece = Piece::default();
            (piece.shake.made, piece.shake.answered) = (*made, *answered);
            piece.shake.waited.record_n(waited_ms * 1_000_000, *answered).unwrap();
            piece.shake.served.record_n(1_000_000, *answered).unwrap();
            series.pieces.push(piece);
            series.datagrams.push(*datagrams);
        }
        series
    }

    fn span(from_ms: u64, to_ms: u64) -> Span {
        Span { from: Duration::from_millis(from_ms), to: Duration::from_millis(to_ms) }
    }

    /// Expect: the time from which on no two pieces in a row are bad: too slow, or with losses; one alone is chance.
    #[test]
    fn recovery_is_when_latency_is_as_before_and_stays_so() {
        let slow = (100, 100, 40, 100);
        let good = (100, 100, 9, 100);
        let lossy = (100, 50, 9, 100);
        let of = |pieces: &[_]| recovery_s(&series(pieces), span(100, 700), 5_000.0);
        assert_eq!(of(&[slow, good, good, slow, good, good, good]), Some(0.0));
        let after = of(&[good, slow, good, lossy, slow, good, good]).unwrap();
        assert!((after - 0.4).abs() < 1e-9, "{after}");
        assert_eq!(of(&[good, slow, slow, slow, slow, slow, slow]), None);
        assert_eq!(of(&[good]), None, "nothing was answered");
    }

    /// Expect: the time from which on hardly more went out than was answered; a storm later on counts.
    #[test]
    fn calm_is_when_what_goes_out_is_what_is_answered() {
        let storm = (500, 100, 9, 500);
        let calm = (100, 100, 9, 119);
        let of = |pieces: &[_]| calm_s(&series(pieces), span(0, 500));
        assert_eq!(of(&[calm, calm, calm, calm, calm]), Some(0.0));
        assert_eq!(of(&[storm, storm, calm, storm, calm]), Some(2.0 * 0.1));
        assert_eq!(of(&[calm, calm, calm, storm, storm]), None);
    }

    #[test]
    fn spans_are_summed_piece_by_piece() {
        let series = series(&[(1, 1, 1, 10), (2, 1, 1, 20), (4, 4, 1, 40)]);
        let all = sum(&series.pieces, series.piece_s(), span(100, 300));
        assert_eq!((all.shake.made, datagrams(&series, span(100, 300))), (6, 60));
        assert!((all.shake.answered_share() - 5.0 / 6.0).abs() < 1e-9);
        assert_eq!(points(&series.pieces, &series, &[], Duration::from_millis(200)).len(), 2);
    }
}
