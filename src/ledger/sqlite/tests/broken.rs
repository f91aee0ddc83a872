//! Journals that are not as they were written: refused with one line, and not touched.

use super::super::{Directory, LedgerError};
use super::{CREATED_WALL_MS, TWO_GROUPS, commit, open, try_read, writer};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A ledger with some commits in group 0, closed.
fn ledger() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut writer = writer(&ledger, 0);
    (0..3).for_each(|at| _ = commit(&mut writer, at * 500 + 1..at * 500 + 501));
    let file = dir.path().join("group-0.sqlite");
    (dir, file)
}

/// What opening as a server, and then reading, says; no journal has changed by it.
fn refusal(dir: &Path) -> String {
    let journals = || -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let is_journal =
            |file: &PathBuf| file.extension().is_some_and(|end| end == "sqlite" || end == "sqlite-wal");
        let full =
            |file: PathBuf| fs::read(&file).ok().filter(|bytes| !bytes.is_empty()).map(|bytes| (file, bytes));
        files.filter(is_journal).filter_map(full).collect()
    };
    let before = journals();
    let opened = Directory::open(dir, TWO_GROUPS, CREATED_WALL_MS);
    let error = opened.err().or_else(|| try_read(dir, 0).err()).expect("it is refused").to_string();
    assert!(!error.contains('\n'), "{error}");
    assert!(journals() == before, "nothing has changed");
    error
}

/// Expect: whatever is changed in rows or commits is found and named.
#[test]
fn changed_rows_and_commits_are_found() {
    for (change, expected) in [
        (
            "UPDATE journal SET fen = 6 WHERE row = 700",
            "commit 2, rows 501 to 1000: the hash of the chain does not match",
        ),
        (
            "UPDATE journal SET note = 'x' WHERE row = 1",
            "commit 1, rows 1 to 500: the hash of the chain does not match",
        ),
        ("UPDATE journal SET note = '' WHERE row = 1", "row 1: its note is no text"),
        ("UPDATE journal SET fen = -1 WHERE row = 7", "row 7: -1 fen are below zero"),
        ("UPDATE journal SET kind = 77 WHERE row = 7", "row 7: 77 is no kind of row"),
        ("UPDATE journal SET credit = 9 WHERE row = 7", "row 7: credit 9 with id 7 is no account"),
        ("DELETE FROM journal WHERE row = 7", "row 7 is missing; 8 follows"),
        ("DELETE FROM journal WHERE row = 1500", "row 1500 of commit 3 is missing"),
        ("DELETE FROM journal WHERE row > 1000", "row 1001 of commit 3 is missing"),
        ("DELETE FROM commits WHERE number = 3", "row 1001 belongs to no commit"),
        ("DELETE FROM commits WHERE number = 1", "commit 1 is missing or empty"),
        ("UPDATE commits SET rows = 0 WHERE number = 1", "commit 1 is missing or empty"),
        ("UPDATE commits SET hash = x'00' WHERE number = 2", "commit 2, rows 501 to 1000: the hash"),
        ("UPDATE commits SET wall_ms = 1 WHERE number = 3", "commit 3, rows 1001 to 1500: the hash"),
        ("UPDATE commits SET rows = 501 WHERE number = 1", "commit 1, rows 1 to 500: the hash"),
        ("DELETE FROM meta WHERE name = 'sets'", "`meta` has no sets"),
        ("UPDATE meta SET value = 0 WHERE name = 'groups'", "`meta` makes no sense"),
        ("UPDATE meta SET value = 1 WHERE name = 'created_wall_ms'", "they were not made together"),
        (
            "CREATE INDEX by_user ON journal(user)",
            "its tables, indexes or triggers are not those of a journal",
        ),
        ("DROP TABLE commits", "its tables, indexes or triggers are not those of a journal"),
    ] {
        let (dir, file) = ledger();
        Connection::open(&file).unwrap().execute_batch(change).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains(expected) && error.contains("group-"), "{change}: {error}");
    }
}

/// Expect: what is no journal is said to be none, and no server makes it one.
#[test]
fn files_that_are_no_journals_are_refused() {
    for (bytes, expected) in [
        (b"".as_slice(), "it is empty"),
        (b"hello", "it is no SQLite file"),
        (&[7; 5_000], "it is no SQLite file"),
    ] {
        let (dir, file) = ledger();
        fs::write(&file, bytes).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains(expected), "{error}");
    }
    for (change, expected) in [
        ("PRAGMA application_id = 5", "its application_id is 0x00000005, a journal of redpkt has 0x72706b74"),
        (
            "PRAGMA user_version = 2",
            "its format is 2 and this version of redpkt knows 1; use the version that wrote it",
        ),
        ("PRAGMA user_version = 0", "its format is 0"),
    ] {
        let (dir, file) = ledger();
        Connection::open(&file).unwrap().execute_batch(change).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains(expected), "{error}");
    }
}

/// Expect: a file that was cut off is refused wherever it was cut.
#[test]
fn a_file_that_was_cut_is_refused() {
    let (dir, file) = ledger();
    let whole = fs::read(&file).unwrap();
    for bytes in (1..whole.len()).step_by(whole.len() / 40) {
        fs::write(&file, &whole[..bytes]).unwrap();
        let error = refusal(dir.path());
        assert!(error.contains("group-0.sqlite"), "{bytes}: {error}");
    }
}

/// Expect: a page of zeros, or one that was swapped with another, is found.
#[test]
fn changed_pages_are_found() {
    let (dir, file) = ledger();
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / 4_096;
    for page in 1..pages {
        let mut changed = whole.clone();
        changed[page * 4_096..][..4_096].fill(0);
        fs::write(&file, &changed).unwrap();
        // Which page it is decides who finds it: SQLite, the tables, or the chain.
        let error = refusal(dir.path());
        assert!(error.contains("group-0.sqlite"), "page {page}: {error}");
    }
}

/// Expect: journals that do not belong together are not opened together.
#[test]
fn swapped_and_foreign_journals_are_refused() {
    let (dir, file) = ledger();
    fs::copy(dir.path().join("group-1.sqlite"), &file).unwrap();
    let error = refusal(dir.path());
    assert!(
        error.contains("it is the journal of group 1; put every file back under its own name"),
        "{error}"
    );

    let (dir, file) = ledger();
    let other = tempfile::tempdir().unwrap();
    drop(Directory::open(other.path(), TWO_GROUPS, CREATED_WALL_MS + 1).unwrap());
    fs::copy(other.path().join("group-0.sqlite"), &file).unwrap();
    let error = refusal(dir.path());
    assert!(error.contains("they were not made together"), "{error}");
    assert!(matches!(super::Reader::open_all(dir.path()), Err(LedgerError::Foreign { .. })));
}
