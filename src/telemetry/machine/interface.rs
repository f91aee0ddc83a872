//! Packets of the network interfaces.

use super::names;
use crate::net::ethtool;
use nix::ifaddrs::getifaddrs;
use procfs::net::DeviceStatus;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// Interfaces that are told of at the most: a machine full of containers has thousands.
const INTERFACES_MAX: usize = 32;

/// One network interface. Totals since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its driver's name, if it says.
    pub driver: Option<String>,
    /// Whether it carries the datagrams in question.
    pub serves: bool,
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received that were damaged.
    pub rx_errors: u64,
    /// Packets received that the kernel or the driver dropped.
    pub rx_dropped: u64,
    /// Packets that the card had no room for: by the driver's word if it has one, else the kernel's (`fifo`).
    pub rx_missed: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets not sent, for errors.
    pub tx_errors: u64,
    /// Packets not sent because there was no room.
    pub tx_dropped: u64,
    /// Queue by queue, where the driver says; else empty.
    pub queues: Vec<Queue>,
}

/// One queue of an interface, both ways; `None` for what the driver does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Packets received.
    pub rx_packets: Option<u64>,
    /// Packets sent.
    pub tx_packets: Option<u64>,
    /// Packets received that were dropped.
    pub rx_dropped: Option<u64>,
}

/// All interfaces by name: those that serve first, then those with addresses or packets, [`INTERFACES_MAX`] of them.
pub fn read(listen: &[IpAddr]) -> Vec<Interface> {
    let mut addresses: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for each in getifaddrs().into_iter().flatten() {
        let addresses = addresses.entry(each.interface_name).or_default();
        let Some(address) = &each.address else { continue };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        addresses.extend(v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))));
    }
    let own = |name: &str| addresses.get(name).map_or(&[][..], Vec::as_slice);
    let serves = |name: &str| serves(listen, name, own(name), own(LOOPBACK));
    let status = std::fs::read("/proc/thread-self/net/dev").ok();
    let status = status.and_then(|text| procfs::FromRead::from_read(text.as_slice()).ok());
    let status = status.map(|procfs::net::InterfaceDeviceStatus(status)| status).unwrap_or_default();
    let used = |status: &DeviceStatus| status.recv_packets + status.sent_packets > 0;
    let mut found: Vec<(bool, DeviceStatus)> = status
        .into_values()
        .filter(|status| used(status) || !own(&status.name).is_empty())
        .map(|status| (serves(&status.name), status))
        .collect();
    found.sort_by(|(serves, a), (also, b)| also.cmp(serves).then_with(|| a.name.cmp(&b.name)));
    found.truncate(INTERFACES_MAX);
    found.into_iter().map(|(serves, status)| Interface::of(serves, status)).collect()
}

/// The interface of what does not leave the machine.
const LOOPBACK: &str = "lo";

/// Whether datagrams to one of `listen` come by the interface of this name, which has the addresses `own`, on a machine
/// whose loopback has the addresses `looped`.
fn serves(listen: &[IpAddr], name: &str, own: &[IpAddr], looped: &[IpAddr]) -> bool {
    listen.iter().any(|addr| match addr {
        addr if addr.is_unspecified() => true,
        addr if !addr.is_loopback() && looped.contains(addr) => name != LOOPBACK,
        addr => own.contains(addr),
    })
}

impl Interface {
    fn of(serves: bool, status: DeviceStatus) -> Interface {
        let mut interface = Interface {
            driver: ethtool::driver(&status.name).ok().filter(|driver| !driver.is_empty()),
            name: status.name,
            serves,
            rx_packets: status.recv_packets,
            rx_bytes: status.recv_bytes,
            rx_errors: status.recv_errs,
            rx_dropped: status.recv_drop,
            rx_missed: status.recv_fifo,
            tx_packets: status.sent_packets,
            tx_bytes: status.sent_bytes,
            tx_errors: status.sent_errs,
            tx_dropped: status.sent_drop,
            queues: Vec::new(),
        };
        // Many have no statistics of their own, `lo` among them: the kernel's are all there is.
        for (name, value) in ethtool::statistics(&interface.name).unwrap_or_default() {
            names::take(&mut interface, &name, value);
        }
        interface
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: whoever has the address; all for a wildcard; and all but the loopback for an address that it has only so
    /// that no interface has it.
    #[test]
    fn interfaces_serve_their_own_addresses_and_those_of_the_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let looped = [ip("127.0.0.1"), ip("10.78.255.1")];
        let serves = |listen: &str, name: &str, own: &[IpAddr]| serves(&[ip(listen)], name, own, &looped);
        let eth0 = [ip("10.0.0.1"), ip("fd00::1")];
        assert!(serves("10.0.0.1", "eth0", &eth0) && serves("fd00::1", "eth0", &eth0));
        assert!(!serves("10.0.0.2", "eth0", &eth0) && !serves("127.0.0.1", "eth0", &eth0));
        assert!(serves("0.0.0.0", "eth0", &eth0) && serves("::", "lo", &looped));
        assert!(serves("127.0.0.1", "lo", &looped));
        assert!(serves("10.78.255.1", "eth0", &eth0) && !serves("10.78.255.1", "lo", &looped));
    }

    /// Expect: the loopback, which carries what is sent to its address, with as many packets out as in.
    #[test]
    fn the_loopback_counts_its_packets() {
        let count = || {
            let found = read(&["127.0.0.1".parse().unwrap()]);
            assert_eq!(found.iter().filter(|each| each.serves).count(), 1);
            (found[0].name.clone(), found[0].rx_packets, found[0].tx_packets)
        };
        let (name, rx, tx) = count();
        assert_eq!(name, "lo");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let (_, rx_after, tx_after) = count();
        assert!(rx_after > rx && tx_after > tx);
    }
}
