//! How much of what comes is worked on: moves the cut so that datagrams do not wait for long.

use crate::set::admission::{CUT_MAX, PARTS, Seen};

/// Queueing time at which fewer are let in, in ns. WeChat's services take 20 ms on average for overload; here a
/// datagram is worked on in 0.1 µs, and 5 ms are a queue of thousands.
pub const TARGET_NS: u64 = 5_000_000;

/// How often it is decided. Within it the shortest wait counts: a queue that stands is overload, and one that a pause
/// of the thread has filled and that is then worked off is none (after CoDel, RFC 8289 §3, whose interval is 100 ms).
const WINDOW_NS: u64 = 20_000_000;

/// Datagrams that a decision needs.
const SEEN_MIN: u64 = 64;

/// Windows in which a queue that stands is to be worked off.
const WORKED_OFF_IN: f64 = 4.0;

/// How much less at the most.
const LESS_MAX: f64 = 0.5;

/// How much more is let in when no queue stands.
const MORE: f64 = 0.03;

/// Never cut below: opens are not refused unread.
const CUT_MIN: u16 = PARTS as u16;

/// The cut of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    cut: u16,
    /// What may be let in in a window, beyond which the cut does not rise; kept between windows because a cut is
    /// coarse.
    allowed: f64,
    since_ns: u64,
    /// The shortest wait of this window.
    waited_ns: u64,
    /// That of the last.
    standing_ns: u64,
}

impl Admission {
    /// Lets everything in.
    pub fn new(now_ns: u64) -> Admission {
        Admission { cut: CUT_MAX, allowed: 0.0, since_ns: now_ns, waited_ns: u64::MAX, standing_ns: 0 }
    }

    /// How long datagrams waited in the last window at the least, in ns: the queue that stands.
    pub fn standing_ns(&self) -> u64 {
        self.standing_ns
    }

    /// Notes one turn of the worker's loop: how long the first datagram had waited, 0 if there was none. The cut,
    /// decided anew where a window is over.
    pub fn turn(&mut self, now_ns: u64, waited_ns: u64, seen: &mut Seen) -> u16 {
        self.waited_ns = self.waited_ns.min(waited_ns);
        let window_ns = now_ns.saturating_sub(self.since_ns);
        if window_ns >= WINDOW_NS {
            let before_ns = std::mem::replace(&mut self.standing_ns, self.waited_ns);
            self.decide(seen, before_ns);
            seen.clear();
            (self.since_ns, self.waited_ns) = (now_ns, u64::MAX);
        }
        self.cut
    }

