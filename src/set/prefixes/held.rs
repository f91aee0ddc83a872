//! How many sessions each prefix holds in each SET: counted when one begins, moved when another address is proved,
//! taken away when it ends.

use super::{Key, Prefix};
use rand::Rng as _;
use redpkt_proto::{Path, Rng};

/// Counters of a SET: one for every four slots, and not more than 1,024, or 4 KiB. A stranger shares one with a flood
/// in one SET of as many, and what strangers add is a small part of a limit in proportion to the SET's slots.
const COUNTERS_MAX: usize = 1_024;

/// The same for the smallest SETs.
const COUNTERS_MIN: usize = 64;

/// Sessions by prefix, of the SETs of a worker. A session is counted under the prefix of the address it has proved.
pub struct Held {
    /// Of one SET after the other; none where there is no limit.
    counts: Vec<u32>,
    /// How many counters a SET has, as a power of two.
    bits: u32,
    /// Sessions that one counter may come to.
    most: u32,
    key: Key,
}

impl Held {
    /// `most` sessions of one prefix in each of `sets` SETs of `slots_per_set` slots; 0 means no limit.
    pub fn new(sets: usize, slots_per_set: usize, most: u32, rng: &mut Rng) -> Held {
        let counters = counters(slots_per_set);
        let len = if most == 0 { 0 } else { sets * counters };
        let key = Key([rng.next_u64(), rng.next_u64()]);
        Held { counts: vec![0; len], bits: counters.trailing_zeros(), most, key }
    }

    /// Bytes that this takes.
    pub fn bytes(sets: usize, slots_per_set: usize) -> usize {
        sets * counters(slots_per_set) * size_of::<u32>()
    }

    /// Whether a session at `from` may be one at `to`; [`Path::NONE`] is where a session is that has yet to begin.
    pub fn admits(&self, set: u32, from: &Path, to: &Path) -> bool {
        let Some(to) = self.at(set, to) else { return true };
        self.at(set, from) == Some(to) || self.counts[to] < self.most
    }

    /// A session that was at `from` is at `to`; [`Path::NONE`] is where it is before it begins and after it has ended.
    pub fn moved(&mut self, set: u32, from: &Path, to: &Path) {
        if let Some(from) = self.at(set, from) {
            self.counts[from] -= 1;
        }
        if let Some(to) = self.at(set, to) {
            self.counts[to] += 1;
        }
    }

    /// No session is left in a SET.
    pub fn reset(&mut self, set: u32) {
        if self.most > 0 {
            self.counts[(set as usize) << self.bits..][..1 << self.bits].fill(0);
        }
    }

    /// Sessions that are counted in a SET.
    #[cfg(test)]
    pub fn counted(&self, set: u32) -> u32 {
        self.counts[(set as usize) << self.bits..][..1 << self.bits].iter().sum()
    }

    /// Which counter an address has; `None` without a limit.
    fn at(&self, set: u32, path: &Path) -> Option<usize> {
        if self.most == 0 {
            return None;
        }
        let prefix = Prefix::of(path)?;
        Some(((set as usize) << self.bits) + self.key.hash(set, prefix, self.bits))
    }
}

fn counters(slots_per_set: usize) -> usize {
    (slots_per_set / 4).next_power_of_two().clamp(COUNTERS_MIN, COUNTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn path(third: u8) -> Path {
        Path::new(([203, 0, third, 1], 9).into(), 0)
    }

    fn held(most: u32) -> Held {
        Held::new(2, 4_096, most, &mut Rng::seed_from_u64(5))
    }

    /// Expect: who fills its share in one SET has room in the other, and others have room beside it.
    #[test]
    fn a_limit_is_of_one_prefix_in_one_set() {
        let mut held = held(2);
        for _ in 0..2 {
            assert!(held.admits(0, &Path::NONE, &path(1)));
            held.moved(0, &Path::NONE, &path(1));
        }
        assert!(!held.admits(0, &Path::NONE, &path(1)));
        assert!(!held.admits(0, &path(2), &path(1)), "nobody moves in either");
        assert!(held.admits(0, &path(1), &path(1)), "whoever is counted may stay");
        assert!(held.admits(0, &Path::NONE, &path(2)) && held.admits(1, &Path::NONE, &path(1)));
        held.moved(0, &path(1), &path(2));
        assert!(held.admits(0, &Path::NONE, &path(1)));
        held.moved(0, &path(1), &Path::NONE);
        held.moved(0, &path(2), &Path::NONE);
        assert_eq!((held.counted(0), held.counted(1)), (0, 0));
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut held = held(0);
        (0..10_000).for_each(|_| held.moved(1, &Path::NONE, &path(1)));
        assert!(held.admits(1, &Path::NONE, &path(1)) && held.counts.is_empty());
        held.reset(1);
    }

    #[test]
    fn a_set_that_begins_anew_has_no_sessions() {
        let mut held = held(9);
        held.moved(0, &Path::NONE, &path(1));
        held.moved(1, &Path::NONE, &path(1));
        held.reset(1);
        assert_eq!((held.counted(0), held.counted(1)), (1, 0));
    }
}
