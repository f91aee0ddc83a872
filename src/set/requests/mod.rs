//! What a live session asks for, and how a request finds its way: executed, looked up, or refused.

mod again;
mod elsewhere;
mod masked;
mod packet;
mod read;
mod relay;
mod send;
mod session;
mod shake;

pub(super) use send::{Sending, invitation_row};

use super::core::Core;
use super::counters::Drop;
use super::links::Asker;
use super::promises::Promised;
use super::sessions::SlotId;
use super::window::RequestState;
use crate::ledger::Ledger;
use redpkt_proto::body::{Answer, Request, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::{Frame, Now, Op, Path};

/// When to ask again where a table or a queue is full, in ms.
const FULL_RETRY_AFTER_MS: u32 = 1_000;

/// When to ask again where a group's money has stopped, in ms: rebuilding it takes an operator.
const FAILED_RETRY_AFTER_MS: u32 = 5_000;

/// One request on its way through.
#[derive(Clone, Copy)]
struct Asked {
    asker: Asker,
    op: Op,
    packet: u64,
    /// Share: who is to be invited.
    other: u64,
    /// What op and packet do not say of what is asked for, see [`super::book::fingerprint`].
    asked_for: u32,
}

impl<L: Ledger> Core<L> {
    /// Handles one opened frame of a datagram, behind which there are `behind`; its reply, to be sealed. Answers
    /// that wait for the ledger come out of [`settle`](Self::settle) instead.
    #[inline]
    pub(super) fn handle_frame(
        &mut self,
        now: Now,
        path: &Path,
        id: SlotId,
        frame: &Frame,
        behind: &[Frame],
    ) -> Option<Frame> {
        if self.is_masked(id.set) {
            return self.handle_masked(now, path, id, frame);
        }
        let slot = self.sessions.get_mut(id);
        slot.seen_ms = now.mono_ms();
        let proved = slot.path == *path;
        let flags = if proved { 0 } else { flags::PROVE_PATH };
        let op = Op::from_wire(frame.header.op).expect("other ops are not opened");
        let answer = match op {
            Op::Keepalive if proved => return self.keepalive(now, id, frame),
            Op::Keepalive => return self.ask_for_proof(now, path, id),
            Op::PathOk => return self.path_ok(now, path, id, &frame.body()),
            Op::InviteOk => return self.invite_ok(now, id, &frame.body()),
            Op::Send => self.send(now, path, id, flags, frame, behind)?,
            Op::Relay => return self.relay(now, path, id, flags, &frame.body()),
            Op::SendMore => return self.send_more(now, id, &frame.body()),
            Op::History => return self.history(now, self.asked(path, id, flags, op, &frame.body())),
            Op::Ask => return self.look_up(now, self.asked(path, id, flags, op, &frame.body())),
            Op::Balance => self.balance(now, &self.asked(path, id, flags, op, &frame.body()))?,
            Op::Invites => self.invites(now, &self.asked(path, id, flags, op, &frame.body()))?,
            _ => self.request(now, &self.asked(path, id, flags, op, &frame.body()))?,
        };
        self.counters.answers += 1;
        self.reply(id, op, flags, &answer)
    }

    fn asked(&self, path: &Path, id: SlotId, flags: u8, op: Op, request: &Request) -> Asked {
        let other = if op == Op::Share { request.user.get() } else { 0 };
        let asker = self.asker(path, id, flags, request.attempt, request.req.get());
        let asked_for = if op == Op::Share { super::book::fingerprint(&[other]) } else { 0 };
        Asked { asker, op, packet: request.packet.get(), other, asked_for }
    }

    fn asker(&self, path: &Path, id: SlotId, flags: u8, attempt: u8, req: u64) -> Asker {
        let slot = self.sessions.get(id);
        Asker { user: slot.user, id, session_number: slot.number, path: *path, flags, attempt, req }
    }

    /// The answer to a request that is executed at most once, unless it waits for the ledger.
    #[inline]
    fn request(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let number = (asked.asker.req >> 32) as u32;
        let slot = self.sessions.get(asked.asker.id);
        if number == slot.number {
            match slot.window.state(asked.counter()) {
                RequestState::New => match asked.op {
                    Op::Shake => self.shake(now, asked),
                    Op::Send => self.execute_send(now, asked),
                    _ => self.about_packet(now, asked),
                },
                RequestState::Nothing => self.again_nothing(asked),
                RequestState::Money | RequestState::Below => self.again(now, asked, true),
            }
        } else if number < slot.number {
            self.again(now, asked, false)
        } else {
            Some(asked.answer(Status::TooOld))
        }
    }

    /// A request that is refused for good. It counts against the user's rate: guessing is not for free. What is
    /// said was read from rows that may not be durable yet, so the answer waits.
    fn refuse(&mut self, now: Now, asked: &Asked, status: Status) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), false);
        self.counters.refused(asked.op);
        self.promise_last_row(asked, asked.answer(status));
        None
    }

    /// Takes one request from the user's allowance, or the refusal that says when there is one.
    #[inline]
    fn take_allowance(&mut self, now: Now, asked: &Asked) -> Result<(), Answer> {
        let next_shake = &mut self.sessions.get_mut(asked.asker.id).next_shake;
        self.shake_rate.take(next_shake, now).map_err(|retry_after_ms| {
            self.counters.drop(Drop::Rate);
            asked.busy(retry_after_ms)
        })
    }

    /// Makes sure that a promise can be made in the user's group.
    fn hold_promise(&mut self, asked: &Asked) -> Result<(), Answer> {
        self.hold(asked, 0, 1)
    }

    /// Makes sure that so many rows can be written, and promises made, in the user's group.
    fn hold(&mut self, asked: &Asked, rows: usize, promises: usize) -> Result<(), Answer> {
        let place = self.place(asked.asker.id);
        let group = &self.groups[place.group];
        if group.has_failed {
            self.counters.drop(Drop::Ledger);
            return Err(asked.busy(FAILED_RETRY_AFTER_MS));
        }
        if group.has_room(rows, promises) {
            return Ok(());
        }
        self.counters.drop(Drop::Full);
        Err(asked.busy(FULL_RETRY_AFTER_MS))
    }

    fn full(&mut self, asked: &Asked) -> Option<Answer> {
        self.counters.drop(Drop::Full);
        Some(asked.busy(FULL_RETRY_AFTER_MS))
    }

    /// Promises an answer that was decided from what is there already.
    fn promise_last_row(&mut self, asked: &Asked, answer: Answer) {
        let group = self.place(asked.asker.id).group;
        let row = self.groups[group].ledger.last_row();
        self.promise(asked, row, answer);
    }

    fn promise(&mut self, asked: &Asked, row: u64, answer: Answer) {
        self.counters.answers += 1;
        let group = self.place(asked.asker.id).group;
        let what = Promised::Answer { asker: asked.asker, op: asked.op, answer };
        self.groups[group].promises.push(row, what);
    }
}

impl Asked {
    fn counter(&self) -> u32 {
        self.asker.req as u32
    }

    #[inline]
    fn answer(&self, status: Status) -> Answer {
        self.asker.answer(status)
    }

    fn busy(&self, retry_after_ms: u32) -> Answer {
        Answer { retry_after_ms: retry_after_ms.into(), ..self.answer(Status::Busy) }
    }
}

impl Asker {
    /// An answer to this request that tells nothing but a status.
    #[inline]
    pub(super) fn answer(&self, status: Status) -> Answer {
        Answer {
            req: self.req.into(),
            attempt: self.attempt,
            status: status as u8,
            reserved: [0; 2],
            retry_after_ms: 0.into(),
            packet: 0.into(),
            fen: 0.into(),
        }
    }
}
