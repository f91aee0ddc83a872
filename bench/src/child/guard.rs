//! Sees to it that no child outlives its parent.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The environment variable that tells a child who its parent is.
pub(super) const PARENT: &str = "REDPKT_BENCH_PARENT";

/// Children that run, and the directories to remove with them.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a child under guard.
pub(super) fn watch(child: u32, directory: &Path) {
    running().push((child, directory.to_owned()));
}

/// Takes a child that has ended from under guard.
pub(super) fn forget(child: u32) {
    running().retain(|(running, _)| *running != child);
}

/// The signals that ask a process to end.
fn deadly() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// From the first call on, a signal that ends this process first ends its children and removes what they
/// left. Threads started before keep the default, which ends the process without that, so the main thread
/// comes first.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let signals = deadly();
        // Blocked here and in all threads that start from now on, so that it comes to the one that waits.
        if signals.thread_block().is_err() {
            return;
        }
        let wait = move || {
            let Ok(signal) = signals.wait() else { return };
            for (child, directory) in running().iter() {
                // Each fails only when there is nothing left to end or remove.
                let _ = kill(Pid::from_raw(*child as i32), Signal::SIGKILL);
                let _ = std::fs::remove_dir_all(directory);
            }
            std::process::exit(128 + signal as i32);
        };
        // Without that thread the signals would be lost.
        if std::thread::Builder::new().name("signals".into()).spawn(wait).is_err() {
            let _ = signals.thread_unblock();
        }
    });
}

/// In a child: has the kernel end this process when the thread that started it ends, however that happens.
/// Elsewhere: nothing.
pub fn follow_parent() {
    let Some(parent) = std::env::var(PARENT).ok().and_then(|id| id.parse::<i32>().ok()) else { return };
    // Blocked in the parent, and inherited. Both fail only for signals that do not exist.
    let _ = deadly().thread_unblock();
    let _ = set_pdeathsig(Signal::SIGKILL);
    if getppid().as_raw() != parent {
        // It ended before the kernel knew of the wish.
        std::process::exit(1);
    }
}
