//! What goes into a session and what comes out of it.

use super::hint::Hint;
use crate::body::{EntryKind, RefusalCode, Status};
use crate::{Op, Terms, TermsError};

/// What a user can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Ask for luck.
    Shake,
    /// Learn and take one's amount of a packet.
    Open {
        /// Which packet.
        packet: u64,
    },
    /// Make a packet for others.
    Send {
        /// Its terms. In a box: they are long, and calls of this kind are rare.
        terms: Box<Terms>,
    },
    /// Invite one more to what is left of a packet of which the user holds a share.
    Share {
        /// Which packet.
        packet: u64,
        /// Whom.
        user: u64,
    },
    /// Claim a share, to be opened later.
    Grab {
        /// Which packet.
        packet: u64,
    },
    /// Learn what the wallet holds.
    Balance,
    /// Learn one entry of what became of the user's money.
    History {
        /// Which one, 0 for the newest.
        entry: u64,
    },
    /// Learn the next open invitation.
    Invites {
        /// The packet of the last one known, 0 for the first.
        after: u64,
    },
}

impl Call {
    /// The op of its answer, and of its frames as long as the session lives in which it was called.
    pub fn op(&self) -> Op {
        match self {
            Call::Shake => Op::Shake,
            Call::Open { .. } => Op::Open,
            Call::Send { .. } => Op::Send,
            Call::Share { .. } => Op::Share,
            Call::Grab { .. } => Op::Grab,
            Call::Balance => Op::Balance,
            Call::History { .. } => Op::History,
            Call::Invites { .. } => Op::Invites,
        }
    }

    /// Whether its answer waits for a disk, whatever it is: an OPEN's does, a SHAKE's mostly does not.
    pub(super) fn waits_for_disk(&self) -> bool {
        matches!(self, Call::Open { .. } | Call::Send { .. } | Call::Share { .. } | Call::Grab { .. })
    }
}

/// Why a call was not taken. Nothing was sent; no event follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no session, or it is being renewed; call again after the next [`Event::Joined`].
    #[error("the session has not joined; call again when it has")]
    NotJoined,
    /// As many requests as the server allows wait for their answers, or the oldest of them is too far behind.
    #[error("too many requests in flight; call again after the next answer")]
    WindowFull,
    /// The session's numbers are used up; it is joining again by itself.
    #[error("the session's numbers are used up and it is joining again; call again when it has")]
    SeqsUsedUp,
    /// No server could take these terms.
    #[error("this packet cannot be sent: {0}")]
    BadTerms(#[from] TermsError),
    /// A SEND goes in one datagram, and the server or the configuration allows too few frames in one for it.
    #[error("a datagram may not have the {frames} frames of this send here; name fewer recipients")]
    SendTooLong {
        /// How many frames it needs.
        frames: u8,
    },
}

/// A server's answer, checked: its status is one we know, and a packet and an amount are there where they belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What became of the request; never [`Status::OutcomeUnknown`], [`Status::Incomplete`] or
    /// [`Status::TooOld`].
    pub status: Status,
    /// With status Ok: the packet that was won or made, of the entry, or of the next invitation. An open, a
    /// grab and a share always have the packet that was asked for. Else 0.
    pub packet: u64,
    /// With status Ok, in fen: what an open took, what the wallet holds, of the entry, the total of the packet
    /// that was made or of the invitation. Else 0.
    pub fen: u64,
    /// With status Ok, of a history: the rest of the entry.
    pub past: Option<Past>,
}

impl Reply {
    /// A reply of nothing but a status.
    pub fn of(status: Status) -> Reply {
        Reply { status, packet: 0, fen: 0, past: None }
    }
}

/// What only an entry of the history tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// What it is about; `None` for a kind that this code does not know.
    pub kind: Option<EntryKind>,
    /// When it was, in seconds since 1970.
    pub when_s: u32,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server's word on it, final. [`Status::Busy`] here: never executed, and never will be by what was
    /// sent. [`Status::NotDone`] also stands for a call whose deadline passed before it was ever sent.
    Known(Reply),
    /// The deadline passed, or the server no longer keeps the answer, or the session has gone to another server:
    /// executed once or not at all.
    Unknown,
    /// Not this time: a shake that was not sent at all, because the server has more to do than it can. It is
    /// not the server's word, as [`Status::Miss`] is: the user may have another try at once.
    NotNow,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a session; also after a rejoin.
    Joined {
        /// High half of the reqs from now on.
        session_number: u32,
        /// The server's clock when it answered: ms since 1970.
        server_wall_ms: u64,
        /// Shakes that get answered in a second; 0 means no limit.
        shakes_per_s: u16,
    },
    /// The server does not let this user join now. Comes again each time the session asks and is refused.
    JoinRefused {
        /// Why.
        code: RefusalCode,
        /// The server's wish, in ms.
        retry_after_ms: u32,
        /// Whether waiting helps. If not, nothing will change without another ticket or another version, so
        /// tell the user. The session asks again all the same, after about half a minute, because a refusal
        /// is no proof and may be forged; an earlier session that still lives goes on meanwhile.
        retries: bool,
    },
    /// A call has ended; exactly one for each.
    Answered {
        /// What [`Session::call`](super::Session::call) returned.
        req: u64,
        /// What was called.
        call: Call,
        /// How it ended.
        outcome: Outcome,
        /// When it was sent first, in monotonic ns; 0 if never.
        sent_first_ns: u64,
        /// From the transmission that was answered to its answer, in ns; `None` if it cannot be told which
        /// one that was.
        rtt_ns: Option<u64>,
        /// How often it was sent.
        transmissions: u32,
    },
    /// Somebody invites this user to a packet. May come more than once for a packet: the server repeats it
    /// until it hears that it came, and again in each session. The session tells the server by itself.
    Invited {
        /// Which packet.
        packet: u64,
        /// Which user invites; 0 is the house.
        from: u64,
        /// When the packet's time is over, in seconds since 1970.
        expiry_s: u32,
        /// Shares of the packet.
        shares: u16,
        /// Total of the packet, in fen; 0 if it is not told.
        total_fen: u64,
    },
    /// What an app can show has changed.
    Hint(Hint),
    /// A sample of the server's clock.
    Clock {
        /// Server minus ours, in ms, taking the answer's way as half of the round trip.
        offset_ms: i64,
        /// The round trip, in ns: the sample is no more exact than half of it.
        rtt_ns: u64,
    },
}

/// What a session counted since it was made. 20 bytes; each stops at its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames with a wrong tag: forged, damaged, or of an earlier session.
    pub bad_tag: u32,
    /// Frames whose seq had been seen, or is behind the replay window.
    pub replayed: u32,
    /// Frames that nothing here waits for: another user's, the wrong direction, an unknown op, a
    /// refusal of something that was not sent.
    pub unexpected: u32,
    /// Answers to calls that had ended: the fruit of retransmissions that were not needed.
    pub late: u32,
    /// Frames sent again: requests, keepalives and handshake frames.
    pub retransmissions: u32,
}

impl Counters {
    /// Adds another session's.
    pub fn add(&mut self, other: &Counters) {
        self.bad_tag = self.bad_tag.saturating_add(other.bad_tag);
        self.replayed = self.replayed.saturating_add(other.replayed);
        self.unexpected = self.unexpected.saturating_add(other.unexpected);
        self.late = self.late.saturating_add(other.late);
        self.retransmissions = self.retransmissions.saturating_add(other.retransmissions);
    }
}
