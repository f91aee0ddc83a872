//! The rate at which one user's shakes are answered: GCRA (ITU-T I.371) on a 32-bit clock.

use redpkt_proto::Now;

/// Ticks in a second. 32 bits of them last three days; the idle sweep keeps live slots within that.
const TICKS_PER_S: u32 = 16_000;

/// A slot whose due time is further back than this is brought near again: one hour.
const FAR_TICKS: u32 = 3_600 * TICKS_PER_S;

/// The clock that `next_shake` is kept in.
pub fn ticks(now: Now) -> u32 {
    (now.mono_ns / (1_000_000_000 / u64::from(TICKS_PER_S))) as u32
}

/// A limit of so many shakes a second with as many at once; 0 means none.
#[derive(Clone, Copy, Debug)]
pub struct ShakeRate {
    interval: u32,
    burst: u32,
}

impl ShakeRate {
    /// `shakes_per_s` shakes a second: at most that many at once, then one each 1/`shakes_per_s` s.
    pub fn new(shakes_per_s: u16) -> ShakeRate {
        match shakes_per_s {
            0 => ShakeRate { interval: 0, burst: 0 },
            rate => {
                let interval = TICKS_PER_S / u32::from(rate).min(TICKS_PER_S);
                ShakeRate { interval, burst: TICKS_PER_S - interval }
            }
        }
    }

    /// Takes one shake from a user's allowance, or says in how many ms there is one.
    #[inline]
    pub fn take(&self, next_shake: &mut u32, now: Now) -> Result<(), u32> {
        let now = ticks(now);
        let ahead = next_shake.wrapping_sub(now) as i32;
        if ahead > self.burst as i32 {
            return Err((ahead as u32 - self.burst).div_ceil(TICKS_PER_S / 1_000).max(1));
        }
        *next_shake = if ahead > 0 { *next_shake } else { now }.wrapping_add(self.interval);
        Ok(())
    }
}

/// Keeps a due time that lies far back comparable with the wrapping clock.
pub fn keep_near(next_shake: &mut u32, now: Now) {
    let now = ticks(now);
    if (now.wrapping_sub(*next_shake) as i32) > FAR_TICKS as i32 {
        *next_shake = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Now = Now { mono_ns: 5_000_000_000, wall_ms: 0 };

    proptest! {
        /// Expect: over any seconds, however they are asked, at most rate × seconds + rate shakes pass,
        /// and who asks exactly at the rate is never refused.
        #[test]
        fn holds_its_rate(rate in 1u16..=1_000, gaps_ms in prop::collection::vec(0u64..50, 1..500)) {
            let limit = ShakeRate::new(rate);
            let (mut next, mut now, mut passed) = (ticks(START), START, 0u64);
            for gap in &gaps_ms {
                now = now.plus_ns(gap * 1_000_000);
                passed += u64::from(limit.take(&mut next, now).is_ok());
            }
            let seconds = (now.mono_ns - START.mono_ns) as f64 / 1e9;
            // An interval is cut to whole ticks, so the rate is at most one tick's worth above.
            let per_s = f64::from(TICKS_PER_S) / f64::from(TICKS_PER_S / u32::from(rate));
            prop_assert!(passed as f64 <= per_s * seconds + f64::from(rate) + 1.0);

            let (mut next, mut now) = (ticks(START), START);
            for _ in 0..100 {
                prop_assert!(limit.take(&mut next, now).is_ok());
                now = now.plus_ns(1_000_000_000u64.div_ceil(u64::from(rate)));
            }
        }
    }

    #[test]
    fn retry_after_is_when_the_next_shake_passes() {
        let limit = ShakeRate::new(10);
        let mut next = ticks(START);
        (0..10).for_each(|_| limit.take(&mut next, START).unwrap());
        let wait_ms = limit.take(&mut next, START).unwrap_err();
        assert_eq!(wait_ms, 100);
        assert!(limit.take(&mut next, START.plus_ns(99_000_000)).is_err());
        assert!(limit.take(&mut next, START.plus_ns(100_000_000)).is_ok());
    }

    #[test]
    fn no_limit_never_refuses_and_the_clock_may_wrap() {
        let limit = ShakeRate::new(0);
        let mut next = ticks(START);
        (0..10_000).for_each(|_| limit.take(&mut next, START).unwrap());
        let wrap = Now { mono_ns: (1u64 << 32) * 62_500 - 1_000, wall_ms: 0 };
        let limit = ShakeRate::new(10);
        let mut next = ticks(wrap);
        (0..10).for_each(|_| limit.take(&mut next, wrap.plus_ns(2_000)).unwrap());
        assert!(limit.take(&mut next, wrap.plus_ns(2_000)).is_err());
    }
}
