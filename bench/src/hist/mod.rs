//! `redpkt-bench hist`: latencies of runs as a table, beside each other, added up, and as a picture.
//!
//! What is added up are histograms, count by count; percentiles of several runs cannot be added and are not.
//!
//! | file | what |
//! |---|---|
//! | `source` | a file's histogram; several merged |
//! | `figures` | the table, the ratio of two files, the JSON |

mod figures;
mod source;

use crate::json_or_text;
use clap::Args;
use figures::Report;
use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::hdr::text;
use redpkt::hdr::unit::Unit;
use redpkt::page::spectrum;
use source::{Source, Wanted, merged};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Options of `hist`.
#[derive(Args)]
#[command(after_help = "\
A FILE is an interval log of HdrHistogram (`run --hlog`, V2 encoding, deflated or not), of which all intervals are
added up; or percentile text (`run --hgrm`); or the directory of a run (`run --run-dir`). Of a log every count is
known, to the width of its buckets (ours: 1/1000 from 128 us on, 64 ns below). Of percentile text the number of values,
the maximum and the counts at its rows are exact; other percentiles and the mean may be up to one row too high, never
too low. Where logs have buckets of other widths, values are placed by the middle of their bucket. A log that was
cut off between two lines looks whole.

Examples:
  redpkt-bench hist latency.hlog                          # p50 to p99.99, maximum, mean
  redpkt-bench hist before.hlog after.hlog                # side by side, and after / before
  redpkt-bench hist --merge host1.hlog host2.hlog host3.hlog --hgrm all.hgrm
  redpkt-bench hist runs/sockets runs/xdp --svg spectrum.svg --json -
  redpkt-bench hist --tag reads --unit us other.hlog      # another program's log, in microseconds

Exit codes: 0 done, 2 a file is missing, empty, cut off or no histogram, or an option is wrong, 3 the machine refused.")]
pub struct HistArgs {
    /// Interval logs, percentile texts, directories of runs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// One column for all files together
    #[arg(long)]
    merge: bool,
    /// Only the intervals of logs with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The unit of values in files that do not say theirs, as ours do [default: ns of logs, us of percentile text]
    #[arg(long, value_enum, value_name = "UNIT")]
    unit: Option<Unit>,
    /// Where the figures go as JSON; - is stdout, and then the table goes to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// Draw the percentile spectrum, a line for each column
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write all files together as HdrHistogram's percentile text, in µs
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &HistArgs) -> Result<(), Failure> {
    let wanted = Wanted { tag: args.tag.as_deref(), unit: args.unit };
    let lines = if args.merge { 1 } else { args.files.len() };
    if args.svg.is_some() && lines > spectrum::LINES_MAX {
        return Err(Failure::usage(format!(
            "--svg: {lines} lines are not told apart; at most {} files, or --merge",
            spectrum::LINES_MAX
        )));
    }
    let sources = args.files.iter().map(|file| Source::read(file, wanted)).collect::<Result<Vec<_>, _>>()?;
    let all = merged(&sources).filter(|_| args.merge || args.hgrm.is_some());
    let column = all.as_ref().filter(|_| args.merge);
    if let Some(file) = &args.svg {
        save("--svg", file, draw(&sources, column)?.as_bytes())?;
    }
    if let (Some(file), Some(all)) = (&args.hgrm, &all) {
        let mut text = Vec::new();
        text::write(all, &mut text).map_err(Failure::machine)?;
        save("--hgrm", file, &text)?;
    }
    let report = Report::new(&sources, column);
    json_or_text(&report, &report.text(), args.json.as_deref())?;
    std::io::stdout().flush().map_err(Failure::machine)
}

fn draw(sources: &[Source], merged: Option<&Histogram<u64>>) -> Result<String, Failure> {
    let lines: Vec<(String, &Histogram<u64>)> = match merged {
        Some(merged) => vec![(format!("{} files merged", sources.len()), merged)],
        None => sources.iter().map(|source| (source.name.clone(), &source.histogram)).collect(),
    };
    spectrum::spectrum(&lines).map_err(|error| Failure::machine(format!("drawing the spectrum: {error}")))
}

fn save(option: &str, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(file, bytes)
        .map_err(|error| Failure::machine(format!("{option} {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        hist: HistArgs,
    }

    fn hist(words: &[&str]) -> Result<(), Failure> {
        run(&Line::try_parse_from([&["x"], words].concat()).unwrap().hist)
    }

    fn text(values_us: std::ops::Range<u64>) -> Vec<u8> {
        let mut histogram = redpkt::hdr::histogram();
        values_us.for_each(|us| histogram.record(us * 1_000).unwrap());
        let mut bytes = Vec::new();
        text::write(&histogram, &mut bytes).unwrap();
        bytes
    }

    /// Expect: all that was asked for is there, and what was merged can be read again.
    #[test]
    fn the_files_that_are_asked_for_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let [one, two, json, svg, hgrm] = ["1.hgrm", "2.hgrm", "out.json", "out.svg", "all.hgrm"].map(path);
        std::fs::write(&one, text(1..101)).unwrap();
        std::fs::write(&two, text(101..201)).unwrap();
        hist(&[&one, &two, "--merge", "--json", &json, "--svg", &svg, "--hgrm", &hgrm]).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(report["merged"]["count"], 200);
        assert!(roxmltree::Document::parse(&std::fs::read_to_string(svg).unwrap()).is_ok());
        let all = Source::read(Path::new(&hgrm), Wanted::default()).unwrap();
        assert_eq!(all.histogram.len(), 200);
    }

    /// Expect: too many lines are refused before a file is read, unless they are one.
    #[test]
    fn a_picture_has_no_more_lines_than_colours() {
        let many = ["no.hlog"; spectrum::LINES_MAX + 1];
        let failure = hist(&[&many[..], &["--svg", "x.svg"]].concat()).unwrap_err();
        assert!(failure.code() == 2 && failure.to_string().starts_with("--svg: 9 lines"), "{failure}");
        let failure = hist(&[&many[..], &["--merge", "--svg", "x.svg"]].concat()).unwrap_err();
        assert!(failure.to_string().starts_with("no.hlog"), "{failure}");
    }
}
