//! A relay that loses, doubles, reorders and delays datagrams between clients and a server.
//!
//! A kernel without netem cannot do that to loopback traffic, so this stands between: clients send to
//! [`Relay::addr`], and each of them reaches the server from a socket of its own. What becomes of each
//! datagram is decided by a seed, see [`wire::Wire`].

mod command;
mod io;
mod peers;
pub mod wire;

pub use command::{ImpairmentArgs, RelayArgs, parse_percent, run};

use io::{DOWNSTREAM, Worker};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use peers::Peers;
use redpkt::cli::Failure;
use redpkt::telemetry::Published;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::Wire;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Client addresses that a relay serves at a time; each takes a socket. Datagrams of others are dropped and
/// counted.
pub const PEERS_MAX: usize = 4_096;

/// A client that was silent both ways for this long is forgotten: longer than a server's default idle time.
pub const PEER_IDLE: Duration = Duration::from_secs(120);

/// The longest delay and the longest jitter. Together less than [`PEER_IDLE`], so that a peer's place is never
/// another's while a datagram of it is on its way.
pub const TIME_MAX: Duration = Duration::from_secs(30);
const _: () = assert!(2 * TIME_MAX.as_secs() < PEER_IDLE.as_secs());

/// What a relay does to datagrams, the same in both directions. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RelayOptions {
    /// Share of the datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// Share of those not lost that come twice, 0 to 1.
    pub duplicate: f64,
    /// Share of those coming out that are held back for 1 to 5 ms, so that others overtake them, 0 to 1.
    pub reorder: f64,
    /// How long every datagram takes at least.
    pub delay: Duration,
    /// How much longer it takes at the most, uniformly.
    pub jitter: Duration,
    /// Decides the fate of each datagram.
    pub seed: u64,
}

/// What a relay counted in one direction. `datagrams_in + duplicated` is the sum of `lost`, `full`,
/// `datagrams_out`, `send_error` and `waiting`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DirectionCounters {
    /// Datagrams that came.
    pub datagrams_in: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub duplicated: u64,
    /// Held back on purpose.
    pub reordered: u64,
    /// Datagrams that went out.
    pub datagrams_out: u64,
    /// Lost because too many were on their way.
    pub full: u64,
    /// Not taken by the kernel, or their client had been forgotten.
    pub send_error: u64,
    /// On their way now.
    pub waiting: u64,
}

/// What a relay counted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RelayCounters {
    /// From clients to the server.
    pub to_server: DirectionCounters,
    /// From the server to clients.
    pub to_client: DirectionCounters,
    /// Clients now.
    pub peers: u64,
    /// Datagrams dropped because there were too many clients.
    pub peers_refused: u64,
}

/// A running relay: a thread with its sockets. Stops when it is dropped.
pub struct Relay {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    published: Arc<Published<RelayCounters>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay to the server at `target`, on a free port of loopback.
    pub fn start(target: SocketAddr, options: RelayOptions) -> Result<Relay, Failure> {
        let loopback: IpAddr =
            if target.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        Relay::start_at((loopback, 0).into(), target, options)
    }

    /// A relay to the server at `target` for clients that send to `listen`.
    pub fn start_at(listen: SocketAddr, target: SocketAddr, options: RelayOptions) -> Result<Relay, Failure> {
        options.check()?;
        raise_open_files();
        let machine = |error: std::io::Error| Failure::machine(format!("the relay at {listen}: {error}"));
        let downstream = peers::open(listen).map_err(machine)?;
        let addr = downstream.local_addr().map_err(machine)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| machine(errno.into()))?;
        epoll
            .add(&downstream, EpollEvent::new(EpollFlags::EPOLLIN, DOWNSTREAM))
            .map_err(|errno| machine(errno.into()))?;
        let (stop, published) = (Arc::default(), Arc::default());
        let worker = Worker {
            downstream,
            peers: Peers::new(target, PEERS_MAX, PEER_IDLE.as_nanos() as u64),
            epoll,
            to_server: Wire::new(options, 0),
            to_client: Wire::new(options, 1),
            peers_refused: 0,
            stop: Arc::clone(&stop),
            published: Arc::clone(&published),
        };
        let thread =
            std::thread::Builder::new().name("relay".into()).spawn(|| worker.run()).map_err(machine)?;
        Ok(Relay { addr, stop, published, thread: Some(thread) })
    }

    /// Where clients send to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What was counted so far.
    pub fn counters(&self) -> RelayCounters {
        self.published.load()
    }

    /// Stops it and tells what was counted in all.
    pub fn stop(mut self) -> RelayCounters {
        self.join();
        self.counters()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.join();
    }
}

