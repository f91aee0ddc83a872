//! Valid histories by chance: a model of what a server may do, small and without a word of the server's code.

use super::book::{Book, EXPIRY_S, GROUPS, SETS, terms, user};
use crate::ledger::{Account, Kind, Terms};
use rand::{RngExt as _, SeedableRng as _};
use redpkt_proto::Rng;

/// A packet, as the model knows it.
struct Packet {
    id: u64,
    set: u32,
    maker: u64,
    minted: bool,
    won: bool,
    equal: bool,
    total: u64,
    left: u64,
    shares: u64,
    opened: u64,
    members: Vec<u64>,
    holders: Vec<u64>,
    openers: Vec<(u64, u64)>,
}

impl Packet {
    fn free(&self) -> u64 {
        self.shares - self.opened - self.waiting() as u64
    }

    fn waiting(&self) -> usize {
        self.holders.iter().filter(|user| !self.has_opened(**user)).count()
    }

    fn has_opened(&self, user: u64) -> bool {
        self.openers.iter().any(|(opener, _)| *opener == user)
    }

    /// The next share, as the rule draws it.
    fn draw(&self, rng: &mut Rng) -> u64 {
        let left_shares = self.shares - self.opened;
        if self.equal {
            return self.total / self.shares + u64::from(self.opened < self.total % self.shares);
        }
        draw(rng, self.left, left_shares)
    }
}

/// A random share, as the rule draws it.
pub fn draw(rng: &mut Rng, left: u64, left_shares: u64) -> u64 {
    if left_shares == 1 {
        return left;
    }
    let over = 2 * left - left_shares;
    let (q, r) = (over / left_shares, over % left_shares);
    let k = q + u64::from(rng.random_range(0..left_shares) < r);
    rng.random_range(1..=k)
}

/// A history of some hundred steps.
pub struct History {
    rng: Rng,
    pub book: Book,
    packets: Vec<Packet>,
    wallets: std::collections::BTreeMap<u64, u64>,
    /// Opens to be delivered, by group that owes and group that is owed to.
    owed: Vec<Vec<std::collections::VecDeque<u64>>>,
    paid: u64,
}

