//! Control messages: what the kernel says beside a datagram's bytes, and what it is told.

use super::address::{Family, split_scope};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Room for every control message used here: a drop counter, a time and a packet info, or a segment size.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Control([u8; CONTROL_BYTES]);

/// Bytes of a [`Control`]: two cache lines.
pub(super) const CONTROL_BYTES: usize = 128;

const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const ALIGN: usize = align_of::<libc::cmsghdr>();
const _: () = assert!(
    3 * HEADER_BYTES
        + size_of::<u32>().next_multiple_of(ALIGN)
        + size_of::<libc::timespec>()
        + size_of::<libc::in6_pktinfo>()
        <= CONTROL_BYTES
);

/// What the control messages of a received datagram said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Datagrams that the socket has dropped since it was made, wrapping; absent when there are none.
    pub(super) dropped: Option<u32>,
    /// When the kernel received the datagram, on its wall clock, in ns since 1970.
    pub(super) received_ns: Option<i64>,
    /// The local address at which the datagram came, in a path's form; absent for a multicast one,
    /// which cannot be a reply's source.
    pub(super) local_ip: Option<[u8; 16]>,
    /// Bytes of each segment of a datagram that the kernel put together (UDP_GRO).
    pub(super) segment_bytes: Option<usize>,
}

impl Control {
    pub(super) const EMPTY: Control = Control([0; CONTROL_BYTES]);

    /// Reads the first `filled` bytes, as the kernel left them.
    ///
    /// Written by hand over safe slices, because the CMSG_ macros work on raw pointers.
    pub(super) fn read(&self, filled: usize) -> Received {
        let mut received = Received::default();
        let mut rest = &self.0[..filled.min(CONTROL_BYTES)];
        while rest.len() >= HEADER_BYTES {
            let len = usize::from_ne_bytes(rest[..size_of::<usize>()].try_into().expect("8 bytes"));
            if len < HEADER_BYTES || len > rest.len() {
                break;
            }
            let level = i32_at(rest, HEADER_BYTES - 8);
            let kind = i32_at(rest, HEADER_BYTES - 4);
            received.take(level, kind, &rest[HEADER_BYTES..len]);
            rest = &rest[len.next_multiple_of(ALIGN).min(rest.len())..];
        }
        received
    }

    /// Says that the datagram leaves from `ip` (in a path's form), and returns the bytes used.
    pub(super) fn write_source(&mut self, ip: [u8; 16], family: Family) -> usize {
        match family {
            Family::V4 => {
                // struct in_pktinfo: interface (0: the routing table's choice), source, unused.
                let mut data = [0; size_of::<libc::in_pktinfo>()];
                data[4..8].copy_from_slice(&ip[12..]);
                self.write(libc::IPPROTO_IP, libc::IP_PKTINFO, &data)
            }
            Family::V6 => {
                // struct in6_pktinfo: source, interface (which a link-local source needs).
                let (ip, scope) = split_scope(ip);
                let mut data = [0; size_of::<libc::in6_pktinfo>()];
                data[..16].copy_from_slice(&ip);
                data[16..].copy_from_slice(&scope.to_ne_bytes());
                self.write(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data)
            }
        }
    }

    /// Says that the bytes are datagrams of `bytes` each, and returns the bytes used.
    pub(super) fn write_segment_bytes(&mut self, bytes: u16) -> usize {
        self.write(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes())
    }

    fn write(&mut self, level: i32, kind: i32, data: &[u8]) -> usize {
        let len = HEADER_BYTES + data.len();
        self.0[..HEADER_BYTES - 8].fill(0);
        self.0[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
        self.0[HEADER_BYTES - 8..HEADER_BYTES - 4].copy_from_slice(&level.to_ne_bytes());
        self.0[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&kind.to_ne_bytes());
        self.0[HEADER_BYTES..len].copy_from_slice(data);
        len.next_multiple_of(ALIGN)
    }
}

impl Received {
    fn take(&mut self, level: i32, kind: i32, data: &[u8]) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) if data.len() >= 4 => {
                self.dropped = Some(i32_at(data, 0) as u32);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if data.len() >= size_of::<libc::timespec>() => {
                let [seconds, ns] =
                    [0, 8].map(|at| i64::from_ne_bytes(data[at..at + 8].try_into().expect("8 bytes")));
                self.received_ns = seconds.checked_mul(1_000_000_000).and_then(|all| all.checked_add(ns));
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if data.len() >= size_of::<libc::in_pktinfo>() => {
                // ipi_spec_dst, not ipi_addr: for a broadcast it is our own address on that interface.
                let ip = Ipv4Addr::new(data[4], data[5], data[6], data[7]);
                self.local_ip = Some(ip.to_ipv6_mapped().octets());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data.len() >= size_of::<libc::in6_pktinfo>() => {
                let octets: [u8; 16] = data[..16].try_into().expect("16 bytes");
                let ip = Ipv6Addr::from(octets);
                if !ip.is_multicast() {
                    self.local_ip = Some(super::address::join_scope(ip, i32_at(data, 16) as u32));
                }
            }
            (libc::SOL_UDP, libc::UDP_GRO) if data.len() >= 4 => {
                self.segment_bytes = usize::try_from(i32_at(data, 0)).ok();
            }
            _ => {}
        }
    }
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_c_macros() {
        let mut control = Control::EMPTY;
        let used = control.write_segment_bytes(64);
        // SAFETY: CMSG_SPACE only computes.
        assert_eq!(used, unsafe { libc::CMSG_SPACE(2) } as usize);
        let used = control.write_source([0; 16], Family::V6);
        // SAFETY: CMSG_SPACE only computes.
        assert_eq!(used, unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize);
    }

    #[test]
    fn a_source_written_for_sending_reads_back() {
        let mut control = Control::EMPTY;
        for (ip, family) in [
            (Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped().octets(), Family::V4),
            (Ipv6Addr::LOCALHOST.octets(), Family::V6),
            (super::super::address::join_scope("fe80::1".parse().unwrap(), 7), Family::V6),
        ] {
            let used = control.write_source(ip, family);
            assert_eq!(control.read(used).local_ip, Some(ip));
        }
    }

    #[test]
    fn broken_lengths_end_the_reading() {
        for len in [0usize, 3, 15, 65, usize::MAX] {
            let mut control = Control::EMPTY;
            control.0[..8].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(control.read(CONTROL_BYTES), Received::default());
        }
    }
}
