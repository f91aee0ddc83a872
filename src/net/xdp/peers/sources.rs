//! Which address and port each peer speaks from, by arithmetic alone: a million peers take no memory.

use redpkt_proto::Path;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The first port that peers speak from: those below are the system's (RFC 6335 §6).
const PORT_FIRST: u16 = 1_024;

/// Peers that one address can have.
pub const PEERS_PER_ADDRESS_MAX: u32 = u16::MAX as u32 - PORT_FIRST as u32 + 1;

/// A network of addresses, written as `10.128.0.0/12` or `fd00:1::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceNetwork {
    first: IpAddr,
    prefix_bits: u8,
}

impl SourceNetwork {
    /// The network of one address.
    pub(super) fn of(ip: IpAddr) -> SourceNetwork {
        SourceNetwork { first: ip.to_canonical(), prefix_bits: bits_of(ip.to_canonical()) as u8 }
    }

    /// Its first address, and how many of its bits all its addresses share.
    pub(super) fn prefix(&self) -> (IpAddr, u8) {
        (self.first, self.prefix_bits)
    }

    /// Whether an address lies in it.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let below = number(ip).checked_sub(number(self.first));
        let same_family = ip.to_canonical().is_ipv4() == self.first.is_ipv4();
        same_family && below.is_some_and(|below| self.host_bits() == 128 || below >> self.host_bits() == 0)
    }

    /// The first address that a host can have, as a number, and how many such addresses follow one
    /// another from there. Left out are the network's own address and, in IPv4, its broadcast address
    /// (RFC 1122 §3.2.1.3, RFC 4291 §2.6.1), where it has more than two (RFC 3021, RFC 6164).
    fn hosts(&self) -> (u128, u128) {
        let first = number(self.first);
        let all = 1u128.checked_shl(self.host_bits()).unwrap_or(u128::MAX);
        match (all > 2, self.first.is_ipv4()) {
            (false, _) => (first, all),
            (true, true) => (first + 1, all - 2),
            (true, false) => (first + 1, all - 1),
        }
    }

    fn host_bits(&self) -> u32 {
        bits_of(self.first) - u32::from(self.prefix_bits)
    }
}

impl FromStr for SourceNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<SourceNetwork, String> {
        let form = || format!("{text}: expected an address and its prefix's length, as 10.128.0.0/12");
        let (ip, prefix_bits) = text.split_once('/').ok_or_else(form)?;
        let first: IpAddr = ip.parse().map_err(|_| form())?;
        let prefix_bits: u8 = prefix_bits.parse().map_err(|_| form())?;
        if u32::from(prefix_bits) > bits_of(first) {
            return Err(form());
        }
        let network = SourceNetwork { first, prefix_bits };
        let host_bits = network.host_bits();
        let begin = number(first).checked_shr(host_bits).and_then(|prefix| prefix.checked_shl(host_bits));
        let begin = address(begin.unwrap_or(0), first.is_ipv4());
        if begin != first {
            return Err(format!("{text}: the network of that length begins at {begin}"));
        }
        // The server could not answer from such addresses. A mapped one is IPv4 in the wrong clothes.
        const NO_HOSTS: [IpAddr; 6] = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)),
        ];
        let refused = first.is_multicast() || first.is_loopback() || first != first.to_canonical();
        if refused || NO_HOSTS.iter().any(|&ip| network.contains(ip)) {
            return Err(format!("{text}: expected a network of addresses that a host can have"));
        }
        Ok(network)
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

/// Where peers speak from: each of a run of addresses is `per_address` consecutive peers, with consecutive
/// ports.
///
/// Ports go on where the address before stopped, so that consecutive peers differ in them even when
/// each has an address of its own: not every card spreads over its queues by addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// The first address, as a number.
    first: u128,
    is_ipv4: bool,
    per_address: u32,
    peers: u32,
}

impl Sources {
    /// That many peers in a network, spread over its addresses; `None` if it cannot hold them.
    pub(super) fn spread(network: SourceNetwork, peers: u32) -> Option<Sources> {
        let (first, hosts) = network.hosts();
        let per_address = u128::from(peers).div_ceil(hosts).max(1);
        let per_address = u32::try_from(per_address).ok().filter(|&each| each <= PEERS_PER_ADDRESS_MAX)?;
        Some(Sources { first, is_ipv4: network.first.is_ipv4(), per_address, peers })
    }

