//! Which SET, group and worker a user belongs to.
//!
//! The function is defined over the user id's wire bytes read as two big-endian 32-bit words and uses
//! 32-bit wrapping arithmetic only, because a classic BPF program, whose loads are big-endian and whose
//! registers hold 32 bits, must compute the same inside the kernel.

/// The steps of the mixer, in order. The steering program is built from the same list.
pub const MIX: [Mix; 6] = [
    Mix::XorShiftRight(16),
    Mix::Multiply(0x7feb_352d),
    Mix::XorShiftRight(15),
    Mix::Multiply(0x846c_a68b),
    Mix::XorShiftRight(16),
    Mix::Multiply(0x9e37_79b1),
];

/// What the second word is multiplied with before the first is added.
pub const WORD_MULTIPLIER: u32 = 0x85eb_ca6b;

/// One step on a 32-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// `h ^= h >> n`
    XorShiftRight(u32),
    /// `h *= k`, wrapping
    Multiply(u32),
}

/// A user id as one 32-bit word: `w1 * WORD_MULTIPLIER + w0`, where `w0` and `w1` are the wire's bytes 0..4 and 4..8 as
/// big-endian words.
#[inline]
pub fn fold(user: u64) -> u32 {
    let bytes = user.to_le_bytes();
    let w0 = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let w1 = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    w1.wrapping_mul(WORD_MULTIPLIER).wrapping_add(w0)
}

/// All steps of [`MIX`]. The high bits of the result are its best.
#[inline]
pub fn mix(mut h: u32) -> u32 {
    for step in MIX {
        h = match step {
            Mix::XorShiftRight(n) => h ^ (h >> n),
            Mix::Multiply(k) => h.wrapping_mul(k),
        };
    }
    h
}

/// The 32-bit hash that `set_of` cuts the SET from: a folded user, mixed, its high bits brought down.
pub fn steering_hash(user: u64) -> u32 {
    mix(fold(user)) >> HASH_SHIFT
}

/// The last step: the low bits of a product are its weakest, so 16 of them are dropped and 65,536 SETs
/// remain addressable.
pub const HASH_SHIFT: u32 = 16;

/// SETs on one machine at the most: what [`steering_hash`] can tell apart, and the 16 bits of a packet id.
pub const SETS_MAX: u32 = 1 << (32 - HASH_SHIFT);

/// How SETs are divided: fixed for the life of a ledger (`sets`, `groups`) or of a process (`workers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of SETs, a power of two.
    pub sets: u32,
    /// Number of groups, 1 to `sets`.
    pub groups: u32,
    /// Number of workers, 1 to `groups`.
    pub workers: u32,
}

impl Layout {
    /// The SET of a user: the low bits of [`steering_hash`].
    pub fn set_of(&self, user: u64) -> u32 {
        steering_hash(user) & (self.sets - 1)
    }

    /// The group of a SET.
    pub fn group_of(&self, set: u32) -> u32 {
        set % self.groups
    }

    /// The worker that owns a SET.
    pub fn worker_of(&self, set: u32) -> u32 {
        self.group_of(set) % self.workers
    }

    /// The worker that owns a user.
    pub fn worker_of_user(&self, user: u64) -> u32 {
        self.worker_of(self.set_of(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(sets: u32, users: impl Iterator<Item = u64>) -> Vec<u32> {
        let layout = Layout { sets, groups: 2, workers: 1 };
        let mut counts = vec![0; sets as usize];
        users.for_each(|user| counts[layout.set_of(user) as usize] += 1);
        counts
    }

    /// The capacity that `--sessions` promises (mean and six standard deviations in each SET) holds for
    /// the numberings that operators use: dense, strided, high words, and random.
    #[test]
    fn every_set_stays_within_six_standard_deviations() {
        let n = 1_000_000u64;
        let mean = n as f64 / 256.0;
        let most = (mean + 6.0 * mean.sqrt()) as u32;
        type Numbering = fn(u64) -> u64;
        let numberings: [(&str, Numbering); 5] = [
            ("dense", |i| i + 1),
            ("strided", |i| i * 1_000),
            ("powers of two apart", |i| i << 20),
            ("high word", |i| i << 32 | 7),
            ("random", |i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)),
        ];
        for (name, user) in numberings {
            let counts = spread(256, (0..n).map(user));
            let max = *counts.iter().max().unwrap();
            assert!(max <= most, "{name}: fullest SET holds {max}, room for {most}");
        }
    }

    #[test]
    fn worker_is_a_function_of_the_group() {
        let layout = Layout { sets: 64, groups: 6, workers: 4 };
        for set in 0..64 {
            assert_eq!(layout.worker_of(set), layout.group_of(set) % 4);
        }
    }
}
