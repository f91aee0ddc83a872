//! What happens to the datagrams of one direction: a struct that is fed with datagrams and times, and says
//! what is to be sent when. It knows no sockets and no clocks.

use super::{DirectionCounters, RelayOptions};
use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Datagrams that may be on their way in one direction; what comes beyond is lost and counted.
pub const WAITING_DATAGRAMS_MAX: usize = 65_536;

/// Their bytes: 64 MiB.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// A datagram to be reordered is held back by this much at least and [`HOLD_NS_MAX`] at most, beyond its
/// delay: those that come within that time overtake it.
pub const HOLD_NS_MIN: u64 = 1_000_000;

/// See [`HOLD_NS_MIN`].
pub const HOLD_NS_MAX: u64 = 5_000_000;

/// One direction of a bad wire. `P` names the peer that a datagram belongs to.
///
/// The fate of the n-th datagram depends on options, seed and n alone: each datagram draws the same number
/// of random words, whatever became of those before it.
pub struct Wire<P> {
    options: RelayOptions,
    rng: Rng,
    waiting: BinaryHeap<Reverse<Waiting<P>>>,
    waiting_bytes: usize,
    /// When the newest datagram that keeps the order is due.
    newest_due_ns: u64,
    /// Datagrams that were ever put in, so that those due at one time leave in their order.
    serial: u64,
    counters: DirectionCounters,
}

/// A datagram on its way.
struct Waiting<P> {
    due_ns: u64,
    serial: u64,
    peer: P,
    bytes: Vec<u8>,
}

/// A datagram's random words. Every datagram has them all, whether it needs them or not.
struct Draw {
    loss: f64,
    duplicate: f64,
    copies: [CopyDraw; 2],
}

/// Those of one copy.
struct CopyDraw {
    reorder: f64,
    hold: f64,
    jitter: f64,
}

impl<P: Copy> Wire<P> {
    /// A wire with nothing on it. Wires of one seed and different `stream` numbers differ.
    pub fn new(options: RelayOptions, stream: u64) -> Wire<P> {
        let mut rng = Rng::seed_from_u64(options.seed);
        rng.set_stream(stream);
        Wire {
            options,
            rng,
            waiting: BinaryHeap::new(),
            waiting_bytes: 0,
            newest_due_ns: 0,
            serial: 0,
            counters: DirectionCounters::default(),
        }
    }

    /// Puts a datagram on the wire: it is lost, or comes out once or twice, later or at once.
    pub fn put(&mut self, now_ns: u64, peer: P, bytes: &[u8]) {
        self.counters.datagrams_in += 1;
        let draw = self.draw();
        if draw.loss < self.options.loss {
            self.counters.lost += 1;
            return;
        }
        let copies = if draw.duplicate < self.options.duplicate { 2 } else { 1 };
        self.counters.duplicated += copies - 1;
        for copy in &draw.copies[..copies as usize] {
            self.schedule(now_ns, copy, peer, bytes);
        }
    }

