//! A file with a histogram, in whichever of the formats it is.

use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::hdr::unit::Unit;
use redpkt::hdr::{MOST, log, text};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes: a day of seconds, some KB each.
const BYTES_MAX: u64 = 1 << 30;

/// What a run's directory has, the better one first.
const IN_RUN_DIR: [&str; 2] = ["latency.hlog", "latency.hgrm"];

/// How a file keeps its histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Every count.
    IntervalLog,
    /// Counts at some percentiles.
    PercentileText,
}

/// What is read of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The intervals with this tag; `None` for all.
    pub tag: Option<&'a str>,
    /// The unit of files that do not say theirs.
    pub unit: Option<Unit>,
}

/// A file's histogram.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, as it was named, fit to be printed.
    pub name: String,
    pub format: Format,
    /// Intervals that were added up; 1 of a percentile text.
    pub intervals: u64,
    /// In ns.
    pub histogram: Histogram<u64>,
}

/// Why a file has no histogram for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the file is empty")]
    Empty,
    #[error("is neither an interval log nor percentile text of HdrHistogram")]
    Unknown,
    #[error(
        "is JSON: a report has percentiles, which cannot be merged, and no histogram; name what `run --hlog` wrote"
    )]
    Json,
    #[error("line {line} {bad}")]
    Log { line: usize, bad: log::Bad },
    #[error("{0}")]
    Text(#[from] text::Bad),
    #[error("no interval has the tag {wanted}; there are: {present}")]
    Tag { wanted: String, present: String },
    #[error("--tag {0}: percentile text has no tags")]
    TextTag(String),
    #[error("--unit {asked}: the file says that its values are in {said}")]
    Unit { asked: Unit, said: Unit },
    #[error("its values are too great for {0}: at most 2^53 ns (104 days), and 2^53 of them")]
    TooMuch(Unit),
    #[error("it holds no values")]
    NoValues,
}

impl Source {
    /// Reads a file, or of a run's directory its latencies.
    pub fn read(path: &Path, wanted: Wanted<'_>) -> Result<Source, Failure> {
        let path = within(path);
        let name = printable(&path);
        let bytes = bytes(&path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::machine(format!("{name}: {error}")),
            _ => Failure::usage(format!("{name}: {error}")),
        })?;
        Source::parse(name, &bytes, wanted).map_err(|(name, why)| Failure::usage(format!("{name}: {why}")))
    }

    /// Reads what a file holds.
    pub fn parse(name: String, bytes: &[u8], wanted: Wanted<'_>) -> Result<Source, (String, Unreadable)> {
        match parse(bytes, wanted) {
            Ok((format, intervals, histogram)) => Ok(Source { name, format, intervals, histogram }),
            Err(why) => Err((name, why)),
        }
    }

    /// Whether it has every count. Else percentiles may be a row too high.
    pub fn is_exact(&self) -> bool {
        self.format == Format::IntervalLog
    }
}

/// All values together; `None` without sources.
pub fn merged(sources: &[Source]) -> Option<Histogram<u64>> {
    let (first, others) = sources.split_first()?;
    let mut all = first.histogram.clone();
    all.auto(true);
    others.iter().for_each(|source| add(&mut all, &source.histogram));
    Some(all)
}

/// Adds values. Buckets of the same places, as all of ours have, are added exactly; of others, each goes to where its
/// middle is.
fn add(all: &mut Histogram<u64>, more: &Histogram<u64>) {
    const FITS: &str = "it resizes itself, and no value is above 2^53";
    if (all.low(), all.sigfig()) == (more.low(), more.sigfig()) {
        all.add(more).expect(FITS);
        return;
    }
    for step in more.iter_recorded() {
        let value = more.median_equivalent(step.value_iterated_to());
        all.record_n(value, step.count_at_value()).expect(FITS);
    }
}

fn within(path: &Path) -> PathBuf {
    let inside = || IN_RUN_DIR.iter().map(|name| path.join(name)).find(|file| file.is_file());
    path.is_dir().then(inside).flatten().unwrap_or_else(|| path.to_owned())
}

/// A path without what would disturb a terminal or a picture.
fn printable(path: &Path) -> String {
    path.to_string_lossy().chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 GiB is not read")),
        false => Ok(bytes),
    }
}

