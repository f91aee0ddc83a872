//! What the split rule can give.

use std::ops::RangeInclusive;

/// The amounts that a share can have which is taken at this turn, in fen.
///
/// `left_fen` is what is in the packet and `left_shares` how many shares it is for, at least 1. With more
/// than one share left the rule draws k = q + 1 with probability r/n, else q, where q and r are quotient and
/// remainder of (2 × fen left − shares left) ÷ shares left, and then any of 1..=k: so k is the most, and q + 1
/// only where r is not 0. The last share takes the rest. Empty if the packet holds less than 1 fen for each.
pub fn random(left_fen: u64, left_shares: u64) -> RangeInclusive<u64> {
    if left_shares == 1 {
        return left_fen..=left_fen;
    }
    let (left, shares) = (u128::from(left_fen), u128::from(left_shares));
    if left < shares {
        return RangeInclusive::new(1, 0);
    }
    let over = 2 * left - shares;
    let most = over / shares + u128::from(!over.is_multiple_of(shares));
    1..=u64::try_from(most).unwrap_or(u64::MAX)
}

/// What an equal share is that is taken after `opened` others, in fen: the first ones are 1 fen more where the
/// total does not divide.
pub fn equal(total_fen: u64, shares: u64, opened: u64) -> u64 {
    total_fen / shares + u64::from(opened < total_fen % shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: whatever was taken, at least 1 fen stays for each of the rest, and no more could be allowed
    /// without breaking the mean.
    #[test]
    fn the_most_leaves_a_fen_for_each_of_the_rest() {
        for shares in 2..=40 {
            for left in shares..=400 {
                let most = *random(left, shares).end();
                assert!(most >= 1 && most <= left - (shares - 1), "{left} fen, {shares} shares: {most}");
                assert!((most + 1) * shares >= 2 * left && (most - 1) * shares < 2 * left - shares + shares);
            }
        }
        assert_eq!((random(10, 3), random(10, 1), random(2, 2)), (1..=6, 10..=10, 1..=1));
        assert!(random(2, 3).is_empty());
    }

    #[test]
    fn equal_shares_sum_to_the_total() {
        for (total, shares) in [(10, 3), (500, 500), (499_999, 500), (7, 1)] {
            assert_eq!((0..shares).map(|opened| equal(total, shares, opened)).sum::<u64>(), total);
            assert!(equal(total, shares, 0) - equal(total, shares, shares - 1) <= 1);
        }
    }
}
