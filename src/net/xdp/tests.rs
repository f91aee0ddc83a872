//! What takes an interface to see, in a network namespace that is thrown away.

use super::error::XdpError;
use super::interface::Interface;
use super::queue::{Copying, QueueSocket};
use nix::sched::{CloneFlags, unshare};
use std::process::Command;
use std::time::Duration;

/// A veth pair in a network namespace of the calling thread; `None` and the reason printed where there can be none.
fn veth() -> Option<Interface> {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("skipped: a network namespace needs CAP_SYS_ADMIN ({error})");
        return None;
    }
    for arguments in ["link add left type veth peer right", "link set left up", "link set right up"] {
        match Command::new("ip").args(arguments.split(' ')).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                eprintln!("skipped: `ip {arguments}`: {}", String::from_utf8_lossy(&output.stderr).trim());
                return None;
            }
            Err(error) => {
                eprintln!("skipped: `ip` cannot be run ({error}); install iproute2");
                return None;
            }
        }
    }
    Some(Interface::read("left").unwrap())
}

/// Runs it on a thread of its own: a namespace is its thread's.
fn on_a_veth(check: impl Fn(Interface) + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| veth().into_iter().for_each(check));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Expect: a second socket on a queue is refused with the queue's number, and the queue is free again when the
/// first is gone.
#[test]
fn a_queue_that_another_socket_has_is_named() {
    on_a_veth(|interface| {
        let open = || QueueSocket::open(interface.index, 0, Some(Copying::Copy));
        let first = open().unwrap();
        let refused = open().map(drop).unwrap_err();
        assert!(matches!(refused, XdpError::QueueTaken { queue: 0 }), "{refused}");
        assert!(refused.to_string().contains("end the program that has it, or use --io mmsg"));
        drop(first);
        // A process that another test has just started may hold a copy of the socket until it executes its program.
        let is_free = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            open().is_ok()
        });
        assert!(is_free);
    });
}

/// Expect: a queue is not lost while its interface is down, and is when it is deleted.
#[test]
fn a_queue_goes_with_its_interface() {
    on_a_veth(|interface| {
        let queue = QueueSocket::open(interface.index, 0, Some(Copying::Copy)).unwrap();
        let ip = |arguments: &str| Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(!queue.is_lost());
        assert!(ip("link set left down").success());
        assert!(!queue.is_lost());
        assert!(ip("link del left").success());
        assert!(queue.is_lost());
    });
}
