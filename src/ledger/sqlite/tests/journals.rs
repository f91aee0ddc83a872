//! What was written is what is read; and what a journal promises its worker.

use super::super::{Identity, JournalOptions, LedgerError, Reader, backup};
use super::{CREATED_WALL_MS, TWO_GROUPS, any_row, commit, mint, open, read, try_read, wait_for, writer};
use crate::ledger::{Account, Kind, Ledger as _, Row};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Expect: rows and notes come back as they were written, whatever their numbers are, and the chain's end
    /// is the same for the writer and the reader, also when it goes on after a restart.
    #[test]
    fn rows_come_back_as_they_were_written(
        commits in prop::collection::vec(prop::collection::vec((any_row(), prop::option::of(".{1,40}")), 1..9), 1..9)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut written = Vec::new();
        for commit in commits {
            let tip = writer(&open(dir.path()), 1)
                .commit(commit.iter().map(|(row, note)| (row, note.as_deref())))
                .unwrap();
            written.extend(commit);
            prop_assert_eq!(read(dir.path(), 1), (written.clone(), tip));
        }
    }
}

/// Expect: the same rows give another hash in another group, because whose journal it is goes into the chain.
#[test]
fn groups_have_chains_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let tips = [0, 1].map(|group| commit(&mut writer(&ledger, group), 1..2));
    assert_eq!(tips[0].rows, tips[1].rows);
    assert_ne!(tips[0].hash, tips[1].hash);
}

/// Expect: the chain is the one that docs/LEDGER.md describes, byte for byte.
#[test]
fn the_chain_is_as_described() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let le = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let Identity { machine, sets, groups } = TWO_GROUPS;
    let genesis = blake3::hash(&le(&[machine.into(), sets.into(), groups.into(), 1, CREATED_WALL_MS]));
    let row = Row { user: u64::MAX, other: 9, ..mint(3, 5) };
    let tip = writer(&ledger, 1).commit([(&row, Some("ü"))]).unwrap();
    let mut bytes = genesis.as_bytes().to_vec();
    bytes.extend(le(&[1, 1, 1, row.wall_ms]));
    bytes.extend(le(&[1, row.wall_ms, 2, 0, 0, 1, 3, 5, u64::MAX, 1, 3, 9, 1, 2]));
    bytes.extend("ü".as_bytes());
    assert_eq!(tip.hash, *blake3::hash(&bytes).as_bytes());
}

/// Expect: what is handed in becomes durable in order, the worker is waked, and what a reader finds then is
/// all of it; the rest is committed when the journal is dropped, which leaves plain files.
#[test]
fn rows_become_durable_and_the_rest_is_committed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let wakes = Arc::new(AtomicU64::new(0));
    let waked = Arc::clone(&wakes);
    let on_durable = move || _ = waked.fetch_add(1, Ordering::Relaxed);
    let mut journal =
        ledger.journal(0, ledger.found()[0].tip, JournalOptions::default(), on_durable).unwrap();
    for packet in 1..=1_000 {
        assert_eq!(journal.append(&mint(packet, 5)), packet);
        if packet % 10 == 0 {
            journal.flush();
        }
    }
    assert_eq!(journal.append_noted(&mint(1_001, 5), "an order"), 1_001);
    journal.flush();
    wait_for(&mut journal, 1_001);
    let (rows, tip) = read(dir.path(), 0);
    assert_eq!(
        (rows.len(), rows[1_000].1.as_deref(), tip.commits),
        (1_001, Some("an order"), journal.commits())
    );
    assert!(wakes.load(Ordering::Relaxed) > 0 && journal.commits() <= 1_001);
    // Nobody flushes this one.
    journal.append(&mint(1_002, 5));
    drop(journal);
    assert!(!dir.path().join("group-0.sqlite-wal").exists(), "the log is copied and gone");
    assert_eq!(read(dir.path(), 0).0.len(), 1_002);
}

