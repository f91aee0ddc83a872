//! The life of a packet: what may happen to it, to whom, in which order, and how much a share is.

use super::entry::Broken;
use super::group::Group;
use super::packets::{At, Did, Packet, Part, State, make_room};
use super::requests::{Asked, Told};
use super::rule::Rule;
use super::split;
use crate::ledger::{Account, Kind, Row};

/// The most shares that a packet can have.
const SHARES_MAX: u16 = 500;

type Checked = Result<(), Broken>;

fn broken(rule: Rule, said: impl Into<String>, found: impl Into<String>) -> Checked {
    Err((rule, said.into(), found.into()))
}

impl Group {
    /// Lets a row happen, also where it breaks a rule. `at` is where its packet is, if it was made.
    pub(super) fn live(&mut self, row: &Row, at: Option<At>) -> Checked {
        match (row.kind, at) {
            (Kind::Order | Kind::Deposit | Kind::Withdraw | Kind::Deliver, _) => Ok(()),
            (Kind::Mint | Kind::Send, _) => self.make(row),
            (Kind::Told, _) => self.told(row, at),
            (_, None) => broken(Rule::Made, format!("packet {}", row.packet), "it was never made"),
            (Kind::Invite, Some(at)) => self.invite(row, at),
            (Kind::Share, Some(at)) => self.share(row, at),
            (Kind::Win, Some(at)) => self.win(row, at),
            (Kind::Grab, Some(at)) => self.grab(row, at),
            (Kind::Open, Some(at)) => self.open(row, at),
            (Kind::Refund, Some(at)) => self.refund(row, at),
        }
    }

    fn make(&mut self, row: &Row) -> Checked {
        let packet = Packet::made_by(row);
        // One of another place would only stand in the way of those that belong here.
        if !self.place.has_packet(row.packet) {
            return Ok(());
        }
        if let Err(last) = self.packets.add(row.packet, packet) {
            return broken(
                Rule::Made,
                format!("number {}", packet.number),
                format!("{last} is taken in this SET"),
            );
        }
        let shares = packet.shares;
        if shares == 0 || shares > SHARES_MAX || row.fen < u64::from(shares) {
            let allowed = format!("1 to {SHARES_MAX} shares of at least 1 fen");
            return broken(Rule::Terms, format!("{shares} shares of {} fen", row.fen), allowed);
        }
        Ok(())
    }

    fn invite(&mut self, row: &Row, at: At) -> Checked {
        let packet = *self.packets.get(at);
        let joined = self.join(row, at);
        if packet.state != State::Sent || (packet.maker, packet.req) != (row.user, row.req) {
            let said = format!("user {}, req {}", row.user, row.req);
            return broken(Rule::Member, said, format!("sent by {}, req {}", packet.maker, packet.req));
        }
        joined
    }

    fn share(&mut self, row: &Row, at: At) -> Checked {
        let (packet, part) = (*self.packets.get(at), self.packets.part(at, row.user));
        let joined = self.join(row, at);
        ended(&packet)?;
        member(row, part)?;
        joined
    }

    /// `other` belongs to the packet from now on.
    fn join(&mut self, row: &Row, at: At) -> Checked {
        if row.other == 0 || row.other == row.user {
            return broken(Rule::Member, format!("invites {}", row.other), "it invites another user");
        }
        self.packets.part_mut(at, row.other).add(Did::Joined);
        Ok(())
    }

    fn win(&mut self, row: &Row, at: At) -> Checked {
        let packet = self.packets.get_mut(at);
        let before = *packet;
        if packet.state == State::Minted {
            packet.state = State::Won;
            // Whoever is let in, a share of it is the winner's.
            packet.held = packet.held.saturating_add(1);
        }
        self.packets.part_mut(at, row.user).add(Did::Joined);
        self.packets.part_mut(at, row.user).add(Did::Grabbed);
        ended(&before)?;
        match before.state {
            State::Minted => Ok(()),
            State::Won => broken(Rule::Won, "is won", "it was won before"),
            _ => broken(Rule::Won, "is won", "it was sent, not minted"),
        }
    }

    fn grab(&mut self, row: &Row, at: At) -> Checked {
        let (packet, part) = (*self.packets.get(at), self.packets.part(at, row.user));
        let is_first = !part.has(Did::Grabbed) && !part.has(Did::Opened);
        self.packets.part_mut(at, row.user).add(Did::Grabbed);
        let now = self.packets.get_mut(at);
        now.held = now.held.saturating_add(u16::from(is_first));
        ended(&packet)?;
        member(row, part)?;
        if !is_first {
            return broken(Rule::Once, "grabs", "this user has a share of it");
        }
        has_a_share(&packet)?;
        in_time(row, &packet)
    }

