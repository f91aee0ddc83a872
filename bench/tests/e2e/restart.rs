//! A server that dies: its users come back by themselves.

use super::common::*;
use rand::RngExt as _;
use redpkt_proto::client::Config;
use std::time::{Duration, Instant};

const USERS: u64 = 2_000;

/// Within which all users are back after a restart, in an unoptimised build on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Expect: after a SIGKILL and a restart on the same port all users rejoin by themselves and are served again:
/// those whose requests were in flight because these come again, the others with their next keepalive. Every
/// request ends, and none is executed twice.
#[test]
fn after_a_kill_and_a_restart_all_users_rejoin_by_themselves() {
    let keys = Keys::new();
    let text = free_fixed_port();
    let args = ["--keepalive", "2s", "--idle", "60s", "--listen", &text];
    let server = Server::start(&keys, &args);
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 8, Config::default());
    client.join_all();
    client.want_shakes(1);
    client.finish();
    assert_eq!((client.tally.miss, client.tally.joins), (USERS, USERS));
    server.kill();
    client.want_shakes_of(1..=USERS / 2, 1);
    client.drive_for(Duration::from_millis(300));
    let restarted = Server::start(&keys, &args);
    let back = Instant::now();
    client.drive_until("all users to be back", |client| client.tally.joins >= 2 * USERS);
    assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());
    client.finish();
    client.want_shakes(1);
    client.finish();
    let tally = &client.tally;
    assert!(tally.unknown.is_empty() && tally.refused.is_empty(), "{tally:?}");
    assert_eq!(tally.miss, 2 * USERS + USERS / 2);
    // The requests in flight belonged to sessions before the restart: looked up, never executed.
    let stats = restarted.stats_when("all shakes", |stats| stats["shake"]["miss"] == USERS);
    assert_eq!(stats["sessions"], USERS);
    assert!(stats["repeated"].as_u64() >= Some(USERS / 2), "{stats:#}");
    assert!(stats["drops"]["unknown_session"].as_u64() > Some(0), "STALE is how they knew");
}

/// An address that nobody else is given while the server is away: below the ports that the kernel hands out.
fn free_fixed_port() -> String {
    let mut rng = rng();
    wait_for("a free port", || {
        let mut addr: std::net::SocketAddr = listen()[0].parse().unwrap();
        addr.set_port(rng.random_range(20_000..32_000));
        // In a lab made for this test every port is free.
        let is_free = crate::PLACE != Place::Loopback || std::net::UdpSocket::bind(addr).is_ok();
        is_free.then(|| addr.to_string())
    })
}
