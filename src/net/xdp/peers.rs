//! Load clients past the kernel's stack: many peers, each with an address and port of its own, behind the queues
//! of one interface.

mod neighbour;
mod sources;

pub use sources::{PEERS_PER_ADDRESS_MAX, SourceNetwork};

use super::bind::{Opened, XdpGot, XdpOptions, open_interface};
use super::error::XdpError;
use super::filter::{Filter, Link, Program, Take};
use super::headers::{self, Ends, Parsed};
use super::interface::Interface;
use super::queue::{Frames, QueueSocket};
use crate::net::address::split_scope;
use crate::net::bind::BATCH_MAX;
use crate::net::client::ClientCounters;
use crate::net::syscall::{poll, readable};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Path};
use sources::Sources;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// Batches that one [`XdpPeers::recv`] takes from each queue while more keeps coming.
const BATCHES_PER_TURN: usize = 32;

/// How soon what the network would not take is offered again.
const UNSENT_AGAIN: Duration = Duration::from_millis(1);

/// Who the peers are, and whom they speak to.
#[derive(Clone, Debug)]
pub struct PeersOptions {
    /// The server.
    pub server: SocketAddr,
    /// How many peers.
    pub count: usize,
    /// The network that they speak from; `None` is the interface's own address. The server's side needs a
    /// route to it by way of that address.
    pub network: Option<SourceNetwork>,
    /// The MAC address of the next hop to the server; `None` to ask the kernel.
    pub server_mac: Option<[u8; 6]>,
    /// The interface, and how. With a VLAN, `network` and `server_mac` must be given: the kernel knows them
    /// by another interface.
    pub xdp: XdpOptions,
}

