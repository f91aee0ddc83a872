//! The program in the kernel that brings each datagram to its owner's socket.
//!
//! A classic BPF program attached to a reuseport group sees a datagram from the first byte of its UDP
//! payload on and returns the index of the socket that gets it. A load past the end ends the program with
//! 0, so datagrams too short to name a user all go to worker 0, which drops them by their length. With a
//! sender that uses GSO it runs once for a whole run of datagrams: steering spares work, and the owner is
//! checked all the same.

use super::classic::{fold_user, mix, statement};
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use redpkt_proto::steer::{HASH_SHIFT, Layout};
use socket2::Socket;
use std::fmt;

/// Whether the kernel brings each datagram to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// There is one worker, so there is nothing to steer.
    OneWorker,
    /// It does.
    Attached,
    /// Not asked for: the kernel spreads datagrams by a hash of their addresses.
    Off,
    /// The kernel refused the program, with this errno, and spreads by its hash.
    Refused(i32),
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Steering::OneWorker => write!(f, "one worker, nothing to steer"),
            Steering::Attached => write!(f, "by user, in the kernel"),
            Steering::Off => write!(f, "off"),
            Steering::Refused(errno) => {
                write!(f, "refused by the kernel: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

/// The program that computes [`Layout::worker_of_user`] from a datagram.
///
/// # Panics
/// When a number of the layout is 0, which a checked configuration excludes.
pub fn program(layout: &Layout) -> Vec<libc::sock_filter> {
    assert!(layout.sets.is_power_of_two() && layout.groups > 0 && layout.workers > 0, "{layout:?}");
    let mut code = fold_user(0).to_vec();
    code.extend(mix());
    code.extend([
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, HASH_SHIFT),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, layout.sets - 1),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, layout.groups),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, layout.workers),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ]);
    code
}

/// Attaches the program to the reuseport group of `socket`.
pub(super) fn attach(socket: &Socket, layout: &Layout) -> nix::Result<()> {
    let mut code = program(layout);
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    setsockopt(socket, AttachReusePortCbpf, &program)
}

#[cfg(test)]
mod tests {
    use super::super::classic::run;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_program_computes_the_owner(
            user: u64,
            set_bits in 0u32..=16,
            groups in 1u32..=256,
            workers in 1u32..=256,
        ) {
            let sets = 1 << set_bits;
            let groups = groups.min(sets);
            let layout = Layout { sets, groups, workers: workers.min(groups) };
            prop_assert_eq!(run(&program(&layout), &user.to_le_bytes(), 0), layout.worker_of_user(user));
        }
    }

    #[test]
    fn a_datagram_too_short_to_name_a_user_goes_to_worker_0() {
        let layout = Layout { sets: 64, groups: 4, workers: 4 };
        for len in 0..8 {
            assert_eq!(run(&program(&layout), &[0xa5; 8][..len], 0), 0, "{len} bytes");
        }
    }
}
