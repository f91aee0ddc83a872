//! How much of what comes is worked on: moves the gate so that datagrams do not wait for long.

use crate::gate::{ALL, CLASSES, Gate, Share};
use crate::set::admission::Seen;
use redpkt_proto::Now;
use redpkt_proto::steer::mix;

/// Queueing time at which fewer are let in, in ns. WeChat's services take 20 ms on average for overload; here a
/// datagram is worked on in 0.1 µs, and 5 ms are a queue of thousands.
pub const TARGET_NS: u64 = 5_000_000;

/// A queue that stands for less is none.
const SHORT_NS: u64 = 1_000_000;

/// How often it is decided. Within it the shortest wait counts: a queue that stands is overload, and one that a pause
/// of the thread has filled and that is then worked off is none (after CoDel, RFC 8289 §3, whose interval is 100 ms).
const WINDOW_NS: u64 = 20_000_000;

/// Datagrams in a window that a decision needs, and that are let in whatever happens.
const SEEN_MIN: f64 = 64.0;

/// Windows in which a queue that stands is to be worked off.
const WORKED_OFF_IN: f64 = 4.0;

/// How much less is let in at the most: when a queue stands for the first time, when one stands again, and when that is
/// a long one.
const LESS_FIRST: f64 = 0.9;
const LESS: f64 = 0.08;
const LESS_LONG: f64 = 0.4;

/// A queue that stands for longer is a long one.
const LONG_NS: u64 = 40_000_000;

/// How much more is let in when no queue stands: this part of the way to what was once too much; and at least, where the
/// second is for each second since less was let in.
const MORE: f64 = 0.2;
const MORE_MIN: f64 = 0.005;
const MORE_PER_S: f64 = 0.03;

/// What has waited for longer while a queue stands is not all worked on, but for what is about money: it would be
/// answered late, and so would all behind it.
const LATE_NS: u64 = 10_000_000;

/// Beyond it none of it is.
const TOO_LATE_NS: u64 = 16_000_000;

/// The part of what was once too much that it still is after another time: it may have been a bad moment.
const FADES: f64 = 0.97;

/// What is kept for each class of what can be done, so that no class takes another's: what a class does not need goes
/// to the others in the order of their value.
const KEPT: [f64; CLASSES] = [0.5, 0.2, 0.15, 0.05, 0.01];

/// The share of a class's users that is let in at the least.
const LIMIT_MIN: Share = ALL / 4_096;

/// Weight of a window in which less came: a lull is no end.
const LESS_WEIGHT: f64 = 1.0 / 8.0;

/// Refusals that are answered, as a part of what is worked on, and at least in a window. The rest are dropped: an
/// answer costs the network as much as one that helps.
const TOLD: f64 = 0.05;
const TOLD_MIN: f64 = 16.0;

/// The gate of one worker. All its numbers are datagrams in a window.
#[derive(Clone, Debug)]
pub struct Admission {
    gate: Gate,
    told_max: u32,
    /// How much may be let in.
    allowed: f64,
    /// What was let in when it was too much.
    too_much: f64,
    /// Whether the last batch was dropped for coming late.
    was_late: bool,
    /// When less was let in for the last time.
    cut_ns: u64,
    /// What came of each class, with what was refused.
    came: [f64; CLASSES],
    /// What the salts of all hours are made of.
    secret: u32,
    since_ns: u64,
    /// The shortest wait of this window.
    waited_ns: u64,
    /// That of the last, and of the one before.
    standing_ns: u64,
    stood_ns: u64,
    /// What the kernel had dropped at its end.
    dropped: u64,
}

impl Admission {
    /// Lets everything in.
    pub fn new(now_ns: u64, secret: u32) -> Admission {
        Admission {
            gate: Gate::OPEN,
            told_max: u32::MAX,
            allowed: f64::INFINITY,
            too_much: 0.0,
            was_late: false,
            cut_ns: 0,
            came: [0.0; CLASSES],
            secret,
            since_ns: now_ns,
            waited_ns: u64::MAX,
            standing_ns: 0,
            stood_ns: 0,
            dropped: 0,
        }
    }

