//! Where a datagram came from and where its reply leaves: the network's facts as the core sees them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The two ends of a datagram's way, small enough to be kept for each session (20 bytes).
///
/// `ip` is the peer's IPv6 address, or its IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2). A
/// link-local address carries its scope id in bytes 4 to 7, which RFC 4291 §2.5.6 leaves zero.
/// `local` names the engine's own end (which listen address, which local address on a wildcard), and
/// means something to the engine alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address.
    pub ip: [u8; 16],
    /// The peer's UDP port.
    pub port: u16,
    /// The engine's name for our own end.
    pub local: u16,
}

impl Path {
    /// No path: the unspecified address, port 0, which the engines never deliver from.
    pub const NONE: Path = Path { ip: [0; 16], port: 0, local: 0 };

    /// The path of a peer at `addr`, with our own end named `local`.
    pub fn new(addr: SocketAddr, local: u16) -> Path {
        let (ip, scope) = match addr {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        let mut octets = ip.octets();
        if ip.is_unicast_link_local() {
            octets[4..8].copy_from_slice(&scope.to_be_bytes());
        }
        Path { ip: octets, port: addr.port(), local }
    }

    /// The peer's socket address; a mapped IPv4 address comes back as IPv4.
    pub fn addr(&self) -> SocketAddr {
        let mut octets = self.ip;
        let mut scope = 0;
        if Ipv6Addr::from(octets).is_unicast_link_local() {
            scope = u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]);
            octets[4..8].fill(0);
        }
        match Ipv6Addr::from(octets).to_canonical() {
            IpAddr::V4(v4) => SocketAddr::new(IpAddr::V4(v4), self.port),
            IpAddr::V6(v6) => std::net::SocketAddrV6::new(v6, self.port, 0, scope).into(),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.addr(), self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_into_a_path_and_back() {
        for text in ["127.0.0.1:7100", "[::1]:1", "[2001:db8::7]:65535", "[fe80::1%7]:9"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(Path::new(addr, 3).addr(), addr, "{text}");
        }
    }

    #[test]
    fn link_local_peers_of_two_links_differ() {
        let one: SocketAddr = "[fe80::1%1]:9".parse().unwrap();
        let two: SocketAddr = "[fe80::1%2]:9".parse().unwrap();
        assert_ne!(Path::new(one, 0), Path::new(two, 0));
    }
}
