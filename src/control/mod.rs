//! The control plane: starts the workers, watches them, speaks HTTP, and stops them. One thread, off the
//! data path.

mod alarms;
mod http;
mod orders;
mod rates;
mod server;
mod settings;
mod stats;

pub use http::HttpSettings;
pub use server::{Server, Shared, StartError, os_seeded_rng, serve_http};
pub use settings::{MintSettings, Settings, Totals};
pub use stats::Stats;
