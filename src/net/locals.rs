//! Names for our own ends of paths, short enough for [`Path::local`](redpkt_proto::Path).
//!
//! A name is a listen address (6 bits) and, on a wildcard, the local address that was asked (10 bits).
//! All engines of a server share one table, so a name means the same in the worker that a datagram is
//! handed to and a path compares equal whichever worker took it.

use std::sync::OnceLock;

const ADDRESS_BITS: u32 = 10;

/// Listen addresses of one server at the most.
pub const LISTENS_MAX: usize = 1 << (u16::BITS - ADDRESS_BITS);

/// Local addresses that wildcard sockets can tell apart. Past it, and in the unlikely case that 16 of
/// them hash alike before it, the kernel picks the source of replies, as a server without PKTINFO would
/// let it always.
pub const LOCAL_ADDRESSES_MAX: usize = (1 << ADDRESS_BITS) - 1;

/// How many places an address may lie at, so that a full table costs a stranger's address a bounded look.
const PROBES: usize = 16;

/// The name of the end at listen address `listen`, and local address `address` (0: no particular one).
pub(super) fn local_name(listen: usize, address: u16) -> u16 {
    debug_assert!(listen < LISTENS_MAX && address < 1 << ADDRESS_BITS);
    (listen as u16) << ADDRESS_BITS | address
}

/// The listen address and the local address of a name.
pub(super) fn split_name(local: u16) -> (usize, u16) {
    (usize::from(local >> ADDRESS_BITS), local & ((1 << ADDRESS_BITS) - 1))
}

/// The local addresses seen so far, in a path's form; it only grows.
///
/// A look takes no lock. A new address is written under its cell's once-lock, which happens once for each
/// address of the machine in the life of the process.
pub(super) struct LocalAddresses {
    cells: Box<[OnceLock<[u8; 16]>]>,
}

impl LocalAddresses {
    pub(super) fn new() -> LocalAddresses {
        LocalAddresses { cells: (0..LOCAL_ADDRESSES_MAX).map(|_| OnceLock::new()).collect() }
    }

    /// The number of an address, 1 or more; 0 if there is no room for it.
    pub(super) fn number(&self, ip: [u8; 16]) -> u16 {
        let bits = u128::from_ne_bytes(ip);
        let word = (bits as u64 ^ (bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start = (word >> 32) as usize;
        for probe in 0..PROBES {
            let at = (start + probe) % self.cells.len();
            if *self.cells[at].get_or_init(|| ip) == ip {
                return at as u16 + 1;
            }
        }
        0
    }

    /// The address of a number; `None` for 0 and for numbers never given.
    pub(super) fn address(&self, number: u16) -> Option<[u8; 16]> {
        self.cells.get(usize::from(number).checked_sub(1)?)?.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_packing() {
        for (listen, address) in [(0, 0), (0, 1023), (63, 0), (63, 1023), (5, 77)] {
            assert_eq!(split_name(local_name(listen, address)), (listen, address));
        }
    }

    #[test]
    fn an_address_keeps_its_number_and_a_full_table_gives_none() {
        let table = LocalAddresses::new();
        let ip = |i: u32| std::net::Ipv4Addr::from(0x7f00_0001 + i).to_ipv6_mapped().octets();
        let mut given = std::collections::HashMap::new();
        for i in 0..4 * LOCAL_ADDRESSES_MAX as u32 {
            let number = table.number(ip(i));
            if number != 0 {
                assert!(usize::from(number) <= LOCAL_ADDRESSES_MAX);
                assert_eq!(given.insert(number, i), None, "two addresses have one number");
                assert_eq!(table.address(number), Some(ip(i)));
            }
        }
        assert!(given.len() > LOCAL_ADDRESSES_MAX / 2);
        for (number, i) in given {
            assert_eq!(table.number(ip(i)), number);
        }
        assert_eq!(table.address(0), None);
        assert_eq!(table.address(u16::MAX), None);
    }

    #[test]
    fn threads_that_meet_an_address_at_once_agree_on_its_number() {
        let table = LocalAddresses::new();
        let numbers = || (0..200u8).map(|i| table.number([i; 16])).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(numbers)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|one| *one == all[0]));
    }
}
