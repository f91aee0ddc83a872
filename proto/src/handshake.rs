//! Tags of handshake frames, and the key that a handshake ends in.
//!
//! All is under the ticket's secret. AEGIS is never used with it: a ticket's holder may start again at
//! any seq, and a nonce must not come twice.

use crate::body::Body;
use crate::derive::{Label, keyed};
use crate::frame::{Direction, Frame, Header, Op};
use crate::seal::{BadTag, SessionKey};
use crate::ticket::TicketSecret;
use subtle::ConstantTimeEq;

/// The tag of a handshake frame. Frames to the client are bound to the client random they answer.
pub fn tag(secret: &TicketSecret, frame: &Frame, client_random: &[u8; 8]) -> [u8; 16] {
    match frame.header.direction() {
        Direction::ToServer => keyed(secret.bytes(), Label::Mac, &[frame.header_and_body()]),
        Direction::ToClient => keyed(secret.bytes(), Label::Mac, &[frame.header_and_body(), client_random]),
    }
}

/// Checks a handshake frame's tag in constant time.
pub fn check(secret: &TicketSecret, frame: &Frame, client_random: &[u8; 8]) -> Result<(), BadTag> {
    if tag(secret, frame, client_random).ct_eq(&frame.tag).into() { Ok(()) } else { Err(BadTag) }
}

/// A tagged handshake frame.
pub fn frame<B: Body>(
    secret: &TicketSecret,
    user: u64,
    direction: Direction,
    op: Op,
    body: &B,
    client_random: &[u8; 8],
) -> Frame {
    let mut frame = Frame::new(Header::new(user, direction, op), body);
    frame.tag = tag(secret, &frame, client_random);
    frame
}

/// The key of the session that a WELCOME with these values begins.
pub fn session_key(
    secret: &TicketSecret,
    user: u64,
    client_random: &[u8; 8],
    server_random: &[u8; 8],
    session_number: u32,
) -> SessionKey {
    let fields: [&[u8]; 4] =
        [&user.to_le_bytes(), client_random, server_random, &session_number.to_le_bytes()];
    SessionKey::from_bytes(keyed(secret.bytes(), Label::Session, &fields))
}

/// The server's random for one session. It depends on nothing but what is hashed here, so the same JOIN
/// of the same session finds the same random again, and nothing has to be kept for that.
pub fn server_random(
    server_secret: &[u8; 32],
    user: u64,
    client_random: &[u8; 8],
    session_number: u32,
) -> [u8; 8] {
    let fields: [&[u8]; 3] = [&user.to_le_bytes(), client_random, &session_number.to_le_bytes()];
    keyed(server_secret, Label::ServerRandom, &fields)
}