    /// How many peers there are.
    pub(super) fn peers(&self) -> usize {
        self.peers as usize
    }

    /// Where a peer speaks from, as frames have it.
    pub(super) fn end(&self, peer: usize) -> ([u8; 16], u16) {
        let peer = peer as u32;
        let ip = self.first + u128::from(peer / self.per_address);
        (ip.to_be_bytes(), PORT_FIRST + (peer % PEERS_PER_ADDRESS_MAX) as u16)
    }

    /// The peer that speaks from there, if there is one.
    pub(super) fn peer(&self, (ip, port): ([u8; 16], u16)) -> Option<usize> {
        let nth_address = u32::try_from(u128::from_be_bytes(ip).checked_sub(self.first)?).ok()?;
        let nth_port = u32::from(port.checked_sub(PORT_FIRST)?);
        let first = nth_address.checked_mul(self.per_address)?;
        // The address's peers have the ports from its first peer's on, which go round at the end.
        let first_port = first % PEERS_PER_ADDRESS_MAX;
        let nth = (nth_port + PEERS_PER_ADDRESS_MAX - first_port) % PEERS_PER_ADDRESS_MAX;
        let peer = first.checked_add(nth)?;
        (nth < self.per_address && peer < self.peers).then_some(peer as usize)
    }

    /// The socket address of a peer.
    pub(super) fn addr(&self, peer: usize, scope: u32) -> SocketAddr {
        let (ip, port) = self.end(peer);
        Path { ip: crate::net::address::join_scope(ip.into(), scope), port, local: 0 }.addr()
    }
}

fn bits_of(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS }
}

