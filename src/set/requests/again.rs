//! Requests that were executed before, in this session or an earlier one: looked up, never executed.

use super::Asked;
use crate::ledger::Ledger;
use crate::set::book::{KeptAnswer, Known};
use crate::set::core::Core;
use redpkt_proto::body::{Answer, PacketId, Status};
use redpkt_proto::{Frame, Now, Op};

impl<L: Ledger> Core<L> {
    /// A req that was executed and moved no money: a shake missed, an open got nothing. Whichever it was,
    /// the same answer never promises money.
    pub(super) fn again_nothing(&mut self, asked: &Asked) -> Option<Answer> {
        self.counters.repeated += 1;
        Some(asked.answer(if asked.op == Op::Shake { Status::Miss } else { Status::NotDone }))
    }

    /// The answer to a req that was executed before, if it was about money and is kept. It waits for everything
    /// that was decided in the group so far. Asking again counts against the user's rate, so that nobody fills
    /// the queue with copies of one answer.
    pub(super) fn again(&mut self, now: Now, asked: &Asked, this_session: bool) -> Option<Answer> {
        self.counters.repeated += 1;
        if let Err(busy) = self.hold_promise(asked) {
            return Some(busy);
        }
        let kept = match self.known(asked) {
            Known::Answer(kept) => kept,
            Known::Never if !this_session => {
                let status = if asked.op == Op::Shake { Status::Miss } else { Status::NotDone };
                return Some(asked.answer(status));
            }
            Known::Forgotten | Known::Never => return Some(asked.answer(Status::TooOld)),
        };
        if !asked.is_same(&kept) {
            return Some(asked.answer(Status::Conflict));
        }
        if let Err(busy) = self.take_allowance(now, asked) {
            return Some(busy);
        }
        if kept.is_undecided() { self.ask_again(now, asked, &kept) } else { self.tell_kept(asked, &kept) }
    }

    /// ASK: what became of a req of an earlier session, whatever it was for. Its answer has the op of that.
    pub(super) fn look_up(&mut self, now: Now, asked: Asked) -> Option<Frame> {
        let answer = self.look_up_answer(now, &asked)?;
        self.counters.answers += 1;
        self.reply(asked.asker.id, asked.op, asked.asker.flags, &answer)
    }

    fn look_up_answer(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        self.counters.repeated += 1;
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        let is_earlier = asked.asker.req >> 32 < u64::from(asked.asker.session_number);
        match self.known(asked) {
            Known::Answer(kept) => {
                let op = Op::from_wire(kept.op()).expect("kept answers are of ops");
                let asked = Asked { op, packet: kept.packet, ..*asked };
                if kept.is_undecided() {
                    self.ask_again(now, &asked, &kept)
                } else {
                    self.tell_kept(&asked, &kept)
                }
            }
            Known::Never if is_earlier => Some(asked.answer(Status::NotDone)),
            _ => Some(asked.answer(Status::TooOld)),
        }
    }

    fn known(&self, asked: &Asked) -> Known {
        let place = self.place(asked.asker.id);
        let account = self.groups[place.group].book.set(place.number).accounts.get(asked.asker.user);
        account.map_or(Known::Never, |account| account.known(asked.asker.req))
    }

    fn tell_kept(&mut self, asked: &Asked, kept: &KeptAnswer) -> Option<Answer> {
        let answer =
            Answer { packet: kept.packet.into(), fen: kept.fen().into(), ..asked.answer(Status::Ok) };
        self.promise_last_row(asked, answer);
        None
    }

    /// A request that another group has to decide is put to it again. A share names whom it is for, and ASK does
    /// not: until the answer comes nothing is known of it.
    fn ask_again(&mut self, now: Now, asked: &Asked, kept: &KeptAnswer) -> Option<Answer> {
        if asked.asked_for != kept.asked_for {
            return Some(asked.answer(Status::OutcomeUnknown));
        }
        // Two questions could be decided differently: while one is out there is no other.
        if kept.is_asked() {
            return None;
        }
        let theirs = self.config.layout.group_of(PacketId::from_u64(kept.packet).set.into());
        if let Err(busy) = self.hold(asked, 1, 1) {
            return Some(busy);
        }
        if !self.put_question(now, asked, theirs) {
            return self.full(asked);
        }
        let place = self.place(asked.asker.id);
        let accounts = &mut self.groups[place.group].book.set_mut(place.number).accounts;
        accounts.get_mut(asked.asker.user).expect("it keeps the request").set_asked(kept.req, true);
        None
    }
}

impl Asked {
    /// Whether a kept answer is to a request for the same.
    fn is_same(&self, kept: &KeptAnswer) -> bool {
        let same_packet = match self.op {
            Op::Shake | Op::Send => true,
            _ => kept.packet == self.packet,
        };
        kept.op() == self.op as u8 && same_packet && kept.asked_for == self.asked_for
    }
}
