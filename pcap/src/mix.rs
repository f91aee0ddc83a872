//! One hash for the tables here: a multiplication whose halves are folded, under secrets that differ in each run.
//!
//! Whoever makes captures cannot know what falls on the same place. Every bit of the result depends on every bit of
//! what goes in, also when that differs in its upper bits alone, as IPv4 addresses do that are mapped into IPv6.

use std::hash::{BuildHasher, RandomState};

/// The secrets of one table.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    a: u64,
    b: u64,
}

impl Mix {
    /// New secrets, from the operating system.
    pub fn new() -> Mix {
        let random = RandomState::new();
        Mix { a: random.hash_one(0), b: random.hash_one(1) }
    }

    /// The hash of two words.
    #[inline]
    pub fn hash(self, a: u64, b: u64) -> u64 {
        let product = u128::from(a ^ self.a) * u128::from(b ^ self.b);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: numbers that differ only in their low, middle or upper bits spread over a table's places as random ones
    /// do: no place of 65,536 gets more than 16 of 65,536.
    #[test]
    fn numbers_of_every_kind_are_spread() {
        for shift in [0, 8, 24, 40, 47] {
            for is_first in [false, true] {
                let mix = Mix::new();
                let mut counts = vec![0; 1 << 16];
                for number in 0..1_u64 << 16 {
                    let number = number << shift;
                    let hash = if is_first { mix.hash(number, 0) } else { mix.hash(0, number) };
                    counts[hash as usize & 0xffff] += 1;
                }
                let most = counts.iter().max().unwrap();
                assert!(*most <= 16, "shifted by {shift}: {most}");
            }
        }
    }
}
