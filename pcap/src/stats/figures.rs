//! What is counted, frame by frame.

use super::seconds::{Second, Seconds};
use super::talkers::Talkers;
use crate::datagram::Headers;
use crate::follow::{AnswerSeen, NotRedpkt, Opening, Place, Seen, Sink, Why};
use crate::reading::Reader;
use crate::reason::Reason;
use hdrhistogram::Histogram;
use redpkt::hdr::histogram;
use redpkt_proto::body::{Answer, Refusal, Status};
use redpkt_proto::{Direction, Op};

/// Every op's byte is below.
pub const OPS: usize = 32;

/// Statuses of this version, and one place for those that are none.
pub const STATUSES: usize = Status::ALL.len() + 1;

/// Codes of ERROR, those that are none at 0; and one place for STALE.
pub const CODES: usize = 8;

/// Where STALE stands among the codes.
pub const STALE: usize = 7;

/// A number for each direction: to the server, from it.
pub type Ways = [u64; 2];

/// Everything that is counted.
#[derive(Debug)]
pub struct Figures {
    pub(super) datagrams: Ways,
    pub(super) frames: Ways,
    pub(super) ops: [Ways; OPS],
    pub(super) opened: Ways,
    pub(super) sealed: [u64; 2],
    pub(super) not_redpkt: [u64; Reason::ALL.len()],
    pub(super) requests: u64,
    pub(super) answers: u64,
    pub(super) retransmissions: u64,
    pub(super) retransmissions_by_op: [u64; OPS],
    pub(super) handshake_retransmissions: u64,
    pub(super) duplicates: Ways,
    pub(super) reordered: Ways,
    pub(super) too_old: u64,
    pub(super) new_requests_by_op: [u64; OPS],
    pub(super) outcomes: [[u64; STATUSES]; OPS],
    pub(super) miss: u64,
    pub(super) win: u64,
    pub(super) repeated_win: u64,
    pub(super) repeated_miss: u64,
    pub(super) open_ok: u64,
    pub(super) open_empty: u64,
    pub(super) open_fen: u64,
    pub(super) open_repeated: u64,
    pub(super) refusals: [u64; CODES],
    pub(super) load_level_max: u8,
    pub(super) responses_by_op: Vec<Option<Histogram<u64>>>,
    response: Histogram<u64>,
    pub(super) seconds: Seconds,
    pub(super) talkers: Talkers,
    /// Whether the present datagram is known to be not all redpkt's.
    is_flagged: bool,
    first_ns: u64,
}

impl Figures {
    /// Nothing counted yet; so many bytes at most for what grows.
    pub fn new(memory_bytes: usize) -> Figures {
        Figures {
            datagrams: [0; 2],
            frames: [0; 2],
            ops: [[0; 2]; OPS],
            opened: [0; 2],
            sealed: [0; 2],
            not_redpkt: [0; Reason::ALL.len()],
            requests: 0,
            answers: 0,
            retransmissions: 0,
            retransmissions_by_op: [0; OPS],
            handshake_retransmissions: 0,
            duplicates: [0; 2],
            reordered: [0; 2],
            too_old: 0,
            new_requests_by_op: [0; OPS],
            outcomes: [[0; STATUSES]; OPS],
            miss: 0,
            win: 0,
            repeated_win: 0,
            repeated_miss: 0,
            open_ok: 0,
            open_empty: 0,
            open_fen: 0,
            open_repeated: 0,
            refusals: [0; CODES],
            load_level_max: 0,
            responses_by_op: vec![None; OPS],
            response: histogram(),
            seconds: Seconds::new(memory_bytes / 2),
            talkers: Talkers::new(memory_bytes / 2),
            is_flagged: false,
            first_ns: 0,
        }
    }

    /// Times from a request's first transmission to its first answer, in ns.
    pub fn response(&self) -> &Histogram<u64> {
        &self.response
    }

    /// The last frame was told.
    pub fn finish(&mut self) {
        self.talkers.settle();
    }

    /// Sealed frames that were opened.
    pub fn opened(&self) -> u64 {
        self.opened.iter().sum()
    }

    /// Sealed frames that were not.
    pub fn sealed(&self) -> u64 {
        self.sealed.iter().sum()
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        let histograms = self.responses_by_op.iter().flatten().count() + 1;
        let histogram_bytes = self.response.distinct_values() * size_of::<u64>();
        size_of::<Figures>()
            + self.seconds.memory_bytes()
            + self.talkers.memory_bytes()
            + histograms * histogram_bytes
    }

    /// What whoever reads the figures should know.
    pub fn notices(&self) -> Vec<String> {
        let of = |reason: Reason| self.not_redpkt[reason as usize];
        let mut notices = Vec::new();
        if of(Reason::Fragment) > 0 {
            notices.push(format!(
                "{} fragments: redpkt sends none, and they are not put together",
                of(Reason::Fragment)
            ));
        }
        if of(Reason::Snapped) > 0 {
            notices
                .push(format!("{} records were kept in part only; capture with -s 0", of(Reason::Snapped)));
        }
        if of(Reason::Truncated) > 0 {
            notices.push(format!(
                "{} datagrams are longer than any of redpkt's: probably runs of them, joined by the kernel or the network card (GSO, GRO)",
                of(Reason::Truncated)
            ));
        }
        if self.seconds.left_out() > 0 {
            let left_out = self.seconds.left_out();
            notices.push(format!("--memory: {left_out} events fall into seconds there was no room for"));
        }
        notices
    }

