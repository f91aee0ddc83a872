//! The program itself: what a frame must be to be ours, from its first byte on.
//!
//! It runs once for each datagram, so whatever is not ours leaves at the first difference, and what is ours
//! takes no jump but the last. Fields are compared as they lie on the wire, so nothing is swapped. Pointers
//! move by constants only: a loader without CAP_PERFMON may not add a length that the frame tells, and need
//! not, because a datagram has only [`FRAMES_PER_DATAGRAM_MAX`] lengths.

use super::super::assembler::{Assembler, Condition, Instruction, Label, Register, Size};
use super::{Counter, Filter, GATES_PER_QUEUE, Maps, Take, VERSION_PASSED_MAX};
use crate::gate::{ALL, OP_MAX};
use Condition::{Equal, Greater, GreaterOrEqual, LessOrEqual, NotEqual};
use Register::{Frame, R0, R1, R2, R3, R4, R5, R6, R7, R8};
use redpkt_proto::limits::{DATAGRAM_BYTES_MAX, FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX};
use redpkt_proto::steer::{MIX, Mix, WORD_MULTIPLIER};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

/// What becomes of a frame (`enum xdp_action`).
pub(super) mod action {
    pub(in super::super) const DROP: u32 = 1;
    pub(in super::super) const PASS: u32 = 2;
    #[cfg(test)]
    pub(in super::super) const REDIRECT: u32 = 4;
}

/// Where `struct xdp_md`, the program's argument, has what we need.
mod context {
    pub(super) const DATA: i16 = 0;
    pub(super) const DATA_END: i16 = 4;
    pub(super) const RX_QUEUE_INDEX: i16 = 16;
}

/// Numbers of the kernel's helpers.
mod helper {
    pub(super) const MAP_LOOKUP_ELEM: i32 = 1;
    pub(super) const GET_PRANDOM_U32: i32 = 7;
    pub(super) const REDIRECT_MAP: i32 = 51;
}

const ETHERNET_BYTES: i16 = 14;
const VLAN_TAG_BYTES: i16 = 4;
const IPV4_BYTES: i16 = 20;
const IPV6_BYTES: i16 = 40;
const UDP_BYTES: i16 = 8;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const VLAN_ID_MASK: u16 = 0x0fff;
/// Version 4, and 5 words of header: no options.
const IPV4_WITHOUT_OPTIONS: u32 = 0x45;
/// The flag "more fragments" and the offset: all zero unless it is a fragment.
const IPV4_FRAGMENT_MASK: u16 = 0x3fff;
const IPV6_VERSION: u32 = 0x60;
const IPV6_VERSION_MASK: u32 = 0xf0;
const PROTOCOL_UDP: u32 = 17;

/// The byte of a datagram's first frame that has its version, and the direction in another bit.
const VERSION_AT: i16 = 12;
const VERSION_MASK: u32 = 0x7f;
/// The byte that has its op.
const OP_AT: i16 = 13;
const VERSION_MIN: u32 = 1;

/// The program of `filter`, with its maps. `filter` has been checked.
pub(super) fn program(filter: &Filter, maps: &Maps) -> Vec<Instruction> {
    let mut writer = Writer::new(filter);
    writer.ethernet(filter);
    let candidates = Candidate::all(&filter.take);
    let (ipv4, ipv6): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.ipv4);
    writer.network(&ipv4, &ipv6);
    writer.datagram();
    let sheds = matches!(filter.take, Take::To(_));
    if sheds {
        writer.gate(maps);
    }
    writer.take(maps.sockets);
    writer.longer_datagrams();
    writer.pass_and_drop(maps, sheds);
    writer.code.finish()
}

/// A field of a frame: its low `mask` bits in wire order are compared with `value`.
#[derive(Clone, Copy)]
struct Field {
    size: Size,
    offset: i16,
    mask: u32,
    value: u32,
}

impl Field {
    fn byte(offset: i16, value: u32) -> Field {
        Field { size: Size::Byte, offset, mask: u32::MAX, value }
    }

    fn half(offset: i16, value: u16) -> Field {
        Field { size: Size::Half, offset, mask: u32::MAX, value: value.to_be().into() }
    }

    fn word(offset: i16, bytes: [u8; 4]) -> Field {
        Field { size: Size::Word, offset, mask: u32::MAX, value: u32::from_ne_bytes(bytes) }
    }

