//! From a record to a datagram: link, IP and UDP headers.

use crate::container::Record;
use crate::link::{self, Way};
use crate::reason::Reason;
use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6ExtensionsSlice, Ipv6HeaderSlice, UdpHeaderSlice};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// An address and a port. IPv4 is mapped into IPv6 (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// As on the network.
    pub ip: [u8; 16],
    /// UDP port.
    pub port: u16,
}

impl Address {
    /// As the standard library has it.
    pub fn to_socket_addr(self) -> SocketAddr {
        SocketAddr::new(canonical(self.ip), self.port)
    }
}

/// An address as people write it: a mapped one is IPv4's.
pub fn canonical(ip: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(ip).to_canonical()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_socket_addr().fmt(f)
    }
}

/// One UDP datagram of a record.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// When it was captured, in ns since 1970.
    pub time_ns: u64,
    /// Who sent it.
    pub from: Address,
    /// Whom to.
    pub to: Address,
    /// Whether it went to a server, by its ports.
    pub is_to_server: bool,
    /// Which way it went, where the link type says so.
    pub way: Way,
    /// Whether its checksum is right, or it has none. A machine's own datagrams may get theirs from the network card,
    /// after they were captured.
    pub is_checksum_right: bool,
    /// Where its payload is in the capture's bytes.
    pub range: Range<usize>,
}

/// What headers say of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Who sent it.
    pub from: Address,
    /// Whom to.
    pub to: Address,
    /// Whether it went to a server, by its ports.
    pub is_to_server: bool,
    /// Bytes of its payload.
    pub payload_bytes: u64,
}

impl Datagram {
    /// What its headers say.
    #[inline]
    pub fn headers(&self) -> Headers {
        let payload_bytes = self.range.len() as u64;
        Headers { from: self.from, to: self.to, is_to_server: self.is_to_server, payload_bytes }
    }
}

/// A record that is no whole datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Why.
    pub reason: Reason,
    /// Its headers, where they are there down to UDP's.
    pub headers: Option<Headers>,
}

impl From<Reason> for Other {
    fn from(reason: Reason) -> Other {
        Other { reason, headers: None }
    }
}

/// What the IP header says.
struct Ip<'a> {
    from: [u8; 16],
    to: [u8; 16],
    protocol: u8,
    /// `None`: it is no fragment. Else whether it is the first.
    fragment: Option<bool>,
    payload: &'a [u8],
}

const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;

/// Finds the datagram of a record. `ports` are the servers'.
#[inline]
pub fn datagram(record: &Record, bytes: &[u8], ports: &[u16]) -> Result<Datagram, Other> {
    let kept = &bytes[record.range.clone()];
    let is_snapped = record.original_bytes as usize > kept.len();
    // What is missing because it was not kept is no fault of the sender.
    let fault = if is_snapped { Reason::Snapped } else { Reason::Malformed };
    let (at, way) = link::ip_header(record.link_type, kept).map_err(|reason| match reason {
        Reason::Malformed => fault,
        other => other,
    })?;
    let ip = ip(&kept[at..]).map_err(|()| fault)?;
    if ip.fragment == Some(false) && ip.protocol == UDP {
        return Err(Reason::Fragment.into());
    }
    if ip.protocol != UDP {
        return Err(Reason::NotUdp.into());
    }
    let udp = UdpHeaderSlice::from_slice(ip.payload).map_err(|_| fault)?;
    let from = Address { ip: ip.from, port: udp.source_port() };
    let to = Address { ip: ip.to, port: udp.destination_port() };
    let (from_server, to_server) = (ports.contains(&from.port), ports.contains(&to.port));
    let other = |reason| {
        let payload_bytes = usize::from(udp.length()).saturating_sub(UDP_HEADER_BYTES) as u64;
        Other { reason, headers: Some(Headers { from, to, is_to_server: to_server, payload_bytes }) }
    };
    if !from_server && !to_server {
        return Err(other(Reason::OtherPort));
    }
    if ip.fragment.is_some() {
        return Err(other(Reason::Fragment));
    }
    // A length of 0 says that the datagram is longer than the field can (RFC 2675).
    let length = if udp.length() == 0 { ip.payload.len() } else { usize::from(udp.length()) };
    if length < UDP_HEADER_BYTES {
        return Err(other(Reason::Malformed));
    }
    let whole = ip.payload.get(..length).ok_or(other(fault))?;
    if from.port == 0 {
        return Err(other(Reason::Source));
    }
    let payload = &whole[UDP_HEADER_BYTES..];
    let start = payload.as_ptr() as usize - bytes.as_ptr() as usize;
    // Between two servers' ports the first frame says which way it goes.
    let is_to_server = to_server && !(from_server && payload.get(12).is_some_and(|byte| byte & 0x80 != 0));
    let is_checksum_right = udp.checksum() == 0 || is_checksum_right(&ip, whole);
    let range = start..start + payload.len();
    Ok(Datagram { time_ns: record.time_ns, from, to, is_to_server, way, is_checksum_right, range })
}

