//! A latency histogram as text: a bar for each half octave.

use hdrhistogram::Histogram;

/// Bars to an octave.
const BARS_PER_OCTAVE: f64 = 2.0;

/// Characters of the longest bar.
const WIDTH: usize = 48;

/// Eighths of a character, from none to all.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// One bar: values up to `up_to_ns` and above those of the bar before.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    up_to_ns: u64,
    count: u64,
    /// Share of all values up to here.
    cumulative: f64,
}

/// The lines of a histogram of ns, from its smallest value to its greatest; none if it is empty.
pub fn lines(histogram: &Histogram<u64>) -> Vec<String> {
    let bars = bars(histogram);
    let longest = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let line = |bar: &Bar| {
        let drawn = draw(bar.count as f64 / longest as f64);
        let pad = " ".repeat(WIDTH.saturating_sub(drawn.chars().count()));
        let up_to = time(bar.up_to_ns);
        format!("  ≤ {up_to:>8}  {drawn}{pad} {:>11}  {:>8.3}%", bar.count, bar.cumulative * 100.0)
    };
    bars.iter().map(line).collect()
}

fn bars(histogram: &Histogram<u64>) -> Vec<Bar> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let all = histogram.len() as f64;
    let octave = |ns: u64| ((ns.max(1) as f64 / 1e3).log2() * BARS_PER_OCTAVE).ceil() as i32;
    let (first, last) = (octave(histogram.min()), octave(histogram.max()));
    let mut below = 0;
    let bar = |step: i32| {
        let up_to_ns = (1e3 * (f64::from(step) / BARS_PER_OCTAVE).exp2()) as u64;
        let so_far = match step == last {
            true => histogram.len(),
            false => histogram.count_between(0, up_to_ns).min(histogram.len()),
        };
        let bar = Bar { up_to_ns, count: so_far - below, cumulative: so_far as f64 / all };
        below = so_far;
        bar
    };
    (first..=last).map(bar).collect()
}

/// A bar of that share of the width. Whatever is there is seen.
fn draw(share: f64) -> String {
    let eighths = (share * WIDTH as f64 * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    let mut bar = EIGHTHS[8].to_string().repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

/// A time with its unit, to three digits.
pub fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        histogram
    }

    /// Expect: every value is in one bar, whatever its place in the histogram's own buckets.
    #[test]
    fn bars_hold_every_value_once() {
        let values: Vec<u64> = (1..5_000).map(|i| i * i * 17 + 900).collect();
        let bars = bars(&histogram(&values));
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), values.len() as u64);
        assert_eq!(bars.last().unwrap().cumulative, 1.0);
        assert!(bars.windows(2).all(|two| two[0].up_to_ns < two[1].up_to_ns));
        assert!(bars[0].count > 0 && bars.last().unwrap().count > 0);
    }

    #[test]
    fn the_longest_bar_fills_the_width_and_the_smallest_is_seen() {
        assert_eq!(draw(1.0).chars().count(), WIDTH);
        assert_eq!(draw(1e-9), "▏");
        assert_eq!(draw(0.0), "");
        assert_eq!(draw(1.5 / WIDTH as f64), "█▌");
    }

    #[test]
    fn every_line_fits_a_terminal() {
        let lines = lines(&histogram(&[1, 40_000, 40_100, 900_000_000]));
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{lines:#?}");
        assert!(super::lines(&histogram(&[])).is_empty());
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        assert_eq!(time(1_414), "1.41 µs");
        assert_eq!(time(45_255), "45.3 µs");
        assert_eq!(time(181_019_000), "181 ms");
        assert_eq!(time(2_000_000_000), "2.00 s");
    }
}
