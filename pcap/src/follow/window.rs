//! What is remembered of seqs and reqs: windows of bits, as the protocol has them.

/// Seqs that are told apart behind the newest one: as many as the protocol's own window.
const SEQS: u32 = 128;

/// Counters of requests that are told apart behind the newest one. A client has 32 at most under way.
const COUNTERS: u32 = 64;

/// What a frame's seq says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Newer than all before.
    New,
    /// Older than the newest, and not seen before.
    Reordered,
    /// Seen before: the network doubled the frame, or somebody replayed it.
    Duplicate,
    /// Too old to tell.
    TooOld,
}

/// The seqs of one direction of one session. 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqWindow {
    /// Bit `i` of the 128, least significant word first: was `newest - i` seen?
    seen: [u64; 2],
    newest: u32,
    /// The first one that counts as lost if it never comes. 0: none came yet, and the first to come is it.
    first: u32,
}

impl SeqWindow {
    /// A window of a session whose beginning was seen: its first seq is 1.
    pub fn from_the_beginning() -> SeqWindow {
        SeqWindow { seen: [1, 0], newest: 0, first: 1 }
    }

    /// Takes a seq in; seqs that are lost for good by it are added to `lost`.
    #[inline]
    pub fn take(&mut self, seq: u32, lost: &mut u64) -> Place {
        if self.first == 0 {
            *self = SeqWindow { seen: [1, 0], newest: seq, first: seq.max(1) };
            return Place::New;
        }
        let bits = u128::from(self.seen[0]) | u128::from(self.seen[1]) << 64;
        let (bits, place) = if seq > self.newest {
            let step = seq - self.newest;
            *lost += self.lost_of(bits, SEQS.saturating_sub(step)) + u64::from(step.saturating_sub(SEQS));
            self.newest = seq;
            (if step >= SEQS { 1 } else { bits << step | 1 }, Place::New)
        } else {
            let age = self.newest - seq;
            if age >= SEQS {
                return Place::TooOld;
            }
            let place = if bits >> age & 1 == 1 { Place::Duplicate } else { Place::Reordered };
            (bits | 1 << age, place)
        };
        self.seen = [bits as u64, (bits >> 64) as u64];
        place
    }

    /// Seqs that have not come, and will not if this is the end.
    pub fn missing(&self) -> u64 {
        let bits = u128::from(self.seen[0]) | u128::from(self.seen[1]) << 64;
        self.lost_of(bits, 0)
    }

    /// Unseen seqs of this age and older that count.
    #[inline]
    fn lost_of(&self, bits: u128, age: u32) -> u64 {
        if self.first == 0 || self.newest < self.first {
            return 0;
        }
        let counted = (self.newest - self.first).saturating_add(1).min(SEQS);
        if age >= counted {
            return 0;
        }
        let mask = u128::MAX >> (SEQS - counted) & u128::MAX << age;
        u64::from((!bits & mask).count_ones())
    }
}

/// The requests of one session. 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    seen: u64,
    done: u64,
    newest: u32,
}

impl Requests {
    /// A request with this counter came; whether it is the first time.
    #[inline]
    pub fn saw(&mut self, counter: u32) -> bool {
        let Some(bit) = self.bit(counter) else { return false };
        let is_first = self.seen & bit == 0;
        self.seen |= bit;
        is_first
    }

    /// A request with this counter got a final answer; whether it is the first. `None`: too old to tell.
    #[inline]
    pub fn finished(&mut self, counter: u32) -> Option<bool> {
        let bit = self.bit(counter)?;
        let is_first = self.done & bit == 0;
        self.done |= bit;
        Some(is_first)
    }

    fn bit(&mut self, counter: u32) -> Option<u64> {
        if counter > self.newest {
            let step = counter - self.newest;
            let shifted = |bits: u64| if step >= COUNTERS { 0 } else { bits << step };
            (self.seen, self.done, self.newest) = (shifted(self.seen), shifted(self.done), counter);
        }
        let age = self.newest - counter;
        (age < COUNTERS).then(|| 1 << age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_jump_to_the_last_seq_does_not_overflow() {
        let (mut window, mut lost) = (SeqWindow::from_the_beginning(), 0);
        assert_eq!(window.take(u32::MAX, &mut lost), Place::New);
        assert_eq!(lost + window.missing(), u64::from(u32::MAX) - 1);
        assert_eq!(window.take(1, &mut lost), Place::TooOld);
        assert_eq!(window.take(u32::MAX - 1, &mut lost), Place::Reordered);
    }

    /// Expect: of a session whose beginning was not seen nothing is lost before the first seq that came.
    #[test]
    fn a_capture_that_begins_late_has_lost_nothing_before() {
        let (mut window, mut lost) = (SeqWindow::default(), 0);
        window.take(1_000, &mut lost);
        window.take(999, &mut lost);
        window.take(1_002, &mut lost);
        assert_eq!((lost, window.missing()), (0, 1));
    }

    proptest! {
        /// Expect: with seqs that are never further apart than the window, each is told as a set of all seen
        /// would, and what is lost is what never came.
        #[test]
        fn agrees_with_a_set_of_everything_seen(steps in prop::collection::vec(-100i64..20, 1..300)) {
            let (mut window, mut lost) = (SeqWindow::from_the_beginning(), 0);
            let (mut seen, mut newest) = (BTreeSet::new(), 0_i64);
            for step in steps {
                let seq = (newest + step).max(1);
                let expected = if seq > newest { Place::New }
                    else if seen.contains(&seq) { Place::Duplicate }
                    else { Place::Reordered };
                prop_assert_eq!(window.take(seq as u32, &mut lost), expected);
                seen.insert(seq);
                newest = newest.max(seq);
            }
            prop_assert_eq!(lost + window.missing(), newest as u64 - seen.len() as u64);
        }
    }

    #[test]
    fn a_request_is_new_once_and_finished_once() {
        let mut requests = Requests::default();
        assert!(requests.saw(5) && requests.saw(4) && !requests.saw(5));
        assert_eq!((requests.finished(5), requests.finished(5)), (Some(true), Some(false)));
        assert!(requests.saw(1_000));
        assert_eq!(requests.finished(5), None);
    }
}
