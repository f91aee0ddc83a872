//! Where a test makes a SET panic. In every other build [`here`] is nothing.

/// A place in a SET's logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A shake, before anything is decided.
    Shake,
    /// A HELLO or JOIN.
    Handshake,
    /// A row was applied to the book by half: money has moved, and nothing else of it was done.
    HalfApplied,
    /// A row was applied to the book, and not handed to the ledger yet.
    Applied,
    /// A question about a packet, from this or another worker.
    Question,
    /// What another group has decided reaches the user's SET.
    Decided,
    /// A packet is made by an order.
    Mint,
    /// A packet's time is over.
    Expiry,
    /// An answer that has become durable is sent.
    Settle,
    /// An invitation is pushed.
    Push,
    /// A SET is counted.
    Recount,
}

#[cfg(test)]
pub use armed::{arm, disarm, here};

/// Nothing.
#[cfg(not(test))]
#[inline(always)]
pub fn here(_: Fault) {}

#[cfg(test)]
mod armed {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        static ARMED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// The next time this thread comes by there, it panics, once.
    pub fn arm(fault: Fault) {
        ARMED.set(Some(fault));
    }

    /// Nothing panics any more; whether something was still to.
    pub fn disarm() -> bool {
        ARMED.take().is_some()
    }

    /// Panics if a test wants it.
    pub fn here(fault: Fault) {
        if ARMED.get() == Some(fault) {
            ARMED.set(None);
            panic!("on purpose: {fault:?}");
        }
    }
}
