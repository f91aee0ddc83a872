//! What a user asks for, and the answer: SHAKE, OPEN, SHARE, GRAB, BALANCE, HISTORY, ASK, INVITES.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Every request but SEND and RELAY, to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Request {
    /// Session number in the high half, a counter from 1 in the low half; the same in retransmissions.
    pub req: U64,
    /// How often it was sent before, modulo 256.
    pub attempt: u8,
    /// Zero.
    pub reserved: [u8; 7],
    /// OPEN, GRAB, SHARE: which packet. HISTORY: the number of an entry, 0 for the newest. INVITES: the packet
    /// of the last invitation known, 0 for the first. Else 0.
    pub packet: U64,
    /// SHARE: whom to invite. Else 0.
    pub user: U64,
}

impl Request {
    /// A request with no packet and no user.
    pub fn new(req: u64, attempt: u8) -> Request {
        Request { req: req.into(), attempt, reserved: [0; 7], packet: 0.into(), user: 0.into() }
    }
}

/// The answer to every request but HISTORY and RELAY, to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Answer {
    /// Of the request.
    pub req: U64,
    /// Of the transmission that is answered: which one a round-trip sample belongs to.
    pub attempt: u8,
    /// A [`Status`](super::Status).
    pub status: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// In refusals that may be tried again: not earlier than this, in ms. Else 0.
    pub retry_after_ms: U32,
    /// With status Ok: the packet won, opened, shared, grabbed or made, or of the next invitation. Else 0.
    pub packet: U64,
    /// With status Ok, in fen: what OPEN took, what BALANCE found, the total of what SEND made or of the
    /// invitation. Else 0.
    pub fen: U64,
}
