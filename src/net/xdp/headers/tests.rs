//! Frames made and read by `etherparse`, an implementation of its own, against ours.

use super::*;
use etherparse::{LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice, VlanId};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a frame that no checksum covers: a flipped bit there shows in the ends or nowhere.
mod uncovered {
    use super::*;

    pub(super) const MACS: Range<usize> = 0..12;
    /// Priority and id of the tag. Its kind, as Ethernet's, must be one of two values that differ by
    /// more than a bit.
    pub(super) const TAG: Range<usize> = 14..16;

    /// In IPv6 these too. (Hops, traffic class and all else of IPv4 are covered by its header's checksum.)
    pub(super) fn in_ipv6(bit: usize, ip_at: usize) -> bool {
        let (byte, of_byte) = (bit / 8, bit % 8);
        let version = byte == ip_at && of_byte >= 4;
        let flow = (ip_at..ip_at + 4).contains(&byte) && !version;
        let hops = byte == ip_at + 7;
        flow || hops
    }
}

fn v4(octets: [u8; 4]) -> [u8; 16] {
    Ipv4Addr::from(octets).to_ipv6_mapped().octets()
}

fn ip_at(frame: &[u8]) -> usize {
    if frame[12..14] == [0x81, 0] { 18 } else { 14 }
}

fn checksum_at(payload: &Range<usize>) -> Range<usize> {
    payload.start - 2..payload.start
}

fn is_ipv4(ends: &Ends) -> bool {
    ends.ipv4().is_some()
}

/// Two addresses of one family, the second half of the time the special ones that checksums stumble over.
fn addresses() -> impl Strategy<Value = ([u8; 16], [u8; 16])> {
    let four = prop_oneof![any::<[u8; 4]>(), Just([0; 4]), Just([0xff; 4])];
    let six = prop_oneof![any::<[u8; 16]>(), Just([0; 16]), Just([0xff; 16])]
        .prop_filter("not mapped", |ip| Ipv6Addr::from(*ip).to_ipv4_mapped().is_none());
    prop_oneof![
        (four.clone(), four).prop_map(|(our, their)| (v4(our), v4(their))),
        (six.clone(), six).prop_map(|(our, their)| (our, their)),
    ]
}

fn ends() -> impl Strategy<Value = Ends> {
    let macs = (any::<[u8; 6]>(), any::<[u8; 6]>());
    let ports = (any::<u16>(), any::<u16>());
    (macs, proptest::option::of(0u16..0x1000), addresses(), ports).prop_map(
        |((our_mac, their_mac), vlan, (our, their), (our_port, their_port))| Ends {
            our_mac,
            their_mac,
            vlan,
            our: (our, our_port),
            their: (their, their_port),
        },
    )
}

/// Payloads of every length, odd and empty too, often of bytes that make carries.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 64),
        vec(any::<u8>(), 0..1200),
        vec(prop_oneof![Just(0u8), Just(0xff)], 0..200)
    ]
}

/// The frame that carries a payload from them to us, made by the oracle.
fn received(ends: &Ends, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(ends.their_mac, ends.our_mac);
    let (from, to) = (ends.their.1, ends.our.1);
    let mut frame = Vec::new();
    let addresses = ends.ipv4();
    let udp = match (ends.vlan, addresses) {
        (None, Some([our, their])) => link.ipv4(their, our, 17).udp(from, to),
        (None, None) => link.ipv6(ends.their.0, ends.our.0, 17).udp(from, to),
        (Some(id), Some([our, their])) => {
            link.single_vlan(VlanId::try_new(id).unwrap()).ipv4(their, our, 17).udp(from, to)
        }
        (Some(id), None) => {
            link.single_vlan(VlanId::try_new(id).unwrap()).ipv6(ends.their.0, ends.our.0, 17).udp(from, to)
        }
    };
    udp.write(&mut frame, payload).unwrap();
    frame
}

