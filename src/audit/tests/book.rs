//! Ledgers written by hand: a row after another, each in the journal where it belongs.

use super::super::{Group, Place, Report, Tallies, judge};
use crate::ledger::{Account, Kind, Row, Terms};
use redpkt_proto::body::PacketId;

pub const MACHINE: u16 = 7;
pub const SETS: u32 = 4;
pub const GROUPS: u32 = 2;
/// When everything begins, in seconds since 1970.
pub const START_S: u32 = 1_800_000_000;
/// When the packets' time is over, unless something else is said.
pub const EXPIRY_S: u32 = START_S + 1_000;

/// The journals of a ledger.
#[derive(Clone)]
pub struct Book {
    pub journals: Vec<Vec<(Row, Option<String>)>>,
    pub wall_ms: u64,
    numbers: Vec<u32>,
    req: u64,
    place: u64,
}

/// A packet's terms.
pub fn terms(shares: u16, equal: bool) -> Terms {
    Terms { shares, equal, expiry_s: EXPIRY_S }
}

pub fn place(group: u32) -> Place {
    Place::new(MACHINE, SETS, GROUPS, group)
}

/// The n-th user of a SET.
pub fn user(set: u32, n: usize) -> u64 {
    (1..).filter(|user| place(0).layout.set_of(*user) == set).nth(n).unwrap()
}

impl Book {
    pub fn new() -> Book {
        Book {
            journals: vec![Vec::new(); GROUPS as usize],
            wall_ms: u64::from(START_S) * 1_000,
            numbers: vec![0; SETS as usize],
            req: 100,
            place: 0,
        }
    }

    /// A req that was not used yet.
    pub fn req(&mut self) -> u64 {
        self.req += 1;
        self.req
    }

    /// A packet id that was not used yet.
    pub fn id(&mut self, set: u32) -> u64 {
        self.numbers[set as usize] += 1;
        PacketId { machine: MACHINE, set: set as u16, number: self.numbers[set as usize] }.to_u64()
    }

    /// Appends a row to the journal of a group, and gives its number.
    pub fn row(&mut self, group: u32, row: Row, note: Option<&str>) -> u64 {
        let journal = &mut self.journals[group as usize];
        journal.push((Row { wall_ms: self.wall_ms, ..row }, note.map(str::to_owned)));
        self.wall_ms += 1;
        journal.len() as u64
    }

    /// The row that was appended last to a group's journal.
    pub fn last(&mut self, group: u32) -> &mut Row {
        &mut self.journals[group as usize].last_mut().unwrap().0
    }

    pub fn order(&mut self, number: u64, note: &str) {
        (0..GROUPS).for_each(|group| {
            self.row(group, Row { req: number, ..row(Kind::Order, Account::House) }, Some(note));
        });
    }

    pub fn mint(&mut self, set: u32, fen: u64, terms: Terms) -> u64 {
        let id = self.id(set);
        self.place += 1;
        let place = self.place - 1;
        let row = Row {
            debit: Account::House,
            credit: Account::Packet(id),
            fen,
            req: 1,
            packet: id,
            other: place,
            detail: terms.to_detail(),
            ..row(Kind::Mint, Account::House)
        };
        self.row(set % GROUPS, row, None);
        id
    }

    /// A packet of a user, for others.
    pub fn send(&mut self, sender: u64, fen: u64, terms: Terms, to: &[u64]) -> u64 {
        let set = place(0).layout.set_of(sender);
        let (id, req) = (self.id(set), self.req());
        let row = Row {
            debit: Account::Wallet(sender),
            credit: Account::Packet(id),
            fen,
            user: sender,
            req,
            packet: id,
            detail: terms.to_detail(),
            ..row(Kind::Send, Account::House)
        };
        self.row(set % GROUPS, row, None);
        for other in to {
            self.about(Kind::Invite, sender, req, id, *other);
        }
        id
    }

    /// A packet of the house, for others.
    pub fn house_send(&mut self, set: u32, fen: u64, terms: Terms, to: &[u64]) -> u64 {
        let id = self.mint(set, fen, terms);
        let last = self.last(set % GROUPS);
        last.kind = Kind::Send;
        last.req = 2;
        for other in to {
            self.about(Kind::Invite, 0, 2, id, *other);
        }
        id
    }

    /// A row about a packet that moves nothing, in the packet's journal.
    pub fn about(&mut self, kind: Kind, user: u64, req: u64, packet: u64, other: u64) -> u64 {
        let row = Row { user, req, packet, other, ..row(kind, Account::Packet(packet)) };
        self.row(group_of(packet), row, None)
    }

