//! What one thread counts and keeps of its users' requests during a run.

use super::counts::Counts;
use super::series::Series;
use super::tally::{Outcome, Row, op_name};
use hdrhistogram::Histogram;
use redpkt::hdr::histogram;
use redpkt_proto::Op;
use redpkt_proto::body::Status;
use redpkt_proto::client::{self, Call, Reply};

/// A shake answered within this of its due time was answered in time.
pub const IN_TIME_NS: u64 = 100_000_000;

/// A shot that goes out later than this after it was due is late.
const LATE_NS: u64 = 1_000_000;

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
    /// From the transmission that was answered; `None` if it cannot be told which one that was.
    pub rtt_ns: Option<u64>,
    pub transmissions: u32,
    pub now_ns: u64,
    /// An open of a packet to which the user was invited.
    pub is_invited: bool,
    /// Made in a session that is over: the answer was looked up.
    pub is_looked_up: bool,
}

/// That a user was invited to a packet, perhaps by the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub user: u64,
    pub packet: u64,
    /// 0: not told.
    pub total_fen: u64,
}

/// What answers took, in ns.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Of shakes, from the time they were due.
    pub due: Histogram<u64>,
    /// Of shakes, from their first transmission.
    pub raw: Histogram<u64>,
    /// Of opens, from their first transmission: they are due when they are made.
    pub open: Histogram<u64>,
}

impl Latencies {
    /// None yet.
    pub fn new() -> Latencies {
        Latencies { due: histogram(), raw: histogram(), open: histogram() }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Latencies) {
        let pairs = [(&mut self.due, &other.due), (&mut self.raw, &other.raw), (&mut self.open, &other.open)];
        for (ours, theirs) in pairs {
            ours.add(theirs).expect("all histograms are alike");
        }
    }

    /// By the names that others know them by.
    pub fn named(&self) -> [(&'static str, &Histogram<u64>); 3] {
        [("latency/shake", &self.due), ("latency_raw/shake", &self.raw), ("latency/open", &self.open)]
    }
}

/// A thread's book. One run is one book.
pub struct Book {
    pub counts: Counts,
    /// Of the second that goes on.
    pub latencies: Latencies,
    /// How late shots went out.
    pub late: Histogram<u64>,
    pub rows: Vec<Row>,
    pub invitations: Vec<Invitation>,
    /// Where it is recorded piece by piece.
    pub series: Option<Series>,
    keeps_misses: bool,
}

impl Book {
    /// An empty one, with room for so many rows.
    pub fn new(rows: usize, keeps_misses: bool) -> Book {
        Book {
            counts: Counts::default(),
            latencies: Latencies::new(),
            late: histogram(),
            rows: Vec::with_capacity(rows),
            invitations: Vec::new(),
            series: None,
            keeps_misses,
        }
    }

    /// A shot went out so long after it was due.
    pub fn fired(&mut self, late_ns: u64) {
        self.counts.shots_fired += 1;
        self.counts.late_sends += u64::from(late_ns > LATE_NS);
        self.late.saturating_record(late_ns);
    }

    /// A user was invited, for the first time to this packet.
    pub fn invited(&mut self, user: u64, packet: u64, total_fen: u64) {
        self.counts.invites.received += 1;
        self.invitations.push(Invitation { user, packet, total_fen });
    }

    /// So many datagrams have left our sockets.
    pub fn sent(&mut self, datagrams: u64, now_ns: u64) {
        if let Some(series) = &mut self.series {
            series.sent(datagrams, now_ns);
        }
    }

    /// A user has made a request.
    pub fn made(&mut self, user: u64, op: Op, now_ns: u64) {
        if let Some(series) = &mut self.series {
            series.made(user, op, now_ns);
        }
        let counts = &mut self.counts;
        *match op {
            Op::Open => &mut counts.open.sent,
            Op::Send => &mut counts.send.sent,
            Op::Share => &mut counts.share.sent,
            Op::Grab => &mut counts.grab.sent,
            Op::Balance => &mut counts.balance.sent,
            Op::History => &mut counts.history.sent,
            _ => &mut counts.shake.sent,
        } += 1;
    }

