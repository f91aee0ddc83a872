//! `--ledger` of the commands that read a ledger.

use super::Failure;
use crate::ledger::sqlite::{LedgerError, dir_of};
use std::path::PathBuf;

/// The directory of a ledger that is to be read.
pub fn parse(url: &str) -> Result<PathBuf, Failure> {
    match dir_of(url) {
        Ok(Some(dir)) => Ok(dir),
        Ok(None) => Err(Failure::usage(format!(
            "--ledger {url}: it is gone with its server; name a ledger on disk, sqlite:DIR"
        ))),
        Err(error) => Err(failure(&error)),
    }
}

/// How a command ends that cannot read a ledger: what was named is no ledger (2), the ledger is not what it
/// was (1), or the machine refused (3).
pub fn failure(error: &LedgerError) -> Failure {
    let message = format!("--ledger: {error}");
    match error {
        error if error.is_usage() => Failure::usage(message),
        LedgerError::Foreign { .. } => Failure::usage(message),
        error if is_difference(error) => Failure::check(message),
        _ => Failure::machine(message),
    }
}

/// Whether the ledger is not as it was written.
pub fn is_difference(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Damaged { .. } | LedgerError::MissingGroup(_))
}
