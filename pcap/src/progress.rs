//! How far the reading of a long file is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// After how long it is shown.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// Batches between two looks at the clock.
const BATCHES: u32 = 64;

/// A bar that is shown only where it helps.
pub struct Progress {
    /// Bytes of the file, on a terminal.
    len: Option<u64>,
    began: Instant,
    batches: u32,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For a file of so many bytes, where that is known.
    pub fn new(len: Option<u64>) -> Progress {
        let len = len.filter(|_| stderr().is_terminal());
        Progress { len, began: Instant::now(), batches: 0, bar: None }
    }

    /// So many bytes were read.
    pub fn at(&mut self, bytes: u64) {
        let Some(len) = self.len else { return };
        self.batches += 1;
        if !self.batches.is_multiple_of(BATCHES) {
            return;
        }
        if self.bar.is_none() && self.began.elapsed() >= QUIET_TIME {
            let style =
                ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta}")
                    .expect("a constant template that is valid");
            self.bar = Some(ProgressBar::new(len).with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// It is over.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
