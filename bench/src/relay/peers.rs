//! The clients of a relay: one upstream socket for each client address, so that the server sees as many
//! peers as there are.

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Bytes of each socket's buffers, as far as the system allows.
const BUFFER_BYTES: usize = 1 << 20;

/// A client's place in the table. The place may be another client's later.
pub type PeerId = usize;

/// One client.
struct Peer {
    addr: SocketAddr,
    upstream: UdpSocket,
    used_ns: u64,
}

/// Clients, each with a socket that is connected to the server.
pub struct Peers {
    target: SocketAddr,
    places: Vec<Option<Peer>>,
    free: Vec<PeerId>,
    by_addr: HashMap<SocketAddr, PeerId>,
    idle_ns: u64,
}

impl Peers {
    /// Room for `peers_max` clients of the server at `target`; one that was silent both ways for `idle_ns`
    /// is forgotten.
    pub fn new(target: SocketAddr, peers_max: usize, idle_ns: u64) -> Peers {
        Peers {
            target,
            places: (0..peers_max).map(|_| None).collect(),
            free: (0..peers_max).rev().collect(),
            by_addr: HashMap::new(),
            idle_ns,
        }
    }

    /// The client at `addr`, new or known; `None` when there is no room, or no socket, for a new one. The
    /// new one's socket is registered with `epoll` under its place.
    pub fn find_or_add(&mut self, addr: SocketAddr, now_ns: u64, epoll: &Epoll) -> Option<PeerId> {
        if let Some(&id) = self.by_addr.get(&addr) {
            self.used(id, now_ns);
            return Some(id);
        }
        let id = *self.free.last()?;
        let upstream = connected(self.target).ok()?;
        epoll.add(&upstream, EpollEvent::new(EpollFlags::EPOLLIN, id as u64)).ok()?;
        self.free.pop();
        self.places[id] = Some(Peer { addr, upstream, used_ns: now_ns });
        self.by_addr.insert(addr, id);
        Some(id)
    }

    /// The client's address and its socket towards the server; `None` if it was forgotten.
    pub fn get(&self, id: PeerId) -> Option<(SocketAddr, &UdpSocket)> {
        self.places[id].as_ref().map(|peer| (peer.addr, &peer.upstream))
    }

    /// Notes that the client was heard from, or the server spoke to it.
    pub fn used(&mut self, id: PeerId, now_ns: u64) {
        if let Some(peer) = &mut self.places[id] {
            peer.used_ns = now_ns;
        }
    }

    /// Forgets the clients that were silent for too long.
    pub fn sweep(&mut self, now_ns: u64) {
        for (id, place) in self.places.iter_mut().enumerate() {
            if let Some(peer) = place.take_if(|peer| now_ns.saturating_sub(peer.used_ns) > self.idle_ns) {
                // Closing the socket takes it out of the epoll set.
                self.by_addr.remove(&peer.addr);
                self.free.push(id);
            }
        }
    }

    /// Clients that there are.
    pub fn count(&self) -> usize {
        self.by_addr.len()
    }
}

/// A socket that does not block, connected to the server.
fn connected(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = open((any, 0).into())?;
    socket.connect(target)?;
    Ok(socket)
}

/// A socket that does not block, at this address, with large buffers.
pub fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    // A smaller buffer than asked for is no error: the relay then loses sooner what comes in bursts.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES);
    let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER_BYTES);
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::EpollCreateFlags;

    fn addr(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Expect: a full table takes nobody new and keeps who is there; a silent client makes room.
    #[test]
    fn a_table_of_peers_is_bounded_and_forgets_the_silent() {
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        let mut peers = Peers::new(addr(9), 2, 100);
        let one = peers.find_or_add(addr(1), 0, &epoll).unwrap();
        let two = peers.find_or_add(addr(2), 50, &epoll).unwrap();
        assert_ne!(one, two);
        assert_eq!(peers.find_or_add(addr(3), 60, &epoll), None);
        assert_eq!(peers.find_or_add(addr(1), 60, &epoll), Some(one));
        peers.sweep(151);
        assert_eq!((peers.count(), peers.get(two).is_none()), (1, true));
        assert_eq!(peers.find_or_add(addr(3), 160, &epoll), Some(two));
        assert_eq!(peers.get(two).unwrap().0, addr(3));
    }
}
