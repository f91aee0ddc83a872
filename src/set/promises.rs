//! What waits until that which it was decided from is durable.

use super::invites::Invitation;
use super::links::{Asker, Decided};
use super::settle::DoneOutcome;
use redpkt_proto::body::Answer;
use redpkt_proto::{Now, Op};
use std::collections::VecDeque;

/// Something that is said when a row is durable.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// When it was made, by the monotonic clock.
    pub since_ns: u64,
    /// The last row that it was decided from.
    pub row: u64,
    /// What is said, and to whom.
    pub what: Promised,
}

/// What is said, and to whom.
#[derive(Clone, Copy, Debug)]
pub enum Promised {
    /// An answer to one of our own users.
    Answer {
        /// Whose request it was.
        asker: Asker,
        /// Its op.
        op: Op,
        /// What is said.
        answer: Answer,
    },
    /// An answer to the group of the user who has asked.
    Decided(Decided),
    /// An invitation to the group of the user who is invited.
    Invited(Invitation),
    /// To the operator: what became of this payment, or order.
    Done {
        /// What the operator calls it.
        ticket: u64,
        /// What became of it, when the row is durable.
        outcome: DoneOutcome,
    },
}

/// The promises of one group, in the order of their rows. Bounded.
pub struct Promises {
    waiting: VecDeque<Promise>,
    capacity: usize,
    now_ns: u64,
}

impl Promises {
    /// Room for `capacity` promises.
    pub fn new(capacity: usize) -> Promises {
        Promises { waiting: VecDeque::with_capacity(capacity), capacity, now_ns: 0 }
    }

    /// Bytes that `capacity` promises take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Promise>()
    }

    /// What time it is for the promises that are made from now on.
    pub fn set_time(&mut self, now: Now) {
        self.now_ns = now.mono_ns;
    }

    /// How many more can be made.
    pub fn room(&self) -> usize {
        self.capacity - self.waiting.len()
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a promise; [`room`](Self::room) was asked before anything was decided.
    pub fn push(&mut self, row: u64, what: Promised) {
        assert!(self.room() > 0, "room for a promise is held before anything is decided");
        debug_assert!(self.waiting.back().is_none_or(|last| last.row <= row));
        self.waiting.push_back(Promise { since_ns: self.now_ns, row, what });
    }

    /// The promise that waits for longest.
    pub fn front(&self) -> Option<&Promise> {
        self.waiting.front()
    }

    /// Takes it out.
    pub fn pop(&mut self) {
        self.waiting.pop_front();
    }
}
