//! Frames with a VLAN tag: ours with our tag only, all others the kernel's.
//!
//! A VLAN interface over a veth hands its tags over beside the frame, where no XDP program sees them, and not every
//! kernel has such interfaces. So requests are put on the wire by hand, with the tag in the frame, and answers are
//! taken from it. The client's kernel has no interface for any VLAN: it gives its sockets what has no tag, and nothing
//! else, so that a socket tells the one from the other.

use crate::common::*;
use crate::frames::{Wire, datagram, stray};
use crate::world::{KernelUdp, assert_by_xdp, ip, serve};
use redpkt_proto::client::Config;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const VLAN: u16 = 7;

/// Carries datagrams between one socket on loopback and the server, in frames with our tag on the way there.
struct Relay {
    near: SocketAddr,
    /// The socket that an answer without a tag would come to.
    untagged: UdpSocket,
    answers: Arc<AtomicU64>,
}

impl Relay {
    fn new(server: SocketAddrV4) -> Relay {
        ip("link set lo up");
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let untagged = UdpSocket::bind("10.77.0.2:0").unwrap();
        untagged.set_nonblocking(true).unwrap();
        let SocketAddr::V4(from) = untagged.local_addr().unwrap() else { panic!("an IPv4 address") };
        let relay = Relay { near: near.local_addr().unwrap(), untagged, answers: Arc::default() };
        let (wire, answers) = (Wire::new(), Arc::clone(&relay.answers));
        // It ends with the test's process.
        std::thread::spawn(move || {
            let (mut bytes, mut client) = ([0; 2_048], None);
            loop {
                if let Ok((len, peer)) = near.recv_from(&mut bytes) {
                    client = Some(peer);
                    wire.send(&datagram(Some(VLAN), from, server, &bytes[..len]));
                }
                while let (Some(answer), Some(client)) = (wire.hear(from.port()), client) {
                    answers.fetch_add(1, Ordering::Relaxed);
                    // Whoever asked may be gone.
                    let _ = near.send_to(&answer, client);
                }
            }
        });
        relay
    }
}

/// Expect: requests with our tag are answered with a tag, all by AF_XDP; frames with another tag or none are not ours.
fn frames_of_our_vlan_are_ours(mode: &str) {
    lab(1);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", mode, "--vlan", "7"]);
    let SocketAddr::V4(addr) = server.addr() else { panic!("an IPv4 address") };
    let before = KernelUdp::now();
    let relay = Relay::new(addr);
    let mut client = Client::new(relay.near, &keys, 1..=10, 1, Config::default());
    client.join_all();
    client.want_shakes(5);
    client.finish();
    assert_eq!((client.tally.joins, client.tally.shakes()), (10, 50), "{:?}", client.tally);
    let stats = server.stats_when("all joins", |stats| stats["joins"] == 10);
    assert_by_xdp(&stats, mode, 1);
    assert_eq!(KernelUdp::now(), before, "a datagram passed the server's kernel");
    assert!(relay.answers.load(Ordering::Relaxed) > 0);
    let heard = relay.untagged.recv(&mut [0; 2_048]);
    assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "an answer had no tag");
    // To the kernel: it has no interface for VLAN 8, and gives what has no tag to the server's socket.
    let (wire, from) = (Wire::new(), "10.77.0.2:9999".parse().unwrap());
    wire.send(&datagram(Some(8), from, addr, &stray()));
    wire.send(&datagram(None, from, addr, &stray()));
    server.stats_when("the frame without a tag", |stats| stats["drops"]["unknown_session"] == 1);
    assert_eq!(KernelUdp::now().received, before.received + 1);
    wire.send(&datagram(Some(VLAN), from, addr, &stray()));
    server.stats_when("the frame of our VLAN", |stats| stats["drops"]["unknown_session"] == 2);
    assert_eq!(KernelUdp::now().received, before.received + 1);
}

#[test]
fn in_native_mode() {
    frames_of_our_vlan_are_ours("native");
}

#[test]
fn in_generic_mode() {
    frames_of_our_vlan_are_ours("generic");
}