    /// When the next datagram is due, in ns of the caller's clock; `None` if none waits.
    pub fn due_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.due_ns)
    }

    /// The next datagram that is due by `now_ns`.
    pub fn take_due(&mut self, now_ns: u64) -> Option<(P, Vec<u8>)> {
        self.due_ns().filter(|due_ns| *due_ns <= now_ns)?;
        let Reverse(waiting) = self.waiting.pop()?;
        self.waiting_bytes -= waiting.bytes.len();
        Some((waiting.peer, waiting.bytes))
    }

    /// What was counted so far. Whoever sends tells the outcome by [`sent`](Self::sent).
    pub fn counters(&self) -> DirectionCounters {
        DirectionCounters { waiting: self.waiting.len() as u64, ..self.counters }
    }

    /// Counts a datagram that was taken from here: it went out, or the kernel refused it.
    pub fn sent(&mut self, went_out: bool) {
        *(if went_out { &mut self.counters.datagrams_out } else { &mut self.counters.send_error }) += 1;
    }

    fn schedule(&mut self, now_ns: u64, draw: &CopyDraw, peer: P, bytes: &[u8]) {
        if self.waiting.len() >= WAITING_DATAGRAMS_MAX || self.waiting_bytes + bytes.len() > WAITING_BYTES_MAX
        {
            self.counters.full += 1;
            return;
        }
        let jitter_ns = draw.jitter * self.options.jitter.as_nanos() as f64;
        let due_ns = now_ns + self.options.delay.as_nanos() as u64 + jitter_ns as u64;
        // Jitter alone keeps the order, as a queue does: what was put in later comes out later.
        let in_order_ns = due_ns.max(self.newest_due_ns);
        let due_ns = if draw.reorder < self.options.reorder {
            self.counters.reordered += 1;
            in_order_ns + HOLD_NS_MIN + (draw.hold * (HOLD_NS_MAX - HOLD_NS_MIN) as f64) as u64
        } else {
            self.newest_due_ns = in_order_ns;
            in_order_ns
        };
        self.serial += 1;
        self.waiting_bytes += bytes.len();
        self.waiting.push(Reverse(Waiting { due_ns, serial: self.serial, peer, bytes: bytes.to_vec() }));
    }

    fn draw(&mut self) -> Draw {
        // 53 random bits, which a float from 0 to 1 holds exactly.
        let mut fraction = || (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let (loss, duplicate) = (fraction(), fraction());
        let mut copy = || CopyDraw { reorder: fraction(), hold: fraction(), jitter: fraction() };
        Draw { loss, duplicate, copies: [copy(), copy()] }
    }
}

impl<P> Waiting<P> {
    fn order(&self) -> (u64, u64) {
        (self.due_ns, self.serial)
    }
}

