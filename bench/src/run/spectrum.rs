//! A latency histogram as text: for a person (bars), and for plotters (HdrHistogram's percentile format).

use super::console::{grouped, time};
use crate::hdr::unit::Unit;
use hdrhistogram::Histogram;
use std::fmt::Write as _;
use std::io::{self, Write};

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

/// Writes a histogram of ns as HdrHistogram's percentile text, in µs, which its plotters read.
pub fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    const US: f64 = 1e3;
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut total = 0;
    for step in histogram.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / US, step.quantile_iterated_to());
        write!(out, "{value:>12.3} {quantile:>14.12} {total:>10}")?;
        match quantile < 1.0 {
            true => writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?,
            false => writeln!(out)?,
        }
    }
    let (mean, deviation) = (histogram.mean() / US, histogram.stdev() / US);
    writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
    let (max, count) = (histogram.max() as f64 / US, histogram.len());
    writeln!(out, "#[Max     = {max:>12.3}, Total count    = {count:>12}]")?;
    let buckets = histogram.buckets();
    let sub_buckets = (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two();
    writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]")?;
    writeln!(out, "{}", Unit::Us.comment())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::book::histogram;
    use crate::run::report::Percentiles;

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

    /// Expect: columns that plotters read, growing to the last value at 1.0, and the counts in the footer.
    #[test]
    fn the_percentile_text_has_its_columns() {
        let mut bytes = Vec::new();
        write_hgrm(&uniform(), &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
            .collect();
        assert!(
            rows.len() > 20 && rows.windows(2).all(|two| two[0][0] <= two[1][0] && two[0][1] <= two[1][1])
        );
        let last = rows.last().unwrap();
        assert!(is_near(last[0], 10_000.0) && last[1] == 1.0 && last[2] == 10_000.0, "{last:?}");
        assert!(text.contains("Total count    =        10000]"), "{text}");
    }

    #[test]
    fn bars_add_up() {
        let text = text(&uniform());
        assert!(text.contains("100.0000%") && text.lines().count() >= 10, "{text}");
    }
}
