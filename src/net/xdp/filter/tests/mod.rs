//! The program, run by the kernel on crafted frames.
//!
//! The kernel runs programs for root only: without privilege these tests say that they were skipped.

mod attach;
mod cases;
mod errors;
mod frames;
mod gates;
mod mutations;
pub(in crate::net::xdp) mod namespace;
mod necessity;
mod oracle;
mod privileges;
pub(in crate::net::xdp) mod wire;

use super::program::action;
use super::{Filter, FilterError, Program};
use crate::net::xdp::bpf;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Taken,
    DroppedLength,
    DroppedTooLong,
    DroppedVersion,
    DroppedShed,
}

/// The loaded program, with a socket at queue 0, where test runs happen.
struct Kernel {
    program: Program,
    _socket: OwnedFd,
}

impl Kernel {
    /// `None`, and the reason printed, when the kernel does not let us.
    fn load(filter: &Filter) -> Option<Kernel> {
        let program = program_or_skip(filter, 1)?;
        let socket = xdp_socket()?;
        program.set_socket(0, socket.as_fd()).expect("an open AF_XDP socket");
        Some(Kernel { program, _socket: socket })
    }

    /// What becomes of a frame of 14 bytes or more (the kernel runs none on less).
    fn verdict(&self, frame: &[u8]) -> Verdict {
        verdict(&self.program, frame)
    }
}

fn verdict(program: &Program, frame: &[u8]) -> Verdict {
    let (before, shed_before) = (program.dropped(), program.shed(0));
    let run = bpf::test_run(program.program.as_fd(), frame, 1).expect("the program runs");
    let after = program.dropped();
    let counted = [
        after.length - before.length,
        after.too_long - before.too_long,
        after.version - before.version,
        program.shed(0) - shed_before,
    ];
    match (run.action, counted) {
        (action::PASS, [0, 0, 0, 0]) => Verdict::Passed,
        (action::REDIRECT, [0, 0, 0, 0]) => Verdict::Taken,
        (action::DROP, [1, 0, 0, 0]) => Verdict::DroppedLength,
        (action::DROP, [0, 1, 0, 0]) => Verdict::DroppedTooLong,
        (action::DROP, [0, 0, 1, 0]) => Verdict::DroppedVersion,
        (action::DROP, [0, 0, 0, 1]) => Verdict::DroppedShed,
        other => panic!("{other:?}"),
    }
}

fn program_or_skip(filter: &Filter, queues: u32) -> Option<Program> {
    match Program::load(filter, queues) {
        Ok(program) => Some(program),
        Err(error @ (FilterError::NotPermitted { .. } | FilterError::KernelTooOld { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// An AF_XDP socket, unbound: the program only looks whether there is one.
fn xdp_socket() -> Option<OwnedFd> {
    // SAFETY: no addresses are handed over.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        eprintln!("skipped: an AF_XDP socket needs CAP_NET_RAW ({})", std::io::Error::last_os_error());
        return None;
    }
    // SAFETY: the descriptor is new, so nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