/// What the oracle reads in a frame that goes from us to them. Checks both checksums, and that the frame
/// asks for what ours shall: 64 hops, no fragments, not a byte behind the datagram.
fn sent(frame: &[u8]) -> (Ends, Vec<u8>) {
    let read = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &read.link else { panic!("{read:?}") };
    let Some(TransportSlice::Udp(udp)) = &read.transport else { panic!("{read:?}") };
    let header = udp.to_header();
    let (our, their) = match read.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum());
            assert_eq!(header.checksum, header.calc_checksum_ipv4(&ip, udp.payload()).unwrap());
            assert!(ip.dont_fragment && !ip.more_fragments);
            assert_eq!((ip.time_to_live, ip.identification), (64, 0));
            assert_eq!(usize::from(ip.total_len) + ip_at(frame), frame.len());
            (v4(ip.source), v4(ip.destination))
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(header.checksum, header.calc_checksum_ipv6(&ip, udp.payload()).unwrap());
            assert_eq!(ip.hop_limit, 64);
            assert_eq!(usize::from(ip.payload_length) + 40 + ip_at(frame), frame.len());
            (ip.source, ip.destination)
        }
        other => panic!("{other:?}"),
    };
    assert_ne!(header.checksum, 0);
    let ends = Ends {
        our_mac: ethernet.source(),
        their_mac: ethernet.destination(),
        vlan: read.vlan_ids().first().map(|id| id.value()),
        our: (our, header.source_port),
        their: (their, header.destination_port),
    };
    (ends, udp.payload().to_vec())
}

/// The frame that carries a payload from us to them.
fn written(ends: &Ends, payload: &[u8]) -> Vec<u8> {
    // Whatever lay there before.
    let mut frame = vec![0xa5; 2048];
    let start = header_bytes(ends);
    frame[start..start + payload.len()].copy_from_slice(payload);
    let bytes = write(&mut frame, ends, payload.len());
    frame.truncate(bytes);
    frame
}

/// The ends as the other side names them.
fn reversed(ends: &Ends) -> Ends {
    Ends {
        our_mac: ends.their_mac,
        their_mac: ends.our_mac,
        vlan: ends.vlan,
        our: ends.their,
        their: ends.our,
    }
}

/// Sets the UDP checksum to the partial one: what the oracle's full one is made of, but for the sum of
/// the UDP header and the payload.
fn make_partial(frame: &mut [u8], payload: &Range<usize>) {
    let bytes = (payload.len() + 8) as u16;
    let ip = ip_at(frame);
    let addresses = if frame[ip] >> 4 == 4 { ip + 12..ip + 20 } else { ip + 8..ip + 40 };
    let mut sum = 17 + u32::from(bytes);
    for pair in frame[addresses].chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    frame[checksum_at(payload)].copy_from_slice(&(sum as u16).to_be_bytes());
}

