//! The control plane: starts the workers, watches them, speaks HTTP, and stops them. One thread, off the
//! data path.

mod http;
mod orders;
mod rates;
mod server;
mod settings;
mod stats;

pub use http::HttpSettings;
pub use server::{Server, StartError};
pub use settings::{MintSettings, Settings};
pub use stats::Stats;
