//! Why there is no filter, one line each.

use super::super::bpf::LoadError;
use super::Mode;
use std::io;

/// Why the program was not loaded or attached. Each message is one line that says what was being done, with
/// what, and the fix.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No frame can be like that.
    #[error("the XDP filter asked for cannot be: {what}")]
    Impossible {
        /// What, and what would do.
        what: String,
    },
    /// The process lacks a capability.
    #[error(
        "{doing}: not permitted; grant CAP_BPF and CAP_NET_ADMIN (CAP_SYS_ADMIN before Linux 5.8), and \
         CAP_NET_RAW for the sockets, or run as root, or use --io mmsg"
    )]
    NotPermitted {
        /// What was being done.
        doing: String,
    },
    /// Somebody else's program is there.
    #[error(
        "attaching the XDP program to {interface}: another XDP program is attached to this interface and is \
         never replaced; see it with `ip link show dev {interface}`, detach it or use --io mmsg"
    )]
    Busy {
        /// The interface's name.
        interface: String,
    },
    /// The driver does not run XDP programs as it is set up.
    #[error(
        "attaching the XDP program to {interface} in native mode: not offered by its driver as it is set up \
         ({error}); use generic mode, or if the driver has XDP lower the MTU (a frame must fit a page)"
    )]
    NotOffered {
        /// The interface's name.
        interface: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel knows nothing of this.
    #[error(
        "{doing}: this kernel does not offer it ({error}); use Linux 5.15 or newer with CONFIG_BPF_SYSCALL \
         and CONFIG_XDP_SOCKETS, or use --io mmsg"
    )]
    KernelTooOld {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel's verifier did not like the program.
    #[error(
        "loading the XDP program: the kernel's verifier refused it ({error}): {reason}; use --io mmsg, and \
         report it with this line and `uname -r`"
    )]
    Refused {
        /// What the kernel said.
        error: io::Error,
        /// The verifier's last line.
        reason: String,
    },
    /// There is no such interface, or no more.
    #[error("attaching the XDP program to {interface}: no such interface; see `ip link` for those there are")]
    NoSuchInterface {
        /// The name asked for.
        interface: String,
    },
    /// The program was loaded for fewer queues.
    #[error(
        "giving receive queue {queue} its socket: the program was loaded for {queues} queues; start again \
         after changing an interface's queues"
    )]
    NoSuchQueue {
        /// The queue asked for.
        queue: u32,
        /// How many there are.
        queues: u32,
    },
    /// Anything else that the kernel said.
    #[error("{doing}: {error}; use --io mmsg")]
    Failed {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        error: io::Error,
    },
}

impl FilterError {
    pub(super) fn creating_map(error: io::Error) -> FilterError {
        let doing = "creating the maps of the XDP program".to_owned();
        match error.raw_os_error() {
            Some(libc::EPERM) => FilterError::NotPermitted { doing },
            Some(libc::ENOSYS | libc::EINVAL) => FilterError::KernelTooOld { doing, error },
            _ => FilterError::Failed { doing, error },
        }
    }

    pub(super) fn loading(refusal: LoadError) -> FilterError {
        let doing = "loading the XDP program".to_owned();
        let reason = refusal.reason().map(str::to_owned);
        let error = refusal.error;
        match (error.raw_os_error(), reason) {
            (Some(libc::EPERM), _) => FilterError::NotPermitted { doing },
            (_, Some(reason)) => FilterError::Refused { error, reason },
            (Some(libc::ENOSYS | libc::EINVAL), None) => FilterError::KernelTooOld { doing, error },
            _ => FilterError::Failed { doing, error },
        }
    }

    pub(super) fn setting_socket(queue: u32, error: io::Error) -> FilterError {
        let doing = format!("giving receive queue {queue} its AF_XDP socket");
        match error.raw_os_error() {
            Some(libc::EPERM) => FilterError::NotPermitted { doing },
            _ => FilterError::Failed { doing, error },
        }
    }

    pub(super) fn attaching(name: &str, mode: Mode, exists: bool, error: io::Error) -> FilterError {
        let interface = name.to_owned();
        let doing = || format!("attaching the XDP program to {name}");
        if !exists {
            return FilterError::NoSuchInterface { interface };
        }
        match (error.raw_os_error(), mode) {
            (Some(libc::EPERM), _) => FilterError::NotPermitted { doing: doing() },
            (Some(libc::EBUSY | libc::EEXIST), _) => FilterError::Busy { interface },
            (Some(libc::ENODEV), _) => FilterError::NoSuchInterface { interface },
            (Some(errno), Mode::Native) if DRIVER_REFUSALS.contains(&errno) => {
                FilterError::NotOffered { interface, error }
            }
            (Some(libc::ENOSYS | libc::EINVAL), _) => FilterError::KernelTooOld { doing: doing(), error },
            _ => FilterError::Failed { doing: doing(), error },
        }
    }
}

/// How drivers say that they do not do it: at all (the first three; 524 is the kernel's ENOTSUPP, which has
/// no name out here), with this MTU (ERANGE, EINVAL, E2BIG), with these features on or so few queues left.
const DRIVER_REFUSALS: [i32; 7] =
    [libc::EOPNOTSUPP, 524, libc::ENOSYS, libc::EINVAL, libc::ERANGE, libc::E2BIG, libc::ENOSPC];
