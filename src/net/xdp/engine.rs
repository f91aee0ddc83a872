//! The engine over AF_XDP queues, with UDP sockets beside them for what the kernel keeps.
//!
//! What the program at the interface takes comes through the queues; what it passes (fragments, other
//! interfaces, a queue or an interface that is gone) comes through the sockets as ever. Both name paths alike.

use super::filter::{Link, Program};
use super::headers::{self, Ends, Malformed, Parsed};
use super::interface::Interface;
use super::queue::{Frames, QueueSocket, RING_ENTRIES, set_length};
use crate::gate::Gate;
use crate::net::address::{join_scope, split_scope};
use crate::net::bind::BATCH_MAX;
use crate::net::locals::{Local, Locals, local_name, split_name};
use crate::net::syscall::{poll, readable};
use crate::net::{Counters, Datagram, Engine, MmsgEngine, OwnEnds, Waker};
use arrayvec::ArrayVec;
use redpkt_proto::{DATAGRAM_BYTES_MAX, Path};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xdp::Packet;

/// Turns after which the sockets are asked even though the queues never run dry.
const SOCKETS_EVERY: u32 = 64;

/// How soon what the network would not take is offered again.
const UNSENT_AGAIN: Duration = Duration::from_millis(1);

/// What all engines of a server have in common.
pub(super) struct Attached {
    /// Where the frames come from.
    pub(super) interface: Interface,
    /// The tag of our frames.
    pub(super) vlan: Option<u16>,
    /// Holds the program in its place. Before the program: fields are dropped in this order.
    pub(super) _link: Link,
    /// The program.
    pub(super) program: Program,
}

/// A datagram of the last batch, in the frame that it came in.
struct Arrival {
    frame: Packet,
    payload: Range<usize>,
    path: Path,
    queue: usize,
}

/// How the last batch came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Queues,
    Sockets,
}

/// One worker's queues, and its sockets.
pub struct XdpEngine {
    arrivals: ArrayVec<Arrival, BATCH_MAX>,
    frames: Frames,
    /// Those whose interface has not gone.
    queues: Vec<QueueSocket>,
    attached: Arc<Attached>,
    /// Whether this engine tells what the program counts, which is one program for all.
    counts_for_program: bool,
    listens: Box<[([u8; 16], u16)]>,
    locals: Arc<Locals>,
    /// The local that the last datagram came to, and its number: most datagrams come by one router.
    last_local: (Local, u16),
    sockets: MmsgEngine,
    way: Way,
    /// Whether the sockets may hold something.
    sockets_due: bool,
    /// Turns until they are asked anyway.
    sockets_in: u32,
    /// Datagrams of one batch.
    batch: usize,
    /// Since when every batch was full.
    full_since: Option<Instant>,
    last_recv: Instant,
    waited_ns: Option<u64>,
    /// Which queue is asked first.
    turn: usize,
    waker: Waker,
    /// The queues, the sockets, then the waker's event.
    poll_fds: Vec<libc::pollfd>,
    counters: Counters,
}

// SAFETY: the frames of `arrivals` and `frames` point into the memory of `queues`, which moves with them, and nothing
// else refers to it. Raw descriptors in `poll_fds` are those of `queues` and `sockets`.
unsafe impl Send for XdpEngine {}

impl XdpEngine {
    pub(super) fn new(
        queues: Vec<QueueSocket>,
        sockets: MmsgEngine,
        attached: Arc<Attached>,
        counts_for_program: bool,
        batch: usize,
    ) -> XdpEngine {
        let own = queues.iter().map(|queue| readable(queue.socket_fd()));
        let poll_fds = own.chain(sockets.poll_fds().iter().copied()).collect();
        let nowhere = Local::at([0; 16]);
        XdpEngine {
            arrivals: ArrayVec::new(),
            frames: Frames::default(),
            poll_fds,
            queues,
            listens: sockets.listen_addrs().iter().map(|addr| wire_form(*addr)).collect(),
            locals: Arc::clone(sockets.locals()),
            last_local: (nowhere, 0),
            waker: sockets.waker(),
            sockets,
            way: Way::Queues,
            sockets_due: true,
            sockets_in: SOCKETS_EVERY,
            batch,
            full_since: None,
            last_recv: Instant::now(),
            waited_ns: None,
            turn: 0,
            counts_for_program,
            attached,
            counters: Counters::default(),
        }
    }

    /// The sockets beside the queues.
    pub fn sockets(&self) -> &MmsgEngine {
        &self.sockets
    }

    /// Takes what the sockets have; the batch is theirs if that is something.
    fn recv_sockets(&mut self) -> usize {
        let count = self.sockets.recv();
        self.sockets_due = count > 0;
        self.way = if count > 0 { Way::Sockets } else { Way::Queues };
        count
    }

