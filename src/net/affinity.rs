//! Which core a thread runs on, and how exactly it wakes up.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::io;

/// The cores that the calling thread may run on, in order; empty if the system does not say.
pub fn allowed_cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect()
}

/// Keeps the calling thread on `core`. Fails when there is no such core or the process may not use it.
pub fn pin_current_thread(core: usize) -> io::Result<()> {
    pin_thread(0, core)
}

/// Keeps another thread, named by its number in the system, on `core`.
pub fn pin_thread(thread: i32, core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(thread), &set)?)
}

/// Lets the calling thread wake at the nanosecond it asked for. By default the kernel may be 50 µs late,
/// to spare wakeups, which a load client's schedule shows.
pub fn precise_timers() -> io::Result<()> {
    // SAFETY: this option takes integers only.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the calling thread run before all ordinary threads of its core, as long as it wants to: for a benchmark that
/// takes a part of a core away. Needs CAP_SYS_NICE.
pub fn run_before_others() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the structure is live and only read; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// CPU time that the calling thread has used, in ns.
pub fn thread_cpu_ns() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_run_on_its_core_only() {
        let before = allowed_cores();
        let last = *before.last().expect("a thread runs somewhere");
        let pinned = std::thread::spawn(move || {
            pin_current_thread(last).unwrap();
            allowed_cores()
        });
        assert_eq!(pinned.join().unwrap(), [last]);
        assert_eq!(allowed_cores(), before, "other threads stay free");
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        assert!(pin_current_thread(CpuSet::count() - 1).is_err());
        assert!(pin_current_thread(usize::MAX).is_err());
    }

    #[test]
    fn timers_can_be_made_precise() {
        precise_timers().unwrap();
    }
}
