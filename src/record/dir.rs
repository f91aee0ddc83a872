//! A run's directory: `run.json` says what it is, `samples.jsonl` has a sample a line, `latencies.hlog` the histograms
//! of all sources together, a line for each sort and second, for HdrHistogram's viewers.
//!
//! Each line is flushed when it is written, so whatever ends a run, what was recorded stays. Histograms are kept as
//! what came since the sample before, so lines are small and sums of lines are exact.

use super::{Sample, Second, Series};
use crate::hdr::log;
use crate::telemetry::latencies::Latencies;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The format's number: another one is not read.
pub const FORMAT: u32 = 1;

const RUN: &str = "run.json";
const SAMPLES: &str = "samples.jsonl";
const LATENCIES: &str = "latencies.hlog";

/// A longer line is no sample: 64 sources with all histograms take a tenth of it.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// What a run is: `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The directory's format.
    pub format: u32,
    /// The version of redpkt that recorded it.
    pub version: String,
    /// When it began, in ms since 1970.
    pub started_wall_ms: u64,
    /// Who was asked.
    pub sources: Vec<String>,
    /// What whoever recorded it was told to do.
    pub settings: Value,
    /// What came of it; null while it runs, and if it was cut short.
    pub verdict: Value,
}

/// Writes a run's directory.
#[derive(Debug)]
pub struct Recorder {
    dir: PathBuf,
    run: Run,
    samples: File,
    latencies: File,
    series: Series,
    /// What went wrong first: nothing is written behind half a line.
    failed: Option<ErrorKind>,
}

impl Recorder {
    /// Makes the directory, and what is above it. One that has a run already is an error: nothing is written over.
    pub fn create(dir: &Path, settings: Value) -> io::Result<Recorder> {
        let context = |what: &str, error: &io::Error| {
            io::Error::new(error.kind(), format!("{what} {}: {error}", dir.display()))
        };
        fs::create_dir_all(dir).map_err(|error| context("making", &error))?;
        let samples = File::create_new(dir.join(SAMPLES)).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => io::Error::new(
                error.kind(),
                format!("{} has a run already; name another directory", dir.display()),
            ),
            _ => context("recording in", &error),
        })?;
        let run = Run {
            format: FORMAT,
            version: crate::version(),
            started_wall_ms: crate::telemetry::wall_ms(),
            settings,
            ..Run::default()
        };
        let latencies = File::create(dir.join(LATENCIES)).map_err(|error| context("recording in", &error))?;
        let series = Series::new();
        let mut recorder = Recorder { dir: dir.to_owned(), run, samples, latencies, series, failed: None };
        let heading =
            log::heading(SystemTime::now(), "latencies of all sources, tagged by what and of which op");
        recorder.latencies.write_all(heading.as_bytes()).map_err(|error| context("recording in", &error))?;
        recorder.write_run().map_err(|error| context("recording in", &error))?;
        Ok(recorder)
    }

    /// Where it writes.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a sample, whose histograms are totals, and tells what happened since the last one. After an error nothing
    /// more is written, and each call fails.
    pub fn push(&mut self, sample: &Sample) -> io::Result<Option<Second>> {
        if let Some(kind) = self.failed {
            return Err(io::Error::new(kind, "nothing is recorded since the first error"));
        }
        let (second, intervals) = self.series.push_with(sample);
        let mut all = Latencies::default();
        intervals.iter().for_each(|interval| all.add(interval));
        let logged = second.as_ref().map_or(Ok(()), |second| self.write_latencies(second, &all));
        let written = logged.and_then(|()| self.write(sample, intervals));
        if let Err(error) = &written {
            self.failed = Some(error.kind());
        }
        written.map(|()| second)
    }

    fn write_latencies(&mut self, second: &Second, all: &Latencies) -> io::Result<()> {
        let length = Duration::from_secs_f64(second.span_s);
        let start = Duration::from_secs_f64(second.at_s).saturating_sub(length);
        let full = all.0.iter().filter(|(_, histogram)| !histogram.is_empty());
        let lines: String =
            full.map(|(name, histogram)| log::line(Some(name), start, length, histogram)).collect();
        self.latencies.write_all(lines.as_bytes())
    }

    fn write(&mut self, sample: &Sample, intervals: Vec<Latencies>) -> io::Result<()> {
        let mut kept = sample.clone();
        kept.sources.iter_mut().zip(intervals).for_each(|(source, interval)| source.latencies = interval);
        let mut line = serde_json::to_vec(&kept)?;
        line.push(b'\n');
        self.samples.write_all(&line)?;
        let new = sample.sources.iter().filter(|source| !self.run.sources.contains(&source.url));
        let new: Vec<String> = new.map(|source| source.url.clone()).collect();
        if !new.is_empty() {
            self.run.sources.extend(new);
            self.write_run()?;
        }
        Ok(())
    }

    /// All that was pushed, added up.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Ends the run: `verdict` says what came of it.
    pub fn finish(mut self, verdict: Value) -> io::Result<()> {
        self.run.verdict = verdict;
        self.samples.sync_all()?;
        self.write_run()
    }

    /// Writes `run.json`, whole or not at all.
    fn write_run(&self) -> io::Result<()> {
        let new = self.dir.join("run.json.new");
        let mut text = serde_json::to_vec_pretty(&self.run)?;
        text.push(b'\n');
        fs::write(&new, text)?;
        fs::rename(new, self.dir.join(RUN))
    }
}

