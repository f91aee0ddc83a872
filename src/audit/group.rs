//! One group's journal, row by row: everything that can be proved of it alone.

use super::accounts::Accounts;
use super::clearing::Crossing;
use super::entry::{Broken, Place};
use super::orders::Orders;
use super::packets::{Packets, make_room};
use super::requests::{Asked, Requests, Told};
use super::rule::{Difference, Differences, Rule};
use crate::ledger::{Account, Kind, Row};

/// What one group's journal says.
pub struct Group {
    pub(super) place: Place,
    pub(super) rows: u64,
    pub(super) tip: Tip,
    pub(super) packets: Packets,
    pub(super) accounts: Accounts,
    pub(super) orders: Orders,
    pub(super) requests: Requests,
    /// What was told of packets of other groups: checked when all groups are read.
    pub(super) told: Vec<Told>,
    /// What this group owes, by the group it owes it to.
    pub(super) owed: Vec<Vec<Crossing>>,
    /// What has come to this group, by the group it came from.
    pub(super) come: Vec<Vec<Crossing>>,
    pub(super) paid: Vec<Paid>,
    pub(super) differences: Differences,
    last_wall_ms: u64,
}

/// The end of a journal, as its reader found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    /// Commits.
    pub commits: u64,
    /// The hash of the last one, in hex.
    pub hash: String,
}

/// An order that was paid: which, and in which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Paid {
    /// A hash of its id.
    pub id: [u8; 16],
    pub row: u64,
    pub user: u64,
}

impl Group {
    /// A journal of which no row was taken yet.
    pub fn new(place: Place) -> Group {
        let groups = place.layout.groups as usize;
        Group {
            place,
            rows: 0,
            tip: Tip::default(),
            packets: Packets::new(place),
            accounts: Accounts::default(),
            orders: Orders::default(),
            requests: Requests::default(),
            told: Vec::new(),
            owed: vec![Vec::new(); groups],
            come: vec![Vec::new(); groups],
            paid: Vec::new(),
            differences: Differences::default(),
            last_wall_ms: 0,
        }
    }

    /// Takes the next row. A row that breaks a rule is counted once, under the first rule it breaks, and its
    /// money moves all the same: so one wrong row is one difference, as far as that can be.
    pub fn take(&mut self, number: u64, row: &Row, note: Option<&str>) {
        let ordered = self.order(number, row);
        let entry = self.place.check(row);
        let at = match row.kind {
            Kind::Mint | Kind::Send => None,
            _ => self.packets.find(row.packet),
        };
        let life = self.live(row, at);
        // A packet that was just made is credited, too.
        let at = at.or_else(|| self.packets.find(row.packet));
        let made_twice = matches!(life, Err((Rule::Made, ..)));
        let money = self.accounts.apply(row, &mut self.packets, at.filter(|_| !made_twice));
        let noted = self.note(number, row, note);
        self.remember(number, row);
        if let Err(broken) = ordered.and(entry).and(life).and(money).and(noted) {
            self.differ(Some(number), row, broken);
        }
    }

    /// The reader could not go on: what is wrong with the journal itself.
    pub fn broken(&mut self, found: String) {
        self.differences.push(Difference {
            rule: Rule::Chain,
            group: Some(self.place.group),
            row: Some(self.rows + 1),
            packet: None,
            user: None,
            said: "every row as it was written".into(),
            found,
        });
    }

    /// The journal was read to its end.
    pub fn end(&mut self, tip: Tip) {
        self.tip = tip;
    }

    /// What all accounts hold must be 0 in all.
    pub(super) fn check_sum(&mut self) {
        let (wallets, _) = self.accounts.wallets();
        let packets = self.accounts.packets_fen(&self.packets);
        let (house, clearing) = (self.accounts.house_fen, self.accounts.clearing_fen);
        if house + packets + wallets + clearing != 0 {
            self.differences.push(Difference {
                rule: Rule::Sum,
                group: Some(self.place.group),
                row: Some(self.rows),
                packet: None,
                user: None,
                said: "0 fen in all".into(),
                found: format!("house {house}, packets {packets}, wallets {wallets}, clearing {clearing}"),
            });
        }
    }

    pub(super) fn differ(&mut self, number: Option<u64>, row: &Row, (rule, said, found): Broken) {
        self.differences.push(Difference {
            rule,
            group: Some(self.place.group),
            row: number,
            packet: (row.packet != 0).then_some(row.packet),
            user: (row.user != 0).then_some(row.user),
            said,
            found,
        });
    }

    fn order(&mut self, number: u64, row: &Row) -> Result<(), Broken> {
        let (last, last_ms) = (self.rows, self.last_wall_ms);
        self.rows = number;
        self.last_wall_ms = row.wall_ms;
        if number != last + 1 {
            return Err((Rule::Chain, format!("row {number}"), format!("it follows row {last}")));
        }
        if row.wall_ms < last_ms {
            return Err((
                Rule::Time,
                format!("{} ms", row.wall_ms),
                format!("the row above is of {last_ms}"),
            ));
        }
        Ok(())
    }

    /// What a row's note, or its place in an order, must be.
    fn note(&mut self, number: u64, row: &Row, note: Option<&str>) -> Result<(), Broken> {
        match row.kind {
            Kind::Order => {
                let Some(note) = note else {
                    return Err((Rule::Order, "no note".into(), "an order's note says what it is".into()));
                };
                self.orders.learn(row.req, note);
                Ok(())
            }
            Kind::Mint => self.orders.made(number, row),
            Kind::Send if row.user == 0 => self.orders.made(number, row),
            Kind::Deposit | Kind::Withdraw => {
                let Some(id) = note.filter(|id| !id.is_empty()) else {
                    return Err((
                        Rule::Paid,
                        "no order".into(),
                        "whose it is, only its note can tell".into(),
                    ));
                };
                let hash = blake3::hash(id.as_bytes());
                let id = *hash.as_bytes().first_chunk().expect("32 bytes are more than 16");
                self.paid.push(Paid { id, row: number, user: row.user });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Keeps what can only be checked when all groups are read.
    fn remember(&mut self, number: u64, row: &Row) {
        let asked = match row.kind {
            Kind::Send if row.user != 0 => Some(Asked::Send),
            Kind::Share => Some(Asked::Share),
            Kind::Win => Some(Asked::Shake),
            Kind::Grab => Some(Asked::Grab),
            Kind::Open => Some(Asked::Open),
            _ => None,
        };
        if let Some(asked) = asked {
            self.requests.executed(self.place.group, number, row, asked);
        }
        let crossing = |open_row| Crossing {
            open_row,
            row: number,
            user: row.user,
            req: row.req,
            packet: row.packet,
            fen: row.fen,
        };
        let list = match (row.kind, row.debit, row.credit) {
            (Kind::Open, _, Account::Clearing(to)) => self.owed.get_mut(to as usize).zip(Some(number)),
            (Kind::Deliver, Account::Clearing(from), _) => {
                self.come.get_mut(from as usize).zip(Some(row.other))
            }
            _ => None,
        };
        if let Some((list, open_row)) = list {
            make_room(list);
            list.push(crossing(open_row));
        }
    }
}
