//! The requests of a session that have no final answer yet: at most 32, usually one.

use super::class::Class;
use super::config::Config;
use super::event::Call;
use super::rto::{Rto, backed_off};
use crate::body::Status;
use crate::{IN_FLIGHT_MAX, Now};

/// Why a request is sent when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not been sent under this key.
    New,
    /// It was, and no answer came in time (RFC 6298 §5).
    Timer,
    /// It was, and later ones have been answered before it (RFC 5681 §3.2).
    Early,
    /// The server has said: later.
    Later,
    /// It will never be: the call ends at once.
    Never,
}

/// Timeouts in a row after which a request counts as refused: at 20% loss each way one in twenty has so many by chance.
const TIMEOUTS_UNHEARD: u8 = 3;

/// A request and what is known of its transmissions. 80 bytes, and the terms of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub req: u64,
    pub call: Call,
    pub first_sent_ns: u64,
    last_sent_ns: u64,
    pub due_ns: u64,
    pub deadline_ns: u64,
    /// Bit `i`: was transmission `i` answered that it did nothing? Those from 32 on are not kept.
    idle_attempts: u32,
    pub transmissions: u32,
    last_seq: u32,
    /// Timeouts in a row: how often the timer has been doubled.
    timeouts: u8,
    /// Later-sent requests answered since the last transmission.
    overtaken: u8,
    pub due: Due,
}

const _: () = assert!(size_of::<Pending>() == 80);

/// One sending of a request. Frames of one datagram were sent at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transmission {
    seq: u32,
    sent_ns: u64,
}

/// How long transmissions are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub rto_ns: u64,
    pub rto_ns_max: u64,
    pub doublings_max: u8,
}

/// Which transmission an answer belongs to, by the attempt it echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    Last,
    /// One between them, or it cannot be told.
    Other,
}

impl Pending {
    fn new(req: u64, call: Call, now: Now, due_ns: u64, config: &Config) -> Pending {
        Pending {
            req,
            call,
            first_sent_ns: 0,
            last_sent_ns: 0,
            due_ns,
            deadline_ns: now.mono_ns.saturating_add(config.deadline_ns),
            idle_attempts: 0,
            transmissions: 0,
            last_seq: 0,
            timeouts: 0,
            overtaken: 0,
            due: Due::New,
        }
    }

    /// It has gone out as frame `seq`; starts the timer (RFC 6298 §5.1), doubled for each timeout before
    /// (§5.5).
    pub fn sent(&mut self, now: Now, seq: u32, timer: &Timer, rng: &mut crate::Rng) {
        if self.due == Due::Timer {
            self.timeouts = self.timeouts.saturating_add(1);
        }
        if self.transmissions == 0 {
            self.first_sent_ns = now.mono_ns;
        }
        let doublings = self.timeouts.min(timer.doublings_max);
        let wait_ns = backed_off(timer.rto_ns, doublings.into(), timer.rto_ns_max, rng);
        self.last_sent_ns = now.mono_ns;
        self.due_ns = now.mono_ns.saturating_add(wait_ns);
        self.due = Due::Timer;
        self.overtaken = 0;
        self.last_seq = seq;
        self.transmissions = self.transmissions.saturating_add(1);
    }

    /// Whether none of its last transmissions was heard of.
    pub fn is_unheard(&self) -> bool {
        self.timeouts >= TIMEOUTS_UNHEARD
    }

    /// It waits until then, if it would be sent earlier.
    pub fn wait_until(&mut self, until_ns: u64) {
        if self.due_ns < until_ns {
            self.due_ns = until_ns;
            if self.is_awaiting() {
                self.due = Due::Later;
            }
        }
    }

    /// Whether it was sent and nothing is known about that transmission.
    pub fn is_awaiting(&self) -> bool {
        matches!(self.due, Due::Timer | Due::Early)
    }

    fn attempt(&self, attempt: u8) -> Attempt {
        match self.transmissions {
            0 => Attempt::Other,
            n if (n - 1) as u8 == attempt => Attempt::Last,
            1..=256 if attempt == 0 => Attempt::First,
            _ => Attempt::Other,
        }
    }

    /// The round trip of an answer that echoes `attempt`, in ns.
    pub fn rtt_ns(&self, attempt: u8, now: Now) -> Option<u64> {
        match self.attempt(attempt) {
            Attempt::Last => Some(now.mono_ns.saturating_sub(self.last_sent_ns)),
            Attempt::First => Some(now.mono_ns.saturating_sub(self.first_sent_ns)),
            Attempt::Other => None,
        }
    }

    /// The transmission that echoes `attempt`, if it is the last one.
    pub fn transmission(&self, attempt: u8) -> Option<Transmission> {
        (self.attempt(attempt) == Attempt::Last)
            .then_some(Transmission { seq: self.last_seq, sent_ns: self.last_sent_ns })
    }

    /// The server has not executed it, or cannot say: it is sent again after the server's wish or the
    /// timeout, whichever is longer, and longer each time.
    pub fn put_off(
        &mut self,
        (status, attempt, retry_after_ns): (Status, u8, u64),
        now: Now,
        rto_ns: u64,
        config: &Config,
        rng: &mut crate::Rng,
    ) {
        if matches!(status, Status::Busy | Status::Incomplete) && attempt < 32 && self.transmissions <= 32 {
            self.idle_attempts |= 1 << attempt;
        }
        let doublings = self.transmissions.max(1) - 1;
        let wait_ns = backed_off(rto_ns, doublings, config.rto_ns_max, rng).max(retry_after_ns);
        let jitter_ns = super::rto::below(rng, wait_ns / 4);
        self.due_ns = now.mono_ns.saturating_add(wait_ns).saturating_add(jitter_ns);
        self.due = Due::Later;
    }

