//! Opens connected sockets by the thousand.

use super::super::bind::SEND_TIMEOUT;
use super::super::syscall::{Direction, raise_buffer, set_option};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Bytes of each socket's buffers, as far as the system allows.
const BUFFER_BYTES: usize = 4 << 20;

/// Files that a process needs beside its sockets.
const OTHER_FILES: u64 = 64;

/// Why there are no client sockets. Each message is one line that names the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The process may not have that many files open.
    #[error(
        "{sockets} source ports need {needed} open files and the hard limit is {hard}; \
         use fewer source ports or raise the limit (ulimit -Hn)"
    )]
    FileLimit {
        /// Sockets asked for.
        sockets: usize,
        /// Files needed with them.
        needed: u64,
        /// RLIMIT_NOFILE's hard value.
        hard: u64,
    },
    /// No free port is left to send from.
    #[error(
        "no free source port towards {target} after {opened}; use fewer source ports or widen \
         net.ipv4.ip_local_port_range"
    )]
    PortsExhausted {
        /// The server's address.
        target: SocketAddr,
        /// Sockets that got one.
        opened: usize,
    },
    /// The kernel cannot send or receive runs.
    #[error("this kernel has no UDP GSO or GRO ({error}); leave that option out")]
    NoGso {
        /// What the system said.
        error: io::Error,
    },
    /// The system refused something else.
    #[error("cannot {doing} for {target}: {error}")]
    Other {
        /// The server's address.
        target: SocketAddr,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Sockets connected to `target`, and an epoll that watches them by index.
pub(super) fn open_all(
    target: SocketAddr,
    count: usize,
    gso: bool,
) -> Result<(Vec<Socket>, OwnedFd), ConnectError> {
    raise_file_limit(count)?;
    let other = |doing| move |error| ConnectError::Other { target, doing, error };
    let epoll = new_epoll().map_err(other("make an epoll"))?;
    let mut sockets = Vec::with_capacity(count);
    for index in 0..count {
        let socket = open(target).map_err(other("open a UDP socket"))?;
        if gso {
            enable_runs(&socket).map_err(|error| ConnectError::NoGso { error })?;
        }
        socket.connect(&target.into()).map_err(|error| match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EADDRNOTAVAIL) => {
                ConnectError::PortsExhausted { target, opened: index }
            }
            _ => other("connect a UDP socket")(error),
        })?;
        watch(&epoll, &socket, index).map_err(other("watch a socket"))?;
        sockets.push(socket);
    }
    Ok((sockets, epoll))
}

fn open(target: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    raise_buffer(&socket, Direction::Receive, BUFFER_BYTES)?;
    raise_buffer(&socket, Direction::Send, BUFFER_BYTES)?;
    Ok(socket)
}

/// Receives runs, and finds out whether runs can be sent (their size is said with each).
fn enable_runs(socket: &Socket) -> io::Result<()> {
    set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0)?;
    set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Raises the soft limit on open files if that many sockets need it.
fn raise_file_limit(sockets: usize) -> Result<(), ConnectError> {
    let needed = sockets as u64 + OTHER_FILES;
    // A system that does not say has no limit that we could raise.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if needed <= soft {
        return Ok(());
    }
    if needed > hard || setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        return Err(ConnectError::FileLimit { sockets, needed, hard });
    }
    Ok(())
}

fn new_epoll() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn watch(epoll: &OwnedFd, socket: &Socket, index: usize) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
    // SAFETY: the event lives during the call; the descriptors are open.
    let result =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
