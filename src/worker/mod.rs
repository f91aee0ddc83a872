//! A worker: one thread, one engine, the SETs of its groups, and nothing shared with the others.

#![forbid(unsafe_code)]

mod admission;
mod clock;
mod front;
mod gather;
mod hardware;
mod latency;
mod load;
mod measuring;
mod panics;
mod relay;
mod run;
mod service;
mod snapshot;
mod stalls;

pub use clock::Clock;
pub use hardware::ThisProcessor;
pub use latency::WorkerLatencies;
pub use run::{Command, Idle, Own, PUBLISHED_EVERY, Worker, WorkerHandle, WorkerHangs, WorkerOptions, start};
pub use service::{LEVELS_MAX, Level, Plan, Standing, Switch, Switches};
pub use snapshot::{GroupSnapshot, SetSnapshot, WorkerSnapshot};
pub use stalls::{Cause, LONGEST, STALL_NS, Stall, Stalls};