    /// Whether no transmission of it can have done anything: each was answered Busy or Incomplete.
    pub fn is_surely_not_done(&self) -> bool {
        self.transmissions <= 32 && self.idle_attempts.count_ones() == self.transmissions
    }
}

/// The requests in flight, oldest call first.
#[derive(Debug, Default)]
pub(super) struct InFlight(Vec<Pending>);

impl InFlight {
    /// Takes in a call that is to be sent at `due_ns`.
    pub fn push(&mut self, req: u64, call: Call, now: Now, due_ns: u64, config: &Config) {
        self.make_room();
        self.0.push(Pending::new(req, call, now, due_ns, config));
    }

    /// Takes in a call that is not sent, and ends at once. `req` is above those that are sent.
    pub fn push_never(&mut self, req: u64, call: Call, now: Now, config: &Config) {
        self.make_room();
        let (due, deadline_ns) = (Due::Never, now.mono_ns);
        self.0.push(Pending { deadline_ns, due, ..Pending::new(req, call, now, deadline_ns, config) });
    }

    /// Room for 1, 2, 4 … 32: most sessions never have two in flight, and there are a million of them.
    fn make_room(&mut self) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(self.0.len().max(1));
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Pending> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Pending> {
        self.0.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn index_of(&self, req: u64) -> Option<usize> {
        self.0.iter().position(|pending| pending.req == req)
    }

    pub fn get_mut(&mut self, index: usize) -> &mut Pending {
        &mut self.0[index]
    }

    pub fn remove(&mut self, index: usize) -> Pending {
        self.0.remove(index)
    }

    /// Removes one whose deadline has passed.
    pub fn pop_expired(&mut self, now: Now) -> Option<Pending> {
        let index = self.0.iter().position(|pending| pending.deadline_ns <= now.mono_ns)?;
        Some(self.0.remove(index))
    }

    /// Whether a request `counter` of session `number` stays inside the server's window of
    /// [`IN_FLIGHT_MAX`] from the oldest one that has no answer.
    pub fn is_within_window(&self, number: u32, counter: u32) -> bool {
        let is_of_session = |pending: &&Pending| (pending.req >> 32) as u32 == number;
        let oldest = self.0.iter().filter(is_of_session).filter(|pending| pending.due != Due::Never);
        oldest.map(|pending| pending.req as u32).min().is_none_or(|oldest| counter - oldest < IN_FLIGHT_MAX)
    }

    pub fn is_awaiting(&self) -> bool {
        self.0.iter().any(Pending::is_awaiting)
    }

    /// Whether one of a class waits for its turn.
    pub fn has_waiting(&self, class: Class) -> bool {
        let waits = |pending: &Pending| matches!(pending.due, Due::New | Due::Later);
        self.0.iter().any(|pending| waits(pending) && Class::of(&pending.call) == class)
    }

    /// Those of a class wait until then.
    pub fn pause(&mut self, class: Class, until_ns: u64) {
        let of_class = self.0.iter_mut().filter(|pending| Class::of(&pending.call) == class);
        of_class.for_each(|pending| pending.wait_until(until_ns));
    }

    /// Those of a class are sent again not before then; an answer to what was sent is still waited for.
    pub fn put_off(&mut self, class: Class, until_ns: u64) {
        let of_class = self.0.iter_mut().filter(|pending| Class::of(&pending.call) == class);
        of_class.for_each(|pending| pending.due_ns = pending.due_ns.max(until_ns));
    }

    /// The session has gone to another server, which knows nothing of them: they end now.
    pub fn give_up(&mut self, now: Now) {
        self.0.iter_mut().for_each(|pending| pending.deadline_ns = now.mono_ns);
    }

    /// All are to be sent under a new key.
    pub fn resume(&mut self, now: Now) {
        for pending in self.0.iter_mut().filter(|pending| pending.due != Due::Never) {
            (pending.due, pending.due_ns, pending.timeouts) = (Due::New, now.mono_ns, 0);
        }
    }

    /// A later transmission has been answered, after it `waited` for the disk or not: requests sent before it may
    /// be lost.
    ///
    /// Three such answers are proof enough (RFC 5681 §3.2, dupthresh). Where fewer than four requests were
    /// outstanding that many cannot come, so all others' answers are enough (RFC 5827 §3.2), but then only a
    /// smoothed round trip and a quarter after the transmission, because it may be reordering (RFC 8985 §6.2).
    /// An open waits for the disk and a shake does not, so only what waits for it overtakes what does; and frames
    /// of one datagram do not overtake each other, because a shake that wins waits and the others do not.
    pub fn overtaken_by(&mut self, later: Transmission, waited: bool, now: Now, rto: &Rto) {
        const DUPLICATES: u8 = 3;
        let awaiting = self.0.iter().filter(|pending| pending.is_awaiting()).count();
        let is_behind = |pending: &Pending| {
            pending.due == Due::Timer && pending.last_seq < later.seq && pending.last_sent_ns < later.sent_ns
        };
        for pending in self.0.iter_mut().filter(|pending| is_behind(pending)) {
            if pending.call.waits_for_disk() && !waited {
                continue;
            }
            pending.overtaken += 1;
            if pending.overtaken >= DUPLICATES {
                (pending.due, pending.due_ns) = (Due::Early, now.mono_ns);
            } else if let Some(srtt_ns) = rto.srtt_ns()
                && awaiting == 1
            {
                let reordered_until_ns = pending.last_sent_ns.saturating_add(srtt_ns + srtt_ns / 4);
                if reordered_until_ns < pending.due_ns {
                    (pending.due, pending.due_ns) = (Due::Early, reordered_until_ns.max(now.mono_ns));
                }
            }
        }
    }
}
