//! The retry budget: how much a session may send again while its server is loaded.
//!
//! Site Reliability Engineering, chapter 21, "Deciding to Retry": a client keeps its retries below a tenth of
//! its requests, because where all clients try thrice an overloaded server has three times the load.

use super::class::Class;

/// One retransmission, in tenths: each request earns one tenth.
const ONE: u8 = 10;

/// What a budget begins with, and what time fills it up to: three lost datagrams are repaired at once.
const FLOOR: u8 = 3 * ONE;

/// More is not saved up.
const MOST: u8 = 5 * ONE;

/// While there is less than [`FLOOR`], one more comes in this time, in ns. 5 s: also who asks for one thing only,
/// over a way that loses much, asks again before the deadline.
const FLOOR_NS: u64 = 5_000_000_000;

/// Retransmissions that a session may send. 16 bytes.
#[derive(Clone, Debug)]
pub(super) struct RetryBudget {
    /// When time gave the last one, or will not have to.
    filled_ns: u64,
    tenths: u8,
}

impl RetryBudget {
    pub fn new(now_ns: u64) -> RetryBudget {
        RetryBudget { filled_ns: now_ns, tenths: FLOOR }
    }

    /// A request was sent for the first time.
    pub fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(MOST);
    }

    /// Takes one retransmission; or when there may be one. The last one is for requests about money.
    pub fn take(&mut self, now_ns: u64, class: Class) -> Result<(), u64> {
        self.fill(now_ns);
        let needed = if class.is_about_money() { ONE } else { 2 * ONE };
        if self.tenths < needed {
            return Err(self.filled_ns.saturating_add(FLOOR_NS).max(now_ns + 1));
        }
        self.tenths -= ONE;
        Ok(())
    }

    fn fill(&mut self, now_ns: u64) {
        let fills = now_ns.saturating_sub(self.filled_ns) / FLOOR_NS;
        if self.tenths >= FLOOR {
            self.filled_ns = self.filled_ns.max(now_ns);
        } else if fills > 0 {
            self.filled_ns = self.filled_ns.saturating_add(fills.saturating_mul(FLOOR_NS));
            self.tenths = (u64::from(self.tenths) + fills.saturating_mul(ONE.into())).min(FLOOR.into()) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Expect: a tenth of the requests beyond the first three, and one in 5 s.
    #[test]
    fn a_tenth_of_the_requests_is_sent_again() {
        let mut budget = RetryBudget::new(0);
        let mut taken = 0;
        for i in 0..1_000 {
            budget.earn();
            taken += u32::from(budget.take(i * SECOND / 100, Class::Shake).is_ok());
        }
        // In 10 s: 100 of 1,000, 2 of the first ones but the last, 2 by time.
        assert!((100..=105).contains(&taken), "{taken}");
    }

    /// Expect: the last one is kept for money; then one comes in 5 s, and not more than three in an hour's rest.
    #[test]
    fn the_last_one_is_for_money() {
        let mut budget = RetryBudget::new(0);
        assert_eq!([(); 3].map(|()| budget.take(1, Class::Read).is_ok()), [true, true, false]);
        assert_eq!(budget.take(1, Class::Open), Ok(()));
        let next_ns = budget.take(2, Class::Give).unwrap_err();
        assert!((5 * SECOND..=5 * SECOND + 1).contains(&next_ns), "{next_ns}");
        assert_eq!(budget.take(next_ns, Class::Give), Ok(()));
        let rested_ns = next_ns + 3_600 * SECOND;
        assert_eq!([(); 4].map(|()| budget.take(rested_ns, Class::Open).is_ok()), [true, true, true, false]);
    }
}
