//! The engine over UDP sockets: recvmmsg and sendmmsg on buffers built once.

use super::address::{Family, NAME_BYTES, Name};
use super::control::{CONTROL_BYTES, Control};
use super::locals::{Local, Locals, OwnEnds, local_name, split_name};
use super::memory::{Buffer, EMPTY_IOVEC, Fixed, empty_header};
use super::outbox::Outbox;
use super::shedding;
use super::steering::Steering;
use super::syscall::{poll, readable, recv_messages};
use super::waker::Waker;
use super::{Counters, Datagram, Engine};
use crate::gate::Gate;
use redpkt_proto::{DATAGRAM_BYTES_MAX, Path};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One worker's socket at one listen address.
pub(super) struct Listen {
    pub(super) socket: Socket,
    pub(super) addr: SocketAddr,
    pub(super) recv_buffer_bytes: usize,
}

/// What all engines of a server share or say alike.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) locals: Arc<Locals>,
    pub(super) steering: Steering,
    pub(super) batch: usize,
}

/// Longer waits are a step of the system's clock: no socket's buffer holds so much.
const WAITED_NS_MAX: u64 = 1_000_000_000;

/// The system's wall clock, in ns since 1970.
fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A datagram of the last batch: who sent it, and which buffer it lies in.
#[derive(Clone, Copy)]
struct Arrival {
    path: Path,
    bytes: u16,
    slot: u16,
}

/// A datagram that waits to be sent.
#[derive(Clone, Copy)]
struct Queued {
    local: u16,
    bytes: u16,
}

/// Where the kernel puts what it receives. The headers point at the other four.
struct Inbox {
    headers: Fixed<libc::mmsghdr>,
    _vectors: Fixed<libc::iovec>,
    names: Fixed<Name>,
    controls: Fixed<Control>,
    buffers: Fixed<Buffer>,
}

/// A worker's sockets, one for each listen address, and all memory that their datagrams pass through.
pub struct MmsgEngine {
    listens: Box<[Listen]>,
    addrs: Box<[SocketAddr]>,
    /// By socket: its drop counter when we last saw it.
    dropped: Box<[u32]>,
    common: Common,
    waker: Waker,
    /// The sockets, then the waker's event.
    poll_fds: Box<[libc::pollfd]>,
    inbox: Inbox,
    arrivals: Box<[Arrival]>,
    arrived: usize,
    /// How long the first datagrams of the last batch had waited at the most, in ns.
    waited_ns: Option<u64>,
    /// Whether the kernel drops what there is no time for; and by socket, whether it has since its drop counter was
    /// last seen.
    sheds: bool,
    has_shed: Box<[bool]>,
    /// Which socket is asked first.
    turn: usize,
    outbox: Outbox,
    queue: Box<[Queued]>,
    queue_names: Fixed<Name>,
    queue_buffers: Fixed<Buffer>,
    queued: usize,
    counters: Counters,
}

impl MmsgEngine {
    pub(super) fn new(listens: Vec<Listen>, common: Common) -> io::Result<MmsgEngine> {
        let waker = Waker::new()?;
        let mut poll_fds: Vec<_> = listens.iter().map(|listen| readable(listen.socket.as_fd())).collect();
        poll_fds.push(readable(waker.event()));
        let batch = common.batch;
        let nobody = Arrival { path: Path::NONE, bytes: 0, slot: 0 };
        Ok(MmsgEngine {
            addrs: listens.iter().map(|listen| listen.addr).collect(),
            dropped: vec![0; listens.len()].into_boxed_slice(),
            has_shed: vec![false; listens.len()].into_boxed_slice(),
            listens: listens.into_boxed_slice(),
            common,
            waker,
            poll_fds: poll_fds.into_boxed_slice(),
            inbox: Inbox::new(batch),
            arrivals: vec![nobody; batch].into_boxed_slice(),
            arrived: 0,
            waited_ns: None,
            sheds: false,
            turn: 0,
            outbox: Outbox::new(batch),
            queue: vec![Queued { local: 0, bytes: 0 }; batch].into_boxed_slice(),
            queue_names: Fixed::new(Name::EMPTY, batch),
            queue_buffers: Fixed::new(Buffer::EMPTY, batch),
            queued: 0,
            counters: Counters::default(),
        })
    }

    /// The addresses listened at, in the order asked for, with the ports that 0 became.
    pub fn listen_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Whether the kernel brings each datagram to its owner.
    pub fn steering(&self) -> Steering {
        self.common.steering
    }

    /// Bytes of the smallest receive buffer that a socket of this engine got.
    pub fn recv_buffer_bytes(&self) -> usize {
        self.listens.iter().map(|listen| listen.recv_buffer_bytes).min().unwrap_or(0)
    }

    /// The table that its paths' names are from.
    pub(super) fn locals(&self) -> &Arc<Locals> {
        &self.common.locals
    }

