//! INVITE and INVITE_OK: the server tells a user of a packet that is for him.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// INVITE, to the client, at its proved address: a packet is for this user too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Invite {
    /// Which packet.
    pub packet: U64,
    /// Which user invites; 0 is the house.
    pub from: U64,
    /// When the packet's time is over, in seconds since 1970.
    pub expiry_s: U32,
    /// Shares of the packet.
    pub shares: U16,
    /// Zero.
    pub reserved: [u8; 2],
    /// Total of the packet, in fen; 0 if it is not told.
    pub total_fen: U64,
}

/// INVITE_OK, to the server: the invitation has come. It is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct InviteOk {
    /// Which packet's.
    pub packet: U64,
    /// Zero.
    pub reserved: [u8; 24],
}
