//! A worker: one thread, one engine, the SETs of its groups, and nothing shared with the others.

#![forbid(unsafe_code)]

mod admission;
mod clock;
mod front;
mod gather;
mod hardware;
mod load;
mod panics;
mod relay;
mod run;
mod service;
mod snapshot;

pub use clock::Clock;
pub use hardware::ThisProcessor;
pub use run::{Command, Idle, Own, Worker, WorkerHandle, WorkerHangs, WorkerOptions, start};
pub use service::{LEVELS_MAX, Level, Plan, Standing, Switch, Switches};
pub use snapshot::{GroupSnapshot, SetSnapshot, WorkerSnapshot};
