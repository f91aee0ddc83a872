//! Attaching: in which mode, for how long, and what stands in its way.

use super::frames::scenarios;
use super::namespace::{NAME, attach, in_a_namespace, index, ip, soon, veth};
use super::program_or_skip;
use crate::net::xdp::filter::{FilterError, Mode};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::os::fd::AsFd;
use std::process::Command;

fn shown() -> String {
    ip(&format!("-d link show dev {NAME}")).unwrap()
}

#[test]
fn a_program_is_attached_as_long_as_its_link_lives() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = veth() else { return };
        for (mode, word) in [(Mode::Native, " xdp "), (Mode::Generic, " xdpgeneric ")] {
            let link = attach(&program, interface, mode);
            assert!(shown().contains("redpkt_filter") && shown().contains(word), "{mode:?}: {}", shown());
            let flags = fcntl(link._link.as_fd(), FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, FdFlag::FD_CLOEXEC.bits(), "an executed program would keep it attached");
            drop(link);
            assert!(soon(|| !shown().contains("xdp")), "{mode:?}: {}", shown());
        }
    });
}

#[test]
fn the_link_keeps_the_program_when_its_owner_is_gone() {
    in_a_namespace(|| {
        let Some(program) = program_or_skip(&scenarios()[0].filter, 1) else { return };
        let Some(interface) = veth() else { return };
        let _link = program.attach(interface, NAME, Mode::Generic).unwrap();
        drop(program);
        assert!(shown().contains("redpkt_filter"), "{}", shown());
    });
}

/// Tells the process that the next test starts that it is meant.
const ATTACH_AND_WAIT: &str = "REDPKT_TEST_ATTACH_AND_WAIT";

/// Expect: kill -9 leaves nothing attached.
#[test]
fn a_killed_process_leaves_no_program_behind() {
    if std::env::var_os(ATTACH_AND_WAIT).is_some() {
        let program = program_or_skip(&scenarios()[0].filter, 1).unwrap();
        let _link = program.attach(index(NAME).unwrap(), NAME, Mode::Generic).unwrap();
        loop {
            std::thread::park();
        }
    }
    in_a_namespace(|| {
        if program_or_skip(&scenarios()[0].filter, 1).is_none() || veth().is_none() {
            return;
        }
        let test = "net::xdp::filter::tests::attach::a_killed_process_leaves_no_program_behind";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact"])
            .env(ATTACH_AND_WAIT, "1")
            .spawn()
            .unwrap();
        let attached = soon(|| shown().contains("redpkt_filter"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(attached, "the other process did not attach");
        assert!(soon(|| !shown().contains("xdp")), "{}", shown());
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
            let _link = attach(&first, interface, mode);
            let before = shown();
            for mode in [Mode::Native, Mode::Generic] {
                let error = second.attach(interface, NAME, mode).unwrap_err();
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
        let error = program.attach(interface, NAME, Mode::Native).unwrap_err();
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
