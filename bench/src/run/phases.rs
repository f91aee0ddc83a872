//! A run whose rate changes: schedules one after the other.

use super::schedule::{Plan, Rate, Schedule, Shot, Turns};
use serde::Serialize;
use std::time::Duration;

/// A part of a run with a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// How fast all hosts together ask.
    pub rate: Rate,
    /// How long.
    #[serde(serialize_with = "super::options::as_text")]
    pub duration: Duration,
}

/// A part's shots in all phases, in the order in which they are due.
pub struct Phases<'a> {
    turns: &'a Turns,
    /// Of the phase that goes on.
    plan: Plan,
    schedule: Schedule<'a>,
    /// When that phase began, in ns from the beginning of the run.
    begun_ns: u64,
    /// Those that follow.
    next: std::slice::Iter<'a, Phase>,
}

impl<'a> Phases<'a> {
    /// The shots of `plan`, and after it of `more`.
    pub fn new(turns: &'a Turns, plan: Plan, more: &'a [Phase]) -> Phases<'a> {
        Phases { turns, plan, schedule: Schedule::new(turns, &plan), begun_ns: 0, next: more.iter() }
    }

    /// Whose turn it is `ahead` shots after the next one, at this phase's rate.
    pub fn peek(&self, ahead: usize) -> u32 {
        self.schedule.peek(ahead)
    }
}

impl Iterator for Phases<'_> {
    type Item = Shot;

    fn next(&mut self) -> Option<Shot> {
        loop {
            if let Some(shot) = self.schedule.next() {
                return Some(Shot { due_ns: self.begun_ns + shot.due_ns, ..shot });
            }
            let Phase { rate, duration } = *self.next.next()?;
            self.begun_ns += self.plan.duration_ns;
            self.plan = Plan {
                rate,
                start_unix_ns: self.plan.start_unix_ns + self.plan.duration_ns,
                duration_ns: duration.as_nanos() as u64,
                ..self.plan
            };
            self.schedule = Schedule::new(self.turns, &self.plan);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::{Arrivals, Share};
    use super::*;

    /// Expect: each phase's shots at its rate, in time's order, and none beyond the end.
    #[test]
    fn phases_follow_each_other() {
        let turns = Turns::new(Share::new(100, (1, 1), (0, 1)));
        let phase =
            |rate, ms| Phase { rate: Rate::requests_per_s(rate), duration: Duration::from_millis(ms) };
        let plan = Plan {
            rate: Rate::requests_per_s(1_000),
            frames: 1,
            arrivals: Arrivals::Even,
            seed: 1,
            start_unix_ns: 1_700_000_000_000_000_000,
            duration_ns: 500_000_000,
        };
        let more = [phase(10_000, 200), phase(100, 1_000)];
        let due: Vec<u64> = Phases::new(&turns, plan, &more).map(|shot| shot.due_ns / 1_000_000).collect();
        assert!(due.is_sorted());
        let within = |from, to| due.iter().filter(|due| (from..to).contains(*due)).count();
        assert_eq!((within(0, 500), within(500, 700), within(700, 1_700)), (500, 2_000, 100));
        assert_eq!(due.len(), 2_600);
    }
}
