//! Timers of a million users without looking at a million users: hashed timing wheels.
//!
//! G. Varghese and A. Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), scheme 6, with lazy
//! re-insertion: a user stands in the slot of the earliest time that was asked for, and what it really waits
//! for is looked up when the slot comes. So a timer that moves later, as those of answered requests do,
//! costs nothing until then.

/// Not in any slot; also the end of a list.
const NONE: u32 = u32::MAX;

/// A user's place. 12 bytes.
#[derive(Clone, Copy)]
struct Node {
    next: u32,
    prev: u32,
    /// The slot it stands in, or [`NONE`].
    slot: u32,
}

/// One wheel: slots of 2^`tick_bits` ns each, each a list through the users.
struct Wheel {
    tick_bits: u32,
    /// The tick up to which everything has been taken out.
    done: u64,
    heads: Box<[u32]>,
    nodes: Box<[Node]>,
    len: usize,
}

impl Wheel {
    fn new(users: usize, slots: usize, tick_bits: u32, now_ns: u64) -> Wheel {
        assert!(slots.is_power_of_two() && users < NONE as usize);
        Wheel {
            tick_bits,
            done: now_ns >> tick_bits,
            heads: vec![NONE; slots].into(),
            nodes: vec![Node { next: NONE, prev: NONE, slot: NONE }; users].into(),
            len: 0,
        }
    }

    /// How far ahead it can see.
    fn span_ns(&self) -> u64 {
        (self.heads.len() as u64 - 1) << self.tick_bits
    }

    /// The tick of a slot that has not been taken out yet.
    fn tick_of(&self, slot: u32) -> u64 {
        let mask = self.heads.len() as u64 - 1;
        let first = self.done + 1;
        first + (u64::from(slot).wrapping_sub(first) & mask)
    }

    /// Puts a user into the slot of a time, unless it stands in an earlier one. Times beyond the span go
    /// into the last slot.
    fn arm(&mut self, user: u32, at_ns: u64) {
        let tick = (at_ns >> self.tick_bits) + 1;
        let tick = tick.clamp(self.done + 1, self.done + self.heads.len() as u64);
        let slot = self.nodes[user as usize].slot;
        if slot != NONE {
            if self.tick_of(slot) <= tick {
                return;
            }
            self.unlink(user);
        }
        let slot = (tick & (self.heads.len() as u64 - 1)) as u32;
        let head = std::mem::replace(&mut self.heads[slot as usize], user);
        self.nodes[user as usize] = Node { next: head, prev: NONE, slot };
        if head != NONE {
            self.nodes[head as usize].prev = user;
        }
        self.len += 1;
    }

    fn unlink(&mut self, user: u32) {
        let Node { next, prev, slot } = self.nodes[user as usize];
        match prev {
            NONE => self.heads[slot as usize] = next,
            prev => self.nodes[prev as usize].next = next,
        }
        if next != NONE {
            self.nodes[next as usize].prev = prev;
        }
        self.nodes[user as usize].slot = NONE;
        self.len -= 1;
    }

    /// Takes out a user whose slot has come.
    fn pop(&mut self, now_ns: u64) -> Option<u32> {
        let now = now_ns >> self.tick_bits;
        while self.done < now {
            if self.len == 0 {
                self.done = now;
                return None;
            }
            let slot = ((self.done + 1) & (self.heads.len() as u64 - 1)) as usize;
            match self.heads[slot] {
                NONE => self.done += 1,
                user => {
                    self.unlink(user);
                    return Some(user);
                }
            }
        }
        None
    }
}

/// The timers of a part's users: when their sessions want to be called.
///
/// Two wheels: one for retransmissions, in slots of 1 ms (2^20 ns), and one for keepalives, in slots of 8 ms. A user has a
/// place in both, so that a request on its way does not move the keepalive.
pub struct Timers {
    near: Wheel,
    far: Wheel,
}

