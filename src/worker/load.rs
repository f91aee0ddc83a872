//! The load level that every answer carries: 16 × log2 of the queueing time in µs.

/// Smooths how long a worker is away from its socket, which is how long a datagram waits at the least when
/// more are coming.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    smoothed_ns: u64,
    last_recv_ns: u64,
    was_busy: bool,
}

/// Weight of a new sample: 1/8, as RFC 6298 smooths round trips.
const WEIGHT: u64 = 8;

impl Load {
    /// Notes one turn of the worker's loop: when it asked for datagrams, and whether there were any. Time
    /// spent waiting for work is no queueing.
    pub fn turn(&mut self, now_ns: u64, busy: bool) {
        let away_ns = if self.was_busy { now_ns.saturating_sub(self.last_recv_ns) } else { 0 };
        self.smoothed_ns = (self.smoothed_ns * (WEIGHT - 1) + away_ns) / WEIGHT;
        self.last_recv_ns = now_ns;
        self.was_busy = busy;
    }

    /// The level: 0 up to 1 µs, 16 more for each doubling, 255 from 63 ms.
    pub fn level(&self) -> u8 {
        level_of_us(self.smoothed_ns / 1_000)
    }
}

/// 16 × log2(µs), at most 255.
pub fn level_of_us(us: u64) -> u8 {
    if us <= 1 { 0 } else { ((us as f64).log2() * 16.0).min(255.0) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_sixteen_times_the_binary_logarithm() {
        let levels = [0, 1, 2, 4, 1_024, 20_000, 60_000, 64_000, u64::MAX].map(level_of_us);
        assert_eq!(levels, [0, 0, 16, 32, 160, 228, 253, 255, 255]);
    }

    #[test]
    fn waiting_for_work_is_no_load_and_work_is() {
        let mut load = Load::default();
        (0..100).for_each(|turn| load.turn(turn * 10_000_000, false));
        assert_eq!(load.level(), 0);
        (100..200).for_each(|turn| load.turn(turn * 10_000_000, true));
        assert_eq!(load.level(), level_of_us(9_999));
    }
}
