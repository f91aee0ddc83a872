//! The 32-byte body of each op. Reserved bytes are zero when sent and ignored when read.

use crate::limits::BODY_BYTES;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A struct that is exactly the body of some op.
pub trait Body: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy {}

macro_rules! bodies {
    ($($name:ident),*) => {$(
        impl Body for $name {}
        const _: () = assert!(size_of::<$name>() == BODY_BYTES && align_of::<$name>() == 1);
    )*};
}
bodies!(Hello, Challenge, Join, Welcome, Refusal, Keepalive, PathProof, Request, Answer);

/// The public part of a ticket as HELLO and JOIN carry it: 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct TicketFields {
    /// Seconds since 1970 when it ends.
    pub expiry_s: U32,
    /// Which server key made it.
    pub key_id: u8,
    /// Makes two tickets of one user and expiry differ.
    pub nonce: [u8; 7],
}

/// A cookie: 12 bytes that only the server can make, for one address, user and client random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct CookieBytes {
    /// Session number of the time it was made, see [`crate::Now::session_number`].
    pub made: U32,
    /// Keyed MAC over what it is bound to.
    pub mac: [u8; 8],
}

/// HELLO, to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Hello {
    /// Whose right to join.
    pub ticket: TicketFields,
    /// Fresh for each handshake; the server's answers are bound to it.
    pub client_random: [u8; 8],
    /// Zero.
    pub reserved: [u8; 12],
}

/// CHALLENGE, to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Challenge {
    /// To be echoed in JOIN.
    pub cookie: CookieBytes,
    /// Zero.
    pub reserved: [u8; 20],
}

/// JOIN, to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Join {
    /// As in HELLO.
    pub ticket: TicketFields,
    /// As in HELLO.
    pub client_random: [u8; 8],
    /// From CHALLENGE.
    pub cookie: CookieBytes,
}

/// WELCOME, to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Welcome {
    /// The server's part of the session key.
    pub server_random: [u8; 8],
    /// High half of every req made in this session.
    pub session_number: U32,
    /// Send something at least this often, in seconds.
    pub keepalive_s: U16,
    /// A session that is silent for this long ends, in seconds.
    pub idle_s: U16,
    /// The server's clock when it answered: ms since 1970.
    pub server_wall_ms: U64,
    /// Shakes that a user gets answered in a second; 0 means no limit.
    pub shakes_per_s: U16,
    /// Requests that may be in flight.
    pub in_flight_max: u8,
    /// Frames that may be in a datagram.
    pub frames_per_datagram_max: u8,
    /// Zero.
    pub reserved: [u8; 4],
}

/// STALE and ERROR, to the client: not sealed, a hint and no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Refusal {
    /// The tag of the frame that is refused: shows that the sender has seen it.
    pub refused_tag: [u8; 16],
    /// A [`RefusalCode`]; 0 in STALE.
    pub code: u8,
    /// Oldest version of the wire that the server speaks.
    pub version_min: u8,
    /// Newest version of the wire that the server speaks.
    pub version_max: u8,
    /// Zero.
    pub reserved1: u8,
    /// Do not come back earlier than this, in ms.
    pub retry_after_ms: U32,
    /// Zero.
    pub reserved2: [u8; 8],
}

/// Why an ERROR refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RefusalCode {
    /// The frame's version is not spoken here.
    Version = 1,
    /// The ticket's time is over.
    TicketExpired = 2,
    /// No key here has the ticket's key id.
    TicketKey = 3,
    /// No free slot in the user's SET.
    Full = 4,
    /// This user joined a moment ago, or the server sheds joins.
    Busy = 5,
}

impl RefusalCode {
    /// The code of a byte from the wire.
    pub fn from_wire(byte: u8) -> Option<RefusalCode> {
        Some(match byte {
            1 => RefusalCode::Version,
            2 => RefusalCode::TicketExpired,
            3 => RefusalCode::TicketKey,
            4 => RefusalCode::Full,
            5 => RefusalCode::Busy,
            _ => return None,
        })
    }
}

