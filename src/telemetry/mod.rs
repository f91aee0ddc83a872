//! What is told about a running server: figures that workers publish, logs, and the process's own state.

#![forbid(unsafe_code)]

mod cgroup;
mod cipher;
pub mod latencies;
mod log;
pub mod machine;
mod process;
mod published;
mod recorder;

pub use cgroup::cpu_quota_cores;
pub use cipher::{SEALING_COST_IN_HASHES_MAX, sealing_cost_in_hashes};
pub use log::{LogOptions, OncePerMinute, init_log};
pub use process::{memory_available_bytes, resident_bytes, wall_ms};
pub use published::Published;
pub use recorder::Recorder;
