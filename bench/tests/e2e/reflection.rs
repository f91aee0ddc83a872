//! Whatever a server says, no server answers it.

use super::common::*;
use redpkt_proto::body::{Keepalive, PathProof};
use redpkt_proto::{Direction, Frame, Op};

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
    // Ended before the other starts, so that both may have the one interface of a lab.
    let said = everything_a_server_says(&keys, &Server::start(&keys, &one_packet));
    let other = Server::start(&keys, &[]);
    let peer = Peer::new(other.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
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
