//! When users who come late come, and when users leave to come again, while a run goes on.

use super::crowd::Crowd;
use super::remote::{Remote, Turnover};
use redpkt::net::client::Peers;
use redpkt_proto::Now;
use std::time::Duration;

/// Users that one turn lets leave at the most, and as many who come late.
const BATCH: u32 = 16;

/// A thread's part of it.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    /// Users who come late.
    late: u64,
    late_over: Duration,
    /// How many of them were let in.
    came: u64,
    /// The share of the users that leave in a second, unless the run is told another.
    churn_per_s: f64,
    turnover: Turnover,
    begun_ns: u64,
}

impl Coming {
    /// So many users come late, over that time, and such a share leaves in each second.
    pub fn new(late: u64, late_over: Duration, churn_per_s: f64) -> Coming {
        Coming { late, late_over, came: 0, churn_per_s, turnover: Turnover::new(0), begun_ns: 0 }
    }

    /// The run begins.
    pub fn begin(&mut self, now_ns: u64) {
        (self.begun_ns, self.turnover) = (now_ns, Turnover::new(now_ns));
    }

    /// Lets come and leave who is due.
    pub fn go_on(&mut self, now: Now, crowd: &mut Crowd, sockets: &mut Peers, remote: Option<&Remote>) {
        if self.came < self.late {
            let passed = (now.mono_ns - self.begun_ns) as f64 / self.late_over.as_nanos() as f64;
            let due = (self.late as f64 * passed).min(self.late as f64) as u64;
            for _ in self.came..due.min(self.came + u64::from(BATCH)) {
                self.came += 1;
                crowd.late_joins(now, sockets);
            }
        }
        let per_s = remote.map_or(self.churn_per_s, |remote| remote.churn.per_s());
        for _ in 0..self.turnover.due(now.mono_ns, per_s, crowd.share.count(), BATCH) {
            if !crowd.reconnect_next(now, sockets) {
                break;
            }
        }
    }
}
