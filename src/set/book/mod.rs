//! What a group's journal says, in memory: accounts, packets, orders. Rows are applied here, and nowhere
//! else: a row that was just decided and a row that is read back after a crash take the same way.

mod accounts;
mod members;
mod orders;
mod packets;
mod part;
mod split;

pub use accounts::{ANSWER_FEN_MAX, Accounts, HistoryEntry, KeptAnswer, Known};
pub use members::Members;
pub use orders::{ORDERS_MAX, Order, OrderNote, OrderState, Progress, RunningOrder, SHARES_MAX, What};
pub use packets::{Packet, Packets, Standing};
pub use part::Before;

use super::config::Capacity;
use super::fault::{self, Fault};
use super::invites::{Invitation, Invites};
use crate::ledger::{Account, Kind, Row, Terms};
use redpkt_proto::Op;
use redpkt_proto::body::{EntryKind, PacketId, Status};
use redpkt_proto::steer::Layout;

/// A row that does not fit to those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A table is too small for what the journal holds.
    #[error("there is no room for it; start with a greater {option}")]
    Full {
        /// The option that sets the table's size.
        option: &'static str,
    },
    /// The journal contradicts itself, or is of another server.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// A SET's money.
pub struct Set {
    /// Its number.
    pub number: u32,
    /// What it keeps of its users.
    pub accounts: Accounts,
    /// Its packets.
    pub packets: Packets,
    /// What its users are invited to, and were not told, or have not taken up.
    pub invites: Invites,
    /// What the rows say that its packets hold, in fen.
    packets_fen: u64,
    /// What the rows say that its users' wallets hold, in fen.
    wallets_fen: u64,
}

impl Set {
    /// Whether its packets and wallets, counted one by one, hold what the rows say.
    pub fn is_counted_right(&self) -> bool {
        self.packets.held_fen() == self.packets_fen && self.accounts.held_fen() == self.wallets_fen
    }
}

/// What the accounts of a group hold, by sort; what is owed to other groups, and has come from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What the house has put in less what it has taken out, in fen. Below zero where users of this group were
    /// paid out what they had from packets of others.
    pub house_fen: i64,
    /// In packets, in fen.
    pub packets_fen: u64,
    /// In wallets, in fen.
    pub wallets_fen: u64,
    /// Gone to other groups' users, in fen.
    pub cleared_out_fen: u64,
    /// Come from other groups' packets, in fen.
    pub cleared_in_fen: u64,
}

impl Totals {
    /// Whether nothing was made or lost.
    pub fn is_balanced(&self) -> bool {
        let put_in = i128::from(self.house_fen) + i128::from(self.cleared_in_fen);
        let is_there = i128::from(self.packets_fen) + i128::from(self.wallets_fen);
        put_in == is_there + i128::from(self.cleared_out_fen)
    }
}

/// One group's memory.
pub struct Book {
    group: u32,
    layout: Layout,
    sets: Vec<Set>,
    /// By group: the last row of its journal whose money has come here.
    delivered: Box<[u64]>,
    /// In the order of their numbers.
    orders: Vec<RunningOrder>,
    totals: Totals,
    newest_session: u32,
}

impl Book {
    /// The book of a group of which nothing is written yet.
    pub fn new(group: u32, layout: Layout, capacity: &Capacity, mut seed: impl FnMut() -> u64) -> Book {
        let sets = (0..layout.sets).filter(|set| layout.group_of(*set) == group).map(|number| Set {
            number,
            accounts: Accounts::new(capacity.accounts, seed()),
            packets: Packets::new(capacity.packets, capacity.members, seed()),
            invites: Invites::new(capacity.invites, seed()),
            packets_fen: 0,
            wallets_fen: 0,
        });
        Book {
            group,
            layout,
            sets: sets.collect(),
            delivered: vec![0; layout.groups as usize].into(),
            orders: Vec::with_capacity(ORDERS_MAX),
            totals: Totals::default(),
            newest_session: 0,
        }
    }

    /// Which group's.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Its SETs, ascending.
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// The SET with this number, which is one of the group's.
    pub fn set(&self, number: u32) -> &Set {
        &self.sets[(number / self.layout.groups) as usize]
    }