    /// The queue grows by what comes beyond what can be done: so much less is let in, and a little less still, by which
    /// the queue that stands is worked off.
    fn decide(&mut self, seen: &Seen, before_ns: u64) {
        let (admitted, all) = (seen.below(self.cut), seen.below(CUT_MAX));
        let is_standing = self.standing_ns > TARGET_NS;
        if is_standing && all >= SEEN_MIN {
            let grown = self.standing_ns as f64 - before_ns as f64;
            let over = (self.standing_ns - TARGET_NS) as f64 / WORKED_OFF_IN;
            let less = ((grown + over) / WINDOW_NS as f64).clamp(0.0, LESS_MAX);
            self.allowed = admitted as f64 * (1.0 - less);
        } else if self.cut < CUT_MAX {
            // From what was let in, or from what might have been if it was less than that.
            self.allowed = (self.allowed.max(admitted as f64) * (1.0 + MORE)).max(SEEN_MIN as f64);
        } else {
            return;
        }
        self.cut = seen.cut_for(self.allowed as u64, CUT_MIN);
        if self.cut == CUT_MAX {
            self.allowed = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::admission::{Class, priority};

    /// A server that works off `capacity` datagrams a ms, one refused costing a quarter of one served, fed with
    /// `offered` a ms in a queue that holds 20,000. What it serves of each class, a ms, over the last half.
    fn simulate(capacity: f64, offered: &[(Class, u32)], ms: u64) -> (Vec<f64>, f64) {
        let mut admission = Admission::new(0);
        let (mut seen, mut queue) = (Seen::new(), std::collections::VecDeque::new());
        let (mut served, mut worst_ms, mut user) = (vec![0.0; Class::ALL.len()], 0.0f64, 0u64);
        let mut budget = 0.0;
        for now in 0..ms {
            for (class, count) in offered {
                for _ in 0..*count {
                    user += 1;
                    if queue.len() < 20_000 {
                        queue.push_back((*class, user % 10_000, now));
                    }
                }
            }
            budget += capacity;
            let waited_ms = queue.front().map_or(0, |(_, _, since)| now - since);
            let mut cut = admission.turn(now * 1_000_000, waited_ms * 1_000_000, &mut seen);
            while budget >= 1.0 {
                let Some((class, user, since)) = queue.pop_front() else { break };
                let at = priority(class, user, 0);
                seen.note(at);
                if at < cut {
                    budget -= 1.0;
                    if now > ms / 2 {
                        served[class as usize] += 2.0 / ms as f64;
                        worst_ms = worst_ms.max((now - since) as f64);
                    }
                } else {
                    budget -= 0.25;
                }
                cut = admission.cut;
            }
            budget = budget.min(capacity);
        }
        (served, worst_ms)
    }

    #[test]
    fn below_its_capacity_everything_is_served() {
        let (served, _) = simulate(100.0, &[(Class::Shake, 80), (Class::Read, 5)], 2_000);
        assert!((served[Class::Shake as usize] - 80.0).abs() < 1.0, "{served:?}");
        assert!((served[Class::Read as usize] - 5.0).abs() < 0.2, "{served:?}");
    }

    /// Expect: at twice the capacity shakes are cut and opens are not, what is served waits for 20 ms at the most, and
    /// most of what refusing leaves of the capacity is used.
    #[test]
    fn above_it_the_least_valuable_is_refused_and_the_queue_stays_short() {
        let (served, worst_ms) =
            simulate(100.0, &[(Class::Open, 20), (Class::Shake, 160), (Class::Read, 20)], 4_000);
        let [open, _, shake, _, read] = served[..] else { panic!() };
        // None is refused; what still waits at the end is not counted.
        assert!(open > 19.2, "{served:?}");
        assert!(read < 0.5, "{served:?}");
        // 20 + s + (180 - s) / 4 = 100 where reads and s shakes are refused or served.
        assert!(shake > 42.0, "{served:?}");
        assert!(worst_ms <= 20.0, "{worst_ms}");
    }

    /// Expect: pauses of the thread of 30 ms, after each of which the queue is worked off, cut nothing.
    #[test]
    fn a_pause_of_the_thread_is_no_overload() {
        let mut admission = Admission::new(0);
        let mut seen = Seen::new();
        let mut now_ns = 0;
        for turn in 0..2_000 {
            let paused = turn % 20 == 19;
            now_ns += if paused { 30_000_000 } else { 1_000_000 };
            (0..50).for_each(|user| seen.note(priority(Class::Shake, user, 0)));
            let waited_ns = if paused { 30_000_000 } else { 100_000 };
            assert_eq!(admission.turn(now_ns, waited_ns, &mut seen), CUT_MAX);
        }
    }

    #[test]
    fn it_recovers_within_two_seconds_of_the_loads_end() {
        let mut admission = Admission::new(0);
        let mut seen = Seen::new();
        let mut window = |admission: &mut Admission, nth: u64, waited_ns| {
            (0..1_000).for_each(|user| seen.note(priority(Class::Shake, user, 0)));
            admission.turn(nth * WINDOW_NS, waited_ns, &mut seen)
        };
        (1..100).for_each(|nth| _ = window(&mut admission, nth, 10 * TARGET_NS));
        assert_eq!(admission.cut, Class::Shake as u16 * PARTS as u16, "everything that can be cut is");
        let back = (100..).find(|nth| window(&mut admission, *nth, 0) == CUT_MAX).unwrap();
        assert!(back < 200, "{} ms", (back - 100) * WINDOW_NS / 1_000_000);
    }
}
