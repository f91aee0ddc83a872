//! Receives from connected sockets, and cuts GRO runs into their datagrams.

use super::super::control::{CONTROL_BYTES, Control};
use super::super::memory::{EMPTY_IOVEC, Fixed, empty_header};
use super::super::syscall::recv_messages;
use super::ClientCounters;
use super::queues::BATCH;
use redpkt_proto::DATAGRAM_BYTES_MAX;
use std::os::fd::BorrowedFd;

/// Messages of one call where each may be a run.
const RUNS: usize = 8;

/// Bytes of the longest run.
const RUN_BYTES: usize = 1 << 16;

/// Where the kernel puts what it receives. The headers point at the other three.
pub(super) struct Incoming {
    headers: Fixed<libc::mmsghdr>,
    _vectors: Fixed<libc::iovec>,
    controls: Fixed<Control>,
    bytes: Fixed<u8>,
    /// Messages of one call, and room for each.
    messages: usize,
    message_bytes: usize,
}

impl Incoming {
    pub(super) fn new(gro: bool) -> Incoming {
        let (messages, message_bytes) = if gro { (RUNS, RUN_BYTES) } else { (BATCH, DATAGRAM_BYTES_MAX) };
        let bytes = Fixed::new(0u8, messages * message_bytes);
        let controls = Fixed::new(Control::EMPTY, messages);
        let mut vectors = Fixed::new(EMPTY_IOVEC, messages);
        let mut headers = Fixed::new(empty_header(), messages);
        for i in 0..messages {
            *vectors.get_mut(i) =
                libc::iovec { iov_base: bytes.pointer(i * message_bytes).cast(), iov_len: message_bytes };
            let header = &mut headers.get_mut(i).msg_hdr;
            header.msg_iov = vectors.pointer(i);
            header.msg_iovlen = 1;
            header.msg_control = controls.pointer(i).cast();
            header.msg_controllen = CONTROL_BYTES;
        }
        Incoming { headers, _vectors: vectors, controls, bytes, messages, message_bytes }
    }

    /// Takes one batch of what waits; whether more may wait.
    pub(super) fn recv(
        &mut self,
        socket: BorrowedFd<'_>,
        counters: &mut ClientCounters,
        on_datagram: &mut impl FnMut(&mut [u8]),
    ) -> bool {
        counters.recv_calls += 1;
        // SAFETY: the headers point at our own memory, which nothing references between calls.
        match unsafe { recv_messages(socket, &mut self.headers, 0, self.messages) } {
            Ok(count) => {
                counters.packets_received += count as u64;
                for message in 0..count {
                    self.deliver(message, counters, on_datagram);
                }
                count == self.messages
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => false,
                Some(libc::EINTR) => true,
                // Reported once; what waits behind it can be taken now.
                Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH) => {
                    counters.unreachable += 1;
                    true
                }
                _ => {
                    counters.recv_errors += 1;
                    false
                }
            },
        }
    }

    fn deliver(
        &mut self,
        message: usize,
        counters: &mut ClientCounters,
        on_datagram: &mut impl FnMut(&mut [u8]),
    ) {
        let header = self.headers.get_mut(message);
        let bytes = (header.msg_len as usize).min(self.message_bytes);
        let control_bytes = std::mem::replace(&mut header.msg_hdr.msg_controllen, CONTROL_BYTES);
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            counters.truncated += 1;
            return;
        }
        let segment = self.controls.get(message).read(control_bytes).segment_bytes.unwrap_or(bytes);
        let first = self.bytes.pointer(message * self.message_bytes);
        // SAFETY: the message's place has `message_bytes` initialised bytes, and `&mut self` makes this the
        // only reference to them.
        let run = unsafe { std::slice::from_raw_parts_mut(first, bytes) };
        if run.is_empty() {
            counters.datagrams_received += 1;
            return on_datagram(run);
        }
        for datagram in run.chunks_mut(segment.max(1)) {
            if datagram.len() > DATAGRAM_BYTES_MAX {
                counters.truncated += 1;
            } else {
                counters.datagrams_received += 1;
                on_datagram(datagram);
            }
        }
    }
}
