//! `redpkt-pcap record`: writes what passes an interface into capture files, within limits.

mod files;
mod limit;

use clap::Args;
use files::Files;
use limit::{Limit, parse_limit};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use pcap_file::DataLink;
use redpkt::capture::SNAP_BYTES;
use redpkt::cli::{Failure, caught_signals, parse_bytes};
use redpkt::net::packet_socket::{Link, PORTS_MAX, PacketSocket, PacketSocketError, Passed};
use redpkt::page::words::grouped;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the interface is waited for before limits and signals are looked at.
const TURN: Duration = Duration::from_millis(100);

/// Options of `record`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-pcap record --iface eth0 --out night.pcap --duration 10s
  redpkt-pcap record --iface lo --port 7100 --port 7200 --out both.pcap
  redpkt-pcap record --iface eth0 --out ring.pcap --rotate 100MiB --keep 10   # the last GiB
  redpkt-pcap record --iface eth0 --out - | wireshark -k -i -

The kernel picks UDP from or to the ports, and later fragments, which have none. On lo each datagram \
is seen once. Senders' segmentation (GSO) and receivers' coalescing (GRO) show many datagrams as one \
long one. It needs CAP_NET_RAW. With --rotate, FILE is followed by FILE.1, FILE.2 and so on; \
numbers that are taken are skipped, and --keep removes none but this recording's own files.

Exit codes: 0 done, 2 an option is wrong, 3 the machine refused.")]
pub struct RecordArgs {
    /// The interface
    #[arg(long, value_name = "IF")]
    iface: String,
    /// A port of the server; may be given several times
    #[arg(long, value_name = "PORT", default_value = "7100", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
    /// The capture file, which must not be there yet, or - for stdout
    #[arg(long, value_name = "FILE|-")]
    out: PathBuf,
    /// Stop after so long [default: at Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Stop after so many bytes in all files [default: 1GiB; none with --keep]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    size: Option<u64>,
    /// Keep no more than the first so many bytes of a datagram's packet: 42 hold the headers over IPv4, 106 the first frame
    #[arg(long, value_name = "N", default_value_t = SNAP_BYTES, value_parser = parse_snap)]
    snap: usize,
    /// Begin a new file after so many bytes or so long, such as 100MiB or 60s
    #[arg(long, value_name = "SIZE|TIME", value_parser = parse_limit)]
    rotate: Option<Limit>,
    /// Remove the oldest file when there are more than so many
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Print the totals as JSON
    #[arg(long)]
    json: bool,
}

/// All files together, unless something else is asked for.
const SIZE_DEFAULT: u64 = 1 << 30;

fn parse_snap(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (1..=SNAP_BYTES).contains(&bytes) => Ok(bytes),
        _ => Err(format!("{text:?} is no length; 1 to {SNAP_BYTES} bytes are allowed")),
    }
}

/// What was recorded.
#[derive(Debug, Default, Serialize)]
struct Totals {
    records: u64,
    bytes: u64,
    /// What the kernel had no room for: the recorder did not keep up.
    lost: u64,
    seconds: f64,
    files: u32,
    files_removed: u32,
    stopped_by: &'static str,
}

