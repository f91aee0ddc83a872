//! The MAC address that frames to a server leave for, asked of the kernel by rtnetlink(7): the route, then
//! the neighbour that it leads to.

use super::super::interface::Interface;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How long a neighbour may take to say its MAC address: the kernel asks three times, a second apart.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// How often the kernel is asked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The discard service (RFC 863): a datagram that makes the kernel look for a neighbour goes there, where it
/// is not counted as a bad one of ours.
const DISCARD_PORT: u16 = 9;

/// Neighbours whose address is known: all states but `NUD_NONE`, `NUD_INCOMPLETE` and `NUD_FAILED`.
const KNOWN_STATES: u16 =
    libc::NUD_REACHABLE | libc::NUD_STALE | libc::NUD_DELAY | libc::NUD_PROBE | libc::NUD_PERMANENT;

/// The address that the kernel would speak to `server` from on this interface.
pub(super) fn own_address(server: IpAddr, interface: &Interface) -> io::Result<IpAddr> {
    Ok(ordinary_socket(server, interface)?.local_addr()?.ip())
}

/// The MAC address of the next hop to `server` on this interface. Makes the kernel look for it if it does
/// not know it, which takes some milliseconds where there is one, and seconds where there is none.
pub(super) fn next_hop_mac(server: IpAddr, interface: &Interface) -> io::Result<[u8; 6]> {
    let hop = next_hop(server, interface)?;
    let begin = Instant::now();
    // Without an answer, or with the error that nobody is there, the address is the same.
    let provoke = ordinary_socket(server, interface)?;
    let _ = provoke.send(&[]);
    loop {
        if let Some(mac) = known_mac(hop, interface)? {
            return Ok(mac);
        }
        if begin.elapsed() > ANSWER_TIME {
            return Err(io::Error::other(format!("{hop} does not say its own")));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A socket of the kernel's, towards the server through this interface.
fn ordinary_socket(server: IpAddr, interface: &Interface) -> io::Result<UdpSocket> {
    let mut addr = SocketAddr::new(server, DISCARD_PORT);
    if let SocketAddr::V6(v6) = &mut addr
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(interface.index);
    }
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    socket.connect(&addr.into())?;
    Ok(socket.into())
}

/// Who takes frames for `server` on this interface: a gateway, or the server itself.
fn next_hop(server: IpAddr, interface: &Interface) -> io::Result<IpAddr> {
    let message = RouteMessage {
        family: family(server),
        destination_bits: if server.is_ipv4() { 32 } else { 128 },
        ..RouteMessage::default()
    };
    let output = interface.index.to_ne_bytes();
    let attributes: [(u16, &[u8]); 2] = [(libc::RTA_DST, &octets(server)), (libc::RTA_OIF, &output)];
    let answer = ask(libc::RTM_GETROUTE, message.as_bytes(), &attributes)?;
    let Some((route, attributes)) = part::<RouteMessage>(&answer) else { return Err(unexpected()) };
    if route.kind != libc::RTN_UNICAST {
        return Err(io::Error::other(format!("the way to {server} does not leave by {}", interface.name)));
    }
    if attribute(attributes, libc::RTA_VIA).is_some() {
        return Err(io::Error::other("the gateway is of the other address family"));
    }
    match attribute(attributes, libc::RTA_GATEWAY) {
        None => Ok(server),
        Some(gateway) => ip(gateway).ok_or_else(unexpected),
    }
}

/// What the kernel knows of a neighbour; `None` if nothing yet.
fn known_mac(hop: IpAddr, interface: &Interface) -> io::Result<Option<[u8; 6]>> {
    let message =
        NeighbourMessage { family: family(hop), interface: interface.index, ..NeighbourMessage::default() };
    let answer = match ask(libc::RTM_GETNEIGH, message.as_bytes(), &[(libc::NDA_DST, &octets(hop))]) {
        Ok(answer) => answer,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((neighbour, attributes)) = part::<NeighbourMessage>(&answer) else { return Err(unexpected()) };
    if neighbour.state & KNOWN_STATES == 0 {
        return Ok(None);
    }
    Ok(attribute(attributes, libc::NDA_LLADDR).and_then(|mac| mac.try_into().ok()))
}

/// `struct nlmsghdr`.
#[derive(Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    /// Of this header and all that belongs to it.
    bytes: u32,
    kind: u16,
    flags: u16,
    number: u32,
    port: u32,
}

/// `struct rtmsg`.
#[derive(Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RouteMessage {
    family: u8,
    destination_bits: u8,
    source_bits: u8,
    traffic_class: u8,
    table: u8,
    protocol: u8,
    scope: u8,
    kind: u8,
    flags: u32,
}

/// `struct ndmsg`.
#[derive(Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct NeighbourMessage {
    family: u8,
    padding: [u8; 3],
    interface: u32,
    state: u16,
    flags: u8,
    kind: u8,
}