impl History {
    /// The book of a history that this seed makes.
    pub fn of(seed: u64, steps: usize) -> Book {
        let mut history = History {
            rng: Rng::seed_from_u64(seed),
            book: Book::new(),
            packets: Vec::new(),
            wallets: Default::default(),
            owed: vec![vec![Default::default(); GROUPS as usize]; GROUPS as usize],
            paid: 0,
        };
        history.book.order(1, r#"{"state":"running"}"#);
        (0..steps).for_each(|_| history.step());
        if seed.is_multiple_of(2) {
            history.expire();
        }
        (0..GROUPS).for_each(|from| history.deliver(from));
        history.book
    }

    fn any_user(&mut self) -> u64 {
        let (set, at) = (self.rng.random_range(0..SETS), self.rng.random_range(0..4));
        user(set, at)
    }

    fn step(&mut self) {
        match self.rng.random_range(0..14) {
            0 => self.pay(),
            1 => self.mint(),
            2 => self.send(),
            3 | 4 => self.win(),
            5 => self.share(),
            6 | 7 => self.grab(),
            8..12 => self.open(),
            12 => self.tell(),
            _ => (0..GROUPS).for_each(|from| self.deliver(from)),
        }
    }

    fn pay(&mut self) {
        let user = self.any_user();
        self.paid += 1;
        let (id, fen) = (format!("p{}", self.paid), self.rng.random_range(1..500));
        let held = self.wallets.entry(user).or_default();
        if *held >= fen && self.paid.is_multiple_of(3) {
            *held -= fen;
            self.book.withdraw(user, fen, &id);
        } else {
            *held += fen;
            self.book.deposit(user, fen, &id);
        }
    }

    fn cut(&mut self) -> (Terms, u64) {
        let shares = self.rng.random_range(1..=5);
        (terms(shares, self.rng.random_bool(0.3)), u64::from(shares) + self.rng.random_range(0..60))
    }

    fn keep(
        &mut self,
        id: u64,
        set: u32,
        maker: u64,
        minted: bool,
        (terms, total): (Terms, u64),
        members: Vec<u64>,
    ) {
        let Terms { shares, equal, .. } = terms;
        let (holders, openers) = (Vec::new(), Vec::new());
        let shares = shares.into();
        let packet = Packet {
            id,
            set,
            maker,
            minted,
            won: false,
            equal,
            total,
            left: total,
            shares,
            opened: 0,
            members,
            holders,
            openers,
        };
        self.packets.push(packet);
    }

    fn mint(&mut self) {
        let (set, cut) = (self.rng.random_range(0..SETS), self.cut());
        let id = self.book.mint(set, cut.1, cut.0);
        self.keep(id, set, 0, true, cut, Vec::new());
    }

    fn send(&mut self) {
        let (maker, cut) = (self.any_user(), self.cut());
        let set = super::book::place(0).layout.set_of(maker);
        let mut to: Vec<u64> = (0..6).map(|_| self.any_user()).filter(|user| *user != maker).collect();
        to.sort_unstable();
        to.dedup();
        let held = self.wallets.entry(maker).or_default();
        if *held >= cut.1 {
            *held -= cut.1;
            let id = self.book.send(maker, cut.1, cut.0, &to);
            self.keep(id, set, maker, false, cut, to);
        } else {
            let id = self.book.house_send(set, cut.1, cut.0, &to);
            self.keep(id, set, 0, false, cut, to);
        }
    }

    fn win(&mut self) {
        let Some(packet) = self.packets.iter_mut().find(|packet| packet.minted && !packet.won) else {
            return;
        };
        let user = user(packet.set, self.rng.random_range(0..4));
        packet.won = true;
        packet.members.push(user);
        packet.holders.push(user);
        self.book.win(user, packet.id);
    }

    fn share(&mut self) {
        let other = self.any_user();
        let Some(at) = self.any_packet() else { return };
        let packet = &mut self.packets[at];
        let Some(member) = packet.members.iter().find(|member| **member != other).copied() else { return };
        packet.members.push(other);
        self.book.share(member, packet.id, other);
    }

    fn grab(&mut self) {
        let Some(at) = self.any_packet() else { return };
        let packet = &mut self.packets[at];
        let Some(user) =
            packet.members.iter().find(|user| !packet.holders.contains(user) && !packet.has_opened(**user))
        else {
            return;
        };
        if packet.free() > 0 {
            self.book.grab(*user, packet.id);
            packet.holders.push(*user);
        }
    }

    fn open(&mut self) {
        let Some(at) = self.any_packet() else { return };
        let packet = &self.packets[at];
        let Some(user) = packet.members.iter().find(|user| !packet.has_opened(**user)).copied() else {
            return;
        };
        if packet.left == 0 || (packet.free() == 0 && !packet.holders.contains(&user)) {
            return;
        }
        let fen = packet.draw(&mut self.rng);
        let packet = &mut self.packets[at];
        packet.left -= fen;
        packet.opened += 1;
        packet.openers.push((user, fen));
        let (from, to) = (packet.set % GROUPS, super::book::place(0).group_of_user(user));
        let row = self.book.open(user, packet.id, fen);
        if from == to {
            *self.wallets.entry(user).or_default() += fen;
        } else {
            self.owed[from as usize][to as usize].push_back(row);
        }
    }

    /// Tells a user again what he took: with the req of the open, or with a new one.
    fn tell(&mut self) {
        let Some(at) = self.any_packet() else { return };
        let packet = &self.packets[at];
        let Some((user, fen)) = packet.openers.first().copied() else { return };
        let req = self.book.req();
        self.book.told(17, user, req, packet.id, fen);
    }

    fn deliver(&mut self, from: u32) {
        for to in 0..GROUPS {
            let Some(row) = self.owed[from as usize][to as usize].pop_front() else { continue };
            let open = self.book.journals[from as usize][row as usize - 1].0;
            *self.wallets.entry(open.user).or_default() += open.fen;
            self.book.deliver(from, row);
        }
    }

    fn expire(&mut self) {
        self.book.wall_ms = u64::from(EXPIRY_S) * 1_000;
        for packet in self.packets.iter().filter(|packet| packet.left > 0) {
            self.book.refund(packet.id, packet.maker, packet.left);
        }
    }

    fn any_packet(&mut self) -> Option<usize> {
        (!self.packets.is_empty()).then(|| self.rng.random_range(0..self.packets.len()))
    }
}

/// Whether this row's packet ended in the book: all shares taken, or the rest gone back. Then every fen of it
/// is accounted for.
pub fn has_ended(book: &Book, packet: u64) -> bool {
    let rows = || book.journals.iter().flatten().map(|(row, _)| row).filter(|row| row.packet == packet);
    let made = rows().find(|row| matches!(row.kind, Kind::Mint | Kind::Send));
    let shares = made.map_or(0, |row| Terms::from_detail(row.detail).shares);
    rows().any(|row| row.kind == Kind::Refund)
        || rows().filter(|row| row.kind == Kind::Open).count() == usize::from(shares)
}

/// Whether an open is of another group's user and was delivered.
pub fn is_delivered(book: &Book, group: usize, number: u64) -> bool {
    let from = Account::Clearing(group as u32);
    book.journals
        .iter()
        .flatten()
        .any(|(row, _)| row.kind == Kind::Deliver && row.debit == from && row.other == number)
}