fn parse(bytes: &[u8], wanted: Wanted<'_>) -> Result<(Format, u64, Histogram<u64>), Unreadable> {
    let begin = bytes.trim_ascii_start();
    let first = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (format, intervals, histogram) = if begin.is_empty() {
        return Err(Unreadable::Empty);
    } else if begin.starts_with(b"{") {
        return Err(Unreadable::Json);
    } else if str::from_utf8(first).is_ok_and(text::is_heading) {
        let text = str::from_utf8(begin).map_err(|_| Unreadable::Unknown)?;
        (Format::PercentileText, 1, of_text(text, wanted)?)
    } else {
        let (intervals, histogram) = of_log(bytes, wanted)?;
        (Format::IntervalLog, intervals, histogram)
    };
    if histogram.is_empty() {
        return Err(Unreadable::NoValues);
    }
    Ok((format, intervals, histogram))
}

fn of_text(text: &str, wanted: Wanted<'_>) -> Result<Histogram<u64>, Unreadable> {
    if let Some(tag) = wanted.tag {
        return Err(Unreadable::TextTag(tag.to_owned()));
    }
    let unit = unit(text.lines().find_map(Unit::said_by), wanted, Unit::Us)?;
    Ok(text::read(text, unit)?)
}

fn of_log(bytes: &[u8], wanted: Wanted<'_>) -> Result<(u64, Histogram<u64>), Unreadable> {
    let (mut said, mut tags, mut intervals) = (None, BTreeSet::new(), 0);
    let mut all: Option<Histogram<u64>> = None;
    let mut is_log = false;
    for (nth, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let bad = |bad| Unreadable::Log { line: nth + 1, bad };
        let whole;
        let line = match line.ends_with(b"\n") {
            true => line,
            // The end of a file need not be that of a line.
            false => {
                whole = [line, b"\n"].concat();
                whole.as_slice()
            }
        };
        said = said.or_else(|| str::from_utf8(line).ok().and_then(Unit::said_by));
        let interval = match log::interval(line) {
            // Whatever else the file is, it is no log with one bad line.
            Err(_) if !is_log => return Err(Unreadable::Unknown),
            interval => interval.map_err(bad)?,
        };
        is_log = is_log || line.starts_with(b"#[") || line.starts_with(b"\"StartTimestamp\"");
        let Some(interval) = interval else { continue };
        is_log = true;
        tags.insert(interval.tag.unwrap_or("").to_owned());
        if wanted.tag.is_some() && wanted.tag != interval.tag {
            continue;
        }
        let histogram = interval.decode().map_err(bad)?;
        intervals += 1;
        match &mut all {
            None => {
                let all = all.insert(histogram);
                all.auto(true);
            }
            Some(all) => add(all, &histogram),
        }
        if all.as_ref().is_some_and(|all| all.len() > MOST) {
            return Err(bad(log::Bad::TooMuch));
        }
    }
    let unit = unit(said, wanted, Unit::Ns)?;
    match (all, wanted.tag) {
        (Some(all), _) => Ok((intervals, in_ns(all, unit)?)),
        (None, Some(tag)) if !tags.is_empty() => {
            let name = |tag: &String| if tag.is_empty() { "none".to_owned() } else { tag.clone() };
            let present = tags.iter().map(name).collect::<Vec<_>>().join(", ");
            Err(Unreadable::Tag { wanted: tag.to_owned(), present })
        }
        (None, _) if is_log => Err(Unreadable::NoValues),
        (None, _) => Err(Unreadable::Unknown),
    }
}

/// The unit of a file: what it says, else what the user says, else what is usual.
fn unit(said: Option<Unit>, wanted: Wanted<'_>, usual: Unit) -> Result<Unit, Unreadable> {
    match (said, wanted.unit) {
        (Some(said), Some(asked)) if said != asked => Err(Unreadable::Unit { asked, said }),
        (said, asked) => Ok(said.or(asked).unwrap_or(usual)),
    }
}

