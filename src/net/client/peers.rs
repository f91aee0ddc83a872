//! A load client's way to the network, whichever it is.

use super::{ClientCounters, ClientSockets};
use crate::net::xdp::XdpPeers;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Peers in the server's eyes, numbered from 0, each with an address and port of its own.
pub enum Peers {
    /// A connected socket each.
    Sockets(ClientSockets),
    /// Frames of an interface's queues.
    Xdp(XdpPeers),
}

impl Peers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Peers::Sockets(sockets) => sockets.len(),
            Peers::Xdp(peers) => peers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address that a peer sends from.
    pub fn local_addr(&self, peer: usize) -> io::Result<SocketAddr> {
        match self {
            Peers::Sockets(sockets) => sockets.local_addr(peer),
            Peers::Xdp(peers) => peers.local_addr(peer),
        }
    }

    /// What happened since they were made.
    pub fn counters(&self) -> ClientCounters {
        match self {
            Peers::Sockets(sockets) => sockets.counters(),
            Peers::Xdp(peers) => peers.counters(),
        }
    }

    /// Queues a datagram of a peer; the bytes are copied. A full queue is sent at once.
    ///
    /// # Panics
    /// When there is no such peer, or `bytes` is longer than a datagram may be.
    pub fn send(&mut self, peer: usize, bytes: &[u8]) {
        match self {
            Peers::Sockets(sockets) => sockets.send(peer, bytes),
            Peers::Xdp(peers) => peers.send(peer, bytes),
        }
    }

    /// Sends what is queued. What the network refuses is counted and skipped.
    pub fn flush(&mut self) {
        match self {
            Peers::Sockets(sockets) => sockets.flush(),
            Peers::Xdp(peers) => peers.flush(),
        }
    }

    /// Takes what waits, without blocking, and tells `on_datagram` the peer and the bytes of each; how many. While
    /// more keeps coming it ends after some thousand, so that a sender on the same thread keeps its schedule.
    pub fn recv(&mut self, on_datagram: &mut impl FnMut(usize, &mut [u8])) -> usize {
        match self {
            Peers::Sockets(sockets) => sockets.recv(on_datagram),
            Peers::Xdp(peers) => peers.recv(on_datagram),
        }
    }

    /// Blocks until a datagram waits or `timeout` is over; whether one waits.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        match self {
            Peers::Sockets(sockets) => sockets.wait(timeout),
            Peers::Xdp(peers) => peers.wait(timeout),
        }
    }
}