/// Expect: no more rows are taken than there is room for, and room comes back with each commit.
#[test]
fn room_is_what_is_not_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let options = JournalOptions { rows_waiting_max: 8, ..JournalOptions::default() };
    let mut journal = ledger.journal(0, ledger.found()[0].tip, options, || {}).unwrap();
    assert_eq!(journal.room(), 8);
    (1..=8).for_each(|packet| _ = journal.append(&mint(packet, 5)));
    assert_eq!(journal.room(), 0, "the thread sleeps until it is told to look");
    journal.flush();
    wait_for(&mut journal, 8);
    assert_eq!(journal.room(), 8);
}

/// Expect: the write-ahead log stays within eight times its limit under a load that never pauses, and every
/// row is there at the end.
#[test]
fn the_log_does_not_grow_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let options = JournalOptions { rows_waiting_max: 256, wal_frames_to_copy: 64 };
    let mut journal = ledger.journal(0, ledger.found()[0].tip, options, || {}).unwrap();
    let mut longest = 0;
    let rows = 40_000;
    while journal.last_row() < rows {
        if journal.room() > 0 {
            journal.append(&mint(journal.last_row() + 1, 5));
        }
        journal.flush();
        if journal.last_row().is_multiple_of(256) {
            longest = longest.max(dir.path().join("group-0.sqlite-wal").metadata().unwrap().len());
        }
    }
    drop(journal);
    // A commit of 256 rows takes some frames more.
    assert!(longest < (64 * 8 + 16) * 4_120, "{longest} bytes");
    assert_eq!(read(dir.path(), 0).1.rows, rows);
}

/// Expect: a journal has one writer at a time, and another as soon as that is gone.
#[test]
fn a_journal_has_one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut first = writer(&ledger, 0);
    let tip = commit(&mut first, 1..2);
    assert!(matches!(ledger.writer(0, tip), Err(LedgerError::Busy(_))));
    drop(first);
    let old = ledger.found()[0].tip;
    let error = ledger.writer(0, old).err().unwrap().to_string();
    assert!(error.contains("it has changed since it was read"), "{error}");
    commit(&mut ledger.writer(0, tip).unwrap(), 2..3);
    assert_eq!(read(dir.path(), 0).1.rows, 2);
}

/// Expect: a reader sees what was there when it was opened, whatever is written meanwhile.
#[test]
fn a_reader_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut writer = writer(&ledger, 0);
    let before = commit(&mut writer, 1..10);
    let mut reader = Reader::open(dir.path(), 0).unwrap();
    commit(&mut writer, 10..20);
    assert_eq!(reader.tip().unwrap(), before);
    assert_eq!(reader.read(|_, _, _| Ok::<_, LedgerError>(())).unwrap(), before);
    assert_eq!(read(dir.path(), 0).1.rows, 19);
}

/// Expect: while two groups pay each other, the journals that are opened together, and a backup of them, never
/// hold a delivery without what was delivered; the backup is a ledger like any other.
#[test]
fn a_backup_of_a_running_ledger_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let [mut left, mut right] = [0, 1].map(|group| writer(&ledger, group));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 1;
            while !is_over.load(Ordering::Relaxed) {
                let open = Row { kind: Kind::Open, credit: Account::Clearing(1), ..mint(next, 5) };
                next = left.commit([(&open, None)]).unwrap().rows + 1;
                let deliver = Row {
                    kind: Kind::Deliver,
                    debit: Account::Clearing(0),
                    credit: Account::Wallet(9),
                    other: next - 1,
                    ..mint(next, 5)
                };
                right.commit([(&deliver, None)]).unwrap();
            }
        });
        for at in 0..20 {
            let copy = out.path().join(at.to_string());
            let mut reports = 0;
            let tips = backup(dir.path(), &copy, |_, _| reports += 1).unwrap();
            assert!(tips[1].rows <= tips[0].rows && reports > 2, "{tips:?}");
            for group in 0..2 {
                assert_eq!(try_read(&copy, group).unwrap().1, tips[group as usize]);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    open(&out.path().join("7"));
    let error = backup(dir.path(), &out.path().join("7"), |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("name an empty or a new directory"), "{error}");
}
