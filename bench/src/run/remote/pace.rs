//! The rate of a run that is told it while it goes on, and when each of its shots is due.
//!
//! Shots are numbered from 0 through all changes. A change closes the segment that goes on: what was due before it
//! keeps its time, what comes after it is due by the new rate, and the part of a gap that has passed counts. So there is
//! no burst for the time before, and no shot is lost by many changes. All threads of a host see the same segments,
//! whenever they look.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From the order of a change to the change, in ns: a thread that reads the time and then looks for changes has not
/// yet taken a shot that a change moves.
const LEAD_NS: u64 = 5_000_000;

const S_NS: u128 = 1_000_000_000;

/// Parts of a gap that the remainder is counted in.
const PARTS: u128 = 1_000_000_000;

/// A time with one rate. It ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The beginning, in ns on the clock of the run.
    pub start_ns: u64,
    /// Shots that were due before it.
    pub first_shot: u64,
    /// Requests a second; 0 is a pause.
    pub qps: u64,
    /// Of the first gap, so many [`PARTS`] have passed before.
    passed: u64,
    /// Requests in a shot.
    frames: u64,
}

impl Segment {
    /// When a shot is due if this segment lasts so long; `None` in a pause.
    pub fn due_ns(&self, shot: u64) -> Option<u64> {
        if self.qps == 0 {
            return None;
        }
        let gaps = (u128::from(shot - self.first_shot) + 1) * PARTS - u128::from(self.passed);
        let wait_ns = gaps * S_NS * u128::from(self.frames) / (PARTS * u128::from(self.qps));
        u64::try_from(u128::from(self.start_ns) + wait_ns).ok()
    }

    /// What follows at that time, at another rate.
    fn then(&self, start_ns: u64, qps: u64) -> Segment {
        let time = u128::from(start_ns - self.start_ns) * u128::from(self.qps) * PARTS;
        let passed = u128::from(self.passed) + time.div_ceil(S_NS * u128::from(self.frames));
        // A shot that is due at the moment of the change itself belongs to what follows.
        let shots = passed.div_ceil(PARTS).saturating_sub(1);
        let first_shot = self.first_shot + shots as u64;
        Segment { start_ns, first_shot, qps, passed: (passed - shots * PARTS) as u64, ..*self }
    }
}

/// A rate that can be changed while shots are made by it.
#[derive(Debug)]
pub struct Pace {
    frames: u64,
    /// How many there are, so that nobody has to lock only to see that nothing is new.
    len: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    qps: u64,
    /// Empty until the run begins.
    segments: Vec<Segment>,
}

