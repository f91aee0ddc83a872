//! Two servers cannot be made to answer each other, by whoever forges the one's address.

use super::common::*;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use zerocopy::IntoBytes as _;

/// Expect: datagrams to one server that seem to come from another make exactly one answer each, which the other
/// drops as `direction`: nothing goes back and forth.
#[test]
fn a_forged_source_makes_no_loop_between_servers() {
    let raw = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(raw) => raw,
        Err(error) => return eprintln!("skipped: a raw socket needs CAP_NET_RAW ({error})"),
    };
    let keys = Keys::new();
    let (one, other) = (Server::start(&keys, &[]), Server::start(&keys, &[]));
    let peer = Peer::new(one.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    let mut stranger = user.shake();
    stranger.header.user = 99.into();
    let mut other_version = user.shake();
    other_version.header.version_direction = 9;
    let forged = [
        vec![stranger],
        vec![other_version; 18],
        vec![hello(&keys.ticket(2), &random8())],
        vec![hello(&keys.ticket_until(2, 1), &random8())],
        vec![user.shake()],
        vec![user.keepalive(1)],
    ];
    let before = one.stats_when("the join", |stats| stats["datagrams_in"] == 2);
    for frames in &forged {
        send_from(&raw, other.addr(), one.addr(), frames.as_bytes());
    }
    let count = forged.len() as u64;
    let got = other.stats_when("one answer each", |stats| stats["drops"]["direction"] == count);
    assert_eq!((&got["datagrams_in"], &got["datagrams_out"]), (&count.into(), &0.into()));
    user.sync(&peer);
    let after = one.stats_when("the last word", |stats| {
        stats["datagrams_in"].as_u64() >= before["datagrams_in"].as_u64().map(|before| before + count + 1)
    });
    assert_eq!(after["datagrams_in"].as_u64().unwrap(), 2 + count + 1, "nothing came back");
    assert_eq!(after["path_changes"], 0, "an address that only asks is not proved");
}

/// Expect: a server that is sent its own words in its own name says nothing more.
#[test]
fn a_server_does_not_talk_to_itself() {
    let raw = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(raw) => raw,
        Err(error) => return eprintln!("skipped: a raw socket needs CAP_NET_RAW ({error})"),
    };
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let peer = Peer::new(server.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    let mut stranger = user.shake();
    stranger.header.user = 99.into();
    send_from(&raw, server.addr(), server.addr(), stranger.as_bytes());
    server.stats_when("its answer to itself", |stats| stats["drops"]["direction"] == 1);
    user.sync(&peer);
    let stats = server.stats_when("the keepalive", |stats| stats["datagrams_in"] == 5);
    assert_eq!(stats["drops"]["unknown_session"], 1);
    assert_eq!(stats["datagrams_out"], 4, "CHALLENGE, WELCOME, STALE, KEEPALIVE");
}

/// Sends a datagram in another's name.
fn send_from(raw: &Socket, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    let mut packet = Vec::with_capacity(8 + bytes.len());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend((8 + bytes.len() as u16).to_be_bytes());
    packet.extend([0; 2]); // no checksum
    packet.extend(bytes);
    raw.send_to(&packet, &SocketAddr::new(to.ip(), 0).into()).expect("a raw socket sends");
}
