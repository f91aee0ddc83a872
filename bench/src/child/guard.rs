//! Sees to it that no child outlives its parent.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid};
use procfs::process::Process;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use tempfile::TempDir;

/// The environment variable that tells a child who its parent is.
pub(crate) const PARENT: &str = "REDPKT_BENCH_PARENT";

/// What has to go when this process ends.
struct Guarded {
    children: Vec<u32>,
    directories: Vec<PathBuf>,
}

/// Locked while a child or a directory comes to be, so that a signal in that moment waits and finds it.
static GUARDED: Mutex<Guarded> = Mutex::new(Guarded { children: Vec::new(), directories: Vec::new() });

fn guarded() -> MutexGuard<'static, Guarded> {
    GUARDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child under guard.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut guarded = guarded();
    let child = command.spawn()?;
    guarded.children.push(child.id());
    Ok(child)
}

/// Makes a directory that goes with this process, also when it is interrupted.
pub fn directory() -> io::Result<TempDir> {
    let mut guarded = guarded();
    let directory = tempfile::Builder::new().prefix("redpkt-bench-").tempdir()?;
    guarded.directories.push(directory.path().to_owned());
    Ok(directory)
}

/// Takes a child that has ended from under guard.
pub(crate) fn forget(child: u32) {
    guarded().children.retain(|running| *running != child);
}

/// The signals that ask a process to end.
fn deadly() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// From the first call on, a signal that ends this process first ends its children and removes what they
/// left. Threads started before keep the default, which ends the process without that, so the main thread
/// comes first.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let signals = deadly();
        // Blocked here and in all threads that start from now on, so that it comes to the one that waits.
        if signals.thread_block().is_err() {
            return;
        }
        let wait = move || {
            let Ok(signal) = signals.wait() else { return };
            // Not given back: from here on nothing new comes to be.
            let guarded = guarded();
            // Each fails only when there is nothing left to end or remove.
            for child in &guarded.children {
                let _ = kill(Pid::from_raw(*child as i32), Signal::SIGKILL);
            }
            for directory in &guarded.directories {
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
    if parent_id() != Some(parent) {
        // It ended before the kernel knew of the wish.
        std::process::exit(1);
    }
}

/// This process's parent. One in another process namespace has no number in ours; /proc, which this process
/// has from its parent, counts as the parent does.
fn parent_id() -> Option<i32> {
    match getppid().as_raw() {
        0 => Process::myself().and_then(|myself| myself.stat()).ok().map(|stat| stat.ppid),
        parent => Some(parent),
    }
}
