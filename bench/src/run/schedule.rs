//! Who shakes when: a schedule that any number of hosts and threads follow without talking.
//!
//! Shot `j` is due `j / rate` after 1970 on the server's clock and belongs to user `(j × stride) mod users`.
//! The stride has no divisor in common with the number of users, so each run of `users` shots has every user
//! once, at any rate; it lies near the golden ratio of the users, so that neighbours shake far apart. A part
//! (one thread of one host) has the users that are its number modulo all parts, and makes their shots only.

pub use super::share::Share;
use super::stride::{inverse, stride};
use rand::{Rng as _, SeedableRng};
use redpkt::cli::Failure;
use redpkt_proto::Rng;
use serde::Serialize;
use std::time::Duration;

/// The highest rate: one shot a nanosecond.
pub const RATE_MAX: u64 = 1_000_000_000;

const S_NS: u128 = 1_000_000_000;

/// How fast all hosts together ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// `--qps`: requests a second.
    RequestsPerS(u64),
    /// `--pps`: datagrams a second.
    DatagramsPerS(u64),
}

impl Rate {
    /// So many requests a second.
    pub fn requests_per_s(requests: u64) -> Rate {
        Rate::RequestsPerS(requests)
    }

    /// So many datagrams a second.
    pub fn datagrams_per_s(datagrams: u64) -> Rate {
        Rate::DatagramsPerS(datagrams)
    }

    /// Shots a second, as a fraction, where each shot is a datagram of `frames` requests.
    fn shots_per_s(self, frames: usize) -> (u64, u64) {
        match self {
            Rate::RequestsPerS(requests) => (requests, frames as u64),
            Rate::DatagramsPerS(datagrams) => (datagrams, 1),
        }
    }

    /// Requests a second.
    pub fn requests(self, frames: usize) -> f64 {
        let (shots, seconds) = self.shots_per_s(frames);
        shots as f64 * frames as f64 / seconds as f64
    }

    pub(super) fn check(self, least: u64) -> Result<(), Failure> {
        let (option, value) = match self {
            Rate::RequestsPerS(value) => ("--qps", value),
            Rate::DatagramsPerS(value) => ("--pps", value),
        };
        match (least..=RATE_MAX).contains(&value) {
            true => Ok(()),
            false => Err(Failure::usage(format!("{option} {value}: {least} to {RATE_MAX} is allowed"))),
        }
    }
}

/// How shots are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// One after another at the same distance.
    Even,
    /// At random (exponential distances), as independent users would. Each part draws its own, so that all
    /// together are random too; its users still take turns.
    Poisson,
}

/// A part's shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    /// When it is due, in ns from the beginning of the run.
    pub due_ns: u64,
    /// Whose, as a number within the part.
    pub local: u32,
}

/// The order in which a part's users take turns; the same in every round of `users` shots.
pub struct Turns {
    share: Share,
    /// Offset in the round and user, by offset.
    turns: Box<[(u32, u32)]>,
}

impl Turns {
    /// The turns of nobody.
    pub fn none() -> Turns {
        Turns { share: Share { users: 0, parts: 1, part: 0 }, turns: Box::default() }
    }

    /// Sorts a part's users by their turn.
    pub fn new(share: Share) -> Turns {
        let inverse = inverse(stride(share.users), share.users);
        let offset = |local| u128::from(share.global(local)) * u128::from(inverse) % u128::from(share.users);
        let mut turns: Box<[(u32, u32)]> =
            (0..share.count() as u32).map(|local| (offset(local) as u32, local)).collect();
        turns.sort_unstable();
        Turns { share, turns }
    }

    /// Users of all parts: how long a round is.
    pub fn users(&self) -> u64 {
        self.share.users
    }

    /// Users of this part.
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// The turn of this part that is the `nth` in a round: its offset in the round, and whose it is.
    pub fn at(&self, nth: usize) -> Option<(u32, u32)> {
        self.turns.get(nth).copied()
    }
}

/// What the shots of a run depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How fast all parts together ask.
    pub rate: Rate,
    /// Requests in a shot.
    pub frames: usize,
    /// How shots are spread.
    pub arrivals: Arrivals,
    /// For random arrivals.
    pub seed: u64,
    /// The beginning in ns since 1970, on the server's clock.
    pub start_unix_ns: u64,
    /// How long, in ns.
    pub duration_ns: u64,
}

/// A part's shots, in the order in which they are due; ends with the run.
pub struct Schedule<'a> {
    turns: &'a Turns,
    end_ns: u64,
    /// The turn that comes next.
    next: usize,
    clock: Clock,
}

