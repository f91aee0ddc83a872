//! What an engine drops, what it cannot send, and what the kernel loses.

use super::*;
use redpkt_proto::DATAGRAM_BYTES_MAX;
use socket2::{Domain, Protocol, Socket, Type};

#[test]
fn an_oversize_datagram_is_dropped_and_counted() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let peer = peer(engine.listen_addrs()[0]);
    let lengths = [DATAGRAM_BYTES_MAX + 1, 1_500, 9_000, 65_507];
    for len in lengths {
        peer.send(&vec![1; len]).unwrap();
        peer.send(&[2; 64]).unwrap();
    }
    let got = take(&mut engine, lengths.len());
    assert!(got.iter().all(|(_, bytes)| *bytes == [2; 64]));
    let counters = engine.counters();
    assert_eq!((counters.truncated, counters.datagrams_in), (lengths.len() as u64, 2 * lengths.len() as u64));
}

#[test]
fn a_datagram_from_port_0_is_dropped_and_counted() {
    let raw = match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(raw) => raw,
        Err(error) => return eprintln!("skipped: a raw socket needs CAP_NET_RAW ({error})"),
    };
    let mut engine = engine(&["127.0.0.1:0"]);
    let to = engine.listen_addrs()[0];
    // A UDP header: source port, destination port, length, no checksum. Then 64 bytes.
    let mut packet = vec![0; 8 + 64];
    packet[2..4].copy_from_slice(&to.port().to_be_bytes());
    packet[4..6].copy_from_slice(&(8u16 + 64).to_be_bytes());
    raw.send_to(&packet, &SocketAddr::new(to.ip(), 0).into()).unwrap();
    peer(to).send(b"good").unwrap();
    let got = take(&mut engine, 1);
    assert_eq!(got[0].1, b"good");
    assert_eq!(engine.counters().source, 1);
}

#[test]
fn a_datagram_that_the_kernel_refuses_is_skipped_and_counted() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let peer = peer(engine.listen_addrs()[0]);
    peer.send(b"ask").unwrap();
    let (path, _) = take(&mut engine, 1).pop().unwrap();
    // The kernel refuses port 0 with EINVAL, each time it is asked.
    let nowhere = Path { port: 0, ..path };
    for to in [&nowhere, &path, &nowhere, &nowhere, &path, &nowhere] {
        engine.send(to, b"answer");
    }
    engine.flush();
    (0..2).for_each(|_| assert_eq!(hear(&peer), b"answer"));
    let counters = engine.counters();
    assert_eq!((counters.datagrams_out, counters.send_error), (2, 4));
}

#[test]
fn a_path_that_names_no_end_of_this_engine_is_refused_and_counted() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let v4: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let v6: SocketAddr = "[::1]:9".parse().unwrap();
    engine.send(&Path::new(v4, u16::MAX), b"no such listen address");
    engine.send(&Path::new(v6, 0), b"IPv6 from an IPv4 socket");
    engine.send(&Path::NONE, b"nowhere");
    engine.flush();
    assert_eq!((engine.counters().datagrams_out, engine.counters().send_error), (0, 3));
}

#[test]
#[should_panic(expected = "written over its datagram")]
fn a_reply_longer_than_its_datagram_is_a_bug() {
    let mut engine = engine(&["127.0.0.1:0"]);
    let peer = peer(engine.listen_addrs()[0]);
    peer.send(&[0; 64]).unwrap();
    engine.wait(PATIENCE);
    assert_eq!(engine.recv(), 1);
    engine.reply(&[65]);
}

/// Floods a small receive buffer, then takes what is left and one datagram more, which carries the count.
fn overflow(listen: &str) {
    let mut engine = engines(&[listen], 1, |options| options.recv_buffer_bytes = 16 << 10).pop().unwrap();
    let port = engine.listen_addrs()[0].port();
    let peer = peer(SocketAddr::new("127.0.0.1".parse().unwrap(), port));
    let (mut sent, mut taken) = (0, 0);
    for round in 1..=3 {
        for _ in 0..500 {
            peer.send(&[0; 64]).unwrap();
            sent += 1;
        }
        // The last one of a round may be lost too, and then it is sent again.
        let mut last_came = false;
        while !last_came {
            while engine.recv() > 0 {
                taken += engine.datagrams().len() as u64;
            }
            peer.send(&[round; 64]).unwrap();
            sent += 1;
            engine.wait(PATIENCE);
            engine.recv();
            taken += engine.datagrams().len() as u64;
            last_came = engine.datagrams().any(|datagram| datagram.bytes[0] == round);
        }
        let counters = engine.counters();
        assert_eq!(counters.rxq_overflow, sent - taken, "{listen}: lost is sent minus taken");
        assert!(counters.rxq_overflow > 0);
        assert_eq!(counters.datagrams_in, taken);
    }
}

#[test]
fn what_a_full_receive_buffer_loses_is_counted_exactly() {
    overflow("127.0.0.1:0");
}

#[test]
fn on_a_wildcard_too() {
    overflow("0.0.0.0:0");
}