    /// The SET with this number, to be changed.
    pub fn set_mut(&mut self, number: u32) -> &mut Set {
        &mut self.sets[(number / self.layout.groups) as usize]
    }

    /// The SET of a user of this group.
    pub fn set_of_user(&mut self, user: u64) -> &mut Set {
        self.set_mut(self.layout.set_of(user))
    }

    /// Its orders, in the order of their numbers.
    pub fn orders(&self) -> &[RunningOrder] {
        &self.orders
    }

    /// An order, to be worked on.
    pub fn order_mut(&mut self, at: usize) -> &mut RunningOrder {
        &mut self.orders[at]
    }

    /// What its accounts hold.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The last row of another group's journal whose money has come here.
    pub fn delivered(&self, from: u32) -> u64 {
        self.delivered[from as usize]
    }

    /// The newest session of which a request is written; 0 for none.
    pub fn newest_session(&self) -> u32 {
        self.newest_session
    }

    /// Who may still take from packets of this group: to be told, if they were not.
    pub fn invitations(&self, machine: u16) -> impl Iterator<Item = Invitation> {
        self.sets.iter().flat_map(move |set| {
            set.packets
                .invited()
                .map(move |(packet, user)| Invitation::new(machine, set.number, packet, user))
        })
    }

    /// Takes over what users of this group were invited to from the book that this one takes the place of: most of it
    /// is of other groups' packets, and stands in no row here. `is_broken` names SETs whose tables may be.
    pub fn keep_invites_of(
        &mut self,
        old: &mut Book,
        machine: u16,
        wall_s: u64,
        is_broken: impl Fn(u32) -> bool,
    ) {
        for (set, old) in self.sets.iter_mut().zip(&mut old.sets) {
            if is_broken(set.number) {
                set.invites.add_all_of(&old.invites, wall_s);
            } else {
                std::mem::swap(&mut set.invites, &mut old.invites);
            }
        }
        let own: Vec<Invitation> =
            self.invitations(machine).filter(|what| self.has_user(what.user)).collect();
        for invitation in own {
            let _ = self.set_of_user(invitation.user).invites.add(invitation, wall_s);
        }
    }

    /// The group of a user.
    pub fn group_of_user(&self, user: u64) -> u32 {
        self.layout.group_of(self.layout.set_of(user))
    }

    /// Whether a user's money is kept here.
    pub fn has_user(&self, user: u64) -> bool {
        self.group_of_user(user) == self.group
    }

    /// Takes over what a row says. A row that was decided from this book always fits.
    pub fn apply(&mut self, row: &Row, note: Option<&str>) -> Result<(), RowError> {
        self.move_money(row)?;
        if row.kind != Kind::Order {
            fault::here(Fault::HalfApplied);
        }
        if row.user != 0 {
            self.newest_session = self.newest_session.max((row.req >> 32) as u32);
        }
        match row.kind {
            Kind::Order => self.apply_order(row, note),
            Kind::Mint | Kind::Send => self.apply_make(row),
            Kind::Invite | Kind::Share => self.apply_invite(row),
            Kind::Win | Kind::Grab | Kind::Open => self.apply_take(row),
            Kind::Deliver => self.apply_deliver(row),
            Kind::Told => self.apply_told(row),
            Kind::Refund => self.apply_refund(row),
            Kind::Deposit | Kind::Withdraw => self.apply_payment(row),
        }
    }

    fn move_money(&mut self, row: &Row) -> Result<(), RowError> {
        if row.fen > ANSWER_FEN_MAX {
            return Err(RowError::Contradiction("it is about more fen than any packet or payment may have"));
        }
        if row.fen == 0 {
            return Ok(());
        }
        let short = || RowError::Contradiction("an account pays out more than it holds");
        match row.debit {
            Account::House => self.totals.house_fen += row.fen as i64,
            Account::Packet(id) => {
                let held_fen = &mut self.set_of_packet(id)?.packets_fen;
                *held_fen = held_fen.checked_sub(row.fen).ok_or_else(short)?;
                self.totals.packets_fen -= row.fen;
            }
            Account::Wallet(user) => {
                let balance_fen = &mut self.account(user)?.balance_fen;
                *balance_fen = balance_fen.checked_sub(row.fen).ok_or_else(short)?;
                self.set_of_user(user).wallets_fen -= row.fen;
                self.totals.wallets_fen -= row.fen;
            }
            Account::Clearing(_) => self.totals.cleared_in_fen += row.fen,
        }
        match row.credit {
            Account::House => self.totals.house_fen -= row.fen as i64,
            Account::Packet(id) => {
                self.set_of_packet(id)?.packets_fen += row.fen;
                self.totals.packets_fen += row.fen;
            }
            Account::Wallet(user) => {
                self.account(user)?.balance_fen += row.fen;
                self.set_of_user(user).wallets_fen += row.fen;
                self.totals.wallets_fen += row.fen;
            }
            Account::Clearing(_) => self.totals.cleared_out_fen += row.fen,
        }
        Ok(())
    }

