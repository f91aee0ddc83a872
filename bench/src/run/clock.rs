//! Our clock, and how far it is from the server's.

use redpkt_proto::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Both clocks of this process, read with one call. The wall clock is read once: corrections made to it
/// during a run do not move the schedule.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_unix_ns: u64,
}

/// Monotonic time begins at this, because 0 has a meaning of its own in places.
const FIRST_NS: u64 = 1_000_000_000;

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Clock {
        let started_unix_ns =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Clock { started: Instant::now(), started_unix_ns }
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> Now {
        let since_ns = self.started.elapsed().as_nanos() as u64;
        Now { mono_ns: FIRST_NS + since_ns, wall_ms: (self.started_unix_ns + since_ns) / 1_000_000 }
    }

    /// Seconds since it began.
    pub fn uptime_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A monotonic time as ns since 1970 on our wall clock.
    pub fn unix_ns(&self, mono_ns: u64) -> u64 {
        self.started_unix_ns + mono_ns - FIRST_NS
    }
}

/// Samples that are kept: those with the shortest round trips, whose error is the smallest.
const BEST: usize = 64;

/// Samples of the server's clock.
#[derive(Clone, Debug, Default)]
pub struct ClockSamples {
    /// Round trip in ns and offset in ms.
    best: Vec<(u64, i64)>,
}

impl ClockSamples {
    /// Keeps a sample if it is one of the best.
    pub fn add(&mut self, rtt_ns: u64, offset_ms: i64) {
        if self.best.len() < BEST {
            self.best.push((rtt_ns, offset_ms));
        } else if let Some(worst) = self.best.iter_mut().max_by_key(|(rtt_ns, _)| *rtt_ns)
            && rtt_ns < worst.0
        {
            *worst = (rtt_ns, offset_ms);
        }
    }

    /// Takes in another's.
    pub fn merge(&mut self, other: &ClockSamples) {
        other.best.iter().for_each(|(rtt_ns, offset_ms)| self.add(*rtt_ns, *offset_ms));
    }

    /// The server's clock minus ours in ms: the median of what is kept.
    pub fn offset_ms(&self) -> Option<i64> {
        let mut offsets: Vec<i64> = self.best.iter().map(|(_, offset_ms)| *offset_ms).collect();
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trips_decide() {
        let mut samples = ClockSamples::default();
        assert_eq!(samples.offset_ms(), None);
        (0..1_000).for_each(|i| samples.add(1_000_000 + i, 700));
        (0..40).for_each(|i| samples.add(1_000 + i, 20));
        assert_eq!(samples.offset_ms(), Some(20));
        let mut all = ClockSamples::default();
        all.merge(&samples);
        assert_eq!(all.offset_ms(), Some(20));
    }

    #[test]
    fn both_clocks_go_on_together() {
        let clock = Clock::start();
        let now = clock.now();
        assert!(now.mono_ns >= FIRST_NS);
        assert_eq!(clock.unix_ns(now.mono_ns) / 1_000_000, now.wall_ms);
    }
}
