//! What keeps a session going: keepalive, proof of a path, acknowledged invitations.

use crate::ledger::Ledger;
use crate::set::core::Core;
use crate::set::counters::Drop;
use crate::set::sessions::SlotId;
use redpkt_proto::body::{InviteOk, Keepalive, PathProof};
use redpkt_proto::cookie::Purpose;
use redpkt_proto::{Frame, Now, Op, Path};

impl<L: Ledger> Core<L> {
    pub(super) fn keepalive(&mut self, now: Now, id: SlotId, frame: &Frame) -> Option<Frame> {
        let asked: Keepalive = frame.body();
        self.still_here(now, id, asked.token.get())
    }

    fn still_here(&mut self, now: Now, id: SlotId, token: u64) -> Option<Frame> {
        let body = Keepalive { token: token.into(), server_wall_ms: now.wall_ms.into(), reserved: [0; 16] };
        self.reply(id, Op::Keepalive, 0, &body)
    }

    /// A KEEPALIVE from an address that is not proved is answered by a request for the proof.
    pub(super) fn ask_for_proof(&mut self, now: Now, path: &Path, id: SlotId) -> Option<Frame> {
        let slot = self.sessions.get(id);
        let cookie = self.cookies.make(Purpose::Path, now, path, slot.user, &path_nonce(slot.number));
        self.reply(id, Op::Path, 0, &PathProof { cookie, reserved: [0; 20] })
    }

    /// From now on the session's address is the one that sent the proof.
    pub(super) fn path_ok(&mut self, now: Now, path: &Path, id: SlotId, proof: &PathProof) -> Option<Frame> {
        let slot = self.sessions.get(id);
        let nonce = path_nonce(slot.number);
        if !self.cookies.check(&proof.cookie, Purpose::Path, now, path, slot.user, &nonce) {
            self.counters.drop(Drop::Cookie);
            return None;
        }
        if slot.path != *path {
            if !self.sessions.may_move(id, path) {
                self.counters.drop(Drop::Prefix);
                self.counters.prefix_sessions += 1;
                return None;
            }
            self.sessions.proved(id, path);
            self.counters.path_changes += 1;
        }
        self.still_here(now, id, 0)
    }

    /// The user was told of a packet; it is not answered.
    pub(super) fn invite_ok(&mut self, now: Now, id: SlotId, ok: &InviteOk) -> Option<Frame> {
        self.invitation_told(now, id, ok.packet.get());
        None
    }
}

/// What a path cookie is bound to beside user and address.
fn path_nonce(session_number: u32) -> [u8; 8] {
    u64::from(session_number).to_le_bytes()
}
