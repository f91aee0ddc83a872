//! Requests about packets of another group: asked there, decided there, answered here.
//!
//! The packet's group writes what it decides and answers when that is durable. For an open the row there is the
//! promise: the user's group answers at once and writes the delivery of the money behind it, which a start makes
//! good if it is lost. All else that the user is told has a row of its own in the user's group first.
//! Until the answer comes the account keeps the request as undecided, and asking again waits for the same answer. If
//! that is "not now" or "unknown" the request is put again when the user asks again: a question about the same packet
//! and user never takes a second share.

use super::packet::{Verdict, decide};
use super::{Asked, FAILED_RETRY_AFTER_MS, FULL_RETRY_AFTER_MS};
use crate::ledger::{Account, Kind, Ledger, Row};
use crate::set::book::{KeptAnswer, Known, fingerprint};
use crate::set::core::Core;
use crate::set::counters::Drop;
use crate::set::fault::{self, Fault};
use crate::set::links::{Decided, Delivery, Message, Question};
use crate::set::mask::{MASKED_RETRY_AFTER_MS, NOBODY};
use crate::set::promises::Promised;
use redpkt_proto::body::{Answer, PacketId, Status};
use redpkt_proto::{Frame, Now, Op, Path};

impl<L: Ledger> Core<L> {
    /// Asks the packet's group. It counts against the user's rate, because a refusal from there costs two workers.
    pub(super) fn ask_elsewhere(&mut self, now: Now, asked: &Asked, theirs: u32) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold(asked, 1, 1)) {
            return Some(busy);
        }
        let place = self.place(asked.asker.id);
        let set = self.groups[place.group].book.set_mut(place.number);
        if !set.accounts.has_room_for(asked.asker.user) || !self.put_question(now, asked, theirs) {
            return self.full(asked);
        }
        let undecided = KeptAnswer::undecided(asked.asker.req, asked.op, asked.packet, asked.asked_for);
        let set = self.groups[place.group].book.set_mut(place.number);
        set.accounts.get_or_add(asked.asker.user).expect("room was asked for").keep(undecided);
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), true);
        None
    }

    /// Brings a question to the packet's group; `false` if it cannot be taken now.
    pub(super) fn put_question(&mut self, now: Now, asked: &Asked, theirs: u32) -> bool {
        let worker = theirs % self.config.layout.workers;
        let question = asked.question(self.config.worker);
        let mine = self.place(asked.asker.id).group;
        if worker != self.config.worker {
            if !self.links.take_credit(worker) {
                return false;
            }
            self.links.ask(worker, question);
        } else {
            let is_taken = self.questioned(now, question);
            self.work_on(asked.asker.id.set);
            if !is_taken {
                return false;
            }
        }
        self.groups[mine].questions_out += 1;
        self.guards[asked.asker.id.set as usize].questions_out += 1;
        true
    }

    /// Answers a question of another worker: with what is decided, when it is durable; or at once, that it cannot be
    /// decided now. There is always a place for the answer, so no question waits, and none behind it.
    fn answer_question(&mut self, now: Now, question: Question) {
        if self.questioned(now, question) {
            return;
        }
        let group = &self.groups[self.group_of_packet(question.packet)];
        let (reason, retry_after_ms) = if self.is_packet_masked(question.packet) {
            (Drop::Masked, MASKED_RETRY_AFTER_MS)
        } else if group.has_failed {
            (Drop::Ledger, FAILED_RETRY_AFTER_MS)
        } else {
            (Drop::Full, FULL_RETRY_AFTER_MS)
        };
        self.counters.drop(reason);
        let group = group.book.group();
        let busy = Decided { question, status: Status::Busy, retry_after_ms, fen: 0, group, row: 0 };
        self.links.answer(question.worker, busy);
    }

    /// Decides another group's question; its answer comes when it is durable. `false` if it cannot be decided now.
    fn questioned(&mut self, now: Now, question: Question) -> bool {
        self.work_on(self.position_of_set[usize::from(PacketId::from_u64(question.packet).set)]);
        let group = self.group_of_packet(question.packet);
        let at_group = group;
        let number = self.groups[group].book.group();
        let decided =
            |status, fen, row| Decided { question, status, retry_after_ms: 0, fen, group: number, row };
        // A share promises its answer, and an invitation.
        if self.groups[group].has_failed
            || !self.groups[group].has_room(1, 2)
            || self.is_packet_masked(question.packet)
        {
            return false;
        }
        let group = &mut self.groups[group];
        let (row, decided) = match decide(&group.book, now, &question, &mut self.rng) {
            Verdict::Do(row) => {
                self.counters.done(question.op, row.fen);
                let at = group.write(&row);
                if question.op == Op::Share {
                    // Before the answer is promised: a question that panics is answered as one that was not decided.
                    self.promise_invitation(question.packet, question.other, question.asker.user, at);
                }
                // The money has left for another group: without its promise it would be overtaken there, and lost.
                self.work = NOBODY;
                (at, decided(Status::Ok, row.fen, if row.fen > 0 { at } else { 0 }))
            }
            Verdict::Done(fen) => (group.ledger.last_row(), decided(Status::Ok, fen, 0)),
            Verdict::Refuse(status) => (group.ledger.last_row(), decided(status, 0, 0)),
            Verdict::Full => return false,
        };
        self.groups[at_group].promises.push(row, Promised::Decided(decided));
        true
    }

    /// What the packet's group has decided reaches the user's group: money is taken over, the user is answered. Room
    /// for that was held since the question was asked.
    pub(in crate::set) fn decided(
        &mut self,
        now: Now,
        decided: &Decided,
        send: &mut impl FnMut(&Path, &Frame),
    ) {
        let asker = decided.question.asker;
        let position = self.work_on_user(asker.user);
        if !self.is_masked(position) {
            fault::here(Fault::Decided);
        }
        let at = self.group_of_user(asker.user);
        if !self.groups[at].has_failed
            && let Some(answer) = self.take_decided(now, decided, position)
            && !self.guards[position as usize].is_mute
        {
            self.counters.answers += 1;
            self.work_on(position);
            self.send_answer(&asker, decided.question.op, &answer, send);
        }
        // Last of all: after a panic before this it is taken once more.
        self.groups[at].questions_out -= 1;
        self.guards[position as usize].questions_out -= 1;
    }

    /// What the user is told of it now, if that waits for nothing. Taken twice it does nothing more.
    fn take_decided(&mut self, now: Now, decided: &Decided, position: u32) -> Option<Answer> {
        let Question { asker, op, packet, other, .. } = decided.question;
        let asked_for = if op == Op::Share { fingerprint(&[other]) } else { 0 };
        let asked = Asked { asker, op, packet, other, asked_for };
        Some(match decided.status {
            Status::Ok if decided.row != 0 => {
                self.deliver(now, &Delivery::of(decided));
                Answer { packet: packet.into(), fen: decided.fen.into(), ..asker.answer(Status::Ok) }
            }
            _ if self.is_masked(position) => self.masked(&asked),
            Status::Ok => {
                self.tell_decided(now, &asked, decided.fen);
                return None;
            }
            status => {
                if matches!(status, Status::Busy | Status::OutcomeUnknown) {
                    self.may_ask_again(&asked);
                } else {
                    self.moved_nothing(&asked);
                }
                Answer { retry_after_ms: decided.retry_after_ms.into(), ..asker.answer(status) }
            }
        })
    }

    /// The question was not decided: the same request may be asked again.
    fn may_ask_again(&mut self, asked: &Asked) {
        let at = self.group_of_user(asked.asker.user);
        let set = self.groups[at].book.set_of_user(asked.asker.user);
        if let Some(account) = set.accounts.get_mut(asked.asker.user) {
            account.set_asked(asked.asker.req, false);
        }
    }

    /// What was done before, or moves no money, is written here before the user is told.
    fn tell_decided(&mut self, now: Now, asked: &Asked, fen: u64) {
        let at = self.group_of_user(asked.asker.user);
        let group = &mut self.groups[at];
        let account = group.book.set_of_user(asked.asker.user).accounts.get(asked.asker.user);
        let known = account.map_or(Known::Never, |account| account.known(asked.asker.req));
        let row = match known {
            Known::Answer(kept) if !kept.is_undecided() => group.ledger.last_row(),
            _ => group.write(&asked.told(now, fen)),
        };
        let answer = Answer { packet: asked.packet.into(), fen: fen.into(), ..asked.answer(Status::Ok) };
        self.counters.answers += 1;
        let what = Promised::Answer { asker: asked.asker, op: asked.op, answer };
        self.groups[at].promises.push(row, what);
    }

    /// A refusal: the request is as one that never was about money.
    fn moved_nothing(&mut self, asked: &Asked) {
        let asker = &asked.asker;
        self.counters.refused(asked.op);
        let at = self.group_of_user(asker.user);
        self.groups[at].book.set_of_user(asker.user).accounts.drop_undecided(asker.user, asker.req);
        let slot = self.sessions.get_mut(asker.id);
        if slot.user == asker.user && u64::from(slot.number) == asker.req >> 32 {
            slot.window.moved_nothing(asker.req as u32);
        }
    }

    /// Money from another group's packet comes into a wallet here, once. `false` if there is no room for the row.
    pub(in crate::set) fn take_delivery(&mut self, now: Now, delivery: &Delivery) -> bool {
        let at = self.group_of_user(delivery.user);
        let group = &mut self.groups[at];
        let takes_none = group.has_failed && !group.is_bringing;
        if takes_none || delivery.row <= group.book.delivered(delivery.group) {
            return true;
        }
        if !group.has_room(1, 0) {
            return false;
        }
        self.deliver(now, delivery);
        true
    }

    /// The same, where room is held for it.
    fn deliver(&mut self, now: Now, delivery: &Delivery) {
        let position = self.work_on_user(delivery.user);
        let at = self.group_of_user(delivery.user);
        let group = &mut self.groups[at];
        if delivery.row > group.book.delivered(delivery.group) {
            let row = delivery.row(now.wall_ms);
            if self.is_masked(position) {
                self.write_past_set(position, &row);
            } else {
                self.groups[at].write(&row);
            }
        }
    }

    /// Brings what a rebuilt group owes to the groups of its users, as far as there is room; then it works again.
    pub(in crate::set) fn bring_owed(&mut self, now: Now) {
        /// In one turn: a rebuilt group does not hold up the others of its worker.
        const PER_TURN: usize = 256;
        for _ in 0..PER_TURN {
            let Some(message) = self.owed.front().copied() else { break };
            let user = match &message {
                Message::Invited(invitation) => invitation.user,
                Message::Delivery(delivery) => delivery.user,
                Message::Question(_) | Message::Decided(_) => unreachable!("these are not owed"),
            };
            let layout = &self.config.layout;
            let worker = layout.worker_of(layout.set_of(user));
            let is_taken = match message {
                _ if worker != self.config.worker => self.links.tell(worker, message),
                Message::Invited(invitation) => self.invited(now, invitation),
                Message::Delivery(delivery) => self.take_delivery(now, &delivery),
                Message::Question(_) | Message::Decided(_) => true,
            };
            if !is_taken {
                return;
            }
            self.owed.pop_front();
        }
        if !self.owed.is_empty() {
            return;
        }
        for group in self.groups.iter_mut().filter(|group| group.is_bringing) {
            (group.is_bringing, group.has_failed) = (false, group.ledger.has_failed());
        }
    }

    /// Handles what other workers have said, until there is no more or no room.
    pub(in crate::set) fn take_messages(&mut self, now: Now, send: &mut impl FnMut(&Path, &Frame)) -> bool {
        /// Of one worker, in one turn: no more than a few batches' worth.
        const MESSAGES_PER_TURN: usize = 256;
        let mut any = false;
        for worker in 0..self.links.workers() {
            for _ in 0..MESSAGES_PER_TURN {
                self.work_on(NOBODY);
                let Some(message) = self.links.peek(worker) else { break };
                let taken = match message {
                    Message::Question(question) => {
                        self.answer_question(now, question);
                        true
                    }
                    Message::Decided(decided) => {
                        self.decided(now, &decided, send);
                        true
                    }
                    Message::Invited(invitation) => self.invited(now, invitation),
                    Message::Delivery(delivery) => self.take_delivery(now, &delivery),
                };
                if !taken {
                    break;
                }
                any = true;
                self.links.take(worker);
            }
        }
        any
    }
}

impl Delivery {
    /// The money that a decision moved.
    fn of(decided: &Decided) -> Delivery {
        let Question { asker, packet, .. } = decided.question;
        let Decided { fen, group, row, .. } = *decided;
        Delivery { user: asker.user, req: asker.req, packet, fen, group, row }
    }

    /// The row by which it comes into the wallet.
    pub fn row(&self, wall_ms: u64) -> Row {
        Row {
            kind: Kind::Deliver,
            debit: Account::Clearing(self.group),
            credit: Account::Wallet(self.user),
            fen: self.fen,
            user: self.user,
            req: self.req,
            packet: self.packet,
            wall_ms,
            other: self.row,
            detail: 0,
        }
    }
}
