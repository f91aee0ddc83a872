//! Who is worked for when not all can be: told from the first bytes of a datagram, by the core and by the kernel
//! before it.
//!
//! After DAGOR (Zhou et al., Overload Control for Scaling WeChat Microservices, SoCC 2018): by the class of a request
//! first, and within a class by a hash of the user that changes every hour, so that it is not always the same users
//! who wait. Everything here is 32-bit arithmetic, because a classic BPF program must compute the same.

use redpkt_proto::Op;
use redpkt_proto::steer::{fold, mix};

/// Sorts of requests, the most valuable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Ops below this one have classes; all others are [`Class::Read`], as this one is.
pub const OP_MAX: u8 = 31;

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

    /// Its ops from 0 to [`OP_MAX`], a bit each.
    pub fn ops(self) -> u32 {
        (0..=OP_MAX).filter(|op| Class::of(*op) == self).fold(0, |ops, op| ops | 1 << op)
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

/// A share of something, in 1/2³²; [`ALL`] is the whole.
pub type Share = u32;

/// The whole of it.
pub const ALL: Share = u32::MAX;

/// Which datagrams are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The share of each class's users who are worked for.
    pub limits: [Share; CLASSES],
    /// Which users these are: a secret number of this hour.
    pub salt: u32,
    /// The share of the others' datagrams that the kernel lets through all the same, to be told when to come again.
    pub told: Share,
}

impl Gate {
    /// Everything is worked on.
    pub const OPEN: Gate = Gate { limits: [ALL; CLASSES], salt: 0, told: ALL };

    /// Whether a datagram of this class and user is worked on.
    #[inline]
    pub fn admits(&self, class: Class, user: u64) -> bool {
        let limit = self.limits[class as usize];
        limit == ALL || user_hash(user, self.salt) < limit
    }

    /// Whether there is something for the kernel to do: it drops who is not worked for and need not be told.
    pub fn sheds_in_kernel(&self) -> bool {
        self.told != ALL && self.limits.iter().any(|limit| *limit != ALL)
    }
}

/// A user's place among all, which changes with the salt.
#[inline]
pub fn user_hash(user: u64, salt: u32) -> u32 {
    mix(fold(user) ^ salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_one_class() {
        let all = Class::ALL.map(Class::ops);
        assert_eq!(all.iter().fold(0, |ops, of_class| ops | of_class), u32::MAX);
        assert_eq!(all.iter().map(|ops| ops.count_ones()).sum::<u32>(), 32, "and no second");
        assert!((OP_MAX..=u8::MAX).all(|op| Class::of(op) == Class::Read));
    }

    #[test]
    fn an_open_gate_admits_all_and_a_class_that_is_shut_nobody() {
        let shut = Gate { limits: [ALL, ALL, 0, ALL, ALL], salt: 9, told: 0 };
        for user in 0..1_000 {
            assert!(Class::ALL.iter().all(|class| Gate::OPEN.admits(*class, user)));
            assert!(Class::ALL.iter().all(|class| shut.admits(*class, user) == (*class != Class::Shake)));
        }
        assert!(shut.sheds_in_kernel() && !Gate::OPEN.sheds_in_kernel());
        assert!(!Gate { told: ALL, ..shut }.sheds_in_kernel(), "all are told: the kernel has nothing to do");
    }

    /// Expect: a limit of a part lets in that part of dense users, and another salt others.
    #[test]
    fn a_limit_is_a_share_of_the_users_and_the_salt_says_which() {
        for sixteenths in [1u32, 4, 8, 15] {
            let gate = |salt| Gate { limits: [sixteenths << 28; CLASSES], salt, told: 0 };
            let admitted = |salt| (0..64_000u64).filter(move |user| gate(salt).admits(Class::Shake, *user));
            let count = admitted(7).count();
            let expected = 4_000 * sixteenths as usize;
            assert!(count.abs_diff(expected) < 400, "{count} of {expected}");
            let both = admitted(7).filter(|user| gate(8).admits(Class::Shake, *user)).count();
            let expected = expected * sixteenths as usize / 16;
            assert!(both.abs_diff(expected) < 400, "{both} of {expected} with both salts");
        }
    }
}