impl Pace {
    /// A rate of requests a second, in shots of `frames` requests, of a run that has not begun.
    pub fn new(qps: u64, frames: usize) -> Pace {
        let state = State { qps, segments: Vec::new() };
        Pace { frames: frames as u64, len: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rate now, in requests a second.
    pub fn qps(&self) -> u64 {
        self.state().qps
    }

    /// The run begins.
    pub fn begin(&self, start_ns: u64) {
        let mut state = self.state();
        let qps = state.qps;
        state.segments = vec![Segment { start_ns, first_shot: 0, qps, passed: 0, frames: self.frames }];
        self.len.store(1, Ordering::Release);
    }

    /// Changes the rate; what it was.
    pub fn set(&self, now_ns: u64, qps: u64) -> u64 {
        let mut state = self.state();
        if let Some(last) = state.segments.last() {
            let next = last.then(last.start_ns.max(now_ns + LEAD_NS), qps);
            state.segments.push(next);
            self.len.store(state.segments.len(), Ordering::Release);
        }
        std::mem::replace(&mut state.qps, qps)
    }

    /// Takes over what is new since the first `seen`; how many there are now.
    pub fn since(&self, seen: usize, new: &mut impl Extend<Segment>) -> usize {
        if self.len.load(Ordering::Acquire) == seen {
            return seen;
        }
        let state = self.state();
        new.extend(state.segments[seen.min(state.segments.len())..].iter().copied());
        state.segments.len()
    }
}

/// Shares out a rate in proportion to users: whole numbers whose sum is exactly the rate. All 0 where there are no
/// users.
pub fn split(qps: u64, users: &[u64]) -> Vec<u64> {
    let all: u128 = users.iter().map(|users| u128::from(*users)).sum();
    if all == 0 {
        return vec![0; users.len()];
    }
    // Each gets what is due to all up to it, less what those before it got.
    let (mut before, mut given) = (0u128, 0u128);
    let share = |users: &u64| {
        before += u128::from(*users);
        let due = u128::from(qps) * before / all;
        (due - std::mem::replace(&mut given, due)) as u64
    };
    users.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    /// All shots due before `end_ns`.
    fn shots(pace: &Pace, end_ns: u64) -> Vec<u64> {
        let mut segments = Vec::new();
        pace.since(0, &mut segments);
        let mut due = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let last = segments.get(at + 1).map_or(u64::MAX, |next| next.first_shot);
            let here = (segment.first_shot..last).map_while(|shot| segment.due_ns(shot));
            due.extend(here.take_while(|due_ns| *due_ns < end_ns));
        }
        due
    }

    /// Expect: each rate's shots in its time, evenly; none in a pause, and no burst after it.
    #[test]
    fn shots_follow_the_rate() {
        let pace = Pace::new(0, 1);
        assert_eq!(pace.set(0, 1_000), 0);
        pace.begin(1_000 * MS);
        assert_eq!(pace.set(1_995 * MS, 0), 1_000);
        pace.set(4_995 * MS, 200);
        let due = shots(&pace, 6_000 * MS);
        let within = |from, to| due.iter().filter(|due| (from * MS..to * MS).contains(*due)).count();
        assert_eq!((within(1_000, 2_000), within(2_000, 5_000)), (999, 0));
        assert!((199..=201).contains(&within(5_000, 6_000)), "{}", within(5_000, 6_000));
        let gaps: Vec<u64> = due.iter().skip_while(|due| **due < 5_000 * MS).copied().collect();
        assert!(gaps.windows(2).all(|pair| pair[1] - pair[0] == 5 * MS));
    }

    proptest! {
        /// Expect: however often the rate changes, as many shots as its integral says, and time's order.
        #[test]
        fn changes_neither_lose_nor_add_shots(
            changes in prop::collection::vec((0u64..50, 0u64..20_000), 1..40),
            frames in 1usize..5,
        ) {
            let pace = Pace::new(1_000, frames);
            pace.begin(0);
            let (mut now_ns, mut from_ns, mut qps, mut integral) = (0, 0, 1_000, 0.0);
            for (wait_ms, next) in changes {
                now_ns += wait_ms * MS;
                let change_ns = (now_ns + LEAD_NS).max(from_ns);
                integral += (change_ns - from_ns) as f64 * qps as f64 / 1e9;
                prop_assert_eq!(pace.set(now_ns, next), qps);
                (from_ns, qps) = (change_ns, next);
            }
            let end_ns = from_ns + 1_000 * MS;
            integral += 1e9 * qps as f64 / 1e9;
            let due = shots(&pace, end_ns);
            prop_assert!((due.len() as f64 - integral / frames as f64).abs() < 1.1, "{} {integral}", due.len());
            prop_assert!(due.is_sorted());
        }

        /// Expect: the sum is the rate, and nobody is a whole request from what is due to its users.
        #[test]
        fn a_rate_is_shared_out_exactly(qps in 0u64..10_000_000, users in prop::collection::vec(0u64..100_000, 1..20)) {
            let all: u64 = users.iter().sum();
            let parts = split(qps, &users);
            if all > 0 {
                prop_assert_eq!(parts.iter().sum::<u64>(), qps);
                for (part, users) in parts.iter().zip(&users) {
                    let due = qps as f64 * *users as f64 / all as f64;
                    prop_assert!((*part as f64 - due).abs() < 1.0);
                }
            }
        }
    }
}
