//! One receive queue's AF_XDP socket: its frames (UMEM) and the four rings that carry them.
//!
//! The rings are the `xdp` crate's. A frame is always in exactly one place: free, in the fill ring or the
//! kernel's hands, in the receive ring, with us as a [`Packet`], or in the send ring or the kernel's hands
//! until the completion ring gives it back. There are more frames than the rings together can hold, so that
//! one can always be had to send.

use super::error::XdpError;
use super::headers::{self, Ends};
use crate::net::advise_huge_pages;
use crate::net::bind::BATCH_MAX;
use crate::net::syscall::set_option;
use arrayvec::ArrayVec;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};
use xdp::slab::{HeapSlab, Slab};
use xdp::socket::{SocketError, XdpSocket, XdpSocketBuilder};
use xdp::umem::{FrameSize, UmemCfgBuilder};
use xdp::{CompletionRing, FillRing, Packet, RingConfigBuilder, RxRing, TxRing, Umem};

/// Entries of each ring: what a queue can hold while the worker is away, 8 ms at 500,000 datagrams a second.
pub(super) const RING_ENTRIES: u32 = 4_096;

/// Frames of 2 KiB: all that the rings can hold, and as many again in our hands at most. 32 MiB.
const FRAMES: u32 = 4 * RING_ENTRIES;

/// Bytes of all frames of a queue, which the kernel locks.
pub const UMEM_BYTES_PER_QUEUE: u64 = FRAMES as u64 * 2_048;

/// Bytes of each frame.
const FRAME_SIZE: FrameSize = FrameSize::TwoK;

/// Bytes that a socket's sent frames may take in the kernel until they have left (copy mode).
const SEND_BUFFER_BYTES: i32 = 8 << 20;

/// `XDP_MAX_TX_SKB_BUDGET` (linux/if_xdp.h, from 6.17): frames that one system call sends in copy mode.
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;

/// Frames that one system call sends where that option is known; without it the kernel's 32.
const SEND_BUDGET: i32 = 256;

/// How long a queue that is taken is asked for, and how often: the kernel lets go of a killed program's queue later than
/// it tells of its end, on a busy machine by over a second.
const TAKEN_MAX: Duration = Duration::from_secs(3);
const TAKEN_AGAIN: Duration = Duration::from_millis(20);

/// System calls that one [`QueueSocket::send`] makes while the kernel says that there is more to do.
const KICKS_MAX: usize = 64;

/// How frames pass between the kernel and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// The NIC writes into our memory and reads from it.
    Zero,
    /// The kernel copies each frame.
    Copy,
}

/// What a queue's socket lost, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QueueLosses {
    /// No room in our rings.
    pub overflow: u64,
    /// Longer than a frame, or refused by the kernel for another reason.
    pub dropped: u64,
}

/// Frames that have just come, first in, first out.
#[derive(Default)]
pub(super) struct Frames {
    frames: ArrayVec<Packet, BATCH_MAX>,
    room: usize,
    next: usize,
}

impl Frames {
    fn begin(&mut self, room: usize) {
        debug_assert_eq!(self.next, self.frames.len(), "frames that nobody has looked at");
        self.frames.clear();
        (self.room, self.next) = (room.min(BATCH_MAX), 0);
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Packet> {
        let frame = self.frames.get_mut(self.next)?;
        self.next += 1;
        Some(frame.__inner_copy())
    }
}

impl Slab for Frames {
    fn available(&self) -> usize {
        self.room - self.frames.len()
    }

    fn len(&self) -> usize {
        self.frames.len() - self.next
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push_front(&mut self, packet: Packet) -> Option<Packet> {
        self.frames.try_push(packet).err().map(arrayvec::CapacityError::element)
    }

    fn pop_back(&mut self) -> Option<Packet> {
        self.next()
    }
}

/// A queue's socket. Dropping it gives the queue back.
pub(super) struct QueueSocket {
    number: u32,
    // The rings before the memory that they speak of: fields are dropped in this order.
    fill: FillRing,
    received: RxRing,
    completed: CompletionRing,
    sending: TxRing,
    socket: XdpSocket,
    umem: Umem,
    /// Written, and not yet given to the kernel.
    outbox: HeapSlab,
    /// Given to the kernel, which has not been told, or has said that it is not done.
    is_kick_due: bool,
    /// Frames given to the kernel to send and not come back.
    in_flight: usize,
    /// Frames that the kernel has less to receive into than its ring holds.
    owed: usize,
}

// SAFETY: the packets in `outbox` point into `umem`, which moves with them; nothing else refers to it.
unsafe impl Send for QueueSocket {}

impl QueueSocket {
    /// Opens a socket on a queue of an interface and gives the kernel frames to receive into. `copying` is what to
    /// insist on: without it the kernel copies only where the driver cannot do without.
    ///
    /// The kernel lets go of a queue some time after the socket that had it is closed, so one that is taken is
    /// asked for again for a while.
    pub(super) fn open(
        interface: u32,
        queue: u32,
        copying: Option<Copying>,
    ) -> Result<QueueSocket, XdpError> {
        let begun = Instant::now();
        loop {
            match QueueSocket::open_once(interface, queue, copying) {
                Err(XdpError::QueueTaken { .. }) if begun.elapsed() < TAKEN_MAX => sleep(TAKEN_AGAIN),
                result => return result,
            }
        }
    }

