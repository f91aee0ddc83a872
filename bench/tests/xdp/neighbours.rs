//! What is not the server's stays the kernel's: pings, TCP, other UDP ports, fragments and ARP.

use crate::common::*;
use crate::world::{content, ip, serve};
use redpkt_bench::lab::Side;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

fn the_kernel_keeps_the_rest(mode: &str) {
    let lab = lab(1);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", mode, "--listen", "0.0.0.0:0"]);
    let ip_of_server = lab.address(Side::Server);
    let at_server_port = |port| SocketAddr::new(ip_of_server, port);
    // Forgotten, so that the first ping has to find the server's MAC by ARP.
    ip(&format!("neigh del {ip_of_server} dev redpkt-c"));
    (1..=5).for_each(|number| assert!(is_ping_answered(at_server_port(0), number), "ping {number}"));
    tcp_echoes(at_server_port(7_200));
    udp_echoes(at_server_port(7_201));
    // To our port in fragments: no frame of the protocol, but the kernel puts it together and a socket gets it.
    let fragmented = Peer::new(at_server_port(server.addr().port()));
    fragmented.send(&[1; 64 * 30]);
    server.stats_when("the fragmented datagram", |stats| {
        let drops = &stats["drops"];
        drops["truncated"].as_u64().unwrap() + drops["length"].as_u64().unwrap() == 1
    });
    content(at_server_port(server.addr().port()), &keys, 1..=10);
}

#[test]
fn in_native_mode() {
    the_kernel_keeps_the_rest("native");
}

#[test]
fn in_generic_mode() {
    the_kernel_keeps_the_rest("generic");
}

/// An ICMP echo request (RFC 792) with nothing in it, and whether it comes back.
fn is_ping_answered(server: SocketAddr, number: u16) -> bool {
    let mut socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let [high, low] = number.to_be_bytes();
    // Type and number are the only words that are not zero; their sum does not carry.
    let [sum_high, sum_low] = (!(0x0800 + number)).to_be_bytes();
    socket.send(&[8, 0, sum_high, sum_low, 0, 0, high, low]).unwrap();
    let mut bytes = [0; 128];
    while let Ok(len) = socket.read(&mut bytes) {
        // After the IP header: type 0 is the reply.
        if bytes[..len].get(20) == Some(&0) && bytes[26..28] == [high, low] {
            return true;
        }
    }
    false
}

fn tcp_echoes(addr: SocketAddr) {
    let listener = at_server(|| TcpListener::bind(addr)).unwrap();
    let echo = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        std::io::copy(&mut &stream, &mut &stream).unwrap();
    });
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Multiples of 64 too: length alone makes nothing ours.
    for len in [1, 64, 128, 20_000] {
        let (sent, mut back) = (vec![7; len], vec![0; len]);
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut back).unwrap();
        assert_eq!(sent, back);
    }
    drop(stream);
    echo.join().unwrap();
}

/// Datagrams to another port, whole and in fragments, arrive as they were sent.
fn udp_echoes(addr: SocketAddr) {
    let other = at_server(|| UdpSocket::bind(addr)).unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    for len in [1, 64, 65, 128, 3_000, 6_400] {
        let (sent, mut got) = (vec![1; len], vec![0; 10_000]);
        client.send_to(&sent, addr).unwrap();
        let (got_len, from) = other.recv_from(&mut got).unwrap();
        assert_eq!(got[..got_len], sent);
        other.send_to(&sent, from).unwrap();
        assert_eq!(client.recv(&mut got).unwrap(), len);
    }
}
