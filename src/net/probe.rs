//! Whether this kernel has what sockets are asked for: each is tried on a socket that nobody sends to, which is
//! closed again. Nothing on the machine changes.

use super::bind::{RECV_BUFFER_BYTES, SEND_BUFFER_BYTES};
use super::syscall::{Direction, raise_buffer, set_option};
use super::{shedding, steering};
use crate::gate::{CLASSES, Gate, Share};
use redpkt_proto::steer::Layout;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::fd::AsFd as _;

/// Something that a socket can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A program that picks the socket of a group (SO_ATTACH_REUSEPORT_CBPF).
    Steering,
    /// A program that drops at the socket (SO_ATTACH_FILTER).
    Shedding,
    /// The time that each datagram came (SO_TIMESTAMPNS).
    ReceiveTimes,
    /// How many datagrams a full buffer has lost (SO_RXQ_OVFL).
    LossCounts,
    /// Many datagrams to one peer in one send (UDP_SEGMENT).
    Gso,
    /// Many datagrams of one peer in one receive (UDP_GRO).
    Gro,
    /// Asking the card before sleeping (SO_BUSY_POLL).
    BusyPoll,
    /// Asking the card in place of its interrupts (SO_PREFER_BUSY_POLL).
    PreferBusyPoll,
}

/// Tries one. The error is the kernel's refusal; `ENOPROTOOPT` and `EINVAL` mean that it does not know such a thing.
pub fn probe(feature: Feature) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    let set = |level, option, value| set_option(socket.as_fd(), level, option, value);
    match feature {
        Feature::Steering => {
            socket.set_reuse_port(true)?;
            Ok(steering::attach(&socket, &Layout { sets: 2, groups: 2, workers: 2 })?)
        }
        // One that lets half of everything in: a gate that is open has no program.
        Feature::Shedding => {
            let gate = Gate { limits: [Share::MAX / 2; CLASSES], salt: 0, told: Share::MAX / 2 };
            shedding::attach(&socket, &gate)
        }
        Feature::ReceiveTimes => set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1),
        Feature::LossCounts => set(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1),
        // As many bytes as a frame.
        Feature::Gso => set(libc::SOL_UDP, libc::UDP_SEGMENT, redpkt_proto::FRAME_BYTES as i32),
        Feature::Gro => set(libc::SOL_UDP, libc::UDP_GRO, 1),
        Feature::BusyPoll => set(libc::SOL_SOCKET, libc::SO_BUSY_POLL, 50),
        Feature::PreferBusyPoll => set(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1),
    }
}

/// What a socket's buffers are asked for, and what the system gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes that a server asks for.
    pub asked_bytes: usize,
    /// Bytes that it gets.
    pub got_bytes: usize,
}

/// What the receive and the send buffer of a worker's socket would be.
pub fn buffers() -> io::Result<[Buffer; 2]> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    let buffer = |direction, asked_bytes| {
        raise_buffer(&socket, direction, asked_bytes).map(|got_bytes| Buffer { asked_bytes, got_bytes })
    };
    Ok([buffer(Direction::Receive, RECV_BUFFER_BYTES)?, buffer(Direction::Send, SEND_BUFFER_BYTES)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: what every server sets at its sockets is there wherever these tests run.
    #[test]
    fn what_servers_need_is_there() {
        for feature in [Feature::Steering, Feature::Shedding, Feature::ReceiveTimes, Feature::LossCounts] {
            assert!(probe(feature).is_ok(), "{feature:?}: {:?}", probe(feature));
        }
        for Buffer { asked_bytes, got_bytes } in buffers().unwrap() {
            assert!(got_bytes > 0 && got_bytes <= asked_bytes);
        }
    }
}
