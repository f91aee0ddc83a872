//! Why there is no AF_XDP engine: one line each, with the fix.

use super::filter::FilterError;
use std::io;
use xdp::socket::SocketError;

/// Why an interface cannot be used. Each message is one line that names the fix.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// There is no such interface.
    #[error("--iface {name}: this machine has no such interface; it has {others}")]
    NoSuchInterface {
        /// As asked for.
        name: String,
        /// Those there are.
        others: String,
    },
    /// None of the listen addresses is the interface's.
    #[error("--iface {name}: none of the --listen addresses is this interface's; it has {addresses}")]
    NoAddress {
        /// The interface.
        name: String,
        /// Its addresses.
        addresses: String,
    },
    /// It has no hardware address, as lo and tunnels.
    #[error(
        "--iface {name}: no Ethernet interface; name one that has a MAC address, or leave --iface out and serve with --io mmsg"
    )]
    NotEthernet {
        /// The interface.
        name: String,
    },
    /// The system did not say something about the interface.
    #[error("--iface {name}: reading its {what}: {error}")]
    Read {
        /// The interface.
        name: String,
        /// What was asked.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// No right to open AF_XDP sockets.
    #[error(
        "--io xdp: not permitted to open an AF_XDP socket; grant CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF, or use --io mmsg"
    )]
    Permission,
    /// The kernel has no AF_XDP.
    #[error("--io xdp: this kernel has no AF_XDP sockets (CONFIG_XDP_SOCKETS); use --io mmsg")]
    NoAfXdp,
    /// Another program has the queue.
    #[error(
        "--iface: queue {queue} is taken by another AF_XDP socket; end the program that has it, or use --io mmsg"
    )]
    QueueTaken {
        /// Which.
        queue: u32,
    },
    /// The driver cannot do what was asked for on this queue.
    #[error(
        "--iface: queue {queue}: the driver offers no AF_XDP there ({error}); try --xdp-mode generic, or use --io mmsg"
    )]
    NotOffered {
        /// Which.
        queue: u32,
        /// What the system said.
        error: io::Error,
    },
    /// The frames' memory cannot be had.
    #[error(
        "--io xdp: 32 MiB of locked memory for each queue's frames cannot be had ({0}); raise ulimit -l, grant CAP_IPC_LOCK, or use --io mmsg"
    )]
    Memory(io::Error),
    /// A socket failed otherwise.
    #[error("--iface: queue {queue}: {doing}: {error}")]
    Socket {
        /// Which.
        queue: u32,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The XDP program was refused.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl XdpError {
    /// Whether what the user wrote is to be changed.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            XdpError::NoSuchInterface { .. } | XdpError::NoAddress { .. } | XdpError::NotEthernet { .. }
        )
    }

    /// What a socket's error means.
    pub(super) fn of_socket(error: SocketError, queue: u32) -> XdpError {
        let (doing, error) = match error {
            SocketError::SocketCreation(error) => ("opening an AF_XDP socket", error),
            SocketError::SetSockOpt { inner, .. } => ("setting its rings up", inner),
            SocketError::GetSockOpt { inner, .. } => ("asking for its rings", inner),
            SocketError::RingMap { inner, .. } => ("mapping its rings", inner),
            SocketError::Bind(inner) => ("binding it", inner),
        };
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => XdpError::Permission,
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT) => XdpError::NoAfXdp,
            Some(libc::ENOBUFS | libc::ENOMEM) => XdpError::Memory(error),
            Some(libc::EBUSY) => XdpError::QueueTaken { queue },
            Some(libc::EOPNOTSUPP | libc::EINVAL) => XdpError::NotOffered { queue, error },
            _ => XdpError::Socket { queue, doing, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_one_line_that_names_the_fix() {
        for (errno, fix) in [
            (libc::EPERM, "CAP_NET_RAW"),
            (libc::EAFNOSUPPORT, "--io mmsg"),
            (libc::ENOBUFS, "ulimit -l"),
            (libc::EBUSY, "queue 3 is taken"),
            (libc::EOPNOTSUPP, "--xdp-mode generic"),
            (libc::EIO, "binding it"),
        ] {
            let error = SocketError::Bind(io::Error::from_raw_os_error(errno));
            let line = XdpError::of_socket(error, 3).to_string();
            assert!(line.contains(fix), "{line}");
            assert_eq!(line.lines().count(), 1);
        }
    }
}
