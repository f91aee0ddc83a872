//! What was written is what is read.

use super::{any_row, mint, open, read};
use proptest::prelude::*;

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
            let ledger = open(dir.path());
            let tip = ledger.reader(1).unwrap().read(|_, _, _| Ok::<_, super::super::LedgerError>(())).unwrap();
            let mut writer = ledger.writer(1, tip).unwrap();
            let tip = writer.commit(commit.iter().map(|(row, note)| (row, note.as_deref()))).unwrap();
            written.extend(commit);
            prop_assert_eq!(read(dir.path(), 1), (written.clone(), tip));
        }
    }
}

#[test]
fn groups_have_chains_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let tips: Vec<_> = (0..2)
        .map(|group| {
            let tip = ledger.found()[group as usize].tip;
            ledger.writer(group, tip).unwrap().commit([(&mint(1, 5), None)]).unwrap()
        })
        .collect();
    assert_eq!(tips[0].rows, tips[1].rows);
    assert_ne!(tips[0].hash, tips[1].hash);
}
