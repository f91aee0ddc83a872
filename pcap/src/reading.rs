//! Reads a capture file through: records, datagrams, sessions.

use crate::args;
use crate::container::{Capture, End, OpenError, Record};
use crate::datagram::{self, Headers, Other};
use crate::doubled::Doubled;
use crate::follow::{Batch, Follower, Item, Sink};
use crate::link;
use crate::progress::Progress;
use crate::reason::Reason;
use redpkt::cli::Failure;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Link types that are told apart; a file with more is made to fill memory.
const LINK_TYPES_MAX: usize = 64;

/// What all files have had so far, beside their frames.
#[derive(Clone, Debug, Default)]
pub struct ReadSoFar {
    /// Records.
    pub records: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Whether a file ended in the middle of a record, or was damaged.
    pub cut_short: bool,
    /// Records by link type.
    pub link_types: BTreeMap<u32, u64>,
    /// Records that are earlier than the one before.
    pub timestamps_backwards: u64,
    /// Records of datagrams that had been captured as they went out.
    pub doubled: u64,
    /// Datagrams whose checksum is wrong, or not yet there: a network card adds it later.
    pub checksum_partial_or_wrong: u64,
    /// The time of the first record that has one, in ns since 1970.
    pub first_ns: Option<u64>,
    /// The latest time, in ns since 1970.
    pub latest_ns: u64,
    /// What whoever reads the result should know.
    pub notices: Vec<String>,
    /// Bytes that buffers held at the most.
    pub buffer_bytes: usize,
    last_ns: u64,
    /// Whether any datagram was from or to one of the ports.
    is_any_of_ports: bool,
    /// How often each port is one of a datagram of other ports.
    other_ports: Vec<u64>,
}

impl ReadSoFar {
    /// From the first record to the latest, in seconds.
    pub fn seconds(&self) -> f64 {
        self.first_ns.map_or(0.0, |first| self.latest_ns.saturating_sub(first) as f64 / 1e9)
    }

    fn record(&mut self, record: &Record) {
        self.records += 1;
        if record.time_ns > 0 {
            self.first_ns.get_or_insert(record.time_ns);
        }
        self.timestamps_backwards += u64::from(record.time_ns < self.last_ns);
        self.last_ns = record.time_ns;
        self.latest_ns = self.latest_ns.max(record.time_ns);
    }

    fn link_type(&mut self, link_type: u32, records: u64) {
        if self.link_types.len() < LINK_TYPES_MAX || self.link_types.contains_key(&link_type) {
            *self.link_types.entry(link_type).or_default() += records;
        }
    }
}

/// Who is told of each batch's beginning, and may end the reading.
pub trait Reader: Sink {
    /// A batch begins; the first record of all had this time.
    fn begins(&mut self, first_ns: u64);

    /// Whether nobody wants more.
    fn is_done(&self) -> bool;
}

/// Files in the order of the times they begin at, which that of their names is not: `*` has `x.10` before `x.2`. What
/// cannot be read twice, such as a pipe, leaves them all as they are. Those in which no time is found come first.
pub fn in_order(files: &[PathBuf]) -> Vec<&Path> {
    let mut files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    if files.len() > 1 && files.iter().all(|path| *path != Path::new(args::STDIN) && path.is_file()) {
        files.sort_by_cached_key(|path| begin_ns(path));
    }
    files
}

/// When a file begins. Whatever is wrong with it is said when it is read.
fn begin_ns(path: &Path) -> Option<u64> {
    let (source, _) = args::open(path).ok()?;
    let mut capture = Capture::open(source).ok()?;
    capture.next_batch().ok()?;
    first_ns(capture.records())
}

/// The first time among records that have one.
fn first_ns(records: &[Record]) -> Option<u64> {
    records.iter().map(|record| record.time_ns).find(|time_ns| *time_ns > 0)
}

