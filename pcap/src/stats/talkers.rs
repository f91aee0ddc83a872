//! Who sends most, in bounded memory: the algorithm of Misra and Gries (1982), pruned by the median.
//!
//! As long as all senders fit, their figures are exact. When they do not, the lesser half is dropped. Whoever comes anew
//! may have been among those each time and have sent as much as the greatest of them: the sum of that is the error that
//! is told.
//!
//! A million senders do not fit a cache. So what is to be counted waits in a short queue while its place is fetched.

use crate::mix::Mix;
use redpkt::net::prefetch_read;
use std::cmp::Reverse;

/// What one address has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Talker {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
    /// Datagrams that are not, or not wholly, redpkt's.
    pub not_redpkt: u64,
}

/// A place of the table; free if its talker has sent nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    ip: [u8; 16],
    talker: Talker,
}

/// Places at first.
const PLACES: usize = 1 << 8;

/// How many wait for their places.
const WAITING: usize = 8;

/// The table: open addressing with linear probing, at most half full.
#[derive(Debug)]
pub struct Talkers {
    places: Vec<Place>,
    len: usize,
    places_max: usize,
    error_datagrams: u64,
    waiting: [Place; WAITING],
    next: usize,
    mix: Mix,
}

impl Talkers {
    /// None yet; so many bytes at most.
    pub fn new(memory_bytes: usize) -> Talkers {
        // While it grows the old one is there too.
        let places = (memory_bytes / size_of::<Place>() * 2 / 3).max(PLACES);
        Talkers {
            places: vec![Place::default(); PLACES],
            len: 0,
            places_max: 1 << places.ilog2(),
            error_datagrams: 0,
            waiting: [Place::default(); WAITING],
            next: 0,
            mix: Mix::new(),
        }
    }

    /// An address sent a datagram of so many bytes.
    #[inline]
    pub fn datagram(&mut self, ip: [u8; 16], bytes: u64) {
        self.queue(ip, Talker { datagrams: 1, bytes, not_redpkt: 0 });
    }

    /// The last datagram of an address is not redpkt's.
    pub fn not_redpkt(&mut self, ip: [u8; 16]) {
        self.queue(ip, Talker { datagrams: 0, bytes: 0, not_redpkt: 1 });
    }

    /// Counts what still waits.
    pub fn settle(&mut self) {
        for at in 0..WAITING {
            let Place { ip, talker } = std::mem::take(&mut self.waiting[at]);
            self.count(ip, talker);
        }
    }

    /// By how many datagrams each figure may be too low. 0: they are exact.
    pub fn error_datagrams(&self) -> u64 {
        self.error_datagrams
    }

