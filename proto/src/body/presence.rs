//! Bodies that say where a client is, and that it is there: KEEPALIVE, PATH, PATH_OK.

use super::CookieBytes;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
