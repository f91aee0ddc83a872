//! One engine: receiving, replying, sending, sleeping.

use super::*;
use crate::net::bind::BATCH_MAX;
use redpkt_proto::DATAGRAM_BYTES_MAX;

#[test]
fn replies_are_written_in_place_and_go_where_they_belong() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let mut engine = engine(&[listen]);
        let peers: Vec<_> = (0..5).map(|_| peer(engine.listen_addrs()[0])).collect();
        for (i, peer) in peers.iter().enumerate() {
            peer.send(&[i as u8; 192]).unwrap();
        }
        let mut answered = 0;
        while answered < peers.len() {
            engine.wait(PATIENCE);
            let count = engine.recv();
            // Peer 2 gets no reply, the others one of two thirds of the length.
            let mut lengths = Vec::new();
            for datagram in engine.datagrams() {
                lengths.push(if datagram.bytes[0] == 2 { 0 } else { 128 });
                datagram.bytes[1] = 0xee;
            }
            engine.reply(&lengths);
            answered += count;
        }
        for (i, peer) in peers.iter().enumerate().filter(|(i, _)| *i != 2) {
            let bytes = hear(peer);
            assert_eq!((bytes.len(), bytes[0], bytes[1]), (128, i as u8, 0xee), "{listen}");
        }
        let counters = engine.counters();
        assert_eq!((counters.datagrams_in, counters.datagrams_out), (5, 4));
        assert_eq!(counters.send_error + counters.truncated + counters.source, 0);
    }
}

#[test]
fn a_datagram_sent_later_reaches_the_path_of_an_earlier_one() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let mut engine = engine(&[listen]);
        let peer = peer(engine.listen_addrs()[0]);
        peer.send(b"ask").unwrap();
        let (path, _) = take(&mut engine, 1).pop().unwrap();
        assert_eq!(path.addr().port(), peer.local_addr().unwrap().port());
        for i in 0..BATCH_MAX as u8 + 1 {
            engine.send(&path, &[i; 3]);
        }
        assert_eq!(engine.counters().datagrams_out, BATCH_MAX as u64, "a full batch leaves by itself");
        engine.flush();
        for i in 0..BATCH_MAX as u8 + 1 {
            assert_eq!(hear(&peer), [i; 3]);
        }
    }
}

#[test]
fn a_sleep_sends_what_is_queued_first() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let peer = peer(engine.listen_addrs()[0]);
    peer.send(b"ask").unwrap();
    let (path, _) = take(&mut engine, 1).pop().unwrap();
    engine.send(&path, b"answer");
    engine.wait(Duration::ZERO);
    assert_eq!(hear(&peer), b"answer");
}

#[test]
fn a_flooded_address_does_not_starve_another() {
    let mut engine = engine(&["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"]);
    let addrs = engine.listen_addrs().to_vec();
    assert_ne!(addrs[0], addrs[2]);
    let flood = peer(addrs[0]);
    for _ in 0..300 {
        flood.send(&[1; 64]).unwrap();
    }
    let quiet = peer(addrs[1]);
    for _ in 0..3 {
        quiet.send(&[2; 64]).unwrap();
    }
    // Over loopback a datagram lies in the receiver's queue when send returns, or soon after on a busy
    // machine. Expect: the quiet address's all come with the first batch, and the flood fills its rest.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(engine.recv(), BATCH_MAX);
    let locals: Vec<u16> = engine.datagrams().map(|datagram| datagram.path.local).collect();
    let quiet_local = engine.datagrams().find(|datagram| datagram.bytes[0] == 2).unwrap().path.local;
    assert_eq!(locals.iter().filter(|&&local| local == quiet_local).count(), 3);
    let lengths = vec![64; BATCH_MAX];
    engine.reply(&lengths);
    (0..3).for_each(|_| assert_eq!(hear(&quiet), [2; 64]));
    (0..BATCH_MAX - 3).for_each(|_| assert_eq!(hear(&flood), [1; 64]));
    assert_eq!(take(&mut engine, 300 - (BATCH_MAX - 3)).len(), 300 - (BATCH_MAX - 3));
}

