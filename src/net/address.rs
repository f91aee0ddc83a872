//! Socket addresses as the kernel writes and reads them, and as the core knows them.

use redpkt_proto::Path;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket address of either family in the bytes that system calls use: 28, aligned to 4.
///
/// Every value is made by [`Name::EMPTY`] or [`Name::of`], so all 28 bytes are always initialised, and
/// every bit pattern is a valid value of every variant: reading any of them is sound.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Bytes of room for an address, whichever family it has.
pub(super) const NAME_BYTES: usize = size_of::<Name>();

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Bytes of this family's socket address.
    pub(super) fn name_bytes(self) -> usize {
        match self {
            Family::V4 => size_of::<libc::sockaddr_in>(),
            Family::V6 => size_of::<libc::sockaddr_in6>(),
        }
    }
}

impl Name {
    /// No address.
    pub(super) const EMPTY: Name = Name {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// The address of the peer of `path`; `None` if it is not of `family`.
    pub(super) fn of(path: &Path, family: Family) -> Option<Name> {
        let mut name = Name::EMPTY;
        match (family, Ipv6Addr::from(path.ip).to_ipv4_mapped()) {
            (Family::V4, Some(ip)) => {
                name.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: path.port.to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(ip).to_be() },
                    sin_zero: [0; 8],
                };
            }
            (Family::V6, None) => {
                let (ip, scope) = split_scope(path.ip);
                name.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: path.port.to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: ip },
                    sin6_scope_id: scope,
                };
            }
            _ => return None,
        }
        Some(name)
    }

    /// The path of a peer at this address with our own end named `local`; `None` if a peer there cannot
    /// be answered: port 0, or an address that is unspecified, broadcast, multicast, or a mapped IPv4
    /// address in an IPv6 header.
    pub(super) fn answerable_path(&self, local: u16) -> Option<Path> {
        // SAFETY: all bytes of a Name are initialised and any bits are a valid value of each variant.
        let (family, v4, v6) = unsafe { (self.family, self.v4, self.v6) };
        let (ip, port) = match i32::from(family) {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
                    return None;
                }
                (ip.to_ipv6_mapped().octets(), v4.sin_port)
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                if ip.is_unspecified() || ip.is_multicast() || ip.to_ipv4_mapped().is_some() {
                    return None;
                }
                (join_scope(ip, v6.sin6_scope_id), v6.sin6_port)
            }
            _ => return None,
        };
        let port = u16::from_be(port);
        (port != 0).then_some(Path { ip, port, local })
    }
}

/// The form of an address in a [`Path`]: a link-local one carries its scope in bytes 4 to 7.
pub(super) fn join_scope(ip: Ipv6Addr, scope: u32) -> [u8; 16] {
    let mut octets = ip.octets();
    if ip.is_unicast_link_local() {
        octets[4..8].copy_from_slice(&scope.to_be_bytes());
    }
    octets
}

/// The address and the scope of that form.
pub(super) fn split_scope(mut octets: [u8; 16]) -> ([u8; 16], u32) {
    if !Ipv6Addr::from(octets).is_unicast_link_local() {
        return (octets, 0);
    }
    let scope = u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]);
    octets[4..8].fill(0);
    (octets, scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn family_of(addr: &SocketAddr) -> Family {
        Family::of(addr.ip())
    }

    #[test]
    fn a_path_survives_the_way_into_a_kernel_address_and_back() {
        for text in ["127.0.0.1:7100", "192.0.2.1:1", "[::1]:65535", "[fe80::1%7]:9"] {
            let addr: SocketAddr = text.parse().unwrap();
            let path = Path::new(addr, 5);
            let name = Name::of(&path, family_of(&addr)).unwrap();
            assert_eq!(name.answerable_path(5), Some(path), "{text}");
        }
    }

    #[test]
    fn a_peer_that_cannot_be_answered_has_no_path() {
        for text in [
            "127.0.0.1:0",
            "[::1]:0",
            "0.0.0.0:9",
            "255.255.255.255:9",
            "224.0.0.1:9",
            "[::]:9",
            "[ff02::1]:9",
        ] {
            let addr: SocketAddr = text.parse().unwrap();
            let name = Name::of(&Path::new(addr, 0), family_of(&addr)).unwrap();
            assert_eq!(name.answerable_path(0), None, "{text}");
        }
        assert_eq!(Name::EMPTY.answerable_path(0), None);
    }

    #[test]
    fn a_path_of_the_other_family_has_no_kernel_address() {
        let v4 = Path::new("127.0.0.1:9".parse().unwrap(), 0);
        let v6 = Path::new("[::1]:9".parse().unwrap(), 0);
        assert!(Name::of(&v4, Family::V6).is_none());
        assert!(Name::of(&v6, Family::V4).is_none());
    }
}