/// An address in a path's form, as a number.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The other way.
fn address(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 { Ipv4Addr::from_bits(number as u32).into() } else { Ipv6Addr::from_bits(number).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn spread(network: &str, peers: u32) -> Option<Sources> {
        Sources::spread(network.parse().unwrap(), peers)
    }

    #[test]
    fn a_million_users_are_a_million_addresses() {
        let sources = spread("10.128.0.0/12", 1_000_000).unwrap();
        assert_eq!(sources.addr(0, 0), "10.128.0.1:1024".parse().unwrap());
        assert_eq!(sources.addr(1, 0), "10.128.0.2:1025".parse().unwrap());
        assert_eq!(sources.addr(999_999, 0), "10.143.66.64:33343".parse().unwrap());
        let ends: HashSet<_> = (0..1_000_000).map(|peer| sources.end(peer)).collect();
        assert_eq!(ends.len(), 1_000_000);
        assert!((0..1_000_000).all(|peer| sources.peer(sources.end(peer)) == Some(peer)));
    }

    #[test]
    fn one_address_has_all_its_ports() {
        let own = SourceNetwork::of("192.0.2.1".parse().unwrap());
        let sources = Sources::spread(own, PEERS_PER_ADDRESS_MAX).unwrap();
        assert_eq!(sources.addr(0, 0), "192.0.2.1:1024".parse().unwrap());
        assert_eq!(sources.addr(64_511, 0), "192.0.2.1:65535".parse().unwrap());
        assert_eq!(Sources::spread(own, PEERS_PER_ADDRESS_MAX + 1), None);
        // Expect: the ports of the system are nobody's.
        let (ip, _) = sources.end(0);
        assert_eq!((sources.peer((ip, 1_023)), sources.peer((ip, 0))), (None, None));
    }

    #[test]
    fn a_small_network_shares_its_hosts() {
        // 6 hosts of 8 addresses.
        let sources = spread("198.51.100.8/29", 600).unwrap();
        assert_eq!(sources.addr(99, 0), "198.51.100.9:1123".parse().unwrap());
        assert_eq!(sources.addr(100, 0), "198.51.100.10:1124".parse().unwrap());
        assert_eq!(sources.addr(599, 0), "198.51.100.14:1623".parse().unwrap());
        assert_eq!(spread("198.51.100.8/29", 6 * PEERS_PER_ADDRESS_MAX + 1), None);
        // Expect: two addresses are two hosts, and IPv6 has no broadcast.
        assert_eq!(spread("198.51.100.8/31", 2).unwrap().addr(0, 0).ip(), IpAddr::from([198, 51, 100, 8]));
        assert_eq!(spread("2001:db8::/126", 3).unwrap().addr(2, 0).ip().to_string(), "2001:db8::3");
    }

    #[test]
    fn a_link_local_peer_is_told_with_its_scope() {
        let own = SourceNetwork::of("fe80::5".parse().unwrap());
        let addr = Sources::spread(own, 1).unwrap().addr(0, 7);
        assert_eq!(addr, "[fe80::5%7]:1024".parse().unwrap());
    }

    #[test]
    fn what_is_no_network_is_told_why() {
        for (text, why) in [
            ("10.128.0.0", "as 10.128.0.0/12"),
            ("10.128.0.0/", "as 10.128.0.0/12"),
            ("10.128.0.0/33", "as 10.128.0.0/12"),
            ("2001:db8::/129", "as 10.128.0.0/12"),
            ("10.128.0.5/12", "begins at 10.128.0.0"),
            ("2001:db8::1/64", "begins at 2001:db8::"),
            ("0.0.0.0/0", "that a host can have"),
            ("::/0", "that a host can have"),
            ("224.0.0.0/8", "that a host can have"),
            ("ff00::/8", "that a host can have"),
            ("127.0.0.0/8", "that a host can have"),
            ("128.0.0.0/1", "that a host can have"),
            ("::ffff:10.0.0.0/104", "that a host can have"),
        ] {
            let told = text.parse::<SourceNetwork>().unwrap_err();
            assert!(told.contains(text) && told.contains(why), "{told}");
        }
        assert_eq!("10.128.0.0/12".parse::<SourceNetwork>().unwrap().to_string(), "10.128.0.0/12");
    }

    #[test]
    fn a_network_knows_its_addresses() {
        let network: SourceNetwork = "10.128.0.0/12".parse().unwrap();
        let contains = |text: &str| network.contains(text.parse().unwrap());
        assert!(contains("10.128.0.0") && contains("10.143.255.255") && contains("::ffff:10.128.0.1"));
        assert!(!contains("10.127.255.255") && !contains("10.144.0.0") && !contains("2001:db8::1"));
        let six: SourceNetwork = "2001:db8::/32".parse().unwrap();
        assert!(six.contains("2001:db8:ffff::".parse().unwrap()));
        assert!(!six.contains("2001:db9::".parse().unwrap()) && !six.contains("10.0.0.1".parse().unwrap()));
    }

    fn network() -> impl Strategy<Value = SourceNetwork> {
        let v4 = (1u8..=32).prop_map(|bits| {
            let first = 0x0a80_0000u32 & u32::MAX << (32 - u32::from(bits));
            SourceNetwork { first: IpAddr::V4(first.into()), prefix_bits: bits }
        });
        let v6 = (1u8..=128).prop_map(|bits| {
            let first = (0x2001_0db8_u128 << 96) & u128::MAX << (128 - u32::from(bits));
            SourceNetwork { first: IpAddr::V6(first.into()), prefix_bits: bits }
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_peer_is_found_by_where_it_speaks_from(network in network(), peers in 1u32.., peer: u32) {
            let Some(sources) = Sources::spread(network, peers) else { return Ok(()) };
            let peer = (peer % peers) as usize;
            prop_assert_eq!(sources.peer(sources.end(peer)), Some(peer));
            prop_assert!(network.contains(sources.addr(peer, 0).ip()));
            prop_assert!(sources.end(peer).1 >= PORT_FIRST);
        }

        #[test]
        fn any_other_end_is_nobodys(network in network(), peers in 1u32..200_000, near in -2i32..400_000, port: u16) {
            let Some(sources) = Sources::spread(network, peers) else { return Ok(()) };
            let ip = sources.first.wrapping_add_signed(near.into()).to_be_bytes();
            if let Some(peer) = sources.peer((ip, port)) {
                prop_assert!(peer < peers as usize);
                prop_assert_eq!(sources.end(peer), (ip, port));
            }
        }

        #[test]
        fn arbitrary_ends_never_panic(network in network(), peers in 1u32.., ip: [u8; 16], port: u16) {
            if let Some(peer) = Sources::spread(network, peers).and_then(|sources| sources.peer((ip, port))) {
                prop_assert!(peer < peers as usize);
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[0-9a-f.:/]{0,24}") {
            let _ = text.parse::<SourceNetwork>();
        }
    }
}
