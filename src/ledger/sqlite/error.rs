//! What can be wrong with a ledger on disk: one line each, that says what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why a ledger cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A ledger's URL that is none.
    #[error("{0}: expected sqlite:DIR or memory:")]
    Url(String),
    /// There is no ledger at this place.
    #[error("{}: there is no ledger ({why}); `redpkt serve --ledger sqlite:{0}` makes one", .dir.display())]
    Missing {
        /// The directory that was named.
        dir: PathBuf,
        /// What is there instead.
        why: String,
    },
    /// A place where no ledger can be made.
    #[error("{}: no ledger can be made here: {why}", .dir.display())]
    Place {
        /// The directory that was named.
        dir: PathBuf,
        /// What is there instead, and what to do.
        why: String,
    },
    /// Another server runs on this ledger.
    #[error("{}: a server runs on this ledger{}; stop it, or name another directory", .lock.display(), .process.map_or(String::new(), |process| format!(" (process {process})")))]
    Locked {
        /// The file that it holds locked.
        lock: PathBuf,
        /// Which process it is, if it has said so.
        process: Option<u32>,
    },
    /// A file that is not one of a ledger, or not one of this ledger.
    #[error("{}: {why}", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Why it is not.
        why: String,
    },
    /// The ledger was made with another `--machine`, `--sets` or `--groups`.
    #[error("{}: the ledger was made with {option} {made}, not {asked}; start with {option} {made}, or name another directory", .file.display())]
    Identity {
        /// A file that says so.
        file: PathBuf,
        /// The option to set.
        option: &'static str,
        /// What the ledger was made with.
        made: u64,
        /// What was asked for.
        asked: u64,
    },
    /// The journal of a group is not there, those of others are.
    #[error("{}: it is missing, and the journals of other groups are there; put it back from where it went, or from a backup of the whole directory", .0.display())]
    MissingGroup(PathBuf),
    /// A journal is not as it was written.
    #[error("{}: damaged: {why}; nothing was changed; keep a copy, and put back a backup of the whole directory", .file.display())]
    Damaged {
        /// The journal.
        file: PathBuf,
        /// What is wrong, and with which row or commit.
        why: String,
    },
    /// Another program keeps the journal busy.
    #[error("{}: another program reads an old state of it or writes to it; end it (a sqlite3 shell in a transaction, a backup), then try again", .0.display())]
    Busy(PathBuf),
    /// So much money moves between the groups that no moment was found at which all journals agree.
    #[error("{}: so much moves between the groups that no moment was found to read them all; try again when there is less load", .0.display())]
    Unsteady(PathBuf),
    /// SQLite cannot do it.
    #[error("{}: cannot {doing}: {source}", .file.display())]
    Sqlite {
        /// The journal.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file system cannot do it.
    #[error("{}: cannot {doing}: {source}", .path.display())]
    Io {
        /// What was to be worked on.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

impl LedgerError {
    /// Whether what the user wrote is to be changed, rather than the machine or the files: exit code 2.
    pub fn is_usage(&self) -> bool {
        use LedgerError::{Identity, Missing, Place, Url};
        matches!(self, Url(_) | Missing { .. } | Place { .. } | Identity { .. })
    }

    /// Wraps what SQLite says, where it is not about damage.
    pub(super) fn sqlite(file: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
        move |source| match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                LedgerError::Damaged { file: file.to_owned(), why: source.to_string() }
            }
            Some(DatabaseBusy) => LedgerError::Busy(file.to_owned()),
            _ => LedgerError::Sqlite { file: file.to_owned(), doing, source },
        }
    }

    /// Wraps what the kernel says.
    pub(super) fn io(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> LedgerError {
        move |source| LedgerError::Io { path: path.to_owned(), doing, source }
    }

    pub(super) fn damaged(file: &Path, why: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { file: file.to_owned(), why: why.into() }
    }
}
