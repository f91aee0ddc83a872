//! The running check that no fen is made or lost.
//!
//! Each group publishes what its accounts hold as of one moment, its own. So what can be proved of one group is
//! that its accounts balance at that moment: what came in is there or has gone out. Over all groups the moments
//! differ, and money that left one group after the other was looked at is not on its way yet in one picture and has
//! come already in the other. What can be proved across groups is: all that had come by one moment has left by a
//! later one. So what had come is kept, and compared with what has left as soon as every group has published figures
//! that are surely newer. At rest both pictures are one, and what is on its way is exact.

use super::server::lock;
use crate::worker::GroupSnapshot;
use serde::Serialize;
use std::sync::Mutex;

/// What the last check found. Field names are a contract with scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conservation {
    /// Whether no check has ever failed.
    pub ok: bool,
    /// What the house has put in less what it has taken out, in fen.
    pub house_fen: i64,
    /// In packets, in fen.
    pub packets_fen: u64,
    /// In wallets, in fen.
    pub wallets_fen: u64,
    /// Gone from one group and not come to another yet, in fen. Groups are not looked at in one moment: while money
    /// moves this is too little or too much by what moved in between, and may be below zero.
    pub on_its_way_fen: i64,
    /// Checks that were made.
    pub checked: u64,
    /// Checks across groups that could be made: all had published something newer.
    pub checked_across: u64,
    /// SETs that are masked, whose tables are not counted: what their group holds is checked all the same.
    pub masked_sets: u64,
    /// The first thing that was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// What had come to all groups, and the numbers of the publications that will surely be newer.
#[derive(Debug)]
struct Come {
    fen: u128,
    newer: Vec<u64>,
}

/// Checks, and remembers.
#[derive(Debug)]
pub struct Checker {
    state: Mutex<(Conservation, Option<Come>)>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker { state: Mutex::new((Conservation { ok: true, ..Conservation::default() }, None)) }
    }
}

impl Checker {
    /// What the last check found.
    pub fn last(&self) -> Conservation {
        lock(&self.state).0.clone()
    }

    /// Looks at what the groups have published; `miscounted` SETs are not what their rows say. What is wrong is said
    /// once, loudly, and stays.
    pub fn check(&self, groups: &[(u32, GroupSnapshot)], miscounted: u64, masked_sets: u64) {
        let (found, come) = &mut *lock(&self.state);
        let sum = |of: fn(&GroupSnapshot) -> i128| groups.iter().map(|(_, group)| of(group)).sum::<i128>();
        found.house_fen = sum(|group| group.house_fen.into()) as i64;
        found.packets_fen = sum(|group| group.packets_fen.into()) as u64;
        found.wallets_fen = sum(|group| group.wallets_fen.into()) as u64;
        let (out, has_come) =
            (sum(|group| group.cleared_out_fen.into()), sum(|group| group.cleared_in_fen.into()));
        found.on_its_way_fen = (out - has_come) as i64;
        found.checked += 1;
        found.masked_sets = masked_sets;

        let mut wrong = groups
            .iter()
            .find(|(_, group)| !is_balanced(group))
            .map(|(number, group)| format!("group {number}: its accounts do not balance: {group:?}"));
        if miscounted > 0 {
            wrong.get_or_insert_with(|| format!("{miscounted} SETs do not hold what their rows say"));
        }
        // A publication that was under way when these were read may have been gathered before.
        let numbers = || groups.iter().map(|(_, group)| group.publications);
        let is_newer = |come: &Come| numbers().zip(&come.newer).all(|(number, newer)| number >= *newer);
        if come.as_ref().is_none_or(is_newer) {
            if let Some(before) = come.take() {
                found.checked_across += 1;
                if before.fen > out.unsigned_abs() {
                    let why = format!(
                        "{} fen had come to groups from others, and {out} fen have left groups: some came twice",
                        before.fen
                    );
                    wrong.get_or_insert(why);
                }
            }
            let newer = numbers().map(|number| number + 2).collect();
            *come = Some(Come { fen: has_come.unsigned_abs(), newer });
        }
        if let Some(wrong) = wrong {
            if found.ok {
                tracing::error!("money is not conserved: {wrong}; stop the server and run redpkt audit");
                found.wrong = Some(wrong);
            }
            found.ok = false;
        }
    }
}

fn is_balanced(group: &GroupSnapshot) -> bool {
    let put_in = i128::from(group.house_fen) + i128::from(group.cleared_in_fen);
    put_in
        == i128::from(group.packets_fen) + i128::from(group.wallets_fen) + i128::from(group.cleared_out_fen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group that has published so often: it got 10 fen of the house, 4 went to others, `come` came.
    fn group(number: u32, publications: u64, out: u64, come: u64) -> (u32, GroupSnapshot) {
        let snapshot = GroupSnapshot {
            publications,
            house_fen: 10,
            packets_fen: 10 - out,
            wallets_fen: come,
            cleared_out_fen: out,
            cleared_in_fen: come,
            ..GroupSnapshot::default()
        };
        (number, snapshot)
    }

    /// Expect: a picture in which money has come before it left is no error, until the picture of who it left
    /// is newer.
    #[test]
    fn pictures_of_different_moments_are_no_error() {
        let checker = Checker::default();
        checker.check(&[group(0, 1, 0, 0), group(1, 1, 0, 4)], 0, 0);
        assert_eq!((checker.last().ok, checker.last().on_its_way_fen), (true, -4));
        checker.check(&[group(0, 2, 0, 0), group(1, 3, 0, 4)], 0, 0);
        assert_eq!((checker.last().ok, checker.last().checked_across), (true, 0));
        checker.check(&[group(0, 3, 4, 0), group(1, 3, 0, 4)], 0, 0);
        let found = checker.last();
        assert_eq!((found.ok, found.checked, found.checked_across, found.on_its_way_fen), (true, 3, 1, 0));
        assert_eq!(found.house_fen, found.packets_fen as i64 + found.wallets_fen as i64);
    }

    #[test]
    fn money_from_nowhere_is_found_and_not_forgotten() {
        let checker = Checker::default();
        checker.check(&[group(0, 1, 0, 0), group(1, 1, 0, 4)], 0, 0);
        checker.check(&[group(0, 3, 3, 0), group(1, 3, 0, 4)], 0, 0);
        assert!(!checker.last().ok && checker.last().wrong.unwrap().contains("came twice"));

        let checker = Checker::default();
        let (number, mut bad) = group(0, 1, 0, 0);
        bad.wallets_fen += 1;
        checker.check(&[(number, bad)], 0, 0);
        checker.check(&[group(0, 2, 0, 0)], 0, 0);
        assert!(!checker.last().ok && checker.last().wrong.unwrap().contains("group 0"));

        let checker = Checker::default();
        checker.check(&[group(0, 1, 0, 0)], 1, 0);
        assert!(!checker.last().ok);
    }
}
