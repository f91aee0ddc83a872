//! What users of a masked SET are told: to come again.

use super::Asked;
use crate::ledger::Ledger;
use crate::set::core::Core;
use crate::set::counters::Drop;
use crate::set::mask::MASKED_RETRY_AFTER_MS;
use crate::set::sessions::SlotId;
use redpkt_proto::body::{Answer, Send};
use redpkt_proto::frame::flags;
use redpkt_proto::{Frame, Now, Op, Path};

impl<L: Ledger> Core<L> {
    /// Handles one opened frame of a user whose SET is masked: of the SET its session slots alone are read. Sessions
    /// are kept alive, and requests refused for now.
    #[cold]
    pub(super) fn handle_masked(
        &mut self,
        now: Now,
        path: &Path,
        id: SlotId,
        frame: &Frame,
    ) -> Option<Frame> {
        if self.guards[id.set as usize].is_mute {
            self.counters.drop(Drop::Masked);
            return None;
        }
        let slot = self.sessions.get_mut(id);
        slot.seen_ms = now.mono_ms();
        let proved = slot.path == *path;
        let flags = if proved { 0 } else { flags::PROVE_PATH };
        let op = Op::from_wire(frame.header.op).expect("other ops are not opened");
        let asked = match op {
            Op::Keepalive if proved => return self.keepalive(now, id, frame),
            Op::Keepalive => return self.ask_for_proof(now, path, id),
            Op::PathOk => return self.path_ok(now, path, id, &frame.body()),
            // The first frame of a send is answered, the others belong to it.
            Op::InviteOk | Op::SendMore => return None,
            Op::Relay => return self.relay(now, path, id, flags, &frame.body()),
            Op::Send => {
                let counter = frame.body::<Send>().counter.get();
                let req = u64::from(self.sessions.get(id).number) << 32 | u64::from(counter);
                let asker = self.asker(path, id, flags, frame.header.load_level, req);
                Asked { asker, op, packet: 0, other: 0, asked_for: 0 }
            }
            _ => self.asked(path, id, flags, op, &frame.body()),
        };
        let answer = self.masked(&asked);
        self.counters.answers += 1;
        self.reply(id, op, flags, &answer)
    }

    /// The refusal of a request that needs a SET that is masked.
    pub(super) fn masked(&mut self, asked: &Asked) -> Answer {
        self.counters.drop(Drop::Masked);
        asked.busy(MASKED_RETRY_AFTER_MS)
    }
}
