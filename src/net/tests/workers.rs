//! Several workers: steering by user, hash delivery without it, and the way over a ring.

use super::*;
use crate::net::allocation::allocations;
use crate::net::client::ClientSockets;
use crate::net::mesh;

/// Sends one frame-sized datagram for each user from several peers, and returns by worker the users whose
/// datagrams came to it.
fn deliver(engines: &mut [MmsgEngine], users: &[u64]) -> Vec<Vec<u64>> {
    let to = engines[0].listen_addrs()[0];
    let peers: Vec<_> = (0..32).map(|_| peer(to)).collect();
    let mut came = vec![Vec::new(); engines.len()];
    for (chunk, peer) in users.chunks(50).zip(peers.iter().cycle()) {
        for user in chunk {
            let mut frame = [0; 64];
            frame[..8].copy_from_slice(&user.to_le_bytes());
            peer.send(&frame).unwrap();
        }
    }
    let end = Instant::now() + PATIENCE;
    while came.iter().map(Vec::len).sum::<usize>() < users.len() {
        assert!(Instant::now() < end, "datagrams are missing");
        for (engine, came) in engines.iter_mut().zip(&mut came) {
            engine.recv();
            came.extend(engine.datagrams().map(|got| u64::from_le_bytes(got.bytes[..8].try_into().unwrap())));
        }
    }
    came
}

fn users(count: u64) -> Vec<u64> {
    (1..=count).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

#[test]
fn with_steering_each_datagram_arrives_at_its_owner() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let mut engines = engines(&[listen], 4, |_| ());
        for (worker, came) in deliver(&mut engines, &users(2_000)).iter().enumerate() {
            assert!(!came.is_empty());
            assert!(came.iter().all(|user| layout(4).worker_of_user(*user) == worker as u32), "{listen}");
        }
    }
}

#[test]
fn without_steering_each_datagram_arrives_somewhere() {
    let mut engines = engines(&["127.0.0.1:0"], 4, |options| options.steering = false);
    let all = users(2_000);
    let mut came = deliver(&mut engines, &all).concat();
    came.sort_unstable();
    let mut expected = all;
    expected.sort_unstable();
    assert_eq!(came, expected);
}

#[test]
fn a_datagram_handed_over_is_answered_from_the_address_that_was_asked() {
    for (listen, asked) in [("0.0.0.0:0", "127.0.0.3"), ("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "::1")] {
        // Two listen addresses, so that the name of the second must mean the same to both workers.
        let mut engines = engines(&["127.0.0.1:0", listen], 2, |_| ());
        let wakers: Vec<_> = engines.iter().map(Engine::waker).collect();
        let mut handovers = mesh(&wakers, 16);
        let to = SocketAddr::new(asked.parse().unwrap(), engines[0].listen_addrs()[1].port());
        for user in users(8) {
            let peer = peer(to);
            let mut frame = [0; 64];
            frame[..8].copy_from_slice(&user.to_le_bytes());
            peer.send(&frame).unwrap();
            // Steering brings it to its owner; here that one hands it to the other all the same.
            let took = layout(2).worker_of_user(user) as usize;
            let answers = 1 - took;
            engines[took].wait(PATIENCE);
            assert_eq!(engines[took].recv(), 1);
            for datagram in engines[took].datagrams() {
                handovers[took].push(answers, &datagram.path, datagram.bytes).unwrap();
            }
            handovers[took].flush_wakes();
            engines[answers].wait(PATIENCE);
            assert_eq!(handovers[answers].recv(), 1);
            for datagram in handovers[answers].datagrams() {
                datagram.bytes[8] = 0xaa;
                engines[answers].send(&datagram.path, datagram.bytes);
            }
            engines[answers].flush();
            frame[8] = 0xaa;
            assert_eq!(hear(&peer), frame, "{listen} asked at {asked}");
        }
    }
}

#[test]
fn the_data_path_allocates_nothing() {
    let mut engines = engines(&["0.0.0.0:0", "[::]:0"], 2, |_| ());
    let wakers: Vec<_> = engines.iter().map(Engine::waker).collect();
    let mut handovers = mesh(&wakers, 64);
    let to = SocketAddr::new("127.0.0.4".parse().unwrap(), engines[0].listen_addrs()[0].port());
    for gso in [false, true] {
        let mut client = ClientSockets::connect(to, 3, gso).unwrap();
        let mut answers = 0;
        let end = Instant::now() + PATIENCE;
        let made = allocations(|| {
            for i in 0..30u8 {
                (0..3).for_each(|socket| client.send(socket, &[i; 64]));
            }
            client.flush();
            while answers < 90 && Instant::now() < end {
                for worker in 0..2 {
                    let engine = &mut engines[worker];
                    let count = engine.recv();
                    for (i, datagram) in engine.datagrams().enumerate() {
                        if i % 2 == 0 {
                            handovers[worker].push(1 - worker, &datagram.path, datagram.bytes).unwrap();
                        }
                    }
                    handovers[worker].flush_wakes();
                    let mut lengths = [0; bind::BATCH_MAX];
                    (1..count).step_by(2).for_each(|i| lengths[i] = 64);
                    engine.reply(&lengths[..count]);
                    handovers[worker].recv();
                    handovers[worker].datagrams().for_each(|got| engine.send(&got.path, got.bytes));
                    engine.wait(Duration::from_millis(1));
                }
                client.wait(Duration::from_millis(1));
                answers += client.recv(&mut |_, _| ());
            }
        });
        assert_eq!((answers, made), (90, 0), "answers and allocations, gso: {gso}");
    }
}
