//! What is said of panics on a worker's thread.

use crate::set::Panicked;
use redpkt_proto::Now;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

thread_local! {
    /// Message and place of the last panic, on threads that have asked for that.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic of this thread is noted, and printed by nobody: what is caught is told by who catches it, at a
/// bounded rate.
pub fn note_those_of_this_thread() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let otherwise = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_noted = LAST.with_borrow_mut(|last| {
                let is_noted = last.is_some();
                if let Some(last) = last {
                    let place = panic.location().map(ToString::to_string).unwrap_or_default();
                    let said = panic.payload();
                    let message = said.downcast_ref::<&str>().copied();
                    let message = message.or_else(|| said.downcast_ref::<String>().map(String::as_str));
                    *last = format!("{}, at {place}", message.unwrap_or("a panic"));
                }
                is_noted
            });
            if !is_noted {
                otherwise(panic);
            }
        }));
    });
    LAST.set(Some(String::new()));
}

/// Message and place of this thread's last panic.
pub fn last_panic() -> String {
    LAST.with_borrow(|last| last.clone().unwrap_or_default())
}

/// A SET's panics are told at most so often.
const TELL_AGAIN_NS: u64 = 60_000_000_000;

/// Says which SETs have panicked.
pub struct Panics {
    /// By SET: when that was said last.
    told_ns: BTreeMap<u32, u64>,
}

impl Panics {
    /// None yet.
    pub fn new() -> Panics {
        Panics { told_ns: BTreeMap::new() }
    }

    /// Says that a SET was masked, where and why, and what to do; each at most once a minute.
    pub fn tell(&mut self, worker: u32, panicked: &Panicked, now: Now) {
        let Panicked { set, message } = panicked;
        let told_ns = self.told_ns.get(set);
        if told_ns.is_some_and(|told_ns| now.mono_ns.saturating_sub(*told_ns) < TELL_AGAIN_NS) {
            return;
        }
        self.told_ns.insert(*set, now.mono_ns);
        // Where two SETs were masked by one panic it is the last of this thread still.
        let at = Some(last_panic()).filter(|last| last.starts_with(message.as_str()));
        let at = at.unwrap_or_else(|| message.clone());
        tracing::error!(
            worker,
            set,
            panic = at,
            "SET {set} has panicked and is masked: its users are told to come again, the others go on; POST /sets/{set}/rebuild puts it back to work, and please report the panic"
        );
    }
}
