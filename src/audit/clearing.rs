//! Money between two groups: what one owes is what has come to the other, in that order and without a gap.

use super::group::Group;
use super::rule::{Difference, Differences, Rule};

/// An open that is owed to a user of another group, or its delivery there. 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Row of the open, in the journal of the packet's group.
    pub open_row: u64,
    /// The row itself.
    pub row: u64,
    /// Whose.
    pub user: u64,
    /// By which request.
    pub req: u64,
    /// Of which packet.
    pub packet: u64,
    /// How much, in fen.
    pub fen: u64,
}

/// Money on its way between two groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnItsWay {
    /// Rows that are not delivered yet.
    pub rows: u64,
    /// What they are about, in fen.
    pub fen: u128,
    /// Deliveries of rows that were written after the snapshot of the group that owes them.
    pub later_rows: u64,
    /// What those are about, in fen.
    pub later_fen: u128,
}

/// Compares what one group owes to another with what has come there. `rows_now` is how many rows the journal
/// of the first has by now: the snapshots are not of one instant, but a row that was delivered is in its
/// journal.
pub fn compare(from: &Group, to: &Group, rows_now: u64, way: &mut OnItsWay, differences: &mut Differences) {
    let (here, there) = (to.place.group, from.place.group);
    let mut differ = |group, crossing: &Crossing, said: String, found: String| {
        differences.push(Difference {
            rule: Rule::Clearing,
            group: Some(group),
            row: Some(crossing.row),
            packet: Some(crossing.packet),
            user: Some(crossing.user),
            said,
            found,
        });
    };
    let mut owed = from.owed[here as usize].iter().peekable();
    for come in &to.come[there as usize] {
        let said = format!("{} fen of row {} of group {there}", come.fen, come.open_row);
        if come.open_row > from.rows.max(rows_now) {
            differ(here, come, said, format!("that journal ends with row {}", from.rows));
            continue;
        }
        while let Some(passed) = owed.next_if(|owed| owed.open_row < come.open_row) {
            let found = format!("group {here} has had row {} and not this one", come.open_row);
            differ(there, passed, format!("{} fen for group {here}", passed.fen), found);
        }
        match owed.next_if(|owed| owed.open_row == come.open_row) {
            Some(owed) if Crossing { row: come.row, ..*owed } == *come => {}
            Some(owed) => {
                let Crossing { user, req, packet, fen, .. } = owed;
                let found = format!("that is {fen} fen of packet {packet} for user {user}, req {req}");
                differ(here, come, format!("{said}, req {}", come.req), found);
            }
            None if come.open_row > from.rows => {
                way.later_rows += 1;
                way.later_fen += u128::from(come.fen);
            }
            None => differ(here, come, said, "that row owes nothing here, or has come before".into()),
        }
    }
    for owed in owed {
        way.rows += 1;
        way.fen += u128::from(owed.fen);
    }
}
