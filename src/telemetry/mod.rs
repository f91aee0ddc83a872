//! What is told about a running server: figures that workers publish, logs, and the process's own state.

mod log;
mod process;
mod published;

pub use log::{LogOptions, OncePerMinute, init_log};
pub use process::{memory_available_bytes, resident_bytes};
pub use published::Published;
