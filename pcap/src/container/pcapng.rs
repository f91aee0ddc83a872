//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! `pcap-file` reads every option of a block, and refuses a file for one that is none of ours to judge. So blocks are
//! taken apart here, down to what records need.

use super::{RECORD_BYTES_MAX, Record, Step};
use pcap_file::Endianness;
use pcap_file::pcapng::blocks::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK,
    SIMPLE_PACKET_BLOCK,
};

/// Interfaces of one section. More is no machine but a file made to fill memory.
const INTERFACES_MAX: usize = 4_096;

/// Type and length, before a block's body, and the length once more behind it.
const BLOCK_HEADER_BYTES: usize = 8;
const BLOCK_TRAILER_BYTES: usize = 4;

/// What a section's header has before its options: byte order, version and length of the section.
const SECTION_BYTES_MIN: usize = 16;

/// What an interface's description has before its options: link type, two bytes of no meaning, snap length.
const INTERFACE_OPTIONS_AT: usize = 8;

/// Options of an interface: how long a unit of its times is, and what is added to them.
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// The last option, which a writer may leave out.
const OPT_ENDOFOPT: u16 = 0;

/// What is needed of an interface for its records.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snap_bytes: u32,
    resolution: u8,
    offset_s: i64,
}

/// The state of reading a pcapng file.
pub struct PcapNg {
    endianness: Endianness,
    interfaces: Vec<Interface>,
    /// The time of the record before.
    last_ns: u64,
}

/// A block that is all there.
struct Block<'a> {
    block_type: u32,
    /// With its type and both lengths.
    length: usize,
    body: Body<'a>,
}

/// A reader of one block's integers.
struct Body<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
}

impl Body<'_> {
    /// So many bytes, the least significant one first.
    fn little<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = *self.bytes.get(at..)?.first_chunk()?;
        if self.endianness == Endianness::Big {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.little(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.little(at).map(u32::from_le_bytes)
    }

    fn i64(&self, at: usize) -> Option<i64> {
        self.little(at).map(i64::from_le_bytes)
    }
}

impl<'a> Block<'a> {
    /// The block that begins here, of a section of this byte order. `None`: more bytes are needed.
    fn read(bytes: &'a [u8], endianness: Endianness) -> Result<Option<Block<'a>>, String> {
        // A section's header begins alike in both byte orders, and says behind its length which one is the section's.
        let endianness = match bytes {
            [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, magic @ ..] => match magic.first_chunk() {
                None => return Ok(None),
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Endianness::Big,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Endianness::Little,
                Some(_) => return Err("a section's header is of no byte order".into()),
            },
            _ => endianness,
        };
        let all = Body { bytes, endianness };
        let (Some(block_type), Some(claimed)) = (all.u32(0), all.u32(4)) else { return Ok(None) };
        let length = claimed as usize;
        if length > RECORD_BYTES_MAX {
            return Err("a block claims to be longer than 16 MiB".into());
        }
        if length < BLOCK_HEADER_BYTES + BLOCK_TRAILER_BYTES || !length.is_multiple_of(4) {
            return Err(format!("a block claims to be {length} bytes long"));
        }
        if bytes.len() < length {
            return Ok(None);
        }
        let body_end = length - BLOCK_TRAILER_BYTES;
        if all.u32(body_end) != Some(claimed) {
            return Err("a block's two lengths differ".into());
        }
        let body = Body { bytes: &bytes[BLOCK_HEADER_BYTES..body_end], endianness };
        Ok(Some(Block { block_type, length, body }))
    }
}

impl PcapNg {
    /// Reads the first section's header; how long it is.
    pub fn begin(bytes: &[u8]) -> Result<Option<(usize, PcapNg)>, String> {
        let mut format = PcapNg { endianness: Endianness::Little, interfaces: Vec::new(), last_ns: 0 };
        match format.step(bytes, 0) {
            Step::Taken(length, _) => Ok(Some((length, format))),
            Step::Short => Ok(None),
            Step::Damaged(why) => Err(format!("it begins as pcapng and goes on wrong: {why}")),
        }
    }

    /// Reads one block of `unread`, which begins at `start` of the buffer.
    pub fn step(&mut self, unread: &[u8], start: usize) -> Step {
        let block = match Block::read(unread, self.endianness) {
            Ok(Some(block)) => block,
            Ok(None) => return Step::Short,
            Err(why) => return Step::Damaged(why),
        };
        let outcome = match block.block_type {
            SECTION_HEADER_BLOCK => self.section(&block.body).map(|()| None),
            INTERFACE_DESCRIPTION_BLOCK => self.interface(&block.body).map(|()| None),
            ENHANCED_PACKET_BLOCK | PACKET_BLOCK | SIMPLE_PACKET_BLOCK => self
                .record(block.block_type, &block.body, start + BLOCK_HEADER_BYTES)
                .map(Some)
                .ok_or_else(|| "a record is longer than its block, or of no interface of its section".into()),
            _ => Ok(None),
        };
        match outcome {
            Ok(record) => Step::Taken(block.length, record),
            Err(why) => Step::Damaged(why),
        }
    }