    pub fn win(&mut self, user: u64, packet: u64) -> u64 {
        let req = self.req();
        self.about(Kind::Win, user, req, packet, 0)
    }

    pub fn grab(&mut self, user: u64, packet: u64) -> u64 {
        let req = self.req();
        self.about(Kind::Grab, user, req, packet, 0)
    }

    pub fn share(&mut self, user: u64, packet: u64, other: u64) -> u64 {
        let req = self.req();
        self.about(Kind::Share, user, req, packet, other)
    }

    /// An open, not delivered where the user is of another group.
    pub fn open(&mut self, user: u64, packet: u64, fen: u64) -> u64 {
        let (group, of) = (group_of(packet), place(0).group_of_user(user));
        let credit = if group == of { Account::Wallet(user) } else { Account::Clearing(of) };
        let req = self.req();
        let debit = Account::Packet(packet);
        self.row(group, Row { debit, credit, fen, user, req, packet, ..row(Kind::Open, debit) }, None)
    }

    /// The delivery of row `open` of another group's journal.
    pub fn deliver(&mut self, from: u32, open: u64) -> u64 {
        let Row { fen, user, req, packet, .. } = self.journals[from as usize][open as usize - 1].0;
        let (debit, credit) = (Account::Clearing(from), Account::Wallet(user));
        let row = Row { debit, credit, fen, user, req, packet, other: open, ..row(Kind::Deliver, debit) };
        self.row(place(0).group_of_user(user), row, None)
    }

    /// What a user was told of a packet.
    pub fn told(&mut self, op: u8, user: u64, req: u64, packet: u64, fen: u64) -> u64 {
        let detail = u64::from(op) << 56 | fen;
        let row = Row { user, req, packet, detail, ..row(Kind::Told, Account::Wallet(user)) };
        self.row(place(0).group_of_user(user), row, None)
    }

    pub fn refund(&mut self, packet: u64, maker: u64, fen: u64) {
        let credit = if maker == 0 { Account::House } else { Account::Wallet(maker) };
        let debit = Account::Packet(packet);
        self.row(group_of(packet), Row { debit, credit, fen, packet, ..row(Kind::Refund, debit) }, None);
    }

    pub fn deposit(&mut self, user: u64, fen: u64, id: &str) {
        let (debit, credit) = (Account::House, Account::Wallet(user));
        let row = Row { debit, credit, fen, user, ..row(Kind::Deposit, debit) };
        self.row(place(0).group_of_user(user), row, Some(id));
    }

    pub fn withdraw(&mut self, user: u64, fen: u64, id: &str) {
        let (debit, credit) = (Account::Wallet(user), Account::House);
        let row = Row { debit, credit, fen, user, ..row(Kind::Withdraw, debit) };
        self.row(place(0).group_of_user(user), row, Some(id));
    }

    /// Time goes on to so many seconds after the packets' end.
    pub fn expire(&mut self, more_s: u64) {
        self.wall_ms = (u64::from(EXPIRY_S) + more_s) * 1_000;
    }

    pub fn audit(&self) -> Report {
        self.audit_with(None)
    }

    pub fn audit_with(&self, tallies: Option<&Tallies>) -> Report {
        judge(self.groups(), tallies, |group| self.journals[group as usize].len() as u64)
    }

    /// The groups, each with all its rows taken.
    pub fn groups(&self) -> Vec<Group> {
        let taken = |(group, journal): (usize, &Vec<(Row, Option<String>)>)| {
            let mut taken = Group::new(place(group as u32));
            journal
                .iter()
                .zip(1..)
                .for_each(|((row, note), number)| taken.take(number, row, note.as_deref()));
            taken
        };
        self.journals.iter().enumerate().map(taken).collect()
    }

    /// Names of the rules that do not hold, and how often.
    pub fn broken(&self) -> Vec<(&'static str, u64)> {
        self.audit().by_rule.into_iter().collect()
    }
}

pub fn group_of(packet: u64) -> u32 {
    u32::from(PacketId::from_u64(packet).set) % GROUPS
}

/// A row that moves nothing and names nothing.
pub fn row(kind: Kind, account: Account) -> Row {
    Row {
        kind,
        debit: account,
        credit: account,
        fen: 0,
        user: 0,
        req: 0,
        packet: 0,
        wall_ms: 0,
        other: 0,
        detail: 0,
    }
}