    /// Takes what the queues have, as far as there is room; and looks at it.
    fn recv_queues(&mut self) {
        for nth in 0..self.queues.len() {
            let queue = (self.turn + nth) % self.queues.len();
            let room = self.batch - self.arrivals.len();
            if room == 0 {
                break;
            }
            self.counters.datagrams_in += self.queues[queue].recv(&mut self.frames, room) as u64;
            while let Some(frame) = self.frames.next() {
                self.take(queue, frame);
            }
        }
        self.turn = self.turn.wrapping_add(1);
        self.note_wait();
    }

    /// How long what has just come may have waited. Nobody says when a frame came, but the rings are read in order:
    /// since they were last empty, or for as long as a ring full of frames takes at the pace of the last batch.
    fn note_wait(&mut self) {
        let now = Instant::now();
        let is_full = self.arrivals.len() == self.batch;
        let since = if is_full { *self.full_since.get_or_insert(now) } else { now };
        let pace = now.saturating_duration_since(std::mem::replace(&mut self.last_recv, now));
        let ring = pace.saturating_mul((RING_ENTRIES as usize / self.batch) as u32);
        self.waited_ns = Some((now - since).min(ring).as_nanos() as u64);
        if !is_full {
            self.full_since = None;
        }
    }

    /// Looks at a frame: an arrival, or dropped and counted.
    fn take(&mut self, queue: usize, frame: Packet) {
        let counted = match headers::parse(&frame) {
            Ok(Parsed { ends, payload }) => match self.path(&ends) {
                Some(path) => {
                    self.arrivals.push(Arrival { frame, payload, path, queue });
                    return;
                }
                None => &mut self.counters.source,
            },
            Err(Malformed::Headers) => &mut self.counters.malformed,
            Err(Malformed::Checksum) => &mut self.counters.checksum,
        };
        *counted += 1;
        self.queues[queue].release(frame);
    }

    /// The path of a datagram between these ends; `None` if its sender cannot be answered.
    fn path(&mut self, ends: &Ends) -> Option<Path> {
        let (ip, port) = ends.our;
        // The program takes only what is to one of these, exactly or by a wildcard.
        let listen = self.listens.iter().position(|listen| *listen == ends.our).or_else(|| {
            let wildcard = if is_mapped(ip) { ANY_V4 } else { ANY_V6 };
            self.listens.iter().position(|listen| *listen == (wildcard, port))
        })?;
        let scope = self.attached.interface.scope;
        let local = Local { ip: join_scope(ip.into(), scope), hop: ends.their_mac };
        if self.last_local.0 != local {
            self.last_local = (local, self.locals.number(local));
        }
        ends.answerable_path(scope, local_name(listen, self.last_local.1))
    }

    /// Both ends of a frame to the peer of a path; `None` if the kernel has to find the way.
    fn ends(&self, path: &Path) -> Option<Ends> {
        let (listen, number) = split_name(path.local);
        let Local { ip, hop } = self.locals.local(number).filter(|local| local.hop != [0; 6])?;
        let (_, our_port) = *self.listens.get(listen)?;
        Some(Ends {
            our_mac: self.attached.interface.mac,
            their_mac: hop,
            vlan: self.attached.vlan,
            our: (split_scope(ip).0, our_port),
            their: (split_scope(path.ip).0, path.port),
        })
    }

    /// Gives back the frames of a batch that nobody replied to.
    fn release_arrivals(&mut self) {
        for Arrival { frame, queue, .. } in self.arrivals.drain(..) {
            self.queues[queue].release(frame);
        }
    }

    /// Gives up the queues whose interface has been deleted: what the network sends goes through the sockets then.
    /// No poll tells of it, so it is asked for now and then.
    fn give_up_lost_queues(&mut self) {
        // From the last one on, so that the others keep their numbers.
        for number in (0..self.queues.len()).rev() {
            if !self.queues[number].is_lost() {
                continue;
            }
            // Arrivals name their queues by number.
            self.release_arrivals();
            self.poll_fds.remove(number);
            let queue = self.queues.remove(number);
            let losses = queue.losses();
            self.counters.rxq_overflow += losses.overflow;
            self.counters.truncated += losses.dropped;
            self.counters.shed += self.attached.program.shed(queue.number());
            self.counters.queues_lost += 1;
            self.sockets_due = true;
        }
    }

    fn send_queue(&mut self, queue: usize) {
        self.counters.send_calls += self.queues[queue].send();
    }
}

impl Engine for XdpEngine {
    fn recv(&mut self) -> usize {
        self.release_arrivals();
        self.way = Way::Queues;
        self.counters.recv_calls += 1;
        self.sockets_in -= 1;
        if self.sockets_in == 0 {
            self.sockets_in = SOCKETS_EVERY;
            self.give_up_lost_queues();
            let count = self.recv_sockets();
            if count > 0 {
                return count;
            }
        }
        self.recv_queues();
        if self.arrivals.is_empty() && (self.sockets_due || self.queues.is_empty()) {
            return self.recv_sockets();
        }
        self.arrivals.len()
    }

