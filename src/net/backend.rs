//! The way to a backend: a UDP socket of a worker that hears one address only, in batches, and never blocks.

use super::memory::{EMPTY_IOVEC, Fixed, empty_header};
use super::outbox::{Fate, send_all};
use super::syscall::{self, recv_messages, send_messages};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Messages that one system call sends or receives at the most.
pub const BACKEND_BATCH: usize = 64;

/// Bytes of room for a message. One that is longer is cut, which its receiver sees by its length.
const ROOM_BYTES: usize = 64;

/// Bytes that the socket's receive buffer is asked to have: a thousand answers, each with the kernel's bookkeeping.
const RECV_BUFFER_BYTES: usize = 1 << 20;

/// What the way to a backend did; all since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BackendCounters {
    /// Messages that the kernel took.
    pub sent: u64,
    /// Messages that it did not take: its buffer was full, or it refused them.
    pub send_error: u64,
    /// Messages that came.
    pub received: u64,
    /// How often the network said that nobody listens there, or that there is no way.
    pub unreachable: u64,
}

/// A connected socket, and messages on their way in and out.
pub struct Backend {
    socket: UdpSocket,
    out: Messages,
    queued: usize,
    incoming: Messages,
    received: usize,
    is_away: bool,
    counters: BackendCounters,
}

/// Buffers, and the headers that point at them.
struct Messages {
    headers: Fixed<libc::mmsghdr>,
    vectors: Fixed<libc::iovec>,
    bytes: Fixed<[u8; ROOM_BYTES]>,
}

impl Messages {
    fn new() -> Messages {
        let bytes = Fixed::new([0; ROOM_BYTES], BACKEND_BATCH);
        let mut vectors = Fixed::new(EMPTY_IOVEC, BACKEND_BATCH);
        let mut headers = Fixed::new(empty_header(), BACKEND_BATCH);
        for at in 0..BACKEND_BATCH {
            *vectors.get_mut(at) = libc::iovec { iov_base: bytes.pointer(at).cast(), iov_len: ROOM_BYTES };
            let header = &mut headers.get_mut(at).msg_hdr;
            header.msg_iov = vectors.pointer(at);
            header.msg_iovlen = 1;
        }
        Messages { headers, vectors, bytes }
    }
}

impl Backend {
    /// The way to a backend at `addr`. Whether anybody is there shows only when something is sent.
    pub fn connect(addr: SocketAddr) -> io::Result<Backend> {
        let any = match addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(addr)?;
        socket.set_nonblocking(true)?;
        let socket = socket2::Socket::from(socket);
        syscall::raise_buffer(&socket, syscall::Direction::Receive, RECV_BUFFER_BYTES)?;
        Ok(Backend {
            socket: socket.into(),
            out: Messages::new(),
            queued: 0,
            incoming: Messages::new(),
            received: 0,
            is_away: false,
            counters: BackendCounters::default(),
        })
    }

    /// Queues a message; a full batch is sent at once.
    ///
    /// # Panics
    /// When it is longer than 64 bytes.
    pub fn push(&mut self, message: &[u8]) {
        self.out.bytes.get_mut(self.queued)[..message.len()].copy_from_slice(message);
        self.out.vectors.get_mut(self.queued).iov_len = message.len();
        self.queued += 1;
        if self.queued == BACKEND_BATCH {
            self.flush();
        }
    }

    /// Sends what is queued. What the kernel does not take at once is counted and dropped.
    pub fn flush(&mut self) {
        let count = std::mem::take(&mut self.queued);
        let (socket, headers, counters) = (self.socket.as_fd(), &mut self.out.headers, &mut self.counters);
        // SAFETY: every header points at a vector and a buffer of `out`, which live as long as it does.
        let send = |first| unsafe { send_messages(socket, headers, first, count) };
        let mut is_away = false;
        send_all(count, send, |messages, fate| match fate {
            Fate::Sent => counters.sent += messages.len() as u64,
            Fate::Refused | Fate::TimedOut => counters.send_error += messages.len() as u64,
            // The answer of the network to an earlier message.
            Fate::Delayed => is_away = true,
        });
        if is_away {
            self.note_away();
        }
    }

    /// Takes what has come, up to a batch, in place of what came before; how many messages.
    pub fn recv(&mut self) -> usize {
        // SAFETY: every header points at a vector and a buffer of `incoming`, which nothing references now.
        let received =
            unsafe { recv_messages(self.socket.as_fd(), &mut self.incoming.headers, 0, BACKEND_BATCH) };
        self.received = received.unwrap_or_else(|error| {
            if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                self.note_away();
            }
            0
        });
        self.counters.received += self.received as u64;
        self.received
    }

    /// What the last [`recv`](Backend::recv) took.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.received).map(|at| {
            let len = self.incoming.headers.get(at).msg_len as usize;
            &self.incoming.bytes.get(at)[..len.min(ROOM_BYTES)]
        })
    }

    /// Whether the network has said since the last call that the backend cannot be reached.
    pub fn take_away(&mut self) -> bool {
        std::mem::take(&mut self.is_away)
    }

    /// What happened since it was made.
    pub fn counters(&self) -> BackendCounters {
        self.counters
    }

    fn note_away(&mut self) {
        self.is_away = true;
        self.counters.unreachable += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn peer() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    }

    fn wait_for(mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < end, "waited in vain");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Expect: more than a batch goes out whole and in order, and what comes back is seen at its length.
    #[test]
    fn batches_go_out_and_come_in() {
        let (peer, addr) = peer();
        let mut backend = Backend::connect(addr).unwrap();
        for at in 0..BACKEND_BATCH as u8 + 3 {
            backend.push(&[at; 48]);
        }
        backend.flush();
        let mut bytes = [0; 128];
        for at in 0..BACKEND_BATCH as u8 + 3 {
            let (len, from) = peer.recv_from(&mut bytes).unwrap();
            assert_eq!(&bytes[..len], [at; 48]);
            peer.send_to(&bytes[..usize::from(at)], from).unwrap();
        }
        let mut heard = Vec::new();
        wait_for(|| {
            backend.recv();
            heard.extend(backend.messages().map(<[u8]>::len));
            heard.len() == BACKEND_BATCH + 3
        });
        let sent = (0..BACKEND_BATCH + 3).map(|len| len.min(ROOM_BYTES)).collect::<Vec<_>>();
        assert_eq!(heard, sent);
        assert_eq!((backend.counters().sent, backend.counters().received), (67, 67));
    }

    /// Expect: where nobody listens sending does not fail or block for long, and it is noticed.
    #[test]
    fn a_backend_that_is_gone_is_noticed() {
        let (peer, addr) = peer();
        drop(peer);
        let mut backend = Backend::connect(addr).unwrap();
        backend.push(&[1; 48]);
        backend.flush();
        wait_for(|| {
            backend.recv();
            backend.take_away()
        });
        assert!(!backend.take_away());
        assert_eq!(backend.counters().unreachable, 1);
    }

    /// Expect: others than the backend are not heard.
    #[test]
    fn nobody_else_is_heard() {
        let (peer, addr) = peer();
        let mut backend = Backend::connect(addr).unwrap();
        let own = SocketAddr::from(([127, 0, 0, 1], backend.socket.local_addr().unwrap().port()));
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[1; 48], own).unwrap();
        peer.send_to(&[2; 48], own).unwrap();
        wait_for(|| backend.recv() == 1);
        assert!(backend.messages().eq([&[2; 48][..]]));
        assert_eq!(backend.recv(), 0);
    }
}
