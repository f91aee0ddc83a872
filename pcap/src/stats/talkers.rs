//! Who sends most, in bounded memory: the algorithm of Misra and Gries (1982), pruned by the median.
//!
//! As long as all senders fit, their figures are exact. When they do not, the lesser half is dropped, and whoever
//! comes anew may have sent as much before as the greatest of those: that is the error that is told.

use std::collections::HashMap;

/// What one address has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Talker {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
    /// Datagrams, or frames of them, that are not redpkt's.
    pub not_redpkt: u64,
}

/// About what a hash map needs for each.
const TALKER_BYTES: usize = 3 * (size_of::<Talker>() + 16);

/// The table.
#[derive(Debug)]
pub struct Talkers {
    kept: HashMap<[u8; 16], Talker>,
    kept_max: usize,
    error_datagrams: u64,
    /// The sender of the last datagram, not in the map: they often come in runs.
    last: [u8; 16],
    present: Talker,
}

impl Talkers {
    /// None yet; so many bytes at most.
    pub fn new(memory_bytes: usize) -> Talkers {
        Talkers {
            kept: HashMap::new(),
            kept_max: (memory_bytes / TALKER_BYTES).max(16),
            error_datagrams: 0,
            last: [0; 16],
            present: Talker::default(),
        }
    }

    /// An address sent a datagram of so many bytes.
    #[inline]
    pub fn datagram(&mut self, ip: [u8; 16], bytes: u64) {
        let talker = self.at(ip);
        talker.datagrams += 1;
        talker.bytes += bytes;
    }

    /// Something that an address sent is not redpkt's.
    pub fn not_redpkt(&mut self, ip: [u8; 16]) {
        self.at(ip).not_redpkt += 1;
    }

    /// By how many datagrams each figure may be too low. 0: they are exact.
    pub fn error_datagrams(&self) -> u64 {
        self.error_datagrams
    }

    /// The greatest, the greatest first.
    pub fn top(&self, count: usize) -> Vec<([u8; 16], Talker)> {
        let mut all: Vec<_> = self.kept.iter().map(|(ip, talker)| (*ip, *talker)).collect();
        if self.present != Talker::default() {
            all.push((self.last, self.present));
        }
        all.sort_unstable_by_key(|(ip, talker)| (std::cmp::Reverse(talker.datagrams), *ip));
        all.truncate(count);
        all
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.kept.len() * TALKER_BYTES
    }

    #[inline]
    fn at(&mut self, ip: [u8; 16]) -> &mut Talker {
        if ip != self.last {
            self.change(ip);
        }
        &mut self.present
    }

    fn change(&mut self, ip: [u8; 16]) {
        if self.present != Talker::default() {
            self.kept.insert(self.last, self.present);
        }
        if self.kept.len() >= self.kept_max {
            self.prune();
        }
        self.present = self.kept.remove(&ip).unwrap_or_default();
        self.last = ip;
    }

    fn prune(&mut self) {
        let mut counts: Vec<u64> = self.kept.values().map(|talker| talker.datagrams).collect();
        let middle = counts.len() / 2;
        let median = *counts.select_nth_unstable(middle).1;
        self.error_datagrams = self.error_datagrams.max(median);
        let mut to_go = counts.len() / 2;
        // Of those at the median only as many go as are needed.
        self.kept.retain(|_, talker| {
            let goes = talker.datagrams <= median && to_go > 0;
            to_go -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u64) -> [u8; 16] {
        u128::from(number).to_be_bytes()
    }

    #[test]
    fn figures_are_exact_as_long_as_all_fit() {
        let mut talkers = Talkers::new(1 << 20);
        for number in 1..=100_u64 {
            (0..number).for_each(|_| talkers.datagram(ip(number), 64));
        }
        talkers.not_redpkt(ip(100));
        let top = talkers.top(2);
        assert_eq!(top[0], (ip(100), Talker { datagrams: 100, bytes: 6_400, not_redpkt: 1 }));
        assert_eq!((top[1].0, talkers.error_datagrams()), (ip(99), 0));
    }

    /// Expect: among very many, whoever sends most by far is found, the table stays small, and the error is told.
    #[test]
    fn the_greatest_are_found_among_very_many() {
        let bytes = 64 * TALKER_BYTES;
        let mut talkers = Talkers::new(bytes);
        for round in 0..10_000_u64 {
            talkers.datagram(ip(round + 1_000), 64);
            talkers.datagram(ip(7), 64);
        }
        assert!(talkers.memory_bytes() <= bytes && talkers.error_datagrams() > 0);
        let (greatest, talker) = talkers.top(1)[0];
        assert_eq!(greatest, ip(7));
        assert!(talker.datagrams + talkers.error_datagrams() >= 10_000, "{talker:?}");
    }
}
