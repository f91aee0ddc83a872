//! The frame: 64 bytes, fixed, the unit of the protocol.

use crate::limits::{BODY_BYTES, FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX, TAG_BYTES};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version of the wire that this code speaks.
pub const VERSION: u8 = 1;

/// The bit of the version byte that says who sent the frame.
const DIRECTION_BIT: u8 = 0x80;

/// Bytes 0 to 15 of a frame, never encrypted, always authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// The user whose session this is; in clear, because datagrams are steered by it.
    pub user: U64,
    /// Number of this frame in its direction, never used twice under one key. 0 in handshake frames.
    pub seq: U32,
    /// Bits 0 to 6: the version. Bit 7: set when a server sent it.
    pub version_direction: u8,
    /// An [`Op`]; any byte can arrive.
    pub op: u8,
    /// See [`flags`].
    pub flags: u8,
    /// To the client: 16 × log2 of what the server takes for its queueing time, in µs, at most 255.
    /// To the server: SEND's attempt, which has no room in its body; 0 in all other frames.
    pub load_level: u8,
}

/// Bits of [`Header::flags`].
pub mod flags {
    /// Server: this answer went to an address that has not proved itself; send a KEEPALIVE to be asked.
    pub const PROVE_PATH: u8 = 1;

    /// SEND, to the server: these bits are how many SEND_MORE follow it, 0 to 17.
    pub const SEND_MORE: u8 = 0x1f;

    /// SEND, to the server: equal shares, not random ones.
    pub const EQUAL_SHARES: u8 = 0x80;
}

/// 64 bytes: header, body, tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Frame {
    /// Who, which, what.
    pub header: Header,
    /// 32 bytes by op, see [`crate::body`]; encrypted once a session exists.
    pub body: [u8; BODY_BYTES],
    /// A keyed MAC in handshake frames, AEGIS-128L's tag in session frames.
    pub tag: [u8; TAG_BYTES],
}

const _: () = assert!(size_of::<Header>() == 16 && align_of::<Header>() == 1);
const _: () = assert!(size_of::<Frame>() == FRAME_BYTES && align_of::<Frame>() == 1);

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A client to a server.
    ToServer,
    /// A server to a client.
    ToClient,
}

/// What a frame is about. An answer carries the op of its request and the other direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// To the server: a ticket holder says hello from an unproved address.
    Hello = 1,
    /// To the client: here is a cookie, come again with it.
    Challenge = 2,
    /// To the server: the ticket again, and the cookie.
    Join = 3,
    /// To the client: the session exists.
    Welcome = 4,
    /// To the client: no session here for that user.
    Stale = 5,
    /// To the client: refused before there was a session, and why.
    Error = 6,
    /// Both ways: still here.
    Keepalive = 7,
    /// To the client: prove that you receive at this address.
    Path = 8,
    /// To the server: the proof.
    PathOk = 9,
    /// Both ways: ask for luck.
    Shake = 16,
    /// Both ways: learn and take one's amount of a packet.
    Open = 17,
    /// Both ways: make a packet for others.
    Send = 18,
    /// To the server: more recipients of the SEND before it in the datagram.
    SendMore = 19,
    /// Both ways: invite one more to what is left of a packet one holds a share of.
    Share = 20,
    /// Both ways: claim a share, to be opened later.
    Grab = 21,
    /// Both ways: what the wallet holds.
    Balance = 22,
    /// Both ways: one entry of what became of the user's money.
    History = 23,
    /// To the client: a packet is for you too.
    Invite = 24,
    /// To the server: the invitation has come.
    InviteOk = 25,
    /// Both ways: a small message of the application's. Not served in this release.
    Relay = 26,
    /// To the client: join there next. Not sent in this release.
    Redirect = 27,
    /// To the server: what became of a req of an earlier session? To the client: nothing is known of it.
    Ask = 28,
    /// Both ways: the next open invitation.
    Invites = 29,
}

impl Op {
    /// Every op of this version.
    pub const ALL: [Op; 23] = [
        Op::Hello,
        Op::Challenge,
        Op::Join,
        Op::Welcome,
        Op::Stale,
        Op::Error,
        Op::Keepalive,
        Op::Path,
        Op::PathOk,
        Op::Shake,
        Op::Open,
        Op::Send,
        Op::SendMore,
        Op::Share,
        Op::Grab,
        Op::Balance,
        Op::History,
        Op::Invite,
        Op::InviteOk,
        Op::Relay,
        Op::Redirect,
        Op::Ask,
        Op::Invites,
    ];

