//! The headers' bytes: Ethernet II, IEEE 802.1Q, RFC 791, RFC 8200, RFC 768. All fields big-endian.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What follows an Ethernet header or a tag.
pub(super) mod kind {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const TAG: u16 = 0x8100;
    pub(in super::super) const IPV6: u16 = 0x86dd;
}

/// The protocol number of UDP, in both IP versions.
pub(super) const UDP: u8 = 17;

/// Version 4, and a header of five 32-bit words: no options.
pub(super) const VERSION_4_WORDS_5: u8 = 0x45;

/// The bit that forbids routers to fragment.
pub(super) const DO_NOT_FRAGMENT: u16 = 0x4000;

/// More fragments follow, or this is not the first: a bit, and the 13 bits of the offset.
pub(super) const FRAGMENT: u16 = 0x3fff;

/// Version 6; traffic class and flow label 0.
pub(super) const VERSION_6: u32 = 6 << 28;

/// The bits of a tag that name the VLAN; the others are its priority.
pub(super) const VLAN_ID: u16 = 0x0fff;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Ethernet {
    /// To, from.
    pub(super) macs: [[u8; 6]; 2],
    pub(super) kind: U16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Tag {
    /// 3 bits of priority, 1 that allows to drop, 12 of the VLAN's id.
    pub(super) control: U16,
    pub(super) kind: U16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Ipv4 {
    pub(super) version_and_words: u8,
    pub(super) traffic_class: u8,
    /// Of this header and all that follows it.
    pub(super) bytes: U16,
    pub(super) identification: U16,
    /// 3 flags, 13 bits of the offset in units of 8 bytes.
    pub(super) fragment: U16,
    pub(super) time_to_live: u8,
    pub(super) protocol: u8,
    pub(super) checksum: [u8; 2],
    /// From, to.
    pub(super) addresses: [[u8; 4]; 2],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Ipv6 {
    /// 4 bits of version, 8 of traffic class, 20 of flow label.
    pub(super) version_and_flow: U32,
    /// Of what follows this header.
    pub(super) bytes: U16,
    pub(super) protocol: u8,
    pub(super) hop_limit: u8,
    /// From, to.
    pub(super) addresses: [[u8; 16]; 2],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Udp {
    /// From, to.
    pub(super) ports: [U16; 2],
    /// Of this header and the payload.
    pub(super) bytes: U16,
    pub(super) checksum: [u8; 2],
}

/// The headers from IPv4 on.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct UdpIpv4 {
    pub(super) ip: Ipv4,
    pub(super) udp: Udp,
}

/// The headers from IPv6 on.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct UdpIpv6 {
    pub(super) ip: Ipv6,
    pub(super) udp: Udp,
}

const _: () = assert!(size_of::<Ethernet>() == 14 && align_of::<Ethernet>() == 1);
const _: () = assert!(size_of::<Tag>() == 4 && align_of::<Tag>() == 1);
const _: () = assert!(size_of::<Ipv4>() == 20 && align_of::<Ipv4>() == 1);
const _: () = assert!(size_of::<Ipv6>() == 40 && align_of::<Ipv6>() == 1);
const _: () = assert!(size_of::<Udp>() == 8 && align_of::<Udp>() == 1);
const _: () = assert!(size_of::<UdpIpv4>() == 28 && size_of::<UdpIpv6>() == 48);
