//! What one thread counts and keeps during a run.

use super::report::{Opens, Shakes};
use super::tally::{Outcome, Row, op_name};
use hdrhistogram::Histogram;
use redpkt_proto::body::Status;
use redpkt_proto::client::{self, Call, Reply};

/// A shake answered within this of its due time was answered in time.
pub const IN_TIME_NS: u64 = 100_000_000;

/// A shot that goes out later than this after it was due is late.
const LATE_NS: u64 = 1_000_000;

/// An empty histogram of ns: 3 digits, up to a minute, values below 64 ns all alike.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("constant bounds that are valid")
}

/// Numbers that only grow during a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub shake: Shakes,
    pub open: Opens,
    pub shots_fired: u64,
    pub late_sends: u64,
    pub window_full: u64,
    pub not_joined: u64,
    pub first_try_in_time: u64,
    pub retransmits: u64,
    pub rejoins: u64,
    pub frames_sent: u64,
    /// Datagrams that are no whole frames, or for no user of this thread.
    pub foreign: u64,
}

impl Counts {
    /// Requests made.
    pub fn offered(&self) -> u64 {
        self.shake.sent + self.open.sent
    }

    /// Requests whose deadline passed.
    pub fn timeouts(&self) -> u64 {
        self.shake.unknown + self.open.unknown
    }

    /// Requests with the server's final word on them, other than BUSY.
    pub fn answers(&self) -> u64 {
        let Counts { shake, open, .. } = self;
        shake.miss + shake.win + shake.other + open.ok + open.empty + open.other
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Counts) {
        *self = self.with(other, |ours, theirs| ours + theirs);
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Counts) -> Counts {
        self.with(before, |now, before| now - before)
    }

    fn with(&self, other: &Counts, of: fn(u64, u64) -> u64) -> Counts {
        let (shake, open) = (&self.shake, &self.open);
        Counts {
            shake: Shakes {
                sent: of(shake.sent, other.shake.sent),
                miss: of(shake.miss, other.shake.miss),
                win: of(shake.win, other.shake.win),
                unknown: of(shake.unknown, other.shake.unknown),
                busy: of(shake.busy, other.shake.busy),
                other: of(shake.other, other.shake.other),
            },
            open: Opens {
                sent: of(open.sent, other.open.sent),
                ok: of(open.ok, other.open.ok),
                empty: of(open.empty, other.open.empty),
                fen: of(open.fen, other.open.fen),
                unknown: of(open.unknown, other.open.unknown),
                busy: of(open.busy, other.open.busy),
                other: of(open.other, other.open.other),
            },
            shots_fired: of(self.shots_fired, other.shots_fired),
            late_sends: of(self.late_sends, other.late_sends),
            window_full: of(self.window_full, other.window_full),
            not_joined: of(self.not_joined, other.not_joined),
            first_try_in_time: of(self.first_try_in_time, other.first_try_in_time),
            retransmits: of(self.retransmits, other.retransmits),
            rejoins: of(self.rejoins, other.rejoins),
            frames_sent: of(self.frames_sent, other.frames_sent),
            foreign: of(self.foreign, other.foreign),
        }
    }
}

/// How a request ended, as its session told it.
#[derive(Clone, Debug)]
pub struct Ended {
    pub user: u64,
    pub req: u64,
    pub call: Call,
    pub outcome: client::Outcome,
    /// When it should have been sent, where a schedule said so.
    pub due_ns: Option<u64>,
    pub sent_first_ns: u64,
    pub transmissions: u32,
    pub now_ns: u64,
}

/// A thread's book. One run is one book.
pub struct Book {
    pub counts: Counts,
    /// From the due time, of the second that goes on.
    pub latency: Histogram<u64>,
    pub latency_raw: Histogram<u64>,
    pub latency_open: Histogram<u64>,
    /// How late shots went out.
    pub late: Histogram<u64>,
    pub rows: Vec<Row>,
    keeps_misses: bool,
}

impl Book {
    /// An empty one, with room for so many rows.
    pub fn new(rows: usize, keeps_misses: bool) -> Book {
        Book {
            counts: Counts::default(),
            latency: histogram(),
            latency_raw: histogram(),
            latency_open: histogram(),
            late: histogram(),
            rows: Vec::with_capacity(rows),
            keeps_misses,
        }
    }

    /// A shot went out so long after it was due.
    pub fn fired(&mut self, late_ns: u64) {
        self.counts.shots_fired += 1;
        self.counts.late_sends += u64::from(late_ns > LATE_NS);
        self.late.saturating_record(late_ns);
    }

