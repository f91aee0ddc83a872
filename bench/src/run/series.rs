//! What happened to requests, piece by piece of a run's time.

use super::book::Ended;
use hdrhistogram::Histogram;
use redpkt_proto::Op;
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, Outcome};
use redpkt_proto::steer::Layout;
use serde::Serialize;
use std::time::Duration;

/// What is recorded, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesOptions {
    /// How long a piece is.
    #[serde(serialize_with = "super::options::as_text")]
    pub piece: Duration,
    /// Users who are recorded apart from the others.
    pub apart: Option<Apart>,
}

/// Users of one part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// Of one SET.
    Set {
        /// Which.
        set: u32,
        /// How many there are.
        sets: u32,
    },
    /// Of one group.
    Group {
        /// Which.
        group: u32,
        /// How many there are.
        groups: u32,
        /// How many SETs there are.
        sets: u32,
    },
}

impl Apart {
    fn has(&self, user: u64) -> bool {
        let layout = |sets, groups| Layout { sets, groups, workers: 1 };
        match *self {
            Apart::Set { set, sets } => layout(sets, 1).set_of(user) == set,
            Apart::Group { group, groups, sets } => {
                let layout = layout(sets, groups);
                layout.group_of(layout.set_of(user)) == group
            }
        }
    }
}

/// What became of the requests of one op in a piece.
#[derive(Clone, Debug)]
pub struct Requested {
    /// Made in it.
    pub made: u64,
    /// Answered in it, whenever they were made.
    pub answered: u64,
    /// Refused to the end, which came in it.
    pub refused: u64,
    /// Without an answer at their deadline, which was in it.
    pub unanswered: u64,
    /// Spared the server in it by the session.
    pub not_now: u64,
    /// Of those first sent in it and answered ever: from the transmission that was answered, in ns.
    pub served: Histogram<u64>,
    /// The same from the first transmission.
    pub waited: Histogram<u64>,
}

/// A piece of a run's time.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Shakes.
    pub shake: Requested,
    /// Opens.
    pub open: Requested,
}

impl Default for Requested {
    fn default() -> Requested {
        // 2 digits from a µs to a minute: 27 KB, and there is one for each piece.
        let histogram = || Histogram::new_with_bounds(1_000, 60_000_000_000, 2).expect("constant bounds");
        Requested {
            made: 0,
            answered: 0,
            refused: 0,
            unanswered: 0,
            not_now: 0,
            served: histogram(),
            waited: histogram(),
        }
    }
}

impl Requested {
    /// Adds another's.
    pub fn add(&mut self, other: &Requested) {
        self.made += other.made;
        self.answered += other.answered;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.not_now += other.not_now;
        for (ours, theirs) in [(&mut self.served, &other.served), (&mut self.waited, &other.waited)] {
            ours.add(theirs).expect("all histograms are alike");
        }
    }

    fn record(&mut self, waited_ns: u64, served_ns: Option<u64>) {
        self.waited.saturating_record(waited_ns);
        self.served.saturating_record(served_ns.unwrap_or(waited_ns));
    }

    /// The share of those made in it that were answered ever, before their deadline; 1 if none was made.
    pub fn answered_share(&self) -> f64 {
        match self.made - self.not_now.min(self.made) {
            0 => 1.0,
            sent => (self.served.len() as f64 / sent as f64).min(1.0),
        }
    }
}

impl Piece {
    /// Adds another.
    pub fn add(&mut self, other: &Piece) {
        self.shake.add(&other.shake);
        self.open.add(&other.open);
    }
}

/// All pieces of a run, from its beginning to its last answer.
#[derive(Clone, Debug)]
pub struct Series {
    options: SeriesOptions,
    /// The run's beginning on our monotonic clock.
    start_ns: u64,
    /// Of all users but those apart.
    pub pieces: Vec<Piece>,
    /// Of those apart.
    pub apart: Vec<Piece>,
    /// Datagrams that left our sockets, by piece.
    pub datagrams: Vec<u64>,
    /// All that had left at the last look.
    sent: u64,
}

impl Series {
    /// Nothing yet, for a run that begins at `start_ns`, after `sent` datagrams.
    pub fn new(options: SeriesOptions, start_ns: u64, sent: u64) -> Series {
        Series { options, start_ns, pieces: Vec::new(), apart: Vec::new(), datagrams: Vec::new(), sent }
    }

    /// How long a piece is, in s.
    pub fn piece_s(&self) -> f64 {
        self.options.piece.as_secs_f64()
    }

    fn at(&self, time_ns: u64) -> usize {
        (time_ns.saturating_sub(self.start_ns) / self.options.piece.as_nanos() as u64) as usize
    }

