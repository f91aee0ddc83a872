//! Whose datagrams are captured.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// One of so many users, chosen by their ids, so that what is captured of a session is all of it, and the same users
/// are captured after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    one_in: NonZeroU32,
}

impl Sample {
    /// Everybody.
    pub const ALL: Sample = Sample { one_in: NonZeroU32::MIN };

    /// Whether the datagrams of this user are captured. A datagram names its user by its first 8 bytes; a shorter one
    /// is user 0's.
    #[inline]
    pub fn holds(self, datagram: &[u8]) -> bool {
        let user = datagram.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // The finisher of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014):
        // ids are often consecutive, and SETs are chosen by another hash of them.
        let mut hash = user;
        hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        hash % u64::from(self.one_in.get()) == 0
    }
}

impl Default for Sample {
    fn default() -> Sample {
        Sample::ALL
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.one_in)
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Sample, String> {
        let one_in = text.strip_prefix("1/").and_then(|of| of.parse().ok());
        one_in.map(|one_in| Sample { one_in }).ok_or_else(|| {
            format!("{text:?} is no share of the users; write it as 1/N, such as 1/1 for all or 1/1000")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: consecutive users are taken evenly, and a user always or never.
    #[test]
    fn one_in_so_many_users_is_taken() {
        let sample: Sample = "1/100".parse().unwrap();
        let taken = |user: u64| sample.holds(&[user.to_le_bytes(), [9; 8]].concat());
        let count = (1..=100_000).filter(|user| taken(*user)).count();
        assert!((850..1_150).contains(&count), "{count} of 100,000");
        assert!((1..=1_000).all(|user: u64| taken(user) == sample.holds(&user.to_le_bytes())));
        assert!((1..=1_000u64).all(|user| Sample::ALL.holds(&user.to_le_bytes())) && Sample::ALL.holds(&[1]));
    }

    #[test]
    fn only_one_in_so_many_can_be_asked_for() {
        assert_eq!("1/4294967295".parse::<Sample>().unwrap().to_string(), "1/4294967295");
        for text in ["", "1", "1/0", "2/3", "1/-1", "1/x", "1/4294967296", "0.1"] {
            assert!(text.parse::<Sample>().unwrap_err().contains("1/1000"), "{text}");
        }
    }
}
