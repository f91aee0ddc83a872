//! A log that ends in the middle: the last whole commit is the journal's end, and what is cut off is said.

use super::super::{Directory, Identity, LedgerError, wal};
use super::{CREATED_WALL_MS, commit, try_read, writer};
use proptest::prelude::*;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

const ONE_GROUP: Identity = Identity { machine: 0, sets: 1, groups: 1 };

/// A ledger of some commits, none of them copied out of the log yet.
struct Sample {
    main: Vec<u8>,
    log: Vec<u8>,
    /// Where in the log each commit ends.
    ends: Vec<usize>,
}

const ROWS_PER_COMMIT: u64 = 3;
const FRAME_BYTES: usize = 4_120;

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Directory::open(dir.path(), ONE_GROUP, CREATED_WALL_MS).unwrap();
        let mut writer = writer(&ledger, 0);
        let log = || fs::read(dir.path().join("group-0.sqlite-wal")).unwrap();
        let mut ends = Vec::new();
        for at in 0..4 {
            commit(&mut writer, at * ROWS_PER_COMMIT + 1..(at + 1) * ROWS_PER_COMMIT + 1);
            ends.push(log().len());
        }
        Sample { main: fs::read(dir.path().join("group-0.sqlite")).unwrap(), log: log(), ends }
    })
}

impl Sample {
    /// Puts the ledger into a directory, with another log.
    fn lay(&self, dir: &Path, log: &[u8]) {
        let _ = fs::remove_file(dir.join("group-0.sqlite-shm"));
        fs::write(dir.join("group-0.sqlite"), &self.main).unwrap();
        fs::write(dir.join("group-0.sqlite-wal"), log).unwrap();
    }

    fn last_commit(&self) -> Range<usize> {
        self.ends[self.ends.len() - 2]..self.ends[self.ends.len() - 1]
    }
}

/// Expect: wherever the log ends within its last commit, the journal ends with the commit before it, no reader
/// sees an error, and the bytes that are dropped are counted.
#[test]
fn a_log_cut_anywhere_in_its_last_commit_is_whole_up_to_the_one_before() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    let last = sample.last_commit();
    for end in last.clone() {
        let tail = wal::scan(&sample.log[..end], end as u64).unwrap().unwrap();
        assert_eq!(tail.dropped_bytes, (end - last.start) as u64);
        // SQLite reads whole frames: between two of their ends there is little to try.
        if end % 97 == 0 || (end - 32) % FRAME_BYTES <= 24 || (end - 32) % FRAME_BYTES == FRAME_BYTES - 1 {
            sample.lay(dir.path(), &sample.log[..end]);
            assert_eq!(try_read(dir.path(), 0).unwrap().1.commits, 3, "cut at {end}");
        }
    }
    sample.lay(dir.path(), &sample.log);
    assert_eq!(try_read(dir.path(), 0).unwrap().1.commits, 4);
}

/// Expect: it is cut, said, and written on; the next reader finds nothing of what was dropped.
#[test]
fn a_torn_tail_is_cut_and_the_journal_goes_on() {
    let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
    sample.lay(dir.path(), &sample.log[..sample.last_commit().end - 1]);
    let ledger = Directory::open(dir.path(), ONE_GROUP, CREATED_WALL_MS).unwrap();
    let found = ledger.found()[0];
    assert_eq!((found.tip.rows, found.tip.commits), (9, 3));
    assert_eq!(found.dropped_bytes, sample.last_commit().len() as u64 - 1);
    commit(&mut writer(&ledger, 0), 100..101);
    drop(ledger);
    let (rows, tip) = try_read(dir.path(), 0).unwrap();
    assert_eq!((rows.len(), rows[9].0.packet, tip.commits), (10, 100, 4));
    assert_eq!(Directory::open(dir.path(), ONE_GROUP, 0).unwrap().found()[0].dropped_bytes, 0);
}

/// Expect: frames of an earlier round through the log are no torn tail.
#[test]
fn what_is_left_of_an_earlier_round_is_not_torn() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Directory::open(dir.path(), ONE_GROUP, CREATED_WALL_MS).unwrap();
    let mut writer = writer(&ledger, 0);
    for round in 0..3 {
        (0..9).for_each(|at| _ = commit(&mut writer, round * 10 + at..round * 10 + at + 1));
        // Everything is copied, so the next commit begins the log anew, over the old frames.
        let copy = "PRAGMA wal_checkpoint(PASSIVE)";
        writer.connection().query_row(copy, (), |_| Ok(())).unwrap();
        commit(&mut writer, 99..100);
        let tail = wal::tail_of(writer.file()).unwrap();
        assert_eq!(tail.dropped_bytes, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Expect: a wrong bit in the last commit, which may be a write that did not come to its end, cuts it off. One
    /// before that is damage, because the commits after it had been promised: a server refuses it and changes
    /// nothing, while a reader sees whole commits only.
    #[test]
    fn a_wrong_bit_cuts_the_last_commit_and_is_refused_before_that(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
        let at = 32 + at.index(sample.log.len() - 32);
        let mut log = sample.log.clone();
        log[at] ^= 1 << bit;
        sample.lay(dir.path(), &log);
        let whole = sample.ends.iter().filter(|end| **end <= at).count() as u64;
        prop_assert_eq!(try_read(dir.path(), 0).unwrap().1.commits, whole);
        match Directory::open(dir.path(), ONE_GROUP, CREATED_WALL_MS) {
            Ok(ledger) => {
                prop_assert_eq!(whole, 3);
                prop_assert!(ledger.found()[0].dropped_bytes > 0);
            }
            Err(error) => {
                prop_assert!(matches!(error, LedgerError::Damaged { .. }), "{}", error);
                prop_assert!(whole < 3, "{}", error);
                prop_assert_eq!(fs::read(dir.path().join("group-0.sqlite-wal")).unwrap(), log);
            }
        }
    }

    /// Expect: garbage after the last commit changes nothing, and is counted.
    #[test]
    fn garbage_at_the_end_changes_nothing(garbage in prop::collection::vec(any::<u8>(), 1..9_000)) {
        let (sample, dir) = (sample(), tempfile::tempdir().unwrap());
        sample.lay(dir.path(), &[&sample.log[..], &garbage].concat());
        let ledger = Directory::open(dir.path(), ONE_GROUP, CREATED_WALL_MS).unwrap();
        prop_assert_eq!((ledger.found()[0].tip.commits, ledger.found()[0].dropped_bytes), (4, garbage.len() as u64));
    }
}
