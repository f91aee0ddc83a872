//! A small message of another kind for the backend: passed on at best effort. It counts against the user's rate, takes
//! no place in the window and changes nothing.

use crate::ledger::Ledger;
use crate::set::admission;
use crate::set::core::Core;
use crate::set::counters::Drop;
use crate::set::mask::MASKED_RETRY_AFTER_MS;
use crate::set::relay::{busy, plain};
use crate::set::sessions::SlotId;
use rand::Rng as _;
use redpkt_proto::body::{Relay, RelayAnswer, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::{Frame, Now, Op, Path};

/// When to ask again from an address that is not proved yet, in ms: proving it takes a round trip.
const UNPROVED_RETRY_AFTER_MS: u32 = 250;

impl<L: Ledger> Core<L> {
    /// Passes a RELAY on, or answers it where that cannot be. What comes back goes to proved addresses only, so a
    /// user has to prove a new one first.
    pub(super) fn relay(
        &mut self,
        now: Now,
        path: &Path,
        id: SlotId,
        header_flags: u8,
        relay: &Relay,
    ) -> Option<Frame> {
        let asker = self.asker(path, id, header_flags, relay.attempt, relay.req.get());
        if !self.relay.is_served() {
            // There never will be an answer here: Busy would have the client ask for ever.
            return self.refuse_relay(id, header_flags, &plain(&asker, Status::NotDone));
        }
        let retry_after_ms = if self.is_masked(id.set) {
            self.counters.drop(Drop::Masked);
            MASKED_RETRY_AFTER_MS
        } else if header_flags & flags::PROVE_PATH != 0 {
            UNPROVED_RETRY_AFTER_MS
        } else if let Err(wait_ms) = self.shake_rate.take(&mut self.sessions.get_mut(id).next_shake, now) {
            self.counters.drop(Drop::Rate);
            wait_ms
        } else {
            let random = self.rng.next_u64();
            if self.relay.ask(now, asker, relay, random) {
                self.counters.relay.passed += 1;
                return None;
            }
            self.counters.drop(Drop::Relay);
            admission::retry_after_ms(asker.user, now)
        };
        self.refuse_relay(id, header_flags, &busy(&asker, retry_after_ms))
    }

    fn refuse_relay(&mut self, id: SlotId, header_flags: u8, answer: &RelayAnswer) -> Option<Frame> {
        self.counters.relay.refused += 1;
        self.counters.answers += 1;
        self.reply(id, Op::Relay, header_flags, answer)
    }
}
