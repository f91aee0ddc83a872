//! How a packet is cut into shares: each share's amount is decided when it is opened.

use rand::{Rng, RngExt as _};

/// Fen of the next share of a packet that has `left_fen` in `shares` shares left, each of 1 fen at least.
///
/// Let q, r = divmod(2 × left − n, n), and k = q + 1 with probability r / n, else q. The share is uniform in
/// 1..=k, and the last one takes the rest. So its mean is (E\[k\] + 1) / 2 = left / n exactly, whoever comes
/// first; and k is at most left − (n − 1), so that 1 fen at least remains for each of the others.
///
/// `left_fen` is at most 2⁶², and at least `shares`, which is at least 1.
pub fn random_share_fen(left_fen: u64, shares: u64, rng: &mut impl Rng) -> u64 {
    debug_assert!((1..=left_fen).contains(&shares));
    if shares == 1 {
        return left_fen;
    }
    let twice = 2 * left_fen - shares;
    let (quotient, remainder) = (twice / shares, twice % shares);
    let most = quotient + u64::from(rng.random_range(0..shares) < remainder);
    rng.random_range(1..=most)
}

/// Fen of share `turn`, counted from 0, of a packet of `total_fen` in `shares` equal ones: the first
/// `total_fen` mod `shares` of them get the fen that cannot be divided.
pub fn equal_share_fen(total_fen: u64, shares: u64, turn: u64) -> u64 {
    total_fen / shares + u64::from(turn < total_fen % shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use redpkt_proto::Rng;

    proptest! {
        /// Expect: shares of at least 1 fen that add up to the total, however it is cut.
        #[test]
        fn no_fen_is_lost_or_made(shares in 1u64..=500, more in 0u64..1 << 40, seed: u64) {
            let total = shares + more;
            let mut rng = Rng::seed_from_u64(seed);
            let mut left = total;
            for turn in 0..shares {
                let fen = random_share_fen(left, shares - turn, &mut rng);
                prop_assert!(fen >= 1 && left - fen >= shares - turn - 1);
                left -= fen;
            }
            prop_assert_eq!(left, 0);
            prop_assert_eq!((0..shares).map(|turn| equal_share_fen(total, shares, turn)).sum::<u64>(), total);
        }
    }

    /// Expect: at every position the mean is total / shares. Of 200,000 draws it lies within 4.5 standard errors
    /// (1 in 150,000 for a right one), also where a careless cut is known to favour the first or the last.
    #[test]
    fn every_position_gets_the_same_on_average() {
        const ROUNDS: u32 = 200_000;
        for (total, shares) in [(4u64, 3u64), (15, 10), (100, 3), (1_000, 7), (10, 10), (20_000, 2)] {
            let mut rng = Rng::seed_from_u64(total);
            let mut sums = vec![(0f64, 0f64); shares as usize];
            for _ in 0..ROUNDS {
                let mut left = total;
                for (turn, (sum, squares)) in sums.iter_mut().enumerate() {
                    let fen = random_share_fen(left, shares - turn as u64, &mut rng);
                    left -= fen;
                    *sum += fen as f64;
                    *squares += (fen * fen) as f64;
                }
            }
            let (rounds, fair) = (f64::from(ROUNDS), total as f64 / shares as f64);
            for (turn, (sum, squares)) in sums.iter().enumerate() {
                let mean = sum / rounds;
                let error = ((squares / rounds - mean * mean).max(0.0) / rounds).sqrt();
                assert!((mean - fair).abs() <= 4.5 * error + 1e-9, "{total}/{shares} at {turn}: {mean}");
            }
        }
    }

    /// Expect: of 10 fen in 3 shares the first is uniform in 1..=6 two times of three and in 1..=5 else: a
    /// chi-square over 5 degrees of freedom stays below 30.9 (1 in 100,000).
    #[test]
    fn the_first_share_has_the_distribution_that_is_written() {
        const ROUNDS: u32 = 300_000;
        let mut rng = Rng::seed_from_u64(5);
        let mut counts = [0u32; 6];
        (0..ROUNDS).for_each(|_| counts[random_share_fen(10, 3, &mut rng) as usize - 1] += 1);
        // 2 × 10 − 3 = 17 = 5 × 3 + 2: k is 6 with probability 2/3, else 5.
        let expected =
            |fen: usize| f64::from(ROUNDS) * if fen == 6 { 1.0 / 9.0 } else { 1.0 / 9.0 + 1.0 / 15.0 };
        let chi_square: f64 =
            (1..=6).map(|fen| (f64::from(counts[fen - 1]) - expected(fen)).powi(2) / expected(fen)).sum();
        assert!(chi_square < 30.9, "{chi_square} {counts:?}");
    }
}