    fn masked(self, mask: u32) -> Field {
        Field { mask, value: self.value & mask, ..self }
    }

    /// An address or the first bits of one, as words at `offset`.
    fn address(offset: i16, address: IpAddr, prefix_bits: u8) -> Vec<Field> {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut fields = Vec::new();
        for (index, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
            let bits = u32::from(prefix_bits).saturating_sub(32 * index as u32).min(32);
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0).to_be();
            if mask != 0 {
                fields.push(Field::word(offset + 4 * index as i16, *word).masked(mask));
            }
        }
        fields
    }
}

/// One combination of addresses and ports that is ours; offsets count from the network header.
struct Candidate {
    ipv4: bool,
    fields: Vec<Field>,
}

impl Candidate {
    fn all(take: &Take) -> Vec<Candidate> {
        match take {
            Take::To(addresses) => addresses.iter().map(Candidate::to).collect(),
            Take::From { server, network, prefix_bits } => {
                vec![Candidate::from(server, *network, *prefix_bits)]
            }
        }
    }

    fn to(address: &SocketAddr) -> Candidate {
        let at = Offsets::of(address.ip());
        let mut fields = Field::address(at.destination, address.ip(), u8::MAX);
        fields.push(Field::half(at.udp + 2, address.port()));
        Candidate { ipv4: address.is_ipv4(), fields }
    }

    fn from(server: &SocketAddr, network: IpAddr, prefix_bits: u8) -> Candidate {
        let at = Offsets::of(server.ip());
        let mut fields = Field::address(at.source, server.ip(), u8::MAX);
        fields.push(Field::half(at.udp, server.port()));
        fields.extend(Field::address(at.destination, network, prefix_bits));
        Candidate { ipv4: server.is_ipv4(), fields }
    }
}

/// Where things lie, from the network header on.
struct Offsets {
    source: i16,
    destination: i16,
    udp: i16,
}

impl Offsets {
    fn of(address: IpAddr) -> Offsets {
        match address {
            IpAddr::V4(_) => Offsets { source: 12, destination: 16, udp: IPV4_BYTES },
            IpAddr::V6(_) => Offsets { source: 8, destination: 24, udp: IPV6_BYTES },
        }
    }
}

/// Writes the program. While it looks at a frame, R1 is the context, R2 the frame's begin, R3 its end.
struct Writer {
    code: Assembler,
    /// Bytes before the network header.
    network_at: i16,
    /// The length is not that of one frame.
    longer: Label,
    /// The length is right and all there.
    version: Label,
    pass: Label,
    drop_length: Label,
    drop_too_long: Label,
    drop_version: Label,
    drop_shed: Label,
}

impl Writer {
    fn new(filter: &Filter) -> Writer {
        let mut code = Assembler::default();
        let mut label = || code.label();
        let (longer, version, pass) = (label(), label(), label());
        let (drop_length, drop_too_long, drop_version, drop_shed) = (label(), label(), label(), label());
        let network_at = ETHERNET_BYTES + if filter.vlan.is_some() { VLAN_TAG_BYTES } else { 0 };
        Writer {
            code,
            network_at,
            longer,
            version,
            pass,
            drop_length,
            drop_too_long,
            drop_version,
            drop_shed,
        }
    }

    /// Goes to `otherwise` unless the field has its value.
    fn want(&mut self, field: Field, otherwise: Label) {
        self.code.load(field.size, R4, R2, field.offset);
        if field.mask != u32::MAX {
            self.code.and(R4, field.mask);
        }
        self.code.jump_if(R4, NotEqual, field.value, otherwise);
    }

    /// Goes to `otherwise` if the frame ends before `bytes` from R2.
    fn want_bytes(&mut self, bytes: i16, otherwise: Label) {
        self.code.copy(R5, R2);
        self.code.add(R5, bytes.into());
        self.code.jump_if_register(R5, Greater, R3, otherwise);
    }

    /// Our MAC, our VLAN.
    fn ethernet(&mut self, filter: &Filter) {
        self.code.load(Size::Word, R2, R1, context::DATA);
        self.code.load(Size::Word, R3, R1, context::DATA_END);
        self.want_bytes(self.network_at + IPV4_BYTES + UDP_BYTES, self.pass);
        let [a, b, c, d, e, f] = filter.mac;
        // 2 and 4 bytes, not 4 and 2: the network header is aligned, so this way both loads are.
        self.want(Field::half(0, u16::from_be_bytes([a, b])), self.pass);
        self.want(Field::word(2, [c, d, e, f]), self.pass);
        if let Some(vlan) = filter.vlan {
            self.want(Field::half(12, ETHERTYPE_VLAN), self.pass);
            self.want(Field::half(14, vlan).masked(VLAN_ID_MASK.to_be().into()), self.pass);
        }
    }