    /// What it waits for: its sockets, and last the waker's event.
    pub(super) fn poll_fds(&self) -> &[libc::pollfd] {
        &self.poll_fds
    }

    /// Receives at most `room` datagrams of one socket into the slots from `first` on; how many.
    fn recv_from(&mut self, listen: usize, first: usize, room: usize) -> usize {
        let wildcard = self.addrs[listen].ip().is_unspecified();
        // A packet info is wanted for each message of a wildcard socket. The drop counter is cumulative,
        // so that of one message in the batch will do.
        let controls = if wildcard { room } else { room.min(1) };
        for slot in first..first + controls {
            self.inbox.headers.get_mut(slot).msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        self.counters.recv_calls += 1;
        let socket = self.listens[listen].socket.as_fd();
        // SAFETY: the headers point into the inbox, which nobody references: `datagrams` borrows `self`.
        let result = unsafe { recv_messages(socket, &mut self.inbox.headers, first, room) };
        let count = result.unwrap_or_else(|error| {
            let none = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR));
            self.counters.recv_error += u64::from(!none);
            0
        });
        for slot in first..first + count {
            if let Some(received_ns) = self.take(listen, slot)
                && slot == first
            {
                // Both are the system's wall clock. A step of it between the two is no wait.
                let waited_ns = u64::try_from(wall_ns().saturating_sub(received_ns)).unwrap_or(0);
                self.waited_ns = self.waited_ns.max(Some(waited_ns.min(WAITED_NS_MAX)));
            }
        }
        for slot in first..first + controls {
            self.inbox.headers.get_mut(slot).msg_hdr.msg_controllen = 0;
        }
        self.counters.datagrams_in += count as u64;
        count
    }

    /// Looks at the message in `slot`: an arrival, or dropped and counted. When the kernel received it, if it says so.
    fn take(&mut self, listen: usize, slot: usize) -> Option<i64> {
        let header = self.inbox.headers.get_mut(slot);
        let bytes = header.msg_len as u16;
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let control_bytes = header.msg_hdr.msg_controllen;
        header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
        let mut local_address = 0;
        let mut received_ns = None;
        if control_bytes > 0 {
            let received = self.inbox.controls.get(slot).read(control_bytes);
            if let Some(dropped) = received.dropped {
                let seen = std::mem::replace(&mut self.dropped[listen], dropped);
                let lost = u64::from(dropped.wrapping_sub(seen));
                let has_shed = std::mem::replace(&mut self.has_shed[listen], self.sheds);
                *(if has_shed { &mut self.counters.shed } else { &mut self.counters.rxq_overflow }) += lost;
            }
            received_ns = received.received_ns;
            if let Some(ip) = received.local_ip {
                local_address = self.common.locals.number(Local::at(ip));
            }
        }
        if truncated {
            self.counters.truncated += 1;
            return received_ns;
        }
        let local = local_name(listen, local_address);
        let Some(path) = self.inbox.names.get(slot).answerable_path(local) else {
            self.counters.source += 1;
            return received_ns;
        };
        self.arrivals[self.arrived] = Arrival { path, bytes, slot: slot as u16 };
        self.arrived += 1;
        received_ns
    }

    fn family(&self, listen: usize) -> Family {
        Family::of(self.addrs[listen].ip())
    }
}

impl Engine for MmsgEngine {
    /// With several sockets, each may first fill its share of the batch, and what room remains goes to
    /// those that have more: a flooded socket does not starve another.
    fn recv(&mut self) -> usize {
        self.arrived = 0;
        self.waited_ns = None;
        let sockets = self.listens.len();
        let batch = self.common.batch;
        let mut filled = 0;
        let mut waiting = u64::MAX >> (u64::BITS as usize - sockets);
        while waiting != 0 && filled < batch {
            let share = ((batch - filled) / waiting.count_ones() as usize).max(1);
            for nth in 0..sockets {
                let listen = (self.turn + nth) % sockets;
                let room = share.min(batch - filled);
                if room > 0 && waiting & 1 << listen != 0 {
                    let count = self.recv_from(listen, filled, room);
                    filled += count;
                    if count < room {
                        waiting &= !(1 << listen);
                    }
                }
            }
        }
        self.turn = (self.turn + 1) % sockets;
        self.arrived
    }

    fn datagrams(&mut self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        let buffers = &self.inbox.buffers;
        self.arrivals[..self.arrived].iter().map(move |arrival| {
            let first = buffers.pointer(usize::from(arrival.slot)).cast::<u8>();
            // SAFETY: the buffer is initialised and at least that long (no message is longer than its
            // vector); each arrival has a slot of its own, and the iterator borrows the engine mutably,
            // so this is the only reference to these bytes.
            let bytes = unsafe { std::slice::from_raw_parts_mut(first, usize::from(arrival.bytes)) };
            Datagram { path: arrival.path, bytes }
        })
    }

