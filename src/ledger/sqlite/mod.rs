//! `sqlite:DIR`: the ledger on disk, a journal per group, each an append-only table in an SQLite file.
//!
//! `DIR/group-N.sqlite` is the journal of group N; `DIR/lock` is held locked by a running server. Whatever
//! reads may read at any time; whatever is not as it was written is refused and not repaired.

mod backup;
mod chain;
mod checkpoint;
mod clearing;
mod columns;
mod directory;
mod error;
mod export;
mod file;
mod journal;
mod lock;
mod reader;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod wal;
mod writer;

pub use backup::backup;
pub use chain::Tip;
pub use directory::{Directory, Found};
pub use error::LedgerError;
pub use export::Export;
pub use file::Identity;
pub use journal::{Journal, JournalOptions};
pub use lock::is_running;
pub use reader::Reader;
pub use writer::Writer;

use std::path::PathBuf;

/// The directory that a ledger's URL names; `None` for `memory:`.
pub fn dir_of(url: &str) -> Result<Option<PathBuf>, LedgerError> {
    match url.split_once(':') {
        Some(("sqlite", dir)) if !dir.is_empty() => Ok(Some(dir.into())),
        Some(("memory", "")) => Ok(None),
        _ => Err(LedgerError::Url(url.to_owned())),
    }
}
