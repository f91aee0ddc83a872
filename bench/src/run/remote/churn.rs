//! Churn: how many of the users leave in a second and say HELLO again, as new sessions.

use std::sync::atomic::{AtomicU64, Ordering};

const S_NS: u128 = 1_000_000_000;

/// A share of the users a second, which can be changed while they do so.
#[derive(Debug)]
pub struct Churn {
    /// The share as bits of an `f64`.
    per_s: AtomicU64,
}

/// How far one thread is with it.
#[derive(Clone, Copy, Debug)]
pub struct Turnover {
    seen_ns: u64,
    /// Users who are to leave, with the part of the next one.
    owed: f64,
}

impl Churn {
    /// Such a share of the users a second.
    pub fn new(per_s: f64) -> Churn {
        Churn { per_s: AtomicU64::new(per_s.to_bits()) }
    }

    /// The share now.
    pub fn per_s(&self) -> f64 {
        f64::from_bits(self.per_s.load(Ordering::Relaxed))
    }

    /// Changes it; what it was.
    pub fn set(&self, per_s: f64) -> f64 {
        f64::from_bits(self.per_s.swap(per_s.to_bits(), Ordering::Relaxed))
    }
}

impl Turnover {
    /// From now on.
    pub fn new(now_ns: u64) -> Turnover {
        Turnover { seen_ns: now_ns, owed: 0.0 }
    }

    /// How many of `users` are to leave now. A time in which none could leave is not made up for beyond `most`.
    pub fn due(&mut self, now_ns: u64, per_s: f64, users: u64, most: u32) -> u32 {
        let passed_s = (now_ns - std::mem::replace(&mut self.seen_ns, now_ns)) as f64 / S_NS as f64;
        self.owed = (self.owed + passed_s * per_s * users as f64).min(f64::from(most) + 1.0);
        let due = self.owed.floor().min(f64::from(most));
        self.owed -= due;
        due as u32
    }
}

/// `0.1%`, `0.1%/s` or `0.001`: a share of the users a second, at most all of them.
pub fn parse_per_s(text: &str) -> Result<f64, String> {
    let bad =
        || format!("{text:?} is not a share of the users a second from 0 to 1; write it as 0.1% or 0.001");
    let number = text.strip_suffix("/s").unwrap_or(text);
    let share = match number.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| bad())? / 100.0,
        None => number.parse().map_err(|_| bad())?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: the share's number of users over time, one after another, and no burst after a stall.
    #[test]
    fn users_leave_one_after_another() {
        let mut turnover = Turnover::new(0);
        let left: Vec<u32> = (1..=10_000).map(|ms| turnover.due(ms * 1_000_000, 0.001, 5_000, 8)).collect();
        let all: u32 = left.iter().sum();
        assert!((49..=50).contains(&all) && left.iter().all(|left| *left <= 1), "{all}");
        assert_eq!(turnover.due(100_000_000_000, 0.001, 5_000, 8), 8);
        assert!(turnover.due(100_000_000_001, 0.001, 5_000, 8) <= 1);
    }

    #[test]
    fn shares_a_second_are_read() {
        assert_eq!(parse_per_s("0.1%/s"), Ok(0.001));
        assert_eq!(parse_per_s("0.001"), Ok(0.001));
        for bad in ["", "-1", "101%", "x", "NaN"] {
            assert!(parse_per_s(bad).is_err(), "{bad}");
        }
    }
}
