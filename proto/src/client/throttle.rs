//! The adaptive throttle: what a server would mostly refuse is not asked of it.
//!
//! "Handling Overload", client-side throttling, in Site Reliability Engineering (Beyer et al., 2016, chapter
//! 21): over a window of two minutes a client counts its requests and those that were accepted, and rejects a
//! new one itself with `p = max(0, (requests − K × accepts) / (requests + 1))`.

/// K: so many requests reach the server for each that it accepts. 2, as in the book: half of what arrives is
/// refused at most, and the client still notices soon when it is better.
const K: u32 = 2;

/// One request. The counts are fixed-point numbers, so that they can decay smoothly.
const ONE: u32 = 256;

/// The counts shrink by [`SHRINK`] / 256 in this time, in ns.
const STEP_NS: u64 = 5_000_000_000;

/// 1 − 2^(−1/8) = 0.083: halved in 40 s, an eighth is left after 2 minutes, which is the book's window.
const SHRINK: u64 = 21;

/// Steps after which nothing is left of any count: `2^32 × (235/256)^256 < 1`.
const STEPS_MAX: u64 = 256;

/// Accepted requests that a session is taken to have behind it when it begins to count, at most. Nothing is
/// counted while nothing is refused, so they are known by their number alone. 8: a lone refusal never makes
/// p more than 0.
const BEHIND_MAX: u32 = 8;

/// What was asked and what was accepted lately. 24 bytes.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    /// Until when the counts have been shrunk.
    shrunk_ns: u64,
    requests: u32,
    accepts: u32,
    /// Sum of the p's since the last rejection, in 1/65,536. Rejecting each time it reaches 1 keeps the
    /// proportion exactly, where rolling dice would leave some users out for long.
    due: u32,
}

impl Throttle {
    /// One of a session that has made `behind` requests before. `phase` is random: sessions that begin
    /// together must not reject together.
    pub fn new(now_ns: u64, behind: u32, phase: u16) -> Throttle {
        let counted = behind.min(BEHIND_MAX) * ONE;
        Throttle { shrunk_ns: now_ns, requests: counted, accepts: counted, due: phase.into() }
    }

    /// The server has worked on a request.
    pub fn accepted(&mut self, now_ns: u64) {
        self.count(now_ns, ONE);
    }

    /// The server has refused a request, or it was never answered.
    pub fn refused(&mut self, now_ns: u64) {
        self.count(now_ns, 0);
    }

    /// Whether a new request is rejected here. Rejected ones are counted as requests, as in the book.
    pub fn rejects(&mut self, now_ns: u64) -> bool {
        self.shrink(now_ns);
        self.due += self.probability();
        let rejects = self.due >= 1 << 16;
        if rejects {
            self.due -= 1 << 16;
            self.count(now_ns, 0);
        }
        rejects
    }

    /// Whether less than one request is left in the window.
    pub fn is_empty(&mut self, now_ns: u64) -> bool {
        self.shrink(now_ns);
        self.requests < ONE
    }

    /// p, in 1/65,536; less than 1.
    fn probability(&self) -> u32 {
        let (requests, accepts) = (u64::from(self.requests), u64::from(self.accepts));
        let beyond = requests.saturating_sub(u64::from(K) * accepts);
        ((beyond << 16) / (requests + u64::from(ONE))) as u32
    }

    fn count(&mut self, now_ns: u64, accepted: u32) {
        self.shrink(now_ns);
        self.requests = self.requests.saturating_add(ONE);
        self.accepts = self.accepts.saturating_add(accepted);
    }

