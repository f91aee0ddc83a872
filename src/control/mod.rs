//! The control plane: starts the workers, watches them, speaks HTTP, and stops them. One thread, off the
//! data path.

#![forbid(unsafe_code)]

mod alarms;
mod http;
mod orders;
mod rates;
mod server;
mod settings;
mod stats;

pub use http::{HttpSettings, serve as http_serve};
pub use rates::Rates;
pub use server::{Server, Shared, StartError, os_seeded_rng};
pub use settings::{FEN_IN_ALL_MAX, Settings, Totals};
pub use stats::Stats;