const _: () = assert!(size_of::<Header>() == 16 && size_of::<RouteMessage>() == 12);
const _: () = assert!(size_of::<NeighbourMessage>() == 12);

/// Puts one question to the kernel; what follows the header of its answer.
fn ask(kind: u16, message: &[u8], attributes: &[(u16, &[u8])]) -> io::Result<Vec<u8>> {
    let mut question = vec![0; size_of::<Header>()];
    question.extend(message);
    for (kind, value) in attributes {
        let bytes = 4 + value.len() as u16;
        question.extend([bytes.to_ne_bytes(), kind.to_ne_bytes()].as_flattened());
        question.extend(*value);
        question.resize(question.len().next_multiple_of(4), 0);
    }
    let flags = libc::NLM_F_REQUEST as u16;
    let header = Header { bytes: question.len() as u32, kind, flags, ..Header::default() };
    question[..size_of::<Header>()].copy_from_slice(header.as_bytes());

    let (raw, route) = (SockType::Raw, SockProtocol::NetlinkRoute);
    let socket = socket(AddressFamily::Netlink, raw, SockFlag::SOCK_CLOEXEC, route)?;
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
    let mut answer = vec![0; 8_192];
    let bytes = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    answer.truncate(bytes);
    let Some((header, rest)) = part::<Header>(&answer) else { return Err(unexpected()) };
    if i32::from(header.kind) == libc::NLMSG_ERROR {
        // A negated error number, then the question.
        let Some((error, _)) = part::<i32>(rest) else { return Err(unexpected()) };
        return Err(io::Error::from_raw_os_error(error.saturating_neg()));
    }
    Ok(rest.to_vec())
}

/// What begins with a struct of the kernel's, and the rest.
fn part<T: FromBytes>(bytes: &[u8]) -> Option<(T, &[u8])> {
    T::read_from_prefix(bytes).ok()
}

/// The value of an attribute, the first of its kind.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(([length, kind], _)) = part::<[u16; 2]>(bytes) {
        let value = bytes.get(4..usize::from(length))?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(usize::from(length).next_multiple_of(4)..)?;
    }
    None
}

fn unexpected() -> io::Error {
    io::Error::other("the kernel's answer is not understood")
}

fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_found_behind_others() {
        // Kind 7 with one byte, padded, then kind 9 with four.
        let bytes = [[5u16, 7], [0x0101, 0], [8, 9], [0x0202, 0x0202]].map(|pair| pair.map(u16::to_ne_bytes));
        let bytes = bytes.as_flattened().as_flattened();
        assert_eq!(attribute(bytes, 7), Some(&[1][..]));
        assert_eq!(attribute(bytes, 9), Some(&[2; 4][..]));
        assert_eq!(attribute(bytes, 8), None);
        assert_eq!(attribute(&bytes[..14], 9), None);
    }

    proptest! {
        #[test]
        fn any_attributes_are_walked_to_an_end(bytes in proptest::collection::vec(0u8..12, 0..64), wanted: u16) {
            let _ = attribute(&bytes, wanted);
        }
    }

    #[test]
    fn the_kernel_answers_about_its_own_addresses() {
        // A route that does not leave is an answer too: the question was understood.
        let message = RouteMessage {
            family: family([127, 0, 0, 1].into()),
            destination_bits: 32,
            ..Default::default()
        };
        let answer =
            ask(libc::RTM_GETROUTE, message.as_bytes(), &[(libc::RTA_DST, &[127, 0, 0, 1])]).unwrap();
        let (route, attributes) = part::<RouteMessage>(&answer).unwrap();
        assert_eq!(route.kind, libc::RTN_LOCAL);
        assert_eq!(attribute(attributes, libc::RTA_DST), Some(&[127, 0, 0, 1][..]));
    }
}
