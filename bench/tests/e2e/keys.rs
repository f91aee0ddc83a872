//! Keys: read again on SIGHUP, and never told.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::Op;
use redpkt_proto::body::{Refusal, RefusalCode};
use redpkt_proto::client::Config;

/// Expect: after a rotation tickets of the old key and of the new one join, sessions go on, and before it the
/// new one's are refused.
#[test]
fn sighup_takes_a_rotated_key_file() {
    let mut keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let peer = Peer::new(server.addr());
    let old_ticket = keys.ticket(1);
    let mut before = Hand::join(&peer, &keys.ticket(2));
    keys.rotate();
    let new_ticket = keys.ticket(3);
    let refused: Refusal = peer.ask(&hello(&new_ticket, &random8())).body();
    assert_eq!(RefusalCode::from_wire(refused.code), Some(RefusalCode::TicketKey));
    server.signal(Signal::SIGHUP);
    wait_for("the keys to be read again", || server.logged("keys read again").pop());
    // A worker takes the keys between two batches: soon, but not at once.
    wait_for("the worker to take them", || {
        let answer = peer.ask(&hello(&new_ticket, &random8()));
        (answer.header.op == Op::Challenge as u8).then_some(())
    });
    Hand::join(&peer, &new_ticket).shake_and_hear(&peer);
    Hand::join(&peer, &old_ticket).shake_and_hear(&peer);
    before.shake_and_hear(&peer);
}

/// Expect: a key file that is broken, empty, readable by others or gone leaves the keys as they were, and the
/// log says so.
#[test]
fn sighup_with_a_bad_key_file_keeps_the_old_keys() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let peer = Peer::new(server.addr());
    let text = keys.ring.to_text();
    let cut_off = &text[..text.len() - 2];
    for (at, (content, mode)) in
        [("1 zz", 0o600), ("", 0o600), (cut_off, 0o600), (&text, 0o644)].iter().enumerate()
    {
        keys.write(content, *mode);
        server.signal(Signal::SIGHUP);
        let kept = wait_for("the log", || server.logged("keys stay as they were").get(at).cloned());
        assert!(kept["failure"].as_str().unwrap().contains("--key"), "{kept}");
        Hand::join(&peer, &keys.ticket(at as u64 + 1)).shake_and_hear(&peer);
    }
    std::fs::remove_file(keys.path()).unwrap();
    server.signal(Signal::SIGHUP);
    wait_for("the log", || server.logged("keys stay as they were").get(4).cloned());
    Hand::join(&peer, &keys.ticket(9)).shake_and_hear(&peer);
    assert!(server.logged("keys read again").is_empty());
}

/// Expect: neither server keys nor session keys nor tickets are told by stdout, logs at their most talkative,
/// figures or refusals, also when the key file is broken or users misbehave.
#[test]
fn no_secret_is_ever_told() {
    let keys = Keys::new();
    let server = Server::start_with(
        &keys,
        &["--json", "--mint", "1000000", "--mint-total", "20"],
        &[("RUST_LOG", "trace")],
    );
    let mut client = Client::new(server.addr(), &keys, 1..=20, 2, Config::default());
    client.join_all();
    client.want_shakes(5);
    client.finish();
    let peer = Peer::new(server.addr());
    let ticket = keys.ticket(99);
    let mut user = Hand::join(&peer, &ticket);
    let mut bad = user.shake();
    bad.tag[0] ^= 1;
    peer.send_frames(&[bad]);
    user.sync(&peer);
    server.signal(Signal::SIGHUP);
    wait_for("the keys to be read again", || server.logged("keys read again").pop());
    let hex = keys.hex();
    assert_eq!(hex.len(), 1);
    keys.write(&format!("1 {}\n1 {}\n2 {}", hex[0], hex[0], &hex[0][1..]), 0o600);
    server.signal(Signal::SIGHUP);
    wait_for("the log", || server.logged("keys stay as they were").pop());
    let mut told = server.stats().to_string() + &server.get("/").body + &server.stdout();
    let (_, stdout, stderr) = server.end(Signal::SIGTERM);
    told += &(stdout + &stderr);
    let told = told.to_lowercase();
    let mut secrets = hex;
    secrets.extend(client.session_keys().iter().map(hex::encode));
    secrets.push(hex::encode(user.key.bytes()));
    secrets.push(hex::encode(ticket.secret.bytes()));
    assert_eq!(secrets.len(), 23);
    for secret in &secrets {
        // A part of it is too much already.
        assert!(!told.contains(&secret[..16]), "a secret is told");
        let bytes: Vec<u8> = (0..secret.len() / 2)
            .map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let as_list = format!("{:?}", &bytes[..8]);
        assert!(!told.contains(as_list.trim_matches(['[', ']'])), "a secret is told as numbers");
    }
}
