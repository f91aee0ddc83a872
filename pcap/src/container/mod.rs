//! Capture files: pcap and pcapng, read once from front to back, in batches.
//!
//! The bytes of a batch's records stay where they were read to, so no record is copied or allocated.

mod pcapng;

use pcap_file::pcap::{PcapParser, RawPcapPacket};
use pcap_file::{Endianness, PcapError, TsResolution};
use pcapng::PcapNg;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes read at a time: they stay in a core's second-level cache until they are looked at.
const READ_BYTES: usize = 256 << 10;

/// The longest record or block that is believed. No capture has longer ones unless it is damaged.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Records in a batch.
pub const BATCH_RECORDS: usize = 256;

/// Bytes before a record's data in a pcap file.
const PCAP_RECORD_HEADER_BYTES: usize = 16;

/// One captured unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was captured, in ns since 1970. pcapng's simple blocks do not say it: they have the time of the record
    /// before, or 0 if they come first.
    pub time_ns: u64,
    /// Link type of its interface, as <https://www.tcpdump.org/linktypes.html> numbers them.
    pub link_type: u32,
    /// How many bytes it had; more than were kept if it was snapped.
    pub original_bytes: u32,
    /// Where its bytes are in [`Capture::bytes`].
    pub range: Range<usize>,
}

/// How the reading of a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last record.
    Whole,
    /// In the middle of a record, or of a block, that begins at this byte.
    CutShort {
        /// Where, in bytes from the file's beginning.
        at: u64,
    },
    /// At something that cannot be.
    Damaged {
        /// Where, in bytes from the file's beginning.
        at: u64,
        /// What cannot be.
        why: String,
    },
}

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no capture.
    #[error("{0}")]
    NoCapture(String),
}

enum Format {
    Pcap { parser: PcapParser, link_type: u32, ns_per_unit: u32 },
    PcapNg(PcapNg),
}

/// A step of a format's parser.
enum Step {
    /// So many bytes were read, and there may be a record among them.
    Taken(usize, Option<Record>),
    /// More bytes are needed.
    Short,
    /// This cannot be.
    Damaged(String),
}

/// A capture that is being read.
pub struct Capture<R> {
    source: R,
    buffer: Vec<u8>,
    /// What of the buffer is not taken yet.
    unread: Range<usize>,
    /// The file's offset of the buffer's beginning.
    offset: u64,
    format: Format,
    records: Vec<Record>,
    end: Option<End>,
}

impl<R: Read> Capture<R> {
    /// Reads the beginning of a capture and finds out its format.
    pub fn open(mut source: R) -> Result<Capture<R>, OpenError> {
        let mut buffer = vec![0; READ_BYTES];
        let mut len = 0;
        let (used, format) = loop {
            match begin(&buffer[..len]).map_err(OpenError::NoCapture)? {
                Some(begun) => break begun,
                // That ends: a first block that claims to be longer than 16 MiB is refused.
                None if len == buffer.len() => buffer.resize(2 * len, 0),
                None => {}
            }
            let read = read_some(&mut source, &mut buffer[len..])?;
            len += read;
            if read == 0 {
                let why = if len == 0 { "it is empty" } else { "it ends within its first bytes" };
                return Err(OpenError::NoCapture(why.into()));
            }
        };
        let records = Vec::with_capacity(BATCH_RECORDS);
        Ok(Capture { source, buffer, unread: used..len, offset: 0, format, records, end: None })
    }

    /// Reads the next records; whether there are any. They and their bytes are good until the next call.
    pub fn next_batch(&mut self) -> io::Result<bool> {
        self.records.clear();
        while self.end.is_none() {
            match self.step() {
                Step::Taken(bytes, record) => {
                    self.unread.start += bytes;
                    self.records.extend(record);
                    if self.records.len() == BATCH_RECORDS {
                        break;
                    }
                }
                // The bytes of the records so far must stay where they are.
                Step::Short if !self.records.is_empty() => break,
                Step::Short => self.fill()?,
                Step::Damaged(why) => self.end = Some(End::Damaged { at: self.at(), why }),
            }
        }
        Ok(!self.records.is_empty())
    }

    /// The records of this batch.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes that the records of this batch are in.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// How far in the file the reading is, in bytes.
    pub fn at(&self) -> u64 {
        self.offset + self.unread.start as u64
    }

