//! A disk that fails under a journal.

use super::super::{Journal, JournalOptions};
use super::{commit, mint, open, read, wait_for, writer};
use crate::ledger::Ledger as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

/// Appends until the journal fails; how many rows it called durable.
fn append_until_failed(journal: &mut Journal) -> u64 {
    while !journal.has_failed() {
        if journal.room() > 0 {
            journal.append(&mint(journal.last_row() + 1, 5));
        }
        journal.flush();
    }
    journal.durable_row()
}

/// Expect: the group whose file may not grow fails for good and says so, what was durable stays, its ring takes
/// rows without harm; the other group goes on; and after the rebuild this one does too.
#[test]
fn a_journal_that_fails_is_rebuilt_while_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut other = ledger.journal(1, ledger.found()[1].tip, JournalOptions::default(), || {}).unwrap();
    let limited = writer(&ledger, 0);
    limited.connection().pragma_update(None, "max_page_count", 40).unwrap();
    let (tell, told) = mpsc::channel();
    let options = JournalOptions { rows_waiting_max: 64, ..JournalOptions::default() };
    let on_durable = move || tell.send(()).unwrap();
    let mut journal = Journal::start(limited, options, on_durable).unwrap();
    let durable = append_until_failed(&mut journal);
    // This ends when the thread does, and nobody is told anything any more.
    assert!(told.iter().count() > 0);
    let last = journal.last_row();
    (0..100).for_each(|_| _ = journal.append(&mint(1, 5)));
    journal.flush();
    assert!(durable > 0 && journal.durable_row() == durable && journal.last_row() == last + 100);
    other.append(&mint(1, 5));
    other.flush();
    wait_for(&mut other, 1);
    assert!(!other.has_failed());

    drop(journal);
    let (rows, tip) = read(dir.path(), 0);
    assert!(tip.rows >= durable);
    assert!(rows.iter().zip(1..).all(|((row, _), packet)| row.packet == packet));
    let mut rebuilt = ledger.journal(0, tip, JournalOptions::default(), || {}).unwrap();
    assert_eq!(rebuilt.append(&mint(7, 5)), tip.rows + 1);
    rebuilt.flush();
    wait_for(&mut rebuilt, tip.rows + 1);
    assert!(!rebuilt.has_failed());
}

/// A small file system of its own; gone when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this is not allowed.
    fn mount(at: &Path) -> Option<SmallDisk> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "redpkt-test"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Expect: on a full disk the journal fails, what was durable can be read although the disk is still full, and when
/// there is room again it goes on.
#[test]
fn a_full_disk_fails_the_journal_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(dir.path()) else {
        eprintln!("passed over: only root can mount a small disk");
        return;
    };
    let dir = dir.path().join("ledger");
    let ledger = open(&dir);
    let filler = dir.parent().unwrap().join("filler");
    std::fs::write(&filler, vec![0; 1_200_000]).unwrap();
    let mut journal = ledger.journal(0, ledger.found()[0].tip, JournalOptions::default(), || {}).unwrap();
    let durable = append_until_failed(&mut journal);
    assert!(durable > 0);
    drop(journal);
    assert!(read(&dir, 0).1.rows >= durable);
    assert!(ledger.reader(1).is_ok());
    std::fs::remove_file(&filler).unwrap();
    let (_, tip) = read(&dir, 0);
    let mut rebuilt = ledger.writer(0, tip).unwrap();
    assert_eq!(commit(&mut rebuilt, 1..2).rows, tip.rows + 1);
}
