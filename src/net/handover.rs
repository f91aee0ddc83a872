//! Rings between workers, for datagrams that came to a worker that does not own their user.
//!
//! With steering this is rare (a sender's GSO run, the moment of start); without it, it is the way of most
//! datagrams. The owner answers from its own socket of the same listen address, and since all engines of a
//! server name their ends alike, a path handed over leaves from the address that was asked.

use super::memory::Buffer;
use super::waker::Waker;
use super::{Datagram, bind::BATCH_MAX};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Path};
use rtrb::{Consumer, Producer, RingBuffer};

const LINE_BYTES: usize = 64;

/// What a ring carries. A datagram is one line that describes it and the lines of its bytes, so that a ring
/// for many datagrams of one frame is small.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE_BYTES]);

const LINES_MAX: usize = 1 + DATAGRAM_BYTES_MAX.div_ceil(LINE_BYTES);

/// The ring to that worker has no room; the datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ring to the owner is full")]
pub struct RingFull;

/// One worker's ends of the rings to and from all others.
pub struct Handover {
    /// By receiving worker; none to itself.
    to: Box<[Option<To>]>,
    /// By sending worker; none from itself.
    from: Box<[Option<Consumer<Line>>]>,
    /// Which sender is asked first.
    turn: usize,
    scratch: [Line; LINES_MAX],
    buffers: Box<[Buffer]>,
    arrivals: Box<[(Path, u16)]>,
    arrived: usize,
}

struct To {
    ring: Producer<Line>,
    waker: Waker,
    /// Whether something was pushed since the last wake.
    pushed: bool,
}

/// A ring from each worker to each other. `wakers` are the workers' in order; each ring has room for
/// `capacity` datagrams of one frame (or fewer longer ones), and for one of any length at least.
pub fn mesh(wakers: &[Waker], capacity: usize) -> Vec<Handover> {
    let workers = wakers.len();
    let lines = (2 * capacity).max(LINES_MAX);
    let mut handovers: Vec<Handover> = (0..workers).map(|_| Handover::alone(workers)).collect();
    for from in 0..workers {
        for to in (0..workers).filter(|&to| to != from) {
            let (ring, consumer) = RingBuffer::new(lines);
            handovers[from].to[to] = Some(To { ring, waker: wakers[to].clone(), pushed: false });
            handovers[to].from[from] = Some(consumer);
        }
    }
    handovers
}

impl Handover {
    fn alone(workers: usize) -> Handover {
        Handover {
            to: (0..workers).map(|_| None).collect(),
            from: (0..workers).map(|_| None).collect(),
            turn: 0,
            scratch: [Line([0; LINE_BYTES]); LINES_MAX],
            buffers: vec![Buffer::EMPTY; BATCH_MAX].into_boxed_slice(),
            arrivals: vec![(Path::NONE, 0); BATCH_MAX].into_boxed_slice(),
            arrived: 0,
        }
    }

    /// Hands a datagram to worker `to`, which is waked by the next [`flush_wakes`](Handover::flush_wakes).
    ///
    /// # Panics
    /// When `to` is this worker or none, or `bytes` is longer than a datagram may be.
    pub fn push(&mut self, to: usize, path: &Path, bytes: &[u8]) -> Result<(), RingFull> {
        assert!(bytes.len() <= DATAGRAM_BYTES_MAX, "longer than a datagram");
        let to = self.to[to].as_mut().expect("a worker hands nothing to itself");
        let lines = &mut self.scratch[..1 + bytes.len().div_ceil(LINE_BYTES)];
        lines[0] = describe(path, bytes.len() as u16);
        for (line, chunk) in lines[1..].iter_mut().zip(bytes.chunks(LINE_BYTES)) {
            line.0[..chunk.len()].copy_from_slice(chunk);
        }
        to.ring.push_entire_slice(lines).map_err(|_| RingFull)?;
        to.pushed = true;
        Ok(())
    }

    /// Wakes the workers that something was pushed to. Call it once after each batch.
    pub fn flush_wakes(&mut self) {
        for to in self.to.iter_mut().flatten() {
            if std::mem::take(&mut to.pushed) {
                to.waker.wake();
            }
        }
    }

    /// Wakes a worker that was told something by another way.
    pub fn wake(&self, worker: usize) {
        if let Some(to) = &self.to[worker] {
            to.waker.wake();
        }
    }

    /// Takes up to [`BATCH_MAX`] datagrams that others handed over, from all of them in turn; how many.
    pub fn recv(&mut self) -> usize {
        self.arrived = 0;
        let workers = self.from.len();
        let mut dry = 0;
        while dry < workers && self.arrived < BATCH_MAX {
            let ring = self.from[self.turn].as_mut();
            self.turn = (self.turn + 1) % workers;
            let (buffer, arrival) = (&mut self.buffers[self.arrived], &mut self.arrivals[self.arrived]);
            match ring.and_then(|ring| pop(ring, buffer)) {
                Some(taken) => {
                    *arrival = taken;
                    self.arrived += 1;
                    dry = 0;
                }
                None => dry += 1,
            }
        }
        self.arrived
    }

