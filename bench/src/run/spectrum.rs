//! A latency histogram as text: for a person (bars), and for plotters (HdrHistogram's percentile format).

use super::console::{grouped, time};
use hdrhistogram::Histogram;
use std::fmt::Write as _;

/// The widest bar.
const WIDTH: usize = 40;

/// Bars by powers of two: how many shakes were answered within which time.
pub fn text(histogram: &Histogram<u64>) -> String {
    let mut text = String::new();
    if histogram.is_empty() {
        return text;
    }
    let bounds: Vec<u64> = (3..=26).map(|power| 1_000u64 << power).collect();
    let mut rows = Vec::new();
    let mut below = 0;
    for &bound in &bounds {
        let upto = histogram.count_between(0, bound);
        rows.push((bound, upto - below, upto));
        below = upto;
    }
    let most = rows.iter().map(|(_, count, _)| *count).max().unwrap_or(1).max(1);
    let first = rows.iter().position(|(_, count, _)| *count > 0).unwrap_or(0);
    let last = rows.iter().rposition(|(_, count, _)| *count > 0).unwrap_or(0);
    for (bound, count, upto) in &rows[first..=last] {
        let bar = "█".repeat((*count as usize * WIDTH).div_ceil(most as usize));
        let percent = *upto as f64 * 100.0 / histogram.len() as f64;
        let _ = writeln!(
            text,
            "{:>9}  {:>12}  {percent:>8.4}%  {bar}",
            time(*bound as f64 / 1e3),
            grouped(*count)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::report::Percentiles;
    use redpkt::hdr::histogram;

    fn uniform() -> Histogram<u64> {
        let mut histogram = histogram();
        (1..=10_000).for_each(|us| histogram.record(us * 1_000).unwrap());
        histogram
    }

    fn is_near(value: f64, wanted: f64) -> bool {
        (value - wanted).abs() <= wanted * 0.001
    }

    /// Expect: three digits of each.
    #[test]
    fn percentiles_are_what_was_recorded() {
        let percentiles = Percentiles::of(&uniform());
        assert!(is_near(percentiles.p50, 5_000.0) && is_near(percentiles.p90, 9_000.0), "{percentiles:?}");
        assert!(is_near(percentiles.p99, 9_900.0) && is_near(percentiles.p999, 9_990.0), "{percentiles:?}");
        assert!(is_near(percentiles.max, 10_000.0), "{percentiles:?}");
        assert_eq!(Percentiles::of(&histogram()), Percentiles::default());
    }

    #[test]
    fn bars_add_up() {
        let text = text(&uniform());
        assert!(text.contains("100.0000%") && text.lines().count() >= 10, "{text}");
    }
}
