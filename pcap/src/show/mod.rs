//! `show`: a line a frame.

mod json;
mod line;

use crate::args::ReadArgs;
use crate::datagram::Headers;
use crate::fields;
use crate::follow::{NotRedpkt, Opening, Place, Seen, Sink};
use crate::out::Out;
use crate::reading::{self, ReadSoFar, Reader};
use clap::Args;
use redpkt::cli::Failure;
use redpkt_proto::Op;
use std::path::PathBuf;

/// Options of `show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  redpkt-pcap show run.pcap --key redpkt.key --user 42\n  redpkt-pcap show run.pcap --keylog redpkt.keylog --op shake,open --json\n  redpkt-pcap show run.pcap --drops"
)]
pub struct ShowArgs {
    /// A capture, pcap or pcapng; - is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What opens frames
    #[command(flatten)]
    pub read: ReadArgs,
    /// Only frames of this user
    #[arg(long, value_name = "ID")]
    pub user: Option<u64>,
    /// Only frames of these ops, such as shake,open
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_op)]
    pub op: Vec<Op>,
    /// Only what is not redpkt, not believed, seen before, or a refusal
    #[arg(long)]
    pub drops: bool,
    /// Times of day (UTC) instead of seconds from the first record
    #[arg(long)]
    pub absolute: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// An op by its name, in any case.
fn parse_op(text: &str) -> Result<Op, String> {
    let op = Op::ALL.into_iter().find(|op| fields::op_name(*op).eq_ignore_ascii_case(text));
    op.ok_or_else(|| {
        let names: Vec<String> = Op::ALL.into_iter().map(|op| fields::op_name(op).to_lowercase()).collect();
        format!("{text:?} is no op; there are {}", names.join(", "))
    })
}

/// Prints the lines.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let mut so_far = ReadSoFar::default();
    let mut follower = args.read.follower(&mut so_far.notices)?;
    let mut lines = Lines { args, out: Out::stdout(), first_ns: 0, opened: 0, sealed: 0 };
    let read = reading::read(&args.file, &args.read.port, &mut so_far, &mut follower, &mut lines);
    let (opened, sealed) = (lines.opened, lines.sealed);
    lines.out.finish()?;
    read?;
    so_far.notice_link_types();
    so_far.notice_ports(&args.read.port);
    if args.read.key.is_some() {
        so_far.notices.extend(crate::stats::wrong_key_notice(&follower.found()));
    }
    if args.read.keylog.is_some() && opened == 0 && sealed > 0 {
        so_far
            .notices
            .push(format!("--keylog: none of {sealed} sealed frames is of its sessions: wrong key log?"));
    }
    if follower.found().evicted_users > 0 {
        let evicted = follower.found().evicted_users;
        so_far.notices.push(format!("--memory: {evicted} users had to go for lack of room; give more"));
    }
    so_far.notices.iter().for_each(|notice| eprintln!("redpkt-pcap: {notice}"));
    Ok(())
}

/// Prints what passes the filters.
struct Lines<'a> {
    args: &'a ShowArgs,
    out: Out,
    first_ns: u64,
    opened: u64,
    sealed: u64,
}

impl Lines<'_> {
    fn passes(&self, seen: &Seen<'_>) -> bool {
        let args = self.args;
        args.user.is_none_or(|user| user == seen.frame.header.user.get())
            && (args.op.is_empty() || args.op.contains(&seen.op))
            && (!args.drops || is_drop(seen))
    }
}

/// Whether a frame is what `--drops` is about.
fn is_drop(seen: &Seen<'_>) -> bool {
    matches!(seen.opening, Opening::Sealed(_))
        || matches!(seen.op, Op::Stale | Op::Error)
        || matches!(seen.place, Some(Place::Duplicate | Place::TooOld))
}

impl Sink for Lines<'_> {
    fn datagram(&mut self, _: u64, _: &Headers, _: usize) {}

    fn frame(&mut self, seen: &Seen<'_>) {
        match seen.opening {
            Opening::Opened => self.opened += 1,
            Opening::Sealed(_) => self.sealed += 1,
            Opening::Clear => {}
        }
        if !self.passes(seen) {
            return;
        }
        let (first_ns, absolute) = (self.first_ns, self.args.absolute);
        match self.args.json {
            true => self.out.write(|out| json::frame(out, seen)),
            false => self.out.write(|out| line::frame(out, seen, first_ns, absolute)),
        }
    }

    fn not_redpkt(&mut self, what: &NotRedpkt) {
        // Who asks for a user's frames, or for frames of an op, does not ask for these.
        if self.args.user.is_some() || !self.args.op.is_empty() {
            return;
        }
        let (first_ns, absolute) = (self.first_ns, self.args.absolute);
        match self.args.json {
            true => self.out.write(|out| json::not_redpkt(out, what)),
            false => self.out.write(|out| line::not_redpkt(out, what, first_ns, absolute)),
        }
    }
}

impl Reader for Lines<'_> {
    fn begins(&mut self, first_ns: u64) {
        self.first_ns = first_ns;
    }

    fn is_done(&self) -> bool {
        self.out.is_closed()
    }
}