impl RelayOptions {
    /// Whether a relay changes anything.
    pub fn is_nothing(&self) -> bool {
        RelayOptions { seed: 0, ..*self } == RelayOptions::default()
    }

    fn check(&self) -> Result<(), Failure> {
        for (name, share) in [("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Failure::usage(format!("--{name} {share}: a share from 0 to 1 is allowed")));
            }
        }
        for (name, time) in [("delay", self.delay), ("jitter", self.jitter)] {
            if time > TIME_MAX {
                return Err(Failure::usage(format!("--{name} {time:?}: at most {TIME_MAX:?} is allowed")));
            }
        }
        Ok(())
    }
}

/// Asks for as many open files as there may be peers, as far as the hard limit allows: what is missing then
/// shows in [`RelayCounters::peers_refused`].
fn raise_open_files() {
    let needed = PEERS_MAX as u64 + 256;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < needed
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn socket(ip: &str) -> UdpSocket {
        let socket = UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn echo_through_relay(ip: &str) {
        let server = socket(ip);
        let relay = Relay::start(server.local_addr().unwrap(), RelayOptions::default()).unwrap();
        let clients = [socket(ip), socket(ip), socket(ip)];
        let mut bytes = [0; 1 << 16];
        let mut seen = Vec::new();
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&vec![number as u8; 60_000], relay.addr()).unwrap();
            let (len, from) = server.recv_from(&mut bytes).unwrap();
            seen.push(from);
            server.send_to(&bytes[..len], from).unwrap();
            assert_eq!(client.recv(&mut bytes).unwrap(), 60_000);
            assert!(bytes[..60_000].iter().all(|byte| *byte == number as u8));
        }
        seen.dedup();
        assert_eq!(seen.len(), clients.len(), "the server sees each client as a peer of its own");
        let counters = relay.stop();
        assert_eq!((counters.to_server.datagrams_out, counters.to_client.datagrams_out), (3, 3));
        assert_eq!((counters.peers, counters.peers_refused), (3, 0));
    }

    /// Expect: without impairments every datagram goes both ways, unchanged, to whom it belongs.
    #[test]
    fn each_client_is_a_peer_of_its_own() {
        echo_through_relay("127.0.0.1");
    }

    #[test]
    fn over_ipv6_too() {
        echo_through_relay("::1");
    }

    /// Expect: at a loss of all, nothing comes through, and it is counted.
    #[test]
    fn a_relay_that_loses_all_lets_nothing_through() {
        let server = socket("127.0.0.1");
        let options = RelayOptions { loss: 1.0, ..RelayOptions::default() };
        let relay = Relay::start(server.local_addr().unwrap(), options).unwrap();
        let client = socket("127.0.0.1");
        (0..10).for_each(|_| assert_eq!(client.send_to(b"x", relay.addr()).unwrap(), 1));
        let end = std::time::Instant::now() + PATIENCE;
        while relay.counters().to_server.lost < 10 {
            assert!(std::time::Instant::now() < end, "{:?}", relay.counters());
            std::thread::sleep(Duration::from_millis(1));
        }
        server.set_nonblocking(true).unwrap();
        assert!(server.recv(&mut [0; 8]).is_err());
    }

    #[test]
    fn shares_and_times_beyond_their_bounds_are_refused_by_name() {
        let target = "127.0.0.1:9".parse().unwrap();
        let refused = |options| Relay::start(target, options).err().unwrap().to_string();
        assert!(refused(RelayOptions { loss: 1.5, ..Default::default() }).starts_with("--loss 1.5"));
        assert!(refused(RelayOptions { reorder: f64::NAN, ..Default::default() }).starts_with("--reorder"));
        let delay = Duration::from_secs(3_600);
        assert!(refused(RelayOptions { delay, ..Default::default() }).starts_with("--delay"));
    }
}
