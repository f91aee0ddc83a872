//! What the model server does with requests: executes each req once and remembers every answer.

use super::USER;
use super::server::{Server, answer};
use crate::body::*;
use crate::frame::flags;
use crate::{Frame, Op, Terms};
use zerocopy::{FromBytes, IntoBytes};

/// What the wallet holds, in fen.
pub(super) const WALLET_FEN: u32 = 1_000_000;

/// When everything in the history was, in seconds since 1970.
pub(super) const WHEN_S: u32 = 1_770_000_000;

/// The packets of the open invitations.
pub(super) const INVITED_TO: [u64; 2] = [5, 9];

impl Server {
    pub fn request(&mut self, op: Op, request: &Request) -> Option<Frame> {
        let req = request.req.get();
        let kept = self.kept(op, req);
        let answer = kept.or_else(|| self.put_off(req)).unwrap_or_else(|| self.execute(op, request));
        self.reply(op, req, request.attempt, answer)
    }

    /// SEND with the SEND_MORE behind it.
    pub fn send(&mut self, frame: &Frame, behind: &mut [Frame]) -> Option<Frame> {
        let (send, head): (Send, _) = (frame.body(), frame.header);
        let req = u64::from(self.number()) << 32 | u64::from(send.counter.get());
        let more = usize::from(head.flags & flags::SEND_MORE);
        let mut places: Vec<u64> = send.recipients.iter().map(|user| user.get()).collect();
        for (at, frame) in behind.get_mut(..more).expect("they stand behind it").iter_mut().enumerate() {
            assert_eq!(frame.header.op, Op::SendMore as u8);
            self.open(frame).expect("an honest frame");
            let more: SendMore = frame.body();
            assert_eq!((more.counter, usize::from(more.index)), (send.counter, at + 1));
            places.extend(more.recipients.iter().map(|user| user.get()));
        }
        let is_whole = more == 0 || self.lose_more_times == 0;
        let answer = if let Some(kept) = self.kept(Op::Send, req) {
            kept
        } else if let Some(put_off) = self.put_off(req) {
            put_off
        } else if !is_whole {
            self.lose_more_times -= 1;
            answer(req, Status::Incomplete)
        } else {
            let recipients = places.into_iter().take_while(|user| *user != 0).collect();
            let equal = head.flags & flags::EQUAL_SHARES != 0;
            let terms = Terms { total_fen: send.total_fen(), shares: send.shares, equal, recipients };
            self.execute_send(req, terms)
        };
        self.reply(Op::Send, req, head.load_level, answer)
    }

    fn execute_send(&mut self, req: u64, terms: Terms) -> Answer {
        assert_eq!(terms.check(USER), Ok(()));
        *self.executed.entry(req).or_default() += 1;
        let answer = if terms.total_fen > WALLET_FEN {
            answer(req, Status::TooLittleMoney)
        } else {
            let (packet, fen) = ((req | 1 << 48).into(), u64::from(terms.total_fen).into());
            Answer { packet, fen, ..answer(req, Status::Ok) }
        };
        self.answers.insert(req, (Op::Send as u8, answer));
        self.sends.insert(req, terms);
        answer
    }

    /// ASK: looked up, never executed.
    pub fn ask(&mut self, request: &Request) -> Option<Frame> {
        let req = request.req.get();
        assert_ne!((req >> 32) as u32, self.number(), "asked for a req of this session");
        let kept = self.answers.get(&req).copied();
        let (op, answer) = match (kept, self.put_off(req)) {
            (_, Some(put_off)) => (Op::Ask, put_off),
            (Some((op, answer)), _) => (Op::from_wire(op).unwrap(), answer),
            _ => (Op::Ask, answer(req, Status::NotDone)),
        };
        self.reply(op, req, request.attempt, answer)
    }

    /// What is known of a req already: its answer, or, of an earlier session, that there is none.
    fn kept(&self, op: Op, req: u64) -> Option<Answer> {
        if let Some((kept_op, kept)) = self.answers.get(&req) {
            assert_eq!(*kept_op, op as u8, "the same req with other content");
            return Some(*kept);
        }
        let is_earlier = (req >> 32) as u32 != self.number();
        is_earlier.then(|| answer(req, if op == Op::Shake { Status::Miss } else { Status::NotDone }))
    }

    fn put_off(&mut self, req: u64) -> Option<Answer> {
        let (status, retry_after_ms) = self.put_off.filter(|_| self.put_off_times > 0)?;
        self.put_off_times -= 1;
        Some(Answer { retry_after_ms: retry_after_ms.into(), ..answer(req, status) })
    }

    fn reply(&mut self, op: Op, req: u64, attempt: u8, answer: Answer) -> Option<Frame> {
        (!self.silent_on.contains(&req)).then(|| self.sealed(op, &Answer { attempt, ..answer }))
    }

    /// Every eighth shake wins; an open takes an amount that its packet tells.
    fn execute(&mut self, op: Op, request: &Request) -> Answer {
        let (req, packet) = (request.req.get(), request.packet.get());
        *self.executed.entry(req).or_default() += 1;
        let ok = Answer { packet: request.packet, ..answer(req, Status::Ok) };
        let answer = match op {
            Op::Open => Answer { fen: (100 + packet % 100).into(), ..ok },
            Op::Shake if req % 8 == 0 => Answer { packet: (req | 1 << 48).into(), ..ok },
            Op::Shake => answer(req, Status::Miss),
            Op::Share if request.user.get() == USER => answer(req, Status::Oneself),
            Op::Share | Op::Grab => ok,
            Op::Balance => Answer { fen: u64::from(WALLET_FEN).into(), ..ok },
            Op::History => entry(req, packet),
            Op::Invites => match INVITED_TO.into_iter().find(|invited| *invited > packet) {
                Some(next) => Answer { packet: next.into(), fen: (10 * next).into(), ..ok },
                None => answer(req, Status::NothingThere),
            },
            other => panic!("{other:?} is no request"),
        };
        self.answers.insert(req, (op as u8, answer));
        answer
    }
}

/// An entry of each kind, the first kind newest.
fn entry(req: u64, nth: u64) -> Answer {
    let Some(kind) = EntryKind::ALL.get(nth as usize) else { return answer(req, Status::NothingThere) };
    let entry = Entry {
        req: req.into(),
        attempt: 0,
        status: Status::Ok as u8,
        kind: *kind as u8,
        reserved: 0,
        when_s: WHEN_S.into(),
        packet: (1_000 + nth).into(),
        fen: (2_000 + nth).into(),
    };
    Answer::read_from_bytes(entry.as_bytes()).expect("they are of one size")
}
