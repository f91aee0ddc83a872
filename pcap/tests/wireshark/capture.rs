//! Captures to look at: pcap files of raw IPv4, and the UDP datagrams in them.

use redpkt_proto::{Direction, Frame};
use std::path::Path;
use std::time::Duration;
use zerocopy::IntoBytes;

/// The server's port, which no other protocol has.
const PORT: u16 = 7_100;

/// A datagram, and how much of it the capture has.
#[derive(Clone)]
pub struct Record {
    /// When.
    pub time: Duration,
    /// Which way.
    pub direction: Direction,
    /// The datagram.
    pub payload: Vec<u8>,
    /// Bytes of it that were not kept.
    pub snapped: usize,
}

impl Record {
    /// A datagram of these frames.
    pub fn of(time: Duration, frames: &[Frame]) -> Record {
        Record::bytes(time, frames[0].header.direction(), frames.as_bytes())
    }

    /// A datagram of any bytes.
    pub fn bytes(time: Duration, direction: Direction, payload: &[u8]) -> Record {
        Record { time, direction, payload: payload.to_vec(), snapped: 0 }
    }

    /// As on the network: headers of IPv4 and UDP, without checksums.
    fn packet(&self) -> Vec<u8> {
        let length = self.payload.len() as u16 + 28;
        let mut bytes = vec![0x45, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        let ports = if self.direction == Direction::ToServer { [50_000, PORT] } else { [PORT, 50_000] };
        for half in [ports[0], ports[1], length - 20, 0] {
            bytes.extend(half.to_be_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }
}

/// Writes a capture with times in nanoseconds.
pub fn write(path: &Path, records: &[Record]) {
    const RAW_IP: u32 = 101;
    let mut file = Vec::new();
    file.extend(0xa1b2_3c4d_u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    for field in [0, 0, 65_535, RAW_IP] {
        file.extend(u32::to_le_bytes(field));
    }
    for record in records {
        let packet = record.packet();
        let kept = packet.len() - record.snapped;
        let fields =
            [record.time.as_secs() as u32, record.time.subsec_nanos(), kept as u32, packet.len() as u32];
        for field in fields {
            file.extend(field.to_le_bytes());
        }
        file.extend(&packet[..kept]);
    }
    std::fs::write(path, file).expect("the test's directory is writable");
}
