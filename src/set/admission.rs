//! What is worked on when not all can be: by the sort of request, then by user.
//!
//! After DAGOR (Zhou et al., Overload Control for Scaling WeChat Microservices, SoCC 2018): every datagram has a
//! priority made of its class and a hash of its user that changes every hour, so that it is not always the same
//! users who wait. The worker moves one number, the cut; what lies at or above it is refused from its header
//! alone, before any key is touched.

use redpkt_proto::{Now, Op};

/// Sorts of requests, the most valuable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Open, and what keeps a session and what it was told.
    Open,
    /// Grab, share and send.
    Give,
    /// Shake.
    Shake,
    /// Handshakes.
    Join,
    /// Balance, history, invitations, relay, and what is no op.
    Read,
}

/// How many classes there are.
pub const CLASSES: usize = 5;

/// Parts that the users of a class are divided into.
pub const PARTS: usize = 64;

/// The cut under which everything is worked on.
pub const CUT_MAX: u16 = (CLASSES * PARTS) as u16;

/// How long who is refused is told to stay away, at least, in ms; as long again at the most.
const RETRY_AFTER_MS: u64 = 500;

impl Class {
    /// All of them, in order of value.
    pub const ALL: [Class; CLASSES] = [Class::Open, Class::Give, Class::Shake, Class::Join, Class::Read];

    /// The class of a datagram whose first frame has this op.
    #[inline]
    pub fn of(op: u8) -> Class {
        match Op::from_wire(op) {
            Some(Op::Open | Op::Ask | Op::Keepalive | Op::PathOk | Op::InviteOk) => Class::Open,
            Some(Op::Grab | Op::Share | Op::Send | Op::SendMore) => Class::Give,
            Some(Op::Shake) => Class::Shake,
            Some(Op::Hello | Op::Join) => Class::Join,
            _ => Class::Read,
        }
    }

    /// Its name in `/stats.json` and in the table of levels.
    pub fn name(self) -> &'static str {
        match self {
            Class::Open => "open",
            Class::Give => "give",
            Class::Shake => "shake",
            Class::Join => "join",
            Class::Read => "read",
        }
    }
}

/// The priority of a user's datagram of a class in an hour: 0 is worked on last of all to be refused.
#[inline]
pub fn priority(class: Class, user: u64, hour: u32) -> u16 {
    // Fibonacci hashing of the user and the hour (Knuth, TAOCP 3, §6.4); the upper bits are the good ones.
    let mixed = (user ^ u64::from(hour).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    class as u16 * PARTS as u16 + (mixed >> 58) as u16
}

/// What a core is told to do and to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Datagrams with a priority below are worked on.
    pub cut: u16,
    /// Classes that are not worked on at all, a bit each.
    pub off: u8,
    /// Whether the operator's packets are made.
    pub mints: bool,
    /// Whether users are told of invitations.
    pub invites: bool,
}

impl Service {
    /// Everything.
    pub const FULL: Service = Service { cut: CUT_MAX, off: 0, mints: true, invites: true };

    /// Whether a datagram of this class and priority is worked on.
    #[inline]
    pub fn admits(&self, class: Class, priority: u16) -> bool {
        priority < self.cut && self.off & 1 << class as u8 == 0
    }
}

/// Datagrams by priority, since they were last looked at.
pub struct Seen([u32; CLASSES * PARTS]);

impl Seen {
    /// None yet.
    pub fn new() -> Seen {
        Seen([0; CLASSES * PARTS])
    }

    /// Notes one.
    #[inline]
    pub fn note(&mut self, priority: u16) {
        self.0[usize::from(priority)] += 1;
    }

    /// How many there were below a priority.
    pub fn below(&self, cut: u16) -> u64 {
        self.0[..usize::from(cut)].iter().map(|count| u64::from(*count)).sum()
    }

    /// The highest cut with at most so many below; at least `least`.
    pub fn cut_for(&self, most: u64, least: u16) -> u16 {
        let mut sum = 0;
        let over = self.0.iter().position(|count| {
            sum += u64::from(*count);
            sum > most
        });
        over.map_or(CUT_MAX, |at| at as u16).max(least)
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }
}

impl Default for Seen {
    fn default() -> Self {
        Seen::new()
    }
}

/// When a refused user may come again, in ms: spread, so that those who are refused together do not return in step.
#[inline]
pub(super) fn retry_after_ms(user: u64, now: Now) -> u32 {
    let mixed = (user ^ now.mono_ns >> 20).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (RETRY_AFTER_MS + mixed % (RETRY_AFTER_MS + 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_class_comes_before_all_of_the_next() {
        for pair in Class::ALL.windows(2) {
            let highest = (0..10_000).map(|user| priority(pair[0], user, 7)).max().unwrap();
            let lowest = (0..10_000).map(|user| priority(pair[1], user, 7)).min().unwrap();
            assert!(highest < lowest && usize::from(lowest) == pair[1] as usize * PARTS);
        }
    }

    /// Expect: of 64 parts each gets its share of consecutive users, and who is in the last part changes by the hour.
    #[test]
    fn users_are_spread_evenly_and_anew_each_hour() {
        let part = |user, hour| priority(Class::Open, user, hour);
        let mut counts = [0; PARTS];
        (0..64_000u64).for_each(|user| counts[usize::from(part(user, 1))] += 1);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        let last = |hour| (0..64_000u64).filter(move |user| part(*user, hour) == 63);
        let again = last(1).filter(|user| part(*user, 2) == 63).count();
        assert!(again < 50, "{again} of {} again", last(1).count());
    }

    #[test]
    fn everything_is_admitted_at_full_service() {
        for class in Class::ALL {
            for user in 0..1_000 {
                assert!(Service::FULL.admits(class, priority(class, user, 3)));
            }
        }
    }

    #[test]
    fn a_class_that_is_off_is_refused_below_the_cut_too() {
        let service = Service { off: 1 << Class::Join as u8, ..Service::FULL };
        assert!(!service.admits(Class::Join, priority(Class::Join, 5, 0)));
        assert!(service.admits(Class::Read, priority(Class::Read, 5, 0)));
    }

    proptest! {
        /// Expect: as many as asked for or fewer, and one part more would be too many.
        #[test]
        fn the_cut_for_a_number_holds_it(
            counts in proptest::collection::vec(0u32..1_000, CLASSES * PARTS),
            most in 0u64..400_000,
        ) {
            let mut seen = Seen::new();
            seen.0.copy_from_slice(&counts);
            let cut = seen.cut_for(most, 0);
            prop_assert!(seen.below(cut) <= most);
            prop_assert!(cut == CUT_MAX || seen.below(cut + 1) > most);
        }
    }
}
