//! What a row must be, looked at alone: the double entry of its kind, in the journal where it belongs.

use super::rule::Rule;
use crate::ledger::{Account, Kind, Row};
use redpkt_proto::body::PacketId;
use redpkt_proto::steer::Layout;

/// Whose journal a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The machine that made the ledger's packets.
    pub machine: u16,
    /// How its users and SETs are divided.
    pub layout: Layout,
    /// Which group's journal it is.
    pub group: u32,
}

/// A rule that a row breaks, what the row says, and what was found.
pub type Broken = (Rule, String, String);

impl Place {
    /// A ledger of this machine with so many SETs and groups.
    pub fn new(machine: u16, sets: u32, groups: u32, group: u32) -> Place {
        Place { machine, layout: Layout { sets, groups, workers: 1 }, group }
    }

    /// The group of a user.
    pub fn group_of_user(&self, user: u64) -> u32 {
        self.layout.group_of(self.layout.set_of(user))
    }

    /// The group of a packet, if it can be one of this ledger.
    pub fn group_of_packet(&self, packet: u64) -> Option<u32> {
        let PacketId { machine, set, number } = PacketId::from_u64(packet);
        (machine == self.machine && u32::from(set) < self.layout.sets && number > 0)
            .then(|| self.layout.group_of(set.into()))
    }

    /// Whether this packet can be one of this group.
    pub fn has_packet(&self, packet: u64) -> bool {
        self.group_of_packet(packet) == Some(self.group)
    }

    /// Whether the row is the double entry that its kind demands, in the journal where it belongs.
    pub fn check(&self, row: &Row) -> Result<(), Broken> {
        let accounts = |debit, credit| entry(row, debit, credit);
        let (packet, wallet) = (Account::Packet(row.packet), Account::Wallet(row.user));
        match row.kind {
            Kind::Order => nothing_moves(row),
            Kind::Mint => {
                if row.user != 0 {
                    return Err((Rule::Entry, format!("user {}", row.user), "the house mints".into()));
                }
                accounts(Account::House, packet).and_then(|()| self.packet_is_here(row))
            }
            Kind::Send if row.user == 0 => {
                accounts(Account::House, packet).and_then(|()| self.packet_is_here(row))
            }
            Kind::Send => accounts(wallet, packet).and_then(|()| self.packet_is_the_users(row)),
            Kind::Win => nothing_moves(row).and_then(|()| self.packet_is_the_users(row)),
            Kind::Invite => nothing_moves(row).and_then(|()| self.packet_is_here(row)),
            Kind::Share | Kind::Grab => {
                nothing_moves(row).and_then(|()| is_a_user(row)).and_then(|()| self.packet_is_here(row))
            }
            Kind::Open => {
                let credit = match self.group_of_user(row.user) {
                    group if group == self.group => wallet,
                    group => Account::Clearing(group),
                };
                self.packet_is_here(row).and_then(|()| is_a_user(row)).and_then(|()| accounts(packet, credit))
            }
            Kind::Deliver => {
                let from = self.group_of_packet(row.packet).filter(|group| *group != self.group);
                let Some(from) = from else {
                    let found = "no packet of another group".to_owned();
                    return Err((Rule::Place, format!("packet {}", row.packet), found));
                };
                self.user_is_here(row).and_then(|()| accounts(Account::Clearing(from), wallet))
            }
            Kind::Told => {
                if self.group_of_packet(row.packet).is_none() {
                    let found = "no packet of this ledger".to_owned();
                    return Err((Rule::Place, format!("packet {}", row.packet), found));
                }
                nothing_moves(row).and_then(|()| self.user_is_here(row))
            }
            Kind::Refund => {
                let credit = match row.credit {
                    Account::Wallet(user) => Account::Wallet(user),
                    _ => Account::House,
                };
                accounts(packet, credit).and_then(|()| self.packet_is_here(row))
            }
            Kind::Deposit => accounts(Account::House, wallet).and_then(|()| self.user_is_here(row)),
            Kind::Withdraw => accounts(wallet, Account::House).and_then(|()| self.user_is_here(row)),
        }
    }

    fn packet_is_here(&self, row: &Row) -> Result<(), Broken> {
        let group = self.group_of_packet(row.packet);
        if group == Some(self.group) {
            return Ok(());
        }
        let found = match group {
            Some(group) => format!("a packet of group {group}"),
            None => "no packet of this ledger".to_owned(),
        };
        Err((Rule::Place, format!("packet {}", row.packet), found))
    }

    fn user_is_here(&self, row: &Row) -> Result<(), Broken> {
        is_a_user(row)?;
        match self.group_of_user(row.user) {
            group if group == self.group => Ok(()),
            group => Err((Rule::Place, format!("user {}", row.user), format!("a user of group {group}"))),
        }
    }

    /// The packet is here, and in the user's own SET: where a user wins and sends.
    fn packet_is_the_users(&self, row: &Row) -> Result<(), Broken> {
        is_a_user(row)?;
        self.packet_is_here(row)?;
        let (set, users) = (u32::from(PacketId::from_u64(row.packet).set), self.layout.set_of(row.user));
        if set == users {
            return Ok(());
        }
        let said = format!("packet {} of SET {set}", row.packet);
        Err((Rule::Place, said, format!("user {} belongs to SET {users}", row.user)))
    }
}

/// The most fen that the answer to a request can tell of; see [`Row::detail`].
pub const FEN_MAX: u64 = (1 << 56) - 1;

fn entry(row: &Row, debit: Account, credit: Account) -> Result<(), Broken> {
    if (row.debit, row.credit) != (debit, credit) {
        return Err((Rule::Entry, accounts(row.debit, row.credit), accounts(debit, credit)));
    }
    match row.fen {
        0 => Err((Rule::Entry, "0 fen".into(), format!("a {} moves money", row.kind.name()))),
        fen if fen > FEN_MAX => Err((Rule::Entry, format!("{fen} fen"), format!("at most {FEN_MAX}"))),
        _ => Ok(()),
    }
}

/// The row moves nothing, and the account it names twice is its own.
fn nothing_moves(row: &Row) -> Result<(), Broken> {
    let own = match row.debit {
        Account::House => true,
        Account::Packet(packet) => packet == row.packet,
        Account::Wallet(user) => user == row.user,
        Account::Clearing(_) => false,
    };
    if row.fen == 0 && row.debit == row.credit && own {
        return Ok(());
    }
    let said = format!("{}, {} fen", accounts(row.debit, row.credit), row.fen);
    Err((Rule::Entry, said, format!("a {} moves nothing", row.kind.name())))
}

fn is_a_user(row: &Row) -> Result<(), Broken> {
    match row.user {
        0 => Err((Rule::Entry, "user 0".into(), format!("a {} is a user's", row.kind.name()))),
        _ => Ok(()),
    }
}

/// Two accounts, for a reader.
fn accounts(debit: Account, credit: Account) -> String {
    format!("{} to {}", account(debit), account(credit))
}

fn account(account: Account) -> String {
    match account {
        Account::House => "house".into(),
        Account::Packet(id) => format!("packet {id}"),
        Account::Wallet(user) => format!("wallet {user}"),
        Account::Clearing(group) => format!("clearing {group}"),
    }
}
