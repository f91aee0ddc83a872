//! Signals that a command's own loop looks for.

use super::Failure;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Has these signals wait for this thread to read them, which never blocks, instead of ending the process.
pub fn caught_signals(signals: &[Signal]) -> Result<SignalFd, Failure> {
    let signals = SigSet::from_iter(signals.iter().copied());
    signals
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC))
        .map_err(|errno| Failure::machine(format!("catching signals: {errno}")))
}
