//! Making a packet for others out of one's wallet.

use super::Asked;
use crate::ledger::{Account, Kind, Ledger, Row, Terms};
use crate::set::book::fingerprint;
use crate::set::core::Core;
use crate::set::counters::Drop;
use crate::set::links::Asker;
use crate::set::sessions::SlotId;
use arrayvec::ArrayVec;
use redpkt_proto::body::{Answer, PacketId, Send, SendMore, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::terms::check_terms;
use redpkt_proto::{Frame, Now, Op, Path, RECIPIENTS_MAX, RECIPIENTS_PER_FRAME};

/// A send whose frames are being gathered. They stand one behind another in one datagram, so there is one at a
/// time.
pub struct Sending {
    asker: Asker,
    total_fen: u32,
    shares: u8,
    equal: bool,
    /// Frames that are still to come.
    more: u8,
    /// Index of the next one.
    index: u8,
    recipients: ArrayVec<u64, RECIPIENTS_MAX>,
}

impl<L: Ledger> Core<L> {
    /// Begins to gather a send. It is done when its last frame has come; if the datagram is too short for that, it
    /// is refused at once, and may come again.
    pub(super) fn send(
        &mut self,
        now: Now,
        path: &Path,
        id: SlotId,
        flags: u8,
        frame: &Frame,
        behind: &[Frame],
    ) -> Option<Answer> {
        let body: Send = frame.body();
        let number = self.sessions.get(id).number;
        let req = u64::from(number) << 32 | u64::from(body.counter.get());
        let asker = self.asker(path, id, flags, frame.header.load_level, req);
        let more = frame.header.flags & flags::SEND_MORE;
        let is_more = |frame: &&Frame| frame.header.op == Op::SendMore as u8;
        if behind.iter().take_while(is_more).count() < usize::from(more) {
            return Some(asker.answer(Status::Incomplete));
        }
        self.sending = Some(Sending {
            asker,
            total_fen: body.total_fen(),
            shares: body.shares,
            equal: frame.header.flags & flags::EQUAL_SHARES != 0,
            more,
            index: 1,
            recipients: body.recipients.iter().map(|user| user.get()).collect(),
        });
        if more == 0 { self.gathered(now) } else { None }
    }

    /// Takes three more recipients; the answer, if these were the last and it can be given at once.
    pub(super) fn send_more(&mut self, now: Now, id: SlotId, body: &SendMore) -> Option<Frame> {
        let number = self.sessions.get(id).number;
        let is_next = |sending: &&mut Sending| {
            let Asker { id: its_id, session_number, req, .. } = sending.asker;
            (its_id, session_number, req as u32) == (id, number, body.counter.get())
                && sending.index == body.index
                && sending.more > 0
        };
        let Some(sending) = self.sending.as_mut().filter(is_next) else {
            // Its SEND is not here, or not all of what is between them.
            self.counters.drop(Drop::Op);
            let is_its = |sending: &Sending| {
                (sending.asker.id, sending.asker.session_number) == (id, number)
                    && sending.asker.req as u32 == body.counter.get()
                    && sending.more > 0
            };
            let Sending { asker, .. } = self.sending.take_if(|sending| is_its(sending))?;
            self.counters.answers += 1;
            return self.reply(id, Op::Send, asker.flags, &asker.answer(Status::Incomplete));
        };
        sending.recipients.extend(body.recipients.iter().map(|user| user.get()));
        sending.index += 1;
        sending.more -= 1;
        if sending.more > 0 {
            return None;
        }
        let flags = sending.asker.flags;
        let answer = self.gathered(now)?;
        self.counters.answers += 1;
        self.reply(id, Op::Send, flags, &answer)
    }

    /// All frames of a send are there.
    fn gathered(&mut self, now: Now) -> Option<Answer> {
        let sending = self.sending.as_mut().expect("it was just gathered");
        // Places behind the last recipient are empty; a hole before it is a mistake that is told.
        while sending.recipients.last() == Some(&0) {
            sending.recipients.pop();
        }
        let asked = Asked {
            asker: sending.asker,
            op: Op::Send,
            packet: 0,
            other: 0,
            asked_for: sending.fingerprint(),
        };
        self.request(now, &asked)
    }

    /// Makes the packet, if the send is in order and the wallet holds that much.
    pub(super) fn execute_send(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let sending = self.sending.take().expect("it was just gathered");
        if let Some(status) = sending.mistake() {
            return self.refuse(now, asked, status);
        }
        let place = self.place(asked.asker.id);
        let user = asked.asker.user;
        let total_fen = u64::from(sending.total_fen);
        let count = sending.recipients.len();
        if let Err(busy) = self.hold(asked, 1 + count, 1 + count) {
            return Some(busy);
        }
        let set = self.groups[place.group].book.set(place.number);
        if set.accounts.get(user).is_none_or(|account| account.balance_fen < total_fen) {
            return self.refuse(now, asked, Status::TooLittleMoney);
        }
        if !set.packets.has_room(count) {
            return self.full(asked);
        }
        // It writes many rows and tells many users: not more often than a user may shake.
        if let Err(busy) = self.take_allowance(now, asked) {
            return Some(busy);
        }
        let set = self.groups[place.group].book.set(place.number);
        let number = set.packets.next_number();
        let packet = PacketId { machine: self.config.machine, set: place.number as u16, number }.to_u64();
        let expiry_s = self.expiry_s(now);
        let terms = Terms { shares: sending.shares.into(), equal: sending.equal, expiry_s };
        let send = Row {
            kind: Kind::Send,
            debit: Account::Wallet(user),
            credit: Account::Packet(packet),
            fen: total_fen,
            user,
            req: asked.asker.req,
            packet,
            wall_ms: now.wall_ms,
            other: asked.asked_for.into(),
            detail: terms.to_detail(),
        };
        let row = self.write_send(place.group, &send, &sending.recipients);
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), true);
        self.counters.sends += 1;
        let fen = total_fen.into();
        self.promise(asked, row, Answer { packet: packet.into(), fen, ..asked.answer(Status::Ok) });
        for recipient in sending.recipients {
            self.promise_invitation(packet, recipient, user, row);
        }
        None
    }

    /// Writes a send and its invitations, for which there is room; the number of the last row.
    pub(in crate::set) fn write_send(&mut self, group: usize, send: &Row, recipients: &[u64]) -> u64 {
        let group = &mut self.groups[group];
        let mut last = group.write(send);
        for recipient in recipients {
            last = group.write(&invitation_row(send, *recipient));
        }
        last
    }
}

/// The row by which the house or a sender lets `recipient` take from the packet of `send`.
pub(in crate::set) fn invitation_row(send: &Row, recipient: u64) -> Row {
    let packet = Account::Packet(send.packet);
    Row { kind: Kind::Invite, debit: packet, credit: packet, fen: 0, other: recipient, detail: 0, ..*send }
}

impl Sending {
    /// What is wrong with it, whatever the wallet holds.
    fn mistake(&self) -> Option<Status> {
        let Sending { total_fen, shares, recipients, asker, .. } = self;
        check_terms(asker.user, *total_fen, *shares, recipients).err().map(|error| error.status())
    }

    fn fingerprint(&self) -> u32 {
        let mut numbers: ArrayVec<u64, { RECIPIENTS_MAX + 3 }> = ArrayVec::new();
        numbers.extend([self.total_fen.into(), self.shares.into(), self.equal.into()]);
        numbers.extend(self.recipients.iter().copied());
        fingerprint(&numbers)
    }
}

const _: () = assert!(RECIPIENTS_MAX == 18 * RECIPIENTS_PER_FRAME);