    fn datagrams(&mut self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        Datagrams {
            arrivals: self.arrivals.iter_mut(),
            sockets: (self.way == Way::Sockets).then(|| self.sockets.datagrams()),
        }
    }

    fn waited_ns(&self) -> Option<u64> {
        match self.way {
            Way::Sockets => self.sockets.waited_ns(),
            Way::Queues => self.waited_ns,
        }
    }

    fn reply(&mut self, reply_bytes: &[usize]) {
        if self.way == Way::Sockets {
            return self.sockets.reply(reply_bytes);
        }
        assert_eq!(reply_bytes.len(), self.arrivals.len(), "one reply length for each datagram");
        for (arrival, &bytes) in self.arrivals.drain(..).zip(reply_bytes) {
            let Arrival { mut frame, payload, queue, .. } = arrival;
            let queue = &mut self.queues[queue];
            if bytes == 0 {
                queue.release(frame);
                continue;
            }
            assert!(bytes <= payload.len(), "a reply is written over its datagram");
            let length = headers::reply(&mut frame, &payload, bytes);
            let sent = set_length(&mut frame, length) && queue.push(frame);
            *(if sent { &mut self.counters.datagrams_out } else { &mut self.counters.send_error }) += 1;
        }
        for queue in 0..self.queues.len() {
            self.send_queue(queue);
        }
    }

    fn send(&mut self, path: &Path, bytes: &[u8]) {
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX, "longer than a datagram");
        let ends = if self.queues.is_empty() { None } else { self.ends(path) };
        let Some(ends) = ends else { return self.sockets.send(path, bytes) };
        // Answers spread over a worker's queues by their peers' ports.
        let queue = usize::from(path.port) % self.queues.len();
        let sent = self.queues[queue].push_datagram(&ends, bytes);
        *(if sent { &mut self.counters.datagrams_out } else { &mut self.counters.send_timeout }) += 1;
    }

    fn flush(&mut self) {
        for queue in 0..self.queues.len() {
            self.send_queue(queue);
        }
        self.sockets.flush();
    }

    fn wait(&mut self, timeout: Duration) {
        self.flush();
        if timeout.is_zero() || !self.waker.begin_sleep() {
            return;
        }
        let is_unsent = self.queues.iter().any(QueueSocket::has_unsent);
        let timeout = if is_unsent { timeout.min(UNSENT_AGAIN) } else { timeout };
        self.counters.sleeps += 1;
        let ready = poll(&mut self.poll_fds, timeout);
        let event = self.poll_fds.last().is_some_and(|fd| fd.revents != 0);
        let sockets = &self.poll_fds[self.queues.len()..self.poll_fds.len() - 1];
        self.sockets_due |= ready && sockets.iter().any(|fd| fd.revents != 0);
        self.waker.end_sleep(ready && event);
        if !ready {
            self.give_up_lost_queues();
        }
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn own_ends(&self) -> OwnEnds {
        self.sockets.own_ends()
    }

    fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.add(&self.sockets.counters());
        for queue in &self.queues {
            let losses = queue.losses();
            counters.rxq_overflow += losses.overflow;
            counters.truncated += losses.dropped;
            counters.shed += self.attached.program.shed(queue.number());
        }
        if self.counts_for_program {
            let dropped = self.attached.program.dropped();
            counters.length += dropped.length;
            counters.truncated += dropped.too_long;
            counters.version += dropped.version;
        }
        counters
    }

    fn set_gate(&mut self, gate: &Gate) {
        self.queues.iter().for_each(|queue| self.attached.program.set_gate(queue.number(), gate));
        self.sockets.set_gate(gate);
    }
}

impl Drop for XdpEngine {
    fn drop(&mut self) {
        // Frames in hand go back before their memory does; what is queued leaves first.
        self.release_arrivals();
        self.flush();
    }
}

/// Datagrams of either way.
struct Datagrams<'a, S> {
    arrivals: std::slice::IterMut<'a, Arrival>,
    sockets: Option<S>,
}

impl<'a, S: ExactSizeIterator<Item = Datagram<'a>>> Iterator for Datagrams<'a, S> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        match &mut self.sockets {
            Some(sockets) => sockets.next(),
            None => self.arrivals.next().map(|Arrival { frame, payload, path, .. }| Datagram {
                path: *path,
                bytes: &mut frame[payload.clone()],
            }),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.sockets {
            Some(sockets) => sockets.size_hint(),
            None => self.arrivals.size_hint(),
        }
    }
}

impl<'a, S: ExactSizeIterator<Item = Datagram<'a>>> ExactSizeIterator for Datagrams<'a, S> {}

const ANY_V4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
const ANY_V6: [u8; 16] = [0; 16];

/// An address and port as frames' ends have them.
fn wire_form(addr: SocketAddr) -> ([u8; 16], u16) {
    let ip = match addr.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    (ip.octets(), addr.port())
}

/// Whether an address in a path's form is an IPv4 one.
fn is_mapped(ip: [u8; 16]) -> bool {
    ip[..12] == ANY_V4[..12]
}
