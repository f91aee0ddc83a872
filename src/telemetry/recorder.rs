//! A histogram that one thread records into and others read, without a lock.

use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// Values are recorded in steps of 64 ns.
const UNIT_BITS: u32 = 6;

/// Steps of one power of two: 128, so that a value is known to less than 1%.
const STEPS_BITS: u32 = 7;

const STEPS: usize = 1 << STEPS_BITS;

/// The longest value, as a power of two of ns: 68 s. Longer ones count as this.
const MAX_BITS: u32 = 36;

/// The first two powers of two have one step for each unit, all others [`STEPS`] steps.
const BUCKETS: usize = (MAX_BITS - UNIT_BITS - STEPS_BITS + 1) as usize * STEPS;

/// Counts of values in ns, in buckets that grow with them, as HdrHistogram's do (hdrhistogram.org). 24 KiB, of which
/// a thread that records touches only what it needs. Recording is two plain moves: only one thread may do it.
#[derive(Debug)]
pub struct Recorder {
    counts: Box<[AtomicU64]>,
}

impl Recorder {
    /// Without values.
    pub fn new() -> Recorder {
        Recorder { counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Records a value so many times.
    #[inline]
    pub fn record(&self, ns: u64, times: u64) {
        let count = &self.counts[bucket(ns)];
        count.store(count.load(Ordering::Relaxed) + times, Ordering::Relaxed);
    }

    /// Whether nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// All values so far, each as the middle of its bucket.
    pub fn read(&self) -> Histogram<u64> {
        let mut histogram = crate::hdr::histogram();
        histogram.auto(true);
        for (at, count) in self.counts.iter().enumerate() {
            match count.load(Ordering::Relaxed) {
                0 => {}
                count => histogram.record_n(middle_ns(at), count).expect("it grows as needed"),
            }
        }
        histogram
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new()
    }
}

#[inline]
fn bucket(ns: u64) -> usize {
    let units = (ns >> UNIT_BITS).min((1 << (MAX_BITS - UNIT_BITS)) - 1);
    // How far the value is shifted so that it is less than two times STEPS.
    let shift = (u64::BITS - (units >> STEPS_BITS).leading_zeros()).saturating_sub(1);
    (units >> shift) as usize + shift as usize * STEPS
}

fn middle_ns(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let units = (bucket - shift * STEPS) as u64;
    (units << shift << UNIT_BITS) + (1 << shift << UNIT_BITS) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!((bucket(0), bucket(63), bucket(64)), (0, 0, 1));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!((0..BUCKETS).all(|at| bucket(middle_ns(at)) == at));
        assert!((1..BUCKETS).all(|at| middle_ns(at) > middle_ns(at - 1)));
    }

    #[test]
    fn values_come_back_as_often_as_they_were_recorded() {
        let recorder = Recorder::new();
        recorder.record(5_000_000, 3);
        recorder.record(70_000, 1);
        recorder.record(u64::MAX, 1);
        let histogram = recorder.read();
        assert_eq!((histogram.len(), histogram.count_between(4_900_000, 5_100_000)), (5, 3));
        assert!(histogram.max() > 60_000_000_000);
    }

    proptest! {
        /// Expect: what is told is within 1% of what was recorded, or within a unit.
        #[test]
        fn a_value_is_known_to_a_hundredth(ns in 0..(1_u64 << MAX_BITS)) {
            let told = middle_ns(bucket(ns));
            prop_assert!(told.abs_diff(ns) <= (ns / 100).max(1 << UNIT_BITS));
        }
    }
}
