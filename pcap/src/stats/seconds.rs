//! What is counted second by second. Only seconds in which something happened are kept, and no more than fit.

use std::collections::BTreeMap;

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Datagrams to the server and from it.
    pub datagrams: [u64; 2],
    /// Frames to the server and from it.
    pub frames: [u64; 2],
    /// Requests that were seen for the first time.
    pub requests: u64,
    /// Answers.
    pub answers: u64,
    /// Shakes that won.
    pub wins: u64,
}

/// About what a map of them needs for each, its nodes' free places included.
const SECOND_BYTES: usize = 2 * (size_of::<Second>() + size_of::<u64>());

/// All seconds.
#[derive(Debug)]
pub struct Seconds {
    kept: BTreeMap<u64, Second>,
    kept_max: usize,
    /// The second that is being counted, not in the map.
    now: Option<u64>,
    present: Second,
    /// What there is no room for.
    rest: Second,
    left_out: u64,
}

impl Seconds {
    /// None yet; so many bytes at most.
    pub fn new(memory_bytes: usize) -> Seconds {
        Seconds {
            kept: BTreeMap::new(),
            kept_max: memory_bytes / SECOND_BYTES,
            now: None,
            present: Second::default(),
            rest: Second::default(),
            left_out: 0,
        }
    }

    /// A second, counted from the first record.
    #[inline]
    pub fn at(&mut self, second: u64) -> &mut Second {
        if self.now != Some(second) {
            self.put_away();
            if !self.kept.contains_key(&second) && self.kept.len() >= self.kept_max {
                self.left_out += 1;
                return &mut self.rest;
            }
            self.present = self.kept.remove(&second).unwrap_or_default();
            self.now = Some(second);
        }
        &mut self.present
    }

    /// Events in seconds that there is no room for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All that are kept, in their order.
    pub fn rows(&self) -> BTreeMap<u64, Second> {
        let mut rows = self.kept.clone();
        if let Some(now) = self.now
            && self.present != Second::default()
        {
            rows.insert(now, self.present);
        }
        rows
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.kept.len() * SECOND_BYTES
    }

    /// No second is being counted any more.
    fn put_away(&mut self) {
        if let Some(now) = self.now.take()
            && self.present != Second::default()
        {
            self.kept.insert(now, std::mem::take(&mut self.present));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: seconds in any order, each with what happened in it, and no more of them than fit.
    #[test]
    fn seconds_come_in_any_order_and_are_bounded() {
        let mut seconds = Seconds::new(10 * SECOND_BYTES);
        for second in [3, 0, 3, 7, 0, 3] {
            seconds.at(second).requests += 1;
        }
        let rows = seconds.rows();
        let counts: Vec<(u64, u64)> = rows.iter().map(|(second, row)| (*second, row.requests)).collect();
        assert_eq!(counts, [(0, 2), (3, 3), (7, 1)]);
        (100..200).for_each(|second| seconds.at(second * 1_000_000).requests += 1);
        assert!(seconds.rows().len() <= 12 && seconds.left_out() > 80, "{}", seconds.rows().len());
        seconds.at(3).requests += 1;
        assert_eq!(seconds.rows()[&3].requests, 4);
        // Between one that is kept and one that is not.
        let left_out = seconds.left_out();
        for _ in 0..10 {
            seconds.at(3).requests += 1;
            seconds.at(777).requests += 1;
        }
        assert_eq!((seconds.rows()[&3].requests, seconds.left_out()), (14, left_out + 10));
    }
}
