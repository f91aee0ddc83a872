//! SIGTERM and SIGINT: what is in flight is answered, the totals are printed, the exit code is 0.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::client::Config;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame};
use serde_json::Value;

fn totals_agree_after(signal: Signal) {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--json", "--mint", "1000000", "--mint-total", "50"]);
    server.stats_when("the pools to be full", |stats| stats["pool_packets"] == 50);
    let mut client = Client::new(server.addr(), &keys, 1..=30, 3, Config::default());
    client.join_all();
    client.want_shakes(10);
    client.finish();
    let (status, stdout, _) = server.end(signal);
    assert_eq!(status.code(), Some(0));
    let totals: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let tally = &client.tally;
    assert_eq!((&totals["joins"], &totals["sessions"]), (&30.into(), &30.into()));
    assert_eq!(
        (&totals["shake"]["miss"], &totals["shake"]["win"]),
        (&tally.miss.into(), &tally.won.len().into())
    );
    assert_eq!(
        (&totals["open"]["ok"], &totals["open"]["fen"]),
        (&tally.opened.len().into(), &tally.fen().into())
    );
    assert_eq!(tally.shakes(), 300);
}

/// Expect: exit code 0, and totals that are those of the users.
#[test]
fn sigterm_prints_totals_that_agree_with_the_users() {
    totals_agree_after(Signal::SIGTERM);
}

/// Expect: the same.
#[test]
fn sigint_prints_totals_that_agree_with_the_users() {
    totals_agree_after(Signal::SIGINT);
}

/// Expect: totals for eyes name joins, requests, shakes, opens and drops.
#[test]
fn totals_for_eyes_name_what_happened() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let peer = Peer::new(server.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    (0..3).for_each(|_| assert_eq!(user.shake_and_hear(&peer).packet.get(), 0));
    peer.send(b"no frame");
    user.sync(&peer);
    let (status, stdout, _) = server.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0));
    for part in ["1 joins, 3 requests answered", "shakes: 3 missed, 0 won", "drops: length 1"] {
        assert!(stdout.contains(part), "{part:?} is not in {stdout}");
    }
}

/// Some users send shakes and the server is told to stop at once: all of them are answered.
fn what_waits_is_answered(args: &[&str]) {
    let keys = Keys::new();
    for _ in 0..10 {
        let server = Server::start(&keys, &[&["--json", "--http", "none"], args].concat());
        let mut users: Vec<(Hand, Peer)> = (1..=8)
            .map(|user| {
                let peer = Peer::new(server.addr());
                (Hand::join(&peer, &keys.ticket(user)), peer)
            })
            .collect();
        const DATAGRAMS: usize = 5;
        for _ in 0..DATAGRAMS {
            for (user, peer) in &mut users {
                let shakes: Vec<Frame> = (0..FRAMES_PER_DATAGRAM_MAX).map(|_| user.shake()).collect();
                peer.send_frames(&shakes);
            }
        }
        let (status, stdout, _) = server.end(Signal::SIGTERM);
        assert_eq!(status.code(), Some(0));
        let totals: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        let sent: u64 = users.iter().map(|(user, _)| u64::from(user.counter)).sum();
        assert_eq!(totals["shake"]["miss"], sent, "{totals:#}");
        for (_, peer) in &users {
            (0..DATAGRAMS).for_each(|_| assert_eq!(peer.hear().len(), FRAMES_PER_DATAGRAM_MAX));
        }
    }
}

/// Expect: datagrams that the kernel had taken when the signal came are answered before the end.
#[test]
fn what_waits_at_the_signal_is_answered() {
    what_waits_is_answered(&[]);
}

/// Expect: those too that have to change workers first.
#[test]
fn what_waits_at_the_signal_for_another_worker_is_answered() {
    what_waits_is_answered(&["--workers", "4", "--steering", "off"]);
}

/// A pipe that is full, so that nothing more is written until it is read.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while std::io::Write::write(&mut writer, &[b'\n'; 4_096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

/// Expect: a reader of stdout that goes away ends the printing and nothing else.
#[test]
fn a_closed_stdout_ends_the_printing_alone() {
    let keys = Keys::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Server::start_to(&keys, &[], &[], writer.into());
    drop(reader);
    let peer = Peer::new(server.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    // Two lines are due in this time.
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    user.shake_and_hear(&peer);
    assert_eq!(server.get("/healthz").body, "ok\n");
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panick"), "{stderr}");
}

/// Expect: a reader of stdout that stops reading holds nobody up, not even the end.
#[test]
fn a_blocked_stdout_holds_nobody_up() {
    let keys = Keys::new();
    let (reader, writer) = full_pipe();
    let server = Server::start_to(&keys, &[], &[], writer.into());
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(server.get("/healthz").body, "ok\n");
    server.signal(Signal::SIGHUP);
    wait_for("the keys to be read again", || server.logged("keys read again").pop());
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0), "{stderr}");
    drop(reader);
}

/// Expect: a second signal ends a stop that takes its time, here one that waits for a reader of the totals:
/// exit code 1, one line.
#[test]
fn a_second_signal_ends_a_stop_that_takes_its_time() {
    let keys = Keys::new();
    let (reader, writer) = full_pipe();
    let server = Server::start_to(&keys, &[], &[], writer.into());
    server.signal(Signal::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (status, _, stderr) = server.end(Signal::SIGINT);
    assert_eq!(status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("redpkt") && last.contains("a second signal"), "{stderr}");
    drop(reader);
}