    fn account(&mut self, user: u64) -> Result<&mut accounts::Account, RowError> {
        if !self.has_user(user) {
            return Err(RowError::Contradiction("it is about a user of another group"));
        }
        let set = self.set_of_user(user);
        set.accounts.get_or_add(user).ok_or(RowError::Full { option: "--accounts" })
    }

    /// The SET and the number of a row's packet.
    fn packet(&mut self, row: &Row) -> Result<(&mut Set, u32), RowError> {
        Ok((self.set_of_packet(row.packet)?, PacketId::from_u64(row.packet).number))
    }

    fn set_of_packet(&mut self, packet: u64) -> Result<&mut Set, RowError> {
        let set = u32::from(PacketId::from_u64(packet).set);
        if set >= self.layout.sets || self.layout.group_of(set) != self.group {
            return Err(RowError::Contradiction("it is about a packet of another group"));
        }
        Ok(self.set_mut(set))
    }

    /// Keeps the answer to a row's request, if the user is of this group.
    fn keep(&mut self, row: &Row, op: Op, fen: u64, asked_for: u32) -> Result<(), RowError> {
        if self.has_user(row.user) {
            self.account(row.user)?.keep(kept(row, op, fen, asked_for));
        }
        Ok(())
    }

    fn apply_order(&mut self, row: &Row, note: Option<&str>) -> Result<(), RowError> {
        let wrong = || RowError::Contradiction("it is about an order, and its note is not");
        let note = serde_json::from_str(note.ok_or_else(wrong)?).map_err(|_| wrong())?;
        let at = usize::try_from(row.req).ok().and_then(|number| number.checked_sub(1)).ok_or_else(wrong)?;
        match note {
            OrderNote::Taken(order) if at == self.orders.len() && at < ORDERS_MAX => {
                let first =
                    self.orders.iter().fold(0, |sum: u64, before| sum.wrapping_add(before.order.total));
                let budget_fen = self.share_of_budget(order.budget_fen);
                self.orders.push(RunningOrder::new(order, first, budget_fen));
            }
            OrderNote::State(state) if at < self.orders.len() => self.orders[at].state = state,
            _ => return Err(RowError::Contradiction("orders do not stand in the order of their numbers")),
        }
        Ok(())
    }

    /// What a group may spend of an order's budget: as much as it has SETs, so that all groups' shares together
    /// never are more than the whole.
    fn share_of_budget(&self, budget_fen: u64) -> u64 {
        match budget_fen {
            0 => u64::MAX,
            budget => (u128::from(budget) * self.sets.len() as u128 / u128::from(self.layout.sets)) as u64,
        }
    }

    fn apply_make(&mut self, row: &Row) -> Result<(), RowError> {
        let (terms, sender) = (Terms::from_detail(row.detail), row.user);
        let (set, number) = self.packet(row)?;
        if number != set.packets.next_number() {
            return Err(RowError::Contradiction("packets are not numbered one after another"));
        }
        if !set.packets.make(row.fen, terms, sender, row.kind == Kind::Mint) {
            return Err(RowError::Full { option: "--packets" });
        }
        if sender != 0 {
            return self.keep(row, Op::Send, row.fen, row.other as u32);
        }
        let at = usize::try_from(row.req).ok().and_then(|number| number.checked_sub(1));
        let order = at.and_then(|at| self.orders.get_mut(at));
        let order =
            order.ok_or(RowError::Contradiction("a packet was made by an order that was not taken"))?;
        order.progress.packets += 1;
        order.progress.fen += row.fen;
        order.budget_fen = order.budget_fen.saturating_sub(row.fen);
        order.next = order.next.max(row.other + 1);
        Ok(())
    }

