//! What is told of each frame, and to whom.

use super::window::Place;
use crate::datagram::{Datagram, Headers};
use crate::reason::Reason;
use redpkt_proto::body::Status;
use redpkt_proto::{Direction, Frame, Op};

/// Whether a frame's body can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It was never sealed: handshakes and hints.
    Clear,
    /// It was sealed, and is opened: it is authentic.
    Opened,
    /// It is not believed.
    Sealed(Why),
}

/// Why a frame is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No key of its user is known.
    NoKey,
    /// Its tag is wrong: forged, damaged, or of a session whose key is not known.
    Tag,
}

impl Why {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Why::NoKey => "no_key",
            Why::Tag => "tag",
        }
    }
}

/// What a request's frame says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// Its req.
    pub req: u64,
    /// How often it was sent before, by its own word.
    pub attempt: u8,
    /// Whether this req was not seen before.
    pub is_new: bool,
    /// Whether it was sent before: by its attempt, or because the req was seen before.
    pub is_retransmission: bool,
}

/// What an answer's frame says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSeen {
    /// The req that is answered.
    pub req: u64,
    /// What became of it; `None` is a status that this version does not have.
    pub status: Option<Status>,
    /// Whether it is the first final answer to that req, in the session in which that was made.
    pub is_first_final: bool,
    /// Whether the req is of the session that the answer is sealed in.
    pub is_of_this_session: bool,
    /// What was asked, and the time from the first transmission seen to this first answer, in ns.
    pub response: Option<(Op, u64)>,
}

/// A frame, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it came in.
    pub datagram: &'a Datagram,
    /// The frame, its body open where it can be.
    pub frame: &'a Frame,
    /// What it is about.
    pub op: Op,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether its body can be read.
    pub opening: Opening,
    /// The number of the session it is sealed in; 0 where that is not known.
    pub session_number: u32,
    /// What its seq says, where it has one that is believed.
    pub place: Option<Place>,
    /// Of an open request that is no duplicate.
    pub request: Option<RequestSeen>,
    /// Of an open answer that is no duplicate.
    pub answer: Option<AnswerSeen>,
    /// Whether it is a HELLO or a JOIN that was sent before.
    pub is_handshake_again: bool,
}

impl Seen<'_> {
    /// Whether it was sent again: a request, a HELLO or a JOIN.
    pub fn is_retransmission(&self) -> bool {
        self.is_handshake_again || self.request.is_some_and(|request| request.is_retransmission)
    }

    /// Whether its seq was seen before.
    pub fn is_duplicate(&self) -> bool {
        self.place == Some(Place::Duplicate)
    }
}

/// What is not redpkt: a record, a datagram, or one frame of it.
#[derive(Clone, Copy, Debug)]
pub struct NotRedpkt {
    /// When it was captured, in ns since 1970.
    pub time_ns: u64,
    /// The headers of the datagram it is, or is in, as far as they are there.
    pub headers: Option<Headers>,
    /// Why.
    pub reason: Reason,
}

/// Who is told what is seen.
pub trait Sink {
    /// A datagram from or to a server's port, of so many frames, before they are told, or that they are not redpkt's.
    /// 0 if it is no whole frames.
    fn datagram(&mut self, time_ns: u64, headers: &Headers, frames: usize);
    /// A frame.
    fn frame(&mut self, seen: &Seen<'_>);
    /// Something that is not redpkt.
    fn not_redpkt(&mut self, what: &NotRedpkt);
}