    fn open(&mut self, row: &Row, at: At) -> Checked {
        let (packet, part) = (*self.packets.get(at), self.packets.part(at, row.user));
        let holds = part.has(Did::Grabbed) && !part.has(Did::Opened);
        self.packets.part_mut(at, row.user).take(row.fen);
        let now = self.packets.get_mut(at);
        now.opened = now.opened.saturating_add(1);
        now.held = now.held.saturating_sub(u16::from(holds));
        ended(&packet)?;
        member(row, part)?;
        if part.has(Did::Opened) {
            return broken(Rule::Once, "opens", format!("this user took {} fen of it", part.fen()));
        }
        if !holds {
            has_a_share(&packet)?;
        }
        in_time(row, &packet)?;
        amount(row.fen, &packet)
    }

    fn refund(&mut self, row: &Row, at: At) -> Checked {
        let packet = self.packets.get_mut(at);
        let before = *packet;
        packet.state = State::Refunded;
        ended(&before)?;
        let said = format!("{} fen", row.fen);
        if u64::try_from(before.left_fen) != Ok(row.fen) {
            return broken(Rule::Refund, said, format!("{} fen are left", before.left_fen));
        }
        let maker = match before.maker {
            0 => Account::House,
            user => Account::Wallet(user),
        };
        if row.credit != maker || (row.user != 0 && row.user != before.maker) {
            return broken(Rule::Refund, format!("to {:?}", row.credit), format!("it is of {maker:?}"));
        }
        if row.wall_ms / 1_000 < u64::from(before.expiry_s) {
            let found = format!("its time ends at {} s", before.expiry_s);
            return broken(Rule::Expiry, format!("goes back at {} ms", row.wall_ms), found);
        }
        Ok(())
    }

    /// What was told of a packet of this group is checked now, of others when all are read.
    fn told(&mut self, row: &Row, at: Option<At>) -> Checked {
        let told = Told { row: self.rows, user: row.user, packet: row.packet, detail: row.detail };
        self.requests.told(self.place.group, self.rows, row);
        if Asked::from_number(told.op()).is_none() {
            return broken(Rule::Told, format!("op {}", told.op()), "no request about money has it");
        }
        if !self.place.has_packet(row.packet) {
            make_room(&mut self.told);
            self.told.push(told);
            return Ok(());
        }
        match at {
            Some(at) => told.check(self.packets.get(at), self.packets.part(at, row.user)),
            None => broken(Rule::Made, format!("packet {}", row.packet), "it was never made"),
        }
    }
}

fn ended(packet: &Packet) -> Checked {
    match packet.state {
        State::Refunded => broken(Rule::Refund, "goes on", "what was left has gone back"),
        _ => Ok(()),
    }
}

fn member(row: &Row, part: Part) -> Checked {
    if part.has(Did::Joined) {
        return Ok(());
    }
    broken(Rule::Member, format!("user {}", row.user), "he did not win it, nor was he invited")
}

fn has_a_share(packet: &Packet) -> Checked {
    let (gone, shares) = (u32::from(packet.opened) + u32::from(packet.held), u32::from(packet.shares));
    if gone < shares {
        return Ok(());
    }
    let found = format!("of {shares}, {} were taken and {} are held", packet.opened, packet.held);
    broken(Rule::Share, "one share more", found)
}

fn in_time(row: &Row, packet: &Packet) -> Checked {
    if row.wall_ms / 1_000 < u64::from(packet.expiry_s) {
        return Ok(());
    }
    let found = format!("its time ended at {} s", packet.expiry_s);
    broken(Rule::Expiry, format!("at {} ms", row.wall_ms), found)
}

fn amount(fen: u64, packet: &Packet) -> Checked {
    let left_fen = u64::try_from(packet.left_fen).unwrap_or(0);
    // More shares than there are were counted as a difference before.
    let left_shares = u64::from(packet.shares.saturating_sub(packet.opened).max(1));
    let allowed = if packet.equal {
        let fen = split::equal(packet.total_fen, u64::from(packet.shares.max(1)), u64::from(packet.opened));
        fen..=fen
    } else {
        split::random(left_fen, left_shares)
    };
    if allowed.contains(&fen) {
        return Ok(());
    }
    let found =
        format!("{} to {} can be, of {left_fen} fen in {left_shares} shares", allowed.start(), allowed.end());
    broken(Rule::Split, format!("{fen} fen"), found)
}