    fn piece(&mut self, user: u64, time_ns: u64) -> &mut Piece {
        let at = self.at(time_ns);
        let is_apart = self.options.apart.is_some_and(|apart| apart.has(user));
        let pieces = if is_apart { &mut self.apart } else { &mut self.pieces };
        if pieces.len() <= at {
            pieces.resize_with(at + 1, Piece::default);
        }
        &mut pieces[at]
    }

    /// So many datagrams have left our sockets by now.
    pub fn sent(&mut self, sent: u64, now_ns: u64) {
        let at = self.at(now_ns);
        if self.datagrams.len() <= at {
            self.datagrams.resize(at + 1, 0);
        }
        self.datagrams[at] += sent - std::mem::replace(&mut self.sent, sent);
    }

    /// A request was made.
    pub fn made(&mut self, user: u64, op: Op, now_ns: u64) {
        match op {
            Op::Shake => self.piece(user, now_ns).shake.made += 1,
            Op::Open => self.piece(user, now_ns).open.made += 1,
            _ => {}
        }
    }

    /// A request has ended, `rtt_ns` after the transmission that was answered.
    pub(super) fn ended(&mut self, ended: &Ended) {
        let of: fn(&mut Piece) -> &mut Requested = match ended.call {
            Call::Shake => |piece| &mut piece.shake,
            Call::Open { .. } => |piece| &mut piece.open,
            _ => return,
        };
        let now = of(self.piece(ended.user, ended.now_ns));
        match &ended.outcome {
            Outcome::NotNow => now.not_now += 1,
            Outcome::Unknown => now.unanswered += 1,
            Outcome::Known(reply) if matches!(reply.status, Status::Busy | Status::NotDone) => {
                now.refused += 1;
            }
            Outcome::Known(_) => {
                now.answered += 1;
                let waited_ns = ended.now_ns.saturating_sub(ended.sent_first_ns);
                of(self.piece(ended.user, ended.sent_first_ns)).record(waited_ns, ended.rtt_ns);
            }
        }
    }

    /// Something that was sent once and stands for a shake came back.
    pub fn echoed(&mut self, sent_ns: u64, now_ns: u64) {
        self.piece(0, now_ns).shake.answered += 1;
        self.piece(0, sent_ns).shake.record(now_ns.saturating_sub(sent_ns), None);
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Series) {
        for (ours, theirs) in [(&mut self.pieces, &other.pieces), (&mut self.apart, &other.apart)] {
            ours.resize_with(ours.len().max(theirs.len()), Piece::default);
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.add(theirs));
        }
        self.datagrams.resize(self.datagrams.len().max(other.datagrams.len()), 0);
        self.datagrams.iter_mut().zip(&other.datagrams).for_each(|(ours, theirs)| *ours += theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redpkt_proto::client::Reply;

    const MS: u64 = 1_000_000;

    fn ended(user: u64, sent_first_ms: u64, now_ms: u64, outcome: Outcome) -> Ended {
        Ended {
            user,
            req: 1,
            call: Call::Shake,
            outcome,
            due_ns: None,
            sent_first_ns: sent_first_ms * MS,
            rtt_ns: Some(2 * MS),
            transmissions: 2,
            now_ns: now_ms * MS,
            is_invited: false,
            is_looked_up: false,
        }
    }

    /// Expect: an answer counts in the piece it came in, its latency in the piece its request was first sent in; users
    /// who are recorded apart are in no other's figures.
    #[test]
    fn answers_and_latencies_are_where_they_belong() {
        let layout = Layout { sets: 4, groups: 1, workers: 1 };
        let of_set = |set| (1..).find(|user| layout.set_of(*user) == set).unwrap();
        let (other, own) = (of_set(0), of_set(3));
        let apart = Some(Apart::Set { set: 3, sets: 4 });
        let options = SeriesOptions { piece: Duration::from_millis(100), apart };
        let mut series = Series::new(options, 1_000 * MS, 50);
        series.made(other, Op::Shake, 1_010 * MS);
        series.made(own, Op::Shake, 1_010 * MS);
        series.sent(53, 1_020 * MS);
        series.sent(57, 1_250 * MS);
        series.ended(&ended(other, 1_010, 1_250, Outcome::Known(Reply::of(Status::Miss))));
        series.ended(&ended(own, 1_010, 1_150, Outcome::Known(Reply::of(Status::Busy))));
        assert_eq!(series.datagrams, [3, 0, 4]);
        let answered: Vec<u64> = series.pieces.iter().map(|piece| piece.shake.answered).collect();
        assert_eq!(answered, [0, 0, 1]);
        let Requested { served, waited, .. } = &series.pieces[0].shake;
        assert_eq!((served.len(), waited.len()), (1, 1));
        assert!(served.max() < 3 * MS && waited.max() > 200 * MS);
        assert_eq!((series.apart[0].shake.made, series.apart[1].shake.refused), (1, 1));
        let twice = &mut series.clone();
        twice.add(&series);
        assert_eq!((twice.datagrams[2], twice.pieces[2].shake.answered), (8, 2));
    }
}
