//! Link layers: where in a record the IP header is.

use crate::reason::Reason;
use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

/// VLAN tags in a row that are believed.
const VLAN_TAGS_MAX: usize = 8;

const ETHER_TYPE_IPV4: u16 = 0x0800;
const ETHER_TYPE_IPV6: u16 = 0x86dd;
/// A tag of IEEE 802.1Q, of 802.1ad (QinQ), and of QinQ before it was a standard.
const ETHER_TYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Bytes of a Linux cooked header, of its second version, and of BSD's loopback header.
const SLL_BYTES: usize = 16;
const SLL2_BYTES: usize = 20;
const LOOPBACK_BYTES: usize = 4;

/// Which way a record went through the machine that captured it, where its link type says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It came in.
    Incoming,
    /// It went out.
    Outgoing,
    /// Nothing is said.
    Unknown,
}

/// The name of a link type that is read.
pub fn name(link_type: u32) -> Option<&'static str> {
    Some(match link_type {
        0 => "NULL",
        1 => "ETHERNET",
        101 => "RAW",
        108 => "LOOP",
        113 => "LINUX_SLL",
        228 => "IPV4",
        229 => "IPV6",
        276 => "LINUX_SLL2",
        _ => return None,
    })
}

/// Where the IP header of a record begins, and which way it went. Records without one are not UDP's.
#[inline]
pub fn ip_header(link_type: u32, bytes: &[u8]) -> Result<(usize, Way), Reason> {
    match link_type {
        101 | 228 | 229 => Ok((0, Way::Unknown)),
        1 => {
            let header = Ethernet2HeaderSlice::from_slice(bytes).map_err(|_| Reason::Malformed)?;
            let at = behind_tags(header.ether_type().0, header.slice().len(), bytes)?;
            Ok((at, Way::Unknown))
        }
        0 | 108 => {
            (bytes.len() > LOOPBACK_BYTES).then_some((LOOPBACK_BYTES, Way::Unknown)).ok_or(Reason::Malformed)
        }
        // Read here: etherparse refuses cooked headers of hardware that it does not know.
        113 => {
            let header = bytes.first_chunk::<SLL_BYTES>().ok_or(Reason::Malformed)?;
            let at = behind_tags(u16::from_be_bytes([header[14], header[15]]), SLL_BYTES, bytes)?;
            Ok((at, way(u16::from_be_bytes([header[0], header[1]]))))
        }
        276 => {
            let header = bytes.first_chunk::<SLL2_BYTES>().ok_or(Reason::Malformed)?;
            let at = behind_tags(u16::from_be_bytes([header[0], header[1]]), SLL2_BYTES, bytes)?;
            Ok((at, way(header[10].into())))
        }
        _ => Err(Reason::LinkType),
    }
}

/// A cooked header's packet type: 0 is to us, 4 is from us.
fn way(packet_type: u16) -> Way {
    match packet_type {
        0 => Way::Incoming,
        4 => Way::Outgoing,
        _ => Way::Unknown,
    }
}

#[inline]
fn behind_tags(mut ether_type: u16, mut at: usize, bytes: &[u8]) -> Result<usize, Reason> {
    for _ in 0..=VLAN_TAGS_MAX {
        match ether_type {
            ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6 => return Ok(at),
            tag if ETHER_TYPES_VLAN.contains(&tag) => {
                let tag = SingleVlanHeaderSlice::from_slice(&bytes[at..]).map_err(|_| Reason::Malformed)?;
                ether_type = tag.ether_type().0;
                at += tag.slice().len();
            }
            _ => return Err(Reason::NotUdp),
        }
    }
    Err(Reason::Malformed)
}
