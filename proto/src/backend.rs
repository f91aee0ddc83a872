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

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: the bytes of the table in docs/RELAY.md, both ways.
    #[test]
    fn a_question_and_an_answer_are_48_bytes_as_described() {
        let mut message = [0; 20];
        message[..2].copy_from_slice(b"hi");
        let relay = Relay { req: 3.into(), attempt: 4, reserved: 0, kind: 5, length: 2, message };
        let question = BackendQuestion { token: 1.into(), user: 2.into(), relay };
        let mut bytes = [0; BACKEND_BYTES];
        for (at, byte) in [(0, 1), (8, 2), (16, 3), (24, 4), (26, 5), (27, 2), (28, b'h'), (29, b'i')] {
            bytes[at] = byte;
        }
        assert_eq!(question.as_bytes(), bytes);
        bytes[25] = 6;
        let answer = BackendAnswer::read_from_bytes(&bytes).unwrap();
        assert_eq!((answer.token, answer.user), (question.token, question.user));
        let RelayAnswer { req, attempt, status, kind, length, message: said } = answer.answer;
        assert_eq!((req.get(), attempt, status, kind, length, said), (3, 4, 6, 5, 2, message));
    }
}