    /// How long datagrams waited in the last window at the least, in ns: the queue that stands.
    pub fn standing_ns(&self) -> u64 {
        self.standing_ns
    }

    /// The gate as it was decided last.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// How many refusals are answered until the next decision.
    pub fn told_max(&self) -> u32 {
        self.told_max
    }

    /// Whether datagrams that have waited for so long are not worth their time any more, because a queue stands behind
    /// them. Of a short one every second batch only: where a worker is kept from its core all are late, and somebody
    /// is to be served.
    pub fn is_late(&mut self, waited_ns: u64) -> bool {
        let is_late = waited_ns > LATE_NS && self.allowed.is_finite() && self.standing_ns > SHORT_NS;
        self.was_late = is_late && (!self.was_late || waited_ns > TOO_LATE_NS);
        self.was_late
    }

    /// Notes one turn of the worker's loop: how long the first datagram had waited, 0 if there was none. Whether a window
    /// is over, so that it is to be decided anew.
    pub fn turn(&mut self, now: Now, waited_ns: u64) -> bool {
        self.waited_ns = self.waited_ns.min(waited_ns);
        let is_over = now.mono_ns.saturating_sub(self.since_ns) >= WINDOW_NS;
        if is_over {
            self.stood_ns = std::mem::replace(&mut self.standing_ns, self.waited_ns);
            self.waited_ns = u64::MAX;
        }
        is_over
    }

    /// Decides anew by what was seen in the window that is over and by what the kernel has dropped since the start.
    /// Classes that are `off` are not let in whatever there is room for.
    pub fn decide(&mut self, now: Now, seen: Seen, dropped: u64, off: [bool; CLASSES]) {
        let window_ns = now.mono_ns.saturating_sub(std::mem::replace(&mut self.since_ns, now.mono_ns));
        let windows = window_ns as f64 / WINDOW_NS as f64;
        let dropped = (dropped - std::mem::replace(&mut self.dropped, dropped)) as f64;
        let admitted = seen.admitted.iter().sum::<u64>() as f64 / windows;
        // What was dropped unseen was of the classes that were refused.
        let refused = seen.refused.iter().sum::<u64>() as f64;
        let each = if refused > 0.0 { 1.0 + dropped / refused } else { 1.0 };
        for (class, came) in self.came.iter_mut().enumerate() {
            let now = (seen.admitted[class] as f64 + seen.refused[class] as f64 * each) / windows;
            *came = if now > *came { now } else { *came + (now - *came) * LESS_WEIGHT };
        }
        self.allow(admitted, now.mono_ns);
        let admitted = seen.admitted.map(|count| count as f64 / windows);
        self.share_out(&admitted, off);
        // Another part of the users is first in every hour.
        let hour = (now.wall_s() / 3_600) as u32;
        self.gate.salt = mix(self.secret ^ hour);
    }

    /// From what came of what was let in, not from what was refused: that is sent again and again, and is sent no more
    /// once it is let in.
    ///
    /// Much at once when a queue stands for the first time, little when it stands again: who is shut out and let in
    /// again comes with all that he has sent meanwhile, so a gate that swings makes its own bursts.
    fn allow(&mut self, admitted: f64, now_ns: u64) {
        let standing = self.standing_ns as f64;
        if self.standing_ns > TARGET_NS && admitted >= SEEN_MIN / 4.0 {
            let mut less = 0.0;
            // What came before the last cut says nothing of it.
            if now_ns.saturating_sub(self.standing_ns) > self.cut_ns {
                let over = (standing - TARGET_NS as f64) / WORKED_OFF_IN;
                let (grown, less_max) = if self.allowed.is_infinite() {
                    (standing - self.stood_ns as f64, LESS_FIRST)
                } else if self.standing_ns > LONG_NS {
                    (0.0, LESS_LONG)
                } else {
                    (0.0, LESS)
                };
                less = ((grown + over) / WINDOW_NS as f64).clamp(0.0, less_max);
                self.too_much = admitted.max(self.too_much * FADES);
                self.cut_ns = now_ns;
            }
            self.allowed = admitted * (1.0 - less);
        } else if self.allowed.is_finite() {
            let far = 1.0 - admitted / self.too_much.max(1.0);
            let since_s = (now_ns.saturating_sub(self.cut_ns)) as f64 / 1e9;
            let more = (MORE * far).max(MORE_MIN + MORE_PER_S * since_s).min(MORE);
            let more = if self.standing_ns <= SHORT_NS { more } else { 0.0 };
            self.allowed = admitted * (1.0 + more);
        }
        self.allowed = self.allowed.max(SEEN_MIN);
    }

