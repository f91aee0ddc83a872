//! A worker's end of the ring to the writer.

use super::{Sample, Way};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Path};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const LINE_BYTES: usize = 64;

/// What the ring carries. A datagram is one line that describes it and the lines of its bytes.
type Line = [u8; LINE_BYTES];

const LINES_MAX: usize = 1 + DATAGRAM_BYTES_MAX.div_ceil(LINE_BYTES);

/// Lines of a worker's ring, 16 MiB: some 0.2 s of the most that a worker does.
const RING_LINES: usize = 1 << 18;

/// Takes copies of datagrams.
pub struct Tap {
    sample: Sample,
    ring: Producer<Line>,
    lost: Arc<AtomicU64>,
    scratch: [Line; LINES_MAX],
}

/// The writer's end.
pub(super) struct TapEnd {
    ring: Consumer<Line>,
}

/// What a tap took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// When, in ns since 1970.
    pub wall_ns: u64,
    pub way: Way,
    pub path: Path,
    pub len: usize,
}

impl Tap {
    /// A tap for the datagrams of these users. What finds no room is counted in `lost`.
    pub(super) fn new(sample: Sample, lost: Arc<AtomicU64>) -> (Tap, TapEnd) {
        Tap::with_room(sample, lost, RING_LINES)
    }

    fn with_room(sample: Sample, lost: Arc<AtomicU64>, lines: usize) -> (Tap, TapEnd) {
        let (ring, consumer) = RingBuffer::new(lines);
        (Tap { sample, ring, lost, scratch: [[0; LINE_BYTES]; LINES_MAX] }, TapEnd { ring: consumer })
    }

    /// Whether a datagram is of a user whose datagrams are wanted.
    #[inline]
    pub(super) fn wants(&self, bytes: &[u8]) -> bool {
        self.sample.holds(bytes)
    }

    /// Takes a datagram, if it is of a user whose datagrams are wanted.
    #[inline]
    pub(super) fn take(&mut self, wall_ns: u64, way: Way, path: &Path, bytes: &[u8]) {
        if self.wants(bytes) {
            self.copy(wall_ns, way, path, bytes);
        }
    }

    fn copy(&mut self, wall_ns: u64, way: Way, path: &Path, bytes: &[u8]) {
        let lines = &mut self.scratch[..1 + bytes.len().div_ceil(LINE_BYTES)];
        let head = &mut lines[0];
        head[..8].copy_from_slice(&wall_ns.to_ne_bytes());
        head[8..24].copy_from_slice(&path.ip);
        head[24..26].copy_from_slice(&path.port.to_ne_bytes());
        head[26..28].copy_from_slice(&path.local.to_ne_bytes());
        head[28..30].copy_from_slice(&(bytes.len() as u16).to_ne_bytes());
        head[30] = u8::from(way == Way::Out);
        for (line, chunk) in lines[1..].iter_mut().zip(bytes.chunks(LINE_BYTES)) {
            line[..chunk.len()].copy_from_slice(chunk);
        }
        if self.ring.push_entire_slice(lines).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TapEnd {
    /// The next datagram; its bytes are added to `bytes`.
    pub(super) fn pop(&mut self, bytes: &mut Vec<u8>) -> Option<Taken> {
        let head = self.ring.pop().ok()?;
        let word = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        let ip = head[8..24].try_into().expect("16 bytes");
        let wall_ns = u64::from_ne_bytes(head[..8].try_into().expect("8 bytes"));
        let len = usize::from(word(28));
        let mut left = len;
        while left > 0 {
            // A datagram is pushed as a whole.
            let line = self.ring.pop().expect("the lines of a datagram are there when its first one is");
            let of_line = left.min(LINE_BYTES);
            bytes.extend_from_slice(&line[..of_line]);
            left -= of_line;
        }
        let way = if head[30] == 0 { Way::In } else { Way::Out };
        Some(Taken { wall_ns, way, path: Path { ip, port: word(24), local: word(26) }, len })
    }

    /// Whether nothing will come any more.
    pub(super) fn is_over(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

/// The system's wall clock, in ns since 1970.
pub(super) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path::new("192.0.2.7:4000".parse().unwrap(), 0x0401)
    }

    #[test]
    fn datagrams_of_every_length_come_out_as_they_went_in() {
        let (mut tap, mut end) = Tap::new(Sample::ALL, Arc::default());
        let bytes: Vec<u8> = (0..DATAGRAM_BYTES_MAX).map(|at| at as u8).collect();
        for len in 0..=DATAGRAM_BYTES_MAX {
            let way = if len % 2 == 0 { Way::In } else { Way::Out };
            tap.take(len as u64, way, &path(), &bytes[..len]);
            let mut out = vec![7];
            let taken = Taken { wall_ns: len as u64, way, path: path(), len };
            assert_eq!(end.pop(&mut out), Some(taken));
            assert_eq!(out[1..], bytes[..len]);
        }
        assert_eq!(end.pop(&mut Vec::new()), None);
        assert!(!end.is_over());
        drop(tap);
        assert!(end.is_over());
    }

    /// Expect: a full ring takes nothing, counts that, and what it holds stays whole.
    #[test]
    fn what_finds_no_room_is_counted() {
        let lost = Arc::default();
        let (mut tap, mut end) = Tap::with_room(Sample::ALL, Arc::clone(&lost), 5);
        (0..4).for_each(|nth| tap.take(nth, Way::In, &path(), &[nth as u8; 64]));
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        let mut out = Vec::new();
        assert_eq!(std::iter::from_fn(|| end.pop(&mut out)).count(), 2);
        assert_eq!(out, [[0; 64], [1; 64]].concat());
    }

    #[test]
    fn only_datagrams_of_the_sample_are_taken() {
        let sample: Sample = "1/10".parse().unwrap();
        let (mut tap, mut end) = Tap::new(sample, Arc::default());
        (0..1_000u64).for_each(|user| tap.take(0, Way::In, &path(), &user.to_le_bytes()));
        let mut out = Vec::new();
        let taken = std::iter::from_fn(|| end.pop(&mut out)).count();
        let wanted = (0..1_000u64).filter(|user| sample.holds(&user.to_le_bytes())).count();
        assert!(taken == wanted && wanted > 0);
    }
}
