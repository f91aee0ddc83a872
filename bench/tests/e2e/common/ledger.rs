//! A ledger on disk, and its audit.

use super::run_to_end;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A place for a ledger, removed with it.
pub struct Ledger {
    dir: TempDir,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// For `--ledger`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// The directory with the journals.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// A directory beside it.
    pub fn beside(&self) -> &Path {
        self.dir.path()
    }

    /// Audits it, which must find nothing.
    pub fn audit(&self) -> Value {
        let (code, stdout, stderr) = run_to_end(&["audit", "--json", "--ledger", &self.url()]);
        assert_eq!(code, 0, "{stdout}{stderr}");
        let report: Value = serde_json::from_str(&stdout).expect("a report");
        assert_eq!(report["ok"], true, "{report:#}");
        report
    }
}
