//! Frames to be found in captures, before and after sealing.

use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Header, Op, SESSION_EPOCH_WALL_MS, SESSION_STEP_MS};
use std::time::Duration;
use zerocopy::FromBytes;

/// Numbers that look random, the same in each run.
pub struct Noise(pub u64);

impl Noise {
    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        // xorshift64, Marsaglia 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.number() >> 32) as u8)
    }
}

/// Whether an op's body is never sealed.
pub fn is_clear(op: Op) -> bool {
    op.is_handshake() || matches!(op, Op::Stale | Op::Error)
}

/// Whether an op goes that way.
pub fn goes(op: Op, direction: Direction) -> bool {
    if direction == Direction::ToServer { op.is_for_server() } else { op.is_for_client() }
}

/// Keys of many sessions of a user, as far apart as sessions may be near.
pub fn sessions(user: u64, noise: &mut Noise) -> Vec<LoggedKey> {
    (0..20)
        .map(|at| LoggedKey {
            user,
            session_number: 238_000_000 + at,
            key: SessionKey::from_bytes(noise.bytes()),
        })
        .collect()
}

/// When a session begins, and a moment more.
pub fn time(session_number: u32) -> Duration {
    Duration::from_millis(SESSION_EPOCH_WALL_MS + u64::from(session_number) * SESSION_STEP_MS + 9)
}

/// A frame of these bytes in header and body, before and after sealing.
pub fn frame(user: u64, direction: Direction, op: Op, bytes: [u8; 64], key: &SessionKey) -> (Frame, Frame) {
    let mut plain = Frame::read_from_bytes(&bytes).unwrap();
    let header = Header::new(user, direction, op);
    (plain.header.user, plain.header.op) = (header.user, header.op);
    plain.header.version_direction = header.version_direction;
    let mut sealed = plain;
    if !is_clear(op) {
        seal::seal(key, &mut sealed);
        plain.tag = sealed.tag;
    }
    (plain, sealed)
}
