//! A batch on its way out: short sends are continued, and what the kernel refuses is skipped.

use super::Counters;
use super::address::{Family, Name};
use super::control::Control;
use super::memory::{EMPTY_IOVEC, Fixed, empty_header};
use super::syscall::send_messages;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// What became of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The kernel took them.
    Sent,
    /// The kernel refused this one.
    Refused,
    /// The send buffer stayed full for the socket's send timeout, so the rest of the batch is given up.
    TimedOut,
    /// Nothing yet: the socket reported what an earlier datagram met (ICMP), and is asked again.
    Delayed,
}

/// Offers messages `0..count` until each has its fate, which `fate` is told; returns the number of calls.
///
/// `send(first)` offers `first..count` and returns how many were taken, as sendmmsg does: an error is
/// about message `first`, and an error after the first message is not reported by that call.
pub(super) fn send_all(
    count: usize,
    mut send: impl FnMut(usize) -> io::Result<usize>,
    mut fate: impl FnMut(Range<usize>, Fate),
) -> u64 {
    let mut first = 0;
    let mut calls = 0;
    let mut delayed = None;
    while first < count {
        calls += 1;
        let error = match send(first) {
            // None taken and no error has no meaning; it must not make a loop without end either.
            Ok(0) => libc::EINVAL,
            Ok(taken) => {
                let taken = taken.min(count - first);
                fate(first..first + taken, Fate::Sent);
                first += taken;
                continue;
            }
            Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
        };
        match error {
            libc::EINTR => {}
            libc::EAGAIN => {
                fate(first..count, Fate::TimedOut);
                first = count;
            }
            libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH if delayed != Some(first) => {
                delayed = Some(first);
                fate(first..first, Fate::Delayed);
            }
            _ => {
                fate(first..first + 1, Fate::Refused);
                first += 1;
            }
        }
    }
    calls
}

/// Message headers for datagrams of one socket, built once. The datagrams lie elsewhere.
pub(super) struct Outbox {
    headers: Fixed<libc::mmsghdr>,
    vectors: Fixed<libc::iovec>,
    controls: Fixed<Control>,
    len: usize,
}

impl Outbox {
    pub(super) fn new(capacity: usize) -> Outbox {
        let mut headers = Fixed::new(empty_header(), capacity);
        let vectors = Fixed::new(EMPTY_IOVEC, capacity);
        for i in 0..capacity {
            let header = &mut headers.get_mut(i).msg_hdr;
            header.msg_iov = vectors.pointer(i);
            header.msg_iovlen = 1;
        }
        Outbox { headers, vectors, controls: Fixed::new(Control::EMPTY, capacity), len: 0 }
    }

    /// Adds a datagram of `len` bytes to `name`, leaving from `source` if that is not the socket's only
    /// address.
    ///
    /// # Safety
    /// `bytes` and `name` stay readable and unchanged until [`Outbox::send`] has returned.
    pub(super) unsafe fn push(
        &mut self,
        bytes: *mut u8,
        len: usize,
        name: *mut Name,
        family: Family,
        source: Option<[u8; 16]>,
    ) {
        let i = self.len;
        *self.vectors.get_mut(i) = libc::iovec { iov_base: bytes.cast(), iov_len: len };
        let control_bytes = source.map_or(0, |ip| self.controls.get_mut(i).write_source(ip, family));
        let control = if control_bytes == 0 { std::ptr::null_mut() } else { self.controls.pointer(i).cast() };
        let header = &mut self.headers.get_mut(i).msg_hdr;
        header.msg_name = name.cast();
        header.msg_namelen = family.name_bytes() as libc::socklen_t;
        header.msg_control = control;
        header.msg_controllen = control_bytes as _;
        self.len += 1;
    }

    /// Sends what was added, and is empty again.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, counters: &mut Counters) {
        let count = std::mem::take(&mut self.len);
        let headers = &mut self.headers;
        // SAFETY: headers `0..count` were filled by `push`, whose callers keep bytes and names alive; the
        // vectors and controls are ours.
        let send = |first| unsafe { send_messages(socket, headers, first, count) };
        let calls = send_all(count, send, |messages, fate| {
            let messages = messages.len() as u64;
            match fate {
                Fate::Sent => counters.datagrams_out += messages,
                Fate::Refused => counters.send_error += messages,
                Fate::TimedOut => counters.send_timeout += messages,
                Fate::Delayed => {}
            }
        });
        counters.send_calls += calls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `answers` (a count, or a negated errno) and returns the fates and the number of calls.
    fn play(count: usize, answers: &[i32]) -> (Vec<(Range<usize>, Fate)>, u64) {
        let mut answers = answers.iter();
        let mut fates = Vec::new();
        let send = |_| match *answers.next().expect("asked more often than the scenario says") {
            taken @ 0.. => Ok(taken as usize),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        };
        let calls = send_all(count, send, |range, fate| fates.push((range, fate)));
        assert_eq!(answers.next(), None, "asked less often than the scenario says");
        (fates, calls)
    }

    #[test]
    fn a_short_send_is_continued() {
        assert_eq!(play(64, &[10, 54]), (vec![(0..10, Fate::Sent), (10..64, Fate::Sent)], 2));
    }

    #[test]
    fn a_refused_message_is_skipped_and_the_rest_goes_out() {
        let (fates, calls) = play(4, &[1, -libc::EINVAL, -libc::EPERM, 1]);
        let expected = [(0..1, Fate::Sent), (1..2, Fate::Refused), (2..3, Fate::Refused), (3..4, Fate::Sent)];
        assert_eq!((fates.as_slice(), calls), (expected.as_slice(), 4));
    }

    #[test]
    fn an_interrupted_call_is_repeated() {
        assert_eq!(play(2, &[-libc::EINTR, 2]).0, [(0..2, Fate::Sent)]);
    }

    #[test]
    fn a_buffer_that_stays_full_gives_up_the_rest_at_once() {
        assert_eq!(play(9, &[3, -libc::EAGAIN]).0, [(0..3, Fate::Sent), (3..9, Fate::TimedOut)]);
    }

    #[test]
    fn an_error_of_an_earlier_datagram_is_taken_once_and_then_refuses() {
        let refused = -libc::ECONNREFUSED;
        assert_eq!(play(1, &[refused, 1]).0, [(0..0, Fate::Delayed), (0..1, Fate::Sent)]);
        assert_eq!(play(1, &[refused, refused]).0, [(0..0, Fate::Delayed), (0..1, Fate::Refused)]);
    }

    #[test]
    fn a_call_that_takes_nothing_without_an_error_ends() {
        assert_eq!(play(1, &[0]).0, [(0..1, Fate::Refused)]);
    }
}
