//! What must pass, be taken, be dropped: by name, for server and client, IPv4 and IPv6, with and without a tag.

use super::Verdict::{self, DroppedLength, DroppedVersion, Passed, Taken};
use super::frames::{OUR_MAC, Scenario, VLAN, scenarios, tag};
use super::{Kernel, oracle, program_or_skip, xdp_socket};
use crate::net::xdp::bpf;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// Runs `check` for each scenario, with something that says whether a frame met its fate.
fn each(check: impl Fn(&Scenario, &dyn Fn(&str, &[u8], Verdict))) {
    for scenario in scenarios() {
        let Some(kernel) = Kernel::load(&scenario.filter) else { return };
        check(&scenario, &|what, frame, expected| {
            assert_eq!(kernel.verdict(frame), expected, "{what}: {scenario:?}");
            // Keeps the oracle of the mutations honest.
            assert_eq!(oracle::verdict(&scenario.filter, frame), expected, "oracle, {what}: {scenario:?}");
        });
    }
}

/// Expect: the verdict is the same whichever of these bits is wrong.
fn each_bit(frame: &[u8], bytes: std::ops::Range<usize>, mut check: impl FnMut(&str, &[u8])) {
    for at in bytes {
        for bit in 0..8 {
            let mut frame = frame.to_vec();
            frame[at] ^= 1 << bit;
            check(&format!("bit {bit} of byte {at}"), &frame);
        }
    }
}

