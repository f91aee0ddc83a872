//! Client sockets against an engine that echoes.

use super::*;
use crate::net::client::{ClientSockets, ConnectError};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `client` against an echoing engine at `listen`, and returns the engine's counters.
fn against_echo(listen: &str, client: impl FnOnce(SocketAddr)) -> crate::net::Counters {
    let mut engine = engine(&[listen]);
    let addr = engine.listen_addrs()[0];
    let done = AtomicBool::new(false);
    let waker = engine.waker();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if echo(&mut engine) == 0 {
                    engine.wait(PATIENCE);
                }
            }
            engine.counters()
        });
        client(addr);
        done.store(true, Ordering::Release);
        waker.wake();
        server.join().unwrap()
    })
}

/// Sends `rounds` datagrams on each of `sockets` sockets and expects each back on its own socket.
fn all_come_back(target: SocketAddr, sockets: usize, rounds: usize, gso: bool) -> ClientSockets {
    let mut client = ClientSockets::connect(target, sockets, gso).unwrap();
    let mut outstanding: HashMap<(usize, Vec<u8>), u32> = HashMap::new();
    let end = Instant::now() + PATIENCE;
    for round in 0..rounds {
        for socket in 0..sockets {
            // Mostly one length, so that runs form, and now and then another.
            let len = if round % 10 == 9 { 128 } else { 64 };
            let mut bytes = vec![round as u8; len];
            bytes[..8].copy_from_slice(&(socket as u64).to_le_bytes());
            client.send(socket, &bytes);
            *outstanding.entry((socket, bytes)).or_default() += 1;
        }
        if round % 20 == 19 || round + 1 == rounds {
            client.flush();
            while !outstanding.is_empty() {
                assert!(Instant::now() < end, "{} missing, {:?}", outstanding.len(), client.counters());
                client.wait(Duration::from_millis(50));
                client.recv(&mut |socket, bytes| {
                    let left = outstanding.get_mut(&(socket, bytes.to_vec())).expect("one of ours");
                    *left -= 1;
                    if *left == 0 {
                        outstanding.remove(&(socket, bytes.to_vec()));
                    }
                });
            }
        }
    }
    let counters = client.counters();
    let all = (sockets * rounds) as u64;
    assert_eq!((counters.datagrams_sent, counters.datagrams_received), (all, all));
    assert_eq!(counters.send_errors + counters.truncated + counters.unreachable + counters.recv_errors, 0);
    client
}

#[test]
fn every_datagram_comes_back_on_its_own_socket() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let counters = against_echo(listen, |addr| {
            let client = all_come_back(addr, 5, 100, false);
            assert_eq!(client.counters().packets_sent, 500, "one datagram in each packet");
            assert_eq!(client.counters().packets_received, 500);
        });
        assert_eq!((counters.datagrams_in, counters.datagrams_out), (500, 500));
    }
}

#[test]
fn with_gso_datagrams_cross_in_runs_and_the_engine_sees_each() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let counters = against_echo(listen, |addr| {
            let client = match ClientSockets::connect(addr, 1, true) {
                Ok(_) => all_come_back(addr, 3, 200, true),
                Err(error) => return eprintln!("skipped: {error}"),
            };
            assert!(client.counters().packets_sent < 600 / 4, "{:?}", client.counters());
        });
        assert_eq!(counters.datagrams_in, counters.datagrams_out);
    }
}

#[test]
fn runs_that_come_in_are_cut_into_their_datagrams() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = server.local_addr().unwrap();
    let mut client = match ClientSockets::connect(target, 1, true) {
        Ok(client) => client,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    server.connect(client.local_addr(0).unwrap()).unwrap();
    crate::net::syscall::set_option(server.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 64).unwrap();
    let run: Vec<u8> = (0..10u8).flat_map(|i| [i; 64]).chain([0xff; 20]).collect();
    server.send(&run).unwrap();
    let mut got = Vec::new();
    let end = Instant::now() + PATIENCE;
    while got.len() < 11 && Instant::now() < end {
        client.wait(Duration::from_millis(50));
        client.recv(&mut |_, bytes| got.push(bytes.to_vec()));
    }
    assert_eq!(got.concat(), run);
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [&[64; 10][..], &[20]].concat());
    assert!(client.counters().packets_received < 11, "they came as a run");
}

#[test]
fn thousands_of_sockets_are_as_many_peers() {
    let sockets = 1_500;
    against_echo("127.0.0.1:0", |addr| {
        let client = all_come_back(addr, sockets, 2, false);
        assert_eq!(client.len(), sockets);
        let ports: std::collections::HashSet<u16> =
            (0..sockets).map(|socket| client.local_addr(socket).unwrap().port()).collect();
        assert_eq!(ports.len(), sockets);
    });
}

#[test]
fn more_sockets_than_files_allow_is_refused_with_the_limit() {
    let target = "127.0.0.1:9".parse().unwrap();
    let error = ClientSockets::connect(target, 1 << 40, false).err().expect("a refusal");
    assert!(matches!(error, ConnectError::FileLimit { sockets, .. } if sockets == 1 << 40), "{error:?}");
    assert!(error.to_string().contains("ulimit -Hn"), "{error}");
}

#[test]
fn a_target_that_is_gone_is_counted_and_not_fatal() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap();
    drop(server);
    let mut client = ClientSockets::connect(target, 2, false).unwrap();
    for _ in 0..5 {
        for socket in [0, 1, 0] {
            client.send(socket, &[1; 64]);
        }
        client.flush();
    }
    client.wait(PATIENCE);
    assert_eq!(client.recv(&mut |_, _| ()), 0);
    let counters = client.counters();
    assert!(counters.unreachable > 0, "{counters:?}");
    assert_eq!(counters.datagrams_sent + counters.send_errors, 15);

    // And it works again when the target is back.
    let server = UdpSocket::bind(target).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(0, b"back");
    client.flush();
    assert_eq!(server.recv(&mut [0; 64]).unwrap(), 4);
}

#[test]
fn an_oversize_answer_is_dropped_and_counted() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = ClientSockets::connect(server.local_addr().unwrap(), 1, false).unwrap();
    let to = client.local_addr(0).unwrap();
    server.send_to(&[0; 2_000], to).unwrap();
    server.send_to(b"good", to).unwrap();
    let mut got = Vec::new();
    let end = Instant::now() + PATIENCE;
    while got.is_empty() && Instant::now() < end {
        client.wait(Duration::from_millis(50));
        client.recv(&mut |_, bytes| got.push(bytes.to_vec()));
    }
    assert_eq!((got, client.counters().truncated), (vec![b"good".to_vec()], 1));
}

#[test]
fn waiting_ends_with_its_time_or_with_a_datagram() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = ClientSockets::connect(server.local_addr().unwrap(), 3, false).unwrap();
    assert!(!client.wait(Duration::from_nanos(1_500)));
    server.send_to(b"x", client.local_addr(2).unwrap()).unwrap();
    assert!(client.wait(PATIENCE));
}
