//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng).

use super::{RECORD_BYTES_MAX, Record, Step};
use pcap_file::pcapng::PcapNgParser;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK,
    SIMPLE_PACKET_BLOCK,
};
use pcap_file::{Endianness, PcapError};

/// Interfaces of one section. More is no machine but a file made to fill memory.
const INTERFACES_MAX: usize = 4_096;

/// Bytes of their descriptions, which the parser keeps with all options.
const INTERFACES_BYTES_MAX: usize = 1 << 20;

/// Type and length, before a block's body.
const BLOCK_HEADER_BYTES: usize = 8;

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
    parser: PcapNgParser,
    interfaces: Vec<Interface>,
    /// Of their descriptions.
    interfaces_bytes: usize,
}

/// A reader of one block's integers.
struct Body<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
}

impl Body<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.endianness {
            Endianness::Big => u16::from_be_bytes(bytes),
            Endianness::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.endianness {
            Endianness::Big => u32::from_be_bytes(bytes),
            Endianness::Little => u32::from_le_bytes(bytes),
        })
    }
}

impl PcapNg {
    /// Reads the first section's header; how long it is.
    pub fn begin(bytes: &[u8]) -> Result<Option<(usize, PcapNg)>, String> {
        match PcapNgParser::new(bytes) {
            Ok((rest, parser)) => Ok(Some((
                bytes.len() - rest.len(),
                PcapNg { parser, interfaces: Vec::new(), interfaces_bytes: 0 },
            ))),
            Err(PcapError::IncompleteBuffer) if bytes.len() <= RECORD_BYTES_MAX => Ok(None),
            Err(error) => Err(format!("it begins as pcapng and goes on wrong: {error}")),
        }
    }

    /// Reads one block of `unread`, which begins at `start` of the buffer.
    pub fn step(&mut self, unread: &[u8], start: usize) -> Step {
        match self.parser.next_raw_block(unread) {
            Ok((rest, block)) => {
                let taken = unread.len() - rest.len();
                match block.type_ {
                    SECTION_HEADER_BLOCK => {
                        self.interfaces.clear();
                        self.interfaces_bytes = 0;
                    }
                    INTERFACE_DESCRIPTION_BLOCK => return self.interface(taken),
                    ENHANCED_PACKET_BLOCK | PACKET_BLOCK | SIMPLE_PACKET_BLOCK => {
                        return self.record(block.type_, unread, taken, start);
                    }
                    _ => {}
                }
                Step::Taken(taken, None)
            }
            Err(PcapError::IncompleteBuffer) => self.short(unread),
            Err(error) => Step::Damaged(format!("a block is not as pcapng has them: {error}")),
        }
    }

    /// The parser asks for more: either the block is not all there, or something in it is too short.
    fn short(&self, unread: &[u8]) -> Step {
        // A section's header begins alike in both byte orders, and says behind its length which one is the section's.
        let endianness = match unread {
            [0x0a, 0x0d, 0x0d, 0x0a, rest @ ..] => match rest.get(4..8) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Endianness::Big,
                Some(_) => Endianness::Little,
                None => return Step::Short,
            },
            _ => self.parser.section().endianness,
        };
        match (Body { bytes: unread, endianness }).u32(4) {
            Some(length) if length as usize > RECORD_BYTES_MAX => {
                Step::Damaged("a block claims to be longer than 16 MiB".into())
            }
            Some(length) if unread.len() >= (length as usize).max(12) => {
                Step::Damaged("an option of a block is too short".into())
            }
            _ => Step::Short,
        }
    }

    fn interface(&mut self, taken: usize) -> Step {
        if self.interfaces.len() == INTERFACES_MAX {
            return Step::Damaged(format!("a section has more than {INTERFACES_MAX} interfaces"));
        }
        self.interfaces_bytes += taken;
        if self.interfaces_bytes > INTERFACES_BYTES_MAX {
            return Step::Damaged("the interfaces of a section are described in more than 1 MiB".into());
        }
        self.interfaces.extend(self.parser.interfaces().last().map(Interface::of));
        Step::Taken(taken, None)
    }

    fn record(&self, block_type: u32, unread: &[u8], taken: usize, start: usize) -> Step {
        let endianness = self.parser.section().endianness;
        let bytes = &unread[BLOCK_HEADER_BYTES..taken - 4];
        match self.record_of(block_type, &Body { bytes, endianness }, start + BLOCK_HEADER_BYTES) {
            Some(record) => Step::Taken(taken, Some(record)),
            None => {
                Step::Damaged("a record is longer than its block, or of no interface of its section".into())
            }
        }
    }

    fn record_of(&self, block_type: u32, body: &Body<'_>, start: usize) -> Option<Record> {
        let (interface, ticks, data_at, captured, original_bytes) = match block_type {
            SIMPLE_PACKET_BLOCK => {
                let interface = self.interfaces.first()?;
                let original = body.u32(0)?;
                let snap = if interface.snap_bytes == 0 { u32::MAX } else { interface.snap_bytes };
                (interface, 0, 4, original.min(snap), original)
            }
            _ => {
                let id = if block_type == PACKET_BLOCK { body.u16(0)?.into() } else { body.u32(0)? };
                let interface = self.interfaces.get(id as usize)?;
                let ticks = u64::from(body.u32(4)?) << 32 | u64::from(body.u32(8)?);
                (interface, ticks, 20, body.u32(12)?, body.u32(16)?)
            }
        };
        body.bytes.get(data_at..data_at + captured as usize)?;
        let range = start + data_at..start + data_at + captured as usize;
        // Simple blocks say no time.
        let time_ns = if block_type == SIMPLE_PACKET_BLOCK { 0 } else { interface.time_ns(ticks) };
        Some(Record { time_ns, link_type: interface.link_type, original_bytes, range })
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>) -> Interface {
        // Without an option times are µs since 1970.
        let mut interface = Interface {
            link_type: u32::from(block.linktype) & 0xffff,
            snap_bytes: block.snaplen,
            resolution: 6,
            offset_s: 0,
        };
        for option in &block.options {
            match option {
                InterfaceDescriptionOption::IfTsResol(resolution) => interface.resolution = *resolution,
                InterfaceDescriptionOption::IfTsOffset(offset) => interface.offset_s = *offset as i64,
                _ => {}
            }
        }
        interface
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
