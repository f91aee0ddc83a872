//! The clocks of a process, read once per batch.

use redpkt_proto::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One monotonic clock, and a wall clock that runs on it.
///
/// The wall side begins with the system's clock and is slewed towards it, by at most a tenth of the time
/// that passes. It never goes backwards and never jumps, whatever is done to the system's clock: session
/// numbers are made from it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Wall time at `start`, as believed now.
    wall_at_start_ns: i64,
    disciplined_ns: u64,
    wall_ms: u64,
}

/// Monotonic time at the start: an hour, so that no time is before it.
const START_NS: u64 = 3_600 * 1_000_000_000;

impl Clock {
    /// A clock that agrees with the system's.
    pub fn new() -> Clock {
        Clock::at(system_wall_ns())
    }

    fn at(wall_ns: i64) -> Clock {
        Clock { start: Instant::now(), wall_at_start_ns: wall_ns, disciplined_ns: 0, wall_ms: 0 }
    }

    /// The time.
    #[inline]
    pub fn now(&mut self) -> Now {
        let elapsed_ns = self.start.elapsed().as_nanos() as u64;
        self.after(elapsed_ns)
    }

    /// The monotonic side alone, of the same beginning.
    #[inline]
    pub fn mono_ns(&self) -> u64 {
        START_NS + self.start.elapsed().as_nanos() as u64
    }

    fn after(&mut self, elapsed_ns: u64) -> Now {
        let wall_ms = self.wall_at_start_ns.saturating_add_unsigned(elapsed_ns) / 1_000_000;
        self.wall_ms = self.wall_ms.max(wall_ms.max(0) as u64);
        Now { mono_ns: START_NS + elapsed_ns, wall_ms: self.wall_ms }
    }

    /// Looks at the system's clock and goes towards it. To be called some times a second.
    pub fn discipline(&mut self) {
        self.discipline_to(self.start.elapsed().as_nanos() as u64, system_wall_ns());
    }

    fn discipline_to(&mut self, elapsed_ns: u64, system_ns: i64) {
        let most = ((elapsed_ns - self.disciplined_ns) / 10) as i64;
        let off = system_ns.saturating_sub(self.wall_at_start_ns.saturating_add_unsigned(elapsed_ns));
        self.wall_at_start_ns += off.clamp(-most, most);
        self.disciplined_ns = elapsed_ns;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

fn system_wall_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |wall| wall.as_nanos() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const WALL_NS: i64 = 1_800_000_000 * SECOND as i64;

    /// Expect: wall time never goes backwards, and comes back to the system's slowly.
    #[test]
    fn a_step_of_the_system_clock_is_slewed() {
        for step_ns in [-3_600 * SECOND as i64, 3_600 * SECOND as i64] {
            let mut clock = Clock::at(WALL_NS);
            let mut last = clock.after(0);
            for twentieth in 1..=200u64 {
                let elapsed_ns = twentieth * SECOND / 20;
                let now = clock.after(elapsed_ns);
                let passed_ms = now.wall_ms - last.wall_ms;
                assert!((44..=56).contains(&passed_ms), "{passed_ms} ms in 50 ms");
                clock.discipline_to(elapsed_ns, WALL_NS + elapsed_ns as i64 + step_ns);
                last = now;
            }
            let off_ms = last.wall_ms as i64 - (WALL_NS / 1_000_000 + 10_000);
            assert!((900..=1_000).contains(&(off_ms * step_ns.signum())), "{off_ms} ms after 10 s");
        }
    }

    /// Expect: a small error is gone after the time it takes at a tenth, and stays gone.
    #[test]
    fn a_small_error_is_mended() {
        let mut clock = Clock::at(WALL_NS);
        for second in 1..=5 {
            clock.discipline_to(second * SECOND, WALL_NS + (second * SECOND) as i64 + 200_000_000);
        }
        assert_eq!(clock.after(5 * SECOND).wall_ms as i64, WALL_NS / 1_000_000 + 5_200);
    }
}