    fn shrink(&mut self, now_ns: u64) {
        let steps = now_ns.saturating_sub(self.shrunk_ns) / STEP_NS;
        self.shrunk_ns = self.shrunk_ns.saturating_add(steps.saturating_mul(STEP_NS));
        for count in [&mut self.requests, &mut self.accepts] {
            for _ in 0..steps.min(STEPS_MAX) {
                *count -= (u64::from(*count) * SHRINK).div_ceil(256) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(requests: u32, accepts: u32) -> Throttle {
        Throttle { shrunk_ns: 0, requests, accepts, due: 0 }
    }

    /// Expect: the book's formula by hand, with K = 2.
    #[test]
    fn arithmetic_of_the_book() {
        for (requests, accepts, p) in
            [(0, 0, 0.0), (10, 5, 0.0), (10, 4, 2.0 / 11.0), (99, 0, 0.99), (20, 0, 20.0 / 21.0)]
        {
            let found = f64::from(with(requests * ONE, accepts * ONE).probability()) / 65_536.0;
            assert!((found - p).abs() < 1e-4, "{requests} {accepts}: {found}");
        }
    }

    /// Expect: half of what was counted is left after 40 s, an eighth after two minutes, nothing in the end.
    #[test]
    fn the_window_is_two_minutes() {
        for (seconds, left) in [(4, 1.0), (40, 0.5), (120, 0.125), (100_000, 0.0)] {
            let mut throttle = with(1_000 * ONE, 500 * ONE);
            throttle.shrink(seconds * 1_000_000_000);
            let found = f64::from(throttle.requests) / f64::from(1_000 * ONE);
            assert!((found - left).abs() < 0.02, "{seconds} s: {found}");
        }
    }

    /// Expect: one refusal of a session with requests behind it rejects nothing; refusals alone soon reject most.
    #[test]
    fn a_lone_refusal_rejects_nothing() {
        let mut throttle = Throttle::new(0, 100, u16::MAX);
        throttle.refused(1);
        assert!((0..1_000).all(|_| !throttle.rejects(1)));
        (0..100).for_each(|_| throttle.refused(1));
        assert!((0..100).filter(|_| throttle.rejects(1)).count() >= 80);
    }

    proptest! {
        /// Expect: p is below 1, 0 as long as half is accepted, grows with refusals and not with acceptances.
        #[test]
        fn p_is_a_proportion(requests in 0..u32::MAX - ONE, share in 0u32..=1_000) {
            let accepts = (u64::from(requests) * u64::from(share) / 1_000) as u32;
            let mut throttle = with(requests, accepts);
            let p = throttle.probability();
            prop_assert!(p < 1 << 16);
            prop_assert!(u64::from(accepts) * 2 < requests.into() || p == 0);
            throttle.refused(0);
            let after_refusal = throttle.probability();
            prop_assert!(after_refusal >= p);
            throttle.accepted(0);
            prop_assert!(throttle.probability() <= after_refusal);
        }

        /// Expect: of n requests as many are rejected as the p's add up to, to within one.
        #[test]
        fn rejections_add_up(refused in 0u32..200, accepted in 0u32..200, phase: u16, n in 1usize..200) {
            let mut throttle = Throttle::new(0, 0, phase);
            (0..refused).for_each(|_| throttle.refused(0));
            (0..accepted).for_each(|_| throttle.accepted(0));
            let (mut sum, mut rejected) = (0u64, 0u64);
            for _ in 0..n {
                sum += u64::from(throttle.probability());
                rejected += u64::from(throttle.rejects(0));
            }
            prop_assert!((sum >> 16).abs_diff(rejected) <= 1, "{sum} {rejected}");
        }

        /// Expect: any times, also going back, and any number of steps keep accepts within requests.
        #[test]
        fn time_never_makes_accepts_more_than_requests(times in prop::collection::vec((any::<u64>(), 0u8..3), 0..50)) {
            let mut throttle = Throttle::new(0, 3, 0);
            for (at_ns, what) in times {
                match what {
                    0 => throttle.accepted(at_ns),
                    1 => throttle.refused(at_ns),
                    _ => drop(throttle.rejects(at_ns)),
                }
                prop_assert!(throttle.accepts <= throttle.requests);
                prop_assert!(throttle.due < 1 << 17);
            }
        }
    }
}
