//! A ledger whose disk a test holds in its hand: what is durable, what a crash forgets, when it fails.

use super::{Ledger, Row};
use std::sync::{Arc, Mutex, MutexGuard};

/// For tests and scenarios. Clones share one ledger: a core has one, the test another.
///
/// Rows become durable by [`sync`](Self::sync) alone, or at every flush while
/// [`sync_on_flush`](Self::sync_on_flush) is on.
#[derive(Clone, Debug)]
pub struct Simulated(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rows: Vec<(Row, Option<String>)>,
    durable: usize,
    /// More than durable only after a failure.
    on_disk: usize,
    commits: u64,
    rows_waiting_max: usize,
    has_failed: bool,
    sync_on_flush: bool,
}

impl Default for Simulated {
    fn default() -> Simulated {
        Simulated::with_rows(Vec::new())
    }
}

impl Simulated {
    /// A ledger that has these rows, all durable: what a restart finds.
    pub fn with_rows(rows: Vec<(Row, Option<String>)>) -> Simulated {
        Simulated(Arc::new(Mutex::new(State {
            durable: rows.len(),
            on_disk: rows.len(),
            commits: u64::from(!rows.is_empty()),
            rows,
            rows_waiting_max: usize::MAX,
            has_failed: false,
            sync_on_flush: false,
        })))
    }

    /// Makes every row that was handed in durable, as one commit. A ledger that has failed makes none.
    pub fn sync(&self) {
        self.state().sync();
    }

    /// Whether the core's flush is a sync: a disk that takes no time.
    pub fn sync_on_flush(&self, on: bool) {
        self.state().sync_on_flush = on;
    }

    /// Forgets every row that is not on the disk, as a crash does; what is left, with which the core is made
    /// anew. A failure is over then.
    pub fn crash(&self) -> Vec<(Row, Option<String>)> {
        let mut state = self.state();
        state.durable = state.on_disk;
        let durable = state.durable;
        state.rows.truncate(durable);
        state.has_failed = false;
        state.rows.clone()
    }

    /// From now on nothing becomes durable. Of the rows that waited the first `kept` turn out to be on the
    /// disk all the same when the ledger is read again, after [`crash`](Self::crash), though nobody was told.
    pub fn fail(&self, kept: usize) {
        let mut state = self.state();
        state.has_failed = true;
        state.on_disk = (state.durable + kept).min(state.rows.len());
    }

    /// So many rows may wait to become durable.
    pub fn limit_room(&self, rows_waiting_max: usize) {
        self.state().rows_waiting_max = rows_waiting_max;
    }

    /// All rows that were handed in and not forgotten, with their notes.
    pub fn rows(&self) -> Vec<(Row, Option<String>)> {
        self.state().rows.clone()
    }

    /// The rows that are durable.
    pub fn durable_rows(&self) -> Vec<(Row, Option<String>)> {
        let state = self.state();
        state.rows[..state.durable].to_vec()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while they have it")
    }

    fn push(&self, row: &Row, note: Option<String>) -> u64 {
        let mut state = self.state();
        assert!(state.room() > 0 || state.has_failed, "room is asked for before a row is appended");
        state.rows.push((*row, note));
        state.rows.len() as u64
    }
}

impl State {
    fn room(&self) -> usize {
        self.rows_waiting_max.saturating_sub(self.rows.len() - self.durable)
    }

    fn sync(&mut self) {
        if !self.has_failed && self.durable < self.rows.len() {
            self.commits += 1;
            self.durable = self.rows.len();
            self.on_disk = self.durable;
        }
    }
}

impl Ledger for Simulated {
    fn room(&self) -> usize {
        self.state().room()
    }

    fn append(&mut self, row: &Row) -> u64 {
        self.push(row, None)
    }

    fn append_noted(&mut self, row: &Row, note: &str) -> u64 {
        self.push(row, Some(note.to_owned()))
    }

    fn flush(&mut self) {
        let mut state = self.state();
        if state.sync_on_flush {
            state.sync();
        }
    }

    fn last_row(&self) -> u64 {
        self.state().rows.len() as u64
    }

    fn durable_row(&mut self) -> u64 {
        self.state().durable as u64
    }

    fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    fn commits(&self) -> u64 {
        self.state().commits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sqlite::tests::mint;

    /// Expect: a row is durable when it was synced, a crash forgets the others, and clones see the same.
    #[test]
    fn a_crash_forgets_what_was_not_synced() {
        let test = Simulated::default();
        let mut core = test.clone();
        assert_eq!((core.append(&mint(1, 5)), core.append_noted(&mint(2, 5), "note")), (1, 2));
        core.flush();
        assert_eq!((core.durable_row(), core.last_row(), core.commits()), (0, 2, 0));
        test.sync();
        core.append(&mint(3, 5));
        assert_eq!((core.durable_row(), core.last_row(), core.commits()), (2, 3, 1));
        assert_eq!((test.rows().len(), test.durable_rows().len()), (3, 2));
        let left = test.crash();
        assert_eq!(left, [(mint(1, 5), None), (mint(2, 5), Some("note".into()))]);
        assert_eq!(core.append(&mint(4, 5)), 3, "numbers go on after the last row that is there");
        test.sync_on_flush(true);
        core.flush();
        assert_eq!(core.durable_row(), 3);
    }

    /// Expect: after a failure nothing becomes durable, and rows that nobody was told of may yet be there.
    #[test]
    fn a_failure_is_final_until_the_ledger_is_read_again() {
        let test = Simulated::default();
        let mut core = test.clone();
        test.limit_room(3);
        (1..=3).for_each(|packet| _ = core.append(&mint(packet, 5)));
        assert_eq!(core.room(), 0);
        test.fail(1);
        core.append(&mint(4, 5));
        test.sync();
        assert!(core.has_failed() && core.durable_row() == 0 && core.last_row() == 4);
        assert_eq!(test.crash(), [(mint(1, 5), None)]);
        assert!(!core.has_failed() && core.durable_row() == 1 && core.room() == 3);
    }
}
