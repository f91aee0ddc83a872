//! Follows the sessions of all users through a capture: opens frames, and tells what each of them is.
//!
//! Nothing that is not authentic changes what is kept of a user, once there are keys. Without any the headers are
//! taken at their word.
//!
//! | file | what |
//! |---|---|
//! | `seen` | what is told of a frame |
//! | `users`, `waiting` | tables of users and of unanswered requests, bounded |
//! | `window` | seqs and reqs of a session |
//! | `handshakes` | where sessions and their keys come from |
//! | `sessions` | session frames: which key opens them, and what they do |

mod handshakes;
mod seen;
mod sessions;
mod users;
mod waiting;
mod window;

pub use seen::{AnswerSeen, NotRedpkt, Opening, RequestSeen, Seen, Sink, Why};
pub use window::Place;

use crate::datagram::{Datagram, Other};
use crate::keys::Keys;
use crate::reason::Reason;
use redpkt_proto::frame::{self, VERSION};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Direction, Frame, Op};
use sessions::Lanes;
use users::Users;
use waiting::WaitingTable;

/// How many datagrams ahead the memory of a user is asked for, and that of the index before.
const USER_AHEAD: usize = 6;
const INDEX_AHEAD: usize = 12;

/// One record, as far as it was understood.
pub type Item = Result<Datagram, (u64, Other)>;

/// Some records in a row, and the bytes they are in.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The records.
    pub items: &'a [Item],
    /// Their bytes.
    pub bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The datagram of a record that has one.
    #[inline]
    fn datagram(&self, at: usize) -> &'a Datagram {
        self.items[at].as_ref().expect("only datagrams are followed")
    }

    /// Its frames.
    #[inline]
    fn frames(&self, datagram: &Datagram) -> Option<&'a [Frame]> {
        frame::frames(&self.bytes[datagram.range.clone()])
    }

    /// The user of a datagram, by its first bytes.
    #[inline]
    fn user(&self, at: usize) -> Option<u64> {
        let datagram = self.items.get(at)?.as_ref().ok()?;
        Some(u64::from_le_bytes(*self.bytes[datagram.range.clone()].first_chunk()?))
    }
}

/// What was found beside the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Sessions of which something was seen.
    pub sessions: u64,
    /// Users who had to go for lack of room.
    pub evicted_users: u64,
    /// Seqs that were skipped and never came.
    pub lost: u64,
    /// Handshake frames that could be checked against the server keys.
    pub handshakes_checked: u64,
    /// Of these, the right ones.
    pub handshakes_right: u64,
    /// Handshake frames of tickets whose key is not among the server keys.
    pub handshakes_of_unknown_key: u64,
}

/// Follows all users.
pub struct Follower {
    keys: Keys,
    users: Users,
    waiting: WaitingTable,
    lanes: Lanes,
    hashes: Vec<u32>,
    found: Found,
}

impl Follower {
    /// One that keeps so many bytes at most, beside the keys.
    pub fn new(keys: Keys, memory_bytes: usize) -> Follower {
        Follower {
            keys,
            users: Users::new(memory_bytes / 6 * 5),
            waiting: WaitingTable::new(memory_bytes / 6),
            lanes: Lanes::new(),
            hashes: Vec::new(),
            found: Found::default(),
        }
    }

    /// Whether all is by the headers' word, for want of any key.
    pub fn is_unverified(&self) -> bool {
        self.keys.are_none()
    }

    /// What was found until now, with what is missing if this is the end.
    pub fn found(&self) -> Found {
        Found { lost: self.found.lost + self.users.missing(), ..self.found }
    }

    /// Users of whom something is kept.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Requests that have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// Requests that waited and were forgotten for lack of room.
    pub fn forgotten(&self) -> u64 {
        self.waiting.forgotten()
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes() + self.users.memory_bytes() + self.waiting.memory_bytes()
    }

