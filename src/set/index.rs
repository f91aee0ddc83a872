//! Which record of a SET belongs to a key: open addressing over 4-byte entries.
//!
//! An entry is 12 bits of the key's hash and 20 bits of record number, so that a probe touches one cache
//! line of entries and, but for one miss in 4,096, no record but the right one.

/// Records that one table can name.
pub const RECORDS_MAX: usize = (1 << RECORD_BITS) - 1;

const RECORD_BITS: u32 = 20;
const RECORD_MASK: u32 = (1 << RECORD_BITS) - 1;
const TAG_MASK: u32 = !RECORD_MASK;
const EMPTY: u32 = 0;

/// Equally sized hash tables, one for each SET, in one piece of memory.
pub struct Index {
    /// Record number plus one in the low bits, tag in the high ones; [`EMPTY`] where nothing is.
    entries: Vec<u32>,
    slots_bits: u32,
    seed: u64,
}

impl Index {
    /// `tables` tables for `records` records each (at most [`RECORDS_MAX`]), at most three quarters full.
    /// `seed` keeps outsiders from choosing keys that collide.
    pub fn new(tables: usize, records: usize, seed: u64) -> Index {
        assert!(records <= RECORDS_MAX, "a table names at most {RECORDS_MAX} records");
        let slots = (records * 4 / 3 + 1).next_power_of_two();
        Index { entries: vec![EMPTY; tables * slots], slots_bits: slots.trailing_zeros(), seed }
    }

    /// Bytes that `tables` tables for `records` records take.
    pub fn bytes(tables: usize, records: usize) -> usize {
        tables * (records * 4 / 3 + 1).next_power_of_two() * size_of::<u32>()
    }

    /// The entry where a search for `key` begins, to be prefetched.
    #[inline]
    pub fn first_entry(&self, table: usize, key: u64) -> &u32 {
        &self.entries[self.base(table) + self.home(self.hash(key))]
    }

    /// The record that most likely has `key`: the first one whose tag fits. Its key is to be compared.
    #[inline]
    pub fn candidate(&self, table: usize, key: u64) -> Option<u32> {
        self.find(table, key, |_| true)
    }

    /// The record of `key`, where `has_key` tells whether a record has it.
    #[inline]
    pub fn find(&self, table: usize, key: u64, mut has_key: impl FnMut(u32) -> bool) -> Option<u32> {
        let hash = self.hash(key);
        let tag = tag(hash);
        let entries = self.table(table);
        let mut at = self.home(hash);
        loop {
            let entry = entries[at];
            if entry == EMPTY {
                return None;
            }
            let record = (entry & RECORD_MASK) - 1;
            if entry & TAG_MASK == tag && has_key(record) {
                return Some(record);
            }
            at = (at + 1) & (entries.len() - 1);
        }
    }

    /// Enters `record` for `key`, which must not be there yet.
    pub fn insert(&mut self, table: usize, key: u64, record: u32) {
        let hash = self.hash(key);
        let home = self.home(hash);
        let entries = self.table_mut(table);
        let mask = entries.len() - 1;
        let mut at = home;
        while entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        entries[at] = tag(hash) | (record + 1);
    }

    /// Takes all records out of a table.
    pub fn clear(&mut self, table: usize) {
        self.table_mut(table).fill(EMPTY);
    }

    /// Takes `record` of `key` out, and closes the gap it leaves (Knuth, volume 3, algorithm 6.4R), for
    /// which the keys of the records behind it are needed.
    pub fn remove(&mut self, table: usize, key: u64, record: u32, key_of: impl Fn(u32) -> u64) {
        let (seed, bits) = (self.seed, self.slots_bits);
        let mut gap = self.home(self.hash(key));
        let entries = self.table_mut(table);
        let mask = entries.len() - 1;
        while entries[gap] & RECORD_MASK != record + 1 {
            assert!(entries[gap] != EMPTY, "a record that is removed was entered");
            gap = (gap + 1) & mask;
        }
        let mut at = gap;
        loop {
            entries[gap] = EMPTY;
            loop {
                at = (at + 1) & mask;
                if entries[at] == EMPTY {
                    return;
                }
                let home = home(hash(seed, key_of((entries[at] & RECORD_MASK) - 1)), bits);
                // The entry may move into the gap unless its home lies cyclically in (gap, at].
                if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                    break;
                }
            }
            entries[gap] = entries[at];
            gap = at;
        }
    }

    fn base(&self, table: usize) -> usize {
        table << self.slots_bits
    }

    fn table(&self, table: usize) -> &[u32] {
        &self.entries[self.base(table)..][..1 << self.slots_bits]
    }

    fn table_mut(&mut self, table: usize) -> &mut [u32] {
        let base = self.base(table);
        &mut self.entries[base..][..1 << self.slots_bits]
    }

    fn hash(&self, key: u64) -> u64 {
        hash(self.seed, key)
    }

    fn home(&self, hash: u64) -> usize {
        home(hash, self.slots_bits)
    }
}

/// Both halves of the product with an odd number, folded: every bit depends on every bit of the key.
fn hash(seed: u64, key: u64) -> u64 {
    let product = u128::from(key ^ seed) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

fn home(hash: u64, bits: u32) -> usize {
    (hash >> 8) as usize & ((1 << bits) - 1)
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & TAG_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Expect: after any run of insertions and removals, exactly what is in is found, in its table.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((0u64..60, any::<bool>(), 0usize..2), 1..300)) {
            const RECORDS: usize = 48;
            let mut index = Index::new(2, RECORDS, 99);
            let mut keys = [[0u64; RECORDS]; 2];
            let mut maps = [HashMap::new(), HashMap::new()];
            for (key, add, table) in steps {
                let map: &mut HashMap<u64, u32> = &mut maps[table];
                let free = (0..RECORDS as u32).find(|record| !map.values().any(|used| used == record));
                match (map.get(&key).copied(), free) {
                    (None, Some(record)) if add => {
                        keys[table][record as usize] = key;
                        index.insert(table, key, record);
                        map.insert(key, record);
                    }
                    (Some(record), _) if !add => {
                        index.remove(table, key, record, |record| keys[table][record as usize]);
                        map.remove(&key);
                    }
                    _ => {}
                }
                for (table, map) in maps.iter().enumerate() {
                    for key in 0..60 {
                        let found = index.find(table, key, |record| keys[table][record as usize] == key);
                        prop_assert_eq!(found, map.get(&key).copied());
                    }
                }
            }
        }
    }
}
