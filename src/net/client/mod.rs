//! Many connected sockets for load clients: each is a peer of its own in the server's eyes.

mod incoming;
mod open;
mod outgoing;
mod peers;
mod queues;

pub use open::ConnectError;
pub use peers::Peers;

use super::syscall::{poll, readable};
use incoming::Incoming;
use outgoing::Outgoing;
use queues::Queues;
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// Sockets that one look at the kernel's ready list brings.
const READY_MAX: usize = 256;

/// Receiving calls on one socket before the others get their turn.
const CALLS_PER_TURN: usize = 4;

/// What client sockets did; all since they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounters {
    /// Datagrams that the network took.
    pub datagrams_sent: u64,
    /// Datagrams taken from the network and delivered.
    pub datagrams_received: u64,
    /// System packets that carried the sent ones: fewer only with GSO.
    pub packets_sent: u64,
    /// System packets that carried the received ones: fewer only with GRO.
    pub packets_received: u64,
    /// Dropped: longer than a datagram of the protocol may be.
    pub truncated: u64,
    /// Dropped: not from the target to one of the peers, or no datagram of the protocol (AF_XDP alone: the kernel
    /// drops them itself for a connected socket).
    pub refused: u64,
    /// Dropped: no room in our rings (AF_XDP alone).
    pub overflow: u64,
    /// Datagrams not sent: refused by the kernel, or the send buffer stayed full.
    pub send_errors: u64,
    /// Times that the network said that nobody is at the target (ICMP), about datagrams sent before.
    pub unreachable: u64,
    /// Receiving failed for another reason.
    pub recv_errors: u64,
    /// System calls that send.
    pub send_calls: u64,
    /// System calls that receive, or ask which sockets are ready.
    pub recv_calls: u64,
    /// System calls that wait.
    pub wait_calls: u64,
}

/// Connected UDP sockets with one target, and all memory that their datagrams pass through.
pub struct ClientSockets {
    sockets: Box<[Socket]>,
    queues: Queues,
    outgoing: Outgoing,
    incoming: Incoming,
    epoll: OwnedFd,
    ready: Box<[libc::epoll_event]>,
    counters: ClientCounters,
}

impl ClientSockets {
    /// Opens `count` sockets, each connected to `target` from a port of its own. With `gso`, runs of
    /// equally long datagrams of one socket cross the kernel as one packet, both ways where it can: that
    /// spares this side's CPU, and what it counts are not packets on a wire.
    pub fn connect(target: SocketAddr, count: usize, gso: bool) -> Result<ClientSockets, ConnectError> {
        let (sockets, epoll) = open::open_all(target, count, gso)?;
        Ok(ClientSockets {
            queues: Queues::new(count),
            sockets: sockets.into_boxed_slice(),
            outgoing: Outgoing::new(gso),
            incoming: Incoming::new(gso),
            epoll,
            ready: vec![libc::epoll_event { events: 0, u64: 0 }; READY_MAX].into_boxed_slice(),
            counters: ClientCounters::default(),
        })
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The address that a socket sends from.
    pub fn local_addr(&self, socket: usize) -> io::Result<SocketAddr> {
        let addr = self.sockets[socket].local_addr()?;
        addr.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// What happened since the sockets were made.
    pub fn counters(&self) -> ClientCounters {
        self.counters
    }

    /// Queues a datagram on a socket; the bytes are copied. A full queue is sent at once.
    ///
    /// # Panics
    /// When there is no such socket, or `bytes` is longer than a datagram may be.
    pub fn send(&mut self, socket: usize, bytes: &[u8]) {
        if !self.queues.has_room() {
            self.flush();
        }
        if self.queues.push(socket, bytes) {
            self.flush_socket(socket);
        }
    }

    /// Sends all queues, in the order in which they got their first datagram. What the kernel refuses is
    /// counted and skipped.
    pub fn flush(&mut self) {
        let mut nth = 0;
        while let Some(socket) = self.queues.waiting(nth) {
            self.flush_socket(socket);
            nth += 1;
        }
        self.queues.all_sent();
    }

    fn flush_socket(&mut self, socket: usize) {
        let datagrams = self.queues.datagrams(socket);
        let descriptor = self.sockets[socket].as_fd();
        self.outgoing.send(descriptor, datagrams, &mut self.counters);
        self.queues.sent(socket);
    }

    /// Takes what waits on all sockets, without blocking, and tells `on_datagram` the socket and the bytes
    /// of each; how many. While more keeps coming it ends after some thousand, so that a sender on the
    /// same thread keeps its schedule.
    pub fn recv(&mut self, on_datagram: &mut impl FnMut(usize, &mut [u8])) -> usize {
        let before = self.counters.datagrams_received;
        for _ in 0..self.sockets.len() / READY_MAX + 4 {
            let ready = self.look();
            let mut more = ready == READY_MAX;
            for nth in 0..ready {
                let socket = self.ready[nth].u64 as usize;
                more |= self.recv_socket(socket, on_datagram);
            }
            if !more {
                break;
            }
        }
        (self.counters.datagrams_received - before) as usize
    }

    /// Takes what waits on one socket; whether more may wait.
    fn recv_socket(&mut self, socket: usize, on_datagram: &mut impl FnMut(usize, &mut [u8])) -> bool {
        let descriptor = self.sockets[socket].as_fd();
        let mut tell = |bytes: &mut [u8]| on_datagram(socket, bytes);
        (0..CALLS_PER_TURN).all(|_| self.incoming.recv(descriptor, &mut self.counters, &mut tell))
    }

    /// Asks which sockets have something; how many of [`READY_MAX`].
    fn look(&mut self) -> usize {
        self.counters.recv_calls += 1;
        let (events, room) = (self.ready.as_mut_ptr(), self.ready.len() as i32);
        // SAFETY: the pointer and the length are those of a slice that lives during the call.
        let ready = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, room, 0) };
        usize::try_from(ready).unwrap_or(0)
    }

    /// Blocks until a datagram waits on some socket or `timeout` is over, to the nanosecond where
    /// [`precise_timers`](super::affinity::precise_timers) was called; whether one waits.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.counters.wait_calls += 1;
        // An epoll is itself readable when one of its sockets is, and ppoll counts nanoseconds on every
        // Linux, which epoll_wait does not.
        poll(&mut [readable(self.epoll.as_fd())], timeout)
    }
}
