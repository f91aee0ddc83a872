//! What one source prefix may take of a server, over sockets with public addresses: in a network namespace of the
//! test's own, which has nothing but a loopback interface.

use super::common::*;
use nix::sched::{CloneFlags, unshare};
use redpkt_proto::body::{Refusal, RefusalCode};
use redpkt_proto::{Frame, Op};
use std::process::Command;

/// Runs a test where these addresses are our own; skipped where that may not be.
fn with_addresses(addresses: &'static [&'static str], test: fn()) {
    let ip = |args: &[&str]| Command::new("ip").args(args).status().is_ok_and(|status| status.success());
    let inside = move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return eprintln!("skipped: a network namespace needs CAP_SYS_ADMIN ({error})");
        }
        let own = |addr: &&str| ip(&["address", "add", addr, "dev", "lo"]);
        if !ip(&["link", "set", "lo", "up"]) || !addresses.iter().all(own) {
            return eprintln!("skipped: addresses are given by the `ip` of iproute2");
        }
        test();
    };
    if let Err(panic) = std::thread::spawn(inside).join() {
        std::panic::resume_unwind(panic);
    }
}

/// HELLO and JOIN of a user from an address; what came of it.
fn join_from(local: &str, server: &Server, keys: &Keys, user: u64) -> Frame {
    let (peer, ticket, random) = (Peer::at(local, server.addr()), keys.ticket(user), random8());
    let cookie = challenge_cookie(&peer, &ticket, &random);
    peer.ask(&join_frame(&ticket, &random, cookie))
}

/// Expect: a prefix joins up to its share of the sessions; one more is told Busy and when to come again; users of
/// another prefix and of the own networks join meanwhile; all of it is in the figures.
#[test]
fn a_prefix_has_its_share_and_others_join() {
    with_addresses(&["203.0.113.1/32", "203.0.113.200/32", "203.0.114.1/32"], || {
        let keys = Keys::new();
        let options = ["--sets", "1", "--groups", "1", "--prefix-sessions", "3"];
        let server = Server::start(&keys, &options);
        for user in 1..=3 {
            let answer = join_from("203.0.113.1:0", &server, &keys, user);
            assert_eq!(answer.header.op, Op::Welcome as u8, "user {user}");
        }
        let refused = join_from("203.0.113.200:0", &server, &keys, 4);
        let body: Refusal = refused.body();
        assert_eq!((refused.header.op, body.code), (Op::Error as u8, RefusalCode::Busy as u8));
        assert!(body.retry_after_ms.get() > 5_000);
        for (user, local) in [(5, "203.0.114.1:0"), (6, "127.0.0.1:0"), (7, "127.0.0.1:0")] {
            let answer = join_from(local, &server, &keys, user);
            assert_eq!(answer.header.op, Op::Welcome as u8, "user {user} from {local}");
        }
        let stats = server.stats_when("the joins", |stats| stats["joins"] == 6);
        assert_eq!((&stats["sessions"], &stats["drops"]["prefix"]), (&6.into(), &1.into()));
        assert_eq!(stats["prefix"], serde_json::json!({"unread": 0, "joins": 0, "sessions": 1}));
    });
}

/// Expect: JOINs of a prefix beyond its rate are told Busy; another prefix's are not.
#[test]
fn a_prefix_joins_at_its_rate() {
    with_addresses(&["203.0.113.1/32", "203.0.114.1/32"], || {
        let keys = Keys::new();
        let server = Server::start(&keys, &["--prefix-joins", "1"]);
        let first = join_from("203.0.113.1:0", &server, &keys, 1);
        assert_eq!(first.header.op, Op::Welcome as u8);
        let answers: Vec<Frame> =
            (2..=5).map(|user| join_from("203.0.113.1:0", &server, &keys, user)).collect();
        let refused = answers.iter().filter(|answer| answer.header.op == Op::Error as u8).count();
        assert!(refused > 0, "five joins in less than four seconds");
        let other = join_from("203.0.114.1:0", &server, &keys, 9);
        assert_eq!(other.header.op, Op::Welcome as u8);
        let stats = server.stats_when("the refusals", |stats| stats["prefix"]["joins"] == refused as u64);
        assert_eq!(stats["drops"]["prefix"], refused as u64);
    });
}