    fn apply_invite(&mut self, row: &Row) -> Result<(), RowError> {
        let (set, number) = self.packet(row)?;
        if !set.packets.invite(number, row.other) {
            return Err(if set.packets.get(number).is_some() {
                RowError::Full { option: "--members" }
            } else {
                RowError::Contradiction("somebody is invited to a packet that is not there")
            });
        }
        match row.kind {
            Kind::Share => self.keep(row, Op::Share, 0, fingerprint(&[row.other])),
            _ => Ok(()),
        }
    }

    fn apply_take(&mut self, row: &Row) -> Result<(), RowError> {
        let (user, fen) = (row.user, row.fen);
        let (set, number) = self.packet(row)?;
        let (done, op) = match row.kind {
            Kind::Win => {
                let is_full = !set.packets.has_room_for_member();
                if is_full {
                    return Err(RowError::Full { option: "--members" });
                }
                (set.packets.win(number, user), Op::Shake)
            }
            Kind::Grab => (set.packets.grab(number, user), Op::Grab),
            _ => (set.packets.open(number, user, fen), Op::Open),
        };
        if !done {
            return Err(RowError::Contradiction("a share is taken that the user cannot have"));
        }
        self.keep(row, op, fen, 0)?;
        if self.has_user(user) {
            let set = self.set_of_user(user);
            if row.kind == Kind::Win {
                set.accounts.get_mut(user).expect("the answer was just kept").wins += 1;
            } else {
                set.invites.remove(user, row.packet);
            }
        }
        Ok(())
    }

    fn apply_deliver(&mut self, row: &Row) -> Result<(), RowError> {
        let Account::Clearing(from) = row.debit else {
            return Err(RowError::Contradiction("money is delivered from no other group"));
        };
        let delivered = self.delivered.get_mut(from as usize);
        let delivered = delivered.filter(|delivered| **delivered < row.other);
        *delivered.ok_or(RowError::Contradiction("money is delivered twice"))? = row.other;
        self.account(row.user)?.keep_decided(kept(row, Op::Open, row.fen, 0));
        self.set_of_user(row.user).invites.remove(row.user, row.packet);
        Ok(())
    }

    fn apply_told(&mut self, row: &Row) -> Result<(), RowError> {
        let op = Op::from_wire((row.detail >> 56) as u8);
        let op = op.ok_or(RowError::Contradiction("an answer was told to no request"))?;
        let fen = row.detail & ANSWER_FEN_MAX;
        self.account(row.user)?.keep_decided(kept(row, op, fen, row.other as u32));
        if op != Op::Share {
            self.set_of_user(row.user).invites.remove(row.user, row.packet);
        }
        Ok(())
    }

    fn apply_refund(&mut self, row: &Row) -> Result<(), RowError> {
        let (set, number) = self.packet(row)?;
        if set.packets.refund(number) != Some(row.fen) {
            return Err(RowError::Contradiction("another amount is returned than was left"));
        }
        if let Account::Wallet(sender) = row.credit {
            let when_s = (row.wall_ms / 1_000) as u32;
            self.account(sender)?.note_payment(EntryKind::Returned, row.packet, row.fen, when_s);
        }
        Ok(())
    }

    fn apply_payment(&mut self, row: &Row) -> Result<(), RowError> {
        let kind = if row.kind == Kind::Deposit { EntryKind::PaidIn } else { EntryKind::PaidOut };
        self.account(row.user)?.note_payment(kind, 0, row.fen, (row.wall_ms / 1_000) as u32);
        Ok(())
    }
}

/// The answer to a row's request, to be kept.
fn kept(row: &Row, op: Op, fen: u64, asked_for: u32) -> KeptAnswer {
    KeptAnswer::new(row.req, op, Status::Ok, row.packet, fen).of((row.wall_ms / 1_000) as u32, asked_for)
}

/// 32 bits that tell requests with other content apart: FNV-1a over the numbers' bytes, little-endian.
pub fn fingerprint(numbers: &[u64]) -> u32 {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
