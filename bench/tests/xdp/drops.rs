//! Broken datagrams are dropped, each counted under its own name, and the kernel hears of none of them.

use crate::common::*;
use crate::frames::{IP_AT, PAYLOAD_AT, UDP_AT, Wire, datagram, stray, sum_ipv4_header};
use crate::world::{KernelUdp, content, serve};
use std::collections::BTreeMap;
use std::net::SocketAddr;

fn broken_datagrams_are_counted(mode: &str) {
    lab(1);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", mode]);
    let SocketAddr::V4(to) = server.addr() else { panic!("an IPv4 address") };
    let from = "10.77.0.2:9999".parse().unwrap();
    let sound = datagram(None, from, to, &stray());
    let version = |version: u8| {
        let mut payload = stray();
        payload[12] = version;
        datagram(None, from, to, &payload)
    };
    let changed = |change: fn(&mut [u8])| {
        let mut frame = sound.clone();
        change(&mut frame);
        frame
    };
    let cases: [(&str, Vec<u8>); 12] = [
        ("length", datagram(None, from, to, &[1; 63])),
        ("length", datagram(None, from, to, &[1; 65])),
        ("length", datagram(None, from, to, &[])),
        ("version", version(0)),
        ("version", version(16)),
        ("version", version(0x80 | 16)),
        // The server's own direction is the core's to refuse.
        ("direction", version(0x81)),
        ("truncated", datagram(None, from, to, &[1; 19 * 64])),
        ("checksum", changed(|frame| frame[PAYLOAD_AT + 20] ^= 1)),
        ("checksum", changed(|frame| frame[IP_AT + 8] -= 1)),
        // The datagram is longer than the packet that it is in.
        (
            "malformed",
            changed(|frame| {
                frame[IP_AT + 3] -= 8;
                sum_ipv4_header(frame);
            }),
        ),
        ("source", datagram(None, "10.77.0.2:0".parse().unwrap(), to, &stray())),
    ];
    assert_eq!(sound[UDP_AT..UDP_AT + 2], 9_999u16.to_be_bytes());
    let (wire, kernel) = (Wire::new(), KernelUdp::now());
    let mut wanted = BTreeMap::new();
    for (reason, frame) in &cases {
        wire.send(frame);
        *wanted.entry((*reason).to_owned()).or_insert(0) += 1;
        server.stats_when(&format!("{wanted:?}"), |stats| {
            stats["drops"][reason].as_u64() == wanted.get(*reason).copied()
        });
    }
    // A sound one gets as far as its user, who is unknown.
    wire.send(&sound);
    *wanted.entry("unknown_session".to_owned()).or_insert(0) += 1;
    server.stats_when("the sound one", |stats| stats["drops"]["unknown_session"] == 1);
    assert_eq!(grown(&BTreeMap::new(), &server.drops()), wanted);
    assert_eq!(KernelUdp::now(), kernel);
    content(server.addr(), &keys, 1..=10);
}

#[test]
fn in_native_mode() {
    broken_datagrams_are_counted("native");
}

#[test]
fn in_generic_mode() {
    broken_datagrams_are_counted("generic");
}
