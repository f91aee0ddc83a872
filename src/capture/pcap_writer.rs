//! Capture files: pcap with times in ns (draft-ietf-opsawg-pcap).

use pcap_file::pcap::PcapHeader;
use pcap_file::{DataLink, Endianness, TsResolution};
use std::io::{self, BufWriter, Write};

/// Bytes that are given to the system at once.
const BUFFER_BYTES: usize = 1 << 18;

/// Bytes of a record's header: seconds, ns, bytes captured, bytes there were; 4 each.
const RECORD_HEADER_BYTES: usize = 16;

/// The most of a record that is kept, as the file's header tells.
pub const SNAP_BYTES: usize = 65_535;

/// Writes a capture file. (The `pcap-file` crate's own writer cannot be flushed, and who reads along needs that.)
pub struct PcapWriter<W: Write> {
    file: BufWriter<W>,
    bytes: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the header of a file whose records begin with the headers of this link.
    pub fn begin(file: W, link: DataLink) -> io::Result<PcapWriter<W>> {
        let header = PcapHeader {
            datalink: link,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::Little,
            snaplen: SNAP_BYTES as u32,
            ..PcapHeader::default()
        };
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let bytes = header.write_to(&mut file).map_err(io::Error::other)? as u64;
        Ok(PcapWriter { file, bytes })
    }

    /// Adds a record: when it was, in ns since 1970 (until 2106), how long it was, and the beginning of it that was
    /// captured. No more than [`SNAP_BYTES`] of that are kept.
    pub fn write(&mut self, wall_ns: u64, len: usize, captured: &[u8]) -> io::Result<()> {
        let captured = &captured[..captured.len().min(SNAP_BYTES)];
        let words = [wall_ns / 1_000_000_000, wall_ns % 1_000_000_000, captured.len() as u64, len as u64];
        let mut header = [0; RECORD_HEADER_BYTES];
        for (bytes, word) in header.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&(word as u32).to_le_bytes());
        }
        self.file.write_all(&header)?;
        self.file.write_all(captured)?;
        self.bytes += (RECORD_HEADER_BYTES + captured.len()) as u64;
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives all to the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcap::PcapReader;

    #[test]
    fn what_is_written_reads_as_it_was() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::begin(&mut file, DataLink::ETHERNET).unwrap();
        let long = vec![7; SNAP_BYTES + 1];
        for (wall_ns, len, bytes) in
            [(1, 5, &b"hello"[..]), (u64::from(u32::MAX) * 1_000_000_000 + 9, 100_000, &long)]
        {
            writer.write(wall_ns, len, bytes).unwrap();
        }
        writer.flush().unwrap();
        let bytes = writer.bytes();
        drop(writer);
        assert_eq!(bytes, file.len() as u64);
        let mut reader = PcapReader::new(&file[..]).unwrap();
        assert_eq!(reader.header().datalink, DataLink::ETHERNET);
        // Raw ones: the other kind may not have been longer than what is kept.
        let first = reader.next_raw_packet().unwrap().unwrap().into_owned();
        assert_eq!((first.ts_sec, first.ts_frac, first.orig_len, &first.data[..]), (0, 1, 5, &b"hello"[..]));
        let second = reader.next_raw_packet().unwrap().unwrap();
        assert_eq!((second.ts_sec, second.ts_frac, second.orig_len), (u32::MAX, 9, 100_000));
        assert_eq!(second.data[..], long[..SNAP_BYTES]);
        assert!(reader.next_raw_packet().is_none());
    }
}
