//! Whole runs against a server in this process.

use super::*;
use crate::relay::RelayOptions;
use rand::SeedableRng;
use redpkt::control::{Server, Settings, Totals};
use redpkt::set::book::Order;
use redpkt::worker::Idle;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use std::time::Duration;

fn keys(seed: u64) -> KeyRing {
    KeyRing::generate(&mut redpkt_proto::Rng::seed_from_u64(seed))
}

/// A server for `sessions`, with packets enough for some of the shakes.
fn server(sessions: u64) -> Server {
    server_with(sessions, Some(Order::mint("start", 500, 5_000, (1, 200))))
}

fn server_with(sessions: u64, mint: Option<Order>) -> Server {
    Server::start(Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        layout: Layout { sets: 2, groups: 2, workers: 2 },
        cores: Vec::new(),
        io: redpkt::control::Io::Mmsg,
        batch: redpkt::net::bind::BATCH_MAX,
        service: redpkt::worker::Plan::default(),
        service_file: None,
        steering: true,
        idle: Idle::Block,
        machine: 3,
        totals: Totals { sessions, accounts: 5_000, packets: 5_000, members: 10_000 },
        prefix_sessions: 0,
        prefix_joins: 0,
        relay: None,
        shakes_per_s: 0,
        wins_per_user: 0,
        packet_life_s: 3_600,
        keepalive_s: 25,
        idle_s: 90,
        keys: keys(1),
        key_file: "none".into(),
        http: None,
        ledger: None,
        mint,
        mint_any_day: false,
        json_lines: false,
        telemetry: true,
        capture: redpkt::capture::CaptureSettings::default(),
        drills: false,
    })
    .unwrap()
}

fn options(server: &Server, users: u64, qps: u64, duration_ms: u64) -> RunOptions {
    let rate = Rate::requests_per_s(qps);
    let target = server.shared().listen()[0];
    let mut options = RunOptions::new(target, keys(1), users, rate, Duration::from_millis(duration_ms));
    options.align = Duration::from_millis(50);
    options
}

fn quiet(_: Progress) {}

/// Expect: every shake answered, every win opened, what clients and server count the same to the fen.
#[test]
fn a_run_adds_up_on_both_sides() {
    let server = server(2_000);
    let report = execute(&options(&server, 1_000, 2_000, 1_500), &mut quiet).unwrap();
    assert!(report.check.ok, "{:?}", report.check);
    assert_eq!((report.sessions, report.schedule.shots_due, report.shake.sent), (1_000, 3_000, 3_000));
    assert_eq!((report.timeouts, report.shake.miss + report.shake.win), (0, 3_000));
    assert!(report.shake.win > 0 && report.open.ok == report.shake.win && report.open.fen > 0);
    assert_eq!(report.latency.len(), 3_000);
    let stats = server.stop().0;
    assert_eq!((stats.shake.win, stats.shake.miss), (report.shake.win, report.shake.miss));
    assert_eq!((stats.open.ok, stats.open.fen), (report.open.ok, report.open.fen));
}

/// Expect: per-second figures that add up to the totals, the last of them for the part that is left.
#[test]
fn seconds_add_up() {
    let server = server(2_000);
    let mut lines = 0;
    let mut count = |progress| lines += u64::from(matches!(progress, Progress::Second(_)));
    let report = execute(&options(&server, 500, 1_000, 1_500), &mut count).unwrap();
    assert_eq!((report.per_second.len(), lines), (2, 2));
    let wins: u64 = report.per_second.iter().map(|second| second.wins).sum();
    assert!(wins <= report.shake.win && report.per_second[0].offered >= 1_000);
    assert!(report.per_second.iter().all(|second| second.p50_us > 0.0 && second.pps_out >= 900.0));
}

