//! This processor, for the core: its prefetch, and its wide registers where it has them.

use crate::net::lanes::Lanes;
use crate::net::prefetch_read;
use crate::set::{Hardware, LANES, Portable};
use redpkt_proto::Frame;
use redpkt_proto::seal::SessionKey;

/// What the processor that this runs on can do.
#[derive(Clone, Copy, Debug)]
pub struct ThisProcessor {
    lanes: Option<Lanes>,
}

impl ThisProcessor {
    /// Asks the processor.
    pub fn detect() -> ThisProcessor {
        ThisProcessor { lanes: Lanes::detect() }
    }
}

impl Hardware for ThisProcessor {
    #[inline]
    fn prefetch<T>(self, value: &T) {
        prefetch_read(value);
    }

    #[inline]
    fn seal(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) {
        match self.lanes {
            Some(lanes) => lanes.seal(keys, frames),
            None => Portable.seal(keys, frames),
        }
    }

    #[inline]
    fn open(self, keys: &[&SessionKey; LANES], frames: &mut [Frame; LANES]) -> [bool; LANES] {
        match self.lanes {
            Some(lanes) => lanes.open(keys, frames),
            None => Portable.open(keys, frames),
        }
    }
}