fn in_ns(histogram: Histogram<u64>, unit: Unit) -> Result<Histogram<u64>, Unreadable> {
    if unit == Unit::Ns {
        return Ok(histogram);
    }
    if histogram.max().saturating_mul(unit.ns()) > MOST {
        return Err(Unreadable::TooMuch(unit));
    }
    let too_much = || Unreadable::TooMuch(unit);
    let mut scaled = Histogram::new(histogram.sigfig()).map_err(|_| too_much())?;
    for step in histogram.iter_recorded() {
        let value = histogram.median_equivalent(step.value_iterated_to());
        scaled.record_n(value.saturating_mul(unit.ns()), step.count_at_value()).map_err(|_| too_much())?;
    }
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redpkt::hdr::log::Log;
    use redpkt::hdr::{histogram, text::write as write_hgrm};
    use std::time::{Duration, SystemTime};

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = histogram();
        values.iter().for_each(|value| histogram.saturating_record(*value));
        histogram
    }

    fn log(seconds: &[&[u64]]) -> Vec<u8> {
        let mut log = Log::new(SystemTime::now(), "a test");
        for (nth, values) in seconds.iter().enumerate() {
            log.add(None, Duration::from_secs(nth as u64), Duration::from_secs(1), &of(values));
        }
        let mut bytes = Vec::new();
        log.write(&mut bytes).unwrap();
        bytes
    }

    fn source(bytes: &[u8], wanted: Wanted<'_>) -> Result<Source, Unreadable> {
        Source::parse("x".into(), bytes, wanted).map_err(|(_, why)| why)
    }

    fn read(bytes: &[u8]) -> Result<Source, Unreadable> {
        source(bytes, Wanted::default())
    }

    fn counts(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
        histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// Expect: what is wrong, and nothing read of it.
    #[test]
    fn what_is_no_histogram_is_said_to_be_none() {
        let why = |bytes: &[u8]| read(bytes).err().unwrap();
        assert_eq!(why(b""), Unreadable::Empty);
        assert_eq!(why(b"\n \n"), Unreadable::Empty);
        assert_eq!(why(b"{\"latency_us\": {}}"), Unreadable::Json);
        assert_eq!(why(b"hello\n"), Unreadable::Unknown);
        assert_eq!(why(b"\x7fELF\0\0\n\n"), Unreadable::Unknown);
        assert_eq!(why(&log(&[])), Unreadable::NoValues);
        assert_eq!(why(&log(&[&[], &[]])), Unreadable::NoValues);
        let mut empty = Vec::new();
        write_hgrm(&histogram(), &mut empty).unwrap();
        assert_eq!(why(&empty), Unreadable::NoValues);
        let whole = log(&[&[1_000], &[2_000]]);
        let cut = why(&whole[..whole.len() - 9]);
        assert_eq!(cut, Unreadable::Log { line: 7, bad: log::Bad::Histogram });
        assert!(cut.to_string().starts_with("line 7 its histogram is cut off"), "{cut}");
    }

    /// Expect: a file that is not there is the user's mistake, and its name is in the line.
    #[test]
    fn a_missing_file_is_named() {
        let failure = Source::read(Path::new("no/such.hlog"), Wanted::default()).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().starts_with("no/such.hlog: "), "{failure}");
    }

    /// Expect: of a run's directory the log, which is exact, before the text.
    #[test]
    fn a_run_directory_stands_for_its_latencies() {
        let dir = tempfile::tempdir().unwrap();
        let mut text = Vec::new();
        write_hgrm(&of(&[5_000]), &mut text).unwrap();
        std::fs::write(dir.path().join("latency.hgrm"), text).unwrap();
        let format = || Source::read(dir.path(), Wanted::default()).unwrap().format;
        assert_eq!(format(), Format::PercentileText);
        std::fs::write(dir.path().join("latency.hlog"), log(&[&[5_000]])).unwrap();
        assert_eq!(format(), Format::IntervalLog);
    }

    #[test]
    fn intervals_are_chosen_by_their_tag() {
        let bytes = String::from_utf8(log(&[&[1_000], &[2_000, 3_000]])).unwrap();
        let bytes = bytes.replace("\n1.000,1.000", "\nTag=second,1.000,1.000").into_bytes();
        let count = |tag| {
            source(&bytes, Wanted { tag, unit: None })
                .map(|source| (source.intervals, source.histogram.len()))
        };
        assert_eq!(count(None), Ok((2, 3)));
        assert_eq!(count(Some("second")), Ok((1, 2)));
        let why = count(Some("third")).unwrap_err();
        assert_eq!(why.to_string(), "no interval has the tag third; there are: none, second");
    }

    /// Expect: a file's own word on its unit holds; others are in the unit that is asked for, or in the usual one.
    #[test]
    fn values_are_in_the_unit_that_is_said() {
        let ours = log(&[&[1_000_000]]);
        let foreign = String::from_utf8(ours.clone()).unwrap().replace("#[Unit: ns]\n", "").into_bytes();
        let max_us = |bytes: &[u8], unit| {
            source(bytes, Wanted { tag: None, unit }).map(|source| source.histogram.max() / 1_000)
        };
        let is_near = |found: Result<u64, _>, wanted: u64| found.unwrap().abs_diff(wanted) <= wanted / 500;
        assert!(is_near(max_us(&ours, None), 1_000) && is_near(max_us(&ours, Some(Unit::Ns)), 1_000));
        let mismatch = Unreadable::Unit { asked: Unit::Us, said: Unit::Ns };
        assert_eq!(max_us(&ours, Some(Unit::Us)), Err(mismatch));
        assert!(is_near(max_us(&foreign, None), 1_000));
        assert!(is_near(max_us(&foreign, Some(Unit::Us)), 1_000_000));
        // A million seconds are less than 104 days, ten million are not.
        assert!(is_near(max_us(&foreign, Some(Unit::S)), 1_000_000_000_000));
        let longer = log(&[&[10_000_000]]);
        let longer = String::from_utf8(longer).unwrap().replace("#[Unit: ns]\n", "").into_bytes();
        assert_eq!(max_us(&longer, Some(Unit::S)), Err(Unreadable::TooMuch(Unit::S)));
    }

    /// Expect: other buckets change no count, and no value by more than a thousandth.
    #[test]
    fn histograms_of_other_buckets_are_merged_too() {
        let mut fine = Histogram::new(3).unwrap();
        (1..=100).for_each(|ms: u64| fine.record(ms * 1_000_000).unwrap());
        let mut all = of(&[90_000_000]);
        all.auto(true);
        add(&mut all, &fine);
        assert_eq!(all.len(), 101);
        let p50 = all.value_at_quantile(0.5) as f64;
        assert!((p50 / 51e6 - 1.0).abs() < 0.002, "{p50}");
    }

    proptest! {
        /// Expect: the same counts, whether values are recorded together, or apart in seconds and files and merged.
        #[test]
        fn merging_is_recording_together(
            files in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(0..80_000_000_000_u64, 1..20), 1..4), 1..4),
        ) {
            let sources: Vec<Source> = files
                .iter()
                .map(|seconds| read(&log(&seconds.iter().map(Vec::as_slice).collect::<Vec<_>>())).unwrap())
                .collect();
            let together: Vec<u64> = files.iter().flatten().flatten().copied().collect();
            prop_assert_eq!(counts(&merged(&sources).unwrap()), counts(&of(&together)));
        }

        /// Expect: a histogram or a reason, never a panic, for whatever bytes.
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        /// Expect: the same for lines that look right.
        #[test]
        fn arbitrary_lines_are_read_or_refused(
            lines in "(Value Percentile|#\\[Unit: (ns|s)\\]|(Tag=.?,)?[0-9]{0,25}\\.[0-9]{0,12},1\\.0,[0-9e]{0,5},HISTFAAAA[A-Za-z0-9+/=]{0,60}|[0-9.e]{0,20} [01]\\.?[0-9]{0,3} [0-9]{0,21}|#\\[Max = 1, Total count = [0-9]{0,3}\\]|\n){0,12}",
        ) {
            let _ = read(lines.as_bytes());
        }

        /// Expect: the same for files of ours with some bytes changed.
        #[test]
        fn damaged_files_are_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            is_text: bool,
        ) {
            let mut bytes = if is_text {
                let mut bytes = Vec::new();
                write_hgrm(&of(&[1_000, 2_000_000, 70_000_000]), &mut bytes).unwrap();
                bytes
            } else {
                log(&[&[1_000, 2_000_000], &[70_000_000]])
            };
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(&bytes);
        }
    }
}