/// Why there are no peers. Each message is one line that names the fix.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The network cannot be what peers speak from.
    #[error("--source-net {network}: {why}")]
    Network {
        /// As asked for.
        network: SourceNetwork,
        /// What is wrong.
        why: String,
    },
    /// More peers than one address has ports.
    #[error(
        "--source-ports: one address has {PEERS_PER_ADDRESS_MAX} ports and {count} are asked for; \
         give more addresses with --source-net"
    )]
    TooMany {
        /// Peers asked for.
        count: usize,
    },
    /// It is not known where frames go.
    #[error(
        "--iface {interface}: the MAC address of the next hop to {server}: {error}; give it as --server-mac"
    )]
    NoMac {
        /// The interface.
        interface: String,
        /// The server.
        server: IpAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The interface has no address to speak to the server from.
    #[error("--iface {interface}: no address of its own towards {server}: {error}; give --source-net")]
    NoAddress {
        /// The interface.
        interface: String,
        /// The server.
        server: IpAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The interface cannot be used.
    #[error(transparent)]
    Xdp(#[from] XdpError),
}

impl PeersError {
    /// Whether what the user wrote is to be changed.
    pub fn is_usage(&self) -> bool {
        match self {
            PeersError::Network { .. } | PeersError::TooMany { .. } => true,
            PeersError::NoMac { .. } | PeersError::NoAddress { .. } => false,
            PeersError::Xdp(error) => error.is_usage(),
        }
    }
}

/// Peers with one target, and all queues of the interface that they speak through.
///
/// One load thread has them all: an answer comes to the queue that the card picks, not to that of its peer.
pub struct XdpPeers {
    wire: Wire,
    queues: Box<[QueueSocket]>,
    /// Holds the program in its place. Before the program: fields are dropped in this order.
    _link: Link,
    program: Program,
    poll_fds: Box<[libc::pollfd]>,
    counters: ClientCounters,
}

impl XdpPeers {
    /// Takes all queues of an interface for peers of one server. What else comes to the interface stays the
    /// kernel's.
    pub fn open(options: &PeersOptions) -> Result<(XdpPeers, XdpGot), PeersError> {
        let interface = Interface::read(&options.xdp.interface)?;
        let wire = Wire::find(options, &interface)?;
        let (network, prefix_bits) = wire.network.prefix();
        let take = Take::From { server: options.server, network, prefix_bits };
        let filter = Filter { mac: interface.mac, vlan: options.xdp.vlan, take };
        let (mode, opened) = open_interface(&interface, options.xdp.mode, &filter)?;
        let Opened { link, program, queues } = opened;
        let got = XdpGot { mode, copying: queues[0].copying(), taken: vec![options.server], interface };
        let peers = XdpPeers {
            wire,
            poll_fds: queues.iter().map(|queue| readable(queue.socket_fd())).collect(),
            queues: queues.into_boxed_slice(),
            _link: link,
            program,
            counters: ClientCounters::default(),
        };
        Ok((peers, got))
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.wire.sources.peers()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address that a peer sends from.
    ///
    /// # Panics
    /// When there is no such peer.
    pub fn local_addr(&self, peer: usize) -> io::Result<SocketAddr> {
        assert!(peer < self.len(), "peer {peer} of {}", self.len());
        Ok(self.wire.sources.addr(peer, self.wire.scope))
    }

    /// What happened since they were made.
    pub fn counters(&self) -> ClientCounters {
        let mut counters = self.counters;
        let dropped = self.program.dropped();
        counters.refused += dropped.length + dropped.version;
        for queue in &self.queues {
            let losses = queue.losses();
            counters.overflow += losses.overflow;
            counters.truncated += losses.dropped;
        }
        counters
    }

    /// Queues a datagram of a peer; the bytes are copied. A full queue is sent at once.
    ///
    /// # Panics
    /// When there is no such peer, or `bytes` is longer than a datagram may be.
    pub fn send(&mut self, peer: usize, bytes: &[u8]) {
        assert!(peer < self.len(), "peer {peer} of {}", self.len());
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX, "longer than a datagram");
        let ends = self.wire.ends(peer);
        // A peer has one queue, so that its datagrams keep their order.
        let queue = peer % self.queues.len();
        if self.queues[queue].push_datagram(&ends, bytes) {
            self.counters.datagrams_sent += 1;
            self.counters.packets_sent += 1;
        } else {
            self.counters.send_errors += 1;
        }
    }

    /// Sends what is queued. What the network does not take now stays queued.
    pub fn flush(&mut self) {
        for queue in &mut self.queues {
            self.counters.send_calls += queue.send();
        }
    }

    /// Takes what waits, without blocking, and tells `on_datagram` the peer and the bytes of each; how many.
    /// While more keeps coming it ends after some thousand, so that a sender on the same thread keeps its
    /// schedule. What is not from the server to one of the peers is dropped and counted.
    pub fn recv(&mut self, on_datagram: &mut impl FnMut(usize, &mut [u8])) -> usize {
        let before = self.counters.datagrams_received;
        let mut frames = Frames::default();
        for _ in 0..BATCHES_PER_TURN {
            let mut more = false;
            for queue in &mut self.queues {
                more |= queue.recv(&mut frames, BATCH_MAX) == BATCH_MAX;
                while let Some(mut frame) = frames.next() {
                    match self.wire.peer_of(&frame) {
                        Some((peer, payload)) => {
                            self.counters.datagrams_received += 1;
                            on_datagram(peer, &mut frame[payload]);
                        }
                        None => self.counters.refused += 1,
                    }
                    queue.release(frame);
                }
            }
            if !more {
                break;
            }
        }
        let received = self.counters.datagrams_received - before;
        self.counters.packets_received += received;
        received as usize
    }

    /// Blocks until a datagram waits or `timeout` is over; whether one waits.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.counters.wait_calls += 1;
        let mut timeout = timeout;
        if self.queues.iter().any(QueueSocket::has_unsent) {
            self.flush();
            timeout = timeout.min(UNSENT_AGAIN);
        }
        poll(&mut self.poll_fds, timeout)
    }
}

impl Drop for XdpPeers {
    fn drop(&mut self) {
        // What is queued leaves first.
        self.flush();
    }
}

/// What frames of peers carry.
struct Wire {
    our_mac: [u8; 6],
    their_mac: [u8; 6],
    vlan: Option<u16>,
    /// The server, as frames have it.
    server: ([u8; 16], u16),
    /// The interface's number, which link-local addresses carry outside of frames.
    scope: u32,
    network: SourceNetwork,
    sources: Sources,
}

impl Wire {
    /// Finds out what the options leave open.
    fn find(options: &PeersOptions, interface: &Interface) -> Result<Wire, PeersError> {
        let server = options.server.ip().to_canonical();
        let network = match options.network {
            Some(network) => network,
            None => SourceNetwork::of(neighbour::own_address(server, interface).map_err(|error| {
                PeersError::NoAddress { interface: interface.name.clone(), server, error }
            })?),
        };
        let sources = sources(options, network)?;
        let their_mac = match options.server_mac {
            Some(mac) => mac,
            None => neighbour::next_hop_mac(server, interface).map_err(|error| PeersError::NoMac {
                interface: interface.name.clone(),
                server,
                error,
            })?,
        };
        let path = Path::new(SocketAddr::new(server, options.server.port()), 0);
        Ok(Wire {
            our_mac: interface.mac,
            their_mac,
            vlan: options.xdp.vlan,
            server: (split_scope(path.ip).0, path.port),
            scope: interface.scope,
            network,
            sources,
        })
    }

    /// Both ends of a peer's frames.
    fn ends(&self, peer: usize) -> Ends {
        Ends {
            our_mac: self.our_mac,
            their_mac: self.their_mac,
            vlan: self.vlan,
            our: self.sources.end(peer),
            their: self.server,
        }
    }

    /// The peer that a frame is for, and where in the frame its datagram lies; `None` if it is no sound one
    /// from the server to a peer.
    fn peer_of(&self, frame: &[u8]) -> Option<(usize, Range<usize>)> {
        let Parsed { ends, payload } = headers::parse(frame).ok()?;
        let ours = ends.their == self.server && ends.vlan == self.vlan;
        let peer = if ours { self.sources.peer(ends.our) } else { None };
        Some((peer?, payload))
    }
}

/// Where the peers speak from.
fn sources(options: &PeersOptions, network: SourceNetwork) -> Result<Sources, PeersError> {
    let server = options.server.ip().to_canonical();
    let wrong = |why| PeersError::Network { network, why };
    let (first, _) = network.prefix();
    if first.is_ipv4() != server.is_ipv4() {
        return Err(wrong(format!("the server {server} is of the other address family")));
    }
    if network.contains(server) {
        return Err(wrong(format!("the server {server} is in it; give a network of nobody else")));
    }
    let count = options.count;
    let spread = u32::try_from(count).ok().and_then(|count| Sources::spread(network, count));
    spread.ok_or_else(|| match options.network {
        None => PeersError::TooMany { count },
        Some(_) => wrong(format!("too small for {count} peers, at {PEERS_PER_ADDRESS_MAX} an address")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::xdp::XdpMode;
    use proptest::prelude::*;

    fn options(server: &str, network: Option<&str>, count: usize) -> PeersOptions {
        PeersOptions {
            server: server.parse().unwrap(),
            count,
            network: network.map(|network| network.parse().unwrap()),
            server_mac: Some([2, 0, 0, 0, 0, 1]),
            xdp: XdpOptions { interface: "none".into(), vlan: None, mode: XdpMode::Auto },
        }
    }

    fn wire(server: &str, network: &str, vlan: Option<u16>) -> Wire {
        let interface = Interface {
            name: "none".into(),
            index: 7,
            scope: 7,
            mac: [2, 0, 0, 0, 0, 2],
            addresses: Vec::new(),
            driver: String::new(),
            queues: 1,
        };
        let mut options = options(server, Some(network), 1_000);
        options.xdp.vlan = vlan;
        Wire::find(&options, &interface).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The frame that a peer sends.
    fn question(wire: &Wire, peer: usize, payload: &[u8]) -> Vec<u8> {
        let ends = wire.ends(peer);
        let header_bytes = headers::header_bytes(&ends);
        let mut frame = vec![0; header_bytes + payload.len()];
        frame[header_bytes..].copy_from_slice(payload);
        headers::write(&mut frame, &ends, payload.len());
        frame
    }

    /// The frame that the server answers it with.
    fn answer(frame: &mut [u8]) {
        let Parsed { payload, .. } = headers::parse(frame).unwrap();
        headers::reply(frame, &payload, payload.len());
    }

    #[test]
    fn an_answer_comes_back_to_its_peer() {
        for (server, network, vlan) in [
            ("192.0.2.1:7100", "10.128.0.0/12", None),
            ("192.0.2.1:7100", "198.51.100.8/29", Some(5)),
            ("[2001:db8::1]:7100", "fd00:1::/64", None),
            ("[::ffff:192.0.2.1]:7100", "10.128.0.0/12", None),
        ] {
            let wire = wire(server, network, vlan);
            for peer in [0, 1, 999] {
                let mut frame = question(&wire, peer, &[7; 64]);
                // Expect: a question is not an answer.
                assert_eq!(wire.peer_of(&frame), None);
                answer(&mut frame);
                let (found, payload) = wire.peer_of(&frame).unwrap();
                assert_eq!((found, &frame[payload]), (peer, &[7; 64][..]), "{server} {network}");
            }
        }
    }

    #[test]
    fn what_is_not_from_the_server_to_a_peer_is_nobodys() {
        let wire = wire("192.0.2.1:7100", "10.128.0.0/12", None);
        let mut right = question(&wire, 3, &[7; 64]);
        answer(&mut right);
        let Parsed { ends, .. } = headers::parse(&right).unwrap();
        let ip = |last| std::net::Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped().octets();
        for (what, wrong) in [
            ("another host", Ends { their: (ip(2), 7_100), ..ends }),
            ("another port of the server", Ends { their: (ip(1), 7_101), ..ends }),
            ("another VLAN", Ends { vlan: Some(5), ..ends }),
            ("no peer's port", Ends { our: (ends.our.0, 9), ..ends }),
            ("no peer's address", Ends { our: (ip(3), ends.our.1), ..ends }),
        ] {
            let swapped = Ends {
                our_mac: wrong.their_mac,
                their_mac: wrong.our_mac,
                vlan: wrong.vlan,
                our: wrong.their,
                their: wrong.our,
            };
            let mut frame = vec![0; 200];
            let length = headers::write(&mut frame, &swapped, 64);
            assert_eq!(wire.peer_of(&frame[..length]), None, "{what}");
        }
        // Expect: nor is a broken one.
        *right.last_mut().unwrap() ^= 1;
        assert_eq!(wire.peer_of(&right), None);
    }

    #[test]
    fn options_that_cannot_be_are_told_why() {
        let told = |server, network: Option<&str>, count| {
            let options = options(server, network, count);
            let own = SourceNetwork::of("192.0.2.2".parse().unwrap());
            let error = sources(&options, options.network.unwrap_or(own)).unwrap_err();
            assert!(error.is_usage());
            error.to_string()
        };
        for (line, why) in [
            (told("192.0.2.1:1", None, 64_513), "64512 ports and 64513 are asked for; give more addresses"),
            (told("192.0.2.1:1", Some("10.0.0.0/31"), 129_025), "10.0.0.0/31: too small for 129025 peers"),
            (told("192.0.2.1:1", Some("10.0.0.0/8"), usize::MAX), "too small"),
            (told("192.0.2.1:1", Some("fd00::/64"), 1), "of the other address family"),
            (told("192.0.2.1:1", Some("192.0.2.0/24"), 1), "192.0.2.1 is in it"),
        ] {
            assert!(line.contains(why), "{line}");
            assert_eq!(line.lines().count(), 1);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(wire("192.0.2.1:7100", "10.128.0.0/12", None).peer_of(&frame), None);
        }
    }
}
