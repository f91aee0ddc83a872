//! Bodies of the handshake and of what refuses it: HELLO, CHALLENGE, JOIN, WELCOME, STALE, ERROR.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
    /// The server has more to do than it can, and did not open the datagram. Also in answer to session frames.
    Load = 6,
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
            6 => RefusalCode::Load,
            _ => return None,
        })
    }
}