    fn waited_ns(&self) -> Option<u64> {
        self.waited_ns
    }

    fn reply(&mut self, reply_bytes: &[usize]) {
        assert_eq!(reply_bytes.len(), self.arrived, "one reply length for each datagram");
        let mut current = 0;
        for (arrival, &bytes) in self.arrivals[..self.arrived].iter().zip(reply_bytes) {
            if bytes == 0 {
                continue;
            }
            assert!(bytes <= usize::from(arrival.bytes), "a reply is written over its datagram");
            let (listen, address) = split_name(arrival.path.local);
            if listen != current {
                self.outbox.send(self.listens[current].socket.as_fd(), &mut self.counters);
                current = listen;
            }
            let slot = usize::from(arrival.slot);
            let first = self.inbox.buffers.pointer(slot).cast();
            let name = self.inbox.names.pointer(slot);
            let family = Family::of(self.addrs[listen].ip());
            let source = self.common.locals.address(address);
            // SAFETY: buffers and names are fixed, and unchanged until the outbox is sent below.
            unsafe { self.outbox.push(first, bytes, name, family, source) };
        }
        self.outbox.send(self.listens[current].socket.as_fd(), &mut self.counters);
    }

    fn send(&mut self, path: &Path, bytes: &[u8]) {
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX, "longer than a datagram");
        let (listen, _) = split_name(path.local);
        let name = (listen < self.listens.len()).then(|| Name::of(path, self.family(listen))).flatten();
        let Some(name) = name else {
            self.counters.send_error += 1;
            return;
        };
        let at = self.queued;
        self.queue[at] = Queued { local: path.local, bytes: bytes.len() as u16 };
        *self.queue_names.get_mut(at) = name;
        self.queue_buffers.get_mut(at).0[..bytes.len()].copy_from_slice(bytes);
        self.queued += 1;
        if self.queued == self.queue.len() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let queued = std::mem::take(&mut self.queued);
        if queued == 0 {
            return;
        }
        // One pass for each socket, so that the datagrams of each leave together however they mix.
        let mut left = queued;
        for (listen, socket) in self.listens.iter().enumerate() {
            let family = Family::of(self.addrs[listen].ip());
            for at in 0..queued {
                let Queued { local, bytes } = self.queue[at];
                let (of_listen, address) = split_name(local);
                if of_listen != listen {
                    continue;
                }
                left -= 1;
                let first = self.queue_buffers.pointer(at).cast();
                let name = self.queue_names.pointer(at);
                let source = self.common.locals.address(address);
                // SAFETY: buffers and names are fixed, and unchanged until the outbox is sent below.
                unsafe { self.outbox.push(first, usize::from(bytes), name, family, source) };
            }
            self.outbox.send(socket.socket.as_fd(), &mut self.counters);
            if left == 0 {
                break;
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        self.flush();
        if timeout.is_zero() || !self.waker.begin_sleep() {
            return;
        }
        self.counters.sleeps += 1;
        let ready = poll(&mut self.poll_fds, timeout);
        let event = self.poll_fds.last().is_some_and(|fd| fd.revents != 0);
        self.waker.end_sleep(ready && event);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn own_ends(&self) -> OwnEnds {
        OwnEnds::new(&self.addrs, &self.common.locals)
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn set_gate(&mut self, gate: &Gate) {
        if self.sheds || gate.sheds_in_kernel() {
            let all = self.listens.iter().map(|listen| shedding::attach(&listen.socket, gate));
            let attached = all.fold(true, |all, one| all & one.is_ok());
            self.sheds = attached && gate.sheds_in_kernel();
            if self.sheds {
                self.has_shed.fill(true);
            }
        }
    }
}

impl Inbox {
    fn new(batch: usize) -> Inbox {
        let mut headers = Fixed::new(empty_header(), batch);
        let mut vectors = Fixed::new(EMPTY_IOVEC, batch);
        let names = Fixed::new(Name::EMPTY, batch);
        let controls = Fixed::new(Control::EMPTY, batch);
        let buffers = Fixed::new(Buffer::EMPTY, batch);
        for slot in 0..batch {
            *vectors.get_mut(slot) =
                libc::iovec { iov_base: buffers.pointer(slot).cast(), iov_len: DATAGRAM_BYTES_MAX };
            let header = &mut headers.get_mut(slot).msg_hdr;
            header.msg_name = names.pointer(slot).cast();
            header.msg_namelen = NAME_BYTES as libc::socklen_t;
            header.msg_iov = vectors.pointer(slot);
            header.msg_iovlen = 1;
            header.msg_control = controls.pointer(slot).cast();
        }
        Inbox { headers, _vectors: vectors, names, controls, buffers }
    }
}
