//! Requests that wait for their first answer, in a table that never outgrows its bound.

use crate::mix::Mix;
use redpkt_proto::Op;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    user: u64,
    /// 0: a free place. No request has that req.
    req: u64,
    first_sent_ns: u64,
    op: Op,
}

const FREE: Waiting = Waiting { user: 0, req: 0, first_sent_ns: 0, op: Op::Shake };

/// Places at first.
const PLACES: usize = 1 << 12;

/// Places that are looked at for a request to be forgotten when the table is full.
const LOOKED_AT: usize = 8;

/// The table: open addressing with linear probing, at most half full.
pub struct WaitingTable {
    places: Vec<Waiting>,
    len: usize,
    places_max: usize,
    forgotten: u64,
    mix: Mix,
}

impl WaitingTable {
    /// A table of so many bytes at most.
    pub fn new(memory_bytes: usize) -> WaitingTable {
        // While it grows the old one is there too.
        let places = (memory_bytes / size_of::<Waiting>() * 2 / 3).max(PLACES);
        let places_max = 1 << places.ilog2();
        WaitingTable { places: vec![FREE; PLACES], len: 0, places_max, forgotten: 0, mix: Mix::new() }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many were forgotten for lack of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Waiting>()
    }

    /// A request was sent for the first time.
    pub fn add(&mut self, user: u64, req: u64, op: Op, first_sent_ns: u64) {
        if req == 0 {
            return;
        }
        if 2 * self.len >= self.places.len() && self.places.len() < self.places_max {
            self.grow();
        }
        let waiting = Waiting { user, req, first_sent_ns, op };
        if 2 * self.len < self.places.len() {
            self.put(waiting);
            self.len += 1;
            return;
        }
        // One of those that stand where this one is looked for is forgotten: the one that waits longest.
        let mask = self.places.len() - 1;
        let home = self.home(user, req);
        let run = (0..LOOKED_AT).map(|step| (home + step) & mask).take_while(|at| self.places[*at].req != 0);
        match run.min_by_key(|at| self.places[*at].first_sent_ns) {
            Some(at) => self.places[at] = waiting,
            None => {
                // Its own place is free: then another run's first goes, and the table stays half full.
                self.forget_any(home);
                self.put(waiting);
            }
        }
        self.forgotten += 1;
    }

    /// A request was answered: for what it asked and when it was sent first, if it waited.
    #[inline]
    pub fn answered(&mut self, user: u64, req: u64) -> Option<(Op, u64)> {
        let mask = self.places.len() - 1;
        let mut place = self.home(user, req);
        loop {
            let there = &self.places[place];
            if there.req == 0 {
                return None;
            }
            if there.req == req && there.user == user {
                let found = (there.op, there.first_sent_ns);
                self.remove(place);
                return Some(found);
            }
            place = (place + 1) & mask;
        }
    }

    #[inline]
    fn home(&self, user: u64, req: u64) -> usize {
        self.mix.hash(user, req) as usize & (self.places.len() - 1)
    }

    fn put(&mut self, waiting: Waiting) {
        let mask = self.places.len() - 1;
        let mut place = self.home(waiting.user, waiting.req);
        while self.places[place].req != 0 {
            place = (place + 1) & mask;
        }
        self.places[place] = waiting;
    }

    fn forget_any(&mut self, from: usize) {
        let mask = self.places.len() - 1;
        let taken = (0..=mask).map(|step| (from + step) & mask).find(|at| self.places[*at].req != 0);
        self.remove(taken.expect("a full table holds something"));
        self.len += 1;
    }

    fn remove(&mut self, mut hole: usize) {
        let mask = self.places.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let there = self.places[next];
            if there.req == 0 {
                break;
            }
            let home = self.home(there.user, there.req);
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.places[hole] = there;
                hole = next;
            }
        }
        self.places[hole] = FREE;
        self.len -= 1;
    }

    fn grow(&mut self) {
        let places = vec![FREE; 2 * self.places.len()];
        let old = std::mem::replace(&mut self.places, places);
        old.into_iter().filter(|waiting| waiting.req != 0).for_each(|waiting| self.put(waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Expect: as long as there is room, what a map of everything would say.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 1u64..40, 1u64..40), 1..500)) {
            let mut table = WaitingTable::new(1 << 20);
            let mut map = HashMap::new();
            for (at, (is_answer, user, req)) in steps.into_iter().enumerate() {
                if is_answer {
                    let expected = map.remove(&(user, req)).map(|sent| (Op::Open, sent));
                    prop_assert_eq!(table.answered(user, req), expected);
                } else if map.insert((user, req), at as u64).is_none() {
                    table.add(user, req, Op::Open, at as u64);
                } else {
                    map.insert((user, req), table.answered(user, req).unwrap().1);
                    table.add(user, req, Op::Open, map[&(user, req)]);
                }
                prop_assert_eq!(table.len(), map.len());
            }
        }
    }

    /// Expect: a table without room stays within its bound, counts what it forgets, and knows the rest.
    #[test]
    fn a_full_table_forgets_and_says_so() {
        let bytes = 1 << 20;
        let mut table = WaitingTable::new(bytes);
        (1..=100_000).for_each(|user| table.add(user, 1, Op::Shake, user));
        assert!(table.memory_bytes() <= bytes);
        assert_eq!(table.len() as u64 + table.forgotten(), 100_000);
        let known = (1..=100_000).filter(|user| table.answered(*user, 1).is_some()).count();
        assert_eq!(known as u64 + table.forgotten(), 100_000);
        assert_eq!(table.len(), 0);
    }
}
