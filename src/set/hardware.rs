//! What the core asks of the processor beyond plain code. The worker brings the fast version; everything
//! has a portable one, with the same result.

use redpkt_proto::Frame;
use redpkt_proto::seal::{self, SessionKey};

/// Frames that are sealed or opened in one go.
pub const LANES: usize = 4;

/// A processor.
pub trait Hardware: Copy {
    /// Asks for all cache lines of `value`.
    fn prefetch<T>(self, _value: &T) {}

    /// Seals each frame under the key beside it.
    fn seal(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) {
        keys.iter().zip(frames).for_each(|(key, frame)| seal::seal(key, frame));
    }

    /// Opens each frame under the key beside it; whether each was authentic.
    fn open(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) -> [bool; LANES] {
        std::array::from_fn(|lane| seal::open(keys[lane], &mut frames[lane]).is_ok())
    }
}

/// Any processor.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Hardware for Portable {}
