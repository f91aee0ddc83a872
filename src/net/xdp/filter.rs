//! The program in the kernel that tells our datagrams from all else.
//!
//! Ours go to the AF_XDP socket of their receive queue; what came to our address and cannot be of the
//! protocol is dropped and counted; all the rest is the kernel's as if we were not there. The program is
//! made for one filter, so that it compares with constants.
//!
//! It checks no checksum (the driver or the engine does), and no source (the engine does).

mod error;
mod program;
#[cfg(test)]
pub(super) mod tests;

pub use error::FilterError;

use super::bpf::{self, LineMap, SocketMap};
use crate::gate::{Class, Gate, OP_MAX};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// Addresses of a server at the most: they are compared one after another.
pub(super) const ADDRESSES_MAX: usize = 64;

/// The newest version of the wire whose datagrams come to the engine, though it does not speak it: to answer
/// that it does not. Above it a byte is more likely noise than a newer client, and is dropped in the kernel.
pub(super) const VERSION_PASSED_MAX: u8 = 15;

/// Which frames of an interface are ours.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// Frames to this address only.
    pub mac: [u8; 6],
    /// Frames with this VLAN tag only, 1 to 4094; `None` is frames without any tag.
    ///
    /// The program sees only the tags that are in the frame. A card that strips tags on receipt hides them, so
    /// that frames of every VLAN look untagged: turn that off with `ethtool -K IF rxvlan off`.
    pub vlan: Option<u16>,
    /// Which datagrams in them.
    pub take: Take,
}

/// Which datagrams are ours.
#[derive(Clone, Debug)]
pub(super) enum Take {
    /// A server's: datagrams to one of these addresses, 1 to [`ADDRESSES_MAX`], each an exact address and port.
    To(Vec<SocketAddr>),
    /// A client's: datagrams from this address to any port of any address of a network.
    From {
        /// The server, exact address and port.
        server: SocketAddr,
        /// An address of the network, of the server's family.
        network: IpAddr,
        /// How many of its first bits all addresses of the network share.
        prefix_bits: u8,
    },
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the kernel's receive path, behind any driver.
    Generic,
}

/// What the program dropped, since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FilterDrops {
    /// No whole number of frames, or not as long as it says.
    pub length: u64,
    /// More frames than a datagram may have, or that and some more.
    pub too_long: u64,
    /// Version 0 or above [`VERSION_PASSED_MAX`].
    pub version: u64,
}

/// Which counter of a line.
#[derive(Clone, Copy)]
enum Counter {
    Length,
    TooLong,
    Version,
    Shed,
}

const _: () = assert!((Counter::Shed as usize) < bpf::NUMBERS_PER_LINE);

/// Lines of the gates' map for each queue: one for each op.
const GATES_PER_QUEUE: u32 = OP_MAX as u32 + 1;

/// What a program is given beside the filter.
struct Maps {
    sockets: RawFd,
    drops: RawFd,
    gates: RawFd,
    /// Lines of `drops`, a power of two, so that every queue has one.
    lines: u32,
}

/// The loaded program with its maps.
pub(super) struct Program {
    program: OwnedFd,
    /// A place for each receive queue.
    sockets: SocketMap,
    /// A cache line for each receive queue.
    drops: LineMap,
    /// For each line of the above, a cache line for each op: limit, salt, told.
    gates: LineMap,
    queues: u32,
}

impl Program {
    /// Loads the program of `filter` for an interface with receive queues 0 to `queues - 1`.
    ///
    /// Fails when the filter cannot be (see [`FilterError::Impossible`]), without privilege, or when the
    /// kernel lacks something.
    pub fn load(filter: &Filter, queues: u32) -> Result<Program, FilterError> {
        let filter = filter.checked()?;
        if queues == 0 || queues > QUEUES_MAX {
            let what = format!("{queues} receive queues; an interface has 1 to {QUEUES_MAX}");
            return Err(FilterError::Impossible { what });
        }
        let sockets = SocketMap::create("redpkt_sockets", queues).map_err(FilterError::creating_map)?;
        // A power of two, so that every index of a queue can be brought to a line.
        let lines = queues.next_power_of_two();
        let drops = LineMap::create("redpkt_drops", lines).map_err(FilterError::creating_map)?;
        let gates = LineMap::create("redpkt_gates", lines * GATES_PER_QUEUE);
        let gates = gates.map_err(FilterError::creating_map)?;
        let maps = Maps { sockets: sockets.fd(), drops: drops.fd(), gates: gates.fd(), lines };
        let code = program::program(&filter, &maps);
        let program = bpf::load_xdp_program("redpkt_filter", &code).map_err(FilterError::loading)?;
        let program = Program { program, sockets, drops, gates, queues };
        (0..queues).for_each(|queue| program.set_gate(queue, &Gate::OPEN));
        Ok(program)
    }

