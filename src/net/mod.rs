//! The network: engines that move datagrams in batches, and what stands around them.
//!
//! | file | what |
//! |---|---|
//! | `mmsg` | the engine over UDP sockets with recvmmsg and sendmmsg |
//! | `bind` | opens the sockets of all workers so that each knows its own users' datagrams |
//! | `shedding` | the program in the kernel that drops what is not worked on |
//! | `classic` | what the two programs of the sockets have in common |
//! | `steering` | the program in the kernel that brings a datagram to its owner's socket |
//! | `xdp` | the engine over AF_XDP: past the kernel's stack |
//! | `backend` | a worker's socket to the backend that RELAY messages are passed to |
//! | `handover` | rings between workers for datagrams that came to the wrong one |
//! | `locals` | names for our own ends of paths |
//! | `waker` | ends another thread's sleep, at the price of a system call only when it sleeps |
//! | `client` | many connected sockets for load clients |
//! | `lanes` | AEGIS-128L on four frames at once |
//! | `packet_socket` | what passes an interface, for whoever records it |
//! | `ethtool` | what a network interface's driver says of itself |
//! | `probe`, `clock` | what this kernel gives to sockets, and how right its clock is |
//! | `affinity`, `prefetch` | cores, timers, cache lines |
//! | `address`, `control`, `memory`, `outbox`, `syscall` | what the kernel's interface needs |
//! | `allocation` | tests only: counts allocations, for proofs that there are none |

// The only place of the workspace where unsafe code is allowed: system calls on raw message headers, and
// prefetch instructions. What leaves this module is safe.
#![allow(unsafe_code)]

use crate::gate::Gate;
use redpkt_proto::Path;
use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

mod address;
pub mod affinity;
#[cfg(test)]
pub(crate) mod allocation;
pub mod backend;
pub mod bind;
mod classic;
pub mod client;
pub mod clock;
mod control;
pub mod ethtool;
pub mod handover;
mod huge_pages;
pub mod lanes;
pub mod locals;
mod memory;
pub mod mmsg;
mod outbox;
pub mod packet_socket;
pub mod prefetch;
pub mod probe;
mod shedding;
pub mod steering;
mod syscall;
#[cfg(test)]
mod tests;
pub mod waker;
pub mod xdp;

pub use backend::{Backend, BackendCounters};
pub use bind::{BindError, BindOptions, bind};
pub use handover::{Handover, RingFull, mesh};
pub use huge_pages::advise_huge_pages;
pub use locals::OwnEnds;
pub use mmsg::MmsgEngine;
pub use prefetch::prefetch_read;
pub use steering::Steering;
pub use waker::Waker;
pub use xdp::{XdpEngine, XdpError};

/// A datagram that came in, lying where its reply can be written.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from, and where a reply leaves.
    pub path: Path,
    /// Its bytes; a reply is written over them, and is never longer.
    pub bytes: &'a mut [u8],
}

/// One worker's way to the network.
///
/// Two stand behind this contract, over sockets and over AF_XDP queues (there the bytes lie in memory shared with
/// the kernel), so nothing of either shows here.
///
/// A worker's turn: [`recv`](Engine::recv), write replies into the bytes of
/// [`datagrams`](Engine::datagrams), [`reply`](Engine::reply), [`send`](Engine::send) what became due,
/// [`flush`](Engine::flush), and [`wait`](Engine::wait) when there was nothing to do.
pub trait Engine {
    /// Takes the datagrams that wait, without blocking, and returns how many.
    ///
    /// What an engine itself must drop (truncated, source port 0, source address unspecified, broadcast
    /// or multicast) is left out and counted. So 0 means "nothing for you", not "nothing waits".
    fn recv(&mut self) -> usize;

    /// The datagrams of the last [`recv`](Engine::recv), in order. May be called again for another pass, until
    /// [`reply`](Engine::reply).
    fn datagrams(&mut self) -> impl ExactSizeIterator<Item = Datagram<'_>>;