impl Timers {
    /// Timers for users 0 to `users - 1`, none of them armed.
    pub fn new(users: usize, now_ns: u64) -> Timers {
        Timers { near: Wheel::new(users, 8_192, 20, now_ns), far: Wheel::new(users, 8_192, 23, now_ns) }
    }

    /// Asks for a call of `user` at `at_ns` at the latest, up to a slot late; `u64::MAX` is never.
    pub fn arm(&mut self, user: u32, at_ns: u64, now_ns: u64) {
        if at_ns == u64::MAX {
            return;
        }
        if at_ns.saturating_sub(now_ns) < self.near.span_ns() {
            self.near.arm(user, at_ns);
        } else {
            self.far.arm(user, at_ns);
        }
    }

    /// A user whose time may have come: its session is asked, and armed again. Ends with `None`.
    pub fn pop(&mut self, now_ns: u64) -> Option<u32> {
        self.near.pop(now_ns).or_else(|| self.far.pop(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn all(timers: &mut Timers, now_ns: u64) -> Vec<u32> {
        let mut users: Vec<u32> = std::iter::from_fn(|| timers.pop(now_ns)).collect();
        users.sort_unstable();
        users
    }

    #[test]
    fn users_come_out_when_their_time_has_come_and_not_before() {
        let start = 5_000 * MS + 17;
        let mut timers = Timers::new(4, start);
        timers.arm(0, start + 50 * MS, start);
        timers.arm(1, start + 50 * MS, start);
        timers.arm(2, start + 30_000 * MS, start);
        timers.arm(3, u64::MAX, start);
        assert!(all(&mut timers, start + 49 * MS).is_empty());
        assert_eq!(all(&mut timers, start + 53 * MS), [0, 1]);
        assert!(all(&mut timers, start + 29_999 * MS).is_empty());
        assert_eq!(all(&mut timers, start + 30_017 * MS), [2]);
        assert!(all(&mut timers, start + 1_000_000 * MS).is_empty());
    }

    #[test]
    fn an_earlier_time_moves_a_user_and_a_later_one_does_not() {
        let mut timers = Timers::new(3, 0);
        (0..3).for_each(|user| timers.arm(user, 100 * MS, 0));
        timers.arm(1, 10 * MS, 0);
        timers.arm(1, 200 * MS, 0);
        assert_eq!(all(&mut timers, 13 * MS), [1]);
        assert_eq!(all(&mut timers, 103 * MS), [0, 2]);
        assert!(all(&mut timers, 300 * MS).is_empty());
    }

    #[test]
    fn times_that_have_passed_come_with_the_next_tick() {
        let mut timers = Timers::new(1, 1_000 * MS);
        timers.arm(0, 3, 1_000 * MS);
        assert_eq!(all(&mut timers, 1_002 * MS), [0]);
    }

    proptest! {
        /// Expect: as a sorted list would do it, but for the slots' width.
        #[test]
        fn wheels_do_what_a_list_does(steps in prop::collection::vec((0u32..20, 0u64..40_000, 0u64..3_000), 1..300)) {
            let mut timers = Timers::new(20, 0);
            let mut wanted: Vec<Option<u64>> = vec![None; 20];
            let mut now_ns = 0;
            for (user, ahead_ms, wait_ms) in steps {
                let at_ns = now_ns + ahead_ms * MS;
                timers.arm(user, at_ns, now_ns);
                let wish = &mut wanted[user as usize];
                *wish = Some(wish.map_or(at_ns, |earlier| earlier.min(at_ns)));
                now_ns += wait_ms * MS;
                while let Some(user) = timers.pop(now_ns) {
                    // Lazily: what is not due yet is armed again.
                    match wanted[user as usize] {
                        Some(at_ns) if at_ns > now_ns => timers.arm(user, at_ns, now_ns),
                        _ => wanted[user as usize] = None,
                    }
                }
                for at_ns in wanted.iter().flatten() {
                    prop_assert!(at_ns + 17 * MS > now_ns, "missed {at_ns} at {now_ns}");
                }
            }
        }
    }
}
