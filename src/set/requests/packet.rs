//! Taking from a packet, or inviting others to it: open, grab, share.

use super::Asked;
use crate::ledger::{Account, Kind, Ledger, Row};
use crate::set::book::{Book, Standing};
use crate::set::core::Core;
use crate::set::fault::{self, Fault};
use crate::set::links::Question;
use redpkt_proto::body::{Answer, PacketId, Status};
use redpkt_proto::{Now, Op, Rng};

/// What the group of a packet says to a request about it.
pub(super) enum Verdict {
    /// It is to be done: this row says so.
    Do(Row),
    /// It was done before; an open took so much, in fen.
    Done(u64),
    /// It is refused for good.
    Refuse(Status),
    /// No room for it now.
    Full,
}

impl<L: Ledger> Core<L> {
    /// A request about a packet: decided here, or by the packet's group.
    pub(super) fn about_packet(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let place = self.place(asked.asker.id);
        if asked.op == Op::Share && asked.other == asked.asker.user {
            return self.refuse(now, asked, Status::Oneself);
        }
        if asked.op == Op::Share && asked.other == 0 {
            return self.refuse(now, asked, Status::BadRecipients);
        }
        let id = PacketId::from_u64(asked.packet);
        let layout = self.config.layout;
        if id.machine != self.config.machine || u32::from(id.set) >= layout.sets {
            return self.refuse(now, asked, Status::UnknownPacket);
        }
        let theirs = layout.group_of(id.set.into());
        if theirs != self.groups[place.group].book.group() {
            return match self.taken_fen(asked) {
                Some(fen) => match self.hold(asked, 1, 1) {
                    Err(busy) => Some(busy),
                    Ok(()) => self.done_before(now, asked, fen),
                },
                None if self.is_packet_masked(asked.packet) => Some(self.masked(asked)),
                None => self.ask_elsewhere(now, asked, theirs),
            };
        }
        if self.is_packet_masked(asked.packet) {
            return Some(self.masked(asked));
        }
        // A share promises its answer, and an invitation.
        if let Err(busy) = self.hold(asked, 1, 2) {
            return Some(busy);
        }
        if !self.groups[place.group].book.set(place.number).accounts.has_room_for(asked.asker.user) {
            return self.full(asked);
        }
        let question = asked.question(self.config.worker);
        // What the packet's tables bring about is not the asker's fault. A row is of both.
        self.work_on(self.position_of_set[usize::from(id.set)]);
        let verdict = decide(&self.groups[place.group].book, now, &question, &mut self.rng);
        self.work_on(asked.asker.id.set);
        match verdict {
            Verdict::Full => self.full(asked),
            Verdict::Refuse(Status::TooOld) => self.forgotten(now, asked),
            Verdict::Refuse(status) => self.refuse(now, asked, status),
            Verdict::Do(row) => {
                self.counters.done(asked.op, row.fen);
                let row_number = self.write_and_promise(asked, &row, row.fen);
                if asked.op == Op::Share {
                    self.promise_invitation(asked.packet, asked.other, asked.asker.user, row_number);
                }
                None
            }
            Verdict::Done(fen) => self.done_before(now, asked, fen),
        }
    }

    /// A packet made room for newer ones: what the user took of it is told if that is kept.
    fn forgotten(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        match self.taken_fen(asked) {
            Some(fen) => self.done_before(now, asked, fen),
            None => self.refuse(now, asked, Status::TooOld),
        }
    }

    /// What the user of an open has taken of its packet, if an answer that says so is still kept.
    fn taken_fen(&self, asked: &Asked) -> Option<u64> {
        let place = self.place(asked.asker.id);
        let account = self.groups[place.group].book.set(place.number).accounts.get(asked.asker.user)?;
        account.taken_fen(asked.packet).filter(|_| asked.op == Op::Open)
    }

    /// What was done by an earlier request is told to this one too, and written, so that it stays told. That counts
    /// against the user's rate: nobody fills the journal with it.
    fn done_before(&mut self, now: Now, asked: &Asked, fen: u64) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked) {
            return Some(busy);
        }
        self.counters.repeated += 1;
        self.write_and_promise(asked, &asked.told(now, fen), fen);
        None
    }

    /// Writes the row that was decided for a request, for which there is room, and promises its answer; the row's
    /// number.
    fn write_and_promise(&mut self, asked: &Asked, row: &Row, fen: u64) -> u64 {
        let group = self.place(asked.asker.id).group;
        let row = self.groups[group].write(row);
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), true);
        let fen = fen.into();
        self.promise(asked, row, Answer { packet: asked.packet.into(), fen, ..asked.answer(Status::Ok) });
        row
    }
}

/// Decides a request about a packet of this book. Nothing is changed.
pub(super) fn decide(book: &Book, now: Now, question: &Question, rng: &mut Rng) -> Verdict {
    let Question { asker, op, packet, other, .. } = *question;
    let id = PacketId::from_u64(packet);
    fault::here(Fault::Question);
    let packets = &book.set(id.set.into()).packets;
    let standing = packets.standing(id.number, asker.user, now.wall_s());
    let here = Account::Packet(packet);
    let row = |kind, credit, fen, other| Row {
        kind,
        debit: here,
        credit,
        fen,
        user: asker.user,
        req: asker.req,
        packet,
        wall_ms: now.wall_ms,
        other,
        detail: 0,
    };
    if op == Op::Share {
        let holds = matches!(standing, Standing::Took(_) | Standing::Claimed | Standing::Free);
        return match packets.get(id.number) {
            Some(packet) if holds && (!packet.is_open() || packet.free_shares() == 0) => {
                Verdict::Refuse(Status::Empty)
            }
            Some(packet) if holds && packet.is_expired(now.wall_s()) => Verdict::Refuse(Status::Expired),
            Some(_) if holds && packets.is_member(id.number, other) => Verdict::Done(0),
            Some(_) if holds && !(packets.has_room_for_member() && packets.takes_guests(id.number)) => {
                Verdict::Full
            }
            Some(_) if holds => Verdict::Do(row(Kind::Share, here, 0, other)),
            _ => Verdict::Refuse(standing.refusal().expect("who holds nothing is refused")),
        };
    }
    match (op, standing) {
        (Op::Grab, Standing::Claimed | Standing::Took(_)) => Verdict::Done(0),
        (Op::Grab, Standing::Free) => Verdict::Do(row(Kind::Grab, here, 0, 0)),
        (_, Standing::Took(fen)) => Verdict::Done(fen),
        (_, Standing::Claimed | Standing::Free) => {
            let credit = if book.has_user(asker.user) {
                Account::Wallet(asker.user)
            } else {
                Account::Clearing(book.group_of_user(asker.user))
            };
            Verdict::Do(row(Kind::Open, credit, packets.next_share_fen(id.number, rng), 0))
        }
        _ => Verdict::Refuse(standing.refusal().expect("who can take something is not refused")),
    }
}

impl Asked {
    /// The same as a question to the packet's group.
    pub(super) fn question(&self, worker: u32) -> Question {
        Question { asker: self.asker, op: self.op, packet: self.packet, other: self.other, worker }
    }

    /// The row that binds this request to an answer that was decided before, or elsewhere.
    pub(super) fn told(&self, now: Now, fen: u64) -> Row {
        let wallet = Account::Wallet(self.asker.user);
        Row {
            kind: Kind::Told,
            debit: wallet,
            credit: wallet,
            fen: 0,
            user: self.asker.user,
            req: self.asker.req,
            packet: self.packet,
            wall_ms: now.wall_ms,
            other: self.asked_for.into(),
            detail: u64::from(self.op as u8) << 56 | fen,
        }
    }
}
