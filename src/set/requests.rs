//! What a live session asks for: shake, open, keepalive, proof of a path.

use super::accounts::{KeptAnswer, Known};
use super::core::Core;
use super::counters::Drop;
use super::packets::{Packet, PacketState};
use super::promises::Promise;
use super::sessions::SlotId;
use super::window::RequestState;
use crate::ledger::{Account, Kind, Ledger, Row};
use redpkt_proto::body::{Answer, Keepalive, PacketId, PathProof, Request, Status};
use redpkt_proto::cookie::Purpose;
use redpkt_proto::frame::flags;
use redpkt_proto::{Frame, Now, Op, Path};

/// When to ask again where a table or a queue is full, in ms.
const FULL_RETRY_AFTER_MS: u32 = 1_000;

/// One request on its way through.
struct Asked {
    id: SlotId,
    user: u64,
    session_number: u32,
    path: Path,
    flags: u8,
    op: Op,
    req: u64,
    counter: u32,
    attempt: u8,
    packet: u64,
}

impl<L: Ledger> Core<L> {
    /// Handles one opened frame; its reply, to be sealed. Answers that wait for the ledger come out of
    /// [`settle`](Self::settle) instead.
    #[inline]
    pub(super) fn handle_frame(&mut self, now: Now, path: &Path, id: SlotId, frame: &Frame) -> Option<Frame> {
        let slot = self.sessions.get_mut(id);
        slot.seen_ms = now.mono_ms();
        let proved = slot.path == *path;
        match Op::from_wire(frame.header.op) {
            Some(op @ (Op::Shake | Op::Open)) => {
                let flags = if proved { 0 } else { flags::PROVE_PATH };
                let answer = self.request(now, id, path, op, flags, &frame.body())?;
                self.counters.answers += 1;
                self.reply(id, op, flags, &answer)
            }
            Some(Op::Keepalive) if proved => {
                let asked: Keepalive = frame.body();
                self.keepalive(now, id, asked.token.get())
            }
            Some(Op::Keepalive) => self.ask_for_proof(now, path, id),
            Some(Op::PathOk) => self.path_ok(now, path, id, &frame.body()),
            _ => unreachable!("other ops are not opened"),
        }
    }

    fn keepalive(&mut self, now: Now, id: SlotId, token: u64) -> Option<Frame> {
        let body = Keepalive { token: token.into(), server_wall_ms: now.wall_ms.into(), reserved: [0; 16] };
        self.reply(id, Op::Keepalive, 0, &body)
    }

    /// A KEEPALIVE from an address that is not proved is answered by a request for the proof.
    fn ask_for_proof(&mut self, now: Now, path: &Path, id: SlotId) -> Option<Frame> {
        let slot = self.sessions.get(id);
        let cookie = self.cookies.make(Purpose::Path, now, path, slot.user, &path_nonce(slot.number));
        self.reply(id, Op::Path, 0, &PathProof { cookie, reserved: [0; 20] })
    }

    /// From now on the session's address is the one that sent the proof.
    fn path_ok(&mut self, now: Now, path: &Path, id: SlotId, proof: &PathProof) -> Option<Frame> {
        let slot = self.sessions.get_mut(id);
        let nonce = path_nonce(slot.number);
        if !self.cookies.check(&proof.cookie, Purpose::Path, now, path, slot.user, &nonce) {
            self.counters.drop(Drop::Cookie);
            return None;
        }
        if slot.path != *path {
            slot.path = *path;
            self.counters.path_changes += 1;
        }
        self.keepalive(now, id, 0)
    }

    /// The answer to a request, unless it waits for the ledger.
    #[inline]
    fn request(
        &mut self,
        now: Now,
        id: SlotId,
        path: &Path,
        op: Op,
        flags: u8,
        request: &Request,
    ) -> Option<Answer> {
        let slot = self.sessions.get(id);
        let req = request.req.get();
        let asked = Asked {
            id,
            user: slot.user,
            session_number: slot.number,
            path: *path,
            flags,
            op,
            req,
            counter: req as u32,
            attempt: request.attempt,
            packet: request.packet.get(),
        };
        let number = (req >> 32) as u32;
        if number == slot.number {
            match slot.window.state(asked.counter) {
                RequestState::New if op == Op::Shake => self.shake(now, &asked),
                RequestState::New => self.open(now, &asked),
                RequestState::Nothing => self.again_nothing(&asked),
                RequestState::Money | RequestState::Below => self.again(now, &asked, true),
            }
        } else if number < slot.number {
            self.again(now, &asked, false)
        } else {
            Some(asked.answer(Status::TooOld))
        }
    }

