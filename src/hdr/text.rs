//! HdrHistogram's percentile text (`.hgrm`), read back into a histogram.
//!
//! A row says a value, a percentile, how many values are at or below that value, and 1/(1-percentile); the footer says
//! how many values there are. What a row counts beyond the row before is taken to be at the row's value. So the number
//! of values, and how many are at or below each printed value, are exact; where values are between two rows is not
//! known, and each is taken for as long as the row that ends it: percentiles, and the mean, may be too high by up to a
//! row, never too low. The greatest value is exact.

use super::MOST;
use super::unit::Unit;
use hdrhistogram::Histogram;
use std::io::{self, Write};

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// A row without its numbers, or with impossible ones.
    #[error("line {0} is no row of percentile text, or damaged")]
    Row(usize),
    /// Values or counts that go down.
    #[error("line {0} is out of order: values and counts can only grow")]
    Order(usize),
    /// More than can be counted.
    #[error("line {0} has more than 2^53 values, or a value above 2^53 ns")]
    TooMuch(usize),
    /// There is no footer.
    #[error("cut off: the line with \"Total count\" is missing")]
    Cut,
    /// Rows and footer differ.
    #[error("damaged: its rows count {rows} values, its last lines {footer}")]
    Total {
        /// By the last row.
        rows: u64,
        /// By the footer.
        footer: u64,
    },
}

/// Whether a first line is that of such a text.
pub fn is_heading(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("Value") && words.next() == Some("Percentile")
}

/// Reads a text whose values are in `unit` into a histogram of ns.
pub fn read(text: &str, unit: Unit) -> Result<Histogram<u64>, Bad> {
    let mut histogram = super::histogram();
    histogram.auto(true);
    let (mut last_ns, mut rows, mut footer) = (0, 0, None);
    for (nth, line) in text.lines().enumerate().skip(1) {
        let number = nth + 1;
        if line.starts_with('#') {
            footer = footer.or(total_count(line));
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let (ns, total) = row(line, unit).ok_or(Bad::Row(number))?;
        if ns < last_ns || total < rows {
            return Err(Bad::Order(number));
        }
        if ns > MOST || total > MOST {
            return Err(Bad::TooMuch(number));
        }
        if total > rows {
            histogram.record_n(ns, total - rows).map_err(|_| Bad::TooMuch(number))?;
        }
        (last_ns, rows) = (ns, total);
    }
    match footer.ok_or(Bad::Cut)? {
        footer if footer == rows => Ok(histogram),
        footer => Err(Bad::Total { rows, footer }),
    }
}

/// A row's value in ns, and how many values are at or below it.
fn row(line: &str, unit: Unit) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let value: f64 = fields.next()?.parse().ok()?;
    let percentile: f64 = fields.next()?.parse().ok()?;
    let total = fields.next()?.parse().ok()?;
    let possible = value.is_finite() && value >= 0.0 && (0.0..=1.0).contains(&percentile);
    // A number too great for u64 becomes the greatest, which the caller refuses.
    possible.then(|| ((value * unit.ns() as f64).round() as u64, total))
}

/// What the footer says: `#[Max     = 10000.000, Total count    = 10000]`.
fn total_count(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("Total count")?;
    rest.trim_start().strip_prefix('=')?.trim().strip_suffix(']')?.trim().parse().ok()
}

/// Writes a histogram of ns as HdrHistogram's percentile text, in µs, which its plotters read.
pub fn write(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
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
    use crate::hdr::histogram;
    use proptest::prelude::*;

    fn written(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        write(histogram, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn is_near(value: f64, wanted: f64) -> bool {
        (value - wanted).abs() <= wanted * 0.001
    }

    fn uniform() -> Histogram<u64> {
        let mut histogram = histogram();
        (1..=10_000).for_each(|us| histogram.record(us * 1_000).unwrap());
        histogram
    }

    /// Expect: an error wherever the text is cut off before its count.
    #[test]
    fn a_text_that_is_cut_off_is_noticed() {
        let text = written(&uniform());
        let whole = text.find("Total count").unwrap();
        for end in (0..whole).step_by(37) {
            assert!(read(&text[..end], Unit::Us).is_err(), "{end}");
        }
        let lines: Vec<&str> = text.lines().collect();
        let (rows, footer) = (&lines[..lines.len() - 12], &lines[lines.len() - 4..]);
        let without_rows = [rows, footer].concat().join("\n");
        assert!(matches!(read(&without_rows, Unit::Us), Err(Bad::Total { footer: 10_000, .. })));
    }

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let text = |rows: &str| format!("Value Percentile TotalCount\n{rows}\n#[Max = 1, Total count = 2]\n");
        let read = |rows: &str| read(&text(rows), Unit::Ns).map(|histogram| histogram.len());
        assert_eq!(read("1 0.5 1\n2 1.0 2"), Ok(2));
        assert_eq!(read("2 0.5 1\n1 1.0 2"), Err(Bad::Order(3)));
        assert_eq!(read("1 0.5 3\n2 1.0 2"), Err(Bad::Order(3)));
        assert_eq!(read("1 0.5"), Err(Bad::Row(2)));
        assert_eq!(read("-1 0.5 2"), Err(Bad::Row(2)));
        assert_eq!(read("NaN 0.5 2"), Err(Bad::Row(2)));
        assert_eq!(read("1e300 0.5 2"), Err(Bad::TooMuch(2)));
        assert_eq!(read("1 1.0 9"), Err(Bad::Total { rows: 9, footer: 2 }));
    }

    proptest! {
        /// Expect: the count and the greatest value exactly; how many are at or below each printed value exactly; no
        /// percentile below the true one, and none above the row that ends it.
        #[test]
        fn a_text_comes_back(values in prop::collection::vec(0..60_000_000_000_u64, 1..300)) {
            let mut histogram = histogram();
            values.iter().for_each(|value| histogram.record(*value).unwrap());
            let back = read(&written(&histogram), Unit::Us).unwrap();
            prop_assert_eq!((back.len(), back.max()), (histogram.len(), histogram.max()));
            for step in histogram.iter_quantiles(5) {
                let value = step.value_iterated_to();
                prop_assert_eq!(back.count_between(0, value), histogram.count_between(0, value));
            }
            for quantile in [0.5, 0.75, 0.9, 0.99, 0.999] {
                prop_assert!(back.value_at_quantile(quantile) >= histogram.value_at_quantile(quantile));
            }
            prop_assert!(back.mean() >= histogram.mean() * 0.999);
        }
    }

    /// Expect: columns that plotters read, growing to the last value at 1.0, and the counts in the footer.
    #[test]
    fn the_percentile_text_has_its_columns() {
        let mut bytes = Vec::new();
        write(&uniform(), &mut bytes).unwrap();
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
}
