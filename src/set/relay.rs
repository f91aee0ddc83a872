//! Questions of users to the backend: passed on at best effort, and answered to nobody but who has asked.
//!
//! The core hands questions out and takes answers in as plain values; the worker has the socket. What is out is kept
//! in a table of fixed size for [`QUESTION_LIFE_NS`] at most. A question's token is drawn for it: an answer that is
//! late, comes twice, or is forged fits to no question that is out.

use super::admission;
use super::core::Core;
use super::links::Asker;
use crate::ledger::Ledger;
use redpkt_proto::backend::{BackendAnswer, BackendQuestion};
use redpkt_proto::body::{self, RelayAnswer, Status};
use redpkt_proto::{Frame, Now, Op, Path, RELAY_BYTES_MAX};
use std::collections::VecDeque;
use zerocopy::{FromBytes as _, Immutable, IntoBytes, KnownLayout};

/// How long a question waits for its answer, in ns. After that the user is told to ask again.
const QUESTION_LIFE_NS: u64 = 1_000_000_000;

/// How long nothing is passed on after the backend could not be reached, in ns.
const AWAY_NS: u64 = 1_000_000_000;

/// Questions that wait for the worker to take them: what one turn passes on at the most.
const OUT_MAX: usize = 256;

/// Slots of the table that one turn looks at, not more often than [`SWEEP_EVERY_NS`].
const SWEEP_SLOTS: usize = 64;

const SWEEP_EVERY_NS: u64 = 1_000_000;

/// A token has the number of its slot in so many low bits. The other 48 are random.
const SLOT_BITS: u32 = 16;

/// What became of RELAYs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, zerocopy::FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RelayCounters {
    /// Handed out for the backend.
    pub passed: u64,
    /// Answers that went to the user who had asked.
    pub answered: u64,
    /// Refused at once: no backend, no room, too fast, or from an address that is not proved.
    pub refused: u64,
    /// Without an answer in time.
    pub expired: u64,
    /// Answers whose user has no session any more, another one, or another address.
    pub undelivered: u64,
    /// Answers to nothing that is out: late, twice, or forged.
    pub unasked: u64,
    /// What came from the backend's address and is no answer.
    pub malformed: u64,
}

/// What is out.
pub struct Relay {
    /// By slot.
    questions: Vec<Option<Question>>,
    free: Vec<u16>,
    out: VecDeque<BackendQuestion>,
    sweep_at: usize,
    swept_ns: u64,
    away_until_ns: u64,
}

#[derive(Clone, Copy)]
struct Question {
    token: u64,
    asker: Asker,
    expires_ns: u64,
}

impl Relay {
    /// Room for so many questions, at most 65,536; 0 where there is no backend.
    pub fn new(questions: usize) -> Relay {
        assert!(questions <= 1 << SLOT_BITS, "a token names a slot in {SLOT_BITS} bits");
        Relay {
            questions: vec![None; questions],
            free: (0..questions).rev().map(|slot| slot as u16).collect(),
            out: VecDeque::with_capacity(OUT_MAX.min(questions)),
            sweep_at: 0,
            swept_ns: 0,
            away_until_ns: 0,
        }
    }

    /// Bytes that this takes.
    pub fn bytes(questions: usize) -> usize {
        questions * (size_of::<Option<Question>>() + size_of::<u16>())
            + OUT_MAX.min(questions) * size_of::<BackendQuestion>()
    }

    /// Whether there is a backend.
    pub(super) fn is_served(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Passes a question on; `false` if there is no room for it, or the backend could not be reached lately.
    pub(super) fn ask(&mut self, now: Now, asker: Asker, relay: &body::Relay, random: u64) -> bool {
        if now.mono_ns < self.away_until_ns || self.out.len() == OUT_MAX {
            return false;
        }
        let Some(slot) = self.free.pop() else { return false };
        let token = random << SLOT_BITS | u64::from(slot);
        let expires_ns = now.mono_ns + QUESTION_LIFE_NS;
        self.questions[usize::from(slot)] = Some(Question { token, asker, expires_ns });
        let relay = body::Relay { reserved: 0, length: relay.length.min(RELAY_BYTES_MAX as u8), ..*relay };
        self.out.push_back(BackendQuestion { token: token.into(), user: asker.user.into(), relay });
        true
    }

    /// Who asked what is answered here. It is out no more.
    fn take(&mut self, token: u64, user: u64) -> Option<Asker> {
        let slot = token as u16;
        let question = self.questions.get_mut(usize::from(slot))?;
        let asker = question.filter(|asked| asked.token == token && asked.asker.user == user)?.asker;
        *question = None;
        self.free.push(slot);
        Some(asker)
    }

    /// The next question among `slots` slots from where the last look ended that was not answered in time; how many
    /// slots of these are left.
    fn take_expired(&mut self, now: Now, slots: &mut usize) -> Option<Asker> {
        while *slots > 0 {
            *slots -= 1;
            let at = self.sweep_at;
            self.sweep_at = (at + 1) % self.questions.len();
            if let Some(question) = self.questions[at].filter(|asked| asked.expires_ns <= now.mono_ns) {
                return self.take(question.token, question.asker.user);
            }
        }
        None
    }

    fn are_out(&self) -> bool {
        self.free.len() < self.questions.len()
    }
}

impl<L: Ledger> Core<L> {
    /// What is to be sent to the backend since the last call.
    pub fn take_questions(&mut self) -> impl Iterator<Item = BackendQuestion> {
        self.relay.out.drain(..)
    }