    /// Of this queue's datagrams those that the gate does not admit, and that are not to be told so, are dropped from
    /// now on. Writes memory only.
    pub fn set_gate(&self, queue: u32, gate: &Gate) {
        for op in 0..=OP_MAX {
            let limit = gate.limits[Class::of(op) as usize];
            let numbers = [limit, gate.salt, gate.told].map(u64::from);
            self.gates.set(queue * GATES_PER_QUEUE + u32::from(op), &numbers);
        }
    }

    /// Datagrams of this receive queue go to this AF_XDP socket from now on, and to the kernel once it is
    /// closed. A frame is lost when the socket is bound to another queue or interface.
    pub fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), FilterError> {
        if queue >= self.queues {
            return Err(FilterError::NoSuchQueue { queue, queues: self.queues });
        }
        self.sockets.set(queue, socket).map_err(|error| FilterError::setting_socket(queue, error))
    }

    /// Attaches it to the interface with this index, which errors call `name`. It goes when the [`Link`] is
    /// dropped or the process ends, however it dies. Never replaces another's program.
    pub fn attach(&self, interface: u32, name: &str, mode: Mode) -> Result<Link, FilterError> {
        let flags = match mode {
            Mode::Native => bpf::XDP_FLAGS_DRV_MODE,
            Mode::Generic => bpf::XDP_FLAGS_SKB_MODE,
        };
        match bpf::create_xdp_link(self.program.as_fd(), interface, flags) {
            Ok(link) => Ok(Link { _link: link }),
            Err(error) => Err(FilterError::attaching(name, mode, interface_exists(interface), error)),
        }
    }

    /// What it dropped since it was loaded. Reads memory only: no system call, no privilege needed.
    pub fn dropped(&self) -> FilterDrops {
        FilterDrops {
            length: self.drops.sum(Counter::Length as usize),
            too_long: self.drops.sum(Counter::TooLong as usize),
            version: self.drops.sum(Counter::Version as usize),
        }
    }

    /// What it dropped at one queue since it was loaded because the [gate](Self::set_gate) did not admit it.
    pub fn shed(&self, queue: u32) -> u64 {
        self.drops.get(queue, Counter::Shed as usize)
    }
}

/// Receive queues of an interface at the most; far above any card's, it bounds the maps.
const QUEUES_MAX: u32 = 4096;

/// The program is attached for as long as this lives. The kernel never hands it to an executed program.
#[derive(Debug)]
pub struct Link {
    _link: OwnedFd,
}

impl Filter {
    /// The same filter as it is on the wire, or why there is no such thing.
    fn checked(&self) -> Result<Filter, FilterError> {
        let impossible = |what: String| Err(FilterError::Impossible { what });
        if let Some(vlan @ (0 | 4095..)) = self.vlan {
            return impossible(format!("VLAN {vlan}; a tag is 1 to 4094"));
        }
        let take = match &self.take {
            Take::To(addresses) => {
                if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
                    let count = addresses.len();
                    return impossible(format!("{count} addresses to listen at; give 1 to {ADDRESSES_MAX}"));
                }
                Take::To(addresses.iter().map(on_the_wire).collect::<Result<_, _>>()?)
            }
            Take::From { server, network, prefix_bits } => {
                let (server, prefix_bits) = (on_the_wire(server)?, *prefix_bits);
                let bits = if network.is_ipv4() { 32 } else { 128 };
                if network.is_ipv4() != server.is_ipv4() {
                    return impossible(format!("server {server} and clients in {network}; give one family"));
                }
                if prefix_bits > bits {
                    return impossible(format!("network {network}/{prefix_bits}; it has {bits} bits"));
                }
                Take::From { server, network: *network, prefix_bits }
            }
        };
        Ok(Filter { mac: self.mac, vlan: self.vlan, take })
    }
}

/// An address as frames have it: IPv4 in IPv6's clothes is IPv4.
fn on_the_wire(address: &SocketAddr) -> Result<SocketAddr, FilterError> {
    if address.ip().is_unspecified() || address.port() == 0 {
        let what = format!("address {address}; give an exact address and port");
        return Err(FilterError::Impossible { what });
    }
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Whether there is an interface with this index. The kernel's answer to an attachment does not tell.
fn interface_exists(index: u32) -> bool {
    let mut name = [0 as libc::c_char; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the length that the function asks for.
    let found = unsafe { !libc::if_indextoname(index, name.as_mut_ptr()).is_null() };
    found || io::Error::last_os_error().raw_os_error() != Some(libc::ENXIO)
}
