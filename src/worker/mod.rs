//! A worker: one thread, one engine, the SETs of its groups, and nothing shared with the others.

mod clock;
mod front;
mod hardware;
mod load;
mod run;
mod snapshot;

pub use clock::Clock;
pub use hardware::ThisProcessor;
pub use run::{Command, Idle, Worker, WorkerHandle, WorkerHangs, WorkerOptions, start};
pub use snapshot::{SetSnapshot, WorkerSnapshot};
