//! What all sessions of a part refused of what came.

use redpkt_proto::client::Counters;

/// Sums of [`Counters`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub bad_tag: u64,
    pub replayed: u64,
    pub unexpected: u64,
    pub late: u64,
}

impl Totals {
    /// Adds a session's.
    pub fn add(&mut self, counters: &Counters) {
        self.bad_tag += u64::from(counters.bad_tag);
        self.replayed += u64::from(counters.replayed);
        self.unexpected += u64::from(counters.unexpected);
        self.late += u64::from(counters.late);
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Totals) -> Totals {
        Totals {
            bad_tag: self.bad_tag - before.bad_tag,
            replayed: self.replayed - before.replayed,
            unexpected: self.unexpected - before.unexpected,
            late: self.late - before.late,
        }
    }
}
