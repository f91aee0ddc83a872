//! The retransmission timeout: RFC 6298 in integer nanoseconds, and exponential backoff with jitter.

use super::config::Config;
use rand::Rng as _;

/// Smoothed round trip and its variation (RFC 6298 §2). 8 bytes: a sample above 4.29 s counts as 4.29 s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rto {
    /// 0 until there is a sample.
    srtt_ns: u32,
    rttvar_ns: u32,
}

impl Rto {
    /// Takes in a round trip that belongs to one transmission for sure. Requests carry their attempt number
    /// and answers echo it, so retransmissions give samples too: Karn's algorithm (§3) is not needed.
    pub fn sample(&mut self, rtt_ns: u64) {
        let rtt = rtt_ns.clamp(1, u64::from(u32::MAX));
        if self.srtt_ns == 0 {
            // §2.2: SRTT <- R, RTTVAR <- R/2
            (self.srtt_ns, self.rttvar_ns) = (rtt as u32, (rtt / 2) as u32);
            return;
        }
        // §2.3, in its order: RTTVAR uses SRTT from before. beta = 1/4, alpha = 1/8.
        let (srtt, rttvar) = (u64::from(self.srtt_ns), u64::from(self.rttvar_ns));
        self.rttvar_ns = ((3 * rttvar + srtt.abs_diff(rtt)) / 4) as u32;
        self.srtt_ns = ((7 * srtt + rtt) / 8).max(1) as u32;
    }

    /// The timeout of a first transmission, in ns: §2.1 without a sample, else §2.3's SRTT + 4 × RTTVAR (the
    /// clock's granularity G is a nanosecond), within the configured bounds (§2.4, §2.5).
    pub fn timeout_ns(&self, config: &Config) -> u64 {
        let timeout = match self.srtt_ns {
            0 => config.rto_ns_initial,
            srtt => u64::from(srtt) + 4 * u64::from(self.rttvar_ns).max(1),
        };
        timeout.max(config.rto_ns_min).min(config.rto_ns_max)
    }

    /// Smoothed round trip in ns, if there was a sample.
    pub fn srtt_ns(&self) -> Option<u64> {
        (self.srtt_ns != 0).then_some(self.srtt_ns.into())
    }
}

/// `first_ns` doubled `doublings` times (§5.5), at most `max_ns`.
pub(super) fn doubled(first_ns: u64, doublings: u32, max_ns: u64) -> u64 {
    first_ns.saturating_mul(1 << doublings.min(32)).min(max_ns)
}

/// The same with jitter: after the first doubling up to a quarter less, so that those who lost together do
/// not come again together. Never below `first_ns`, never above `max_ns`.
pub(super) fn backed_off(first_ns: u64, doublings: u32, max_ns: u64, rng: &mut crate::Rng) -> u64 {
    let wait_ns = doubled(first_ns, doublings, max_ns);
    if doublings == 0 { wait_ns } else { (wait_ns - below(rng, wait_ns / 4 + 1)).max(first_ns.min(max_ns)) }
}

/// A random number from 0 to `end - 1`; 0 if `end` is 0.
pub(super) fn below(rng: &mut crate::Rng, end: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(end)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const MS: u64 = 1_000_000;

    fn config() -> Config {
        Config { rto_ns_min: 1, rto_ns_max: 60_000 * MS, ..Config::default() }
    }

    /// Expect: 1 s before any sample (§2.1), R + 4 × R/2 after the first (§2.2), then §2.3 by hand.
    #[test]
    fn arithmetic_of_rfc_6298() {
        let mut rto = Rto::default();
        assert_eq!(rto.timeout_ns(&config()), 1_000 * MS);
        for (rtt_ms, srtt_ns, rttvar_ns) in [
            (100, 100 * MS, 50 * MS),
            (100, 100 * MS, 37_500_000),
            (200, 112_500_000, 53_125_000),
            (50, 104_687_500, 55_468_750),
        ] {
            rto.sample(rtt_ms * MS);
            assert_eq!((u64::from(rto.srtt_ns), u64::from(rto.rttvar_ns)), (srtt_ns, rttvar_ns));
            assert_eq!(rto.timeout_ns(&config()), srtt_ns + 4 * rttvar_ns);
        }
    }

    /// Expect: the bounds hold for a loopback's round trip and for an hour's, also as a first sample.
    #[test]
    fn timeouts_stay_within_their_bounds() {
        let config = Config::default();
        for rtt_ns in [0, 1, 30_000, 3_600_000 * MS, u64::MAX] {
            let mut rto = Rto::default();
            for _ in 0..50 {
                rto.sample(rtt_ns);
                assert!((config.rto_ns_min..=config.rto_ns_max).contains(&rto.timeout_ns(&config)));
            }
        }
    }

    /// Expect: each wait is between 3/4 of the doubled one and all of it, up to the maximum.
    #[test]
    fn backoff_doubles_with_jitter_up_to_the_maximum() {
        let mut rng = crate::Rng::seed_from_u64(1);
        for doublings in 0..100 {
            let full = doubled(50 * MS, doublings, 4_000 * MS);
            assert_eq!(full, if doublings < 7 { (50 * MS) << doublings } else { 4_000 * MS });
            for _ in 0..50 {
                let wait = backed_off(50 * MS, doublings, 4_000 * MS, &mut rng);
                assert!(wait <= full && wait >= full * 3 / 4 && wait >= 50 * MS, "{doublings}: {wait}");
            }
        }
    }
}