/// Reads one file through.
pub fn read(
    path: &Path,
    ports: &[u16],
    so_far: &mut ReadSoFar,
    follower: &mut Follower,
    reader: &mut impl Reader,
) -> Result<(), Failure> {
    let (source, len) = args::open(path)?;
    let name = path.display();
    let mut capture = Capture::open(source).map_err(|error| match error {
        OpenError::Io(error) => Failure::machine(format!("{name}: {error}")),
        OpenError::NoCapture(why) => Failure::usage(format!("{name}: {why}")),
    })?;
    let mut progress = Progress::new(len);
    let mut doubled = Doubled::default();
    let mut items: Vec<Item> = Vec::new();
    // Times of different files are not compared.
    so_far.last_ns = 0;
    let end_before_ns = so_far.latest_ns;
    let mut begin_ns = None;
    while !reader.is_done()
        && capture.next_batch().map_err(|error| Failure::machine(format!("{name}: {error}")))?
    {
        items.clear();
        begin_ns = begin_ns.or_else(|| first_ns(capture.records()));
        understand(capture.records(), capture.bytes(), ports, so_far, &mut doubled, &mut items);
        reader.begins(so_far.first_ns.unwrap_or_default());
        follower.batch(Batch { items: &items, bytes: capture.bytes() }, reader);
        progress.at(capture.at());
    }
    progress.finish();
    so_far.bytes += capture.at();
    so_far.buffer_bytes = so_far.buffer_bytes.max(capture.memory_bytes());
    if let Some(begin_ns) = begin_ns.filter(|begin_ns| *begin_ns < end_before_ns) {
        let overlap_s = (end_before_ns - begin_ns) as f64 / 1e9;
        so_far.notices.push(format!(
            "{name}: begins {overlap_s:.6} s before the end of what was read before it; figures of users who are in both may be wrong: merge such files first, as with mergecap"
        ));
    }
    match capture.end() {
        Some(End::CutShort { at }) => so_far
            .ended_early(format!("{name}: cut off in the middle of a record at byte {at}; read up to there")),
        Some(End::Damaged { at, why }) => {
            so_far.ended_early(format!("{name}: damaged at byte {at}: {why}; read up to there"));
        }
        _ => {}
    }
    Ok(())
}

impl ReadSoFar {
    fn ended_early(&mut self, notice: String) {
        self.cut_short = true;
        self.notices.push(notice);
    }

    /// Says which port was probably meant, where nothing is of those that were asked for.
    pub fn notice_ports(&mut self, ports: &[u16]) {
        let counts = (0..).zip(&self.other_ports).filter(|(port, count)| *port > 0 && **count > 0);
        // Of a single client the port counts as often; clients' are the higher ones.
        let most = counts.max_by_key(|(port, count)| (**count, Reverse(*port)));
        if let (false, Some((port, _))) = (self.is_any_of_ports, most) {
            let ports: Vec<String> = ports.iter().map(|port| format!("--port {port}")).collect();
            self.notices.push(format!(
                "{}: no datagram is from or to there, most are of port {port}; name the server's: --port {port}",
                ports.join(" ")
            ));
        }
    }

    fn other(&mut self, other: &Other) {
        match other {
            Other { reason: Reason::OtherPort, headers: Some(Headers { from, to, .. }) } => {
                self.other_ports.resize(1 << 16, 0);
                [from.port, to.port].iter().for_each(|port| self.other_ports[usize::from(*port)] += 1);
            }
            Other { headers, .. } => self.is_any_of_ports |= headers.is_some(),
        }
    }

    /// Says what was not looked at for its link type.
    pub fn notice_link_types(&mut self) {
        let unread: Vec<String> = self
            .link_types
            .iter()
            .filter(|(link_type, _)| link::name(**link_type).is_none())
            .map(|(link_type, records)| format!("{records} records of link type {link_type}"))
            .collect();
        if !unread.is_empty() {
            self.notices.push(format!(
                "not looked at: {}; Ethernet, Linux cooked (v1, v2), raw IP and BSD loopback are",
                unread.join(", ")
            ));
        }
    }
}

/// Finds the datagrams of a batch of records.
#[inline]
fn understand(
    records: &[Record],
    bytes: &[u8],
    ports: &[u16],
    so_far: &mut ReadSoFar,
    doubled: &mut Doubled,
    items: &mut Vec<Item>,
) {
    let mut run = (records[0].link_type, 0);
    for record in records {
        so_far.record(record);
        if run.0 != record.link_type {
            so_far.link_type(run.0, run.1);
            run = (record.link_type, 0);
        }
        run.1 += 1;
        match datagram::datagram(record, bytes, ports) {
            Ok(datagram) => {
                if doubled.is_second(&datagram, &bytes[datagram.range.clone()]) {
                    so_far.doubled += 1;
                    continue;
                }
                so_far.is_any_of_ports = true;
                so_far.checksum_partial_or_wrong += u64::from(!datagram.is_checksum_right);
                items.push(Ok(datagram));
            }
            Err(other) => {
                so_far.other(&other);
                items.push(Err((record.time_ns, other)));
            }
        }
    }
    so_far.link_type(run.0, run.1);
}
