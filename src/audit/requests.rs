//! Requests of users: each is executed once at the most, and what is told of it later is what was decided.
//!
//! 32 bytes for each that moved money or a right to it. They are sorted when all groups are read, in parts of
//! some users each, so that no index is needed meanwhile.

use super::entry::Broken;
use super::packets::{Did, Packet, Part, make_room};
use super::rule::{Difference, Differences, Rule};
use crate::ledger::Row;

/// What a user asks for, under the number of its op on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Asked {
    /// For luck.
    Shake = 16,
    /// To take a share.
    Open = 17,
    /// To make a packet for others.
    Send = 18,
    /// To invite another.
    Share = 20,
    /// To claim a share.
    Grab = 21,
}

impl Asked {
    /// Everything a user asks for.
    pub const ALL: [Asked; 5] = [Asked::Shake, Asked::Open, Asked::Send, Asked::Share, Asked::Grab];

    /// What has this number on the wire.
    pub fn from_number(number: u8) -> Option<Asked> {
        Asked::ALL.into_iter().find(|asked| *asked as u8 == number)
    }

    /// Its name in a tally.
    pub fn name(self) -> &'static str {
        match self {
            Asked::Shake => "shake",
            Asked::Open => "open",
            Asked::Send => "send",
            Asked::Share => "share",
            Asked::Grab => "grab",
        }
    }
}

/// One request of a user in one row. Sorted by user and req, and what was executed is before what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Whose.
    pub user: u64,
    /// Which.
    pub req: u64,
    /// From the top: whether it was told (1 bit), of money (1), op (8), packet without its machine (48).
    tag: u64,
    /// Group (16 bits) and row (48 bits).
    at: u64,
}

const _: () = assert!(size_of::<Request>() == 32);

const PACKET_BITS: u32 = 48;
const PACKET: u64 = (1 << PACKET_BITS) - 1;
const OF_MONEY: u64 = 1 << 62;
const TOLD: u64 = 1 << 63;

impl Request {
    /// What was asked for.
    pub fn asked(&self) -> Option<Asked> {
        Asked::from_number((self.tag >> PACKET_BITS) as u8)
    }

    /// The packet, which this machine has made.
    pub fn packet(&self, machine: u16) -> u64 {
        u64::from(machine) << PACKET_BITS | self.tag & PACKET
    }

    /// Whether this is what was told of an earlier decision; else the request was executed here.
    pub fn is_told(&self) -> bool {
        self.tag & TOLD != 0
    }

    /// Whether an open told of money.
    pub fn is_of_money(&self) -> bool {
        self.tag & OF_MONEY != 0
    }

    /// In which group's journal.
    pub fn group(&self) -> u32 {
        (self.at >> PACKET_BITS) as u32
    }

    /// In which row.
    pub fn row(&self) -> u64 {
        self.at & PACKET
    }

    /// Op and packet.
    fn content(&self) -> u64 {
        self.tag & !TOLD & !OF_MONEY
    }

    fn name(&self, machine: u16) -> String {
        format!("{} of packet {}", self.asked().map_or("unknown", Asked::name), self.packet(machine))
    }

    /// A difference in its row.
    pub fn differ(&self, machine: u16, rule: Rule, said: String, found: String) -> Difference {
        Difference {
            rule,
            group: Some(self.group()),
            row: Some(self.row()),
            packet: Some(self.packet(machine)),
            user: Some(self.user),
            said,
            found,
        }
    }
}

/// Parts of users.
pub const PARTS: usize = 64;

