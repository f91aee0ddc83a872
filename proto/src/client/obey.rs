//! How a session obeys a server that has more to do than it can. Nothing here happens unless
//! [`Config::obeys`](super::Config::obeys).

use super::class::Class;
use super::event::Call;
use super::load::Load;
use super::pace::LOADED_LEVEL;
use super::session::Session;
use crate::Now;

/// How long shakes wait that were refused silently, in ns: as long as servers tell who is refused by word.
const UNHEARD_NS: u64 = 500_000_000;

impl Session {
    /// An authentic frame told the server's load level.
    pub(super) fn heard_level(&mut self, now: Now, level: u8, rng: &mut crate::Rng) {
        self.load_level = level;
        if self.load.is_none() && level >= LOADED_LEVEL && self.config.obeys {
            self.load = Some(Load::new(now, now.mono_ns, self.counter, rng));
        }
        if let Some(load) = &mut self.load {
            load.heard_level(now, level, rng);
        }
    }

    /// The server has answered a request: worked on it, or refused it because of load.
    pub(super) fn heard_answer(&mut self, now: Now, class: Class, is_refused: bool, rng: &mut crate::Rng) {
        if is_refused {
            self.heard_refusal(now, (class == Class::Shake).into(), rng);
        } else if let Some(load) = &mut self.load {
            load.served(now, class);
        }
    }

    /// The server has refused something because of load, `shakes` of them.
    fn heard_refusal(&mut self, now: Now, shakes: usize, rng: &mut crate::Rng) {
        if self.config.obeys {
            let load = self.load.get_or_insert_with(|| Load::new(now, 0, self.counter, rng));
            load.refused(now);
            (0..shakes).for_each(|_| load.throttle.refused(now.mono_ns));
        }
    }

    /// A shake has ended without an answer.
    pub(super) fn heard_nothing(&mut self, now: Now) {
        if let Some(load) = &mut self.load {
            load.throttle.refused(now.mono_ns);
        }
    }

    /// Shakes were sent again and again and nothing was heard of them: most refusals are silent.
    pub(super) fn take_as_refused(&mut self, now: Now, shakes: usize, rng: &mut crate::Rng) {
        self.heard_refusal(now, shakes, rng);
        if let Some(load) = &mut self.load {
            let until_ns = load.pause(now, Class::Shake, UNHEARD_NS, rng);
            // Not a pause: the server may be gone as well, and then silence has to tell.
            self.in_flight.put_off(Class::Shake, until_ns);
        }
    }

    /// ERROR Load: a datagram that began with `op` was not opened. What is like it waits; its requests are
    /// still unanswered. The server is there, so this is no silence.
    pub(super) fn shed(&mut self, now: Now, op: u8, retry_after_ns: u64, rng: &mut crate::Rng) {
        let class = Class::of_op(op);
        self.heard_refusal(now, (class == Some(Class::Shake)).into(), rng);
        if let (Some(class), Some(load)) = (class, &mut self.load) {
            let wait_ns = retry_after_ns.max(self.rto.timeout_ns(&self.config));
            let until_ns = load.pause(now, class, wait_ns, rng);
            self.in_flight.pause(class, until_ns);
        }
        self.busy = true;
        let waits = self.in_flight.is_awaiting() || self.keepalive_sent_ns != 0;
        self.silent_since_ns = if waits { now.mono_ns } else { 0 };
    }

    /// When a new call may go out, or `None` if it is not to be: not this time. Only shakes are ever not.
    pub(super) fn admit(&mut self, now: Now, call: &Call) -> Option<u64> {
        let Some(load) = &mut self.load else { return Some(now.mono_ns) };
        let class = Class::of(call);
        if class != Class::Shake {
            return Some(load.paused_until_ns(class).max(now.mono_ns));
        }
        let deadline_ns = now.mono_ns.saturating_add(self.config.deadline_ns);
        let is_one_waiting = self.in_flight.has_waiting(Class::Shake);
        load.admit_shake(now, deadline_ns, is_one_waiting)
    }

    /// Requests that were just made due wait for what their class waits for.
    pub(super) fn keep_pauses(&mut self) {
        if let Some(load) = &self.load {
            Class::ALL.into_iter().for_each(|class| self.in_flight.pause(class, load.paused_until_ns(class)));
        }
    }

    /// Forgets the load of a server that has had none for long.
    pub(super) fn forget_load(&mut self, now: Now) {
        if self.load.as_mut().is_some_and(|load| load.is_over(now)) {
            self.load = None;
        }
    }
}
