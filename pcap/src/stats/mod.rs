//! `stats`: figures of whole captures.
//!
//! | file | what |
//! |---|---|
//! | `figures` | what is counted, frame by frame |
//! | `seconds` | second by second |
//! | `talkers` | who sends most |
//! | `report` | the result, as JSON |
//! | `text` | the result, for a person |

mod figures;
mod report;
mod seconds;
mod talkers;
mod text;

pub use figures::Figures;
pub use report::{
    Frames, Handshakes, InOut, OpenFigures, Percentiles, Report, SealedFigures, SecondRow, ShakeFigures,
    TalkerRow,
};

use crate::args::ReadArgs;
use crate::out::Out;
use crate::reading::{self, ReadSoFar};
use clap::Args;
use redpkt::cli::Failure;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Options of `stats`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  redpkt-pcap stats run.pcap --key redpkt.key\n  redpkt-pcap stats a.pcapng b.pcapng --keylog redpkt.keylog --json | jq .shake\n  tcpdump -w - udp port 7100 | redpkt-pcap stats -\n\nFiles are read one after the other, as parts of one capture, in the order of their first records' times; with stdin or a pipe among them, as they are given. Without --key and --keylog frames stay sealed, and seqs are taken at the headers' word."
)]
pub struct StatsArgs {
    /// Captures, pcap or pcapng; - is stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What opens frames
    #[command(flatten)]
    pub read: ReadArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// How many senders to name
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// Write the response times' distribution as HdrHistogram's percentile text
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
}

/// Reads the captures and prints what is in them.
pub fn run(args: &StatsArgs) -> Result<(), Failure> {
    let (report, figures) = measure(args)?;
    if let Some(path) = &args.hgrm {
        write_hgrm(path, &figures)?;
    }
    for notice in &report.notices {
        eprintln!("redpkt-pcap: {notice}");
    }
    let mut out = Out::stdout();
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(Failure::machine)?;
        out.write(|out| writeln!(out, "{json}"));
    } else {
        let text = text::text(&report, figures.response());
        out.write(|out| out.write_all(text.as_bytes()));
    }
    out.finish()
}

/// Reads the captures; what is in them.
pub fn measure(args: &StatsArgs) -> Result<(Report, Figures), Failure> {
    let mut so_far = ReadSoFar::default();
    let mut follower = args.read.follower(&mut so_far.notices)?;
    let mut figures = Figures::new(args.read.figures_bytes());
    for file in reading::in_order(&args.files) {
        reading::read(file, &args.read.port, &mut so_far, &mut follower, &mut figures)?;
    }
    figures.finish();
    so_far.notice_link_types();
    so_far.notice_ports(&args.read.port);
    so_far.notices.extend(key_notices(args, &follower, &figures));
    so_far.notices.extend(figures.notices());
    let report = Report::of(&so_far, &follower, &figures, args.top);
    Ok((report, figures))
}

/// What there is to say of keys that did not fit.
fn key_notices(args: &StatsArgs, follower: &crate::follow::Follower, figures: &Figures) -> Vec<String> {
    let mut notices = Vec::new();
    let found = follower.found();
    if args.read.key.is_some() {
        notices.extend(wrong_key_notice(&found));
    }
    if args.read.keylog.is_some() && figures.opened() == 0 && figures.sealed() > 0 {
        let sealed = figures.sealed();
        notices.push(format!("--keylog: none of {sealed} sealed frames is of its sessions: wrong key log?"));
    }
    if found.evicted_users > 0 {
        let evicted = found.evicted_users;
        notices.push(format!(
            "--memory: {evicted} users had to go for lack of room and began anew; give more for exact figures"
        ));
    }
    if follower.forgotten() > 0 {
        let forgotten = follower.forgotten();
        notices.push(format!(
            "--memory: {forgotten} unanswered requests had to go for lack of room; response times miss them"
        ));
    }
    notices
}

/// What to say when no handshake fits the server keys.
pub(crate) fn wrong_key_notice(found: &crate::follow::Found) -> Option<String> {
    let handshakes = found.handshakes_checked + found.handshakes_of_unknown_key;
    let is_wrong = handshakes > 0 && found.handshakes_right == 0;
    is_wrong
        .then(|| format!("--key: none of {handshakes} handshake frames is of these keys: wrong key file?"))
}

fn write_hgrm(path: &Path, figures: &Figures) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::machine(format!("--hgrm {}: {error}", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    redpkt::hdr::text::write(figures.response(), &mut out).and_then(|()| out.flush()).map_err(failed)
}
