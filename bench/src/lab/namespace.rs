//! A network namespace that lasts as long as somebody holds it or is in it, and leaves no name behind.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// The calling thread's own, as the kernel shows it.
const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";

/// A network namespace, held open. It has no name in the file system: when the last process that holds it or
/// has a thread or a socket in it is gone, however that ended, the kernel removes it with all its interfaces.
#[derive(Debug)]
pub(super) struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one, with nothing but a loopback interface that is down.
    pub fn new() -> io::Result<Namespace> {
        // Namespaces are a thread's own: this one makes it, opens it and is done.
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Namespace::of_this_thread()
        };
        let thread = std::thread::Builder::new().name("new namespace".into()).spawn(make)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The one that the calling thread is in.
    pub fn of_this_thread() -> io::Result<Namespace> {
        Ok(Namespace { file: File::open(OF_THIS_THREAD)? })
    }

    /// Moves the calling thread into it.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.file, CloneFlags::CLONE_NEWNET)?)
    }

    /// A path at which other processes can open it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}