proptest! {
    #[test]
    fn a_frame_of_the_oracle_is_read(ends in ends(), payload in payload(), padding in vec(any::<u8>(), 0..20)) {
        // Expect: the same ends and payload, whatever Ethernet pads the frame with.
        let mut frame = received(&ends, &payload);
        frame.extend(padding);
        let parsed = parse(&frame).unwrap();
        prop_assert_eq!(parsed.ends, ends);
        prop_assert_eq!(parsed.payload.start, header_bytes(&ends));
        prop_assert_eq!(&frame[parsed.payload], payload);
    }

    #[test]
    fn the_oracle_reads_what_is_written(ends in ends(), payload in payload()) {
        let frame = written(&ends, &payload);
        prop_assert_eq!(sent(&frame), (ends, payload.clone()));
        // Expect: so do we, as the other side.
        let parsed = parse(&frame).unwrap();
        prop_assert_eq!(parsed.ends, reversed(&ends));
        prop_assert_eq!(&frame[parsed.payload], payload);
    }

    #[test]
    fn the_oracle_reads_a_reply(ends in ends(), payload in payload(), cut: usize, partial: bool, priority in 0u8..16) {
        let mut frame = received(&ends, &payload);
        let parsed = parse(&frame).unwrap();
        if partial {
            make_partial(&mut frame, &parsed.payload);
        }
        if ends.vlan.is_some() {
            frame[14] |= priority << 4;
        }
        // Expect: the reply's bytes, no longer than the question, on the way back, with the same tag.
        let bytes = cut % (payload.len() + 1);
        let answer: Vec<u8> = payload[..bytes].iter().map(|byte| byte ^ 0x5a).collect();
        frame[parsed.payload.clone()][..bytes].copy_from_slice(&answer);
        let length = reply(&mut frame, &parsed.payload, bytes);
        frame.truncate(length);
        prop_assert_eq!(sent(&frame), (ends, answer.clone()));
        if ends.vlan.is_some() {
            prop_assert_eq!(frame[14] >> 4, priority);
        }
        // Expect: the reply to the reply returns to the first ends.
        let there = parse(&frame).unwrap();
        prop_assert_eq!(there.ends, reversed(&ends));
        let length = reply(&mut frame, &there.payload, bytes);
        prop_assert_eq!(length, frame.len());
        let back = parse(&frame).unwrap();
        prop_assert_eq!(back.ends, ends);
        prop_assert_eq!(&frame[back.payload], answer);
    }

    #[test]
    fn a_partial_checksum_is_taken(ends in ends(), payload in payload()) {
        let mut frame = received(&ends, &payload);
        let parsed = parse(&frame).unwrap();
        make_partial(&mut frame, &parsed.payload);
        prop_assert_eq!(parse(&frame), Ok(parsed));
    }

    #[test]
    fn an_absent_checksum_is_taken_in_ipv4_alone(ends in ends(), payload in payload()) {
        let mut frame = received(&ends, &payload);
        let parsed = parse(&frame).unwrap();
        frame[checksum_at(&parsed.payload)].fill(0);
        let expected = if is_ipv4(&ends) { Ok(parsed) } else { Err(Malformed::Checksum) };
        prop_assert_eq!(parse(&frame), expected);
    }

    #[test]
    fn any_other_checksum_is_refused(ends in ends(), payload in payload(), wrong in 1u16..) {
        let mut frame = received(&ends, &payload);
        let at = checksum_at(&parse(&frame).unwrap().payload);
        let right = frame[at.clone()].to_vec();
        make_partial(&mut frame, &(at.end..at.end + payload.len()));
        let partial = frame[at.clone()].to_vec();
        let wrong = wrong.to_be_bytes();
        prop_assume!(right != wrong && partial != wrong);
        frame[at].copy_from_slice(&wrong);
        prop_assert_eq!(parse(&frame), Err(Malformed::Checksum));
    }

    #[test]
    fn a_checksum_of_0_is_sent_as_ffff(ends in ends(), mut payload in vec(any::<u8>(), 2..200)) {
        // With its checksum in the first word of a payload that had 0 there, the whole sum becomes 0xffff
        // and its complement 0.
        payload[..2].fill(0);
        let frame = written(&ends, &payload);
        let at = checksum_at(&(header_bytes(&ends)..0));
        // (0xffff here was a 0 computed, and needs no change.)
        payload[..2].copy_from_slice(&frame[at.clone()]);
        let mut frame = written(&ends, &payload);
        prop_assert_eq!(&frame[at.clone()], &[0xff, 0xff]);
        prop_assert_eq!(sent(&frame), (ends, payload.clone()));
        let parsed = parse(&frame).unwrap();
        // Expect: the same on the way back, whose sum has the same parts.
        let length = reply(&mut frame, &parsed.payload, payload.len());
        prop_assert_eq!(&frame[at.clone()], &[0xff, 0xff]);
        prop_assert_eq!(sent(&frame[..length]), (reversed(&ends), payload.clone()));
        // Expect: as 0 it is absent, not right, though the sum is.
        frame[at].fill(0);
        prop_assert_eq!(parse(&frame).is_ok(), is_ipv4(&ends));
    }

    #[test]
    fn a_truncated_frame_is_malformed(ends in ends(), payload in vec(any::<u8>(), 0..80)) {
        let frame = received(&ends, &payload);
        for length in 0..frame.len() {
            prop_assert_eq!(parse(&frame[..length]), Err(Malformed::Headers), "{} bytes", length);
        }
    }

    #[test]
    fn a_flipped_bit_is_found(ends in ends(), payload in vec(any::<u8>(), 0..80), padding in 0..20usize) {
        let mut frame = received(&ends, &payload);
        frame.extend(std::iter::repeat_n(0, padding));
        let parsed = parse(&frame).unwrap();
        let ip_at = ip_at(&frame);
        for bit in 0..frame.len() * 8 {
            let byte = bit / 8;
            frame[byte] ^= 1 << (bit % 8);
            let after = parse(&frame);
            let uncovered = uncovered::MACS.contains(&byte)
                || ends.vlan.is_some() && uncovered::TAG.contains(&byte)
                || !is_ipv4(&ends) && uncovered::in_ipv6(bit, ip_at)
                || byte >= parsed.payload.end;
            match after {
                Ok(after) if uncovered => {
                    // Expect: the datagram itself is the same.
                    prop_assert_eq!(&after.payload, &parsed.payload);
                    prop_assert_eq!((after.ends.our, after.ends.their), (ends.our, ends.their));
                }
                Ok(_) => {
                    // Expect: by an accident of 1 in 65,536 the checksum is now absent or partial.
                    let field = frame[checksum_at(&parsed.payload)].to_vec();
                    let mut partial = frame.clone();
                    make_partial(&mut partial, &parsed.payload);
                    let absent = is_ipv4(&ends) && field == [0, 0];
                    prop_assert!(absent || partial == frame, "bit {} of byte {}", bit % 8, byte);
                }
                Err(_) => prop_assert!(!uncovered, "bit {} of byte {}", bit % 8, byte),
            }
            frame[byte] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut frame in vec(any::<u8>(), 0..200), shape in 0usize..5, lengths: bool) {
        // Some with headers that lead further in, and lengths that are nearly right.
        let ip = if shape % 2 == 0 { 14 } else { 18 };
        if let (1..=4, Some(head)) = (shape, frame.get_mut(12..ip)) {
            let kind: &[u8] = if shape < 3 { &[0x08, 0x00] } else { &[0x86, 0xdd] };
            head[..2].copy_from_slice(&[0x81, 0x00]);
            let last = head.len() - 2;
            head[last..].copy_from_slice(kind);
        }
        let length = frame.len() as u16;
        let left = length.wrapping_sub(ip as u16);
        if let (true, Some(packet)) = (lengths, frame.get_mut(ip..ip + 48)) {
            if shape < 3 {
                packet[0] = 0x45;
                packet[2..4].copy_from_slice(&left.to_be_bytes());
                packet[6..8].fill(0);
                packet[9] = 17;
                packet[10..12].fill(0);
                let checksum = Sum::ZERO.add(&packet[..20]).checksum();
                packet[10..12].copy_from_slice(&checksum);
                packet[24..26].copy_from_slice(&(left - 20).to_be_bytes());
                packet[26..28].fill(0);
            } else {
                packet[0] = 0x60;
                packet[4..6].copy_from_slice(&(left - 40).to_be_bytes());
                packet[6] = 17;
                packet[44..46].copy_from_slice(&(left - 40).to_be_bytes());
                make_partial(&mut frame, &(ip + 48..usize::from(length)));
            }
        }
        if let Ok(parsed) = parse(&frame) {
            // Expect: what was found can be answered.
            prop_assert!(parsed.payload.end <= frame.len());
            let length = reply(&mut frame, &parsed.payload, parsed.payload.len());
            prop_assert_eq!(parse(&frame[..length]).map(|back| back.ends), Ok(reversed(&parsed.ends)));
        }
    }
}

/// A datagram of 64 bytes between two ordinary addresses.
fn example(ipv4: bool) -> (Ends, Vec<u8>) {
    let ip = |last: u8| {
        if ipv4 {
            v4([192, 0, 2, last])
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).octets()
        }
    };
    let ends = Ends {
        our_mac: [2, 0, 0, 0, 0, 1],
        their_mac: [2, 0, 0, 0, 0, 2],
        vlan: None,
        our: (ip(1), 7100),
        their: (ip(2), 50_000),
    };
    (ends, received(&ends, &[7; 64]))
}

