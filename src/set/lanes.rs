//! The way of a batch's session frames: opened and sealed several at a time, handled in between.

use super::core::{Core, Found, Job};
use super::counters::Drop;
use super::hardware::{Hardware, LANES};
use super::headers::refuse;
use super::mask::NOBODY;
use super::sessions::{Sessions, SlotId};
use crate::ledger::Ledger;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Frame, Now, Op};
use zerocopy::FromZeros;

/// How many datagrams ahead the memory of a session is asked for: enough for DRAM to answer while frames are
/// opened, few enough for a core's fill buffers (about 24 on a Zen 4, and a slot is two lines).
const PREFETCH_DISTANCE: usize = 8;

/// Frames of a batch that go through the cipher side by side.
struct Lanes {
    frames: [Frame; LANES],
    at: [At; LANES],
    len: usize,
}

/// Where the frame of a lane belongs.
#[derive(Clone, Copy)]
struct At {
    job: usize,
    frame: usize,
    id: SlotId,
}

impl Lanes {
    fn new() -> Lanes {
        let nowhere = At { job: 0, frame: 0, id: SlotId { set: 0, slot: 0 } };
        Lanes { frames: FromZeros::new_zeroed(), at: [nowhere; LANES], len: 0 }
    }

    /// Adds a frame; whether all lanes are taken now.
    #[inline]
    fn push(&mut self, frame: &Frame, at: At) -> bool {
        self.frames[self.len] = *frame;
        self.at[self.len] = at;
        self.len += 1;
        self.len == LANES
    }

    /// The keys of its frames. Lanes that are not in use get the first one's.
    #[inline]
    fn keys<'a>(&self, sessions: &'a Sessions) -> [&'a SessionKey; LANES] {
        std::array::from_fn(|lane| &sessions.get(self.at[if lane < self.len { lane } else { 0 }].id).key)
    }
}

/// Whether a client may send this op in a session.
fn is_session_op(op: u8) -> bool {
    matches!(
        Op::from_wire(op),
        Some(
            Op::Shake
                | Op::Open
                | Op::Keepalive
                | Op::PathOk
                | Op::Send
                | Op::SendMore
                | Op::Share
                | Op::Grab
                | Op::Balance
                | Op::History
                | Op::Invites
                | Op::InviteOk
                | Op::Ask
                | Op::Relay
        )
    )
}

impl<L: Ledger> Core<L> {
    /// Takes the session frames of a batch through: finds their sessions, opens, handles, seals the replies.
    pub(super) fn handle_sessions(
        &mut self,
        now: Now,
        jobs: &mut [Job<'_>],
        found: &mut [Found],
        hardware: impl Hardware,
    ) {
        let (mut asked, mut replies) = (Lanes::new(), Lanes::new());
        found.iter_mut().take(PREFETCH_DISTANCE).for_each(|what| self.approach(what, hardware));
        for at in 0..jobs.len() {
            if let Some(ahead) = found.get_mut(at + PREFETCH_DISTANCE) {
                self.approach(ahead, hardware);
            }
            let Found::Likely { id, user } = found[at] else { continue };
            self.work_on(id.set);
            let Some(id) = self.session_of(id, user) else {
                self.counters.drop(Drop::UnknownSession);
                refuse(&mut jobs[at], Op::Stale, 0, 0);
                continue;
            };
            for frame_at in 0..jobs[at].frames.len() {
                let frame = &jobs[at].frames[frame_at];
                if !is_session_op(frame.header.op) {
                    self.counters.drop(Drop::Op);
                } else if self.sessions.get(id).replay.check(frame.header.seq.get()).is_err() {
                    self.counters.drop(Drop::Replay);
                } else if asked.push(frame, At { job: at, frame: frame_at, id }) {
                    self.handle_lanes(now, &mut asked, &mut replies, jobs, hardware);
                }
            }
        }
        self.handle_lanes(now, &mut asked, &mut replies, jobs, hardware);
        self.work_on(NOBODY);
        self.seal_lanes(&mut replies, jobs, hardware);
    }

    /// Asks for the memory of the session that a datagram is most likely for.
    #[inline]
    fn approach(&self, what: &mut Found, hardware: impl Hardware) {
        if let Found::Session { set, user } = *what {
            let id = self.sessions.likely(set, user).unwrap_or(SlotId { set, slot: 0 });
            hardware.prefetch(self.sessions.get(id));
            *what = Found::Likely { id, user };
        }
    }

    /// Where `user`'s session is, which most likely is there.
    #[inline]
    fn session_of(&self, likely: SlotId, user: u64) -> Option<SlotId> {
        let slot = self.sessions.get(likely);
        if slot.user == user && slot.number != 0 {
            Some(likely)
        } else {
            self.sessions.find(likely.set, user)
        }
    }

    /// Opens the frames of all lanes and handles those that are authentic and fresh.
    #[inline]
    fn handle_lanes(
        &mut self,
        now: Now,
        asked: &mut Lanes,
        replies: &mut Lanes,
        jobs: &mut [Job<'_>],
        hardware: impl Hardware,
    ) {
        self.work_on(NOBODY);
        let authentic = match asked.len {
            0 => return,
            1 => [seal::open(&self.sessions.get(asked.at[0].id).key, &mut asked.frames[0]).is_ok(); LANES],
            _ => hardware.open(&asked.keys(&self.sessions), &mut asked.frames),
        };
        let lanes = asked.at.iter().zip(&asked.frames).zip(authentic).take(asked.len);
        for ((&At { job, frame: frame_at, id }, frame), authentic) in lanes {
            self.work_on(id.set);
            let window = &mut self.sessions.get_mut(id).replay;
            let seq = frame.header.seq.get();
            if !authentic {
                self.counters.drop(Drop::Tag);
                continue;
            }
            if window.check(seq).is_err() {
                // It came twice, and both were in these lanes.
                self.counters.drop(Drop::Replay);
                continue;
            }
            window.accept(seq);
            self.handled.count(frame.header.op);
            let job_of_frame = &mut jobs[job];
            let behind = &job_of_frame.frames[frame_at + 1..];
            if let Some(reply) = self.handle_frame(now, &job_of_frame.path, id, frame, behind) {
                // Replies are written over frames that were taken out: there are never more of them.
                let at = At { job, frame: job_of_frame.replies, id };
                job_of_frame.replies += 1;
                if replies.push(&reply, at) {
                    self.work_on(NOBODY);
                    self.seal_lanes(replies, jobs, hardware);
                }
            }
        }
        asked.len = 0;
    }

    /// Seals the replies of all lanes and puts them into their datagrams.
    #[inline]
    fn seal_lanes(&self, lanes: &mut Lanes, jobs: &mut [Job<'_>], hardware: impl Hardware) {
        match lanes.len {
            0 => return,
            1 => seal::seal(&self.sessions.get(lanes.at[0].id).key, &mut lanes.frames[0]),
            _ => hardware.seal(&lanes.keys(&self.sessions), &mut lanes.frames),
        }
        for (At { job, frame, .. }, sealed) in lanes.at.iter().zip(&lanes.frames).take(lanes.len) {
            jobs[*job].frames[*frame] = *sealed;
        }
        lanes.len = 0;
    }
}
