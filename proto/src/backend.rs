//! What a server and its backend say to each other: RELAY messages of users and what becomes of them. One UDP datagram
//! of 48 bytes is one question or one answer. `docs/RELAY.md` tells how to write a backend.

use crate::body::{Relay, RelayAnswer};
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a question, and of an answer.
pub const BACKEND_BYTES: usize = 48;

/// To the backend: a user's RELAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BackendQuestion {
    /// Names the question, and cannot be guessed. The answer has the same.
    pub token: U64,
    /// Who asks: proved by the session's key.
    pub user: U64,
    /// The body of the user's frame.
    pub relay: Relay,
}

/// From the backend: the answer to a [`BackendQuestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BackendAnswer {
    /// Of the question.
    pub token: U64,
    /// Of the question.
    pub user: U64,
    /// The body of the frame to the user, who gets req and attempt of the question whatever they are here.
    pub answer: RelayAnswer,
}

const _: () = assert!(size_of::<BackendQuestion>() == BACKEND_BYTES);
const _: () = assert!(size_of::<BackendAnswer>() == BACKEND_BYTES);