    /// The datagrams of the last [`recv`](Handover::recv), each in a buffer to be answered in place and
    /// sent by the owner's engine.
    pub fn datagrams(&mut self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        let arrivals = &self.arrivals[..self.arrived];
        self.buffers
            .iter_mut()
            .zip(arrivals)
            .map(|(buffer, &(path, bytes))| Datagram { path, bytes: &mut buffer.0[..usize::from(bytes)] })
    }
}

fn describe(path: &Path, bytes: u16) -> Line {
    let mut line = Line([0; LINE_BYTES]);
    line.0[..16].copy_from_slice(&path.ip);
    line.0[16..18].copy_from_slice(&path.port.to_ne_bytes());
    line.0[18..20].copy_from_slice(&path.local.to_ne_bytes());
    line.0[20..22].copy_from_slice(&bytes.to_ne_bytes());
    line
}

fn pop(ring: &mut Consumer<Line>, buffer: &mut Buffer) -> Option<(Path, u16)> {
    let Line(head) = ring.peek().ok()?;
    let ip = head[..16].try_into().expect("16 bytes");
    let word = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
    let (path, bytes) = (Path { ip, port: word(16), local: word(18) }, word(20));
    let lines = 1 + usize::from(bytes).div_ceil(LINE_BYTES);
    // A datagram's lines are pushed as one, so they are all there.
    let chunk = ring.read_chunk(lines).ok()?;
    let (first, second) = chunk.as_slices();
    let lines = first.iter().chain(second).skip(1);
    for (line, place) in lines.zip(buffer.0.chunks_mut(LINE_BYTES)) {
        place.copy_from_slice(&line.0[..place.len()]);
    }
    chunk.commit_all();
    Some((path, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path::new(format!("[2001:db8::1]:{port}").parse().unwrap(), port ^ 0x5555)
    }

    fn two(capacity: usize) -> (Handover, Handover) {
        let wakers = [Waker::new().unwrap(), Waker::new().unwrap()];
        let mut mesh = mesh(&wakers, capacity).into_iter();
        (mesh.next().unwrap(), mesh.next().unwrap())
    }

    #[test]
    fn every_length_comes_over_whole_and_in_order() {
        let (mut a, mut b) = two(1);
        for len in 0..=DATAGRAM_BYTES_MAX {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            a.push(1, &path(len as u16 + 1), &bytes).unwrap();
            assert_eq!(b.recv(), 1);
            let got = b.datagrams().next().unwrap();
            assert_eq!((got.path, &*got.bytes), (path(len as u16 + 1), bytes.as_slice()));
        }
        assert_eq!(b.recv(), 0);
        assert_eq!(b.datagrams().len(), 0);
    }

    #[test]
    fn a_full_ring_refuses_and_has_room_again_after_recv() {
        let (mut a, mut b) = two(10);
        for i in 0..10 {
            a.push(1, &path(i), &[i as u8; 64]).unwrap();
        }
        assert_eq!(a.push(1, &path(99), &[0; 64]), Err(RingFull));
        assert_eq!(b.recv(), 10);
        assert!(
            b.datagrams().enumerate().all(|(i, got)| got.path == path(i as u16) && got.bytes[63] == i as u8)
        );
        a.push(1, &path(99), &[0; 64]).unwrap();
    }

    #[test]
    fn a_busy_sender_does_not_starve_another() {
        let wakers: Vec<_> = (0..3).map(|_| Waker::new().unwrap()).collect();
        let mut mesh = mesh(&wakers, 200);
        for _ in 0..200 {
            mesh[0].push(2, &path(1), &[0; 64]).unwrap();
        }
        mesh[1].push(2, &path(2), &[0; 64]).unwrap();
        assert_eq!(mesh[2].recv(), BATCH_MAX);
        assert!(mesh[2].datagrams().any(|got| got.path == path(2)));
    }

    #[test]
    fn one_worker_alone_has_nothing_to_take() {
        let mut mesh = mesh(&[Waker::new().unwrap()], 1);
        assert_eq!(mesh[0].recv(), 0);
    }

    #[test]
    fn a_push_wakes_the_receiver_with_the_batch() {
        let wakers = [Waker::new().unwrap(), Waker::new().unwrap()];
        let mut mesh = mesh(&wakers, 4);
        assert!(wakers[1].begin_sleep(), "nobody waked it yet");
        wakers[1].end_sleep(false);
        mesh[0].push(1, &path(1), &[0; 64]).unwrap();
        mesh[0].flush_wakes();
        assert!(!wakers[1].begin_sleep(), "waked, so it does not sleep");
        mesh[0].flush_wakes();
        assert!(wakers[1].begin_sleep(), "nothing was pushed since");
    }
}
