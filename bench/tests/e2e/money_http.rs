//! The operator's payments and orders: once by their ids, also after a restart, and never for a foreign page.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::client::Config;

/// Every request that moves money or changes an order.
const POSTS: [&str; 6] = [
    "/mint?id=a&rate=1&total=1&fen=5",
    "/send?id=b&rate=1&total=1&recipients=1&shares=1&fen=5",
    "/deposit?id=c&user=1&fen=5",
    "/withdraw?id=d&user=1&fen=5",
    "/mint/start/stop",
    "/groups/0/rebuild",
];

fn start(keys: &Keys, ledger: &Ledger) -> Server {
    Server::start(keys, &["--workers", "2", "--groups", "2", "--ledger", &ledger.url()])
}

/// Expect: each payment once, however often it is asked for, also after a crash; the same id with other content is
/// 409, and so is more than the wallet holds; what cannot be is 400 and names the field.
#[test]
fn payments_are_made_once_by_their_ids() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let mut server = start(&keys, &ledger);
    let post = |server: &Server, target: &str| server.ask("POST", target).status;
    for crashes in [false, true] {
        if crashes {
            server.kill();
            server = start(&keys, &ledger);
        }
        for (at, user) in [1, 2, 1_000_000_007].into_iter().enumerate() {
            let paid_in = post(&server, &format!("/deposit?id=in-{user}&user={user}&fen=100"));
            let paid_out = post(&server, &format!("/withdraw?id=out-{user}&user={user}&fen=30"));
            let first = if crashes { 200 } else { 201 };
            assert_eq!((paid_in, paid_out), (first, first), "{at}");
        }
        for target in [
            "/deposit?id=in-1&user=1&fen=101",
            "/deposit?id=in-1&user=2&fen=100",
            "/withdraw?id=in-1&user=1&fen=100",
            "/withdraw?id=too-much&user=1&fen=71",
        ] {
            assert_eq!(post(&server, target), 409, "{target}");
        }
        for (target, name) in [
            ("/deposit?id=x&fen=1", "user"),
            ("/deposit?id=x&user=0&fen=1", "user"),
            ("/deposit?id=x&user=1&fen=0", "fen"),
            ("/deposit?id=x&user=1&fen=-1", "fen"),
            ("/withdraw?id=x/y&user=1&fen=1", "id"),
            ("/send?id=x&rate=1&total=1&fen=1", "recipients"),
            ("/send?id=x&rate=1&total=1&recipients=1&shares=501&fen=600", "shares"),
        ] {
            let reply = server.ask("POST", target);
            assert!(reply.status == 400 && reply.body.contains(name), "{target}: {reply:?}");
        }
        let mut client = Client::new(server.addr(), &keys, 1..=2, 1, Config::default());
        client.join_all();
        assert_eq!((client.balance(1), client.balance(2)), (70, 70));
    }
    let (status, ..) = server.end(Signal::SIGTERM);
    assert!(status.success());
    assert_eq!(ledger.audit()["wallets_fen"], 210);
}

/// Expect: a page of another site moves no money.
#[test]
fn foreign_pages_move_no_money() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger);
    for target in POSTS {
        for field in [
            ("Host", "evil.example"),
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let reply = ask(server.http(), "POST", target, &[field]).unwrap();
            assert_eq!(reply.status, 403, "{target} {field:?}: {reply:?}");
        }
        assert_eq!(server.get(target).status, 405, "{target}");
    }
    let stats = server.stats();
    assert!(stats["orders"].as_array().unwrap().is_empty(), "{stats:#}");
    let (status, ..) = server.end(Signal::SIGTERM);
    assert!(status.success());
    assert_eq!(ledger.audit()["rows"], 0);
}

/// Expect: packets of the house for users drawn among those who are here: each told, each opened, and as much as was
/// made.
#[test]
fn packets_of_the_house_are_found_and_opened() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger);
    let mut client = Client::new(server.addr(), &keys, 1..=200, 2, Config::default());
    client.join_all();
    let order = "/send?id=new-year&rate=1000&total=50&recipients=3&shares=3&fen=3..30";
    assert_eq!((server.ask("POST", order).status, server.ask("POST", order).status), (201, 200));
    client.drive_until("all to be opened", |client| client.tally.opened.len() == 150);
    client.finish();
    assert!(client.tally.invited.values().all(|from| *from == 0) && client.tally.refused.is_empty());
    let stats = server.stats_when("the order to be done", |stats| stats["orders"][0]["state"] == "done");
    assert_eq!(stats["orders"][0]["minted_fen"], client.tally.fen());
    server.stats_when("conservation", |stats| stats["conservation"]["ok"] == true);
    let (status, ..) = server.end(Signal::SIGTERM);
    assert!(status.success());
    assert_eq!(ledger.audit()["wallets_fen"], client.tally.fen());
}