    /// A request has ended.
    pub fn ended(&mut self, ended: &Ended) {
        if let Some(series) = &mut self.series {
            series.ended(ended);
        }
        self.counts.retransmits += u64::from(ended.transmissions.saturating_sub(1));
        match ended.call {
            Call::Shake => self.shake_ended(ended),
            Call::Open { packet } => self.open_ended(ended, packet),
            _ => self.other_ended(ended),
        }
    }

    fn shake_ended(&mut self, ended: &Ended) {
        let shake = &mut self.counts.shake;
        let reply = match ended.outcome {
            client::Outcome::Known(reply) => reply,
            client::Outcome::NotNow => return shake.not_now += 1,
            client::Outcome::Unknown => {
                shake.unknown += 1;
                return self.keep(ended, 0, 0, None);
            }
        };
        match reply.status {
            Status::Ok => shake.win += 1,
            Status::Miss => {
                shake.miss += 1;
                shake.repeated_miss += u64::from(ended.is_looked_up);
            }
            Status::Busy | Status::NotDone => return shake.busy += 1,
            _ => return shake.other += 1,
        }
        let due_ns = ended.due_ns.unwrap_or(ended.sent_first_ns);
        let latency_ns = ended.now_ns.saturating_sub(due_ns);
        self.latencies.due.saturating_record(latency_ns);
        self.latencies.raw.saturating_record(ended.now_ns.saturating_sub(ended.sent_first_ns));
        self.counts.first_try_in_time += u64::from(ended.transmissions == 1 && latency_ns <= IN_TIME_NS);
        if reply.status == Status::Ok || self.keeps_misses {
            self.keep(ended, reply.packet, 0, Some(reply.status));
        }
    }

    fn open_ended(&mut self, ended: &Ended, packet: u64) {
        let open = &mut self.counts.open;
        let client::Outcome::Known(Reply { status, fen, .. }) = ended.outcome else {
            open.unknown += 1;
            return self.keep(ended, packet, 0, None);
        };
        match status {
            Status::Ok => {
                open.ok += 1;
                open.fen += fen;
                if ended.is_invited {
                    self.counts.invites.opened += 1;
                    self.counts.invites.fen += fen;
                }
            }
            Status::Empty | Status::Expired => {
                open.empty += 1;
                self.counts.invites.empty += u64::from(ended.is_invited);
            }
            Status::Busy | Status::NotDone => open.busy += 1,
            _ => open.other += 1,
        }
        if !matches!(status, Status::Busy | Status::NotDone) {
            self.latencies.open.saturating_record(ended.now_ns.saturating_sub(ended.sent_first_ns));
        }
        self.keep(ended, packet, fen, Some(status));
    }

    fn other_ended(&mut self, ended: &Ended) {
        let counts = &mut self.counts;
        let (count, asked) = match &ended.call {
            Call::Send { .. } => (&mut counts.send, Some(0)),
            Call::Share { packet, .. } => (&mut counts.share, Some(*packet)),
            Call::Grab { packet } => (&mut counts.grab, Some(*packet)),
            Call::Balance => (&mut counts.balance, None),
            // The load makes no other calls.
            _ => (&mut counts.history, None),
        };
        let client::Outcome::Known(Reply { status, packet, fen, .. }) = ended.outcome else {
            count.unknown += 1;
            if let Some(packet) = asked {
                self.keep(ended, packet, 0, None);
            }
            return;
        };
        match status {
            Status::Ok => {
                count.ok += 1;
                if ended.call.op() == Op::Send {
                    count.fen += fen;
                }
            }
            Status::Busy => count.busy += 1,
            Status::NotDone => count.not_done += 1,
            Status::Empty | Status::Expired | Status::TooLittleMoney | Status::NothingThere => {
                count.refused += 1;
            }
            _ => count.other += 1,
        }
        // That no money has moved says nothing of claims and invitations, which move none; and a share is done anew each
        // time it comes, with an answer of that moment.
        let is_unsure = match ended.call {
            Call::Share { .. } => status != Status::Ok && ended.transmissions > 1,
            Call::Grab { .. } => status == Status::NotDone,
            _ => false,
        };
        match asked {
            Some(asked) if is_unsure => self.keep(ended, asked, 0, None),
            Some(_) => self.keep(ended, packet, fen, Some(status)),
            None => {}
        }
    }

