//! The control plane: starts the workers, watches them, speaks HTTP, and stops them. One thread, off the
//! data path.

#![forbid(unsafe_code)]

mod alarms;
mod ask;
mod check_order;
mod clearing;
mod conservation;
mod desk;
mod http;
mod http_orders;
mod http_page;
mod http_sets;
mod io;
mod metrics;
mod order_values;
mod orders;
mod payments;
mod rates;
mod rebuild;
mod recover;
mod server;
mod service;
mod sets;
mod settings;
mod shared;
mod stats;
#[cfg(test)]
mod tests;

pub use check_order::{OrderError, check_order};
pub use conservation::Conservation;
pub use desk::Refused;
pub use http::{
    HttpSettings, guarded as http_guarded, serve as http_serve, serve_router as http_serve_router,
};
pub use io::Io;
pub use order_values::{At, parse_at, parse_fen_range};
pub use rates::Rates;
pub use rebuild::{RebuildError, Rebuilt};
pub use recover::RecoverError;
pub use server::{Server, StartError, os_seeded_rng};
pub use service::{ServiceError, read_table};
pub use settings::{FEN_IN_ALL_MAX, Settings, Totals};
pub use shared::Shared;
pub use stats::Stats;
