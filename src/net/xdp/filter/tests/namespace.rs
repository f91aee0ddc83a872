//! Network namespaces that are thrown away, so that no test touches an interface of the machine.

use super::frames::OUR_MAC;
use crate::net::xdp::filter::{FilterError, Link, Mode, Program};
use nix::sched::{CloneFlags, unshare};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs `check` on a thread of its own in a network namespace of its own, which goes with the thread.
pub(in crate::net::xdp) fn in_a_namespace(check: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => check(),
            Err(error) => eprintln!("skipped: a network namespace needs CAP_SYS_ADMIN ({error})"),
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Runs `ip` in this thread's namespace: what it printed, or `None` and the reason printed.
pub(in crate::net::xdp) fn ip(arguments: &str) -> Option<String> {
    let output = match Command::new("ip").args(arguments.split(' ')).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: `ip` cannot be run ({error}); install iproute2");
            return None;
        }
    };
    if !output.status.success() {
        eprintln!("skipped: `ip {arguments}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The index of an interface of this thread's namespace.
pub(super) fn index(interface: &str) -> Option<u32> {
    ip(&format!("-o link show dev {interface}"))?.split(':').next()?.parse().ok()
}

/// The interface that the tests attach to; `redpkt1` is its other end.
pub(super) const NAME: &str = "redpkt0";

/// Makes a pair of interfaces, and returns the index of [`NAME`], which has the MAC [`OUR_MAC`].
pub(super) fn veth() -> Option<u32> {
    let mac = OUR_MAC.map(|byte| format!("{byte:02x}")).join(":");
    ip(&format!("link add {NAME} address {mac} type veth peer name redpkt1"))?;
    index(NAME)
}

/// Attaches to [`NAME`], if need be after an earlier link of the same test is gone: a process that another
/// test is starting right now has our descriptors too, until it executes its program.
pub(super) fn attach(program: &Program, interface: u32, mode: Mode) -> Link {
    let mut result = program.attach(interface, NAME, mode);
    soon(|| {
        let busy = matches!(result, Err(FilterError::Busy { .. }));
        if busy {
            result = program.attach(interface, NAME, mode);
        }
        !busy
    });
    result.unwrap()
}

/// Waits up to 5 s for something that happens soon; whether it did.
pub(in crate::net::xdp) fn soon(mut happened: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while !happened() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