impl<P> Ord for Waiting<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl<P> PartialOrd for Waiting<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Waiting<P> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<P> Eq for Waiting<P> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MS: u64 = 1_000_000;

    fn options() -> RelayOptions {
        RelayOptions { seed: 7, ..RelayOptions::default() }
    }

    /// Puts `count` numbered datagrams on a wire, one each `gap_ns`, and returns what comes out: when and
    /// which.
    fn play(options: RelayOptions, count: u32, gap_ns: u64) -> (Vec<(u64, u32)>, DirectionCounters) {
        let mut wire = Wire::new(options, 0);
        let mut out = Vec::new();
        let mut drain = |wire: &mut Wire<()>, until_ns: u64| {
            while let Some(due_ns) = wire.due_ns().filter(|due_ns| *due_ns <= until_ns) {
                let (_, bytes) = wire.take_due(due_ns).unwrap();
                wire.sent(true);
                out.push((due_ns, u32::from_le_bytes(bytes.try_into().unwrap())));
            }
        };
        for number in 0..count {
            let now_ns = u64::from(number) * gap_ns;
            drain(&mut wire, now_ns);
            wire.put(now_ns, (), &number.to_le_bytes());
        }
        drain(&mut wire, u64::MAX);
        (out, wire.counters())
    }

    /// Expect: without impairments everything comes out at once, once, in order.
    #[test]
    fn a_good_wire_changes_nothing() {
        let (out, counters) = play(options(), 1_000, MS);
        assert!(out.iter().enumerate().all(|(at, out)| *out == (at as u64 * MS, at as u32)));
        let expected = DirectionCounters { datagrams_in: 1_000, datagrams_out: 1_000, ..Default::default() };
        assert_eq!((out.len(), counters), (1_000, expected));
    }

    /// Expect: the rates are those asked for, to five standard deviations, and every datagram is accounted
    /// for.
    #[test]
    fn rates_are_those_asked_for() {
        let bad = RelayOptions { loss: 0.2, duplicate: 0.05, reorder: 0.1, ..options() };
        let n = 100_000u32;
        let (out, counters) = play(bad, n, 10_000);
        let DirectionCounters { datagrams_in, lost, duplicated, reordered, datagrams_out, .. } = counters;
        assert_eq!((datagrams_in, datagrams_out), (u64::from(n), out.len() as u64));
        assert_eq!(datagrams_in + duplicated, datagrams_out + lost);
        for (name, count, of, rate) in [
            ("loss", lost, datagrams_in, 0.2),
            ("duplicate", duplicated, datagrams_in - lost, 0.05),
            ("reorder", reordered, datagrams_out, 0.1),
        ] {
            let (mean, of) = (of as f64 * rate, of as f64);
            let off = (count as f64 - mean).abs() / (of * rate * (1.0 - rate)).sqrt();
            assert!(off < 5.0, "{name}: {count} of {of}, {off:.1} standard deviations from {mean}");
        }
        assert!(out.windows(2).any(|pair| pair[0].1 > pair[1].1), "some are overtaken");
    }

    /// Expect: delay and jitter stay within their bounds and keep the order.
    #[test]
    fn delay_and_jitter_alone_keep_the_order() {
        let slow =
            RelayOptions { delay: Duration::from_millis(5), jitter: Duration::from_millis(2), ..options() };
        let (out, counters) = play(slow, 10_000, MS / 10);
        assert_eq!(counters.reordered, 0);
        assert!(out.iter().enumerate().all(|(at, (_, number))| at as u32 == *number));
        for (due_ns, number) in out {
            let way_ns = due_ns - u64::from(number) * MS / 10;
            assert!((5 * MS..=7 * MS).contains(&way_ns), "{number}: {way_ns} ns");
        }
    }

    /// Expect: a held datagram is overtaken by those that come within the hold, and by no others.
    #[test]
    fn a_reordered_datagram_is_held_back_for_a_bounded_time() {
        let (out, _) = play(RelayOptions { reorder: 0.1, ..options() }, 10_000, MS / 4);
        for (due_ns, number) in out {
            let held_ns = due_ns - u64::from(number) * MS / 4;
            assert!(held_ns == 0 || (HOLD_NS_MIN..=HOLD_NS_MAX).contains(&held_ns), "{number}: {held_ns} ns");
        }
    }

    /// Expect: the same seed gives the same fates, another seed or the other direction gives others.
    #[test]
    fn fates_are_those_of_the_seed() {
        let bad = RelayOptions {
            loss: 0.2,
            duplicate: 0.1,
            reorder: 0.1,
            jitter: Duration::from_millis(1),
            ..options()
        };
        let fates = |options| play(options, 1_000, MS).0;
        assert_eq!(fates(bad), fates(bad));
        assert_ne!(fates(bad), fates(RelayOptions { seed: 8, ..bad }));
        let lost = |stream| {
            let mut wire = Wire::new(bad, stream);
            (0..1_000).map(|at| (wire.put(at, (), b"x"), wire.counters().lost).1).collect::<Vec<_>>()
        };
        assert_ne!(lost(0), lost(1));
    }

    /// Expect: the n-th datagram's loss does not depend on how the others were doubled or held back.
    #[test]
    fn a_datagrams_fate_does_not_depend_on_the_other_options() {
        let survivors = |options| {
            let mut numbers: Vec<u32> =
                play(options, 1_000, MS).0.iter().map(|(_, number)| *number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        let lossy = RelayOptions { loss: 0.3, ..options() };
        assert_eq!(survivors(lossy), survivors(RelayOptions { duplicate: 0.5, reorder: 0.5, ..lossy }));
    }

    /// Expect: what does not fit is lost and counted, and nothing grows beyond its bound.
    #[test]
    fn what_waits_is_bounded() {
        let slow = RelayOptions { delay: Duration::from_secs(1), ..options() };
        let mut wire = Wire::new(slow, 0);
        (0..WAITING_DATAGRAMS_MAX + 10).for_each(|_| wire.put(0, (), b"x"));
        assert_eq!((wire.counters().full, wire.counters().waiting), (10, WAITING_DATAGRAMS_MAX as u64));
        let mut wire = Wire::new(slow, 0);
        let big = vec![0; 60_000];
        (0..2_000).for_each(|_| wire.put(0, (), &big));
        assert_eq!(wire.counters().waiting, (WAITING_BYTES_MAX / 60_000) as u64);
        assert_eq!(wire.counters().waiting + wire.counters().full, 2_000);
        while wire.take_due(u64::MAX).is_some() {}
        assert_eq!(wire.waiting_bytes, 0);
    }
}
