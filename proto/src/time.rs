//! Time as an argument: the core never reads a clock.

use crate::limits::{SESSION_EPOCH_WALL_MS, SESSION_STEP_MS};

/// One reading of both clocks, taken once per batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic nanoseconds from any fixed start: timers, RTO, idle time, the mint's pace.
    pub mono_ns: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z: tickets, session numbers, expiry, the journal.
    pub wall_ms: u64,
}

impl Now {
    /// Monotonic milliseconds, cut to 32 bits. Compare by wrapping subtraction.
    pub fn mono_ms(self) -> u32 {
        (self.mono_ns / 1_000_000) as u32
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub fn wall_s(self) -> u64 {
        self.wall_ms / 1_000
    }

    /// The session number of a join at this time: steps of [`SESSION_STEP_MS`] since
    /// [`SESSION_EPOCH_WALL_MS`]. It grows with `wall_ms`, so a caller whose wall clock may be set back gives a
    /// time that is only slewed towards it.
    pub fn session_number(self) -> u32 {
        (self.wall_ms.saturating_sub(SESSION_EPOCH_WALL_MS) / SESSION_STEP_MS) as u32
    }

    /// This time and `ns` later, on both clocks.
    pub fn plus_ns(self, ns: u64) -> Now {
        Now { mono_ns: self.mono_ns + ns, wall_ms: self.wall_ms + ns / 1_000_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_numbers_grow_one_a_step() {
        let now = Now { mono_ns: 0, wall_ms: SESSION_EPOCH_WALL_MS + 10 * SESSION_STEP_MS };
        assert_eq!(now.session_number(), 10);
        assert_eq!(now.plus_ns((SESSION_STEP_MS - 1) * 1_000_000).session_number(), 10);
        assert_eq!(now.plus_ns(SESSION_STEP_MS * 1_000_000).session_number(), 11);
    }
}