/// When the shot of a turn is due.
enum Clock {
    Even {
        /// ns of a shot, as a fraction.
        numerator: u128,
        denominator: u128,
        /// The first shot of the round that goes on, minus the first shot of the run.
        round: i64,
        /// How long after the beginning the run's first shot is due, times the denominator.
        lead: u128,
    },
    Poisson {
        rng: Box<Rng>,
        gap_ns_mean: f64,
        at_ns: f64,
    },
}

impl<'a> Schedule<'a> {
    /// The shots of a part in a run.
    pub fn new(turns: &'a Turns, plan: &Plan) -> Schedule<'a> {
        let (shots, seconds) = plan.rate.shots_per_s(plan.frames);
        let end_ns = plan.duration_ns;
        match plan.arrivals {
            Arrivals::Even => {
                let (numerator, denominator) = (u128::from(seconds) * S_NS, u128::from(shots));
                let start = u128::from(plan.start_unix_ns) * denominator;
                // The first shot of the run, and what turn of its round it is.
                let first = start.div_ceil(numerator);
                let offset = (first % u128::from(turns.share.users)) as u64;
                let next = turns.turns.partition_point(|(turn, _)| u64::from(*turn) < offset);
                let clock = Clock::Even {
                    numerator,
                    denominator,
                    round: -(offset as i64),
                    lead: first * numerator - start,
                };
                Schedule { turns, end_ns, next, clock }
            }
            Arrivals::Poisson => {
                let mut rng = Rng::seed_from_u64(plan.seed ^ (turns.share.part << 32));
                let share = turns.turns.len() as f64 / turns.share.users as f64;
                let gap_ns_mean = seconds as f64 * 1e9 / (shots as f64 * share);
                let next = (rng.next_u64() % turns.turns.len().max(1) as u64) as usize;
                let clock = Clock::Poisson { rng: Box::new(rng), gap_ns_mean, at_ns: 0.0 };
                Schedule { turns, end_ns, next, clock }
            }
        }
    }

    /// Whose turn it is `ahead` shots after the next one.
    pub fn peek(&self, ahead: usize) -> u32 {
        let turns = &self.turns.turns;
        turns[(self.next + ahead) % turns.len()].1
    }
}

impl Iterator for Schedule<'_> {
    type Item = Shot;

    fn next(&mut self) -> Option<Shot> {
        let turns = &self.turns.turns;
        if self.next == turns.len() {
            self.next = 0;
            if let Clock::Even { round, .. } = &mut self.clock {
                *round += self.turns.share.users as i64;
            }
        }
        let (offset, local) = *turns.get(self.next)?;
        let due_ns = match &mut self.clock {
            Clock::Even { numerator, denominator, round, lead } => {
                let shot = (*round + i64::from(offset)) as u128;
                ((shot * *numerator + *lead) / *denominator) as u64
            }
            Clock::Poisson { rng, gap_ns_mean, at_ns } => {
                // 53 random bits make a number from 0 to just below 1.
                let uniform = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                *at_ns -= (1.0 - uniform).ln() * *gap_ns_mean;
                *at_ns as u64
            }
        };
        if due_ns >= self.end_ns {
            return None;
        }
        self.next += 1;
        Some(Shot { due_ns, local })
    }
}

