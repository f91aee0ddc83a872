//! What a running server writes down of its own traffic: datagrams into a capture file, keys into a key log.
//!
//! | file | what |
//! |---|---|
//! | `sample` | whose datagrams are taken |
//! | `tap` | a worker's end of the ring that takes them |
//! | `tapped` | an engine with a tap: the worker knows nothing of it, and an engine without one is as it was |
//! | `writer` | the thread that writes |
//! | `files` | the files: where they begin, how a datagram looks in one |
//! | `pcap_writer` | the form of a capture file |
//!
//! A worker copies a datagram into a ring and goes on. What finds no room there is not written, and counted.

#![forbid(unsafe_code)]

mod files;
mod pcap_writer;
mod sample;
mod tap;
mod tapped;
mod writer;

pub use files::CaptureError;
pub use pcap_writer::{PcapWriter, SNAP_BYTES};
pub use sample::Sample;
pub use tap::Tap;
pub use tapped::Tapped;
pub use writer::{Capture, CaptureCounters, CaptureStats, WorkerEnds};

use std::path::PathBuf;

/// What is written, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSettings {
    /// The capture file; `None` for none.
    pub pcap: Option<PathBuf>,
    /// Whose datagrams are in it.
    pub sample: Sample,
    /// The key log; `None` for none.
    pub keylog: Option<PathBuf>,
}

impl CaptureSettings {
    /// Whether nothing is written.
    pub fn is_off(&self) -> bool {
        self.pcap.is_none() && self.keylog.is_none()
    }
}

/// Which way a datagram went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    In,
    /// From the server.
    Out,
}
