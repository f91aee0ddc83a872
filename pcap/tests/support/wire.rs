//! Datagrams as records of each link type, and records as files of each format.

use super::Sent;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Link types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Raw,
    Ethernet,
    Vlan,
    QinQ,
    Sll,
    Sll2,
    Null,
    Loop,
}

impl Link {
    pub const ALL: [Link; 8] =
        [Link::Raw, Link::Ethernet, Link::Vlan, Link::QinQ, Link::Sll, Link::Sll2, Link::Null, Link::Loop];

    pub fn number(self) -> u32 {
        match self {
            Link::Raw => 101,
            Link::Ethernet | Link::Vlan | Link::QinQ => 1,
            Link::Sll => 113,
            Link::Sll2 => 276,
            Link::Null => 0,
            Link::Loop => 108,
        }
    }

    /// The header before an IP header. `packet_type` is that of cooked headers.
    pub fn header(self, is_ipv6: bool, packet_type: u8) -> Vec<u8> {
        let ether_type = if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let family: u32 = if is_ipv6 { 30 } else { 2 };
        match self {
            Link::Raw => Vec::new(),
            Link::Ethernet => [&[2; 12], &ether_type[..]].concat(),
            Link::Vlan => [&[2; 12], &[0x81, 0x00, 0, 5][..], &ether_type].concat(),
            Link::QinQ => [&[2; 12], &[0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6][..], &ether_type].concat(),
            Link::Sll => [&[0, packet_type, 3, 4, 0, 6][..], &[0; 8], &ether_type].concat(),
            Link::Sll2 => [&ether_type[..], &[0, 0, 0, 0, 0, 1, 3, 4, packet_type, 6], &[0; 8]].concat(),
            Link::Null => family.to_le_bytes().to_vec(),
            Link::Loop => family.to_be_bytes().to_vec(),
        }
    }
}

/// Variants of classic pcap.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    UsLittle,
    UsBig,
    NsLittle,
    NsBig,
}

impl Form {
    pub const ALL: [Form; 4] = [Form::UsLittle, Form::UsBig, Form::NsLittle, Form::NsBig];

    fn is_ns(self) -> bool {
        matches!(self, Form::NsLittle | Form::NsBig)
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Form::UsLittle | Form::NsLittle => value.to_le_bytes(),
            Form::UsBig | Form::NsBig => value.to_be_bytes(),
        }
    }
}