    /// Asks for luck: the oldest packet of the SET's pool, if there is one.
    #[inline]
    fn shake(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked) {
            return Some(busy);
        }
        if self.sets[asked.id.set as usize].packets.pool_packets() == 0 {
            self.sessions.get_mut(asked.id).window.finish(asked.counter, false);
            self.counters.shake_miss += 1;
            return Some(asked.answer(Status::Miss));
        }
        self.win(now, asked)
    }

    /// Gives the shaker a packet. Room for all of it is made sure of before anything changes.
    fn win(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let set = &mut self.sets[asked.id.set as usize];
        let group = &mut self.groups[set.group];
        if !group.promises.has_room() || group.ledger.room() == 0 {
            self.counters.drop(Drop::Full);
            return Some(asked.busy(FULL_RETRY_AFTER_MS));
        }
        let Some(account) = set.accounts.get_or_add(asked.user) else {
            self.counters.drop(Drop::Full);
            return Some(asked.busy(FULL_RETRY_AFTER_MS));
        };
        let packet = set.packets.win(asked.user).expect("the pool was found with a packet in it");
        let id = PacketId { machine: self.config.machine, set: set.number as u16, number: packet.number };
        account.keep(KeptAnswer::new(asked.req, Op::Shake, Status::Ok, id.to_u64(), 0));
        let row = group.ledger.append(&Row {
            debit: Account::Packet(id.to_u64()),
            credit: Account::Packet(id.to_u64()),
            fen: 0,
            kind: Kind::Win,
            user: asked.user,
            req: asked.req,
            packet: id.to_u64(),
            wall_ms: now.wall_ms,
            other: 0,
            detail: 0,
        });
        self.sessions.get_mut(asked.id).window.finish(asked.counter, true);
        self.counters.shake_win += 1;
        let answer = Answer { packet: id.to_u64().into(), ..asked.answer(Status::Ok) };
        self.promise(asked, row, answer);
        None
    }

    /// Takes the amount of a packet that the user has won. What is said is decided from rows that may not
    /// be durable yet, so every answer waits, also that there is nothing to take.
    fn open(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let set = &mut self.sets[asked.id.set as usize];
        let id = PacketId::from_u64(asked.packet);
        let here = id.machine == self.config.machine && u32::from(id.set) == set.number;
        let taken_fen = || set.accounts.get(asked.user)?.taken_fen(asked.packet);
        let (total_fen, first) = match set.packets.get(id.number).filter(|_| here) {
            Some(Packet { state: PacketState::Won(winner), total_fen, .. }) if *winner == asked.user => {
                (*total_fen, true)
            }
            Some(Packet { state: PacketState::Opened(winner), total_fen, .. }) if *winner == asked.user => {
                (*total_fen, false)
            }
            Some(_) => return self.open_nothing(now, asked, Status::NotInvited),
            // It made room for newer packets.
            None if here && set.packets.was_made(id.number) => match taken_fen() {
                Some(fen) => (fen, false),
                None => return self.open_nothing(now, asked, Status::TooOld),
            },
            None => return self.open_nothing(now, asked, Status::UnknownPacket),
        };
        let group = &mut self.groups[set.group];
        if !group.promises.has_room() || group.ledger.room() == 0 {
            self.counters.drop(Drop::Full);
            return Some(asked.busy(FULL_RETRY_AFTER_MS));
        }
        let account = set.accounts.get_or_add(asked.user).expect("a winner has an account");
        account.keep(KeptAnswer::new(asked.req, Op::Open, Status::Ok, asked.packet, total_fen));
        let wallet = Account::Wallet(asked.user);
        let (debit, fen, kind) = if first {
            (Account::Packet(asked.packet), total_fen, Kind::Open)
        } else {
            (wallet, 0, Kind::Told)
        };
        if first {
            account.balance_fen += total_fen;
            set.packets.open(id.number);
            self.counters.open_ok += 1;
            self.counters.open_fen += total_fen;
        } else {
            self.counters.repeated += 1;
        }
        let row = group.ledger.append(&Row {
            debit,
            credit: wallet,
            fen,
            kind,
            user: asked.user,
            req: asked.req,
            packet: asked.packet,
            wall_ms: now.wall_ms,
            other: 0,
            detail: 0,
        });
        self.sessions.get_mut(asked.id).window.finish(asked.counter, true);
        let answer =
            Answer { packet: asked.packet.into(), fen: total_fen.into(), ..asked.answer(Status::Ok) };
        self.promise(asked, row, answer);
        None
    }

    /// An open that takes nothing counts against the user's rate: guessing is not for free.
    fn open_nothing(&mut self, now: Now, asked: &Asked, status: Status) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        self.sessions.get_mut(asked.id).window.finish(asked.counter, false);
        self.counters.open_empty += 1;
        self.promise_last_row(asked, asked.answer(status));
        None
    }

    /// A req that was executed and moved no money: a shake missed, an open got nothing. Whichever it was,
    /// the same answer never promises money.
    fn again_nothing(&mut self, asked: &Asked) -> Option<Answer> {
        self.counters.repeated += 1;
        Some(asked.answer(if asked.op == Op::Shake { Status::Miss } else { Status::NotDone }))
    }

    /// A req that was executed before, in this session or an earlier one: its answer, if it was about
    /// money and is kept. It waits for everything that was decided in the group so far. Asking again
    /// counts against the user's rate, so that nobody fills the queue with copies of one answer.
    fn again(&mut self, now: Now, asked: &Asked, this_session: bool) -> Option<Answer> {
        self.counters.repeated += 1;
        let set = &self.sets[asked.id.set as usize];
        let known = set.accounts.get(asked.user).map_or(Known::Never, |account| account.known(asked.req));
        let kept = match known {
            Known::Answer(kept) => kept,
            Known::Never if !this_session => {
                let status = if asked.op == Op::Shake { Status::Miss } else { Status::NotDone };
                return Some(asked.answer(status));
            }
            Known::Forgotten | Known::Never => return Some(asked.answer(Status::TooOld)),
        };
        let same = kept.op() == asked.op as u8 && (asked.op == Op::Shake || kept.packet == asked.packet);
        if !same {
            return Some(asked.answer(Status::Conflict));
        }
        if let Err(busy) = self.take_allowance(now, asked).and_then(|()| self.hold_promise(asked)) {
            return Some(busy);
        }
        let answer = Answer {
            status: kept.status(),
            packet: kept.packet.into(),
            fen: kept.fen().into(),
            ..asked.answer(Status::Ok)
        };
        self.promise_last_row(asked, answer);
        None
    }

    /// Takes one request from the user's allowance, or the refusal that says when there is one.
    #[inline]
    fn take_allowance(&mut self, now: Now, asked: &Asked) -> Result<(), Answer> {
        let next_shake = &mut self.sessions.get_mut(asked.id).next_shake;
        self.shake_rate.take(next_shake, now).map_err(|retry_after_ms| {
            self.counters.drop(Drop::Rate);
            asked.busy(retry_after_ms)
        })
    }

    /// Makes sure that a promise can be made in the user's group.
    fn hold_promise(&mut self, asked: &Asked) -> Result<(), Answer> {
        let group = &self.groups[self.sets[asked.id.set as usize].group];
        if group.promises.has_room() {
            return Ok(());
        }
        self.counters.drop(Drop::Full);
        Err(asked.busy(FULL_RETRY_AFTER_MS))
    }

    /// Promises an answer that was decided from what is there already.
    fn promise_last_row(&mut self, asked: &Asked, answer: Answer) {
        let row = self.groups[self.sets[asked.id.set as usize].group].ledger.last_row();
        self.promise(asked, row, answer);
    }

    fn promise(&mut self, asked: &Asked, row: u64, answer: Answer) {
        self.counters.answers += 1;
        let group = self.sets[asked.id.set as usize].group;
        self.groups[group].promises.push(Promise {
            row,
            user: asked.user,
            id: asked.id,
            session_number: asked.session_number,
            path: asked.path,
            op: asked.op,
            flags: asked.flags,
            answer,
        });
    }
}

impl Asked {
    #[inline]
    fn answer(&self, status: Status) -> Answer {
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

    fn busy(&self, retry_after_ms: u32) -> Answer {
        Answer { retry_after_ms: retry_after_ms.into(), ..self.answer(Status::Busy) }
    }
}

/// What a path cookie is bound to beside user and address.
fn path_nonce(session_number: u32) -> [u8; 8] {
    u64::from(session_number).to_le_bytes()
}
