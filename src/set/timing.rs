//! What a core tells of its work, so that whoever has the clocks can say how long it took: how many requests of which
//! op it has handled, and for how long answers have waited for the ledger.

use arrayvec::ArrayVec;
use redpkt_proto::Op;

/// Ops that are counted: their numbers are below this one.
const OPS: usize = 32;

/// Waits that are kept apart until they are taken: those of one op that began in one batch are one.
const WAITS_MAX: usize = 512;

/// How far back is looked for a wait that began with this one.
const LOOK_BACK: usize = 8;

/// Authentic frames by op, since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    counts: [u32; OPS],
    /// A bit for each op that has a count.
    ops: u32,
}

impl Handled {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, op: u8) {
        let op = usize::from(op) % OPS;
        self.counts[op] += 1;
        self.ops |= 1 << op;
    }

    /// Ops and their counts, which are none again.
    #[inline]
    pub fn take(&mut self) -> impl Iterator<Item = (Op, u32)> {
        let next = move || {
            let op = self.ops.trailing_zeros() as usize;
            let count = std::mem::take(self.counts.get_mut(op)?);
            self.ops &= self.ops - 1;
            Some((op as u8, count))
        };
        std::iter::from_fn(next).filter_map(|(op, count)| Some((Op::from_wire(op)?, count)))
    }
}

/// Answers that have waited for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// What was asked.
    pub op: Op,
    /// When it was decided.
    pub since_ns: u64,
    /// How many.
    pub count: u32,
}

/// Answers that have waited for the ledger, since they were last taken.
#[derive(Debug, Default)]
pub struct Waits {
    waits: ArrayVec<Waited, WAITS_MAX>,
}

impl Waits {
    /// Notes one that was decided at `since_ns`.
    pub fn note(&mut self, op: Op, since_ns: u64) {
        let is_same = |wait: &&mut Waited| wait.op == op && wait.since_ns == since_ns;
        if let Some(wait) = self.waits.iter_mut().rev().take(LOOK_BACK).find(is_same) {
            wait.count += 1;
        } else if self.waits.try_push(Waited { op, since_ns, count: 1 }).is_err() {
            // No place: with the last one of its op, which began a little earlier.
            if let Some(wait) = self.waits.iter_mut().rev().find(|wait| wait.op == op) {
                wait.count += 1;
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// All of them, in the order in which they were decided; then there are none.
    pub fn take(&mut self) -> impl Iterator<Item = Waited> {
        self.waits.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_are_counted_until_they_are_taken() {
        let mut handled = Handled::default();
        [Op::Shake, Op::Open, Op::Shake].into_iter().for_each(|op| handled.count(op as u8));
        let taken: Vec<_> = handled.take().collect();
        assert_eq!(taken.iter().map(|(_, count)| count).sum::<u32>(), 3);
        assert!(taken.contains(&(Op::Shake, 2)) && taken.contains(&(Op::Open, 1)), "{taken:?}");
        assert_eq!(handled, Handled::default());
    }

    /// Expect: what began together is one wait, and of more than there are places for none is lost.
    #[test]
    fn waits_that_began_together_are_one() {
        let mut waits = Waits::default();
        for (op, since_ns) in [(Op::Shake, 1), (Op::Open, 1), (Op::Shake, 1), (Op::Shake, 2)] {
            waits.note(op, since_ns);
        }
        let of = |wait: Waited| (wait.op, wait.since_ns, wait.count);
        let expected = [(Op::Shake, 1, 2), (Op::Open, 1, 1), (Op::Shake, 2, 1)];
        assert!(waits.take().map(of).eq(expected));
        (0..2 * WAITS_MAX as u64).for_each(|since_ns| waits.note(Op::Open, since_ns));
        assert_eq!(waits.take().map(|wait| wait.count).sum::<u32>(), 2 * WAITS_MAX as u32);
        assert_eq!(waits.take().count(), 0);
    }
}
