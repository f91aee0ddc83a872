//! Every limit of the wire, what it limits, and why it is this number.

/// Bytes of a frame: one cache line, so that handling a request touches one line of its datagram.
pub const FRAME_BYTES: usize = 64;

/// Bytes of a frame that its op defines.
pub const BODY_BYTES: usize = 32;

/// Bytes of the tag that authenticates a frame.
pub const TAG_BYTES: usize = 16;

/// Frames in one datagram. 18 × 64 = 1,152 bytes, the most that fits IPv6's minimum MTU of 1,280 with
/// its headers and some room for a tunnel, so a datagram is never fragmented.
pub const FRAMES_PER_DATAGRAM_MAX: usize = 18;

/// Bytes of the longest datagram.
pub const DATAGRAM_BYTES_MAX: usize = FRAME_BYTES * FRAMES_PER_DATAGRAM_MAX;

/// Requests that a user may have in flight. The server keeps two bits for each.
pub const IN_FLIGHT_MAX: u32 = 32;

/// Seqs behind the newest one that the replay window still tells apart (RFC 4303 §3.4.3 asks for 64).
/// Wider than everything a client may have in flight, keepalives and retransmissions included.
pub const REPLAY_WINDOW: u32 = 128;

/// Money answers kept for each user, across rejoin and idle expiry.
pub const ANSWERS_KEPT: usize = 16;

/// Recipients that a frame of SEND or SEND_MORE names.
pub const RECIPIENTS_PER_FRAME: usize = 3;

/// SEND_MORE frames behind a SEND: together they fill one datagram.
pub const SEND_MORE_MAX: usize = FRAMES_PER_DATAGRAM_MAX - 1;

/// Recipients of a user's packet.
pub const RECIPIENTS_MAX: usize = RECIPIENTS_PER_FRAME * FRAMES_PER_DATAGRAM_MAX;

/// Most that a user's packet can hold, in fen: SEND has 24 bits for it.
pub const SEND_FEN_MAX: u32 = (1 << 24) - 1;

/// Shares of any packet. A user's SEND has 8 bits for them, so this binds the house alone.
pub const SHARES_MAX: u16 = 500;

/// Invitations pushed to a user that he has not acknowledged. The rest follow, or are found by INVITES.
pub const INVITES_PUSHED_MAX: usize = 8;

/// Bytes of a RELAY's message.
pub const RELAY_BYTES_MAX: usize = 20;

/// Server keys in one key file.
pub const KEYS_MAX: usize = 8;

/// How long a cookie is good, in ms: a slow phone's round trip with retransmissions.
/// The server keeps its newest two cookie secrets and draws a new one every half of this.
pub const COOKIE_LIFETIME_MS: u64 = 16_000;

/// One step of a session number, in ms: a user can join once in each step.
pub const SESSION_STEP_MS: u64 = 250;

/// Where session numbers begin, as wall ms: 2025-01-01T00:00:00Z. 32 bits of steps last 34 years.
pub const SESSION_EPOCH_WALL_MS: u64 = 1_735_689_600_000;

const IPV6_MTU_MIN: usize = 1_280;
const IPV6_AND_UDP_HEADER_BYTES: usize = 40 + 8;
const _: () = assert!(DATAGRAM_BYTES_MAX + IPV6_AND_UDP_HEADER_BYTES <= IPV6_MTU_MIN);
const _: () = assert!(REPLAY_WINDOW >= 2 * IN_FLIGHT_MAX + FRAMES_PER_DATAGRAM_MAX as u32);
const _: () = assert!(ANSWERS_KEPT as u32 <= IN_FLIGHT_MAX);
