//! What an audit came to: for eyes and for scripts.

use super::clearing::OnItsWay;
use super::group::Group;
use super::packets::State;
use super::rule::{Difference, Differences, Rule};
use super::tally::TallySums;
use serde::Serialize;
use std::collections::BTreeMap;

/// What an audit came to. Serialized, it is what `redpkt audit --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every rule on money holds.
    pub ok: bool,
    /// Differences in all.
    pub difference_count: u64,
    /// How many for each rule that does not hold.
    pub by_rule: BTreeMap<&'static str, u64>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Rows that were read.
    pub rows: u64,
    /// Commits that were read.
    pub commits: u64,
    /// Where each group's journal ended.
    pub groups: Vec<GroupTip>,
    /// What the house holds, in fen: below 0 by what the operator has put in.
    pub house_fen: i128,
    /// What all packets hold, in fen.
    pub packets_fen: i128,
    /// What all wallets hold, in fen.
    pub wallets_fen: i128,
    /// What has left one group and not come to the other yet, in fen.
    pub on_its_way_fen: u128,
    /// How many rows that is.
    pub on_its_way_rows: u64,
    /// What came from rows that a group wrote after it was read, in fen. 0 unless the server is running.
    pub later_fen: u128,
    /// Rows that tell of such rows.
    pub later_rows: u64,
    /// What became of the packets.
    pub packets: PacketCounts,
    /// Users whose wallet holds something.
    pub users_with_money: u64,
    /// The comparison with what clients were told, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tallies: Option<TallySums>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

/// The end of one group's journal.
#[derive(Clone, Debug, Serialize)]
pub struct GroupTip {
    /// Which group.
    pub group: u32,
    /// Its rows.
    pub rows: u64,
    /// Its commits.
    pub commits: u64,
    /// The hash of the last one, in hex.
    pub hash: String,
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PacketCounts {
    /// Made.
    pub made: u64,
    /// All shares taken.
    pub opened: u64,
    /// What was left went back.
    pub refunded: u64,
    /// Something is left.
    pub open: u64,
}

impl Report {
    /// Sums up what was found. `took_s` is left 0.
    pub(super) fn new(
        groups: &[Group],
        differences: &Differences,
        way: OnItsWay,
        told_later: u64,
        tallies: Option<TallySums>,
    ) -> Report {
        let mut report = Report {
            ok: differences.count() == 0,
            difference_count: differences.count(),
            by_rule: differences.by_rule().iter().map(|(rule, count)| (rule.name(), *count)).collect(),
            differences: differences.first().to_vec(),
            rows: 0,
            commits: 0,
            groups: Vec::new(),
            house_fen: 0,
            packets_fen: 0,
            wallets_fen: 0,
            on_its_way_fen: way.fen,
            on_its_way_rows: way.rows,
            later_fen: way.later_fen,
            later_rows: way.later_rows + told_later,
            packets: PacketCounts::default(),
            users_with_money: 0,
            tallies,
            took_s: 0.0,
        };
        groups.iter().for_each(|group| report.add(group));
        report
    }

    /// Of a ledger whose journals cannot all be opened.
    pub fn unreadable(found: String) -> Report {
        let mut differences = Differences::default();
        let said = "every row as it was written".to_owned();
        let (rule, group, row, packet, user) = (Rule::Chain, None, None, None, None);
        differences.push(Difference { rule, group, row, packet, user, said, found });
        Report::new(&[], &differences, OnItsWay::default(), 0, None)
    }

    fn add(&mut self, group: &Group) {
        let (rows, commits, hash) = (group.rows, group.tip.commits, group.tip.hash.clone());
        self.rows += rows;
        self.commits += commits;
        self.groups.push(GroupTip { group: group.place.group, rows, commits, hash });
        self.house_fen += group.accounts.house_fen;
        self.packets_fen += group.accounts.packets_fen(&group.packets);
        let (wallets_fen, users) = group.accounts.wallets();
        self.wallets_fen += wallets_fen;
        self.users_with_money += users;
        for packet in group.packets.iter() {
            self.packets.made += 1;
            match packet.state {
                State::Refunded => self.packets.refunded += 1,
                _ if packet.opened >= packet.shares => self.packets.opened += 1,
                _ => self.packets.open += 1,
            }
        }
    }

    /// The table.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} rows in {} commits of {} groups, read in {:.1} s",
            self.rows,
            self.commits,
            self.groups.len(),
            self.took_s
        )];
        for GroupTip { group, rows, commits, hash } in &self.groups {
            lines.push(format!("  group {group:<5} {rows:>14} rows {commits:>12} commits   {hash}"));
        }
        let PacketCounts { made, opened, refunded, open } = self.packets;
        let users = format!("{} users", self.users_with_money);
        let way = format!("{} rows between groups", self.on_its_way_rows);
        let money = [
            ("house", self.house_fen, String::new()),
            (
                "packets",
                self.packets_fen,
                format!("{made} made: {opened} opened, {refunded} gone back, {open} open"),
            ),
            ("wallets", self.wallets_fen, users),
            ("on its way", self.on_its_way_fen as i128, way),
        ];
        for (what, fen, more) in money {
            lines.push(format!("  {what:<11} {fen:>14} fen  {more}").trim_end().to_owned());
        }
        if self.later_rows > 0 {
            lines.push(format!(
                "  later       {:>14} fen  {} rows tell of what another group wrote after it was read",
                self.later_fen, self.later_rows
            ));
        }
        if let Some(tallies) = &self.tallies {
            lines.extend(tally_lines(tallies));
        }
        lines.extend(self.verdict());
        lines
    }

    fn verdict(&self) -> Vec<String> {
        if self.ok {
            return vec!["every rule on money holds".into()];
        }
        let rules: Vec<_> = self.by_rule.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        let mut lines = vec![format!("{} DIFFERENCES: {}", self.difference_count, rules.join(", "))];
        for Difference { rule, group, row, packet, user, said, found } in &self.differences {
            let place = [
                group.map(|group| format!("group {group}")),
                row.map(|row| format!("row {row}")),
                packet.map(|packet| format!("packet {packet}")),
                user.map(|user| format!("user {user}")),
            ];
            let place: Vec<_> = place.into_iter().flatten().collect();
            lines.push(format!("  {:<9} {}: said {said}; found {found}", rule.name(), place.join(", ")));
        }
        lines
    }
}

fn tally_lines(tallies: &TallySums) -> Vec<String> {
    let TallySums { files, lines, unknown, fen_clients, fen_ledger, fen_unheard, unheard } = tallies;
    vec![
        format!(
            "  {lines} lines of {files} tallies, {unknown} with an unknown outcome; {unheard} requests unheard of"
        ),
        format!("  clients     {fen_clients:>14} fen"),
        format!(
            "  ledger      {fen_ledger:>14} fen  of them {fen_unheard} that those clients have not heard of"
        ),
    ]
}