/// The next whole multiple of `align` on a clock that shows `now_unix_ns`, not earlier than `lead` from now.
pub fn next_start(now_unix_ns: u64, lead: Duration, align: Duration) -> u64 {
    let align_ns = (align.as_nanos() as u64).max(1);
    (now_unix_ns + lead.as_nanos() as u64).div_ceil(align_ns) * align_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(rate: Rate, frames: usize, start_unix_ns: u64, duration_ns: u64) -> Plan {
        Plan { rate, frames, arrivals: Arrivals::Even, seed: 1, start_unix_ns, duration_ns }
    }

    /// Every shot of all parts: when, and which of all users.
    fn shots(users: u64, hosts: u32, threads: u32, plan: &Plan) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        for host in 1..=hosts {
            for thread in 0..threads {
                let share = Share::new(users, (host, hosts), (thread, threads));
                let turns = Turns::new(share);
                for shot in Schedule::new(&turns, plan) {
                    let user = share.global(shot.local);
                    assert_eq!(user % u64::from(hosts), u64::from(host - 1), "a host has its own users");
                    assert_eq!(share.local(user), Some(shot.local));
                    all.push((shot.due_ns, user));
                }
            }
        }
        all.sort_unstable();
        all
    }

    proptest! {
        /// Expect: any number of hosts and threads make exactly the shots that one would make, at the times
        /// that the definition says, whatever the rate, and every user shoots equally often.
        #[test]
        fn parts_share_out_all_shots(
            users in 1u64..300,
            per_s in 1u64..100_000,
            frames in 1usize..=18,
            by_datagrams: bool,
            start_unix_ns in 0u64..2_000_000_000_000_000_000,
            duration_ns in 1u64..2_000_000_000,
            hosts in 1u32..5,
            threads in 1u32..4,
        ) {
            let users = users.max(u64::from(hosts * threads));
            let rate = if by_datagrams { Rate::datagrams_per_s(per_s) } else { Rate::requests_per_s(per_s) };
            let duration_ns = duration_ns.min(3_000_000_000_000 / per_s);
            let plan = plan(rate, frames, start_unix_ns, duration_ns);
            let (numerator, denominator) = rate.shots_per_s(frames);
            let due = |j: u128| j * u128::from(denominator) * S_NS / u128::from(numerator);
            let first = (u128::from(start_unix_ns) * u128::from(numerator)).div_ceil(u128::from(denominator) * S_NS);
            let (start, end) = (u128::from(start_unix_ns), u128::from(start_unix_ns + duration_ns));
            let mut expected: Vec<(u64, u64)> = (first..)
                .take_while(|&j| due(j) < end)
                .map(|j| {
                    let user = j * u128::from(stride(users)) % u128::from(users);
                    ((due(j) - start) as u64, user as u64)
                })
                .collect();
            expected.sort_unstable();
            let all = shots(users, hosts, threads, &plan);
            prop_assert_eq!(&all, &expected);
            let mut times = vec![0u64; users as usize];
            all.iter().for_each(|(_, user)| times[*user as usize] += 1);
            prop_assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1);
        }
    }

    /// Expect: the shots of one second lie evenly in it.
    #[test]
    fn a_second_is_filled_evenly() {
        let all = shots(7_919, 1, 1, &plan(Rate::requests_per_s(1_000), 1, 1_000_000_000, 1_000_000_000));
        assert_eq!(all.len(), 1_000);
        assert!(all.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1_000_000));
    }

    /// Expect: K requests in a datagram need a K-th of the shots for the same requests, and as many for the
    /// same datagrams.
    #[test]
    fn requests_and_datagrams_differ_by_the_frames() {
        let count = |rate, frames| shots(100, 1, 1, &plan(rate, frames, 0, 1_000_000_000)).len();
        assert_eq!(count(Rate::requests_per_s(900), 9), 100);
        assert_eq!(count(Rate::datagrams_per_s(900), 9), 900);
        assert_eq!(Rate::datagrams_per_s(900).requests(9) as u64, 8_100);
    }

    /// Expect: mean and spread of exponential distances, whatever the number of parts, the same for the same
    /// seed and others for another.
    #[test]
    fn poisson_arrivals_have_their_mean() {
        let even = plan(Rate::requests_per_s(50_000), 1, 0, 2_000_000_000);
        let plan = Plan { arrivals: Arrivals::Poisson, ..even };
        for (hosts, threads) in [(1, 1), (2, 2)] {
            let all = shots(1_000, hosts, threads, &plan);
            let mean = 100_000.0;
            // Five standard deviations of a Poisson number.
            assert!((all.len() as f64 - mean).abs() < 5.0 * f64::sqrt(mean), "{}", all.len());
            let gaps: Vec<f64> = all.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64).collect();
            let mean_ns = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let above = gaps.iter().filter(|gap| **gap > mean_ns).count() as f64 / gaps.len() as f64;
            assert!((above - (-1f64).exp()).abs() < 0.01, "{above}");
            assert_eq!(all, shots(1_000, hosts, threads, &plan));
            assert_ne!(all, shots(1_000, hosts, threads, &Plan { seed: 2, ..plan }));
        }
    }

    #[test]
    fn runs_begin_at_whole_multiples() {
        let s = Duration::from_secs(1);
        assert_eq!(next_start(1_700_000_000, Duration::from_millis(100), s), 2_000_000_000);
        assert_eq!(next_start(1_950_000_000, Duration::from_millis(100), s), 3_000_000_000);
        assert_eq!(next_start(2_000_000_000, Duration::ZERO, s), 2_000_000_000);
    }
}
