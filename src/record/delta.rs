//! How much a counter has grown.

/// Beyond this a counter of 32 bits that is less than it was has begun anew rather than wrapped: in a second no
/// machine counts so far.
const WRAPPED_MAX: u64 = 1 << 31;

/// How much a counter of 64 bits has grown. All of it, where it is less than it was: then it has begun anew.
pub fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// How much a counter has grown that may have 32 bits, as old drivers' have: less than it was, it has wrapped if that
/// makes a small step, and has begun anew otherwise.
pub fn grown_32(before: u64, now: u64) -> u64 {
    let is_narrow = before < 1 << 32 && now < before;
    let wrapped = is_narrow.then(|| now + (1 << 32) - before);
    wrapped.filter(|step| *step < WRAPPED_MAX).unwrap_or_else(|| grown(before, now))
}

/// How much a sum of counters of 32 bits has grown, some of which may have wrapped. It never begins anew while the
/// machine runs.
pub fn grown_sum_32(before: u64, now: u64) -> u64 {
    let missing = before.saturating_sub(now).div_ceil(1 << 32);
    let wrapped = missing.checked_mul(1 << 32).and_then(|more| now.checked_add(more));
    let step = wrapped.and_then(|now| now.checked_sub(before));
    step.filter(|step| *step < WRAPPED_MAX || missing == 0).unwrap_or_else(|| grown(before, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: u64 = 1 << 32;

    #[test]
    fn a_counter_that_began_anew_has_grown_by_all_it_has() {
        assert_eq!(grown(5, 9), 4);
        assert_eq!(grown(1_000, 7), 7);
        assert_eq!(grown(u64::MAX, 0), 0);
    }

    /// Expect: a small step over the top of 32 bits; a reset elsewhere.
    #[test]
    fn a_counter_of_32_bits_wraps() {
        assert_eq!(grown_32(TOP - 10, 5), 15);
        assert_eq!(grown_32(1_000_000, 5), 5);
        assert_eq!(grown_32(TOP + 10, 5), 5, "it has more than 32 bits");
        assert_eq!(grown_32(7, 9), 2);
    }

    /// Expect: the step, although one or two of the processors' counters have wrapped meanwhile.
    #[test]
    fn a_sum_wraps_with_each_of_its_parts() {
        assert_eq!(grown_sum_32(3 * TOP - 10, 2 * TOP + 5), 15);
        assert_eq!(grown_sum_32(3 * TOP - 10, TOP + 20), 30);
        assert_eq!(grown_sum_32(100, 130), 30);
        assert_eq!(grown_sum_32(1_000_000, 30), 30, "another machine");
        assert_eq!(grown_sum_32(u64::MAX, 0), 0);
    }
}