    /// Keeps a line for the tally; no status is an outcome that is not known. What was refused names no packet: of
    /// none was anything promised.
    fn keep(&mut self, ended: &Ended, packet: u64, fen: u64, status: Option<Status>) {
        let packet = if matches!(status, None | Some(Status::Ok)) { packet } else { 0 };
        let outcome = if status.is_some() { Outcome::Known } else { Outcome::Unknown };
        let op = op_name(ended.call.op());
        self.rows.push(Row { user: ended.user, req: ended.req, op, packet, fen, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(call: Call, outcome: client::Outcome) -> Ended {
        let (due_ns, sent_first_ns, now_ns) = (Some(1_000_000), 2_000_000, 5_000_000);
        let (rtt_ns, transmissions, is_invited, is_looked_up) = (None, 1, false, false);
        Ended {
            user: 1,
            req: 2,
            call,
            outcome,
            due_ns,
            sent_first_ns,
            rtt_ns,
            transmissions,
            now_ns,
            is_invited,
            is_looked_up,
        }
    }

    fn known(status: Status, packet: u64, fen: u64) -> client::Outcome {
        client::Outcome::Known(Reply { packet, fen, ..Reply::of(status) })
    }

    /// Expect: each end counted once, latency from the due time and from the first transmission apart.
    #[test]
    fn every_end_is_counted_once() {
        let mut book = Book::new(0, false);
        book.ended(&ended(Call::Shake, known(Status::Ok, 7, 0)));
        book.ended(&ended(Call::Shake, known(Status::Miss, 0, 0)));
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
        assert_eq!((book.latencies.due.len(), book.latencies.open.len()), (2, 2));
        assert!((book.latencies.due.max() as i64 - 4_000_000).abs() < 10_000);
        assert!((book.latencies.raw.max() as i64 - 3_000_000).abs() < 10_000);
        assert_eq!(book.rows.len(), 5, "a win, an unknown shake and three opens");
        let mut all = Counts::default();
        all.add(&book.counts);
        all.add(&book.counts);
        assert_eq!((all.answers(), all.open.fen, all.first_try_in_time), (8, 60, 4));
        // Told in a later session: a miss like others, and counted apart too.
        book.ended(&Ended { is_looked_up: true, ..ended(Call::Shake, known(Status::Miss, 0, 0)) });
        assert_eq!((book.counts.shake.miss, book.counts.shake.repeated_miss), (2, 1));
    }
    /// Expect: a line for each request about money, without a packet where it was refused; none for what only reads.
    #[test]
    fn other_requests_are_counted_and_kept_for_the_tally() {
        let mut book = Book::new(0, false);
        let terms = redpkt_proto::Terms { total_fen: 9, shares: 1, equal: false, recipients: vec![5] };
        let send = || Call::Send { terms: Box::new(terms.clone()) };
        let (share, grab) = (|| Call::Share { packet: 7, user: 5 }, || Call::Grab { packet: 7 });
        [send(), send(), send(), share(), grab(), Call::Balance]
            .iter()
            .for_each(|call| book.made(1, call.op(), 0));
        book.ended(&ended(send(), known(Status::Ok, 6, 9)));
        book.ended(&ended(send(), known(Status::TooLittleMoney, 0, 0)));
        book.ended(&ended(send(), client::Outcome::Unknown));
        book.ended(&ended(share(), known(Status::Ok, 7, 0)));
        book.ended(&ended(grab(), known(Status::Empty, 7, 0)));
        book.ended(&ended(Call::Balance, known(Status::Ok, 0, 50)));
        let Counts { send, share, grab, balance, .. } = book.counts;
        assert_eq!((send.sent, send.ok, send.refused, send.unknown, send.fen), (3, 1, 1, 1, 9));
        assert_eq!((share.ok, grab.refused, balance.ok), (1, 1, 1));
        let kept: Vec<_> = book.rows.iter().map(|row| (row.packet, row.fen, row.outcome)).collect();
        use Outcome::{Known, Unknown};
        assert_eq!(kept, [(6, 9, Known), (0, 0, Known), (0, 0, Unknown), (7, 0, Known), (0, 0, Known)]);
        assert_eq!((book.counts.offered(), book.counts.answers(), book.counts.timeouts()), (6, 5, 1));
    }
}