/// Records until a limit is reached or a signal says to stop.
pub fn run(args: &RecordArgs) -> Result<(), Failure> {
    if args.port.len() > PORTS_MAX {
        return Err(Failure::usage(format!(
            "--port: {} of them; 1 to {PORTS_MAX} are allowed",
            args.port.len()
        )));
    }
    let signals = caught_signals(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let mut socket = PacketSocket::open(&args.iface, &args.port).map_err(refused)?;
    let link = match socket.link() {
        Link::Ethernet => DataLink::ETHERNET,
        Link::RawIp => DataLink::RAW,
    };
    let mut files = Files::begin(&args.out, link, args.rotate, args.keep)?;
    let totals = record(args, &mut socket, &mut files, &signals)?;
    files.finish()?;
    tell(args, &totals)
}

fn record(
    args: &RecordArgs,
    socket: &mut PacketSocket,
    files: &mut Files,
    signals: &SignalFd,
) -> Result<Totals, Failure> {
    let size_max = args.size.unwrap_or(if args.keep.is_some() { u64::MAX } else { SIZE_DEFAULT });
    let start = Instant::now();
    let mut progress = Progress::new(start);
    let mut totals = Totals::default();
    let mut outcome = Ok(());
    totals.stopped_by = loop {
        let taken = socket.take(TURN, |passed| {
            if outcome.is_ok() && files.bytes() < size_max {
                outcome = write(files, &passed, args.snap);
                totals.records += 1;
            }
        });
        std::mem::replace(&mut outcome, Ok(()))?;
        taken.map_err(refused)?;
        totals.bytes = files.bytes();
        totals.lost = socket.lost();
        files.flush()?;
        progress.tell(&totals);
        if signals.read_signal().ok().flatten().is_some() {
            break "signal";
        }
        if args.duration.is_some_and(|duration| start.elapsed() >= duration) {
            break "duration";
        }
        if totals.bytes >= size_max {
            break "size";
        }
        if files.is_closed() {
            break "its reader";
        }
    };
    totals.seconds = start.elapsed().as_secs_f64();
    (totals.files, totals.files_removed) = (files.count(), files.removed());
    Ok(totals)
}

/// Adds one record; a tag that the kernel took out is put back where it was.
fn write(files: &mut Files, passed: &Passed<'_>, snap: usize) -> Result<(), Failure> {
    /// Where the tag is: behind the two hardware addresses.
    const TAG_AT: usize = 12;
    let Passed { wall_ns, len, bytes, vlan } = *passed;
    let Some((tag, addresses)) = vlan.zip(bytes.get(..TAG_AT)) else {
        return files.write(wall_ns, len, &bytes[..bytes.len().min(snap)]);
    };
    let [protocol, control] = tag.map(u16::to_be_bytes);
    let tagged = [addresses, &protocol, &control, &bytes[TAG_AT..]].concat();
    files.write(wall_ns, len + protocol.len() + control.len(), &tagged[..tagged.len().min(snap)])
}

fn refused(error: PacketSocketError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::machine(error) }
}

/// A line a second, on a terminal.
struct Progress {
    is_wanted: bool,
    next: Instant,
}

impl Progress {
    fn new(start: Instant) -> Progress {
        Progress { is_wanted: std::io::stderr().is_terminal(), next: start + Duration::from_secs(1) }
    }

    fn tell(&mut self, totals: &Totals) {
        if self.is_wanted && Instant::now() >= self.next {
            self.next += Duration::from_secs(1);
            let Totals { records, bytes, lost, .. } = totals;
            let mib = *bytes as f64 / f64::from(1 << 20);
            let _ = write!(std::io::stderr(), "\r{records} records, {mib:.1} MiB, {lost} lost ");
        }
    }
}

fn tell(args: &RecordArgs, totals: &Totals) -> Result<(), Failure> {
    let text = if args.json {
        serde_json::to_string(totals).map_err(Failure::machine)?
    } else {
        let Totals { records, bytes, lost, seconds, files, files_removed, stopped_by } = totals;
        let file = args.out.display();
        let removed = if *files_removed > 0 { format!(", {files_removed} removed") } else { String::new() };
        let lost = if *lost > 0 {
            format!("; {} LOST, the recorder did not keep up", grouped(*lost))
        } else {
            "; none lost".into()
        };
        let (records, bytes) = (grouped(*records), grouped(*bytes));
        let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        format!(
            "{file}: {records} records, {bytes} bytes in {files}{removed}, {seconds:.1} s, stopped by {stopped_by}{lost}"
        )
    };
    // With the capture on stdout, what is said goes elsewhere.
    let to_stdout = args.out.as_os_str() != "-";
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr());
    }
    let _ = match to_stdout {
        true => writeln!(std::io::stdout(), "{text}"),
        false => writeln!(std::io::stderr(), "{text}"),
    };
    Ok(())
}