    /// UDP without anything between, and one of the candidates. A second tag or another protocol is not
    /// one of the two ethertypes.
    fn network(&mut self, ipv4: &[Candidate], ipv6: &[Candidate]) {
        let (at, ours) = (self.network_at, self.code.label());
        if !ipv4.is_empty() {
            let other = if ipv6.is_empty() { self.pass } else { self.code.label() };
            self.want(Field::half(at - 2, ETHERTYPE_IPV4), other);
            self.want(Field::byte(at, IPV4_WITHOUT_OPTIONS), self.pass);
            let fragment = Field::half(at + 6, 0).masked(IPV4_FRAGMENT_MASK.to_be().into());
            self.want(fragment, self.pass);
            self.want(Field::byte(at + 9, PROTOCOL_UDP), self.pass);
            self.one_of(ipv4);
            if !ipv6.is_empty() {
                self.code.jump(ours);
                self.code.place(other);
            }
        }
        if !ipv6.is_empty() {
            self.want(Field::half(at - 2, ETHERTYPE_IPV6), self.pass);
            self.want_bytes(at + IPV6_BYTES + UDP_BYTES, self.pass);
            self.want(Field::byte(at, IPV6_VERSION).masked(IPV6_VERSION_MASK), self.pass);
            self.want(Field::byte(at + 6, PROTOCOL_UDP), self.pass);
            self.one_of(ipv6);
            // From here on UDP lies as far from R2 as with IPv4.
            self.code.add(R2, (IPV6_BYTES - IPV4_BYTES).into());
        }
        self.code.place(ours);
    }

    /// Goes on if one of the candidates fits, else to `pass`.
    fn one_of(&mut self, candidates: &[Candidate]) {
        let found = self.code.label();
        for (index, candidate) in candidates.iter().enumerate() {
            let last = index + 1 == candidates.len();
            let other = if last { self.pass } else { self.code.label() };
            for field in &candidate.fields {
                self.want(Field { offset: field.offset + self.network_at, ..*field }, other);
            }
            if !last {
                self.code.jump(found);
                self.code.place(other);
            }
        }
        self.code.place(found);
    }

    /// A length that a datagram may have and this frame holds, then a version that is or may be one day. The
    /// direction is the engine's to look at.
    fn datagram(&mut self) {
        self.code.load(Size::Half, R4, R2, self.udp_at() + 4);
        self.length(1, self.longer);
        self.code.place(self.version);
        self.code.load(Size::Byte, R4, R2, self.udp_at() + UDP_BYTES + VERSION_AT);
        self.code.and(R4, VERSION_MASK);
        // A byte below wraps around and is above.
        self.code.add(R4, -VERSION_MIN.cast_signed());
        self.code.jump_if(R4, Greater, u32::from(VERSION_PASSED_MAX) - VERSION_MIN, self.drop_version);
    }

    /// Most datagrams have one frame; the others' lengths are compared here, out of their way.
    fn longer_datagrams(&mut self) {
        self.code.place(self.longer);
        for frames in 2..=FRAMES_PER_DATAGRAM_MAX {
            let other = self.code.label();
            self.length(frames, other);
            self.code.jump(self.version);
            self.code.place(other);
        }
        // Byte by byte, because the field's bytes are not in the processor's order.
        let [high, low] = ((UDP_BYTES as usize + DATAGRAM_BYTES_MAX) as u16).to_be_bytes().map(u32::from);
        self.code.load(Size::Byte, R4, R2, self.udp_at() + 4);
        self.code.jump_if(R4, Greater, high, self.drop_too_long);
        self.code.jump_if(R4, NotEqual, high, self.drop_length);
        self.code.load(Size::Byte, R4, R2, self.udp_at() + 5);
        self.code.jump_if(R4, Greater, low, self.drop_too_long);
        self.code.jump(self.drop_length);
    }