/// Why a run's directory is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such directory, or it cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It was not made by a recorder.
    #[error(
        "{}: no run's directory, it has no {RUN}; redpkt watch --run-dir and redpkt-bench practice make them",
        .0.display()
    )]
    NoRun(PathBuf),
    /// Its `run.json` is damaged.
    #[error("{}: damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another version of redpkt made it.
    #[error(
        "{}: format {found}, recorded by redpkt {version}; this redpkt reads format {FORMAT}, use that one",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Who recorded it.
        version: String,
    },
    /// Nothing, or one moment only, was recorded.
    #[error("{}: {samples} samples, and it takes two to tell what happened in between; record for longer", path.display())]
    TooLittle {
        /// The directory.
        path: PathBuf,
        /// How many there are.
        samples: usize,
    },
}

impl ReadError {
    /// Whether the machine refused: exit code 3. Else what the user named is wrong: 2.
    pub fn is_machine(&self) -> bool {
        matches!(self, ReadError::Io { error, .. } if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    }
}

/// A run that was read back.
#[derive(Debug)]
pub struct Recorded {
    /// What it is.
    pub run: Run,
    /// What happened, between each two samples.
    pub seconds: Vec<Second>,
    /// The sums, and the sources as they were last seen.
    pub series: Series,
    /// What is missing of it, in words: the end of a line that was being written, a line that is damaged.
    pub missing: Option<String>,
}

/// Reads a run's directory. Lines behind one that is cut off or damaged are not read.
pub fn read(dir: &Path) -> Result<Recorded, ReadError> {
    let run = read_run(dir)?;
    let path = dir.join(SAMPLES);
    let io = |error| ReadError::Io { path: path.clone(), error };
    let mut file = BufReader::new(File::open(&path).map_err(io)?);
    let (mut series, mut seconds, mut samples, mut missing) = (Series::of_intervals(), Vec::new(), 0, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        io::Read::take(&mut file, LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(io)?;
        if line.is_empty() {
            break;
        }
        match serde_json::from_slice::<Sample>(&line) {
            Ok(sample) if line.ends_with(b"\n") => {
                seconds.extend(series.push(&sample));
                samples += 1;
            }
            Err(error) if line.ends_with(b"\n") => {
                missing = Some(format!(
                    "line {} of {SAMPLES} is damaged ({error}): nothing behind it was read",
                    samples + 1
                ));
                break;
            }
            _ => {
                missing = Some(format!(
                    "the last line of {SAMPLES} is cut off: the run was ended while it was written"
                ));
                break;
            }
        }
    }
    if seconds.is_empty() {
        return Err(ReadError::TooLittle { path: dir.to_owned(), samples });
    }
    Ok(Recorded { run, seconds, series, missing })
}

fn read_run(dir: &Path) -> Result<Run, ReadError> {
    let path = dir.join(RUN);
    fs::read_dir(dir).map_err(|error| ReadError::Io { path: dir.to_owned(), error })?;
    let text = fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ReadError::NoRun(dir.to_owned()),
        _ => ReadError::Io { path: path.clone(), error },
    })?;
    let damaged = |why: String| ReadError::Damaged { path: path.clone(), why };
    let value: Value = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let format = value["format"].as_u64().ok_or_else(|| damaged("it has no format".into()))? as u32;
    if format != FORMAT {
        let version = value["version"].as_str().unwrap_or("of another version").to_owned();
        return Err(ReadError::Format { path, found: format, version });
    }
    serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
}
