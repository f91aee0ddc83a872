//! The kernel's own UDP counters: what a run says it sent is checked against them.

use serde::Serialize;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The machine's UDP counters at one moment, of one address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UdpCounters {
    /// Datagrams delivered to sockets.
    pub in_datagrams: u64,
    /// Datagrams sent by sockets.
    pub out_datagrams: u64,
    /// Lost because a receive buffer was full.
    pub rcvbuf_errors: u64,
    /// Lost because a send buffer was full.
    pub sndbuf_errors: u64,
    /// Datagrams to a port that nobody has.
    pub no_ports: u64,
}

/// What the kernel counted while a run went on, beside what we counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KernelCheck {
    /// The kernel's counters over the run, until the last answer; `None` if it does not say.
    pub counted: Option<UdpCounters>,
    /// What they should be from our sockets' counters: with the server's replies when it runs here.
    pub expected_out: u64,
    /// The same for datagrams received.
    pub expected_in: u64,
    /// Whether both are within 1%. Other UDP traffic on the machine shows here too.
    pub agrees: Option<bool>,
    /// How to read this.
    pub note: &'static str,
}

impl UdpCounters {
    /// Reads them, for the family of `ip`.
    pub fn read(ip: IpAddr) -> Option<UdpCounters> {
        match ip {
            IpAddr::V4(_) => Self::parse_v4(&std::fs::read_to_string("/proc/net/snmp").ok()?),
            IpAddr::V6(_) => Self::parse_v6(&std::fs::read_to_string("/proc/net/snmp6").ok()?),
        }
    }

    /// Two lines beginning with `Udp:`, the first with names, the second with numbers.
    fn parse_v4(text: &str) -> Option<UdpCounters> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let value = |name: &str| {
            let at = names.split(' ').position(|each| each == name)?;
            values.split(' ').nth(at)?.parse().ok()
        };
        UdpCounters::from(value)
    }

    /// A line for each counter: `Udp6InDatagrams 17`.
    fn parse_v6(text: &str) -> Option<UdpCounters> {
        UdpCounters::from(|name| {
            let full = format!("Udp6{name}");
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(&full))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
    }

    fn from(value: impl Fn(&str) -> Option<u64>) -> Option<UdpCounters> {
        Some(UdpCounters {
            in_datagrams: value("InDatagrams")?,
            out_datagrams: value("OutDatagrams")?,
            rcvbuf_errors: value("RcvbufErrors")?,
            sndbuf_errors: value("SndbufErrors")?,
            no_ports: value("NoPorts")?,
        })
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &UdpCounters) -> UdpCounters {
        UdpCounters {
            in_datagrams: self.in_datagrams.wrapping_sub(before.in_datagrams),
            out_datagrams: self.out_datagrams.wrapping_sub(before.out_datagrams),
            rcvbuf_errors: self.rcvbuf_errors.wrapping_sub(before.rcvbuf_errors),
            sndbuf_errors: self.sndbuf_errors.wrapping_sub(before.sndbuf_errors),
            no_ports: self.no_ports.wrapping_sub(before.no_ports),
        }
    }
}

impl KernelCheck {
    /// Compares `counted` with the system packets that our sockets sent and received.
    pub fn new(counted: Option<UdpCounters>, sent: u64, received: u64, target: Place) -> KernelCheck {
        let (expected_out, expected_in, note) = match target {
            Place::Here => (
                sent + received,
                sent + received,
                "the server runs on this machine: its datagrams are expected too; other UDP traffic on the machine shows here too",
            ),
            Place::Elsewhere => (sent, received, "other UDP traffic on the machine shows here too"),
            Place::BehindRelay => (sent, received, "a relay on this machine sends and loses datagrams too"),
            Place::BehindRuns => (
                sent,
                received,
                "with GSO the kernel counts runs where it sends and datagrams where it receives",
            ),
            Place::PastKernel => (0, 0, "with --io xdp our datagrams pass this kernel by"),
        };
        let near = |counted: u64, expected: u64| counted.abs_diff(expected) * 100 <= expected.max(100);
        let is_comparable = matches!(target, Place::Here | Place::Elsewhere);
        let agrees = counted.filter(|_| is_comparable).map(|counted| {
            near(counted.out_datagrams, expected_out) && near(counted.in_datagrams, expected_in)
        });
        KernelCheck { counted, expected_out, expected_in, agrees, note }
    }
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine: its replies are counted by the same kernel.
    Here,
    /// On another one.
    Elsewhere,
    /// Behind a relay of our own.
    BehindRelay,
    /// Anywhere, but our datagrams cross the kernel in runs.
    BehindRuns,
    /// Anywhere, and our datagrams do not cross this kernel's stack.
    PastKernel,
}

impl Place {
    /// Where an address is: an address that a socket can be bound to is this machine's.
    pub fn of(target: SocketAddr) -> Place {
        match UdpSocket::bind(SocketAddr::new(target.ip(), 0)) {
            Ok(_) => Place::Here,
            Err(_) => Place::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_read_by_name() {
        let v4 = "Ip: a\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 1 2 3 4 5 6\nUdpLite: x\n";
        let v6 =
            "Udp6InDatagrams 1\nUdp6NoPorts\t2\nUdp6OutDatagrams 4\nUdp6RcvbufErrors 5\nUdp6SndbufErrors 6\n";
        let expected = UdpCounters {
            in_datagrams: 1,
            out_datagrams: 4,
            rcvbuf_errors: 5,
            sndbuf_errors: 6,
            no_ports: 2,
        };
        assert_eq!(UdpCounters::parse_v4(v4), Some(expected));
        assert_eq!(UdpCounters::parse_v6(v6), Some(expected));
        assert_eq!(UdpCounters::parse_v4("nonsense"), None);
    }

    #[test]
    fn this_machine_is_here_and_its_counters_move() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        assert_eq!(Place::of(addr), Place::Here);
        assert_eq!(Place::of("192.0.2.1:7100".parse().unwrap()), Place::Elsewhere);
        let before = UdpCounters::read(addr.ip()).unwrap();
        socket.send_to(b"x", addr).unwrap();
        let counted = UdpCounters::read(addr.ip()).unwrap().since(&before);
        assert!(counted.out_datagrams >= 1);
    }

    #[test]
    fn agreement_is_within_one_percent() {
        let counted = |out, into| {
            Some(UdpCounters { out_datagrams: out, in_datagrams: into, ..UdpCounters::default() })
        };
        let agrees = |counted, place| KernelCheck::new(counted, 10_000, 9_000, place).agrees;
        assert_eq!(agrees(counted(19_000, 19_100), Place::Here), Some(true));
        assert_eq!(agrees(counted(19_300, 19_000), Place::Here), Some(false));
        assert_eq!(agrees(counted(10_050, 9_000), Place::Elsewhere), Some(true));
        assert_eq!(agrees(counted(10_050, 9_000), Place::BehindRelay), None);
        assert_eq!(agrees(None, Place::Here), None);
    }
}