    /// The op of a byte from the wire, if it is one of this version.
    pub fn from_wire(byte: u8) -> Option<Op> {
        Some(match byte {
            1 => Op::Hello,
            2 => Op::Challenge,
            3 => Op::Join,
            4 => Op::Welcome,
            5 => Op::Stale,
            6 => Op::Error,
            7 => Op::Keepalive,
            8 => Op::Path,
            9 => Op::PathOk,
            16 => Op::Shake,
            17 => Op::Open,
            18 => Op::Send,
            19 => Op::SendMore,
            20 => Op::Share,
            21 => Op::Grab,
            22 => Op::Balance,
            23 => Op::History,
            24 => Op::Invite,
            25 => Op::InviteOk,
            26 => Op::Relay,
            27 => Op::Redirect,
            28 => Op::Ask,
            29 => Op::Invites,
            _ => return None,
        })
    }

    /// Whether a client may send it.
    pub fn is_for_server(self) -> bool {
        use Op::*;
        !matches!(self, Challenge | Welcome | Stale | Error | Path | Invite | Redirect)
    }

    /// Whether a server may send it.
    pub fn is_for_client(self) -> bool {
        !matches!(self, Op::Hello | Op::Join | Op::PathOk | Op::SendMore | Op::InviteOk)
    }

    /// Whether it belongs to the handshake: authenticated by a MAC under the ticket's secret.
    pub fn is_handshake(self) -> bool {
        matches!(self, Op::Hello | Op::Challenge | Op::Join | Op::Welcome)
    }
}

impl Header {
    /// A header of this version with seq 0 and nothing else set.
    pub fn new(user: u64, direction: Direction, op: Op) -> Header {
        Header {
            user: U64::new(user),
            seq: U32::new(0),
            version_direction: VERSION | if direction == Direction::ToClient { DIRECTION_BIT } else { 0 },
            op: op as u8,
            flags: 0,
            load_level: 0,
        }
    }

    /// The version of the wire that the sender speaks.
    pub fn version(&self) -> u8 {
        self.version_direction & !DIRECTION_BIT
    }

    /// Who sent it, by its own word until the tag is checked.
    pub fn direction(&self) -> Direction {
        if self.version_direction & DIRECTION_BIT == 0 { Direction::ToServer } else { Direction::ToClient }
    }
}

impl Frame {
    /// A frame of `body`, with a zero tag.
    pub fn new<B: crate::body::Body>(header: Header, body: &B) -> Frame {
        let mut frame = Frame { header, body: [0; BODY_BYTES], tag: [0; TAG_BYTES] };
        frame.set_body(body);
        frame
    }

    /// The body as the struct of an op. Every 32 bytes are some value of it.
    pub fn body<B: crate::body::Body>(&self) -> B {
        B::read_from_bytes(&self.body).expect("a body's size is asserted at compile time")
    }

    /// Replaces the body.
    pub fn set_body<B: crate::body::Body>(&mut self, body: &B) {
        self.body.copy_from_slice(body.as_bytes());
    }

    /// Header and body as bytes: what a handshake MAC covers.
    pub fn header_and_body(&self) -> &[u8] {
        &self.as_bytes()[..FRAME_BYTES - TAG_BYTES]
    }
}

/// Views a datagram as its frames: `None` unless it is 1 to [`FRAMES_PER_DATAGRAM_MAX`] whole frames.
pub fn frames(datagram: &[u8]) -> Option<&[Frame]> {
    let frames = <[Frame]>::ref_from_bytes(datagram).ok()?;
    (1..=FRAMES_PER_DATAGRAM_MAX).contains(&frames.len()).then_some(frames)
}

/// The same, to be opened and answered in place.
pub fn frames_mut(datagram: &mut [u8]) -> Option<&mut [Frame]> {
    let frames = <[Frame]>::mut_from_bytes(datagram).ok()?;
    (1..=FRAMES_PER_DATAGRAM_MAX).contains(&frames.len()).then_some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_of_the_right_count_are_a_datagram() {
        let bytes = vec![0u8; 65_507];
        for len in 0..bytes.len() {
            let fits = len % FRAME_BYTES == 0 && (1..=FRAMES_PER_DATAGRAM_MAX).contains(&(len / FRAME_BYTES));
            assert_eq!(frames(&bytes[..len]).is_some(), fits, "{len} bytes");
        }
    }

    #[test]
    fn ops_and_their_bytes_are_one_to_one() {
        for byte in 0..=255 {
            match Op::from_wire(byte) {
                Some(op) => assert_eq!(op as u8, byte),
                None => assert!(Op::ALL.iter().all(|op| *op as u8 != byte)),
            }
        }
    }

    #[test]
    fn header_fields_lie_where_the_protocol_says() {
        let mut header = Header::new(0x0807_0605_0403_0201, Direction::ToClient, Op::Shake);
        header.seq = U32::new(0x0c0b_0a09);
        header.flags = 0x0f;
        header.load_level = 0x10;
        assert_eq!(header.as_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 16, 0x0f, 0x10]);
    }
}
