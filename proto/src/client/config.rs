//! What the sessions of one client have in common.

use crate::FRAMES_PER_DATAGRAM_MAX;

/// Times and limits of a session; shared by all sessions of a process. Intervals that the server decides
/// (keepalive, requests in flight) come with its WELCOME instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// First retransmission timeout of handshake frames, and of requests until a round trip was measured, in
    /// ns. 1 s (RFC 6298 §2.1).
    pub rto_ns_initial: u64,
    /// A retransmission timeout is never shorter, in ns. 50 ms; RFC 6298 §2.4 would round up to 1 s, which is
    /// for bulk transfers, not for somebody who waits for one answer.
    pub rto_ns_min: u64,
    /// A retransmission timeout is never longer, also after backoff, in ns. 4 s.
    pub rto_ns_max: u64,
    /// A call that has no answer this long after it was made ends, in ns. 10 s.
    pub deadline_ns: u64,
    /// Frames in one datagram, 1 to [`FRAMES_PER_DATAGRAM_MAX`]; the server's WELCOME may lower it.
    pub frames_per_datagram: u8,
    /// Upper end of the random wait before HELLO when the server has lost the session, in ns. 1 s: after a
    /// restart a million users come back over this time and not at once.
    pub rejoin_wait_ns_max: u64,
    /// A session that has heard nothing for this long while it joins shows [`Offline`](super::Hint::Offline),
    /// in ns. 10 s. It goes on trying.
    pub join_deadline_ns: u64,
    /// A session that was refused for its version or ticket asks again after this, or after the server's wish
    /// if that is longer, and a random time of up to as long again, in ns. 20 s, so 30 s in the mean: anyone on
    /// the path can write such a refusal, so it must not end a session; and a true one costs a server little.
    pub refused_wait_ns: u64,
    /// A request's timeout is doubled at most this often while answers come. 2: a request that is alone in
    /// flight cannot tell loss from congestion. Where a fifth of all datagrams is lost each way, two dozen
    /// transmissions within the deadline make it surely answered; doubling on would leave it nine.
    pub doublings_max: u8,
    /// The same while the session is suspect. 4: the server may be down, and all its users wait for it.
    pub doublings_max_suspect: u8,
    /// A session is suspect, and says HELLO again beside its retransmissions, when it has waited for this long
    /// and heard nothing, in ns. 3 s.
    pub silence_ns_min: u64,
    /// It is not suspect before one request would have timed out this often in a row: `rto × (2^n − 1)`. 3:
    /// a slow way must not look like a dead one.
    pub silence_timeouts: u8,
    /// Whether the session spares a server that has more to do than it can: paces its shakes by the load level,
    /// heeds refusals because of load, keeps a retry budget, and answers shakes that would mostly be refused by
    /// [`Outcome::NotNow`](super::Outcome::NotNow) itself. `true`; `false` is for measuring what this is good for.
    pub obeys: bool,
    /// Servers that the session may join, told apart by an index from 0; their addresses are the caller's, who
    /// sends each datagram to [`Session::target`](super::Session::target). From 1, which 0 counts as. 1: all
    /// datagrams go to one place.
    pub targets: u8,
}

const MS: u64 = 1_000_000;

impl Default for Config {
    fn default() -> Config {
        Config {
            rto_ns_initial: 1_000 * MS,
            rto_ns_min: 50 * MS,
            rto_ns_max: 4_000 * MS,
            deadline_ns: 10_000 * MS,
            frames_per_datagram: FRAMES_PER_DATAGRAM_MAX as u8,
            rejoin_wait_ns_max: 1_000 * MS,
            join_deadline_ns: 10_000 * MS,
            refused_wait_ns: 20_000 * MS,
            doublings_max: 2,
            doublings_max_suspect: 4,
            silence_ns_min: 3_000 * MS,
            silence_timeouts: 3,
            obeys: true,
            targets: 1,
        }
    }
}

impl Config {
    /// The target whose turn is after that of `target`.
    pub(super) fn target_after(&self, target: u8) -> u8 {
        if target.saturating_add(1) < self.targets { target + 1 } else { 0 }
    }

    /// How long nothing may be heard before a session with this timeout is suspect, in ns.
    pub(super) fn silence_ns(&self, rto_ns: u64) -> u64 {
        let timeouts = (1u64 << self.silence_timeouts.min(32)) - 1;
        rto_ns.saturating_mul(timeouts).max(self.silence_ns_min)
    }
}
