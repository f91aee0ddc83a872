//! What a worker measures of its own work: how long requests take, and what held its loop up.
//!
//! A turn of the loop costs one reading of the clock beside the one that it needs anyway, with many datagrams two, and
//! none when there is nothing to do: where datagrams come one by one, a reading is 1% of what one costs.

use super::clock::Clock;
use super::latency::WorkerLatencies;
use super::stalls::{Cause, StallWatch, Stalls, Turn};
use crate::ledger::Ledger;
use crate::set::{Core, Handled};
use std::sync::Arc;

/// A worker's measurements; or nothing, where it was told not to measure.
pub struct Measuring {
    on: Option<On>,
}

struct On {
    latencies: Arc<WorkerLatencies>,
    stalls: StallWatch,
    turn: Turn,
    /// When the batch of this turn was taken.
    taken_ns: u64,
    /// What was handled of it, and what of other workers' batches.
    own: Handled,
    others: Handled,
    queued_ns: u64,
    /// Whether the worker has slept since its last turn.
    has_slept: bool,
}

/// Datagrams of a batch whose time is told apart from the rest of its turn: a few are handled in some µs, so if their
/// turn is long, it is for another reason.
const MANY: usize = 16;

impl Measuring {
    /// Of the worker whose thread calls this. `latencies` is where it records, if it is to measure.
    pub fn new(latencies: Option<Arc<WorkerLatencies>>, clock: &Clock) -> Measuring {
        let on = |latencies| On {
            latencies,
            stalls: StallWatch::of_this_thread(),
            turn: Turn::new(clock.mono_ns()),
            taken_ns: 0,
            own: Handled::default(),
            others: Handled::default(),
            queued_ns: 0,
            has_slept: false,
        };
        Measuring { on: latencies.map(on) }
    }

    /// A sleep is over: a turn begins with what is done next.
    #[inline]
    pub fn woke(&mut self) {
        if let Some(on) = &mut self.on {
            on.has_slept = true;
        }
    }

    /// Something is begun at `now_ns`.
    #[inline]
    pub fn begins(&mut self, now_ns: u64) {
        if let Some(on) = &mut self.on
            && std::mem::take(&mut on.has_slept)
        {
            on.turn = Turn::new(now_ns);
        }
    }

    /// A batch of so many datagrams was handled.
    #[inline]
    pub fn handled(&mut self, datagrams: usize, clock: &Clock) {
        if datagrams >= MANY {
            self.did(Cause::Batch, clock);
        }
    }

    /// The turn did this until now.
    #[inline]
    pub fn did(&mut self, what: Cause, clock: &Clock) {
        if let Some(on) = &mut self.on {
            on.turn.did(what, clock.mono_ns());
        }
    }

    /// A batch was taken at `now_ns`; its first datagram had waited for `queued_ns`.
    #[inline]
    pub fn received(&mut self, now_ns: u64, queued_ns: u64) {
        self.begins(now_ns);
        if let Some(on) = &mut self.on {
            on.turn.did(Cause::Receive, now_ns);
            (on.taken_ns, on.queued_ns) = (now_ns, queued_ns);
        }
    }

    /// The worker's own datagrams were handled, of whose ops the core tells.
    #[inline]
    pub fn handled_own<L: Ledger>(&mut self, core: &mut Core<L>) {
        let handled = std::mem::take(core.handled());
        if let Some(on) = &mut self.on {
            on.own = handled;
        }
    }

    /// Those that other workers had handed over were.
    #[inline]
    pub fn handled_others<L: Ledger>(&mut self, core: &mut Core<L>) {
        let handled = std::mem::take(core.handled());
        if let Some(on) = &mut self.on {
            on.others = handled;
        }
    }

    /// What the turn has answered is on its way.
    #[inline]
    pub fn sent<L: Ledger>(&mut self, core: &mut Core<L>, clock: &Clock) {
        let Some(on) = &mut self.on else {
            return drop(core.waits().take());
        };
        let now_ns = clock.mono_ns();
        on.turn.did(Cause::Turn, now_ns);
        let service_ns = now_ns - on.taken_ns;
        for (op, count) in on.own.take() {
            on.latencies.served(op, count, Some(on.queued_ns), service_ns);
        }
        for (op, count) in on.others.take() {
            on.latencies.served(op, count, None, service_ns);
        }
        for waited in core.waits().take() {
            on.latencies.waited(&waited, now_ns);
        }
    }

    /// The turn is over, and another one begins; `was_busy` says whether there was something to do.
    #[inline]
    pub fn ended(&mut self, was_busy: bool, wall_ms: u64) {
        if let Some(on) = &mut self.on {
            if was_busy {
                on.latencies.turned(on.turn.ns());
            }
            on.stalls.ended(&on.turn, wall_ms);
            on.turn = on.turn.next();
        }
    }

    /// The stalls so far. To be called some times a second: by that the watch tells apart what the kernel has held up.
    pub fn stalls(&mut self) -> Stalls {
        self.on.as_mut().map_or_else(Stalls::default, |on| {
            on.stalls.look();
            on.stalls.stalls()
        })
    }
}
