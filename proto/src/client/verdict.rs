//! What an answer means for its request.

use super::event::{Call, Outcome, Past, Reply};
use super::in_flight::Pending;
use crate::body::{Answer, Entry, EntryKind, Status};
use crate::{Frame, Op};

/// What an answer means for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Final(Outcome),
    /// It is sent again later, because of this status.
    Again(Status),
}

/// Checks an answer to a request in session `number`; `None` if it cannot be one: another op, a
/// packet that is not there or another than was asked for.
pub(super) fn verdict(op: Op, frame: &Frame, pending: &Pending, number: u32) -> Option<Verdict> {
    let answer: Answer = frame.body();
    // A status of a later text than ours tells us nothing of what was done.
    let status = Status::from_wire(answer.status).unwrap_or(Status::OutcomeUnknown);
    let is_asked_for = pending.is_asked_for(number) && op == Op::Ask;
    if op != pending.call.op() && !is_asked_for {
        return None;
    }
    Some(match status {
        Status::Busy | Status::OutcomeUnknown | Status::Incomplete => Verdict::Again(status),
        // Its answer may have been forgotten after it was executed.
        Status::TooOld => Verdict::Final(Outcome::Unknown),
        // Whatever is known of a SEND comes as its own op.
        _ if is_asked_for && status != Status::NotDone => return None,
        _ => Verdict::Final(Outcome::Known(reply(status, frame, &answer, &pending.call)?)),
    })
}

/// A final answer, if it holds what belongs to it.
fn reply(status: Status, frame: &Frame, answer: &Answer, call: &Call) -> Option<Reply> {
    let (packet, fen) = (answer.packet.get(), answer.fen.get());
    let mut reply = Reply { packet, fen, ..Reply::of(status) };
    match (status, call) {
        (Status::Ok, Call::Shake) if packet != 0 => reply.fen = 0,
        (Status::Ok, Call::Open { packet: asked }) if packet == *asked => {}
        (Status::Ok, Call::Send { terms }) if packet != 0 && fen == terms.total_fen.into() => {}
        (Status::Ok, Call::Share { packet: asked, .. } | Call::Grab { packet: asked })
            if packet == *asked =>
        {
            reply.fen = 0;
        }
        (Status::Ok, Call::Balance) => reply.packet = 0,
        (Status::Ok, Call::History { .. }) => {
            let entry: Entry = frame.body();
            let (kind, when_s) = (EntryKind::from_wire(entry.kind), entry.when_s.get());
            reply.past = Some(Past { kind, when_s });
        }
        (Status::Ok, Call::Invites { .. }) if packet != 0 => {}
        (Status::Ok, _) => return None,
        (Status::Miss, call) if *call != Call::Shake => return None,
        (_, Call::Open { packet } | Call::Grab { packet } | Call::Share { packet, .. }) => {
            (reply.packet, reply.fen) = (*packet, 0);
        }
        _ => (reply.packet, reply.fen) = (0, 0),
    }
    Some(reply)
}
