//! A part's shots, whether they are planned before the run or told while it goes on.

use super::phases::Phases;
use super::remote::{Pace, Segment};
use super::schedule::{Shot, Turns};
use std::collections::VecDeque;

/// Shots in the order in which they are due.
pub enum Shots<'a> {
    /// By the run's rates.
    Planned(Planned<'a>),
    /// By a rate that is told.
    Told(Told<'a>),
}

impl Shots<'_> {
    /// The next shot if it is due `now_ns` after the beginning of the run.
    pub fn due(&mut self, now_ns: u64) -> Option<Shot> {
        match self {
            Shots::Planned(planned) => planned.due(now_ns),
            Shots::Told(told) => told.due(now_ns),
        }
    }

    /// When the next one is due, as far as is known.
    pub fn next_due_ns(&mut self) -> Option<u64> {
        match self {
            Shots::Planned(planned) => planned.next.map(|shot| shot.due_ns),
            Shots::Told(told) => told.next_due_ns(),
        }
    }

    /// Whose turn it probably is soon.
    pub fn ahead(&self) -> u32 {
        match self {
            Shots::Planned(planned) => planned.phases.peek(1),
            Shots::Told(told) => told.ahead(),
        }
    }

    /// How many are left of a plan.
    pub fn left(self) -> u64 {
        match self {
            Shots::Planned(Planned { phases, next }) => u64::from(next.is_some()) + phases.count() as u64,
            Shots::Told(_) => 0,
        }
    }
}

/// Shots of a plan.
pub struct Planned<'a> {
    phases: Phases<'a>,
    next: Option<Shot>,
}

impl<'a> Planned<'a> {
    /// All of these.
    pub fn new(mut phases: Phases<'a>) -> Planned<'a> {
        let next = phases.next();
        Planned { phases, next }
    }

    fn due(&mut self, now_ns: u64) -> Option<Shot> {
        let shot = self.next.filter(|shot| shot.due_ns <= now_ns)?;
        self.next = self.phases.next();
        Some(shot)
    }
}

/// Shots by a rate that is told: users take turns as in a plan, each once in a round, at any rate.
pub struct Told<'a> {
    turns: &'a Turns,
    pace: &'a Pace,
    /// The beginning of the run on its clock.
    start_ns: u64,
    /// Segments of the pace that were taken over.
    seen: usize,
    /// Of these, what goes on and what follows.
    segments: VecDeque<Segment>,
    /// Users of all threads.
    users: u64,
    /// Shots of earlier rounds.
    round: u64,
    /// The turn that comes next.
    next: usize,
}

impl<'a> Told<'a> {
    /// The shots of a part whose turns are those of one host alone.
    pub fn new(turns: &'a Turns, pace: &'a Pace, start_ns: u64) -> Told<'a> {
        let users = turns.users();
        Told { turns, pace, start_ns, seen: 0, segments: VecDeque::new(), users, round: 0, next: 0 }
    }

    fn due(&mut self, now_ns: u64) -> Option<Shot> {
        // Whoever calls has read the time before: see `Pace::set`.
        self.seen = self.pace.since(self.seen, &mut self.segments);
        let due_ns = self.next_due_ns().filter(|due_ns| *due_ns <= now_ns)?;
        let (_, local) = self.turns.at(self.next)?;
        self.next += 1;
        if self.next == self.turns.len() {
            (self.next, self.round) = (0, self.round + self.users);
        }
        Some(Shot { due_ns, local })
    }

    fn next_due_ns(&mut self) -> Option<u64> {
        let shot = self.round + u64::from(self.turns.at(self.next)?.0);
        while self.segments.get(1).is_some_and(|next| next.first_shot <= shot) {
            self.segments.pop_front();
        }
        Some(self.segments.front()?.due_ns(shot)?.saturating_sub(self.start_ns))
    }

    fn ahead(&self) -> u32 {
        self.turns.at((self.next + 1) % self.turns.len().max(1)).map_or(0, |(_, local)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Share;
    use super::*;

    /// Expect: two threads make together the shots of the rate, and every user shoots once in a round, whatever
    /// changes meanwhile and however late a thread looks.
    #[test]
    fn users_take_turns_at_any_rate() {
        const MS: u64 = 1_000_000;
        let pace = Pace::new(1_000, 1);
        pace.begin(MS);
        let turns = [0, 1].map(|thread| Turns::new(Share::new(101, (1, 1), (thread, 2))));
        let mut told: Vec<Told<'_>> = turns.iter().map(|turns| Told::new(turns, &pace, MS)).collect();
        let mut times = vec![0u32; 101];
        let mut last_ns = 0;
        for ms in 0..5_000 {
            match ms {
                1_000 => drop(pace.set(ms * MS, 0)),
                2_000 => drop(pace.set(ms * MS, 333)),
                2_001 => drop(pace.set(ms * MS, 3_000)),
                _ => {}
            }
            for (thread, told) in told.iter_mut().enumerate() {
                // The second one sleeps for long.
                if thread == 1 && ms % 100 != 0 {
                    continue;
                }
                while let Some(shot) = told.due(ms * MS) {
                    times[shot.local as usize * 2 + thread] += 1;
                    last_ns = last_ns.max(shot.due_ns);
                }
            }
        }
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        let all: u32 = times.iter().sum();
        assert!((9_750..=10_050).contains(&all), "{all}");
        // The second thread has not looked for 99 ms at the end: three rounds.
        assert!(most - least <= 4, "{least} {most}");
        assert!(last_ns <= 5_000 * MS);
    }
}