/// Expect: all users of two hosts with two threads each are there, each on its own host, and all packets are
/// won once.
#[test]
fn hosts_share_the_users() {
    let server = server(2_000);
    let run = |host| {
        let options = RunOptions { host, hosts: 2, threads: 2, ..options(&server, 1_001, 2_000, 500) };
        execute(&options, &mut quiet).unwrap()
    };
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| run(1));
        (first.join().unwrap(), run(2))
    });
    assert_eq!((first.sessions, second.sessions), (501, 500));
    assert!(first.check.ok && second.check.ok);
    assert!(first.tally.iter().all(|row| (row.user - 1) % 2 == 0));
    assert!(second.tally.iter().all(|row| (row.user - 1) % 2 == 1));
}

/// Expect: with K frames a datagram, K requests for each datagram, and rates that say so.
#[test]
fn frames_share_datagrams() {
    let server = server_with(2_000, None);
    let options = RunOptions {
        rate: Rate::datagrams_per_s(300),
        frames_per_datagram: 9,
        mix: Mix { open: 0.0, ..Mix::default() },
        ..options(&server, 100, 1, 1_000)
    };
    let report = execute(&options, &mut quiet).unwrap();
    assert!(report.check.ok, "{:?}", report.check);
    assert_eq!((report.shake.sent, report.open.sent), (2_700, 0));
    assert!((report.target_qps - 2_700.0).abs() < 1.0);
    assert!((report.pps_out - 300.0).abs() < 15.0, "{}", report.pps_out);
    assert_eq!(report.latency.len(), 2_700);
}

/// Expect: a fleet that has joined once runs again and again, at other rates.
#[test]
fn a_fleet_runs_again() {
    let server = server(2_000);
    let mut options = options(&server, 300, 1_000, 300);
    let mut fleet = Fleet::join(&options, &mut quiet).unwrap();
    for qps in [1_000, 3_000] {
        options.rate = Rate::requests_per_s(qps);
        let report = fleet.measure(&options, &mut quiet).unwrap();
        assert!(report.check.ok, "{:?}", report.check);
        assert_eq!(report.shake.sent, qps * 3 / 10);
    }
    drop(fleet);
    assert_eq!(server.stop().0.joins, 300);
}

/// Expect: at 20% loss each way, with duplicates and reordering, every request ends known and nothing is
/// counted twice.
#[test]
fn a_bad_wire_changes_no_answer() {
    let server = server(2_000);
    let wire = RelayOptions { loss: 0.2, duplicate: 0.1, reorder: 0.1, seed: 7, ..RelayOptions::default() };
    let options = RunOptions { wire: Some(wire), ..options(&server, 200, 500, 1_000) };
    let report = execute(&options, &mut quiet).unwrap();
    assert!(report.check.ok, "{:?}", report.check);
    assert_eq!((report.shake.sent, report.timeouts), (500, 0));
    assert!(report.retransmits > 50 && report.kernel_udp.agrees.is_none());
    let stats = server.stop().0;
    assert_eq!((stats.shake.win, stats.open.fen), (report.shake.win, report.open.fen));
}

/// Expect: one line that says what to do, soon.
#[test]
fn joins_that_cannot_succeed_fail_with_a_reason() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = server(100);
    let mut nobody = options(&server, 10, 10, 100);
    nobody.target = silent.local_addr().unwrap();
    let why = execute(&nobody, &mut quiet).unwrap_err().to_string();
    assert!(why.starts_with("no answer from") && !why.contains('\n'), "{why}");
    drop(silent);
    let why = execute(&nobody, &mut quiet).unwrap_err().to_string();
    assert!(why.contains("nobody has this port"), "{why}");
    let other_id = keys(2).with_new_key(&mut redpkt_proto::Rng::seed_from_u64(3)).unwrap();
    let stranger = RunOptions { keys: other_id, ..options(&server, 10, 10, 100) };
    let why = execute(&stranger, &mut quiet).unwrap_err().to_string();
    assert!(why.starts_with("--key:"), "{why}");
}
