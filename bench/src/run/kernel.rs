//! The kernel's own UDP counters: what a run says it sent is checked against them.

use redpkt::telemetry::machine::Udp;
use serde::Serialize;
use std::net::{SocketAddr, UdpSocket};

/// What the kernel counted while a run went on, beside what we counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KernelCheck {
    /// The kernel's counters over the run, until the last answer; `None` if it does not say.
    pub counted: Option<Udp>,
    /// What they should be from our sockets' counters: with the server's replies when it runs here.
    pub expected_out: u64,
    /// The same for datagrams received.
    pub expected_in: u64,
    /// Whether both are within 1%. Other UDP traffic on the machine shows here too.
    pub agrees: Option<bool>,
    /// How to read this.
    pub note: &'static str,
}

impl KernelCheck {
    /// Compares `counted` with the system packets that our sockets sent and received.
    pub fn new(counted: Option<Udp>, sent: u64, received: u64, target: Place) -> KernelCheck {
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
    fn this_machine_is_here_and_its_counters_move() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        assert_eq!(Place::of(addr), Place::Here);
        assert_eq!(Place::of("192.0.2.1:7100".parse().unwrap()), Place::Elsewhere);
        let before = Udp::read_of(addr.ip()).unwrap();
        socket.send_to(b"x", addr).unwrap();
        let counted = Udp::read_of(addr.ip()).unwrap().since(&before);
        assert!(counted.out_datagrams >= 1);
    }

    #[test]
    fn agreement_is_within_one_percent() {
        let counted = |out, into| Some(Udp { out_datagrams: out, in_datagrams: into, ..Udp::default() });
        let agrees = |counted, place| KernelCheck::new(counted, 10_000, 9_000, place).agrees;
        assert_eq!(agrees(counted(19_000, 19_100), Place::Here), Some(true));
        assert_eq!(agrees(counted(19_300, 19_000), Place::Here), Some(false));
        assert_eq!(agrees(counted(10_050, 9_000), Place::Elsewhere), Some(true));
        assert_eq!(agrees(counted(10_050, 9_000), Place::BehindRelay), None);
        assert_eq!(agrees(None, Place::Here), None);
    }
}