/// Rewrites the IPv4 header's checksum.
fn mend(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let checksum = Sum::ZERO.add(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum);
}

#[test]
fn what_the_filter_passes_to_the_kernel_is_not_read() {
    // Byte, value: each makes another packet, whole in itself, of the IPv4 example.
    for (what, byte, value) in [
        ("options", 14, 0x46),
        ("version 5", 14, 0x55),
        ("TCP", 23, 6),
        ("more fragments follow", 20, 0x20),
        ("a later fragment", 21, 1),
        ("the last fragment of a long packet", 20, 0x1f),
    ] {
        let (_, mut frame) = example(true);
        frame[byte] = value;
        mend(&mut frame);
        assert_eq!(parse(&frame), Err(Malformed::Headers), "{what}");
    }
    for (what, byte, value) in [("version 7", 14, 0x70), ("a fragment header", 20, 44), ("TCP", 20, 6)] {
        let (_, mut frame) = example(false);
        frame[byte] = value;
        assert_eq!(parse(&frame), Err(Malformed::Headers), "{what}");
    }
    let (ends, frame) = example(true);
    for (what, kind) in [("ARP", [0x08, 0x06]), ("IEEE 802.1ad", [0x88, 0xa8]), ("IEEE 802.3", [0, 60])] {
        let mut frame = frame.clone();
        frame[12..14].copy_from_slice(&kind);
        assert_eq!(parse(&frame), Err(Malformed::Headers), "{what}");
    }
    let mut two_tags = received(&Ends { vlan: Some(5), ..ends }, &[7; 64]);
    two_tags.splice(12..12, [0x81, 0, 0, 6]);
    assert_eq!(parse(&two_tags), Err(Malformed::Headers));
}

