//! What is said of a histogram, as a table and as JSON.

use super::source::{Format, Source};
use crate::run::grouped;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt::Write as _;

/// Latencies in µs, or the ratios of two runs' latencies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latencies<T> {
    pub p50: T,
    pub p75: T,
    pub p90: T,
    pub p99: T,
    pub p999: T,
    pub p9999: T,
    pub max: T,
    pub mean: T,
}

/// A histogram's figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Values.
    pub count: u64,
    pub latency_us: Latencies<f64>,
}

/// One file's.
#[derive(Clone, Debug, Serialize)]
pub struct FileFigures {
    pub file: String,
    pub format: Format,
    /// Whether every count is known; else percentiles and mean may be a row of the text too high.
    pub exact: bool,
    /// Intervals that were added up.
    pub intervals: u64,
    #[serde(flatten)]
    pub figures: Figures,
}

/// The second file's figures, each divided by the first's; `None` where that is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub count: Option<f64>,
    pub latency_us: Latencies<Option<f64>>,
}

/// What `hist --json` writes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub files: Vec<FileFigures>,
    /// All files together, with `--merge`.
    pub merged: Option<Figures>,
    /// Of two files that are not merged.
    pub ratio: Option<Ratio>,
}

impl Figures {
    /// Of a histogram of ns.
    pub fn of(histogram: &Histogram<u64>) -> Figures {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        let latency_us = Latencies {
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1e3,
            mean: histogram.mean() / 1e3,
        };
        Figures { count: histogram.len(), latency_us }
    }
}

impl<T: Copy> Latencies<T> {
    fn named(&self) -> [(&'static str, T); 8] {
        [
            ("p50", self.p50),
            ("p75", self.p75),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p999),
            ("p99.99", self.p9999),
            ("max", self.max),
            ("mean", self.mean),
        ]
    }
}

impl Ratio {
    fn of(first: &Figures, second: &Figures) -> Ratio {
        let ratio = |second: f64, first: f64| (first > 0.0).then(|| second / first);
        let (to, by) = (&second.latency_us, &first.latency_us);
        Ratio {
            count: ratio(second.count as f64, first.count as f64),
            latency_us: Latencies {
                p50: ratio(to.p50, by.p50),
                p75: ratio(to.p75, by.p75),
                p90: ratio(to.p90, by.p90),
                p99: ratio(to.p99, by.p99),
                p999: ratio(to.p999, by.p999),
                p9999: ratio(to.p9999, by.p9999),
                max: ratio(to.max, by.max),
                mean: ratio(to.mean, by.mean),
            },
        }
    }
}

impl Report {
    /// Of files, and of all of them together where that is wished.
    pub fn new(sources: &[Source], merged: Option<&Histogram<u64>>) -> Report {
        let of_file = |source: &Source| FileFigures {
            file: source.name.clone(),
            format: source.format,
            exact: source.is_exact(),
            intervals: source.intervals,
            figures: Figures::of(&source.histogram),
        };
        let files: Vec<FileFigures> = sources.iter().map(of_file).collect();
        let merged = merged.map(Figures::of);
        let ratio = match (&files[..], &merged) {
            ([first, second], None) => Some(Ratio::of(&first.figures, &second.figures)),
            _ => None,
        };
        Report { files, merged, ratio }
    }

