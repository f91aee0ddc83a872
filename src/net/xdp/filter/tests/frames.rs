//! Frames, and the filters that take them.

use crate::net::xdp::filter::{Filter, Take};
use etherparse::PacketBuilder;
use std::net::{IpAddr, SocketAddr};

pub(super) const OUR_MAC: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
const THEIR_MAC: [u8; 6] = [0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee];
pub(super) const VLAN: u16 = 0x0abc;

/// A filter and the addresses of a datagram that it takes.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) filter: Filter,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

/// Server and client, IPv4 and IPv6, without and with a tag.
pub(super) fn scenarios() -> Vec<Scenario> {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let listen =
        ["10.0.0.1:7100", "10.0.0.2:7101", "[fd00::1]:7100", "[::ffff:10.0.0.3]:7100", "[fd00::2]:9"];
    let server = Take::To(listen.map(address).to_vec());
    let client = |server: &str, network: &str, prefix_bits| Take::From {
        server: address(server),
        network: network.parse().unwrap(),
        prefix_bits,
    };
    let takes = [
        (server.clone(), "192.0.2.7:40000", "10.0.0.1:7100"),
        (server.clone(), "192.0.2.7:40000", "10.0.0.2:7101"),
        (server.clone(), "192.0.2.7:40000", "10.0.0.3:7100"),
        (server.clone(), "[fd00::7]:40000", "[fd00::1]:7100"),
        (server, "[fd00::7]:40000", "[fd00::2]:9"),
        (Take::To(vec![address("10.0.0.1:7100")]), "192.0.2.7:1", "10.0.0.1:7100"),
        (Take::To(vec![address("[fd00::1]:7100")]), "[fd00::7]:1", "[fd00::1]:7100"),
        (client("10.0.0.1:7100", "10.9.128.0", 17), "10.0.0.1:7100", "10.9.200.3:5"),
        (client("10.0.0.1:7100", "10.9.0.1", 32), "10.0.0.1:7100", "10.9.0.1:5"),
        (client("10.0.0.1:7100", "0.0.0.0", 0), "10.0.0.1:7100", "10.9.200.3:5"),
        (client("[fd00::1]:7100", "fd00:9::", 64), "[fd00::1]:7100", "[fd00:9::3:4]:5"),
        (client("[fd00::1]:7100", "fd00:9::8000", 113), "[fd00::1]:7100", "[fd00:9::8123]:5"),
    ];
    let scenario = |vlan| {
        takes.clone().map(|(take, from, to)| Scenario {
            filter: Filter { mac: OUR_MAC, vlan, take },
            from: address(from),
            to: address(to),
        })
    };
    [None, Some(VLAN)].into_iter().flat_map(scenario).collect()
}

impl Scenario {
    /// A frame that is taken, with a datagram of so many bytes (13 at least have the right version).
    pub(super) fn frame(&self, payload_bytes: usize) -> Vec<u8> {
        let mut frame = self.untagged(payload_bytes);
        if let Some(vlan) = self.filter.vlan {
            tag(&mut frame, 0x8100, vlan);
        }
        frame
    }

    /// The same without a tag.
    pub(super) fn untagged(&self, payload_bytes: usize) -> Vec<u8> {
        let mut payload: Vec<u8> = (0..payload_bytes).map(|i| (i * 7) as u8).collect();
        if let Some(version) = payload.get_mut(12) {
            *version = self.version();
        }
        let ethernet = PacketBuilder::ethernet2(THEIR_MAC, OUR_MAC);
        let ip = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
            _ => unreachable!("one family"),
        };
        let mut frame = Vec::new();
        ip.udp(self.from.port(), self.to.port()).write(&mut frame, &payload).unwrap();
        frame
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self.filter.take, Take::To(_))
    }

    pub(super) fn is_ipv4(&self) -> bool {
        self.to.is_ipv4()
    }

    /// The version and direction of what it receives.
    pub(super) fn version(&self) -> u8 {
        if self.is_server() { 0x01 } else { 0x81 }
    }

    /// Where the network header begins.
    pub(super) fn network_at(&self) -> usize {
        if self.filter.vlan.is_some() { 18 } else { 14 }
    }

    /// Where the UDP header begins.
    pub(super) fn udp_at(&self) -> usize {
        self.network_at() + if self.is_ipv4() { 20 } else { 40 }
    }
}

/// Puts a tag around what is there.
pub(super) fn tag(frame: &mut Vec<u8>, ethertype: u16, vlan: u16) {
    // A priority beside the VLAN's number, which must not matter.
    let control = vlan | 0xa000;
    frame.splice(12..12, ethertype.to_be_bytes().into_iter().chain(control.to_be_bytes()));
}
