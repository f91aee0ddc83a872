//! The interface goes down and comes back, or goes for good.

use crate::common::*;
use crate::world::{KernelUdp, content, ip, ip_at_server, serve};
use redpkt_proto::client::Config;
use serde_json::Value;
use std::time::{Duration, Instant};

const USERS: u64 = 20;

/// Expect: sessions go on where they were, and no call is lost.
fn sessions_outlive_a_pause(mode: &str) {
    lab(1);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", mode]);
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 4, Config::default());
    client.join_all();
    for _ in 0..3 {
        client.want_shakes(10);
        client.drive_for(Duration::from_millis(5));
        ip_at_server("link set redpkt-s down");
        client.want_shakes(10);
        client.drive_for(Duration::from_millis(100));
        ip_at_server("link set redpkt-s up");
        client.finish();
    }
    let tally = &client.tally;
    assert_eq!((tally.joins, tally.shakes()), (USERS, 60 * USERS), "{tally:?}");
    assert!(tally.refused.is_empty() && tally.unknown.is_empty(), "{tally:?}");
    // A new one comes by AF_XDP still.
    let before = KernelUdp::now().received;
    content(server.addr(), &keys, 100..=110);
    assert_eq!(KernelUdp::now().received, before);
}

#[test]
fn down_and_up_in_native_mode() {
    sessions_outlive_a_pause("native");
}

#[test]
fn down_and_up_in_generic_mode() {
    sessions_outlive_a_pause("generic");
}

/// Expect: the server stays up, says it once, waits instead of spinning, and still answers HTTP; when there is such
/// an interface again its users are answered through the kernel.
fn the_server_outlives_its_interface(mode: &str) {
    lab(2);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", mode, "--workers", "2"]);
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 4, Config::default());
    client.join_all();
    ip_at_server("link del redpkt-s");
    let alarms = || server.stderr().lines().filter(|line| line.contains("the interface is gone")).count();
    wait_for("the alarm", || (alarms() > 0).then_some(()));
    let lost = server.stats_when("both queues lost", |stats| stats["io"]["xdp"]["queues_lost"] == 2);
    assert_eq!(lost["sessions"], USERS);
    let (calls, begin) = (calls_of(&server.stats()), Instant::now());
    std::thread::sleep(Duration::from_millis(1_500));
    let (calls, took) = (calls_of(&server.stats()) - calls, begin.elapsed());
    // A worker with nothing to do wakes some times a second; one that spins, ten thousands of times.
    assert!(calls < 2 * took.as_millis() as u64, "{calls} turns in {took:?}");
    assert_eq!(alarms(), 1, "{}", server.stderr());
    // From this side, with the other end where the server is.
    ip(&format!("link add redpkt-c type veth peer redpkt-s netns {}", server.id()));
    ip_at_server("addr add 10.77.0.1/24 dev redpkt-s");
    ip_at_server("link set redpkt-s up");
    ip("addr add 10.77.0.2/24 dev redpkt-c");
    ip("link set redpkt-c up");
    client.want_shakes(3);
    client.finish();
    assert_eq!((client.tally.joins, client.tally.shakes()), (USERS, 3 * USERS), "{:?}", client.tally);
    content(server.addr(), &keys, 100..=110);
}

#[test]
fn deleted_in_native_mode() {
    the_server_outlives_its_interface("native");
}

#[test]
fn deleted_in_generic_mode() {
    the_server_outlives_its_interface("generic");
}

/// Turns of all workers.
fn calls_of(stats: &Value) -> u64 {
    let workers = stats["workers"].as_array().unwrap();
    workers.iter().map(|worker| worker["recv_calls"].as_u64().unwrap()).sum()
}
