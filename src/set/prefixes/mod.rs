//! Source prefixes: what one network may take of the handshakes and of the session table.
//!
//! | file | what |
//! |---|---|
//! | `held` | sessions that each prefix holds in a SET |
//! | `rate` | handshakes of each prefix in a second |
//!
//! Both are tables of fixed size without keys: prefixes whose hashes meet share a counter. So nobody can make them
//! grow, and who shares with a flood suffers with it, in one SET or one worker of many.

mod held;
mod rate;

pub(super) use held::Held;
pub(super) use rate::{HandshakeRate, Limited};

use redpkt_proto::Path;
use std::net::{IpAddr, Ipv6Addr};

/// The network that an address belongs to: its IPv4 /24 or IPv6 /48, the smallest ones that are announced between
/// networks (RFC 7454 §6.1.3), so that an attacker has to own a network to have a second one. 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix(u64);

/// Where IPv4 lies among IPv6 prefixes: ff00::/8 is multicast and never a source.
const IPV4: u64 = 0xffff_ff00_0000;

impl Prefix {
    /// The prefix of a peer; `None` for one in the operator's own networks, which is without limit: gateways, load
    /// generators and laboratories.
    pub(super) fn of(path: &Path) -> Option<Prefix> {
        let ip = Ipv6Addr::from(path.ip);
        let [a, b, c, d, e, f, ..] = path.ip;
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                // 198.18.0.0/15 is for benchmarks, RFC 2544.
                let is_own =
                    ip.is_loopback() || ip.is_private() || ip.is_link_local() || (a, b & !1) == (198, 18);
                (!is_own).then(|| Prefix(IPV4 | u64::from(u32::from_be_bytes([0, a, b, c]))))
            }
            IpAddr::V6(ip) => {
                let is_own = ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local();
                (!is_own).then(|| Prefix(u64::from_be_bytes([0, 0, a, b, c, d, e, f])))
            }
        }
    }
}

/// Which counter of a table a prefix has. Its key is drawn at start, so outsiders cannot choose prefixes that meet.
#[derive(Clone, Copy)]
struct Key([u64; 2]);

impl Key {
    /// A number below 2^`bits` for a prefix in table `table` (16 bits).
    fn hash(&self, table: u32, prefix: Prefix, bits: u32) -> usize {
        // A folded multiplication under two secret words, as in wyhash.
        let word = u64::from(table) << 48 | prefix.0;
        let product = u128::from(word ^ self.0[0]) * u128::from(self.0[1] | 1);
        let folded = (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (folded >> (64 - bits)) as usize
    }
}

/// Of `total` things that are hashed uniformly over `parts`, how many surely fall into one: the mean and six standard
/// deviations (of a binomial distribution, at most √mean). 0 for 0.
pub fn share(total: u64, parts: u32) -> u64 {
    if parts == 1 {
        return total;
    }
    let mean = total as f64 / f64::from(parts);
    ((mean + 6.0 * mean.sqrt()).ceil() as u64).min(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(ip: &str) -> Option<Prefix> {
        Prefix::of(&Path::new((ip.parse::<IpAddr>().unwrap(), 9).into(), 0))
    }

    #[test]
    fn a_prefix_is_an_ipv4_24_or_an_ipv6_48() {
        assert_eq!(prefix("203.0.113.7"), prefix("203.0.113.255"));
        assert_ne!(prefix("203.0.113.7"), prefix("203.0.112.7"));
        assert_eq!(prefix("2001:db8:1::1"), prefix("2001:db8:1:ffff::9"));
        assert_ne!(prefix("2001:db8:1::1"), prefix("2001:db8:2::1"));
    }

    #[test]
    fn the_operators_own_networks_have_none() {
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "198.19.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert_eq!(prefix(own), None, "{own}");
        }
        for other in ["100.64.0.1", "172.32.0.1", "192.0.2.1", "198.20.0.1", "2001:db8::1"] {
            assert!(prefix(other).is_some(), "{other}");
        }
    }

    /// Expect: neighbouring prefixes are spread evenly, and otherwise under another key or in another table.
    #[test]
    fn prefixes_are_spread_by_the_key() {
        let prefixes = || (0..16_384u64).map(|at| Prefix(IPV4 | at));
        let mut counts = [0; 64];
        prefixes().for_each(|prefix| counts[Key([3, 0x1234_5678_9abc_def1]).hash(0, prefix, 6)] += 1);
        assert!(counts.iter().all(|count| (150..400).contains(count)), "{counts:?}");
        let (one, other) = (Key([1, 0x9876_5432_1234_5679]), Key([2, 0x1357_9bdf_0246_8ace]));
        let same = prefixes().filter(|prefix| one.hash(0, *prefix, 6) == other.hash(0, *prefix, 6)).count();
        assert!((150..400).contains(&same), "{same}");
        let same = prefixes().filter(|prefix| one.hash(0, *prefix, 6) == one.hash(1, *prefix, 6)).count();
        assert!(same < 1_000, "{same}");
    }

    #[test]
    fn a_share_holds_what_falls_into_it() {
        assert_eq!(share(1_000, 1), 1_000);
        assert_eq!(share(125_000, 256), 621); // 488.3 + 6 × 22.1
        assert_eq!((share(0, 4), share(3, 4)), (0, 3));
    }
}