    /// How the reading ended, once [`next_batch`](Self::next_batch) has found no more.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.records.capacity() * size_of::<Record>()
    }

    fn step(&mut self) -> Step {
        let unread = &self.buffer[self.unread.clone()];
        if unread.is_empty() {
            return Step::Short;
        }
        match &mut self.format {
            Format::PcapNg(format) => format.step(unread, self.unread.start),
            Format::Pcap { parser, link_type, ns_per_unit } => {
                pcap_step(parser, unread, |packet, data_bytes| Record {
                    time_ns: u64::from(packet.ts_sec) * 1_000_000_000
                        + u64::from(packet.ts_frac) * u64::from(*ns_per_unit),
                    link_type: *link_type,
                    original_bytes: packet.orig_len,
                    range: {
                        let start = self.unread.start + PCAP_RECORD_HEADER_BYTES;
                        start..start + data_bytes
                    },
                })
            }
        }
    }

    /// Reads on behind what is not taken yet. At the file's end that is the reading's end.
    fn fill(&mut self) -> io::Result<()> {
        let len = self.unread.len();
        self.buffer.copy_within(self.unread.clone(), 0);
        self.offset += self.unread.start as u64;
        self.unread = 0..len;
        if len == self.buffer.len() {
            self.buffer.resize((2 * len).min(RECORD_BYTES_MAX + READ_BYTES), 0);
        }
        let read = read_some(&mut self.source, &mut self.buffer[len..])?;
        self.unread.end += read;
        if read == 0 {
            let at = self.at();
            self.end = Some(if len == 0 { End::Whole } else { End::CutShort { at } });
        }
        Ok(())
    }
}

/// Reads once, also when a signal comes between.
fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What a file's first bytes say: how many of them are its beginning, and what follows. `None`: more are needed.
fn begin(bytes: &[u8]) -> Result<Option<(usize, Format)>, String> {
    let Some(magic) = bytes.first_chunk::<4>() else { return Ok(None) };
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => {
            Ok(PcapNg::begin(bytes)?.map(|(used, format)| (used, Format::PcapNg(format))))
        }
        [0x1f, 0x8b, ..] => Err("it is compressed; gunzip it, or pipe it in: gunzip -c FILE | … -".into()),
        [0x28, 0xb5, 0x2f, 0xfd] => Err("it is compressed; pipe it in: zstd -dc FILE | … -".into()),
        _ => match PcapParser::new(bytes) {
            Ok((rest, parser)) => {
                let header = parser.header();
                // The upper half may say how long a frame check sequence is.
                let link_type = u32::from(header.datalink) & 0xffff;
                let ns_per_unit = if header.ts_resolution == TsResolution::NanoSecond { 1 } else { 1_000 };
                Ok(Some((bytes.len() - rest.len(), Format::Pcap { parser, link_type, ns_per_unit })))
            }
            Err(PcapError::IncompleteBuffer) => Ok(None),
            Err(_) => {
                let hex: Vec<String> = magic.iter().map(|byte| format!("{byte:02x}")).collect();
                Err(format!("it is no capture: it begins with {}, neither pcap nor pcapng", hex.join(" ")))
            }
        },
    }
}

fn pcap_step(
    parser: &PcapParser,
    unread: &[u8],
    record: impl FnOnce(&RawPcapPacket<'_>, usize) -> Record,
) -> Step {
    match parser.next_raw_packet(unread) {
        Ok((rest, packet)) if packet.incl_len as usize <= RECORD_BYTES_MAX => {
            Step::Taken(unread.len() - rest.len(), Some(record(&packet, packet.incl_len as usize)))
        }
        Err(PcapError::IncompleteBuffer) if claimed_bytes(parser, unread) <= RECORD_BYTES_MAX => Step::Short,
        _ => Step::Damaged("a record claims to be longer than 16 MiB".into()),
    }
}

/// How many bytes a record that is not all there says it has; 0 while that is not there either.
fn claimed_bytes(parser: &PcapParser, unread: &[u8]) -> usize {
    let Some(bytes) = unread.get(8..).and_then(|bytes| bytes.first_chunk()) else { return 0 };
    let claimed = match parser.header().endianness {
        Endianness::Big => u32::from_be_bytes(*bytes),
        Endianness::Little => u32::from_le_bytes(*bytes),
    };
    claimed as usize
}
