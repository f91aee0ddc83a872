//! Several measurements of one thing, and pairs of them.

use serde::Serialize;

/// The range of some measurements, and what lies in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The greatest.
    pub max: f64,
    /// Between these two lies the middle half.
    pub quartiles: [f64; 2],
}

impl Spread {
    /// The spread of `values`.
    ///
    /// # Panics
    /// When there are none, or one is not a number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(|a, b| a.partial_cmp(b).expect("measurements are numbers"));
        let (min, max) = (values[0], values[values.len() - 1]);
        let [lower, median, upper] = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
        Spread { min, median, max, quartiles: [lower, upper] }
    }

    /// The spread of `values[i] / against[i]`: both of a pair were measured one after the other, so what
    /// the machine did meanwhile is in both, and most of it cancels out. Pairs against 0 say nothing and are
    /// left out (the kernel counts some times in ticks, and a short measurement may see none); `None` when
    /// no pair remains.
    ///
    /// # Panics
    /// When there are not as many of the one as of the other.
    pub fn of_ratios(values: &[f64], against: &[f64]) -> Option<Spread> {
        assert_eq!(values.len(), against.len(), "measurements come in pairs");
        let pairs = values.iter().zip(against).filter(|(_, against)| **against > 0.0);
        let ratios: Vec<f64> = pairs.map(|(value, against)| value / against).collect();
        (!ratios.is_empty()).then(|| Spread::of(ratios))
    }
}

/// The value below which that share of `sorted` lies, between two of them in proportion (Hyndman and Fan's type 7,
/// 1996).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_the_mean_of_two_and_quartiles_lie_beside_it() {
        let of = |values: &[f64]| {
            let Spread { min, median, max, quartiles: [lower, upper] } = Spread::of(values.iter().copied());
            [min, lower, median, upper, max]
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), [1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), [1.0, 1.75, 2.5, 3.25, 4.0]);
        assert_eq!(of(&[7.0]), [7.0; 5]);
    }

    /// Expect: a machine that is half as fast in the second pair changes both of the pair and no ratio,
    /// where a ratio of medians would be another one.
    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let ratios = Spread::of_ratios(&[1.2, 2.4, 1.2], &[1.0, 2.0, 1.0]).unwrap();
        assert!((ratios.min - 1.2).abs() < 1e-12 && (ratios.max - 1.2).abs() < 1e-12);
    }

    #[test]
    fn pairs_against_nothing_are_left_out() {
        let ratio = Spread::of_ratios(&[0.0, 3.0, 2.0], &[0.0, 0.0, 1.0]).unwrap();
        assert_eq!((ratio.min, ratio.max), (2.0, 2.0));
        assert_eq!(Spread::of_ratios(&[0.0], &[0.0]), None);
    }
}
