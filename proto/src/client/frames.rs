//! The frames of a request.

use super::event::Call;
use super::in_flight::Pending;
use crate::body::Request;
use crate::frame::flags;
use crate::{Direction, Frame, Header, Op, Terms};

impl Pending {
    /// Whether it is a SEND of an earlier session than `number`. The frames of a SEND belong to the session
    /// that they are sent in, so what became of this one is asked for by ASK.
    pub fn is_asked_for(&self, number: u32) -> bool {
        matches!(self.call, Call::Send { .. }) && (self.req >> 32) as u32 != number
    }

    /// Frames of its next transmission in session `number`.
    pub fn frame_count(&self, number: u32) -> usize {
        match &self.call {
            Call::Send { terms } if !self.is_asked_for(number) => 1 + terms.more(),
            _ => 1,
        }
    }

    /// Writes its next transmission in session `number`, unsealed: [`frame_count`](Self::frame_count) frames
    /// with seqs from `first_seq`.
    pub fn write(&self, user: u64, number: u32, first_seq: u32, out: &mut [Frame]) {
        match &self.call {
            Call::Send { terms } if !self.is_asked_for(number) => {
                self.write_send(user, terms, first_seq, out);
            }
            Call::Send { .. } => out[0] = Frame::new(header(user, Op::Ask, first_seq), &self.request()),
            call => out[0] = Frame::new(header(user, call.op(), first_seq), &self.request()),
        }
    }

    fn request(&self) -> Request {
        let (packet, user) = match self.call {
            Call::Shake | Call::Send { .. } | Call::Balance => (0, 0),
            Call::Open { packet } | Call::Grab { packet } => (packet, 0),
            Call::Share { packet, user } => (packet, user),
            Call::History { entry } => (entry, 0),
            Call::Invites { after } => (after, 0),
        };
        let request = Request::new(self.req, self.transmissions as u8);
        Request { packet: packet.into(), user: user.into(), ..request }
    }

    /// SEND, and the SEND_MORE directly behind it.
    fn write_send(&self, user: u64, terms: &Terms, first_seq: u32, out: &mut [Frame]) {
        let counter = self.req as u32;
        let mut head = header(user, Op::Send, first_seq);
        head.flags = terms.more() as u8 & flags::SEND_MORE;
        head.flags |= if terms.equal { flags::EQUAL_SHARES } else { 0 };
        head.load_level = self.transmissions as u8;
        out[0] = Frame::new(head, &terms.send(counter));
        for (index, frame) in out.iter_mut().enumerate().skip(1) {
            let head = header(user, Op::SendMore, first_seq + index as u32);
            *frame = Frame::new(head, &terms.send_more(counter, index as u8));
        }
    }
}

fn header(user: u64, op: Op, seq: u32) -> Header {
    Header { seq: seq.into(), ..Header::new(user, Direction::ToServer, op) }
}
