//! Answers that wait until what they were decided from is durable.

use super::sessions::SlotId;
use redpkt_proto::body::Answer;
use redpkt_proto::{Op, Path};
use std::collections::VecDeque;

/// One answer, and the row it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// The last row that it was decided from.
    pub row: u64,
    /// Whose session.
    pub user: u64,
    /// Where the session is.
    pub id: SlotId,
    /// Which session: an answer is not sent into a later one, whose client asks again by itself.
    pub session_number: u32,
    /// Where the request came from.
    pub path: Path,
    /// Of the request.
    pub op: Op,
    /// Header flags of the answer.
    pub flags: u8,
    /// What is said.
    pub answer: Answer,
}

/// The promises of one group, in the order of their rows. Bounded.
pub struct Promises {
    waiting: VecDeque<Promise>,
    capacity: usize,
}

impl Promises {
    /// Room for `capacity` promises.
    pub fn new(capacity: usize) -> Promises {
        Promises { waiting: VecDeque::with_capacity(capacity), capacity }
    }

    /// Bytes that `capacity` promises take.
    pub fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Promise>()
    }

    /// Whether one more can be made.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.capacity
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a promise; [`has_room`](Self::has_room) was asked before anything was decided.
    pub fn push(&mut self, promise: Promise) {
        assert!(self.has_room(), "room for a promise is held before anything is decided");
        debug_assert!(self.waiting.back().is_none_or(|last| last.row <= promise.row));
        self.waiting.push_back(promise);
    }

    /// The next promise whose row is durable.
    pub fn pop_durable(&mut self, durable_row: u64) -> Option<Promise> {
        if self.waiting.front()?.row > durable_row {
            return None;
        }
        self.waiting.pop_front()
    }
}
