//! What must become of a frame, written a second time: by slicing, field by field, without the program's
//! tricks.

use super::Verdict;
use crate::net::xdp::filter::{Filter, Take};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) fn verdict(filter: &Filter, frame: &[u8]) -> Verdict {
    let Some(found) = datagram(filter, frame) else { return Verdict::Passed };
    if !is_ours(&filter.take, &found) {
        return Verdict::Passed;
    }
    let Some(bytes) = usize::from(found.udp_length).checked_sub(8) else { return Verdict::DroppedLength };
    if bytes == 0 || bytes % 64 != 0 || bytes > 18 * 64 || bytes > found.payload.len() {
        return Verdict::DroppedLength;
    }
    let (from_server, version) = (found.payload[12] >= 128, found.payload[12] % 128);
    let want_from_server = matches!(filter.take, Take::From { .. });
    if from_server != want_from_server || !(1..=15).contains(&version) {
        return Verdict::DroppedVersion;
    }
    Verdict::Taken
}

struct Found<'a> {
    from: SocketAddr,
    to: SocketAddr,
    udp_length: u16,
    payload: &'a [u8],
}

fn datagram<'a>(filter: &Filter, frame: &'a [u8]) -> Option<Found<'a>> {
    let half = |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if *frame.get(..6)? != filter.mac {
        return None;
    }
    let mut rest = frame.get(12..)?;
    if let Some(vlan) = filter.vlan {
        if half(rest, 0)? != 0x8100 || half(rest, 2)? % 4096 != vlan {
            return None;
        }
        rest = &rest[4..];
    }
    let (from, to, udp): (IpAddr, IpAddr, &[u8]) = match half(rest, 0)? {
        0x0800 => {
            let (ip, udp) = rest[2..].split_at_checked(20)?;
            let fragment = half(ip, 6)?;
            if ip[0] != 0x45 || fragment & 0x2000 != 0 || fragment & 0x1fff != 0 || ip[9] != 17 {
                return None;
            }
            let address = |at| Ipv4Addr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
            (address(12).into(), address(16).into(), udp)
        }
        0x86dd => {
            let (ip, udp) = rest[2..].split_at_checked(40)?;
            if ip[0] >> 4 != 6 || ip[6] != 17 {
                return None;
            }
            let address = |at| Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
            (address(8).into(), address(24).into(), udp)
        }
        _ => return None,
    };
    let (header, payload) = udp.split_at_checked(8)?;
    Some(Found {
        from: SocketAddr::new(from, half(header, 0)?),
        to: SocketAddr::new(to, half(header, 2)?),
        udp_length: half(header, 4)?,
        payload,
    })
}

fn is_ours(take: &Take, found: &Found<'_>) -> bool {
    match take {
        Take::To(addresses) => addresses
            .iter()
            .any(|address| address.ip().to_canonical() == found.to.ip() && address.port() == found.to.port()),
        Take::From { server, network, prefix_bits } => {
            let prefix_bits = u32::from(*prefix_bits);
            let inside = match (network, found.to.ip()) {
                (IpAddr::V4(network), IpAddr::V4(to)) => {
                    (network.to_bits() ^ to.to_bits()).leading_zeros() >= prefix_bits
                }
                (IpAddr::V6(network), IpAddr::V6(to)) => {
                    (network.to_bits() ^ to.to_bits()).leading_zeros() >= prefix_bits
                }
                _ => false,
            };
            *server == found.from && inside
        }
    }
}
