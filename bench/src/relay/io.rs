//! The relay's thread: sockets around two [`Wire`]s.

use super::RelayCounters;
use super::peers::{PeerId, Peers};
use super::wire::Wire;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use redpkt::telemetry::Published;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The longest sleep: how long stopping takes at the most.
const SLEEP_MS_MAX: u64 = 50;

/// Datagrams taken from one socket before the others have their turn.
const TAKEN_IN_ONE_TURN: usize = 64;

/// How often silent peers are looked for.
const SWEEP_NS: u64 = 1_000_000_000;

/// What epoll calls the socket of the clients' side; peers are called by their places.
pub const DOWNSTREAM: u64 = u64::MAX;

/// Everything that the thread owns.
pub struct Worker {
    /// Where clients send to.
    pub downstream: UdpSocket,
    /// Who they are.
    pub peers: Peers,
    /// All sockets.
    pub epoll: Epoll,
    /// From clients to the server.
    pub to_server: Wire<PeerId>,
    /// From the server to clients.
    pub to_client: Wire<PeerId>,
    /// Datagrams of clients for whom there was no room.
    pub peers_refused: u64,
    /// Set from outside to end.
    pub stop: Arc<AtomicBool>,
    /// What was counted.
    pub published: Arc<Published<RelayCounters>>,
}

impl Worker {
    /// Relays until it is told to stop.
    pub fn run(mut self) {
        let start = Instant::now();
        let now_ns = || start.elapsed().as_nanos() as u64;
        let mut events = [EpollEvent::empty(); 256];
        let mut bytes = vec![0; 1 << 16];
        let mut swept_ns = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let woken = self.epoll.wait(&mut events, self.sleep(now_ns())).unwrap_or(0);
            let now = now_ns();
            for event in &events[..woken] {
                match event.data() {
                    DOWNSTREAM => self.take_from_clients(now, &mut bytes),
                    place => self.take_from_server(now, place as PeerId, &mut bytes),
                }
            }
            self.send_due(now_ns());
            if now - swept_ns >= SWEEP_NS {
                swept_ns = now;
                self.peers.sweep(now);
            }
            self.publish();
        }
    }

    /// How long nothing is to be done unless a datagram comes. Rounded up: a millisecond late is better than
    /// spinning.
    fn sleep(&self, now_ns: u64) -> EpollTimeout {
        let due_ns = [self.to_server.due_ns(), self.to_client.due_ns()].into_iter().flatten().min();
        let ms = due_ns.map_or(SLEEP_MS_MAX, |due_ns| due_ns.saturating_sub(now_ns).div_ceil(1_000_000));
        EpollTimeout::from(ms.min(SLEEP_MS_MAX) as u8)
    }

    fn take_from_clients(&mut self, now_ns: u64, bytes: &mut [u8]) {
        for _ in 0..TAKEN_IN_ONE_TURN {
            // "Nothing waits" and errors of earlier sends end the turn alike; epoll calls again.
            let Ok((len, from)) = self.downstream.recv_from(bytes) else { return };
            match self.peers.find_or_add(from, now_ns, &self.epoll) {
                Some(peer) => self.to_server.put(now_ns, peer, &bytes[..len]),
                None => self.peers_refused += 1,
            }
        }
    }

    fn take_from_server(&mut self, now_ns: u64, peer: PeerId, bytes: &mut [u8]) {
        for _ in 0..TAKEN_IN_ONE_TURN {
            let Some((_, upstream)) = self.peers.get(peer) else { return };
            let Ok(len) = upstream.recv(bytes) else { return };
            self.peers.used(peer, now_ns);
            self.to_client.put(now_ns, peer, &bytes[..len]);
        }
    }

    /// Sends what is due. A datagram whose client was forgotten meanwhile is not sent.
    fn send_due(&mut self, now_ns: u64) {
        while let Some((peer, bytes)) = self.to_server.take_due(now_ns) {
            let sent = self.peers.get(peer).is_some_and(|(_, upstream)| upstream.send(&bytes).is_ok());
            self.to_server.sent(sent);
        }
        while let Some((peer, bytes)) = self.to_client.take_due(now_ns) {
            let sent =
                self.peers.get(peer).is_some_and(|(addr, _)| self.downstream.send_to(&bytes, addr).is_ok());
            self.to_client.sent(sent);
        }
    }

    fn publish(&self) {
        self.published.store(&RelayCounters {
            to_server: self.to_server.counters(),
            to_client: self.to_client.counters(),
            peers: self.peers.count() as u64,
            peers_refused: self.peers_refused,
        });
    }
}
