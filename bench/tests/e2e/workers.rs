//! Several workers: every datagram comes to its owner, and nothing is lost or wrong when it takes a detour.

use super::common::*;
use redpkt_proto::client::Config;
use serde_json::Value;

const USERS: u64 = 100;
const SHAKES: usize = 10;
const PACKETS: u64 = 300;

/// Four workers, wherever the kernel puts them; users shake from several sockets, and everything adds up.
fn four_workers(steering: &str) -> Value {
    let keys = Keys::new();
    let packets = PACKETS.to_string();
    let server = Server::start(
        &keys,
        &["--workers", "4", "--steering", steering, "--sets", "64", "--groups", "4", "--mint", "1000000"]
            .into_iter()
            .chain(["--mint-total", &packets])
            .collect::<Vec<_>>(),
    );
    server.stats_when("the pools to be full", |stats| stats["pool_packets"] == PACKETS);
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 16, Config::default());
    client.join_all();
    client.want_shakes(SHAKES);
    client.finish();
    let tally = &client.tally;
    assert_eq!(tally.shakes(), USERS * SHAKES as u64);
    assert!(tally.refused.is_empty() && tally.unknown.is_empty(), "{tally:?}");
    assert_eq!((tally.opened.len(), client.bad_frames()), (tally.won.len(), 0));
    let stats = server.stats_when("all answers in the figures", |stats| {
        stats["shake"]["miss"] == tally.miss && stats["open"]["ok"] == tally.opened.len() as u64
    });
    assert_eq!(
        (&stats["shake"]["win"], &stats["open"]["fen"]),
        (&tally.won.len().into(), &tally.fen().into())
    );
    assert_eq!(stats["joins"], USERS);
    assert_eq!(grown(&Default::default(), &server.drops()), Default::default(), "nothing was dropped");
    let workers = stats["workers"].as_array().unwrap();
    assert!(workers.iter().all(|worker| worker["sessions"].as_u64() > Some(0)), "{workers:?}");
    stats
}

/// Expect: with the steering program no datagram changes workers, unless queues bring it, and every request is answered.
#[test]
fn steered_datagrams_come_to_their_owner() {
    let stats = four_workers("on");
    if stats["io"]["steering"] != true {
        return eprintln!("skipped: this kernel refused the steering program");
    }
    if stats["io"]["engine"] == "xdp" {
        // An interface's queues follow the hash of the addresses, which knows no users.
        return assert!(stats["handed_over"].as_u64() > Some(0));
    }
    assert_eq!(stats["handed_over"], 0);
}

/// Expect: without it datagrams are handed over, and every request is answered all the same.
#[test]
fn unsteered_datagrams_are_handed_over_and_nothing_is_lost() {
    let stats = four_workers("off");
    assert_eq!(stats["io"]["steering"], false);
    assert!(stats["handed_over"].as_u64() > Some(0));
}