fn ip(bytes: &[u8]) -> Result<Ip<'_>, ()> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        _ => Err(()),
    }
}

#[inline]
fn ipv4(bytes: &[u8]) -> Result<Ip<'_>, ()> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| ())?;
    let header_bytes = header.slice().len();
    // Offloaded runs longer than 64 KiB say 0.
    let total = match usize::from(header.total_len()) {
        0 => bytes.len(),
        total => total.min(bytes.len()),
    };
    let mapped = |ip: [u8; 4]| std::net::Ipv4Addr::from(ip).to_ipv6_mapped().octets();
    Ok(Ip {
        from: mapped(header.source()),
        to: mapped(header.destination()),
        protocol: header.protocol().0,
        fragment: header.is_fragmenting_payload().then(|| header.fragments_offset().value() == 0),
        payload: bytes.get(header_bytes..total).ok_or(())?,
    })
}

fn ipv6(bytes: &[u8]) -> Result<Ip<'_>, ()> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| ())?;
    let behind = &bytes[header.slice().len()..];
    let payload = match usize::from(header.payload_length()) {
        0 => behind,
        length => &behind[..length.min(behind.len())],
    };
    let (from, to) = (header.source(), header.destination());
    let next = header.next_header();
    if next == IpNumber(UDP) {
        return Ok(Ip { from, to, protocol: UDP, fragment: None, payload });
    }
    let (extensions, protocol, payload, error) = Ipv6ExtensionsSlice::from_slice_lax(next, payload);
    if error.is_some() {
        return Err(());
    }
    let fragment = extensions.is_fragmenting_payload().then(|| is_first(extensions));
    Ok(Ip { from, to, protocol: protocol.0, fragment, payload })
}

/// Whether these headers are those of a first fragment.
fn is_first(extensions: Ipv6ExtensionsSlice<'_>) -> bool {
    use etherparse::Ipv6ExtensionSlice::Fragment;
    extensions.into_iter().all(|extension| match extension {
        Fragment(fragment) => fragment.fragment_offset().value() == 0,
        _ => true,
    })
}

/// The checksum of RFC 768 over pseudo header, header and payload.
fn is_checksum_right(ip: &Ip<'_>, udp: &[u8]) -> bool {
    // For IPv4 the mapped prefix would count; only the last 4 bytes are its address.
    let is_ipv4 = ip.from[..10] == [0; 10] && ip.from[10..12] == [0xff; 2];
    let from = if is_ipv4 { &ip.from[12..] } else { &ip.from[..] };
    let to = if is_ipv4 { &ip.to[12..] } else { &ip.to[..] };
    let mut sum = sum(from) + sum(to) + u64::from(u16::to_be(UDP.into()));
    sum += u64::from((udp.len() as u16).to_be()) + self::sum(udp);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// The sum of 16-bit words in the machine's order: RFC 1071 §2 says that the order does not matter.
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut sum: u64 =
        words.by_ref().map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))).sum();
    let mut rest = words.remainder().chunks_exact(2);
    sum += rest.by_ref().map(|word| u64::from(u16::from_ne_bytes([word[0], word[1]]))).sum::<u64>();
    sum + rest.remainder().first().map_or(0, |byte| u64::from(u16::from_ne_bytes([*byte, 0])))
}
