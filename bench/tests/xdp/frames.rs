//! Frames of our own making, sent past the client's stack.

use etherparse::{PacketBuilder, VlanId};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{recv, sendto, socket};
use redpkt_proto::{Direction, Frame, Header, Op};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd as _, OwnedFd};
use zerocopy::IntoBytes as _;

/// The MAC addresses of both ends, as a lab has them.
const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0x4d, 0, 1];
const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0x4d, 0, 2];

/// Where the parts of an IPv4 frame without a tag begin.
pub const IP_AT: usize = 14;
pub const UDP_AT: usize = IP_AT + 20;
pub const PAYLOAD_AT: usize = UDP_AT + 8;

/// The client's end of the wire.
pub struct Wire {
    socket: OwnedFd,
    end: LinkAddr,
}

impl Wire {
    /// Of the calling thread's side, which is the client's.
    pub fn new() -> Wire {
        let name = "redpkt-c";
        let end = getifaddrs().unwrap().filter(|each| each.interface_name == name);
        let end = end.filter_map(|each| each.address?.as_link_addr().copied()).next().expect(name);
        let all = SockProtocol::EthAll;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, all).unwrap();
        Wire { socket, end }
    }

    /// Puts a frame on the wire as it is.
    pub fn send(&self, frame: &[u8]) {
        let sent = sendto(self.socket.as_raw_fd(), frame, &self.end, MsgFlags::empty()).unwrap();
        assert_eq!(sent, frame.len());
    }

    /// The payload of the next datagram over IPv4 from the server to this port, if one has come. The kernel has taken
    /// a tag out of its frame.
    pub fn hear(&self, port: u16) -> Option<Vec<u8>> {
        let mut bytes = [0; 2_048];
        while let Ok(len) = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            let frame = &bytes[..len];
            let is_datagram = frame.len() > PAYLOAD_AT && frame[12..14] == [8, 0] && frame[IP_AT + 9] == 17;
            if is_datagram
                && frame[6..12] == SERVER_MAC
                && frame[UDP_AT + 2..UDP_AT + 4] == port.to_be_bytes()
            {
                return Some(frame[PAYLOAD_AT..].to_vec());
            }
        }
        None
    }
}

/// A datagram in a frame, everything as it should be.
pub fn datagram(vlan: Option<u16>, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC);
    let (from_ip, to_ip) = (from.ip().octets(), to.ip().octets());
    let builder = match vlan {
        None => builder.ipv4(from_ip, to_ip, 64),
        Some(id) => builder.single_vlan(VlanId::try_new(id).unwrap()).ipv4(from_ip, to_ip, 64),
    };
    let builder = builder.udp(from.port(), to.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// A user who never joins.
const STRANGER: u64 = 1 << 40;

/// A frame of the protocol that asks for nothing and has no session: its user is unknown.
pub fn stray() -> Vec<u8> {
    let body = redpkt_proto::body::Keepalive { token: 0.into(), server_wall_ms: 0.into(), reserved: [0; 16] };
    Frame::new(Header::new(STRANGER, Direction::ToServer, Op::Keepalive), &body).as_bytes().to_vec()
}

/// Writes the checksum of the IPv4 header again.
pub fn sum_ipv4_header(frame: &mut [u8]) {
    frame[IP_AT + 10..IP_AT + 12].fill(0);
    let words =
        frame[IP_AT..UDP_AT].as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[IP_AT + 10..IP_AT + 12].copy_from_slice(&checksum.to_be_bytes());
}
