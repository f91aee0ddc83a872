//! RELAY and REDIRECT: what other services are reached by. REDIRECT is final on the wire and not sent in this release.

use crate::RELAY_BYTES_MAX;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// RELAY, to the server: a small message of the application's, passed on at best effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Relay {
    /// Names the request, so that its answer can be told. It is not executed at most once.
    pub req: U64,
    /// How often it was sent before, modulo 256.
    pub attempt: u8,
    /// Zero.
    pub reserved: u8,
    /// The application's.
    pub kind: u8,
    /// Bytes of the message.
    pub length: u8,
    /// The message, filled up with zeros.
    pub message: [u8; RELAY_BYTES_MAX],
}

/// The answer to [`Relay`], to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RelayAnswer {
    /// Of the request.
    pub req: U64,
    /// Of the transmission that is answered.
    pub attempt: u8,
    /// A [`Status`](super::Status).
    pub status: u8,
    /// The application's.
    pub kind: u8,
    /// Bytes of the message; 4 with status Busy.
    pub length: u8,
    /// The message, filled up with zeros. With status Busy the retry-after in ms, as 4 bytes.
    pub message: [u8; RELAY_BYTES_MAX],
}

/// REDIRECT, to the client: join there next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Redirect {
    /// IPv6, or IPv4 mapped into IPv6, as on the network.
    pub ip: [u8; 16],
    /// UDP port.
    pub port: U16,
    /// Zero.
    pub reserved1: [u8; 2],
    /// Not earlier than this, in ms.
    pub retry_after_ms: U32,
    /// Zero.
    pub reserved2: [u8; 8],
}