fn with(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn datagrams_of_1_to_18_frames_are_taken_and_no_other_length() {
    each(|scenario, expect| {
        for bytes in 0..=19 * 64 + 1 {
            let fits = bytes % 64 == 0 && (1..=18).contains(&(bytes / 64));
            let verdict = if fits { Taken } else { DroppedLength };
            expect(&format!("{bytes} bytes"), &scenario.frame(bytes), verdict);
        }
    });
}

#[test]
fn a_length_that_the_frame_does_not_hold_is_dropped_and_padding_is_not_minded() {
    each(|scenario, expect| {
        let (frame, at) = (scenario.frame(128), scenario.udp_at() + 4);
        expect("longer than the frame", &with(&frame, at, &(8u16 + 192).to_be_bytes()), DroppedLength);
        expect("the longest", &with(&frame, at, &u16::MAX.to_be_bytes()), DroppedLength);
        for length in 0..=8u16 {
            expect("no more than its header", &with(&frame, at, &length.to_be_bytes()), DroppedLength);
        }
        expect("shorter than the frame", &with(&frame, at, &(8u16 + 64).to_be_bytes()), Taken);
    });
}

#[test]
fn a_frame_cut_anywhere_is_never_taken() {
    each(|scenario, expect| {
        for frames in [1, 2, 18] {
            let frame = scenario.frame(64 * frames);
            for bytes in 14..frame.len() {
                let verdict = if bytes < scenario.udp_at() + 8 { Passed } else { DroppedLength };
                expect(&format!("cut after {bytes}"), &frame[..bytes], verdict);
            }
        }
    });
}

#[test]
fn versions_1_to_15_of_the_other_side_are_taken_and_all_else_is_dropped() {
    each(|scenario, expect| {
        let (frame, at) = (scenario.frame(64), scenario.udp_at() + 8 + 12);
        for byte in 0..=255u8 {
            let from_server = byte >= 0x80;
            let taken = from_server != scenario.is_server() && (1..=15).contains(&(byte & 0x7f));
            let verdict = if taken { Taken } else { DroppedVersion };
            expect(&format!("byte {byte:#x}"), &with(&frame, at, &[byte]), verdict);
        }
    });
}

#[test]
fn frames_to_other_stations_pass() {
    each(|scenario, expect| {
        let frame = scenario.frame(64);
        each_bit(&frame, 0..6, |what, frame| expect(what, frame, Passed));
        expect("broadcast", &with(&frame, 0, &[0xff; 6]), Passed);
        expect("multicast", &with(&frame, 0, &[0x33, 0x33, 0, 0, 0, 1]), Passed);
        expect("their own", &[&frame[6..12], &frame[6..]].concat(), Passed);
        each_bit(&frame, 6..12, |what, frame| expect(what, frame, Taken));
    });
}

#[test]
fn frames_of_other_vlans_pass() {
    each(|scenario, expect| {
        let tagged = |tags: &[(u16, u16)]| {
            let mut frame = scenario.untagged(64);
            tags.iter().for_each(|(ethertype, vlan)| tag(&mut frame, *ethertype, *vlan));
            frame
        };
        let (untagged, ours) = match scenario.filter.vlan {
            None => (Taken, Passed),
            Some(_) => (Passed, Taken),
        };
        expect("no tag", &tagged(&[]), untagged);
        expect("the tag", &tagged(&[(0x8100, VLAN)]), ours);
        expect("another tag", &tagged(&[(0x8100, VLAN ^ 1)]), Passed);
        expect("another tag", &tagged(&[(0x8100, VLAN ^ 0x800)]), Passed);
        expect("a tag of priority only", &tagged(&[(0x8100, 0)]), Passed);
        expect("a service tag", &tagged(&[(0x88a8, VLAN)]), Passed);
        expect("an old service tag", &tagged(&[(0x9100, VLAN)]), Passed);
        expect("two tags", &tagged(&[(0x8100, VLAN), (0x8100, VLAN)]), Passed);
        expect("two tags, ours inside", &tagged(&[(0x8100, VLAN), (0x8100, 7)]), Passed);
        expect("two tags, ours outside", &tagged(&[(0x8100, 7), (0x8100, VLAN)]), Passed);
        expect("in a service tag", &tagged(&[(0x8100, VLAN), (0x88a8, VLAN)]), Passed);
    });
}

#[test]
fn all_that_is_not_plain_udp_passes() {
    each(|scenario, expect| {
        let (frame, at) = (scenario.frame(64), scenario.network_at());
        each_bit(&frame, at - 2..at, |what, frame| expect(what, frame, Passed));
        expect("ARP", &with(&frame, at - 2, &[0x08, 0x06]), Passed);
        let protocol_at = if scenario.is_ipv4() { at + 9 } else { at + 6 };
        for protocol in (0..=255).filter(|protocol| *protocol != 17) {
            expect(&format!("protocol {protocol}"), &with(&frame, protocol_at, &[protocol]), Passed);
        }
        each_bit(&frame, at..at + 1, |what, changed| {
            // The low bits of an IPv6 header's first byte are its traffic class.
            let verdict = if !scenario.is_ipv4() && changed[at] >> 4 == 6 { Taken } else { Passed };
            expect(what, changed, verdict);
        });
    });
}

#[test]
fn ipv4_fragments_and_options_pass() {
    each(|scenario, expect| {
        if !scenario.is_ipv4() {
            return;
        }
        let (frame, at) = (scenario.frame(64), scenario.network_at());
        expect("may not be fragmented", &with(&frame, at + 6, &[0x40, 0]), Taken);
        expect("may be fragmented", &with(&frame, at + 6, &[0, 0]), Taken);
        expect("first fragment", &with(&frame, at + 6, &[0x20, 0]), Passed);
        for bit in 0..13 {
            let offset = 1u16 << bit;
            expect("last fragment", &with(&frame, at + 6, &offset.to_be_bytes()), Passed);
            expect("a fragment between", &with(&frame, at + 6, &(offset | 0x2000).to_be_bytes()), Passed);
        }
        let mut options = with(&frame, at, &[0x46]);
        options.splice(at + 20..at + 20, [1, 1, 1, 0]);
        expect("options", &options, Passed);
        for (what, byte, verdict) in [("service", 1, Taken), ("identification", 4, Taken), ("ttl", 8, Taken)]
        {
            expect(what, &with(&frame, at + byte, &[0xff]), verdict);
        }
    });
}

#[test]
fn ipv6_extension_headers_pass() {
    each(|scenario, expect| {
        if scenario.is_ipv4() {
            return;
        }
        let (frame, at) = (scenario.frame(64), scenario.network_at());
        // Hop by hop, routing, fragment, authentication, destination options, no next header.
        for next in [0, 43, 44, 51, 60, 59] {
            let mut extended = with(&frame, at + 6, &[next]);
            extended.splice(at + 40..at + 40, [17, 0, 0, 0, 0, 0, 0, 0]);
            expect(&format!("extension header {next}"), &extended, Passed);
        }
        expect("a flow label", &with(&frame, at + 1, &[0xff, 0xff, 0xff]), Taken);
    });
}

#[test]
fn other_addresses_and_ports_pass() {
    each(|scenario, expect| {
        let (frame, at, udp) = (scenario.frame(64), scenario.network_at(), scenario.udp_at());
        let (source, destination) = match scenario.to.ip() {
            IpAddr::V4(_) => (at + 12..at + 16, at + 16..at + 20),
            IpAddr::V6(_) => (at + 8..at + 24, at + 24..at + 40),
        };
        // What the filter names must be exact, and what it does not name is free.
        let (exact, free) = if scenario.is_server() {
            ([destination, udp + 2..udp + 4], [source, udp..udp + 2])
        } else {
            ([source, udp..udp + 2], [udp + 2..udp + 4, udp + 6..udp + 8])
        };
        for bytes in free {
            each_bit(&frame, bytes, |what, frame| expect(what, frame, Taken));
        }
        for bytes in exact {
            each_bit(&frame, bytes, |what, frame| {
                // One bit may lead to another address that is listened at.
                let verdict = oracle::verdict(&scenario.filter, frame);
                assert!(verdict == Passed || scenario.is_server());
                expect(what, frame, verdict);
            });
        }
    });
}

#[test]
fn a_client_takes_exactly_its_network() {
    each(|scenario, expect| {
        let crate::net::xdp::filter::Take::From { prefix_bits, .. } = scenario.filter.take else { return };
        let (frame, udp) = (scenario.frame(64), scenario.udp_at());
        let bytes = if scenario.is_ipv4() { 4 } else { 16 };
        for bit in 0..8 * bytes {
            let mut frame = frame.clone();
            frame[udp - bytes + bit / 8] ^= 0x80 >> (bit % 8);
            let verdict = if bit < usize::from(prefix_bits) { Passed } else { Taken };
            expect(&format!("bit {bit} of the address"), &frame, verdict);
        }
    });
}

#[test]
fn sixty_four_addresses_of_both_families_are_each_taken() {
    let mut scenario = scenarios().remove(0);
    let addresses: Vec<_> = (0..64u16)
        .map(|i| match i % 2 {
            0 => format!("10.0.{i}.1:{}", 7100 + i).parse().unwrap(),
            _ => format!("[fd00::{i}]:{}", 7100 + i).parse().unwrap(),
        })
        .collect();
    scenario.filter.take = super::super::Take::To(addresses.clone());
    let Some(kernel) = Kernel::load(&scenario.filter) else { return };
    for address in &addresses {
        scenario.to = *address;
        scenario.from = if address.is_ipv4() { "9.9.9.9:9" } else { "[fd99::9]:9" }.parse().unwrap();
        assert_eq!(kernel.verdict(&scenario.frame(64)), Taken, "{address}");
        scenario.to.set_port(address.port() + 1);
        assert_eq!(kernel.verdict(&scenario.frame(64)), Passed, "{address}");
    }
}

#[test]
fn a_queue_without_a_socket_leaves_its_datagrams_to_the_kernel() {
    let scenario = scenarios().remove(0);
    assert_eq!(scenario.filter.mac, OUR_MAC);
    let Some(program) = program_or_skip(&scenario.filter, 3) else { return };
    let frame = scenario.frame(64);
    assert_eq!(super::verdict(&program, &frame), Passed, "no queue has one");
    let Some(socket) = xdp_socket() else { return };
    program.set_socket(2, socket.as_fd()).unwrap();
    assert_eq!(super::verdict(&program, &frame), Passed, "another queue has one");
    program.set_socket(0, socket.as_fd()).unwrap();
    assert_eq!(super::verdict(&program, &frame), Taken);
    drop(socket);
    assert_eq!(super::verdict(&program, &frame), Passed, "the socket was closed");
}

/// Run by hand to see the cost of one frame:
/// `cargo test --release -p redpkt cost_of_one_frame -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_one_frame() {
    for scenario in scenarios() {
        let Some(kernel) = Kernel::load(&scenario.filter) else { return };
        let other = {
            let mut frame = scenario.frame(64);
            frame[0] ^= 2;
            frame
        };
        let bad = scenario.frame(63);
        for (what, frame) in [
            ("1 frame", scenario.frame(64)),
            ("18 frames", scenario.frame(18 * 64)),
            ("bad length", bad),
            ("other MAC", other),
        ] {
            let run = bpf::test_run(kernel.program.program.as_fd(), &frame, 100_000).unwrap();
            println!(
                "{:>4} ns {what}, vlan {:?}, to {}, {:?}",
                run.ns, scenario.filter.vlan, scenario.to, scenario.filter.take
            );
        }
    }
}
