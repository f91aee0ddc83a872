//! Between a core and its backend's socket.

use crate::ledger::Ledger;
use crate::net::Backend;
use crate::set::Core;
use redpkt_proto::{Frame, Now, Path};
use zerocopy::IntoBytes as _;

/// Tells the core what has come from the backend, a batch at the most; how much that was.
pub fn hear<L: Ledger>(
    backend: &mut Backend,
    core: &mut Core<L>,
    now: Now,
    mut send: impl FnMut(&Path, &Frame),
) -> usize {
    let heard = backend.recv();
    backend.messages().for_each(|message| core.backend_said(message, &mut send));
    if backend.take_away() {
        core.backend_is_away(now);
    }
    heard
}

/// Sends what the core has for the backend.
pub fn pass_on<L: Ledger>(backend: &mut Backend, core: &mut Core<L>, now: Now) {
    core.take_questions().for_each(|question| backend.push(question.as_bytes()));
    backend.flush();
    if backend.take_away() {
        core.backend_is_away(now);
    }
}