/// UDP header and payload.
pub fn udp(sent: &Sent) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(sent.from.port().to_be_bytes());
    bytes.extend(sent.to.port().to_be_bytes());
    bytes.extend((8 + sent.payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(&sent.payload);
    let sum = checksum(sent.from.ip(), sent.to.ip(), &bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// RFC 768's checksum, by the book.
fn checksum(from: IpAddr, to: IpAddr, udp: &[u8]) -> u16 {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => Ipv4Addr::octets(&ip).to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip).to_vec(),
    };
    let pseudo =
        [octets(from), octets(to), vec![0, 17], (udp.len() as u16).to_be_bytes().to_vec(), udp.to_vec()]
            .concat();
    let mut sum = 0_u32;
    for pair in pseudo.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    if sum == 0xffff { 0xffff } else { !(sum as u16) }
}

/// IP header and what is behind it. `options` are IPv4's, or IPv6's extension headers with the first one's number.
pub fn ip(sent: &Sent, options: &[u8], first_extension: Option<u8>, behind: &[u8]) -> Vec<u8> {
    match (sent.from.ip(), sent.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (20 + options.len() + behind.len()) as u16;
            let mut bytes = vec![0x45 + (options.len() / 4) as u8, 0];
            bytes.extend(total.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 64, 17, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            [&bytes[..], options, behind].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend(((options.len() + behind.len()) as u16).to_be_bytes());
            bytes.extend([first_extension.unwrap_or(17), 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            [&bytes[..], options, behind].concat()
        }
        _ => panic!("addresses of two families"),
    }
}

/// A datagram as a record.
pub fn record(sent: &Sent, link: Link, packet_type: u8) -> Vec<u8> {
    let header = link.header(sent.from.is_ipv6(), packet_type);
    [header, ip(sent, &[], None, &udp(sent))].concat()
}

/// Datagrams as a classic pcap file.
pub fn pcap(sent: &[Sent], link: Link, form: Form) -> Vec<u8> {
    let mut bytes = pcap_header(link.number(), form);
    for sent in sent {
        let packet_type = if sent.from.port() == 7100 { 4 } else { 0 };
        let record = record(sent, link, packet_type);
        pcap_record(&mut bytes, form, sent.time_ns, &record, record.len());
    }
    bytes
}

pub fn pcap_header(link_type: u32, form: Form) -> Vec<u8> {
    let magic = if form.is_ns() { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut bytes = form.u32(magic).to_vec();
    bytes.extend(match form {
        Form::UsLittle | Form::NsLittle => [2, 0, 4, 0],
        Form::UsBig | Form::NsBig => [0, 2, 0, 4],
    });
    for word in [0, 0, 262_144, link_type] {
        bytes.extend(form.u32(word));
    }
    bytes
}

pub fn pcap_record(bytes: &mut Vec<u8>, form: Form, time_ns: u64, record: &[u8], original: usize) {
    let fraction = (time_ns % 1_000_000_000) as u32;
    let fraction = if form.is_ns() { fraction } else { fraction / 1_000 };
    for word in [(time_ns / 1_000_000_000) as u32, fraction, record.len() as u32, original as u32] {
        bytes.extend(form.u32(word));
    }
    bytes.extend(record);
}

/// An option of a pcapng block.
pub fn option(is_big: bool, code: u16, value: &[u8]) -> Vec<u8> {
    let words = [code, value.len() as u16];
    let mut bytes = words.map(|word| if is_big { word.to_be_bytes() } else { word.to_le_bytes() }).concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A pcapng file that is being written.
pub struct PcapNg {
    pub bytes: Vec<u8>,
    is_big: bool,
}

impl PcapNg {
    pub fn new(is_big: bool) -> PcapNg {
        PcapNg::with_options(is_big, &[])
    }

    /// A file whose section's header has options.
    pub fn with_options(is_big: bool, options: &[u8]) -> PcapNg {
        let mut file = PcapNg { bytes: Vec::new(), is_big };
        let body = [&file.u32(0x1a2b_3c4d)[..], &file.u16(1), &file.u16(0), &[0xff; 8], options].concat();
        file.block(0x0a0d_0d0a, &body);
        file
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn block(&mut self, block_type: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let length = self.u32(12 + padded as u32);
        self.bytes.extend(self.u32(block_type));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len() + padded - body.len(), 0);
        self.bytes.extend(length);
    }

    /// An interface; without a resolution its times are µs.
    pub fn interface(&mut self, link: Link, resolution: Option<u8>) {
        let options = resolution
            .map(|resolution| [option(self.is_big, 9, &[resolution]), option(self.is_big, 0, &[])].concat());
        self.described(link, 0, &options.unwrap_or_default());
    }

    /// An interface with any options and reserved bytes.
    pub fn described(&mut self, link: Link, reserved: u16, options: &[u8]) {
        let fixed = [self.u16(link.number() as u16), self.u16(reserved), [0; 2], [0; 2]];
        self.block(1, &[&fixed.concat()[..], options].concat());
    }

    /// A simple packet block, which says no time.
    pub fn simple(&mut self, record: &[u8]) {
        let body = [&self.u32(record.len() as u32)[..], record].concat();
        self.block(3, &body);
    }

    pub fn record(&mut self, interface: u32, ticks: u64, record: &[u8], original: usize) {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, record.len() as u32, original as u32];
        let body = [words.map(|word| self.u32(word)).concat(), record.to_vec()].concat();
        self.block(6, &body);
    }
}
