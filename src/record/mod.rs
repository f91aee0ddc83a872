//! What a server, its clients and their machines count, second by second: kept, compared, read back.
//!
//! | file | what |
//! |---|---|
//! | `sample` | one moment: the totals of all sources |
//! | `server`, `client` | what of a source's `/stats.json` is kept |
//! | `counts` | everything that only grows, under one list of names |
//! | `delta` | how much a counter has grown, also when its process began anew or it has wrapped |
//! | `differences` | what a source and its machine counted between two readings |
//! | `second`, `gauges` | what happened between two moments, all sources together |
//! | `series` | moments in, seconds and sums out |
//! | `dir` | a run's directory: written while it runs, read back afterwards |
//!
//! No I/O but files; `watch` asks the sources.

#![forbid(unsafe_code)]

mod client;
mod counts;
mod delta;
mod differences;
mod dir;
mod gauges;
mod sample;
mod second;
mod series;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientReading, Opens as ClientOpens, Shakes as ClientShakes};
pub use counts::{Count, Counts};
pub use dir::{FORMAT, ReadError, Recorded, Recorder, Run, read};
pub use sample::{Reading, Sample, Source};
pub use second::{Gauges, Losses, Second, Spread, Waits, WorkerGauge};
pub use series::Series;
pub use server::{
    ConservationReading, GroupReading, Invites, IoReading, LedgerReading, Opens, Orders, ServerReading,
    ServiceReading, SetStates, Shakes, Stall, Stalls, WorkerReading,
};
