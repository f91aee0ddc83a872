//! Histograms as files, in the two formats of HdrHistogram that its viewers read.
//!
//! | file | what |
//! |---|---|
//! | `log` | interval logs: for each second a line with its whole histogram |
//! | `text` | percentile text, read back; [`write_hgrm`](crate::run::write_hgrm) writes it |
//! | `unit` | what a value means: neither format says it, so ours do in a comment |

pub mod log;
pub mod text;
pub mod unit;

/// The most values of one file, and the longest of them in ns (104 days): up to here an `f64` counts exactly.
pub const MOST: u64 = 1 << 53;