    fn open_once(interface: u32, queue: u32, copying: Option<Copying>) -> Result<QueueSocket, XdpError> {
        let ring = |_| XdpError::Memory(io::ErrorKind::InvalidInput.into());
        let frames =
            UmemCfgBuilder { frame_size: FRAME_SIZE, frame_count: FRAMES, ..UmemCfgBuilder::default() };
        let mut umem = Umem::map(frames.build().map_err(ring)?).map_err(XdpError::Memory)?;
        use_huge_pages(&mut umem);
        let mut builder = XdpSocketBuilder::new().map_err(|error| XdpError::of_socket(error, queue))?;
        let rings = RingConfigBuilder {
            rx_count: RING_ENTRIES,
            tx_count: RING_ENTRIES,
            fill_count: RING_ENTRIES,
            completion_count: RING_ENTRIES,
        };
        let (rings, mut flags) = builder
            .build_rings(&umem, rings.build().map_err(ring)?)
            .map_err(|error| XdpError::of_socket(error, queue))?;
        match copying {
            Some(Copying::Zero) => flags.force_zerocopy(),
            Some(Copying::Copy) => flags.force_copy(),
            None => {}
        }
        let socket = builder
            .bind(xdp::nic::NicIndex::new(interface), queue, flags)
            .map_err(|error| XdpError::of_socket(error, queue))?;
        let (Some(received), Some(sending)) = (rings.rx_ring, rings.tx_ring) else {
            return Err(XdpError::of_socket(SocketError::Bind(io::ErrorKind::InvalidInput.into()), queue));
        };
        let mut queue = QueueSocket {
            number: queue,
            fill: rings.fill_ring,
            received,
            completed: rings.completion_ring,
            sending,
            socket,
            umem,
            outbox: HeapSlab::with_capacity(RING_ENTRIES as usize),
            is_kick_due: false,
            in_flight: 0,
            owed: RING_ENTRIES as usize,
        };
        // More frames than the default buffer holds may be on their way, and more than 32 go in one call. Where
        // the kernel refuses either, sending takes more calls.
        let _ = set_option(queue.socket_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
        let _ = set_option(queue.socket_fd(), libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, SEND_BUDGET);
        queue.refill();
        Ok(queue)
    }

    /// Which of the interface's receive queues it has.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The socket, to wait for and to put into the program's map.
    pub(super) fn socket_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the socket's, which lives as long as the borrow of `self`.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    /// How frames really pass.
    pub(super) fn copying(&self) -> Copying {
        let mut options = MaybeUninit::<libc::xdp_options>::zeroed();
        let mut bytes = size_of::<libc::xdp_options>() as libc::socklen_t;
        let fd = self.socket.as_raw_fd();
        // SAFETY: the pointers are those of locals, with their lengths.
        let result = unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_XDP,
                libc::XDP_OPTIONS,
                options.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        // SAFETY: plain data, zeroed before the call.
        let flags = unsafe { options.assume_init() }.flags;
        if result == 0 && flags & libc::XDP_OPTIONS_ZEROCOPY != 0 { Copying::Zero } else { Copying::Copy }
    }

    /// Takes at most `room` of what has come, and gives the kernel frames for more; how many.
    pub(super) fn recv(&mut self, frames: &mut Frames, room: usize) -> usize {
        self.reap();
        frames.begin(room);
        // SAFETY: packets stay with the engine that owns this socket, or come back by `release` or `push`.
        let count = unsafe { self.received.recv(&self.umem, frames) };
        self.owed += count;
        self.refill();
        count
    }

    /// A free frame to write into; `None` if all are in use.
    pub(super) fn alloc(&mut self) -> Option<Packet> {
        // SAFETY: as in `recv`.
        unsafe { self.umem.alloc() }
    }

    /// Gives a frame back that is not sent.
    pub(super) fn release(&mut self, packet: Packet) {
        self.umem.free_packet(packet);
    }

    /// Queues a datagram between these ends; the bytes are copied. `false` if there is no room even after sending, and
    /// it is dropped.
    pub(super) fn push_datagram(&mut self, ends: &Ends, bytes: &[u8]) -> bool {
        let frame = self.alloc().or_else(|| {
            // All frames are on their way: those that have left come back.
            self.send();
            self.alloc()
        });
        let Some(mut frame) = frame else { return false };
        let header_bytes = headers::header_bytes(ends);
        if !set_length(&mut frame, header_bytes + bytes.len()) {
            self.release(frame);
            return false;
        }
        frame[header_bytes..].copy_from_slice(bytes);
        headers::write(&mut frame, ends, bytes.len());
        self.push(frame)
    }

    /// Queues a frame to be sent; `false` if there is no room even after sending, and it is dropped.
    pub(super) fn push(&mut self, packet: Packet) -> bool {
        if self.outbox.available() == 0 {
            self.send();
        }
        match self.outbox.push_front(packet) {
            None => true,
            Some(packet) => {
                self.release(packet);
                false
            }
        }
    }

    /// Sends what is queued; how many system calls that took. What the network does not take now stays queued.
    pub(super) fn send(&mut self) -> u64 {
        let waiting = self.outbox.len();
        if waiting > 0 {
            self.reap();
            // SAFETY: the frames are those of the UMEM that lives as long as the socket.
            let taken = unsafe { self.sending.send(&mut self.outbox) };
            self.in_flight += taken;
            self.is_kick_due |= taken > 0;
        }
        if self.is_kick_due { self.kick() } else { 0 }
    }

    /// Whether something is queued that the network has not taken.
    pub(super) fn has_unsent(&self) -> bool {
        self.is_kick_due || !self.outbox.is_empty()
    }

    /// Whether the interface has been deleted, which takes the queue from the socket for good. Says so once.
    pub(super) fn is_lost(&self) -> bool {
        let error = socket2::SockRef::from(&self.socket_fd()).take_error();
        error.is_ok_and(|error| error.is_some())
    }

    /// What was lost before it came to us.
    pub(super) fn losses(&self) -> QueueLosses {
        self.socket.statistics().map_or_else(
            |_| QueueLosses::default(),
            |lost| QueueLosses {
                overflow: lost.rx_ring_full + lost.rx_fill_ring_empty_descs,
                dropped: lost.rx_dropped + lost.rx_invalid_descs,
            },
        )
    }

    /// Tells the kernel to send; how many system calls that took.
    fn kick(&mut self) -> u64 {
        for calls in 1..=KICKS_MAX as u64 {
            let fd = self.socket.as_raw_fd();
            // SAFETY: there is neither data nor an address: the frames are in the ring.
            let result =
                unsafe { libc::sendto(fd, std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
            if result >= 0 {
                self.is_kick_due = false;
                return calls;
            }
            match io::Error::last_os_error().raw_os_error() {
                // The call's budget is used up, or the send buffer is: frames that have left free it.
                Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS) => self.reap(),
                Some(libc::EINTR) => {}
                // The interface is down or gone. The frames stay until it is back.
                _ => return calls,
            }
        }
        KICKS_MAX as u64
    }

    /// Takes back the frames that have left.
    fn reap(&mut self) {
        if self.in_flight > 0 {
            self.in_flight -= self.completed.dequeue(&mut self.umem, self.in_flight);
        }
    }

    /// Gives the kernel frames to receive into for those that came.
    fn refill(&mut self) {
        // SAFETY: the UMEM lives as long as the socket: one owner holds both.
        self.owed -= unsafe { self.fill.enqueue(&mut self.umem, self.owed) };
    }
}

/// Makes a frame that long; `false` if it has no room.
pub(super) fn set_length(frame: &mut Packet, length: usize) -> bool {
    frame.adjust_tail(length as i32 - frame.len() as i32).is_ok()
}

/// Asks for huge pages under the frames, before the kernel pins them.
fn use_huge_pages(umem: &mut Umem) {
    // SAFETY: the packet does not leave this function.
    let Some(first) = (unsafe { umem.alloc() }) else { return };
    let start = first.as_ptr().wrapping_sub(xdp::libc::xdp::XDP_PACKET_HEADROOM as usize).cast_mut();
    umem.free_packet(first);
    let bytes = FRAMES as usize * u32::try_from(FRAME_SIZE).map_or(0, |bytes| bytes as usize);
    // SAFETY: the first frame lies at the beginning of the mapping, which is that long, private, zeroed and
    // referenced by nobody yet.
    advise_huge_pages(unsafe { std::slice::from_raw_parts_mut(start, bytes) });
}
