//! The UDP counters of the kernel: `/proc/net/snmp` and `/proc/net/snmp6` (RFC 4113).

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Totals of this network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udp {
    /// Datagrams delivered to sockets.
    pub in_datagrams: u64,
    /// Datagrams sent by sockets.
    pub out_datagrams: u64,
    /// Datagrams to a port that nobody has.
    pub no_ports: u64,
    /// Datagrams not delivered, for all other reasons: `rcvbuf_errors`, `csum_errors` and `mem_errors` are part of it,
    /// and what a filter at a socket drops.
    pub in_errors: u64,
    /// Lost because a socket's receive buffer was full; what a filter at a socket drops counts here too.
    pub rcvbuf_errors: u64,
    /// Lost because a socket's send buffer was full.
    pub sndbuf_errors: u64,
    /// With a wrong checksum.
    pub csum_errors: u64,
    /// Lost because the kernel had no memory for them.
    pub mem_errors: u64,
}

impl Udp {
    /// Both families together; `None` if the kernel tells of neither.
    pub fn read() -> Option<Udp> {
        match (
            Udp::read_of(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Udp::read_of(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ) {
            (None, None) => None,
            (v4, v6) => Some(v4.unwrap_or_default().and(&v6.unwrap_or_default())),
        }
    }

    /// The family of `ip`; `None` if the kernel does not tell.
    pub fn read_of(ip: IpAddr) -> Option<Udp> {
        let read = |path| std::fs::read_to_string(path).ok();
        match ip {
            IpAddr::V4(_) => Udp::parse_v4(&read("/proc/thread-self/net/snmp")?),
            IpAddr::V6(_) => Udp::parse_v6(&read("/proc/thread-self/net/snmp6")?),
        }
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Udp) -> Udp {
        Udp {
            in_datagrams: self.in_datagrams.wrapping_sub(before.in_datagrams),
            out_datagrams: self.out_datagrams.wrapping_sub(before.out_datagrams),
            no_ports: self.no_ports.wrapping_sub(before.no_ports),
            in_errors: self.in_errors.wrapping_sub(before.in_errors),
            rcvbuf_errors: self.rcvbuf_errors.wrapping_sub(before.rcvbuf_errors),
            sndbuf_errors: self.sndbuf_errors.wrapping_sub(before.sndbuf_errors),
            csum_errors: self.csum_errors.wrapping_sub(before.csum_errors),
            mem_errors: self.mem_errors.wrapping_sub(before.mem_errors),
        }
    }

    /// Two lines that begin with `Udp:`, the first with names, the second with numbers.
    fn parse_v4(text: &str) -> Option<Udp> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next()?, lines.next()?);
        Udp::of(|name| {
            let at = names.split_whitespace().position(|each| each == name)?;
            values.split_whitespace().nth(at)?.parse().ok()
        })
    }

    /// A line for each counter: `Udp6InDatagrams 17`.
    fn parse_v6(text: &str) -> Option<Udp> {
        Udp::of(|name| {
            text.lines().find_map(|line| {
                let (full, value) = line.split_once(char::is_whitespace)?;
                (full.strip_prefix("Udp6")? == name).then(|| value.trim().parse().ok())?
            })
        })
    }

    /// Kernels before 5.10 have no `MemErrors`.
    fn of(value: impl Fn(&str) -> Option<u64>) -> Option<Udp> {
        Some(Udp {
            in_datagrams: value("InDatagrams")?,
            out_datagrams: value("OutDatagrams")?,
            no_ports: value("NoPorts")?,
            in_errors: value("InErrors")?,
            rcvbuf_errors: value("RcvbufErrors")?,
            sndbuf_errors: value("SndbufErrors")?,
            csum_errors: value("InCsumErrors").unwrap_or(0),
            mem_errors: value("MemErrors").unwrap_or(0),
        })
    }

    fn and(&self, other: &Udp) -> Udp {
        Udp {
            in_datagrams: self.in_datagrams + other.in_datagrams,
            out_datagrams: self.out_datagrams + other.out_datagrams,
            no_ports: self.no_ports + other.no_ports,
            in_errors: self.in_errors + other.in_errors,
            rcvbuf_errors: self.rcvbuf_errors + other.rcvbuf_errors,
            sndbuf_errors: self.sndbuf_errors + other.sndbuf_errors,
            csum_errors: self.csum_errors + other.csum_errors,
            mem_errors: self.mem_errors + other.mem_errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\nUdp: 1 2 3 4 5 6 7 8 9\nUdpLite: InDatagrams\nUdpLite: 77\n";
    const V6: &str = "Ip6InReceives 3\nUdp6InDatagrams                 \t10\nUdp6NoPorts 20\nUdp6InErrors 30\nUdp6OutDatagrams 40\nUdp6RcvbufErrors 50\nUdp6SndbufErrors 60\nUdpLite6InDatagrams 77\n";

    /// Expect: counters by their names, whatever their order; one that a kernel has not is 0, but without the main ones
    /// nothing is told.
    #[test]
    fn both_families_are_read_by_name() {
        let v4 = Udp::parse_v4(V4).unwrap();
        let expected = Udp {
            in_datagrams: 1,
            no_ports: 2,
            in_errors: 3,
            out_datagrams: 4,
            rcvbuf_errors: 5,
            sndbuf_errors: 6,
            csum_errors: 7,
            mem_errors: 9,
        };
        assert_eq!(v4, expected);
        let v6 = Udp::parse_v6(V6).unwrap();
        assert_eq!((v6.in_datagrams, v6.sndbuf_errors, v6.mem_errors), (10, 60, 0));
        assert_eq!(v4.and(&v6).out_datagrams, 44);
        assert_eq!(Udp::parse_v4("nonsense"), None);
        assert_eq!(Udp::parse_v4("Udp: InDatagrams\nUdp: 1\n"), None);
        assert_eq!(Udp::parse_v6(""), None);
    }

    #[test]
    fn this_machines_counters_move() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = Udp::read().unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        // The kernel counts it when it is taken.
        socket.recv(&mut [0; 1]).unwrap();
        let after = Udp::read().unwrap();
        assert!(after.out_datagrams > before.out_datagrams && after.in_datagrams > before.in_datagrams);
    }
}
