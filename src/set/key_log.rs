//! The keys of new sessions on their way to a key log, where one is wanted.

use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::seal::SessionKey;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A core's end of a ring to whoever writes the key log.
pub struct KeyLog {
    ring: Producer<LoggedKey>,
    lost: Arc<AtomicU64>,
}

impl KeyLog {
    /// A ring for so many keys, and its other end. What finds no room is counted in `lost`.
    pub fn new(capacity: usize, lost: Arc<AtomicU64>) -> (KeyLog, Consumer<LoggedKey>) {
        let (ring, keys) = RingBuffer::new(capacity);
        (KeyLog { ring, lost }, keys)
    }

    /// Hands on the key of a session that begins.
    pub(super) fn log(&mut self, user: u64, session_number: u32, key: &SessionKey) {
        if self.ring.push(LoggedKey { user, session_number, key: key.clone() }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
