//! Reading what is there: balance, history, invitations. Nothing is changed, so a repeated request is simply
//! answered again. What is read waits until it is durable, and counts against the user's rate.

use super::Asked;
use crate::ledger::Ledger;
use crate::set::core::Core;
use crate::set::promises::Promised;
use redpkt_proto::body::{Answer, Entry, Status};
use redpkt_proto::{Frame, Now};
use zerocopy::transmute;

impl<L: Ledger> Core<L> {
    /// What the wallet holds.
    pub(super) fn balance(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        let place = self.place(asked.asker.id);
        let account = self.groups[place.group].book.set(place.number).accounts.get(asked.asker.user);
        let fen = account.map_or(0, |account| account.balance_fen).into();
        self.promise_last_row(asked, Answer { fen, ..asked.answer(Status::Ok) });
        None
    }

    /// The invitation that is listed after the one the user names.
    pub(super) fn invites(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        let place = self.place(asked.asker.id);
        let invites = &self.groups[place.group].book.set(place.number).invites;
        let answer = match invites.after(asked.asker.user, asked.packet, now.wall_s()) {
            Some(what) => {
                Answer { packet: what.packet.into(), fen: what.total_fen.into(), ..asked.answer(Status::Ok) }
            }
            None => asked.answer(Status::NothingThere),
        };
        self.promise_last_row(asked, answer);
        None
    }

    /// One entry of what is kept of the user, the newest being 0.
    pub(super) fn history(&mut self, now: Now, asked: Asked) -> Option<Frame> {
        let place = self.place(asked.asker.id);
        let group = &self.groups[place.group];
        let account = group.book.set(place.number).accounts.get(asked.asker.user);
        let found = account.and_then(|account| account.history(asked.packet));
        let answer = match self.take_allowance(now, &asked).and_then(|()| self.hold_promise(&asked)) {
            Err(busy) => {
                self.counters.answers += 1;
                return self.reply(asked.asker.id, asked.op, asked.asker.flags, &busy);
            }
            Ok(()) => asked.answer(found.map_or(Status::NothingThere, |_| Status::Ok)),
        };
        let mut entry: Entry = transmute!(answer);
        if let Some(found) = found {
            entry.kind = found.kind as u8;
            entry.when_s = found.when_s.into();
            entry.packet = found.packet.into();
            entry.fen = found.fen.into();
        }
        // Both layouts are 32 bytes, and a promise only carries them.
        let group = &mut self.groups[place.group];
        let what = Promised::Answer { asker: asked.asker, op: asked.op, answer: transmute!(entry) };
        group.promises.push(group.ledger.last_row(), what);
        self.counters.answers += 1;
        None
    }
}