#[test]
fn lengths_that_contradict_each_other_are_malformed() {
    for (ipv4, ip_length, udp_length) in [(true, 16, 38), (false, 18, 58)] {
        let (_, frame) = example(ipv4);
        for at in [ip_length, udp_length] {
            let right = u16::from_be_bytes([frame[at], frame[at + 1]]);
            for wrong in [0, 7, 8, 19, 20, 27, 28, right - 1, right + 1, right + 2, 0x8000, u16::MAX] {
                let mut frame = frame.clone();
                frame.resize(200, 0);
                frame[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
                if ipv4 {
                    mend(&mut frame);
                }
                assert_eq!(parse(&frame), Err(Malformed::Headers), "{wrong} at {at}");
            }
        }
    }
}

#[test]
fn a_mapped_address_in_an_ipv6_header_is_malformed() {
    for at in [22, 38] {
        let (_, mut frame) = example(false);
        frame[at..at + 16].copy_from_slice(&v4([192, 0, 2, 2]));
        assert_eq!(parse(&frame), Err(Malformed::Headers), "at {at}");
    }
}

#[test]
fn a_peer_has_a_path_when_it_can_be_answered() {
    let (ends, _) = example(true);
    let path = |text: &str| {
        let addr: std::net::SocketAddr = text.parse().unwrap();
        // The address as a frame has it: without a scope.
        let (ip, _) = crate::net::address::split_scope(Path::new(addr, 0).ip);
        Ends { their: (ip, addr.port()), ..ends }.answerable_path(7, 3)
    };
    for text in ["192.0.2.1:1", "[2001:db8::1]:65535", "[fe80::1%7]:9"] {
        assert_eq!(path(text), Some(Path::new(text.parse().unwrap(), 3)), "{text}");
    }
    for text in [
        "192.0.2.1:0",
        "[2001:db8::1]:0",
        "0.0.0.0:9",
        "127.0.0.1:9",
        "255.255.255.255:9",
        "224.0.0.1:9",
        "[::]:9",
        "[::1]:9",
        "[ff02::1]:9",
    ] {
        assert_eq!(path(text), None, "{text}");
    }
    let group = Ends { their_mac: [0xff; 6], ..ends };
    assert_eq!(group.answerable_path(7, 3), None);
}
