//! The load level that every answer carries: 16 × log2 of the queueing time in µs.

/// How long datagrams wait for the worker, smoothed.
///
/// Where the kernel says when it received a batch's first datagram, that is the time; else how long the worker was
/// away from its socket while more were coming, which is a lower bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    smoothed_ns: u64,
    last_ns: u64,
    last_recv_ns: u64,
    was_busy: bool,
}

/// Weight of a new sample: 1/8, as RFC 6298 smooths round trips.
const WEIGHT: u64 = 8;

impl Load {
    /// Notes one turn of the worker's loop: when it asked for datagrams, whether there were any, and how long the
    /// first had waited by the kernel's word. Time spent waiting for work is no queueing.
    pub fn turn(&mut self, now_ns: u64, busy: bool, waited_ns: Option<u64>) {
        let away_ns = if self.was_busy { now_ns.saturating_sub(self.last_recv_ns) } else { 0 };
        self.last_ns = if busy { waited_ns.unwrap_or(away_ns) } else { away_ns };
        self.smoothed_ns = (self.smoothed_ns * (WEIGHT - 1) + self.last_ns) / WEIGHT;
        self.last_recv_ns = now_ns;
        self.was_busy = busy;
    }

    /// The last turn's, in ns.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
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
        (0..100).for_each(|turn| load.turn(turn * 10_000_000, false, None));
        assert_eq!(load.level(), 0);
        (100..200).for_each(|turn| load.turn(turn * 10_000_000, true, None));
        assert_eq!(load.level(), level_of_us(9_999));
    }

    #[test]
    fn the_kernels_word_comes_before_our_own_measure() {
        let mut load = Load::default();
        (0..100).for_each(|turn| load.turn(turn * 10_000_000, true, Some(40_000_000)));
        assert_eq!(load.level(), level_of_us(39_999));
        (100..200).for_each(|turn| load.turn(turn * 10_000_000, true, Some(0)));
        assert_eq!(load.level(), 0);
    }
}
