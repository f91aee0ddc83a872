//! What a core is told to do and to leave, and what it tells of what came.

use crate::gate::{CLASSES, Class, Gate};
use redpkt_proto::Now;

/// How long who is refused is told to stay away, at least, in ms; as long again at the most.
const RETRY_AFTER_MS: u64 = 500;

/// What a core is told to do and to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Which datagrams are worked on.
    pub gate: Gate,
    /// How many of the others are answered before [`Seen`] is cleared; beyond it they are dropped.
    pub told_max: u32,
    /// Whether the operator's packets are made at their pace; else at a quarter of it.
    pub mints: bool,
    /// Whether users are told of invitations.
    pub invites: bool,
    /// Whether rows are committed as soon as the ledger takes them; else some times a second together.
    pub prompt: bool,
}

impl Service {
    /// Everything.
    pub const FULL: Service =
        Service { gate: Gate::OPEN, told_max: u32::MAX, mints: true, invites: true, prompt: true };
}

/// Datagrams by class, since they were last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Worked on.
    pub admitted: [u64; CLASSES],
    /// Refused.
    pub refused: [u64; CLASSES],
    /// Answered that they are refused.
    pub told: u32,
}

impl Seen {
    /// Notes one that is worked on.
    #[inline]
    pub fn admit(&mut self, class: Class) {
        self.admitted[class as usize] += 1;
    }

    /// Notes one that is not; whether it is answered, of which there are `told_max` at the most.
    pub fn refuse(&mut self, class: Class, told_max: u32) -> bool {
        self.refused[class as usize] += 1;
        let is_told = self.told < told_max;
        self.told += u32::from(is_told);
        is_told
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

    #[test]
    fn so_many_refusals_are_answered_and_all_are_counted() {
        let mut seen = Seen::default();
        let told: Vec<bool> = (0..3).map(|_| seen.refuse(Class::Shake, 2)).collect();
        assert_eq!((told, seen.refused[Class::Shake as usize]), (vec![true, true, false], 3));
    }
}
