//! What a session knows of its server's load, and how it obeys.

use super::budget::RetryBudget;
use super::class::Class;
use super::in_flight::{Due, Pending};
use super::pace::{LOADED_LEVEL, decayed, spacing_ns};
use super::rto::{below, doubled};
use super::throttle::Throttle;
use crate::Now;
use rand::Rng as _;

/// A refusal because of load says so much for this long, in ns. 5 s: longer than the pauses that are asked for.
const LATELY_NS: u64 = 5_000_000_000;

/// The random part of a pause is never longer, unless the server's wish is, in ns: 15 s, longer than a request lives.
const RANDOM_NS_MAX: u64 = 15_000_000_000;

/// The load level that a server is taken to have which lately refused something because of load: 8 ms.
const REFUSING_LEVEL: u8 = LOADED_LEVEL + 16;

/// Kept of a server that is or was loaded, in a box: mostly none is. 104 bytes.
#[derive(Debug)]
pub(super) struct Load {
    /// Until when requests of each [`Class`] wait.
    paused_until_ns: [u64; Class::COUNT],
    /// When the newest shake was to go out.
    shake_ns: u64,
    /// When the load level was heard, and what it is: up at once, down by a quarter of the way each time.
    level_ns: u64,
    level: u8,
    /// How much longer than the least distance the next shake keeps, in 1/256 of it: drawn with each level, so
    /// that those who were served together do not come back together.
    stretch: u8,
    /// When the server refused something because of load; 0 for never.
    refused_ns: u64,
    /// Refusals of shakes and reads since one of them was served.
    in_a_row: u8,
    pub throttle: Throttle,
    pub budget: RetryBudget,
}

const _: () = assert!(size_of::<Load>() == 104);

impl Load {
    /// That of a session that has made `behind` requests, the newest shake of them at `shake_ns` perhaps.
    pub fn new(now: Now, shake_ns: u64, behind: u32, rng: &mut crate::Rng) -> Box<Load> {
        Box::new(Load {
            paused_until_ns: [0; Class::COUNT],
            shake_ns,
            level_ns: now.mono_ns,
            level: 0,
            stretch: 0,
            refused_ns: 0,
            in_a_row: 0,
            throttle: Throttle::new(now.mono_ns, behind, rng.next_u32() as u16),
            budget: RetryBudget::new(now.mono_ns),
        })
    }

    /// An authentic frame told the load level. Most sessions learn of a queue's end only when they are served, all
    /// about then: if they took it at its word they would all be back at once, and the queue too.
    pub fn heard_level(&mut self, now: Now, level: u8, rng: &mut crate::Rng) {
        self.stretch = rng.next_u32() as u8;
        let held = self.level_now(now);
        self.level = if level >= held { level } else { held - (held - level).div_ceil(4) };
        self.level_ns = now.mono_ns;
    }

    /// The server has refused something because of load.
    pub fn refused(&mut self, now: Now) {
        self.refused_ns = now.mono_ns.max(1);
    }

    /// The server has served a request of a class.
    pub fn served(&mut self, now: Now, class: Class) {
        if !class.is_about_money() {
            self.in_a_row = 0;
        }
        if class == Class::Shake {
            self.throttle.accepted(now.mono_ns);
        }
    }

    /// Whether the server is known to be loaded.
    pub fn is_loaded(&self, now: Now) -> bool {
        self.level_now(now) >= LOADED_LEVEL
    }

    /// Whether nothing of it matters any more.
    pub fn is_over(&mut self, now: Now) -> bool {
        let is_paused = self.paused_until_ns.iter().any(|until_ns| *until_ns > now.mono_ns);
        !is_paused && !self.is_loaded(now) && self.throttle.is_empty(now.mono_ns)
    }

    /// Requests of a class wait for `wait_ns` and a random part, which is as long again at most, and for shakes
    /// and what only reads twice that for each refusal in a row: however many there are, they spread until the
    /// server can serve them. Returns until when.
    pub fn pause(&mut self, now: Now, class: Class, wait_ns: u64, rng: &mut crate::Rng) -> u64 {
        let mut random_ns = wait_ns;
        if !class.is_about_money() {
            random_ns = doubled(wait_ns, self.in_a_row.into(), RANDOM_NS_MAX.max(wait_ns));
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let until_ns = now.mono_ns.saturating_add(wait_ns).saturating_add(below(rng, random_ns));
        let paused_until_ns = &mut self.paused_until_ns[class as usize];
        *paused_until_ns = until_ns.max(*paused_until_ns);
        if class == Class::Shake {
            // The one that is sent again then is a shake like others: a new one keeps its distance.
            self.shake_ns = self.shake_ns.max(*paused_until_ns);
        }
        self.paused_until_ns[class as usize]
    }

    /// Until when requests of a class wait.
    pub fn paused_until_ns(&self, class: Class) -> u64 {
        self.paused_until_ns[class as usize]
    }

    /// When a new shake may go out; `None` if it is not asked for at all: the throttle rejects it, one is
    /// waiting already, or it would wait for longer than until its deadline.
    pub fn admit_shake(&mut self, now: Now, deadline_ns: u64, is_one_waiting: bool) -> Option<u64> {
        if self.is_loaded(now) && self.throttle.rejects(now.mono_ns) {
            return None;
        }
        let spaced_ns = match spacing_ns(self.level_now(now)) {
            0 => 0,
            least_ns => self.shake_ns.saturating_add(least_ns + least_ns / 256 * u64::from(self.stretch)),
        };
        let at_ns = now.mono_ns.max(spaced_ns).max(self.paused_until_ns(Class::Shake));
        if at_ns > now.mono_ns && (is_one_waiting || at_ns >= deadline_ns) {
            return None;
        }
        self.shake_ns = at_ns;
        Some(at_ns)
    }

    /// Whether a request that is due may be sent: a new one is, another one if the server is not loaded or the
    /// budget allows. If not, when it may be.
    pub fn let_out(&mut self, now: Now, pending: &Pending) -> Result<(), u64> {
        if pending.transmissions == 0 {
            self.budget.earn();
        } else if pending.due != Due::New && self.is_loaded(now) {
            // New under another key: that is asking after it, of a server that was just joined.
            self.budget.take(now.mono_ns, Class::of(&pending.call))?;
        }
        Ok(())
    }

    /// The level as it may be now. What refuses has a long queue, though it does not tell how long.
    fn level_now(&self, now: Now) -> u8 {
        let is_lately = self.refused_ns != 0 && now.mono_ns.saturating_sub(self.refused_ns) < LATELY_NS;
        let least = if is_lately { REFUSING_LEVEL } else { 0 };
        decayed(self.level, now.mono_ns.saturating_sub(self.level_ns)).max(least)
    }
}
