//! What the kernel says of a network interface.

use super::error::XdpError;
use crate::net::ethtool;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use std::io;
use std::net::IpAddr;

/// Receive queues of one interface that are asked for at the most: as many bits as a path's name has.
pub const QUEUES_MAX: u32 = 256;

/// A network interface, as it was when it was read.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// The number that its link-local addresses are scoped by: its own, or that of its VLAN's interface.
    pub scope: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// Its driver's name; empty if it does not say.
    pub driver: String,
    /// Receive queues in use.
    pub queues: u32,
}

impl Interface {
    /// Reads what there is to know about the interface with this name.
    pub fn read(name: &str) -> Result<Interface, XdpError> {
        let read =
            |what| move |error: nix::Error| XdpError::Read { name: name.into(), what, error: error.into() };
        let all: Vec<_> = getifaddrs().map_err(read("addresses"))?.collect();
        let index = if_nametoindex(name).map_err(|_| {
            let mut others: Vec<&str> = all.iter().map(|each| each.interface_name.as_str()).collect();
            others.sort_unstable();
            others.dedup();
            XdpError::NoSuchInterface { name: name.into(), others: others.join(", ") }
        })?;
        let (mac, addresses) = addresses(&all, name);
        if mac == [0; 6] {
            return Err(XdpError::NotEthernet { name: name.into() });
        }
        Ok(Interface {
            index,
            scope: index,
            mac,
            addresses,
            driver: ethtool::driver(name).unwrap_or_default(),
            queues: queues(name).map_err(|error| XdpError::Read {
                name: name.into(),
                what: "queues",
                error,
            })?,
            name: name.into(),
        })
    }

    /// All interfaces that are up and have a hardware address, in the kernel's order.
    pub fn read_all() -> Result<Vec<Interface>, XdpError> {
        let read =
            |error: nix::Error| XdpError::Read { name: "*".into(), what: "addresses", error: error.into() };
        let mut names: Vec<String> = Vec::new();
        for each in getifaddrs().map_err(read)? {
            let is_up = each.flags.contains(InterfaceFlags::IFF_UP);
            if is_up && !names.contains(&each.interface_name) {
                names.push(each.interface_name);
            }
        }
        let ethernet = names.iter().filter_map(|name| match Interface::read(name) {
            // One may go while we look.
            Err(XdpError::NotEthernet { .. } | XdpError::NoSuchInterface { .. }) => None,
            read => Some(read),
        });
        ethernet.collect()
    }

    /// The same with the addresses of this VLAN, if the machine has an interface for it on top of this one: there its
    /// kernel speaks ARP, so there an operator puts them.
    pub(super) fn on_vlan(self, vlan: u16) -> Interface {
        let config = std::fs::read_to_string(VLANS).unwrap_or_default();
        let Some(name) = vlan_interface(&config, &self.name, vlan) else { return self };
        let (Ok(all), Ok(scope)) = (getifaddrs(), if_nametoindex(name)) else { return self };
        let (mac, addresses) = addresses(&all.collect::<Vec<_>>(), name);
        Interface { mac, addresses, scope, ..self }
    }
}

/// The VLAN interfaces of this thread's network namespace. Without them there is no such file.
const VLANS: &str = "/proc/thread-self/net/vlan/config";

/// The name of the interface for this VLAN on this interface, found in the text of [`VLANS`].
fn vlan_interface<'a>(config: &'a str, name: &str, vlan: u16) -> Option<&'a str> {
    config.lines().find_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        let (its_name, id, below) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(vlan) && below == name).then_some(its_name)
    })
}

/// The hardware address of the interface with this name, zeroes if it has none, and its own addresses.
fn addresses(all: &[InterfaceAddress], name: &str) -> ([u8; 6], Vec<IpAddr>) {
    let own =
        || all.iter().filter(|each| each.interface_name == name).filter_map(|each| each.address.as_ref());
    let mac = own().find_map(|address| address.as_link_addr()?.addr()).unwrap_or_default();
    let ip = |address: &nix::sys::socket::SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    (mac, own().filter_map(ip).collect())
}

/// How many receive queues are in use. A driver that does not say has one.
fn queues(name: &str) -> io::Result<u32> {
    match ethtool::receive_queues(name) {
        Ok(queues) => Ok(queues.clamp(1, QUEUES_MAX)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(1),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_told_with_those_that_are() {
        let line = Interface::read("redpkt-none").unwrap_err().to_string();
        assert!(line.contains("--iface redpkt-none") && line.contains("lo"), "{line}");
    }

    #[test]
    fn the_loopback_has_no_frames_to_take() {
        let line = Interface::read("lo").unwrap_err().to_string();
        assert!(line.contains("--iface lo: no Ethernet interface"), "{line}");
    }

    #[test]
    fn a_vlan_has_an_interface_of_its_own() {
        let config = "VLAN Dev name    | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n\
                      eth0.7         | 7  | eth0\neth1.7         | 7  | eth1\nguests         | 8  | eth1\n";
        assert_eq!(vlan_interface(config, "eth1", 7), Some("eth1.7"));
        assert_eq!(vlan_interface(config, "eth1", 8), Some("guests"));
        assert_eq!(vlan_interface(config, "eth0", 8), None);
        assert_eq!(vlan_interface("", "eth0", 7), None);
    }
}
