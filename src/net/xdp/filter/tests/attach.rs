//! Attaching, in a network namespace that is thrown away: nothing here touches an interface of the machine.

use super::frames::scenarios;
use super::program_or_skip;
use crate::net::xdp::filter::{FilterError, Link, Mode};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use std::os::fd::AsFd;
use std::process::Command;

/// Runs `check` on a thread of its own in a network namespace of its own, which goes with the thread.
fn in_a_namespace(check: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => check(),
            Err(error) => eprintln!("skipped: a network namespace needs CAP_SYS_ADMIN ({error})"),
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Runs `ip` in this thread's namespace: what it printed, or `None` and the reason printed.
fn ip(arguments: &str) -> Option<String> {
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

fn index(interface: &str) -> Option<u32> {
    ip(&format!("-o link show dev {interface}"))?.split(':').next()?.parse().ok()
}

/// A pair of interfaces, one of which is attached to.
fn veth() -> Option<u32> {
    ip("link add redpkt0 type veth peer name redpkt1")?;
    index("redpkt0")
}

fn shown() -> String {
    ip("-d link show dev redpkt0").unwrap()
}

#[test]
fn a_program_is_attached_as_long_as_its_link_lives() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = veth() else { return };
        for (mode, word) in [(Mode::Native, " xdp "), (Mode::Generic, " xdpgeneric ")] {
            let link: Link = program.attach(interface, "redpkt0", mode).unwrap();
            assert!(shown().contains("redpkt_filter") && shown().contains(word), "{mode:?}: {}", shown());
            let flags = fcntl(link._link.as_fd(), FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, FdFlag::FD_CLOEXEC.bits(), "an executed program would keep it attached");
            drop(link);
            assert!(!shown().contains("xdp"), "{mode:?}: {}", shown());
        }
    });
}

#[test]
fn the_link_keeps_the_program_when_its_owner_is_gone() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = veth() else { return };
        let _link = program.attach(interface, "redpkt0", Mode::Generic).unwrap();
        drop(program);
        assert!(shown().contains("redpkt_filter"), "{}", shown());
    });
}

/// Expect: busy in both modes, whoever was first, and the first stays.
#[test]
fn another_program_is_never_replaced() {
    in_a_namespace(|| {
        let filter = &scenarios()[0].filter;
        let Some(first) = program_or_skip(filter, 1) else { return };
        let Some(second) = program_or_skip(filter, 1) else { return };
        let Some(interface) = veth() else { return };
        for mode in [Mode::Native, Mode::Generic] {
            let _link = first.attach(interface, "redpkt0", mode).unwrap();
            let before = shown();
            for mode in [Mode::Native, Mode::Generic] {
                let error = second.attach(interface, "redpkt0", mode).unwrap_err();
                assert!(matches!(error, FilterError::Busy { .. }), "{error}");
                assert!(error.to_string().contains("`ip link show dev redpkt0`"), "{error}");
            }
            assert_eq!(shown(), before);
        }
    });
}

#[test]
fn a_driver_without_native_mode_says_so_and_generic_works() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = index("lo") else { return };
        let error = program.attach(interface, "lo", Mode::Native).unwrap_err();
        assert!(matches!(error, FilterError::NotOffered { .. }), "{error}");
        program.attach(interface, "lo", Mode::Generic).unwrap();
    });
}

#[test]
fn an_mtu_too_big_for_native_mode_says_so() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = veth() else { return };
        if ip("link set redpkt0 mtu 9000").is_none() || ip("link set redpkt1 mtu 9000").is_none() {
            return;
        }
        let error = program.attach(interface, "redpkt0", Mode::Native).unwrap_err();
        assert!(matches!(error, FilterError::NotOffered { .. }), "{error}");
        assert!(error.to_string().contains("lower the MTU"), "{error}");
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        for mode in [Mode::Native, Mode::Generic] {
            let error = program.attach(4_000_000, "redpkt9", mode).unwrap_err();
            assert!(matches!(error, FilterError::NoSuchInterface { .. }), "{error}");
        }
    });
}
