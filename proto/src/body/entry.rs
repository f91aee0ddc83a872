//! The answer to HISTORY.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The answer to HISTORY, to the client: an [`Answer`](super::Answer) that also tells kind and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Entry {
    /// Of the request.
    pub req: U64,
    /// Of the transmission that is answered.
    pub attempt: u8,
    /// A [`Status`](super::Status).
    pub status: u8,
    /// With status Ok: an [`EntryKind`]. Else 0.
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
    /// With status Ok: when it was, in seconds since 1970. Else the retry-after in ms, as in an answer.
    pub when_s: U32,
    /// With status Ok: of which packet; 0 if of none. Else 0.
    pub packet: U64,
    /// With status Ok: how much, in fen; 0 if it was not known then. Else 0.
    pub fen: U64,
}

/// What an entry of the history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A share became the user's, by SHAKE or GRAB; how much is told when it is opened.
    Won = 1,
    /// OPEN took it.
    Opened = 2,
    /// SEND made a packet of it.
    Sent = 3,
    /// It was left of a packet that the user had sent, and came back.
    Returned = 4,
    /// The operator paid it into the wallet.
    PaidIn = 5,
    /// The operator paid it out of the wallet.
    PaidOut = 6,
}

impl EntryKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [EntryKind; 6] = [
        EntryKind::Won,
        EntryKind::Opened,
        EntryKind::Sent,
        EntryKind::Returned,
        EntryKind::PaidIn,
        EntryKind::PaidOut,
    ];

    /// The kind of a byte from the wire.
    pub fn from_wire(byte: u8) -> Option<EntryKind> {
        EntryKind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_their_bytes_are_one_to_one() {
        for byte in 0..=255 {
            let expected = (1..=6).contains(&byte).then_some(byte);
            assert_eq!(EntryKind::from_wire(byte).map(|kind| kind as u8), expected);
        }
    }
}
