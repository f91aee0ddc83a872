//! Datagrams that a capture holds twice because it was made where they went out and came in.
//!
//! On the interface "any", a datagram between two sockets of one machine is captured when it goes out and again when it
//! comes in; the cooked header says which is which. A record that came in is the second half of a pair if the same
//! datagram, by ports, length and first frame's header and tag, went out shortly before. Nothing else is ever taken
//! for doubled: datagrams that the network doubles are seen as duplicates, by their seq.

use crate::datagram::Datagram;
use crate::link::Way;

/// Datagrams that are remembered; a newer one takes the place of an older one with the same hash's low bits.
const PLACES: usize = 1 << 14;

/// Between the halves of a pair.
const APART_NS_MAX: u64 = 100_000_000;

/// The datagrams that went out lately.
#[derive(Default)]
pub struct Doubled {
    /// Hash and time; 0: none.
    went_out: Vec<(u64, u64)>,
}

impl Doubled {
    /// Whether this datagram has already been seen as it went out.
    #[inline]
    pub fn is_second(&mut self, datagram: &Datagram, payload: &[u8]) -> bool {
        if datagram.way == Way::Unknown {
            return false;
        }
        if self.went_out.is_empty() {
            self.went_out = vec![(0, 0); PLACES];
        }
        let hash = hash(datagram, payload);
        let place = &mut self.went_out[(hash >> 32) as usize % PLACES];
        if datagram.way == Way::Outgoing {
            *place = (hash, datagram.time_ns);
            return false;
        }
        let is_second = place.0 == hash && datagram.time_ns.abs_diff(place.1) <= APART_NS_MAX;
        if is_second {
            *place = (0, 0);
        }
        is_second
    }
}

/// Of what tells datagrams apart: ports, length, the first 16 bytes, and the tag of the first frame.
fn hash(datagram: &Datagram, payload: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |at: usize| {
        payload
            .get(at..at + 8)
            .map_or(0, |bytes| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    };
    let ports = u64::from(datagram.from.port) << 32 | u64::from(datagram.to.port) << 16;
    let words = [ports, payload.len() as u64, word(0), word(8), word(48), word(56)];
    words.iter().fold(1, |hash, word| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29))
}