    /// The greatest of what is settled, the greatest first.
    pub fn top(&self, count: usize) -> Vec<([u8; 16], Talker)> {
        let taken = self.places.iter().filter(|place| !place.is_free());
        let mut all: Vec<_> = taken.map(|place| (place.ip, place.talker)).collect();
        all.sort_unstable_by_key(|(ip, talker)| (Reverse(talker.datagrams), *ip));
        all.truncate(count);
        all
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// Asks for the memory of a place, and counts what has waited longest.
    #[inline]
    fn queue(&mut self, ip: [u8; 16], talker: Talker) {
        prefetch_read(&self.places[self.home(&ip)]);
        let first = std::mem::replace(&mut self.waiting[self.next], Place { ip, talker });
        self.next = (self.next + 1) % WAITING;
        self.count(first.ip, first.talker);
    }

    #[inline]
    fn count(&mut self, ip: [u8; 16], by: Talker) {
        if by == Talker::default() {
            return;
        }
        let mask = self.places.len() - 1;
        let mut at = self.home(&ip);
        while !self.places[at].is_free() && self.places[at].ip != ip {
            at = (at + 1) & mask;
        }
        let place = &mut self.places[at];
        let is_new = place.is_free();
        place.ip = ip;
        place.talker.datagrams += by.datagrams;
        place.talker.bytes += by.bytes;
        place.talker.not_redpkt += by.not_redpkt;
        if is_new {
            self.len += 1;
            if 2 * self.len > self.places.len() {
                self.make_room();
            }
        }
    }

    #[inline]
    fn home(&self, ip: &[u8; 16]) -> usize {
        hash(self.mix, ip) as usize & (self.places.len() - 1)
    }

    /// Doubles the table, or where it may not grow drops the lesser half.
    fn make_room(&mut self) {
        let size = (2 * self.places.len()).min(self.places_max);
        let is_to_prune = size == self.places.len();
        self.len = 0;
        let kept = if is_to_prune {
            let mut kept: Vec<Place> = self.places.iter().copied().filter(|place| !place.is_free()).collect();
            let half = kept.len() / 2;
            // Most have sent the same. Those who stay are chosen by upper bits of the hash, not by their places:
            // else the table's front would fill up.
            let mix = self.mix;
            let order = |place: &Place| (Reverse(place.talker.datagrams), hash(mix, &place.ip) >> 32);
            kept.select_nth_unstable_by_key(half, order);
            self.error_datagrams += kept[half].talker.datagrams;
            kept.truncate(half);
            self.places.fill(Place::default());
            kept
        } else {
            std::mem::replace(&mut self.places, vec![Place::default(); size])
        };
        kept.into_iter().for_each(|place| self.count(place.ip, place.talker));
    }
}

#[inline]
fn hash(mix: Mix, ip: &[u8; 16]) -> u64 {
    let number = u128::from_ne_bytes(*ip);
    mix.hash(number as u64, (number >> 64) as u64)
}

impl Place {
    fn is_free(&self) -> bool {
        self.talker == Talker::default()
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
        for number in 1..=1_000_u64 {
            (0..number).for_each(|_| talkers.datagram(ip(number), 64));
        }
        talkers.not_redpkt(ip(1_000));
        talkers.settle();
        let top = talkers.top(2);
        assert_eq!(top[0], (ip(1_000), Talker { datagrams: 1_000, bytes: 64_000, not_redpkt: 1 }));
        assert_eq!((top[1].0, talkers.error_datagrams()), (ip(999), 0));
    }

    /// Expect: among very many, whoever sends most by far is found, the table stays small, and the error is told.
    #[test]
    fn the_greatest_are_found_among_very_many() {
        let bytes = 32 << 10;
        let mut talkers = Talkers::new(bytes);
        for round in 0..10_000_u64 {
            talkers.datagram(ip(round + 1_000), 64);
            talkers.datagram(ip(7), 64);
        }
        talkers.settle();
        assert!(talkers.memory_bytes() <= bytes && talkers.error_datagrams() > 0);
        let (greatest, talker) = talkers.top(1)[0];
        assert_eq!(greatest, ip(7));
        assert!(talker.datagrams + talkers.error_datagrams() >= 10_000, "{talker:?}");
    }

    /// Expect: whoever was dropped several times has not sent more than what is told of him and the error.
    #[test]
    fn the_error_covers_who_was_dropped_more_than_once() {
        let mut talkers = Talkers::new(32 << 10);
        let mut sent = 0;
        for round in 0..8_u64 {
            (0..9).for_each(|_| talkers.datagram(ip(7), 64));
            for other in 0..1_000 {
                (0..10).for_each(|_| talkers.datagram(ip(1_000 * (round + 1) + other), 64));
            }
            sent += 9;
        }
        (0..50).for_each(|_| talkers.datagram(ip(7), 64));
        sent += 50;
        talkers.settle();
        let (greatest, talker) = talkers.top(1)[0];
        assert_eq!(greatest, ip(7));
        assert!(
            talker.datagrams < sent && talker.datagrams + talkers.error_datagrams() >= sent,
            "{talker:?}"
        );
    }
}
