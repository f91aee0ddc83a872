//! What takes an interface to see, in a network namespace that is thrown away.

use super::bind::{XdpMode, XdpOptions, bind_xdp};
use super::error::XdpError;
use super::filter::tests::namespace::{in_a_namespace, ip, soon};
use super::interface::Interface;
use super::queue::{Copying, QueueSocket};
use crate::net::{BindOptions, Engine};
use etherparse::PacketBuilder;
use redpkt_proto::steer::Layout;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Runs it with one end of a veth pair whose other end is `right`; both are up.
fn on_a_veth(check: impl FnOnce(Interface) + Send) {
    in_a_namespace(move || {
        let commands = ["link add left type veth peer right", "link set left up", "link set right up"];
        if commands.iter().all(|arguments| ip(arguments).is_some()) {
            check(Interface::read("left").unwrap());
        }
    });
}

/// Expect: a second socket on a queue is refused with the queue's number, and the queue is free again when the
/// first is gone.
#[test]
fn a_queue_that_another_socket_has_is_named() {
    on_a_veth(|interface| {
        let open = || QueueSocket::open(interface.index, 0, Some(Copying::Copy));
        let first = open().unwrap();
        let refused = open().map(drop).unwrap_err();
        assert!(matches!(refused, XdpError::QueueTaken { queue: 0 }), "{refused}");
        assert!(refused.to_string().contains("end the program that has it, or use --io mmsg"));
        drop(first);
        // A process that another test has just started may hold a copy of the socket until it executes its program.
        let is_free = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            open().is_ok()
        });
        assert!(is_free);
    });
}

/// Expect: a queue is not lost while its interface is down, and is when it is deleted.
#[test]
fn a_queue_goes_with_its_interface() {
    on_a_veth(|interface| {
        let queue = QueueSocket::open(interface.index, 0, Some(Copying::Copy)).unwrap();
        assert!(!queue.is_lost());
        ip("link set left down").unwrap();
        assert!(!queue.is_lost());
        ip("link del left").unwrap();
        assert!(queue.is_lost());
    });
}

/// Expect: what comes by the kernel's way is taken though the queues never run dry.
#[test]
fn full_queues_do_not_starve_the_sockets() {
    on_a_veth(|interface| {
        ip("link set lo up").unwrap();
        ip("addr add 10.0.0.1/24 dev left").unwrap();
        let listen: SocketAddr = "10.0.0.1:7100".parse().unwrap();
        let layout = Layout { sets: 1, groups: 1, workers: 1 };
        let xdp = XdpOptions { interface: "left".into(), vlan: None, mode: XdpMode::Generic };
        let (mut engines, _) =
            bind_xdp(&BindOptions { batch: 1, ..BindOptions::new(&[listen], layout) }, &xdp).unwrap();
        let engine = &mut engines[0];
        let mut frame = Vec::new();
        let datagram = [1; 64];
        PacketBuilder::ethernet2([2; 6], interface.mac)
            .ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
            .udp(9, 7100)
            .write(&mut frame, &datagram)
            .unwrap();
        let right = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).unwrap();
        let right_index = Interface::read("right").unwrap().index;
        for _ in 0..200 {
            super::filter::tests::wire::send(&right, right_index, &frame).unwrap();
        }
        assert!(soon(|| engine.recv() == 1), "frames wait in the queue");
        UdpSocket::bind("10.0.0.1:0").unwrap().send_to(&[1; 64], listen).unwrap();
        let mut is_from_kernel = || {
            assert_eq!(engine.recv(), 1, "there is always something");
            engine.datagrams().any(|datagram| datagram.path.ip[12..] == [10, 0, 0, 1])
        };
        assert!((0..=65).any(|_| is_from_kernel()));
    });
}
