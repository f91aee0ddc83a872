//! Histograms as files, in the two formats of HdrHistogram that its viewers read.
//!
//! | file | what |
//! |---|---|
//! | `log` | interval logs: for each second a line with its whole histogram |
//! | `text` | percentile text, written and read back |
//! | `unit` | what a value means: neither format says it, so ours do in a comment |

use hdrhistogram::Histogram;

pub mod log;
pub mod text;
pub mod unit;

/// The most values of one file, and the longest of them in ns (104 days): up to here an `f64` counts exactly.
pub const MOST: u64 = 1 << 53;

/// An empty histogram of ns: 3 digits, up to a minute, values below 64 ns all alike.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("constant bounds that are valid")
}
