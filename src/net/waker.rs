//! Ends another thread's sleep, at the price of a system call only when it sleeps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The thread runs, and nobody has waked it since its last sleep.
const RUNNING: u8 = 0;
/// It sleeps, or is about to.
const ASLEEP: u8 = 1;
/// It was waked: its next sleep, if not this one, ends at once.
const WAKED: u8 = 2;

struct Shared {
    state: AtomicU8,
    event: OwnedFd,
}

/// Wakes one worker. Clones wake the same one, from any thread.
///
/// Push first, then wake: what was pushed before [`Waker::wake`] is seen by the sleeper once it is awake,
/// and no wake is lost, whether it comes before, while or after the worker goes to sleep. There is no
/// fence because there is one atomic word and both sides change it by read-modify-write, all of which
/// have one order: either the waker's swap comes first, and the sleeper finds WAKED and does not sleep;
/// or the sleeper's comes first, and the waker finds ASLEEP and writes the event. A mere flag "asleep",
/// set by one side and read by the other, would need a full fence on both sides and a second look at the
/// queues between setting it and sleeping, and it is the caller who has the queues.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl Waker {
    /// A waker of a thread that runs.
    pub(super) fn new() -> io::Result<Waker> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above returned this descriptor, and nobody else owns it.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Waker(Arc::new(Shared { state: AtomicU8::new(RUNNING), event })))
    }

    /// Ends the worker's sleep, or keeps it from its next one.
    pub fn wake(&self) {
        // Release: the sleeper, acquiring WAKED, sees what was pushed before. The swap is made even if
        // the word is WAKED already: a plain look could be older than the sleeper's taking it.
        if self.0.state.swap(WAKED, Ordering::AcqRel) == ASLEEP {
            let one = 1u64.to_ne_bytes();
            // SAFETY: the pointer and the length are those of a local. It cannot fail in a way that
            // matters: a full counter is readable too.
            unsafe { libc::write(self.0.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    /// Announces a sleep. `false`: the thread was waked since its last one, and must not sleep.
    pub(super) fn begin_sleep(&self) -> bool {
        if self.0.state.compare_exchange(RUNNING, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return true;
        }
        // Another wake may have come since; the swap acquires it as well.
        self.0.state.swap(RUNNING, Ordering::AcqRel);
        false
    }

    /// Takes the wake that ended the sleep, if one did; `event_readable` by the poll's word.
    pub(super) fn end_sleep(&self, event_readable: bool) {
        self.0.state.swap(RUNNING, Ordering::AcqRel);
        if event_readable {
            let mut count = [0u8; 8];
            // SAFETY: the pointer and the length are those of a local; the descriptor does not block.
            unsafe { libc::read(self.0.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        }
    }

    /// What a poll must watch while the thread sleeps.
    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}