    /// How long the first datagram of the last [`recv`](Engine::recv) had waited since the kernel received it, in ns;
    /// `None` where nobody knows.
    fn waited_ns(&self) -> Option<u64>;

    /// Sends back, for each datagram `i` of the last [`recv`](Engine::recv), the first `reply_bytes[i]`
    /// bytes of its buffer to where it came from; 0 is no reply. The replies leave as one batch.
    ///
    /// # Panics
    /// When there is not one length for each datagram, or one is longer than its datagram was: replies
    /// are written in place, so both are bugs of the caller.
    fn reply(&mut self, reply_bytes: &[usize]);

    /// Queues a datagram that answers none of the last batch (an answer that waited for the disk, a
    /// push, the answer to a datagram handed over). The bytes are copied; a full batch is sent at once.
    ///
    /// # Panics
    /// When `bytes` is longer than a datagram may be.
    fn send(&mut self, path: &Path, bytes: &[u8]);

    /// Sends what [`send`](Engine::send) queued.
    fn flush(&mut self);

    /// Sends what is queued, then blocks until a datagram waits, the worker's [`Waker`] was used since the last `wait`, or
    /// `timeout` is over. May return early.
    fn wait(&mut self, timeout: Duration);

    /// What ends this engine's [`wait`](Engine::wait) from another thread.
    fn waker(&self) -> Waker;

    /// Our own ends of its paths.
    fn own_ends(&self) -> OwnEnds;

    /// What happened since the engine was made.
    fn counters(&self) -> Counters;

    /// Which datagrams are worked on from now on. Those that need not even be told otherwise may be dropped by the
    /// kernel, where that is cheapest, and are counted under [`Counters::shed`].
    fn set_gate(&mut self, gate: &Gate);
}

/// What an engine did, and what it dropped by reason; all since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// Datagrams taken from the network, with those that the engine then dropped.
    pub datagrams_in: u64,
    /// Datagrams that the network took.
    pub datagrams_out: u64,
    /// Dropped: longer than a datagram of the protocol may be.
    pub truncated: u64,
    /// Dropped: the source cannot be answered (port 0, or an unspecified, broadcast or multicast address).
    pub source: u64,
    /// Lost before they came to us, because the socket's receive buffer was full. What was lost after
    /// the newest datagram received shows with the next one.
    pub rxq_overflow: u64,
    /// Dropped in the kernel because there is no time for them, see [`Engine::set_gate`]. At a socket what its
    /// receive buffer could not hold meanwhile is among them: the kernel counts both in one.
    pub shed: u64,
    /// Not sent: the kernel refused this datagram, or its path names no end of this engine.
    pub send_error: u64,
    /// Not sent: the send buffer stayed full for [`bind::SEND_TIMEOUT`].
    pub send_timeout: u64,
    /// Dropped by the program at the interface: no whole number of frames.
    pub length: u64,
    /// Dropped by the program at the interface: no version that is or may be one day.
    pub version: u64,
    /// Dropped: headers that contradict each other.
    pub malformed: u64,
    /// Dropped: a checksum of a header or of the datagram is wrong.
    pub checksum: u64,
    /// Receiving failed for another reason than "nothing waits".
    pub recv_error: u64,
    /// Receive queues given up, because their interface has gone.
    pub queues_lost: u64,
    /// System calls that receive.
    pub recv_calls: u64,
    /// System calls that send.
    pub send_calls: u64,
    /// Times that the engine went to sleep.
    pub sleeps: u64,
}

impl Counters {
    /// Adds what another way to the same worker counted.
    fn add(&mut self, other: &Counters) {
        // All fields are counts.
        let sum = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        let fields = <[u64; size_of::<Counters>() / size_of::<u64>()]>::ref_from_bytes(other.as_bytes());
        if let (Ok(to), Ok(from)) = (<[u64]>::mut_from_bytes(self.as_mut_bytes()), fields) {
            sum(to, from);
        }
    }
}
