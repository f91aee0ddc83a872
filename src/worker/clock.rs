//! The clocks of a process, read once per batch.

use redpkt_proto::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks; the wall clock never goes backwards here.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall_ms: u64,
}

impl Clock {
    /// A clock whose monotonic side begins one hour before now, so that no time is before its start.
    pub fn new() -> Clock {
        Clock { start: Instant::now(), wall_ms: 0 }
    }

    /// The time.
    pub fn now(&mut self) -> Now {
        const HOUR_NS: u64 = 3_600 * 1_000_000_000;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.wall_ms = self.wall_ms.max(wall.as_millis() as u64);
        Now { mono_ns: HOUR_NS + self.start.elapsed().as_nanos() as u64, wall_ms: self.wall_ms }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}
