//! Two servers cannot be made to answer each other.

use super::common::*;
use redpkt_proto::body::{Keepalive, PathProof};
use redpkt_proto::{Direction, Frame, Op};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use zerocopy::IntoBytes as _;

/// Everything that a server says, one datagram each, by the name of what it is.
fn everything_a_server_says(keys: &Keys, server: &Server) -> Vec<(&'static str, Vec<Frame>)> {
    let (peer, other_peer) = (Peer::new(server.addr()), Peer::new(server.addr()));
    let (ticket, client_random) = (keys.ticket(1), random8());
    let mut said = Vec::new();
    let challenge = peer.ask(&hello(&ticket, &client_random));
    let cookie = challenge.body::<redpkt_proto::body::Challenge>().cookie;
    let welcome = peer.ask(&join_frame(&ticket, &client_random, cookie));
    let mut user = Hand::welcomed(&ticket, &client_random, &welcome);
    said.extend([("challenge", vec![challenge]), ("welcome", vec![welcome])]);
    let mut ask = |name, peer: &Peer, frames: &[Frame]| {
        peer.send_frames(frames);
        let answer = peer.hear();
        said.push((name, answer.clone()));
        answer
    };
    server.stats_when("something in the pool", |stats| stats["pool_packets"] != 0);
    let win = ask("win", &peer, &[user.shake()]);
    let packet = user.open::<redpkt_proto::body::Answer>(win[0], Op::Shake).packet.get();
    assert_ne!(packet, 0);
    let req = user.new_req();
    ask("open", &peer, &[user.request(Op::Open, req, packet)]);
    ask("miss", &peer, &[user.shake()]);
    let shakes: Vec<Frame> = (0..18).map(|_| user.shake()).collect();
    ask("18 answers", &peer, &shakes);
    ask("keepalive", &peer, &[user.keepalive(1)]);
    let path = ask("path", &other_peer, &[user.keepalive(2)]);
    assert_eq!(path[0].header.op, Op::Path as u8);
    let proof: PathProof = user.open(path[0], Op::Path);
    ask("path proved", &other_peer, &[user.frame(Op::PathOk, &proof)]);
    let mut stranger = user.shake();
    stranger.header.user = 99.into();
    let stale = ask("stale", &peer, &[stranger]);
    assert_eq!(stale[0].header.op, Op::Stale as u8);
    let mut other_version = user.shake();
    other_version.header.version_direction = 9;
    ask("error: version", &peer, &[other_version]);
    ask("error: ticket expired", &peer, &[hello(&keys.ticket_until(2, 1), &random8())]);
    let mut foreign = Keys::new();
    foreign.rotate();
    ask("error: ticket key", &peer, &[hello(&foreign.ticket(2), &random8())]);
    said
}

/// Expect: whatever one server says, another (with the same keys, and with a session of the same user) counts
/// it as `direction` and says nothing.
#[test]
fn no_word_of_a_server_is_answered_by_another() {
    let keys = Keys::new();
    let one_packet = ["--mint", "1000", "--mint-total", "1", "--sets", "1", "--groups", "1"];
    let one = Server::start(&keys, &one_packet);
    let other = Server::start(&keys, &[]);
    let peer = Peer::new(other.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    let said = everything_a_server_says(&keys, &one);
    for (name, frames) in &said {
        assert!(frames.iter().all(|frame| frame.header.direction() == Direction::ToClient), "{name}");
        peer.send_frames(frames);
        // The first thing heard after it is the answer to this: it was not answered.
        let back: Keepalive = {
            let frame = user.keepalive(7);
            user.open(peer.ask(&frame), Op::Keepalive)
        };
        assert_eq!(back.token.get(), 7, "{name}");
    }
    let stats = other.stats_when("all to be counted", |stats| stats["drops"]["direction"] == said.len());
    let asked = said.len() as u64 + 2;
    assert_eq!(stats["datagrams_out"], asked, "CHALLENGE, WELCOME and the keepalives");
    assert_eq!(grown(&Default::default(), &other.drops()).len(), 1);
}

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