    /// Takes a batch of records in, in their order.
    pub fn batch(&mut self, batch: Batch<'_>, sink: &mut impl Sink) {
        let users = &self.users;
        let hash = |at| batch.user(at).map_or(0, |user| users.hash(user));
        self.hashes.clear();
        self.hashes.extend((0..batch.items.len()).map(hash));
        for at in 0..batch.items.len() {
            if let Some(hash) = self.hashes.get(at + INDEX_AHEAD) {
                self.users.prefetch_index(*hash);
            }
            if let Some(hash) = self.hashes.get(at + USER_AHEAD) {
                self.users.prefetch_user(*hash);
            }
            match &batch.items[at] {
                Ok(datagram) => self.datagram(batch, at, datagram, sink),
                Err((time_ns, other)) => {
                    self.flush(batch, sink);
                    let Other { reason, headers } = *other;
                    if let (Some(headers), true) = (&headers, reason != Reason::OtherPort) {
                        sink.datagram(*time_ns, headers, 0);
                    }
                    sink.not_redpkt(&NotRedpkt { time_ns: *time_ns, headers, reason });
                }
            }
        }
        self.flush(batch, sink);
    }

    #[inline]
    fn datagram(&mut self, batch: Batch<'_>, at: usize, datagram: &Datagram, sink: &mut impl Sink) {
        let frames = batch.frames(datagram);
        sink.datagram(datagram.time_ns, &datagram.headers(), frames.map_or(0, <[Frame]>::len));
        let frames = match frames.ok_or(length_fault(datagram)).and_then(|frames| check(datagram, frames)) {
            Ok(frames) => frames,
            Err(reason) => return self.not_redpkt(batch, datagram, reason, sink),
        };
        let direction = direction(datagram);
        for (frame_at, frame) in frames.iter().enumerate() {
            match op_of(frame, direction, frames.len()) {
                None => self.not_redpkt(batch, datagram, Reason::Op, sink),
                Some(op) if op.is_handshake() || matches!(op, Op::Stale | Op::Error) => {
                    self.flush(batch, sink);
                    self.clear(datagram, frame, op, self.hashes[at], sink);
                }
                Some(op) => self.sealed(batch, sessions::At { item: at, frame: frame_at, op }, sink),
            }
        }
    }

    fn not_redpkt(&mut self, batch: Batch<'_>, datagram: &Datagram, reason: Reason, sink: &mut impl Sink) {
        self.flush(batch, sink);
        let headers = Some(datagram.headers());
        sink.not_redpkt(&NotRedpkt { time_ns: datagram.time_ns, headers, reason });
    }

    /// Where a user is kept, who is added if he is not. No frame may be on its way through the lanes.
    fn find_or_add(&mut self, user: u64, hash: u32) -> usize {
        if let Some(at) = self.users.find(user, hash) {
            return at;
        }
        let (at, evicted) = self.users.add(user, hash);
        if let Some(missing) = evicted {
            self.found.evicted_users += 1;
            self.found.lost += missing;
        }
        at
    }
}

fn direction(datagram: &Datagram) -> Direction {
    if datagram.is_to_server { Direction::ToServer } else { Direction::ToClient }
}

fn length_fault(datagram: &Datagram) -> Reason {
    if datagram.range.len() > DATAGRAM_BYTES_MAX { Reason::Truncated } else { Reason::Length }
}

/// The checks of whole datagrams, in the server's order.
#[inline]
fn check<'a>(datagram: &Datagram, frames: &'a [Frame]) -> Result<&'a [Frame], Reason> {
    let direction = direction(datagram);
    if frames.iter().any(|frame| frame.header.direction() != direction) {
        return Err(Reason::Direction);
    }
    if frames.iter().any(|frame| frame.header.version() != VERSION) {
        return Err(Reason::Version);
    }
    if frames.iter().any(|frame| frame.header.user != frames[0].header.user) {
        return Err(Reason::MixedUsers);
    }
    Ok(frames)
}

/// A frame's op, if it may go that way and stand there.
#[inline]
fn op_of(frame: &Frame, direction: Direction, frames: usize) -> Option<Op> {
    let op = Op::from_wire(frame.header.op)?;
    let goes = match direction {
        Direction::ToServer => op.is_for_server(),
        Direction::ToClient => op.is_for_client(),
    };
    let is_alone = frames == 1 || !matches!(op, Op::Hello | Op::Join);
    (goes && is_alone).then_some(op)
}