    fn section(&mut self, body: &Body<'_>) -> Result<(), String> {
        if body.bytes.len() < SECTION_BYTES_MIN {
            return Err("a section's header is too short".into());
        }
        self.endianness = body.endianness;
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, body: &Body<'_>) -> Result<(), String> {
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(format!("a section has more than {INTERFACES_MAX} interfaces"));
        }
        let interface = Interface::of(body).ok_or("an interface's description is longer than its block")?;
        self.interfaces.push(interface);
        Ok(())
    }

    fn record(&mut self, block_type: u32, body: &Body<'_>, start: usize) -> Option<Record> {
        let (interface, time_ns, data_at, captured, original_bytes) = match block_type {
            SIMPLE_PACKET_BLOCK => {
                let interface = self.interfaces.first()?;
                let original = body.u32(0)?;
                let snap = if interface.snap_bytes == 0 { u32::MAX } else { interface.snap_bytes };
                // It says no time.
                (interface, self.last_ns, 4, original.min(snap), original)
            }
            _ => {
                let id = if block_type == PACKET_BLOCK { body.u16(0)?.into() } else { body.u32(0)? };
                let interface = self.interfaces.get(id as usize)?;
                let ticks = u64::from(body.u32(4)?) << 32 | u64::from(body.u32(8)?);
                (interface, interface.time_ns(ticks), 20, body.u32(12)?, body.u32(16)?)
            }
        };
        body.bytes.get(data_at..data_at + captured as usize)?;
        let range = start + data_at..start + data_at + captured as usize;
        self.last_ns = time_ns;
        Some(Record { time_ns, link_type: interface.link_type, original_bytes, range })
    }
}

impl Interface {
    /// Of options only those that times depend on are looked at. `None`: something is longer than the block.
    fn of(body: &Body<'_>) -> Option<Interface> {
        // Without an option times are µs since 1970.
        let mut interface = Interface {
            link_type: body.u16(0)?.into(),
            snap_bytes: body.u32(4)?,
            resolution: 6,
            offset_s: 0,
        };
        let mut at = INTERFACE_OPTIONS_AT;
        while let Some(code) = body.u16(at).filter(|code| *code != OPT_ENDOFOPT) {
            let length = usize::from(body.u16(at + 2)?);
            let value = body.bytes.get(at + 4..)?.get(..length)?;
            match (code, value) {
                (IF_TSRESOL, [resolution]) => interface.resolution = *resolution,
                (IF_TSOFFSET, [_, _, _, _, _, _, _, _]) => interface.offset_s = body.i64(at + 4)?,
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        Some(interface)
    }

    /// A time of this interface in ns since 1970.
    fn time_ns(&self, ticks: u64) -> u64 {
        const NS: u128 = 1_000_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let ns = match self.resolution & 0x80 {
            0 if power <= 9 => u128::from(ticks) * 10_u128.pow(9 - power),
            0 => 10_u128.checked_pow(power - 9).map_or(0, |divisor| u128::from(ticks) / divisor),
            _ => (u128::from(ticks) * NS) >> power,
        };
        let offset_ns = i128::from(self.offset_s) * NS as i128;
        (ns as i128 + offset_ns).clamp(0, u64::MAX.into()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: powers of ten and of two, finer than ns too, with an offset, and never an overflow.
    #[test]
    fn times_of_every_resolution_are_ns() {
        let time = |resolution, offset_s, ticks| {
            Interface { link_type: 1, snap_bytes: 0, resolution, offset_s }.time_ns(ticks)
        };
        assert_eq!(time(6, 0, 1_500_000), 1_500_000_000);
        assert_eq!(time(9, 0, 7), 7);
        assert_eq!(time(12, 0, 7_000), 7);
        assert_eq!(time(0x80 | 10, 0, 1_024), 1_000_000_000);
        assert_eq!(time(0, 5, 1), 6_000_000_000);
        assert_eq!(time(0, -5, 1), 0);
        for resolution in 0..=255 {
            for offset in [i64::MIN, 0, i64::MAX] {
                time(resolution, offset, u64::MAX);
            }
        }
    }
}
