//! What passes an interface, as the kernel shows it to a packet socket (packet(7), `AF_PACKET`; the one place where
//! "packet" is the kernel's word): filtered in the kernel, in a ring of blocks shared with it (`TPACKET_V3`).

mod filter;
mod ring;

use super::syscall::{poll, readable, set_option};
use filter::filter;
use nix::net::if_::if_nametoindex;
use ring::{BLOCKS, Ring};
use socket2::{Domain, SockFilter, Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

pub use filter::PORTS_MAX;

/// Why there is no packet socket. Each message is one line with the fix.
#[derive(Debug, thiserror::Error)]
pub enum PacketSocketError {
    /// No interface has this name.
    #[error("--iface {0}: there is no such interface here; `ip link` names them")]
    NoInterface(String),
    /// A process like this one may not.
    #[error(
        "--iface {0}: listening there needs CAP_NET_RAW; run it as root, or grant it: sudo setcap cap_net_raw+ep \"$(command -v redpkt-pcap)\""
    )]
    Permission(String),
    /// What the interface carries begins with headers that are not known here.
    #[error(
        "--iface {interface}: its link type is {link} (ARPHRD_…); Ethernet, loopback and tunnels without link headers can be listened to"
    )]
    Link {
        /// The interface.
        interface: String,
        /// Its hardware type, as in linux/if_arp.h.
        link: u16,
    },
    /// The system refused something else.
    #[error("--iface {interface}: cannot {doing}: {error}")]
    Other {
        /// The interface.
        interface: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl PacketSocketError {
    /// Whether what the user wrote is to be changed: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, PacketSocketError::NoInterface(_) | PacketSocketError::Link { .. })
    }
}

/// What the bytes of an interface begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header, also on loopback.
    Ethernet,
    /// An IP header.
    RawIp,
}

/// One thing that passed the interface.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    /// When, in ns since 1970.
    pub wall_ns: u64,
    /// How long it was, in bytes.
    pub len: usize,
    /// Its beginning.
    pub bytes: &'a [u8],
    /// The 802.1Q tag that the kernel has taken out of it: protocol and control information.
    pub vlan: Option<[u16; 2]>,
}

/// A packet socket on one interface, for UDP from or to some ports.
pub struct PacketSocket {
    interface: String,
    socket: Socket,
    ring: Ring,
    link: Link,
    lost: u64,
}

/// The kernel's hardware types that are known here (linux/if_arp.h): Ethernet, loopback, none, raw IP, tunnels.
const ETHERNET: [u16; 2] = [libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK];
const RAW_IP: [u16; 4] = [libc::ARPHRD_NONE, 519, libc::ARPHRD_TUNNEL, libc::ARPHRD_TUNNEL6];

impl PacketSocket {
    /// Listens on an interface to UDP from or to these ports, [`PORTS_MAX`] at most, and to later fragments of any
    /// UDP, which have no ports. On loopback what passes is seen once, elsewhere both ways.
    pub fn open(interface: &str, ports: &[u16]) -> Result<PacketSocket, PacketSocketError> {
        let index =
            if_nametoindex(interface).map_err(|_| PacketSocketError::NoInterface(interface.to_owned()))?;
        let other = |doing| {
            move |error: io::Error| match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => PacketSocketError::Permission(interface.to_owned()),
                _ => PacketSocketError::Other { interface: interface.to_owned(), doing, error },
            }
        };
        // Protocol 0: nothing comes before the filter is there and the socket is bound.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).map_err(other("open a packet socket"))?;
        let program: Vec<_> =
            filter(ports).iter().map(|line| SockFilter::new(line.code, line.jt, line.jf, line.k)).collect();
        socket.attach_filter(&program).map_err(other("attach the filter"))?;
        let ring = Ring::map(&socket).map_err(other("make a ring of 64 MiB"))?;
        if interface == "lo" {
            let ignore = set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1);
            ignore.map_err(other("leave out what is sent (Linux 4.20)"))?;
        }
        bind(&socket, index).map_err(other("bind to it"))?;
        let hardware = hardware_type(&socket).map_err(other("read its link type"))?;
        let link = match hardware {
            link if ETHERNET.contains(&link) => Link::Ethernet,
            link if RAW_IP.contains(&link) => Link::RawIp,
            link => return Err(PacketSocketError::Link { interface: interface.to_owned(), link }),
        };
        Ok(PacketSocket { interface: interface.to_owned(), socket, ring, link, lost: 0 })
    }

    /// What its bytes begin with.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Hands over what has passed, a ring full of it at the most, so that a caller who is slower than what passes gets
    /// another turn; waits for something for `timeout` at the most. Returns how much it was. The kernel hands on a block
    /// when it is full, or 10 ms after its first arrival.
    pub fn take(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(Passed<'_>),
    ) -> Result<usize, PacketSocketError> {
        let mut count = 0;
        for _ in 0..BLOCKS {
            let Some(of_block) = self.ring.take_block(&mut each) else { break };
            count += of_block;
        }
        if count == 0 {
            poll(&mut [readable(self.socket.as_fd())], timeout);
            if let Some(error) = self.socket.take_error().ok().flatten() {
                let interface = self.interface.clone();
                return Err(PacketSocketError::Other { interface, doing: "listen any longer", error });
            }
        }
        Ok(count)
    }

    /// How much has passed since the start that found no room in the ring.
    pub fn lost(&mut self) -> u64 {
        // Asking sets the kernel's counters back to 0.
        self.lost += u64::from(drops(&self.socket).unwrap_or(0));
        self.lost
    }
}

