//! Engines and clients on real sockets of the loopback interface.

mod bad_input;
mod binding;
mod client;
mod engine;
mod gate;
mod workers;

use super::{BindOptions, Engine, MmsgEngine, bind};
use redpkt_proto::Path;
use redpkt_proto::steer::Layout;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn layout(workers: u32) -> Layout {
    Layout { sets: 64, groups: workers, workers }
}

/// Engines of `workers` workers at these addresses, with options changed by `change`.
fn engines(listen: &[&str], workers: u32, change: impl FnOnce(&mut BindOptions<'_>)) -> Vec<MmsgEngine> {
    let listen: Vec<SocketAddr> = listen.iter().map(|addr| addr.parse().unwrap()).collect();
    let mut options = BindOptions::new(&listen, layout(workers));
    change(&mut options);
    bind(&options).unwrap()
}

/// One worker's engine at these addresses.
fn engine(listen: &[&str]) -> MmsgEngine {
    engines(listen, 1, |_| ()).pop().unwrap()
}

/// A peer connected to `to`, so that it hears answers from there only.
fn peer(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn hear(peer: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 2048];
    let len = peer.recv(&mut bytes).expect("an answer");
    bytes.truncate(len);
    bytes
}

/// Turns `engine` until `done`, and returns all datagrams that came.
fn turn_until(engine: &mut MmsgEngine, done: impl Fn(usize, &MmsgEngine) -> bool) -> Vec<(Path, Vec<u8>)> {
    let end = Instant::now() + PATIENCE;
    let mut got = Vec::new();
    while !done(got.len(), engine) {
        assert!(Instant::now() < end, "{} came, and {:?}", got.len(), engine.counters());
        if engine.recv() == 0 {
            engine.wait(Duration::from_millis(20));
        }
        got.extend(engine.datagrams().map(|datagram| (datagram.path, datagram.bytes.to_vec())));
    }
    got
}

/// Turns `engine` until `count` datagrams came.
fn take(engine: &mut MmsgEngine, count: usize) -> Vec<(Path, Vec<u8>)> {
    turn_until(engine, |came, _| came >= count)
}

/// Takes one batch and sends each datagram back.
fn echo(engine: &mut MmsgEngine) -> usize {
    let count = engine.recv();
    let lengths: Vec<usize> = engine.datagrams().map(|datagram| datagram.bytes.len()).collect();
    engine.reply(&lengths);
    count
}
