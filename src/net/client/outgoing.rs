//! Sends a queue of one connected socket, as single datagrams or as GSO runs.

use super::super::control::Control;
use super::super::memory::{EMPTY_IOVEC, Fixed, empty_header};
use super::super::outbox::{Fate, send_all};
use super::super::syscall::send_messages;
use super::ClientCounters;
use super::queues::BATCH;
use std::os::fd::BorrowedFd;

/// Bytes of one run at the most: an IPv4 packet holds 65,535 with its headers. Its segments are at most
/// [`BATCH`], which is what kernels before 6.7 allow.
const RUN_BYTES_MAX: usize = 65_000;

/// Message headers for a batch of one socket. Datagram `i` has vector `i`; the vectors of one message stand
/// in a row.
pub(super) struct Outgoing {
    gso: bool,
    headers: Fixed<libc::mmsghdr>,
    vectors: Fixed<libc::iovec>,
    controls: Fixed<Control>,
    /// By message: how many datagrams it carries.
    datagrams: [u16; BATCH],
}

impl Outgoing {
    pub(super) fn new(gso: bool) -> Outgoing {
        Outgoing {
            gso,
            headers: Fixed::new(empty_header(), BATCH),
            vectors: Fixed::new(EMPTY_IOVEC, BATCH),
            controls: Fixed::new(Control::EMPTY, BATCH),
            datagrams: [0; BATCH],
        }
    }

    /// Sends datagrams (first byte and length, at most a batch), whose bytes stay as they are meanwhile.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (*mut u8, usize)>,
        counters: &mut ClientCounters,
    ) {
        let messages = self.fill(datagrams);
        let headers = &mut self.headers;
        // SAFETY: `fill` pointed the headers at our vectors and controls and at the caller's datagrams.
        let send = |first| unsafe { send_messages(socket, headers, first, messages) };
        let calls = send_all(messages, send, |messages, fate| {
            let count: u64 = self.datagrams[messages.clone()].iter().map(|&count| u64::from(count)).sum();
            match fate {
                Fate::Sent => {
                    counters.datagrams_sent += count;
                    counters.packets_sent += messages.len() as u64;
                }
                Fate::Refused | Fate::TimedOut => counters.send_errors += count,
                Fate::Delayed => counters.unreachable += 1,
            }
        });
        counters.send_calls += calls;
    }

    /// Points the headers at the datagrams; how many messages they make.
    fn fill(&mut self, datagrams: impl Iterator<Item = (*mut u8, usize)>) -> usize {
        let mut messages = 0;
        // Bytes of each segment, and of all, of the message being filled.
        let (mut segment, mut total) = (0, 0);
        for (i, (first, bytes)) in datagrams.enumerate() {
            *self.vectors.get_mut(i) = libc::iovec { iov_base: first.cast(), iov_len: bytes };
            let joins = self.gso && bytes > 0 && bytes == segment && total + bytes <= RUN_BYTES_MAX;
            if !joins {
                self.start_message(messages, i);
                messages += 1;
                (segment, total) = (bytes, 0);
            } else if total == segment {
                self.make_run(messages - 1, segment as u16);
            }
            total += bytes;
            self.headers.get_mut(messages - 1).msg_hdr.msg_iovlen += 1;
            self.datagrams[messages - 1] += 1;
        }
        messages
    }

    fn start_message(&mut self, message: usize, vector: usize) {
        let header = &mut self.headers.get_mut(message).msg_hdr;
        header.msg_iov = self.vectors.pointer(vector);
        header.msg_iovlen = 0;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        self.datagrams[message] = 0;
    }

    fn make_run(&mut self, message: usize, segment_bytes: u16) {
        let used = self.controls.get_mut(message).write_segment_bytes(segment_bytes);
        let header = &mut self.headers.get_mut(message).msg_hdr;
        header.msg_control = self.controls.pointer(message).cast();
        header.msg_controllen = used;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many datagrams each message carries.
    fn runs(gso: bool, lengths: &[usize]) -> Vec<u16> {
        let mut outgoing = Outgoing::new(gso);
        let messages = outgoing.fill(lengths.iter().map(|&bytes| (std::ptr::null_mut(), bytes)));
        for message in 0..messages {
            let run = outgoing.headers.get(message).msg_hdr.msg_controllen > 0;
            assert_eq!(run, outgoing.datagrams[message] > 1, "a segment size is said for runs only");
        }
        outgoing.datagrams[..messages].to_vec()
    }

    #[test]
    fn equal_neighbours_make_a_run_and_others_do_not() {
        assert_eq!(runs(true, &[64, 64, 64, 128, 64, 64]), [3, 1, 2]);
        assert_eq!(runs(true, &[64; BATCH]), [64]);
        assert_eq!(runs(true, &[0, 0]), [1, 1]);
    }

    #[test]
    fn a_run_stays_below_its_bytes() {
        assert_eq!(runs(true, &[1_152; BATCH]), [56, 8]);
    }

    #[test]
    fn without_gso_each_datagram_is_a_message() {
        assert_eq!(runs(false, &[64; 5]), [1; 5]);
    }
}