    /// To each class what is kept for it, as far as it needs that, and the rest in order of value.
    fn share_out(&mut self, admitted: &[f64; CLASSES], off: [bool; CLASSES]) {
        let wanted: [f64; CLASSES] =
            std::array::from_fn(|class| if off[class] { 0.0 } else { self.came[class] });
        if wanted.iter().sum::<f64>() <= self.allowed {
            (self.allowed, self.too_much) = (f64::INFINITY, 0.0);
        }
        let mut rest = self.allowed;
        let mut given: [f64; CLASSES] = std::array::from_fn(|class| {
            let kept = wanted[class].min(KEPT[class] * self.allowed);
            rest -= kept;
            kept
        });
        for (given, wanted) in given.iter_mut().zip(wanted) {
            let more = (wanted - *given).min(rest);
            *given += more;
            rest -= more;
        }
        self.gate.limits = std::array::from_fn(|class| match off[class] {
            true => 0,
            false if given[class] >= wanted[class] => ALL,
            // As much more or less of the users as there is to be of their datagrams.
            false => {
                let limit = f64::from(self.gate.limits[class].max(LIMIT_MIN));
                (limit * given[class] / admitted[class].max(1.0)).clamp(LIMIT_MIN.into(), (ALL - 1).into())
                    as Share
            }
        });
        let refused = self.came.iter().sum::<f64>() - given.iter().sum::<f64>();
        let told_max = TOLD_MIN.max(TOLD * given.iter().sum::<f64>());
        self.gate.told = share(told_max, refused).max(1);
        self.told_max = told_max as u32;
    }
}

