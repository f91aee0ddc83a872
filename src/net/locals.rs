//! Names for our own ends of paths, short enough for [`Path::local`](redpkt_proto::Path).
//!
//! A name is a listen address (6 bits) and the number of a [`Local`] (10 bits): the address that was asked,
//! where a wildcard has several, and the way back, where we find it ourselves. All engines of a server share
//! one table, so a name means the same in the worker that a datagram is handed to and a path compares equal
//! whichever worker took it.

use redpkt_proto::Path;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

const NUMBER_BITS: u32 = 10;

/// Listen addresses of one server at the most.
pub const LISTENS_MAX: usize = 1 << (u16::BITS - NUMBER_BITS);

/// Locals that can be told apart. Past it, and in the unlikely case that 16 of them hash alike before it, the
/// kernel picks the source of replies and the way, as a server without PKTINFO would let it always.
pub const LOCALS_MAX: usize = (1 << NUMBER_BITS) - 1;

/// How many places an address may lie at, so that a full table costs a stranger's address a bounded look.
const PROBES: usize = 16;

/// Where a datagram came to, beyond the listen address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Local {
    /// The address that was asked, in a path's form.
    pub(super) ip: [u8; 16],
    /// The hardware address that the datagram came from, and its answers go to; zeroes leave the way to the
    /// kernel.
    pub(super) hop: [u8; 6],
}

impl Local {
    /// At this address, by the kernel's way.
    pub(super) fn at(ip: [u8; 16]) -> Local {
        Local { ip, hop: [0; 6] }
    }
}

/// The name of the end at listen address `listen`, and the local with this number (0: no particular one).
pub(super) fn local_name(listen: usize, number: u16) -> u16 {
    debug_assert!(listen < LISTENS_MAX && number < 1 << NUMBER_BITS);
    (listen as u16) << NUMBER_BITS | number
}

/// The listen address and the number of the local of a name.
pub(super) fn split_name(local: u16) -> (usize, u16) {
    (usize::from(local >> NUMBER_BITS), local & ((1 << NUMBER_BITS) - 1))
}

/// The locals seen so far; it only grows.
///
/// A look takes no lock. A new one is written under its cell's once-lock, which happens once for each address
/// of the machine and each neighbour in the life of the process.
pub(super) struct Locals {
    cells: Box<[OnceLock<Local>]>,
}

impl Locals {
    pub(super) fn new() -> Locals {
        Locals { cells: (0..LOCALS_MAX).map(|_| OnceLock::new()).collect() }
    }

    /// The number of a local, 1 or more; 0 if there is no room for it.
    pub(super) fn number(&self, local: Local) -> u16 {
        let ip = u128::from_ne_bytes(local.ip);
        let [a, b, c, d, e, f] = local.hop;
        let hop = u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]);
        let word = (ip as u64 ^ (ip >> 64) as u64 ^ hop.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start = (word >> 32) as usize;
        for probe in 0..PROBES {
            let at = (start + probe) % self.cells.len();
            if *self.cells[at].get_or_init(|| local) == local {
                return at as u16 + 1;
            }
        }
        0
    }

    /// The local with a number; `None` for 0 and for numbers never given.
    pub(super) fn local(&self, number: u16) -> Option<Local> {
        self.cells.get(usize::from(number).checked_sub(1)?)?.get().copied()
    }

    /// The address of the local with a number.
    pub(super) fn address(&self, number: u16) -> Option<[u8; 16]> {
        self.local(number).map(|local| local.ip)
    }
}

/// Our own ends of a server's paths, for whoever is told paths and has no engine.
#[derive(Clone)]
pub struct OwnEnds {
    listens: Arc<[SocketAddr]>,
    locals: Arc<Locals>,
}

impl OwnEnds {
    pub(super) fn new(listens: &[SocketAddr], locals: &Arc<Locals>) -> OwnEnds {
        OwnEnds { listens: listens.into(), locals: Arc::clone(locals) }
    }

    /// The end that a path names: the address that was asked, or the listen address where that is not known. `None`
    /// for names never given.
    pub fn address(&self, local: u16) -> Option<SocketAddr> {
        let (listen, number) = split_name(local);
        let listen = *self.listens.get(listen)?;
        let asked = |ip| Path { ip, port: listen.port(), local }.addr();
        Some(self.locals.address(number).map_or(listen, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_end_is_the_address_that_was_asked() {
        let listens = ["192.0.2.1:7100", "0.0.0.0:7200", "[::]:7200"].map(|addr| addr.parse().unwrap());
        let locals = Arc::new(Locals::new());
        let asked: SocketAddr = "198.51.100.9:7200".parse().unwrap();
        let number = locals.number(Local::at(Path::new(asked, 0).ip));
        let ends = OwnEnds::new(&listens, &locals);
        assert_eq!(ends.address(local_name(0, 0)), Some(listens[0]));
        assert_eq!(ends.address(local_name(1, number)), Some(asked));
        assert_eq!(ends.address(local_name(2, 0)), Some(listens[2]));
        assert_eq!(ends.address(local_name(3, 0)), None);
    }

    #[test]
    fn names_survive_packing() {
        for (listen, address) in [(0, 0), (0, 1023), (63, 0), (63, 1023), (5, 77)] {
            assert_eq!(split_name(local_name(listen, address)), (listen, address));
        }
    }

    #[test]
    fn a_local_keeps_its_number_and_a_full_table_gives_none() {
        let table = Locals::new();
        let local = |i: u32| Local {
            ip: std::net::Ipv4Addr::from(0x7f00_0001 + i / 2).to_ipv6_mapped().octets(),
            hop: [2, 0, 0, 0, 0, (i % 2) as u8],
        };
        let mut given = std::collections::HashMap::new();
        for i in 0..4 * LOCALS_MAX as u32 {
            let number = table.number(local(i));
            if number != 0 {
                assert!(usize::from(number) <= LOCALS_MAX);
                assert_eq!(given.insert(number, i), None, "two locals have one number");
                assert_eq!(table.local(number), Some(local(i)));
            }
        }
        assert!(given.len() > LOCALS_MAX / 2);
        for (number, i) in given {
            assert_eq!(table.number(local(i)), number);
        }
        assert_eq!(table.local(0), None);
        assert_eq!(table.local(u16::MAX), None);
    }

    #[test]
    fn threads_that_meet_a_local_at_once_agree_on_its_number() {
        let table = Locals::new();
        let numbers = || (0..200u8).map(|i| table.number(Local::at([i; 16]))).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|one| *one == all[0]));
    }
}