    /// Goes to `other` unless the UDP length in R4 is that of so many frames; drops what lacks some of it.
    fn length(&mut self, frames: usize, other: Label) {
        let bytes = UDP_BYTES + (frames * FRAME_BYTES) as i16;
        self.code.jump_if(R4, NotEqual, bytes.cast_unsigned().to_be().into(), other);
        self.want_bytes(self.udp_at() + bytes, self.drop_length);
    }

    /// Where UDP lies from R2 on, once the addresses are ours.
    fn udp_at(&self) -> i16 {
        self.network_at + IPV4_BYTES
    }

    /// Goes on with what the gate of its queue and op admits, or with what is to be told otherwise.
    fn gate(&mut self, maps: &Maps) {
        let (known, taken) = (self.code.label(), self.code.label());
        let code = &mut self.code;
        let payload_at = self.network_at + IPV4_BYTES + UDP_BYTES;
        code.copy(R6, R1);
        code.copy(R7, R2);
        code.load(Size::Word, R5, R1, context::RX_QUEUE_INDEX);
        code.and(R5, maps.lines - 1);
        code.multiply(R5, GATES_PER_QUEUE);
        code.load(Size::Byte, R4, R2, payload_at + OP_AT);
        code.jump_if(R4, LessOrEqual, OP_MAX.into(), known);
        code.set(R4, OP_MAX.into());
        code.place(known);
        code.add_register(R4, R5);
        look_up(code, maps.gates, taken);
        code.load(Size::Double, R8, R0, 0);
        code.jump_if(R8, Equal, ALL, taken);

        code.load(Size::Word, R3, R7, payload_at + 4);
        code.swap_from_big_endian(R3);
        code.multiply(R3, WORD_MULTIPLIER);
        code.load(Size::Word, R4, R7, payload_at);
        code.swap_from_big_endian(R4);
        code.add_register(R4, R3);
        code.load(Size::Double, R3, R0, 8);
        code.xor(R4, R3);
        for step in MIX {
            match step {
                Mix::XorShiftRight(bits) => {
                    code.copy(R3, R4);
                    code.shift_right(R3, bits);
                    code.xor(R4, R3);
                }
                Mix::Multiply(by) => code.multiply(R4, by),
            }
        }
        code.jump_if_register(R8, Greater, R4, taken);
        code.load(Size::Double, R8, R0, 16);
        code.call(helper::GET_PRANDOM_U32);
        // The result has 32 bits.
        code.and(R0, u32::MAX);
        code.copy(R1, R6);
        code.jump_if_register(R0, GreaterOrEqual, R8, self.drop_shed);
        code.place(taken);
        code.copy(R1, R6);
    }

    /// To the socket of the queue, or to the kernel when the queue has none.
    fn take(&mut self, sockets: RawFd) {
        self.code.load(Size::Word, R2, R1, context::RX_QUEUE_INDEX);
        self.code.load_map(R1, sockets);
        self.code.set(R3, action::PASS.cast_signed());
        self.code.call(helper::REDIRECT_MAP);
        self.code.exit();
    }

    fn pass_and_drop(&mut self, maps: &Maps, sheds: bool) {
        let code = &mut self.code;
        code.place(self.pass);
        code.set(R0, action::PASS.cast_signed());
        code.exit();

        for (counter, label) in [
            (Counter::Length, self.drop_length),
            (Counter::TooLong, self.drop_too_long),
            (Counter::Version, self.drop_version),
            (Counter::Shed, self.drop_shed),
        ] {
            // No verifier takes what is never reached.
            if matches!(counter, Counter::Shed) && !sheds {
                continue;
            }
            let end = code.label();
            code.place(label);
            code.load(Size::Word, R4, R1, context::RX_QUEUE_INDEX);
            code.and(R4, maps.lines - 1);
            look_up(code, maps.drops, end);
            code.set(R1, 1);
            // Atomic, because behind receive packet steering two cores may serve one queue.
            code.add_to_memory(R0, 8 * counter as i16, R1);
            code.place(end);
            code.set(R0, action::DROP.cast_signed());
            code.exit();
        }
    }
}

/// R0 is the address of the map's element whose number is in R4; goes to `missing` where there is none.
fn look_up(code: &mut Assembler, map: RawFd, missing: Label) {
    code.store(Size::Word, Frame, -4, R4);
    code.copy(R2, Frame);
    code.add(R2, -4);
    code.load_map(R1, map);
    code.call(helper::MAP_LOOKUP_ELEM);
    code.jump_if_null(R0, missing);
}
