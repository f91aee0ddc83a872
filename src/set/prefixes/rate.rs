//! How many handshakes a prefix may have in a second: GCRA (ITU-T I.371) for each.
//!
//! There are two budgets, because an address is proved only in the middle of a handshake. What has not proved its
//! address can be anybody's, in the name of any prefix: held to a limit at all times, it would let a stranger lock a
//! prefix out with cheap HELLOs. So that budget is in force only while handshakes are being shed; the
//! other one, of sessions that begin when the cookie has come back, always is.

use super::{Key, Prefix};
use rand::Rng as _;
use redpkt_proto::{Now, Path, Rng};

/// Prefixes that have a pair of budgets of their own, as a power of two: 4,096, which take 64 KiB.
const BITS: u32 = 12;

/// What a prefix may have at once: as much as in a second.
const BURST_NS: u64 = 1_000_000_000;

/// How long the budget of the unproved stays in force after handshakes were last shed, in ns: a flood that is held back
/// makes the load go away, and is still there.
const HOLD_NS: u64 = 5_000_000_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Any HELLO or JOIN, whoever sent it.
    Unproved = 0,
    /// A session that begins: its address is proved by its cookie.
    Proved = 1,
}

/// Handshakes by prefix, of one worker.
pub struct HandshakeRate {
    /// When the next one is due, in monotonic ns, of both sorts; none where there is no limit.
    due_ns: Vec<[u64; 2]>,
    interval_ns: u64,
    /// Until when the unproved are limited.
    limited_until_ns: u64,
    key: Key,
}

impl HandshakeRate {
    /// `per_s` of each sort a second for each prefix, and as many at once; 0 means no limit.
    pub fn new(per_s: u32, rng: &mut Rng) -> HandshakeRate {
        HandshakeRate {
            due_ns: vec![[0; 2]; if per_s == 0 { 0 } else { 1 << BITS }],
            interval_ns: 1_000_000_000 / u64::from(per_s.max(1)),
            limited_until_ns: 0,
            key: Key([rng.next_u64(), rng.next_u64()]),
        }
    }

    /// Bytes that this takes.
    pub fn bytes() -> usize {
        size_of::<[u64; 2]>() << BITS
    }

    /// Whether a handshake datagram is looked at, before any key is touched. `are_shed` says whether there is no
    /// time for all of them.
    pub fn admits_unproved(&mut self, now: Now, path: &Path, are_shed: bool) -> bool {
        if are_shed {
            self.limited_until_ns = now.mono_ns + HOLD_NS;
        }
        now.mono_ns >= self.limited_until_ns || self.take(now, path, Limited::Unproved)
    }

    /// Takes one from a prefix's budget; `false` when there is none left.
    pub fn take(&mut self, now: Now, path: &Path, what: Limited) -> bool {
        if self.due_ns.is_empty() {
            return true;
        }
        let Some(prefix) = Prefix::of(path) else { return true };
        let due_ns = &mut self.due_ns[self.key.hash(0, prefix, BITS)][what as usize];
        let next_ns = (*due_ns).max(now.mono_ns) + self.interval_ns;
        let is_left = next_ns <= now.mono_ns + BURST_NS;
        if is_left {
            *due_ns = next_ns;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use redpkt_proto::Rng;

    const START: Now = Now { mono_ns: 5_000_000_000, wall_ms: 0 };

    fn path(third: u8) -> Path {
        Path::new(([203, 0, third, 1], 9).into(), 0)
    }

    fn limit(per_s: u32) -> HandshakeRate {
        HandshakeRate::new(per_s, &mut Rng::seed_from_u64(5))
    }

    proptest! {
        /// Expect: over any time, however it is asked, at most the rate and one second of it pass, and who asks at the
        /// rate is never refused.
        #[test]
        fn holds_its_rate(per_s in 1u32..200_000, gaps_us in prop::collection::vec(0u64..50_000, 1..500)) {
            let (mut rate, mut now, mut passed) = (limit(per_s), START, 0u64);
            for gap in &gaps_us {
                now = now.plus_ns(gap * 1_000);
                passed += u64::from(rate.take(now, &path(1), Limited::Proved));
            }
            // An interval is cut to whole ns.
            let per_s = 1e9 / (1e9 / f64::from(per_s)).floor();
            let seconds = (now.mono_ns - START.mono_ns) as f64 / 1e9;
            prop_assert!(passed as f64 <= per_s * (seconds + 1.0) + 1.0);

            let (mut rate, mut now) = (limit(per_s as u32), START);
            for _ in 0..100 {
                prop_assert!(rate.take(now, &path(1), Limited::Proved));
                now = now.plus_ns(1_000_000_000u64.div_ceil(per_s as u64));
            }
        }
    }

    #[test]
    fn prefixes_and_sorts_have_budgets_of_their_own() {
        let mut rate = limit(2);
        let mut take = |third, what| rate.take(START, &path(third), what);
        assert!(take(1, Limited::Proved) && take(1, Limited::Proved) && !take(1, Limited::Proved));
        assert!(take(2, Limited::Proved) && take(1, Limited::Unproved));
        let own = Path::new("10.0.0.1:9".parse().unwrap(), 0);
        assert!((0..100).all(|_| rate.take(START, &own, Limited::Proved)));
        assert!((0..100).all(|_| limit(0).take(START, &path(1), Limited::Proved)));
    }

    /// Expect: who has proved nothing is limited while the load lasts and a while after, and not before.
    #[test]
    fn the_unproved_are_limited_under_load_only() {
        let mut rate = limit(2);
        assert!((0..100).all(|_| rate.admits_unproved(START, &path(1), false)));
        let admitted = |rate: &mut HandshakeRate, now, are_shed| {
            (0..100).filter(|_| rate.admits_unproved(now, &path(1), are_shed)).count()
        };
        assert_eq!(admitted(&mut rate, START, true), 2);
        assert_eq!(admitted(&mut rate, START.plus_ns(HOLD_NS - 1), false), 2);
        assert_eq!(admitted(&mut rate, START.plus_ns(HOLD_NS), false), 100);
    }
}
