//! A queue for each of many sockets, in one pool of buffers.
//!
//! A buffer for each place of each queue would be 72 kB a socket, so the queues are lists through a pool,
//! whose free buffers are used newest first: a client that sends little stays in the cache.

use super::super::memory::{Buffer, Fixed};
use redpkt_proto::DATAGRAM_BYTES_MAX;

/// Datagrams of one socket that wait at the most: they leave with one system call.
pub(super) const BATCH: usize = 64;

/// Datagrams that wait in all queues together.
const POOL: usize = 1_024;

/// The end of a list.
const END: u32 = u32::MAX;

/// A buffer of the pool: how long its datagram is, and which comes after it in its list.
#[derive(Clone, Copy)]
struct Place {
    next: u32,
    bytes: u16,
}

/// A list of places, in order.
#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    len: u32,
}

const EMPTY: List = List { first: END, last: END, len: 0 };

pub(super) struct Queues {
    buffers: Fixed<Buffer>,
    places: Box<[Place]>,
    free: u32,
    lists: Box<[List]>,
    /// Sockets in the order in which they got the first datagram of their queue. One that was sent since
    /// may stand here with an empty queue, or twice.
    waiting: Vec<u32>,
}

impl Queues {
    pub(super) fn new(sockets: usize) -> Queues {
        let next = |i: usize| if i + 1 < POOL { i as u32 + 1 } else { END };
        Queues {
            buffers: Fixed::new(Buffer::EMPTY, POOL),
            places: (0..POOL).map(|i| Place { next: next(i), bytes: 0 }).collect(),
            free: 0,
            lists: vec![EMPTY; sockets].into_boxed_slice(),
            waiting: Vec::with_capacity(POOL),
        }
    }

    /// Whether one more datagram can be queued.
    pub(super) fn has_room(&self) -> bool {
        self.free != END && self.waiting.len() < POOL
    }

    /// Queues a datagram; whether that queue is full now.
    pub(super) fn push(&mut self, socket: usize, bytes: &[u8]) -> bool {
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX, "longer than a datagram");
        let list = &mut self.lists[socket];
        let at = self.free;
        let place = &mut self.places[at as usize];
        self.free = place.next;
        *place = Place { next: END, bytes: bytes.len() as u16 };
        self.buffers.get_mut(at as usize).0[..bytes.len()].copy_from_slice(bytes);
        if list.len == 0 {
            list.first = at;
            self.waiting.push(socket as u32);
        } else {
            self.places[list.last as usize].next = at;
        }
        list.last = at;
        list.len += 1;
        list.len as usize == BATCH
    }

    /// The socket that got its first datagram as the `nth`, if there is one.
    pub(super) fn waiting(&self, nth: usize) -> Option<usize> {
        self.waiting.get(nth).map(|&socket| socket as usize)
    }

    /// All that waited was sent.
    pub(super) fn all_sent(&mut self) {
        self.waiting.clear();
    }

    /// The datagrams of a socket's queue, in order: first byte and length. The pointers hold until
    /// [`Queues::push`] is called after [`Queues::sent`].
    pub(super) fn datagrams(&self, socket: usize) -> impl Iterator<Item = (*mut u8, usize)> {
        let mut at = self.lists[socket].first;
        std::iter::from_fn(move || {
            let place = self.places.get(at as usize)?;
            let first = self.buffers.pointer(at as usize).cast();
            at = place.next;
            Some((first, usize::from(place.bytes)))
        })
    }

    /// Empties a socket's queue.
    pub(super) fn sent(&mut self, socket: usize) {
        let list = std::mem::replace(&mut self.lists[socket], EMPTY);
        if list.len > 0 {
            self.places[list.last as usize].next = self.free;
            self.free = list.first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(queues: &Queues, socket: usize) -> Vec<usize> {
        queues.datagrams(socket).map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn queues_of_several_sockets_do_not_mix() {
        let mut queues = Queues::new(2);
        for (socket, bytes) in [(1, 5), (0, 6), (1, 7)] {
            assert!(!queues.push(socket, &[0; 64][..bytes]));
        }
        assert_eq!((lengths(&queues, 0), lengths(&queues, 1)), (vec![6], vec![5, 7]));
        assert_eq!((queues.waiting(0), queues.waiting(1), queues.waiting(2)), (Some(1), Some(0), None));
    }

    #[test]
    fn a_queue_is_full_with_a_batch_and_the_pool_with_its_buffers() {
        let mut queues = Queues::new(POOL);
        for _ in 1..BATCH {
            assert!(!queues.push(0, &[1]));
        }
        assert!(queues.push(0, &[1]));
        queues.sent(0);
        queues.sent(0);
        assert!(lengths(&queues, 0).is_empty());
        queues.all_sent();
        for socket in 0..POOL {
            assert!(queues.has_room());
            queues.push(socket, &[1]);
        }
        assert!(!queues.has_room());
        queues.sent(17);
        queues.all_sent();
        assert!(queues.has_room());
    }
}