#[test]
fn sends_that_mix_listen_addresses_leave_from_their_own() {
    let mut engine = engine(&["127.0.0.1:0", "[::1]:0"]);
    let peers: Vec<_> = engine.listen_addrs().iter().map(|addr| peer(*addr)).collect();
    peers.iter().for_each(|peer| assert_eq!(peer.send(b"ask").unwrap(), 3));
    let paths: Vec<_> = take(&mut engine, 2).into_iter().map(|(path, _)| path).collect();
    for i in 0..10u8 {
        engine.send(&paths[usize::from(i % 2)], &[i]);
    }
    engine.flush();
    for (path, first) in paths.iter().zip(0..) {
        let peer = peers.iter().find(|peer| peer.local_addr().unwrap().port() == path.port).unwrap();
        (0..5).for_each(|i| assert_eq!(hear(peer), [first + 2 * i]));
    }
}

#[test]
fn on_a_wildcard_answers_leave_from_the_address_that_was_asked() {
    for (listen, asked) in [("0.0.0.0:0", &["127.0.0.2", "127.0.0.77"][..]), ("[::]:0", &["::1"])] {
        let mut engine = engine(&[listen]);
        let port = engine.listen_addrs()[0].port();
        for ip in asked {
            // A connected peer hears nothing that comes from elsewhere.
            let peer = peer(SocketAddr::new(ip.parse().unwrap(), port));
            peer.send(b"ask").unwrap();
            engine.wait(PATIENCE);
            assert_eq!(echo(&mut engine), 1);
            assert_eq!(hear(&peer), b"ask", "replied at {ip}");
            let path = engine.datagrams().next().unwrap().path;
            engine.send(&path, b"later");
            engine.flush();
            assert_eq!(hear(&peer), b"later", "sent later at {ip}");
        }
    }
}

#[test]
fn every_length_up_to_the_longest_comes_whole() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let peer = peer(engine.listen_addrs()[0]);
    for len in (0..=DATAGRAM_BYTES_MAX).step_by(48) {
        peer.send(&vec![7; len]).unwrap();
        let (_, bytes) = take(&mut engine, 1).pop().unwrap();
        assert_eq!(bytes, vec![7; len]);
    }
}

#[test]
fn a_wake_before_the_sleep_is_not_lost() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let waker = engine.waker();
    for _ in 0..3 {
        waker.wake();
    }
    // Expect: it returns now. PATIENCE would be the time of a lost wake.
    let start = Instant::now();
    engine.wait(2 * PATIENCE);
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(engine.counters().sleeps, 0);
}

#[test]
fn another_thread_wakes_a_sleeper_every_time() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut engine = engine(&["127.0.0.1:0"]);
    let waker = engine.waker();
    let pushed = AtomicU32::new(0);
    let taken = AtomicU32::new(0);
    const ROUNDS: u32 = 20_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                pushed.store(round, Ordering::Relaxed);
                waker.wake();
                // Every other round waits for the sleeper, so that wakes meet all its states.
                while round % 2 == 0 && taken.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
            }
        });
        let start = Instant::now();
        while taken.load(Ordering::Relaxed) < ROUNDS {
            engine.wait(4 * PATIENCE);
            taken.store(pushed.load(Ordering::Relaxed), Ordering::Release);
        }
        assert!(start.elapsed() < 3 * PATIENCE, "a wake was lost");
    });
}

#[test]
fn a_sleep_without_anything_ends_with_its_time() {
    let mut engine = engine(&["127.0.0.1:0"]);
    engine.wait(Duration::from_millis(1));
    assert_eq!((engine.recv(), engine.counters().sleeps), (0, 1));
}