/// KEEPALIVE, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Keepalive {
    /// The client's own; the server sends it back.
    pub token: U64,
    /// To the client: the server's clock, ms since 1970. To the server: zero.
    pub server_wall_ms: U64,
    /// Zero.
    pub reserved: [u8; 16],
}

/// PATH, to the client, and PATH_OK, to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PathProof {
    /// Bound to the new address; PATH_OK sends it back from there.
    pub cookie: CookieBytes,
    /// Zero.
    pub reserved: [u8; 20],
}

/// SHAKE and OPEN, to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Request {
    /// Session number in the high half, a counter from 1 in the low half; the same in retransmissions.
    pub req: U64,
    /// How often it was sent before, modulo 256.
    pub attempt: u8,
    /// Zero.
    pub reserved1: [u8; 7],
    /// OPEN: which packet. SHAKE: zero.
    pub packet: U64,
    /// Zero.
    pub reserved2: [u8; 8],
}

/// The answer to a [`Request`], to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Answer {
    /// Of the request.
    pub req: U64,
    /// Of the transmission that is answered: which one a round-trip sample belongs to.
    pub attempt: u8,
    /// A [`Status`].
    pub status: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// In refusals that may be tried again: not earlier than this, in ms. Else 0.
    pub retry_after_ms: U32,
    /// SHAKE that won, OPEN: which packet. Else 0.
    pub packet: U64,
    /// OPEN that took money: how much, in fen. Else 0.
    pub fen: U64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Done: a SHAKE won `packet`, an OPEN took `fen`.
    Ok = 0,
    /// Done: the SHAKE won nothing.
    Miss = 1,
    /// Not executed by this attempt; the same req may be sent again after the retry-after.
    Busy = 2,
    /// The req is below the window, or its answer is no longer kept. Not executed now.
    TooOld = 3,
    /// This req was used before with other content. Not executed.
    Conflict = 4,
    /// A req of an earlier session that was never executed, and will never be.
    NotDone = 5,
    /// No such packet.
    UnknownPacket = 6,
    /// The packet is for somebody else.
    NotInvited = 7,
    /// Nothing is left for this user, of a packet that he did not open.
    Empty = 8,
    /// The packet's time is over.
    Expired = 9,
    /// The outcome could not be made durable: ask again later.
    OutcomeUnknown = 10,
}

impl Status {
    /// Every status, in the order of their numbers.
    pub const ALL: [Status; 11] = [
        Status::Ok,
        Status::Miss,
        Status::Busy,
        Status::TooOld,
        Status::Conflict,
        Status::NotDone,
        Status::UnknownPacket,
        Status::NotInvited,
        Status::Empty,
        Status::Expired,
        Status::OutcomeUnknown,
    ];

    /// The status of a byte from the wire.
    pub fn from_wire(byte: u8) -> Option<Status> {
        Status::ALL.get(usize::from(byte)).copied()
    }
}

/// The id of a red packet: where it lives, and which it is there. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId {
    /// The machine that made it.
    pub machine: u16,
    /// The SET it lives in.
    pub set: u16,
    /// Its number there, from 1.
    pub number: u32,
}

impl PacketId {
    /// As one number: machine in the top 16 bits, SET in the next 16, number in the low 32.
    pub fn to_u64(self) -> u64 {
        u64::from(self.machine) << 48 | u64::from(self.set) << 32 | u64::from(self.number)
    }

    /// From one number. Every number is an id, of a packet that may not exist.
    pub fn from_u64(id: u64) -> PacketId {
        PacketId { machine: (id >> 48) as u16, set: (id >> 32) as u16, number: id as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_their_bytes_are_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(Status::from_wire(byte).map(|status| status as u8), (byte <= 10).then_some(byte));
        }
    }

    #[test]
    fn a_packet_id_is_its_three_numbers() {
        let id = PacketId { machine: 0x0102, set: 0x0304, number: 0x0506_0708 };
        assert_eq!(id.to_u64(), 0x0102_0304_0506_0708);
        assert_eq!(PacketId::from_u64(id.to_u64()), id);
    }
}