    /// Whether the backend has something to answer.
    pub fn awaits_backend(&self) -> bool {
        self.relay.are_out()
    }

    /// A datagram has come from the backend: its answer goes to the session that has asked, if that still is, at the
    /// address that it still has proved.
    pub fn backend_said(&mut self, bytes: &[u8], mut send: impl FnMut(&Path, &Frame)) {
        let Ok(said) = BackendAnswer::read_from_bytes(bytes) else {
            self.counters.relay.malformed += 1;
            return;
        };
        let Some(asker) = self.relay.take(said.token.get(), said.user.get()) else {
            self.counters.relay.unasked += 1;
            return;
        };
        let answer = RelayAnswer {
            req: asker.req.into(),
            attempt: asker.attempt,
            length: said.answer.length.min(RELAY_BYTES_MAX as u8),
            ..said.answer
        };
        match self.guarded(|core| core.tell_relayed(&asker, &answer, &mut send)) {
            true => self.counters.relay.answered += 1,
            false => self.counters.relay.undelivered += 1,
        }
    }

    /// The backend could not be reached: who waits for it is told so, and nothing is passed on for a while.
    pub fn backend_is_away(&mut self, now: Now) {
        self.relay.away_until_ns = now.mono_ns + AWAY_NS;
        for question in self.relay.questions.iter_mut().flatten() {
            question.expires_ns = now.mono_ns;
        }
    }

    /// Tells users whose questions were not answered in time to ask again. A bounded piece.
    pub(super) fn expire_questions(&mut self, now: Now, send: &mut impl FnMut(&Path, &Frame)) {
        if !self.relay.are_out() || now.mono_ns - self.relay.swept_ns < SWEEP_EVERY_NS {
            return;
        }
        self.relay.swept_ns = now.mono_ns;
        let mut slots = SWEEP_SLOTS.min(self.relay.questions.len());
        while let Some(asker) = self.relay.take_expired(now, &mut slots) {
            self.counters.relay.expired += 1;
            let retry_after_ms = admission::retry_after_ms(asker.user, now);
            self.tell_relayed(&asker, &busy(&asker, retry_after_ms), send);
        }
    }

    /// Answers a RELAY in the session that has asked; `false` if that is no more, or has another address.
    fn tell_relayed(
        &mut self,
        asker: &Asker,
        answer: &RelayAnswer,
        send: &mut impl FnMut(&Path, &Frame),
    ) -> bool {
        let slot = self.sessions.get(asker.id);
        let is_here = (slot.user, slot.number) == (asker.user, asker.session_number);
        if !is_here || slot.path != asker.path || self.guards[asker.id.set as usize].is_mute {
            return false;
        }
        self.work_on(asker.id.set);
        self.counters.answers += 1;
        self.send_answer(asker, Op::Relay, answer, send);
        true
    }
}

/// The answer to a RELAY that is to be sent again.
pub(super) fn busy(asker: &Asker, retry_after_ms: u32) -> RelayAnswer {
    let mut answer = plain(asker, Status::Busy);
    answer.length = size_of::<u32>() as u8;
    answer.message[..size_of::<u32>()].copy_from_slice(&retry_after_ms.to_le_bytes());
    answer
}

/// The answer to a RELAY that tells nothing but a status.
pub(super) fn plain(asker: &Asker, status: Status) -> RelayAnswer {
    RelayAnswer {
        req: asker.req.into(),
        attempt: asker.attempt,
        status: status as u8,
        kind: 0,
        length: 0,
        message: [0; RELAY_BYTES_MAX],
    }
}
