//! The system calls on message batches, as safe as they can be made.

use super::memory::Fixed;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Receives up to `count` datagrams into the messages from `first` on, without blocking.
///
/// # Safety
/// The headers `first..first + count` point at memory that is valid for writing and that nothing
/// references now.
pub(super) unsafe fn recv_messages(
    socket: BorrowedFd<'_>,
    headers: &mut Fixed<libc::mmsghdr>,
    first: usize,
    count: usize,
) -> io::Result<usize> {
    if count == 0 {
        return Ok(0);
    }
    assert!(first + count <= headers.len());
    // SAFETY: the headers lie within their array, and the caller answers for what they point at.
    let result = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.pointer(first),
            count as _,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sends the messages from `first` up to `end`, and returns how many the kernel took.
///
/// # Safety
/// The headers `first..end` point at memory that is valid for reading.
pub(super) unsafe fn send_messages(
    socket: BorrowedFd<'_>,
    headers: &mut Fixed<libc::mmsghdr>,
    first: usize,
    end: usize,
) -> io::Result<usize> {
    assert!(first < end && end <= headers.len());
    // SAFETY: the headers lie within their array, and the caller answers for what they point at.
    let result = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.pointer(first), (end - first) as _, 0) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sets an integer socket option.
pub(super) fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a local integer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Something to wait for: readable, or failed.
pub(super) fn readable(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Blocks until one of `fds` is ready or the time is over; whether one is.
pub(super) fn poll(fds: &mut [libc::pollfd], timeout: Duration) -> bool {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the pointers are those of a slice and of a local, both live during the call.
    unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &timeout, std::ptr::null()) > 0 }
}

/// Raises a buffer of a socket to `bytes`: past the system's limit where we may, else up to it.
pub(super) fn raise_buffer(
    socket: &socket2::Socket,
    direction: Direction,
    bytes: usize,
) -> io::Result<usize> {
    use std::os::fd::AsFd;
    let value = i32::try_from(bytes).unwrap_or(i32::MAX);
    let (force, got): (_, fn(&socket2::Socket) -> io::Result<usize>) = match direction {
        Direction::Receive => (libc::SO_RCVBUFFORCE, socket2::Socket::recv_buffer_size),
        Direction::Send => (libc::SO_SNDBUFFORCE, socket2::Socket::send_buffer_size),
    };
    if set_option(socket.as_fd(), libc::SOL_SOCKET, force, value).is_err() {
        match direction {
            Direction::Receive => socket.set_recv_buffer_size(bytes)?,
            Direction::Send => socket.set_send_buffer_size(bytes)?,
        }
    }
    // The kernel doubles what it is asked for, to have room for its bookkeeping, and reports the double.
    Ok(got(socket)? / 2)
}

/// Which of a socket's two buffers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Receive,
    Send,
}