/// Which part a user belongs to.
pub fn part_of(user: u64) -> usize {
    (user.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

const _: () = assert!(1 << (64 - 58) == PARTS);

/// The requests of one group, in parts.
#[derive(Debug)]
pub struct Requests(Vec<Vec<Request>>);

impl Default for Requests {
    fn default() -> Requests {
        Requests(vec![Vec::new(); PARTS])
    }
}

impl Requests {
    /// A row executed a request.
    pub fn executed(&mut self, group: u32, number: u64, row: &Row, asked: Asked) {
        let money = if asked == Asked::Open { OF_MONEY } else { 0 };
        self.push(group, number, row, (asked as u64) << PACKET_BITS | money);
    }

    /// A row tells of an earlier decision.
    pub fn told(&mut self, group: u32, number: u64, row: &Row) {
        let told = Told { row: number, user: row.user, packet: row.packet, detail: row.detail };
        let money = if told.fen() > 0 { OF_MONEY } else { 0 };
        self.push(group, number, row, TOLD | money | u64::from(told.op()) << PACKET_BITS);
    }

    fn push(&mut self, group: u32, number: u64, row: &Row, tag: u64) {
        let part = &mut self.0[part_of(row.user)];
        make_room(part);
        let at = u64::from(group) << PACKET_BITS | number & PACKET;
        part.push(Request { user: row.user, req: row.req, tag: tag | row.packet & PACKET, at });
    }

    /// The parts.
    pub fn into_parts(self) -> Vec<Vec<Request>> {
        self.0
    }
}

/// Checks the requests of some users, of all groups, which it sorts.
pub fn check(requests: &mut [Request], machine: u16, differences: &mut Differences) {
    requests.sort_unstable();
    for same in requests.chunk_by(|one, other| (one.user, one.req) == (other.user, other.req)) {
        let [first, others @ ..] = same else { continue };
        for other in others {
            if !other.is_told() {
                let found = format!("executed in row {} of group {}, too", first.row(), first.group());
                differences.push(other.differ(machine, Rule::Request, format!("req {}", other.req), found));
                continue;
            }
            let nothing_of_money = !first.is_told()
                && first.asked() == Some(Asked::Open)
                && other.content() == first.content()
                && !other.is_of_money();
            if other.content() != first.content() || nothing_of_money {
                let what = if first.is_told() { "told before" } else { "executed" };
                let (row, group) = (first.row(), first.group());
                let found = format!("{what} in row {row} of group {group}: {}", first.name(machine));
                let said = other.name(machine) + if nothing_of_money { ", 0 fen" } else { "" };
                differences.push(other.differ(machine, Rule::Told, said, found));
            }
        }
    }
}

/// What a row tells of a packet. 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The row.
    pub row: u64,
    /// Who was told.
    pub user: u64,
    /// Of which packet.
    pub packet: u64,
    /// Op and fen, as [`Row::detail`] has them.
    pub detail: u64,
}

impl Told {
    /// The answer's op.
    pub fn op(&self) -> u8 {
        (self.detail >> 56) as u8
    }

    /// The answer's fen.
    pub fn fen(&self) -> u64 {
        self.detail & super::entry::FEN_MAX
    }

    /// Whether this is what was decided on the packet, of which the user has this part.
    pub fn check(&self, packet: &Packet, part: Part) -> Result<(), Broken> {
        let asked = Asked::from_number(self.op());
        let fen = self.fen();
        let taken = part.fen();
        let (right, found) = match asked {
            // Nothing was told of nothing: it was refused.
            Some(Asked::Open) if fen == 0 => (true, String::new()),
            Some(Asked::Open) => (fen == taken, format!("he took {taken} fen")),
            Some(Asked::Grab) => {
                let holds = part.has(Did::Grabbed) || part.has(Did::Opened);
                (holds && (fen == 0 || fen == taken), format!("he holds no share of {fen} fen"))
            }
            // Whom he invited may have been invited by others before.
            Some(Asked::Shake | Asked::Share) => {
                (part.has(Did::Joined) && fen == 0, "he did not win it, nor was he invited".to_owned())
            }
            Some(Asked::Send) => {
                let fits = packet.maker == self.user && (fen == 0 || fen == packet.total_fen);
                (fits, format!("user {} sent {} fen", packet.maker, packet.total_fen))
            }
            None => (false, "no request about money has this op".to_owned()),
        };
        if right {
            return Ok(());
        }
        let name = asked.map_or("unknown", Asked::name);
        Err((Rule::Told, format!("{name} of packet {}: {fen} fen", self.packet), found))
    }
}