    /// The table, with a column for each file, or one for all.
    pub fn text(&self) -> String {
        let mut columns: Vec<Vec<String>> = match &self.merged {
            Some(merged) => vec![column(&format!("{} merged", self.files.len()), merged)],
            None => self.files.iter().map(|file| column(&file.file, &file.figures)).collect(),
        };
        columns.extend(self.ratio.as_ref().map(ratio_column));
        let names = Figures::names();
        let widths: Vec<usize> = columns
            .iter()
            .map(|column| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for (row, name) in names.iter().enumerate() {
            let _ = write!(text, "{name:<6}");
            for (column, &width) in columns.iter().zip(&widths) {
                let _ = write!(text, "  {:>width$}", column[row]);
            }
            text.push('\n');
        }
        self.notes(&mut text);
        text
    }

    fn notes(&self, text: &mut String) {
        if let ([first, second], Some(_)) = (&self.files[..], &self.ratio) {
            let _ = writeln!(text, "ratio: {} / {}", second.file, first.file);
        }
        for file in self.files.iter().filter(|file| !file.exact) {
            let _ = writeln!(
                text,
                "{}: percentile text; percentiles and mean may be up to one of its rows too high",
                file.file
            );
        }
    }
}

impl Figures {
    /// What the rows are called; the unit is above them.
    fn names() -> [&'static str; 10] {
        ["µs", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max", "mean", "count"]
    }
}

fn column(title: &str, figures: &Figures) -> Vec<String> {
    let latencies = figures.latency_us.named().map(|(_, us)| format!("{us:.2}"));
    [title.to_owned()].into_iter().chain(latencies).chain([grouped(figures.count)]).collect()
}

fn ratio_column(ratio: &Ratio) -> Vec<String> {
    let said = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    let latencies = ratio.latency_us.named().map(|(_, ratio)| said(ratio));
    ["ratio".to_owned()].into_iter().chain(latencies).chain([said(ratio.count)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, format: Format, values_us: impl Iterator<Item = u64>) -> Source {
        let mut histogram = redpkt::hdr::histogram();
        values_us.for_each(|us| histogram.record(us * 1_000).unwrap());
        Source { name: name.into(), format, intervals: 1, histogram }
    }

    fn rows(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().collect()).collect()
    }

    /// Expect: the figures of 1 to 10,000 µs, to a thousandth.
    #[test]
    fn a_known_histogram_has_its_table() {
        let sources = [source("a.hlog", Format::IntervalLog, 1..=10_000)];
        let text = Report::new(&sources, None).text();
        let rows = rows(&text);
        assert_eq!(rows[0], ["µs", "a.hlog"]);
        let wanted = [
            ("p50", 5_000.0),
            ("p75", 7_500.0),
            ("p90", 9_000.0),
            ("p99", 9_900.0),
            ("p99.9", 9_990.0),
            ("p99.99", 9_999.0),
            ("max", 10_000.0),
            ("mean", 5_000.5),
        ];
        for (row, (name, us)) in rows[1..].iter().zip(wanted) {
            let found: f64 = row[1].parse().unwrap();
            assert!(row[0] == name && (found / us - 1.0).abs() < 0.001, "{row:?}");
        }
        assert_eq!(rows[9..], [["count", "10,000"]]);
    }

    /// Expect: second by first, for two files alone; the merged column alone where they are merged.
    #[test]
    fn two_files_have_a_ratio() {
        let slow = source("slow", Format::IntervalLog, 1..=10_000);
        let fast = source("fast", Format::PercentileText, (1..=10_000).map(|us| us / 2));
        let both = [slow.clone(), fast.clone()];
        let report = Report::new(&both, None);
        let text = report.text();
        let rows = rows(&text);
        assert_eq!(rows[0], ["µs", "slow", "fast", "ratio"]);
        for row in &rows[1..9] {
            let ratio: f64 = row[3].parse().unwrap();
            assert!((ratio - 0.5).abs() < 0.002, "{row:?}");
        }
        assert_eq!(rows[9], ["count", "10,000", "10,000", "1.000"]);
        assert!(text.contains("ratio: fast / slow\nfast: percentile text"), "{text}");
        let all = super::super::source::merged(&both).unwrap();
        let merged = Report::new(&both, Some(&all));
        assert!(merged.ratio.is_none());
        assert_eq!(merged.merged.unwrap().count, 20_000);
        assert!(merged.text().starts_with("µs      2 merged\n"), "{}", merged.text());
        assert!(Report::new(&[slow.clone(), fast, slow], None).ratio.is_none());
    }

    /// Expect: no ratio to nothing.
    #[test]
    fn a_ratio_to_zero_is_none() {
        let latency_us =
            Latencies { p50: 0.0, p75: 1.0, p90: 1.0, p99: 1.0, p999: 1.0, p9999: 1.0, max: 1.0, mean: 1.0 };
        let figures = Figures { count: 1, latency_us };
        let ratio = Ratio::of(&figures, &figures);
        assert_eq!((ratio.latency_us.p50, ratio.latency_us.p75), (None, Some(1.0)));
    }

    /// Expect: names that scripts can rely on.
    #[test]
    fn the_json_has_its_names() {
        let sources = [source("a", Format::IntervalLog, 1..=10), source("b", Format::IntervalLog, 1..=10)];
        let json = serde_json::to_value(Report::new(&sources, None)).unwrap();
        assert_eq!(json["files"][1]["file"], "b");
        assert_eq!(json["files"][0]["format"], "interval_log");
        assert_eq!(json["files"][0]["count"], 10);
        assert!(json["files"][0]["latency_us"]["p9999"].is_f64());
        assert_eq!(json["ratio"]["latency_us"]["p50"], 1.0);
        assert!(json["merged"].is_null());
    }
}