/// `part` of `whole`; the whole if that is as much.
fn share(part: f64, whole: f64) -> Share {
    // A float of 2³² or more becomes the greatest integer, which is the whole.
    if part >= whole { ALL } else { (part / whole * (f64::from(ALL) + 1.0)) as Share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Class;
    use std::collections::VecDeque;

    const NOTHING_OFF: [bool; CLASSES] = [false; CLASSES];

    fn at_ms(ms: u64) -> Now {
        Now { mono_ns: ms * 1_000_000, wall_ms: 1_700_000_000_000 + ms }
    }

    /// What a simulation came to, over its last three quarters.
    struct Came {
        /// Served of each class, a ms.
        served: [f64; CLASSES],
        /// 99% of what was served had waited for less, in ms.
        p99_ms: u64,
    }

    /// A request, when it was made, and when it came.
    #[derive(Clone, Copy)]
    struct Asked {
        class: Class,
        user: u64,
        made_ms: u64,
        came_ms: u64,
    }

    /// A server that can serve `capacity` datagrams a ms, where one refused costs 0.9 of that if it is answered and
    /// 0.4 if not, behind a queue that holds 5,000. What the kernel drops costs nothing. What is not answered is sent
    /// again after 200 ms, until it is `patience_ms` old.
    fn simulate(capacity: f64, offered: &[(Class, u32)], ms: u64, patience_ms: u64) -> Came {
        let mut admission = Admission::new(0, 7);
        let (mut seen, mut queue, mut again) = (Seen::default(), VecDeque::new(), VecDeque::<Asked>::new());
        let (mut served, mut waits, mut user) = ([0.0; CLASSES], Vec::new(), 0u64);
        let (mut budget, mut random, mut dropped) = (0.0, 1u32, 0);
        for now in 0..ms {
            let mut come = Vec::new();
            while again.front().is_some_and(|asked| asked.came_ms + 200 <= now) {
                come.extend(again.pop_front().filter(|asked| asked.made_ms + patience_ms > now));
            }
            for (class, count) in offered {
                for _ in 0..*count {
                    user += 1;
                    come.push(Asked { class: *class, user: user % 9_973, made_ms: now, came_ms: now });
                }
            }
            for asked in come {
                let asked = Asked { came_ms: now, ..asked };
                random = mix(random.wrapping_add(0x9e37_79b9));
                let gate = admission.gate();
                let passes =
                    !gate.sheds_in_kernel() || gate.admits(asked.class, asked.user) || random < gate.told;
                if passes && queue.len() < 5_000 {
                    queue.push_back(asked);
                } else {
                    dropped += u64::from(gate.sheds_in_kernel());
                    again.push_back(asked);
                }
            }
            budget += capacity;
            let waited_ms = queue.front().map_or(0, |asked| now - asked.came_ms);
            if admission.turn(at_ms(now), waited_ms * 1_000_000) {
                admission.decide(at_ms(now), std::mem::take(&mut seen), dropped, NOTHING_OFF);
            }
            let gate = admission.gate();
            while budget >= 1.0 {
                let Some(asked) = queue.pop_front() else { break };
                let is_late =
                    asked.class >= Class::Shake && admission.is_late((now - asked.came_ms) * 1_000_000);
                if gate.admits(asked.class, asked.user) && is_late {
                    seen.admit(asked.class);
                    budget -= 0.4;
                    again.push_back(asked);
                } else if gate.admits(asked.class, asked.user) {
                    seen.admit(asked.class);
                    budget -= 1.0;
                    if now > ms / 4 {
                        served[asked.class as usize] += 4.0 / 3.0 / ms as f64;
                        waits.push(now - asked.came_ms);
                    }
                } else {
                    budget -= if seen.refuse(asked.class, admission.told_max()) { 0.9 } else { 0.4 };
                    again.push_back(asked);
                }
            }
            budget = budget.min(capacity);
        }
        waits.sort_unstable();
        Came { served, p99_ms: waits[waits.len() * 99 / 100] }
    }

    #[test]
    fn below_its_capacity_everything_is_served() {
        let Came { served, .. } = simulate(100.0, &[(Class::Shake, 80), (Class::Read, 5)], 2_000, 0);
        assert!((served[Class::Shake as usize] - 80.0).abs() < 1.0, "{served:?}");
        assert!((served[Class::Read as usize] - 5.0).abs() < 0.2, "{served:?}");
    }

    /// Expect: from a little above the capacity to 40 times of it, on a slow server and on a fast one, with clients that
    /// ask once and with clients that ask again and again, opens are all served, shakes get much of what remains of the
    /// capacity, and what is served has not waited for long.
    #[test]
    fn above_it_what_is_worth_most_is_served_at_once_and_the_capacity_is_used() {
        // With retransmissions less, because what is let in anew brings its past along.
        for (tenths, patience_ms) in
            [(12, 0), (20, 0), (40, 0), (400, 0), (12, 2_000), (20, 2_000), (80, 2_000)]
        {
            let (least, p99_ms_max) = if patience_ms == 0 { (0.9, 20) } else { (0.4, 60) };
            for capacity in [20, 200] {
                let opens = capacity / 20;
                let shakes = capacity * tenths / 10;
                let offered = [(Class::Open, opens), (Class::Shake, shakes), (Class::Read, opens)];
                let Came { served, p99_ms } = simulate(capacity.into(), &offered, 6_000, patience_ms);
                let what = format!("{shakes} of {capacity}, {patience_ms} ms: {served:?}, {p99_ms} ms");
                assert!(served[Class::Open as usize] > 0.98 * f64::from(opens), "{what}");
                assert!(served[Class::Shake as usize] > least * f64::from(capacity - opens), "{what}");
                assert!(p99_ms <= p99_ms_max, "{what}");
            }
        }
    }

    /// Expect: of datagrams that say they are opens, which anyone can send, no flood takes what is kept for shakes.
    #[test]
    fn no_class_takes_what_is_kept_for_another() {
        let came = simulate(100.0, &[(Class::Open, 1_000), (Class::Shake, 100), (Class::Join, 50)], 4_000, 0);
        let Came { served, .. } = came;
        assert!(served[Class::Shake as usize] > 0.6 * 15.0, "{served:?}");
        assert!(served[Class::Join as usize] > 0.6 * 5.0, "{served:?}");
        assert!(served[Class::Open as usize] > 65.0, "{served:?}");
    }

    /// One window of 20 ms, in which the shortest wait was this.
    fn window(admission: &mut Admission, nth: u64, waited_ns: u64, seen: Seen, off: [bool; CLASSES]) -> Gate {
        assert!(admission.turn(at_ms(nth * 20), waited_ns));
        admission.decide(at_ms(nth * 20), seen, 0, off);
        admission.gate()
    }

    #[test]
    fn a_class_that_is_off_is_let_in_never_and_is_told_so() {
        let mut admission = Admission::new(0, 7);
        let seen = |joins| {
            let refused = Class::ALL.map(|class| u64::from(class == Class::Join) * joins);
            Seen { refused, ..Seen::default() }
        };
        let off = Class::ALL.map(|class| class == Class::Join);
        let gate = window(&mut admission, 1, 0, seen(10), off);
        assert!(!gate.admits(Class::Join, 5) && gate.admits(Class::Read, 5));
        assert!(!gate.sheds_in_kernel(), "a few are all told");
        assert!(window(&mut admission, 2, 0, seen(1_000), off).sheds_in_kernel(), "of many most are dropped");
        assert_eq!(window(&mut admission, 3, 0, seen(0), NOTHING_OFF).limits, Gate::OPEN.limits);
    }

    /// Expect: pauses of the thread of 30 ms, after each of which the queue is worked off, refuse nobody.
    #[test]
    fn a_pause_of_the_thread_is_no_overload() {
        let mut admission = Admission::new(0, 7);
        let (mut seen, mut now_ms) = (Seen::default(), 0);
        for turn in 0..2_000 {
            let paused = turn % 20 == 19;
            now_ms += if paused { 30 } else { 1 };
            (0..50).for_each(|_| seen.admit(Class::Shake));
            let waited_ns = if paused { 30_000_000 } else { 100_000 };
            if admission.turn(at_ms(now_ms), waited_ns) {
                admission.decide(at_ms(now_ms), std::mem::take(&mut seen), 0, NOTHING_OFF);
            }
            assert_eq!(admission.gate().limits, Gate::OPEN.limits);
        }
    }

    /// Expect: the same users are first for an hour, and others in the next.
    #[test]
    fn another_part_of_the_users_is_first_in_every_hour() {
        let mut admission = Admission::new(0, 7);
        let mut salt = |wall_ms: u64| {
            admission.decide(Now { mono_ns: wall_ms * 1_000_000, wall_ms }, Seen::default(), 0, NOTHING_OFF);
            admission.gate().salt
        };
        let first = salt(3_600_000);
        assert_eq!(salt(7_199_000), first);
        assert_ne!(salt(7_201_000), first);
    }

    #[test]
    fn it_recovers_within_two_seconds_of_the_loads_end() {
        let mut admission = Admission::new(0, 7);
        let mut limits = |nth: u64, waited_ns| {
            let mut seen = Seen::default();
            (0..1_000).for_each(|user| match admission.gate().admits(Class::Shake, user) {
                true => seen.admit(Class::Shake),
                false => _ = seen.refuse(Class::Shake, u32::MAX),
            });
            window(&mut admission, nth, waited_ns, seen, NOTHING_OFF).limits
        };
        let last = (1..100).map(|nth| limits(nth, 10 * TARGET_NS)).last().unwrap();
        assert!(last[Class::Shake as usize] < ALL / 8, "next to nobody is let in");
        let back = (100..).find(|nth| limits(*nth, 0) == Gate::OPEN.limits).unwrap();
        assert!(back < 200, "{} ms", (back - 100) * WINDOW_NS / 1_000_000);
    }
}