    /// A request has ended; the packet that it won, if it did.
    pub fn ended(&mut self, ended: &Ended) -> Option<u64> {
        self.counts.retransmits += u64::from(ended.transmissions.saturating_sub(1));
        match ended.call {
            Call::Shake => self.shake_ended(ended),
            Call::Open { packet } => {
                self.open_ended(ended, packet);
                None
            }
            // The load makes no other calls.
            _ => None,
        }
    }

    fn shake_ended(&mut self, ended: &Ended) -> Option<u64> {
        let shake = &mut self.counts.shake;
        let client::Outcome::Known(reply) = ended.outcome else {
            shake.unknown += 1;
            self.keep(ended, 0, 0, Outcome::Unknown);
            return None;
        };
        let won = match reply.status {
            Status::Ok => {
                shake.win += 1;
                Some(reply.packet)
            }
            Status::Miss => {
                shake.miss += 1;
                None
            }
            Status::Busy | Status::NotDone => {
                shake.busy += 1;
                return None;
            }
            _ => {
                shake.other += 1;
                return None;
            }
        };
        let due_ns = ended.due_ns.unwrap_or(ended.sent_first_ns);
        let latency_ns = ended.now_ns.saturating_sub(due_ns);
        self.latency.saturating_record(latency_ns);
        self.latency_raw.saturating_record(ended.now_ns.saturating_sub(ended.sent_first_ns));
        self.counts.first_try_in_time += u64::from(ended.transmissions == 1 && latency_ns <= IN_TIME_NS);
        if won.is_some() || self.keeps_misses {
            self.keep(ended, reply.packet, 0, Outcome::Known);
        }
        won
    }

    fn open_ended(&mut self, ended: &Ended, packet: u64) {
        let open = &mut self.counts.open;
        let client::Outcome::Known(Reply { status, fen, .. }) = ended.outcome else {
            open.unknown += 1;
            return self.keep(ended, packet, 0, Outcome::Unknown);
        };
        match status {
            Status::Ok => {
                open.ok += 1;
                open.fen += fen;
            }
            Status::Empty | Status::Expired => open.empty += 1,
            Status::Busy | Status::NotDone => open.busy += 1,
            _ => open.other += 1,
        }
        if !matches!(status, Status::Busy | Status::NotDone) {
            self.latency_open.saturating_record(ended.now_ns.saturating_sub(ended.sent_first_ns));
        }
        self.keep(ended, packet, fen, Outcome::Known);
    }

    fn keep(&mut self, ended: &Ended, packet: u64, fen: u64, outcome: Outcome) {
        let op = op_name(ended.call.op());
        self.rows.push(Row { user: ended.user, req: ended.req, op, packet, fen, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(call: Call, outcome: client::Outcome) -> Ended {
        let (due_ns, sent_first_ns, now_ns) = (Some(1_000_000), 2_000_000, 5_000_000);
        Ended { user: 1, req: 2, call, outcome, due_ns, sent_first_ns, transmissions: 1, now_ns }
    }

    fn known(status: Status, packet: u64, fen: u64) -> client::Outcome {
        client::Outcome::Known(Reply { packet, fen, ..Reply::of(status) })
    }

    /// Expect: each end counted once, latency from the due time and from the first transmission apart.
    #[test]
    fn every_end_is_counted_once() {
        let mut book = Book::new(0, false);
        assert_eq!(book.ended(&ended(Call::Shake, known(Status::Ok, 7, 0))), Some(7));
        assert_eq!(book.ended(&ended(Call::Shake, known(Status::Miss, 0, 0))), None);
        book.ended(&ended(Call::Shake, known(Status::Busy, 0, 0)));
        book.ended(&ended(Call::Shake, client::Outcome::Unknown));
        let open = || Call::Open { packet: 7 };
        book.ended(&ended(open(), known(Status::Ok, 7, 30)));
        book.ended(&ended(open(), known(Status::Empty, 7, 0)));
        book.ended(&ended(open(), client::Outcome::Unknown));
        let Counts { shake, open, .. } = book.counts;
        assert_eq!((shake.win, shake.miss, shake.busy, shake.unknown), (1, 1, 1, 1));
        assert_eq!((open.ok, open.empty, open.unknown, open.fen), (1, 1, 1, 30));
        assert_eq!((book.counts.answers(), book.counts.timeouts()), (4, 2));
        assert_eq!((book.latency.len(), book.latency_open.len()), (2, 2));
        assert!((book.latency.max() as i64 - 4_000_000).abs() < 10_000);
        assert!((book.latency_raw.max() as i64 - 3_000_000).abs() < 10_000);
        assert_eq!(book.rows.len(), 5, "a win, an unknown shake and three opens");
        let mut all = Counts::default();
        all.add(&book.counts);
        all.add(&book.counts);
        assert_eq!((all.answers(), all.open.fen, all.first_try_in_time), (8, 60, 4));
    }
}
