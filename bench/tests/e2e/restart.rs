//! A server that dies: its users come back by themselves.

use super::common::*;
use redpkt_proto::client::Config;
use std::time::{Duration, Instant};

const USERS: u64 = 2_000;

/// Within which all users are back after a restart, in an unoptimised build on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(45);

/// Expect: after a SIGKILL and a restart on the same port all users rejoin by themselves and are served again;
/// requests that were in flight end, and none is executed twice.
#[test]
fn after_a_kill_and_a_restart_all_users_rejoin_by_themselves() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let (addr, text) = (server.addr(), server.addr().to_string());
    let mut client = Client::new(addr, &keys, 1..=USERS, 8, Config::default());
    client.join_all();
    client.want_shakes(1);
    client.finish();
    assert_eq!((client.tally.miss, client.tally.joins), (USERS, USERS));
    // Some are in flight when it dies, and all want something while it is away.
    client.want_shakes(1);
    client.turn();
    server.kill();
    client.drive_for(Duration::from_millis(200));
    let restarted = Server::start(&keys, &["--listen", &text]);
    let back = Instant::now();
    client.drive_until("all users to be served again", |client| {
        client.tally.joins >= 2 * USERS && client.tally.answered.values().all(|answered| *answered >= 2)
    });
    assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());
    client.want_shakes(1);
    client.finish();
    assert!(client.tally.unknown.is_empty(), "{:?}", client.tally.unknown);
    assert_eq!(client.tally.shakes() + client.tally.refused.len() as u64, 3 * USERS);
    let stats = restarted.stats_when("all sessions", |stats| stats["sessions"] == USERS);
    let executed = stats["shake"]["miss"].as_u64().unwrap();
    assert!((USERS..=2 * USERS).contains(&executed), "{executed} shakes executed after the restart");
    assert!(stats["drops"]["unknown_session"].as_u64() > Some(0), "STALE is how they knew");
}
