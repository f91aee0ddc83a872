//! A worker: one thread, one engine, the SETs of its groups, and nothing shared with the others.

#![forbid(unsafe_code)]

mod clock;
mod front;
mod gather;
mod hardware;
mod load;
mod panics;
mod run;
mod snapshot;

pub use clock::Clock;
pub use hardware::ThisProcessor;
pub use run::{Command, Idle, Own, Worker, WorkerHandle, WorkerHangs, WorkerOptions, start};
pub use snapshot::{GroupSnapshot, SetSnapshot, WorkerSnapshot};
