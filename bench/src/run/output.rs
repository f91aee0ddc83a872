//! The files that a run leaves.

use super::report::Report;
use super::tally::write_rows;
use redpkt::cli::Failure;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where results go.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// The report; `-` is stdout.
    pub json: Option<PathBuf>,
    /// The latencies.
    pub hgrm: Option<PathBuf>,
    /// The latencies of each second.
    pub hlog: Option<PathBuf>,
    /// The tally.
    pub tally: Option<PathBuf>,
    /// All of them.
    pub run_dir: Option<PathBuf>,
}

impl Outputs {
    /// Whether the report goes to stdout, so that nothing else may.
    pub fn takes_stdout(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }

    /// Makes the directory and empty files, so that what cannot be written is known before the run.
    pub fn prepare(&self) -> Result<(), Failure> {
        if let Some(dir) = &self.run_dir {
            std::fs::create_dir_all(dir).map_err(|error| refused("--run-dir", dir, &error))?;
        }
        let files = [
            ("--json", &self.json),
            ("--hgrm", &self.hgrm),
            ("--hlog", &self.hlog),
            ("--tally", &self.tally),
        ];
        for (option, path) in files {
            if let Some(path) = path.as_deref().filter(|path| *path != Path::new("-")) {
                File::create(path).map_err(|error| refused(option, path, &error))?;
            }
        }
        Ok(())
    }

    /// Writes everything.
    pub fn write(&self, report: &Report) -> Result<(), Failure> {
        let hgrm = |out: &mut Sink| {
            redpkt::hdr::text::write(&report.latency, out)?;
            if report.gso { writeln!(out, "#[GSO: datagrams crossed the kernel in runs]") } else { Ok(()) }
        };
        let hlog = |out: &mut Sink| report.latency_log.as_ref().map_or(Ok(()), |log| log.write(out));
        let tally = |out: &mut Sink| write_rows(&report.tally, out);
        to_file("--json", self.json.as_deref(), |out| json(report, out))?;
        to_file("--hgrm", self.hgrm.as_deref(), hgrm)?;
        to_file("--hlog", self.hlog.as_deref(), hlog)?;
        to_file("--tally", self.tally.as_deref(), tally)?;
        let Some(dir) = &self.run_dir else { return Ok(()) };
        let within = |name: &str| Some(dir.join(name));
        let option = "--run-dir";
        to_file(option, within("settings.json").as_deref(), |out| json(&report.settings, out))?;
        to_file(option, within("report.json").as_deref(), |out| json(report, out))?;
        to_file(option, within("latency.hgrm").as_deref(), hgrm)?;
        to_file(option, within("latency.hlog").as_deref(), hlog)?;
        to_file(option, within("tally.jsonl").as_deref(), tally)?;
        to_file(option, within("per_second.jsonl").as_deref(), |out| {
            report.per_second.iter().try_for_each(|second| {
                serde_json::to_writer(&mut *out, second)?;
                out.write_all(b"\n")
            })
        })
    }
}

type Sink = BufWriter<Box<dyn Write>>;

fn json(value: &impl Serialize, out: &mut Sink) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

fn to_file(
    option: &str,
    path: Option<&Path>,
    write: impl FnOnce(&mut Sink) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let open = || -> io::Result<Box<dyn Write>> {
        Ok(if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(File::create(path)?) })
    };
    let written = open().and_then(|out| {
        let mut out = BufWriter::new(out);
        write(&mut out)?;
        out.flush()
    });
    written.map_err(|error| refused(option, path, &error))
}

fn refused(option: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::machine(format!("{option} {}: {error}", path.display()))
}
