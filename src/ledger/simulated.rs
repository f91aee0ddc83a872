//! `memory:` as tests have it: a ledger whose disk is in the test's hand. What is durable, what a crash forgets,
//! when it fails.

use super::{Ledger, Row};
use std::sync::{Arc, Mutex, MutexGuard};

/// For scenarios. Clones share one ledger: a core has one, the test another. Rows are durable when the core next
/// asks, as long as the disk is on.
#[derive(Clone, Debug)]
pub struct Simulated(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rows: Vec<(Row, Option<String>)>,
    durable: usize,
    /// Where turns ended: the rows of one turn become durable together.
    turns: Vec<usize>,
    commits: u64,
    rows_waiting_max: usize,
    disk: bool,
    has_failed: bool,
}

impl Default for Simulated {
    fn default() -> Simulated {
        Simulated(Arc::new(Mutex::new(State {
            rows: Vec::new(),
            durable: 0,
            turns: Vec::new(),
            commits: 0,
            rows_waiting_max: usize::MAX,
            disk: true,
            has_failed: false,
        })))
    }
}

impl Simulated {
    /// Turns the disk on or off. While it is off nothing becomes durable.
    pub fn set_disk(&self, on: bool) {
        self.state().disk = on;
    }

    /// From now on nothing becomes durable, and the core is told so.
    pub fn fail(&self) {
        self.state().has_failed = true;
    }

    /// So many rows may wait to become durable.
    pub fn limit_room(&self, rows_waiting_max: usize) {
        self.state().rows_waiting_max = rows_waiting_max;
    }

    /// Forgets what is not on the disk, as a crash does. There is what was durable, and as many turns more as had
    /// reached it before anybody was told. The disk is on again, a failure over.
    pub fn crash(&self, turns_more: usize) {
        let mut state = self.state();
        let durable = state.durable;
        let beyond = state.turns.iter().filter(|end| **end > durable);
        let durable = beyond.take(turns_more).last().copied().unwrap_or(durable);
        state.durable = durable;
        state.rows.truncate(durable);
        state.turns.retain(|end| *end <= durable);
        (state.disk, state.has_failed) = (true, false);
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

    /// How often rows were handed on to become durable together.
    pub fn turns(&self) -> usize {
        self.state().turns.len()
    }

    /// Memory for so many rows and turns more, for a test that watches the allocator.
    pub fn reserve(&self, rows: usize) {
        let mut state = self.state();
        state.rows.reserve(rows);
        state.turns.reserve(rows);
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
        let rows = state.rows.len();
        if state.turns.last() != Some(&rows) {
            state.turns.push(rows);
        }
    }

    fn last_row(&self) -> u64 {
        self.state().rows.len() as u64
    }

    fn durable_row(&mut self) -> u64 {
        let mut state = self.state();
        if state.disk && !state.has_failed && state.durable < state.rows.len() {
            state.durable = state.rows.len();
            state.commits += 1;
        }
        state.durable as u64
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
    use crate::ledger::{Account, Kind};

    fn mint(packet: u64) -> Row {
        Row {
            kind: Kind::Mint,
            debit: Account::House,
            credit: Account::Packet(packet),
            fen: 5,
            user: 0,
            req: 1,
            packet,
            wall_ms: 0,
            other: 0,
            detail: 0,
        }
    }

    /// Expect: what was told to be durable is there, and of the rest whole turns or nothing.
    #[test]
    fn a_crash_forgets_what_was_not_durable() {
        let test = Simulated::default();
        let mut core = test.clone();
        assert_eq!((core.append(&mint(1)), core.append_noted(&mint(2), "note")), (1, 2));
        core.flush();
        assert_eq!((core.durable_row(), core.last_row(), core.commits()), (2, 2, 1));
        test.set_disk(false);
        for packets in [3..5, 5..8] {
            packets.for_each(|packet| _ = core.append(&mint(packet)));
            core.flush();
        }
        assert_eq!((core.durable_row(), core.last_row(), test.durable_rows().len()), (2, 7, 2));
        test.crash(1);
        assert_eq!((test.rows().len(), core.durable_row()), (4, 4));
        assert_eq!(test.rows()[1], (mint(2), Some("note".into())));
        assert_eq!(core.append(&mint(9)), 5, "numbers go on after the last row that is there");
    }

    #[test]
    fn a_failure_is_final_until_the_ledger_is_read_again() {
        let test = Simulated::default();
        let mut core = test.clone();
        test.limit_room(3);
        test.set_disk(false);
        (1..=3).for_each(|packet| _ = core.append(&mint(packet)));
        assert_eq!(core.room(), 0);
        test.fail();
        test.set_disk(true);
        assert!(core.has_failed() && core.durable_row() == 0 && core.last_row() == 3);
        test.crash(0);
        assert!(!core.has_failed() && core.durable_row() == 0 && core.room() == 3);
    }
}