fn address(index: u32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn bind(socket: &Socket, index: u32) -> io::Result<()> {
    let address = address(index);
    // SAFETY: the pointer and the length are those of a local address.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The hardware type of the interface that a socket is bound to.
fn hardware_type(socket: &Socket) -> io::Result<u16> {
    let mut address = address(0);
    let mut len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointers are those of locals, with the length of the first in the second.
    let result = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
    if result == 0 { Ok(address.sll_hatype) } else { Err(io::Error::last_os_error()) }
}

/// What was dropped since this was last asked.
fn drops(socket: &Socket) -> io::Result<u32> {
    let mut stats = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    let mut len = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the pointers are those of locals, with the length of the first in the second.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(stats.tp_drops) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A socket on loopback, or none where that is not allowed.
    fn on_loopback(ports: &[u16]) -> Option<PacketSocket> {
        match PacketSocket::open("lo", ports) {
            Ok(socket) => Some(socket),
            Err(PacketSocketError::Permission(_)) => {
                eprintln!("not tried: packet sockets are not permitted here");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Expect: each datagram from or to the port once, IPv4 and IPv6, whole, and nothing of others.
    #[test]
    fn what_is_of_the_port_is_seen_once() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let (wanted, other) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
            let Some(mut socket) = on_loopback(&[9, wanted.local_addr().unwrap().port()]) else { return };
            assert_eq!(socket.link(), Link::Ethernet);
            let stranger = UdpSocket::bind(any).unwrap();
            other.send_to(&[1; 64], wanted.local_addr().unwrap()).unwrap();
            other.send_to(&[2; 64], stranger.local_addr().unwrap()).unwrap();
            wanted.send_to(&[3; 1_152], other.local_addr().unwrap()).unwrap();
            let mut seen = Vec::new();
            for _ in 0..200 {
                let taken = socket.take(Duration::from_millis(100), |passed| {
                    assert_eq!(passed.len, passed.bytes.len());
                    seen.push((passed.len, passed.bytes[passed.bytes.len() - 1], passed.wall_ns));
                });
                taken.unwrap();
                if seen.len() >= 2 {
                    break;
                }
            }
            // Whatever else there is would come with the same block or the next.
            socket.take(Duration::from_millis(50), |_| ()).unwrap();
            socket.take(Duration::ZERO, |passed| seen.push((passed.len, 0, 0))).unwrap();
            let headers = if any.starts_with('[') { 14 + 40 + 8 } else { 14 + 20 + 8 };
            let found: Vec<_> = seen.iter().map(|(len, last, _)| (*len, *last)).collect();
            assert_eq!(found, [(headers + 64, 1), (headers + 1_152, 3)]);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert!(seen.iter().all(|(_, _, wall_ns)| now.as_nanos() as u64 - wall_ns < 60_000_000_000));
            assert_eq!(socket.lost(), 0);
        }
    }

    /// Expect: nothing is lost or read twice when the ring is gone round several times.
    #[test]
    fn the_ring_goes_round() {
        let any = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (from, to) = (any(), any());
        let Some(mut socket) = on_loopback(&[to.local_addr().unwrap().port()]) else { return };
        let mut next = 0u32;
        let mut sent = 0u32;
        let mut bytes = [0; 1_152];
        // Twice the 64 MiB of the ring.
        while next < 110_000 {
            // Fewer under way than loopback's queue (net.core.netdev_max_backlog) has room for.
            while sent < 110_000 && sent - next < 900 {
                bytes[1_148..].copy_from_slice(&sent.to_le_bytes());
                from.send_to(&bytes, to.local_addr().unwrap()).unwrap();
                sent += 1;
            }
            let taken = socket.take(Duration::from_secs(1), |passed| {
                let number = passed.bytes.last_chunk().map(|bytes| u32::from_le_bytes(*bytes));
                assert_eq!(number, Some(next));
                next += 1;
            });
            taken.unwrap();
        }
        assert_eq!(socket.lost(), 0);
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = PacketSocket::open("nowhere0", &[7100]).err().unwrap();
        assert!(error.is_usage() && error.to_string().starts_with("--iface nowhere0: "), "{error}");
    }
}