    fn second(&mut self, time_ns: u64) -> &mut Second {
        self.seconds.at(time_ns.saturating_sub(self.first_ns) / 1_000_000_000)
    }

    fn place(&mut self, place: Place, way: usize) {
        match place {
            Place::New => {}
            Place::Reordered => self.reordered[way] += 1,
            Place::Duplicate => self.duplicates[way] += 1,
            Place::TooOld => self.too_old += 1,
        }
    }

    #[inline]
    fn request(&mut self, seen: &Seen<'_>) {
        let Some(request) = seen.request else { return };
        if request.is_new {
            self.requests += 1;
            self.new_requests_by_op[seen.op as usize] += 1;
            self.second(seen.datagram.time_ns).requests += 1;
        }
        if request.is_retransmission {
            self.retransmissions += 1;
            self.retransmissions_by_op[seen.op as usize] += 1;
        }
    }

    #[inline]
    fn answer(&mut self, seen: &Seen<'_>, answer: &AnswerSeen) {
        self.answers += 1;
        let status = answer.status.map_or(STATUSES - 1, |status| status as usize);
        self.outcomes[seen.op as usize][status] += 1;
        let is_win = seen.op == Op::Shake && answer.status == Some(Status::Ok) && answer.is_first_final;
        let second = self.second(seen.datagram.time_ns);
        second.answers += 1;
        second.wins += u64::from(is_win);
        if let Some((op, ns)) = answer.response {
            self.response.saturating_record(ns);
            self.responses_by_op[op as usize].get_or_insert_with(histogram).saturating_record(ns);
        }
        match seen.op {
            Op::Shake => self.shake(answer),
            Op::Open => self.open(seen, answer),
            _ => {}
        }
    }

    /// As the server counts: what is looked up because it was asked before, is no miss and no win again.
    fn shake(&mut self, answer: &AnswerSeen) {
        match answer.status {
            Some(Status::Ok) if answer.is_first_final => self.win += 1,
            Some(Status::Ok) => self.repeated_win += 1,
            Some(Status::Miss) if answer.is_first_final && answer.is_of_this_session => self.miss += 1,
            Some(Status::Miss) => self.repeated_miss += 1,
            _ => {}
        }
    }

    fn open(&mut self, seen: &Seen<'_>, answer: &AnswerSeen) {
        use Status::{Empty, Expired, NotInvited, Ok, UnknownPacket};
        match answer.status {
            Some(Ok) if answer.is_first_final => {
                self.open_ok += 1;
                self.open_fen = self.open_fen.saturating_add(seen.frame.body::<Answer>().fen.get());
            }
            Some(Empty | Expired | NotInvited | UnknownPacket) if answer.is_first_final => {
                self.open_empty += 1;
            }
            Some(Ok | Empty | Expired | NotInvited | UnknownPacket) => self.open_repeated += 1,
            _ => {}
        }
    }
}

fn way(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}

impl Sink for Figures {
    #[inline]
    fn datagram(&mut self, time_ns: u64, headers: &Headers, frames: usize) {
        let way = usize::from(!headers.is_to_server);
        self.is_flagged = false;
        self.datagrams[way] += 1;
        self.frames[way] += frames as u64;
        let second = self.second(time_ns);
        second.datagrams[way] += 1;
        second.frames[way] += frames as u64;
        if headers.is_to_server {
            self.talkers.datagram(headers.from.ip, headers.payload_bytes);
        }
    }

    #[inline]
    fn frame(&mut self, seen: &Seen<'_>) {
        let way = way(seen.direction);
        self.ops[seen.op as usize][way] += 1;
        match seen.opening {
            Opening::Opened => self.opened[way] += 1,
            Opening::Sealed(Why::NoKey) => self.sealed[0] += 1,
            Opening::Sealed(Why::Tag) => self.sealed[1] += 1,
            Opening::Clear => {}
        }
        if let Some(place) = seen.place {
            self.place(place, way);
        }
        if way == 1 {
            // Only open frames are sure to be the server's; without keys all are taken at their word.
            let is_believed = seen.opening == Opening::Opened || seen.place.is_some();
            if is_believed {
                self.load_level_max = self.load_level_max.max(seen.frame.header.load_level);
            }
        }
        self.handshake_retransmissions += u64::from(seen.is_handshake_again);
        self.request(seen);
        if let Some(answer) = &seen.answer {
            self.answer(seen, answer);
        }
        match seen.op {
            Op::Stale => self.refusals[STALE] += 1,
            Op::Error => {
                let code = usize::from(seen.frame.body::<Refusal>().code);
                self.refusals[if code < STALE { code } else { 0 }] += 1;
            }
            _ => {}
        }
    }

    fn not_redpkt(&mut self, what: &NotRedpkt) {
        self.not_redpkt[what.reason as usize] += 1;
        let Some(headers) = what.headers else { return };
        // Several frames of one datagram may be none.
        if headers.is_to_server && !std::mem::replace(&mut self.is_flagged, true) {
            self.talkers.not_redpkt(headers.from.ip);
        }
    }
}

impl Reader for Figures {
    fn begins(&mut self, first_ns: u64) {
        self.first_ns = first_ns;
    }

    fn is_done(&self) -> bool {
        false
    }
}
