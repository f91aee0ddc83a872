//! Figures per second, and the line that is printed each second.

use super::stats::drops;
use crate::worker::WorkerSnapshot;
use serde::Serialize;
use std::time::Instant;

/// What happened in the last second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rates {
    /// Since the start, in whole seconds.
    pub second: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Requests answered per second.
    pub qps: f64,
    /// Datagrams in per second.
    pub pps_in: f64,
    /// Datagrams out per second.
    pub pps_out: f64,
    /// Sessions that began, per second.
    pub joins_per_s: f64,
    /// Packets won per second.
    pub wins_per_s: f64,
    /// Packets opened per second.
    pub opens_per_s: f64,
    /// Drops of all reasons per second.
    pub drops_per_s: f64,
}

/// Turns totals into rates.
#[derive(Debug)]
pub struct Sampler {
    start: Instant,
    last: Instant,
    totals: Sums,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    answers: u64,
    datagrams_in: u64,
    datagrams_out: u64,
    joins: u64,
    wins: u64,
    opens: u64,
    drops: u64,
}

impl Sums {
    fn of(workers: &[WorkerSnapshot]) -> Sums {
        let sum = |field: fn(&WorkerSnapshot) -> u64| workers.iter().map(field).sum();
        Sums {
            answers: sum(|worker| worker.core.answers),
            datagrams_in: sum(|worker| worker.net.datagrams_in),
            datagrams_out: sum(|worker| worker.net.datagrams_out),
            joins: sum(|worker| worker.core.joins),
            wins: sum(|worker| worker.core.shake_win),
            opens: sum(|worker| worker.core.open_ok),
            drops: drops(workers).values().sum(),
        }
    }
}

impl Sampler {
    /// Begins at zero.
    pub fn new(now: Instant) -> Sampler {
        Sampler { start: now, last: now, totals: Sums::default() }
    }

    /// The rates since the last sample.
    pub fn sample(&mut self, now: Instant, workers: &[WorkerSnapshot]) -> Rates {
        let seconds = now.duration_since(self.last).as_secs_f64().max(1e-9);
        let (before, totals) = (self.totals, Sums::of(workers));
        let per_s = |field: fn(&Sums) -> u64| (field(&totals) - field(&before)) as f64 / seconds;
        let rates = Rates {
            second: now.duration_since(self.start).as_secs_f64().round() as u64,
            sessions: workers.iter().map(|worker| worker.sessions).sum(),
            qps: per_s(|sums| sums.answers),
            pps_in: per_s(|sums| sums.datagrams_in),
            pps_out: per_s(|sums| sums.datagrams_out),
            joins_per_s: per_s(|sums| sums.joins),
            wins_per_s: per_s(|sums| sums.wins),
            opens_per_s: per_s(|sums| sums.opens),
            drops_per_s: per_s(|sums| sums.drops),
        };
        (self.last, self.totals) = (now, totals);
        rates
    }
}

impl Rates {
    /// The line for eyes.
    pub fn line(&self) -> String {
        format!(
            "{:>5} s  sessions {:>9}  QPS {:>7.0}  PPS in {:>7.0}  out {:>7.0}  joins {:>6.0}  wins {:>5.0}  opens {:>5.0}  drops {:>5.0}",
            self.second,
            self.sessions,
            self.qps,
            self.pps_in,
            self.pps_out,
            self.joins_per_s,
            self.wins_per_s,
            self.opens_per_s,
            self.drops_per_s,
        )
    }
}
