//! The result, as JSON. Its fields are a contract with scripts: fields are added, never renamed.

use super::figures::{Figures, OPS, STALE, STATUSES};
use crate::datagram::canonical;
use crate::fields::{code_name, op_name, status_name};
use crate::follow::Follower;
use crate::link;
use crate::reading::ReadSoFar;
use crate::reason::Reason;
use hdrhistogram::Histogram;
use redpkt_proto::Op;
use redpkt_proto::body::{RefusalCode, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// A number for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InOut {
    /// To the server.
    #[serde(rename = "in")]
    pub to_server: u64,
    /// From the server.
    #[serde(rename = "out")]
    pub to_client: u64,
}

impl From<[u64; 2]> for InOut {
    fn from([to_server, to_client]: [u64; 2]) -> InOut {
        InOut { to_server, to_client }
    }
}

/// Frames, by direction.
pub type Frames = InOut;

/// What became of shakes, as the server counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShakeFigures {
    /// Shakes that were asked, retransmissions apart.
    pub sent: u64,
    /// Shakes that won nothing.
    pub miss: u64,
    /// Shakes that won a packet.
    pub win: u64,
    /// Answers that repeat a win.
    pub repeated_win: u64,
    /// Answers that repeat a miss, or that say of a shake of an earlier session that it won nothing.
    pub repeated_miss: u64,
}

/// What became of opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OpenFigures {
    /// Opens that were asked, retransmissions apart.
    pub sent: u64,
    /// Opens that took money.
    pub ok: u64,
    /// Opens that found nothing to take.
    pub empty: u64,
    /// What was taken, in fen.
    pub fen: u64,
    /// Answers that repeat one of these.
    pub repeated: u64,
}

/// A distribution in µs; all 0 when there is no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Values.
    pub count: u64,
    /// Median.
    pub p50: f64,
    /// 90%.
    pub p90: f64,
    /// 99%.
    pub p99: f64,
    /// 99.9%.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Percentiles {
        if histogram.is_empty() {
            return Percentiles::default();
        }
        let us = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            count: histogram.len(),
            p50: us(0.5),
            p90: us(0.9),
            p99: us(0.99),
            p999: us(0.999),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

/// Frames that are not believed, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SealedFigures {
    /// No key of their user is known.
    pub no_key: u64,
    /// Their tag is wrong.
    pub tag: u64,
}

/// What server keys say of handshake frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Handshakes {
    /// Those that could be checked.
    pub checked: u64,
    /// Of these, the right ones.
    pub right: u64,
    /// Those of tickets whose key is not among the server keys.
    pub unknown_key: u64,
}

/// What an address has sent to the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TalkerRow {
    /// The address.
    pub address: String,
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
    /// The part of its datagrams that are not, or not wholly, redpkt's.
    pub not_redpkt_share: f64,
}

/// One second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SecondRow {
    /// Which, from the first record.
    pub s: u64,
    /// Datagrams to the server.
    pub datagrams_in: u64,
    /// Datagrams from it.
    pub datagrams_out: u64,
    /// Frames to the server.
    pub frames_in: u64,
    /// Frames from it.
    pub frames_out: u64,
    /// Requests seen for the first time.
    pub requests: u64,
    /// Answers.
    pub answers: u64,
    /// Shakes that won.
    pub wins: u64,
}

/// The result of `stats`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Records of all files.
    pub records: u64,
    /// Bytes of all files, as far as they were read.
    pub bytes: u64,
    /// Whether a file ended in the middle of a record, or was damaged.
    pub cut_short: bool,
    /// Records by link type.
    pub link_types: BTreeMap<String, u64>,
    /// From the first record to the latest.
    pub seconds: f64,
    /// UDP datagrams from and to the server's ports.
    pub datagrams: InOut,
    /// Frames in those of 1 to 18 whole frames.
    pub frames: InOut,
    /// Of these, sealed ones that were opened.
    pub opened: InOut,
    /// Frames by op, as far as they may go that way.
    pub ops: BTreeMap<&'static str, InOut>,
    /// Requests seen for the first time.
    pub requests: u64,
    /// Answers, refusals and repeated ones among them.
    pub answers: u64,
    /// Transmissions of requests that were sent before.
    pub retransmissions: u64,
    /// The same by op.
    pub retransmissions_by_op: BTreeMap<&'static str, u64>,
    /// HELLOs and JOINs that were sent before.
    pub handshake_retransmissions: u64,
    /// Frames whose seq was seen before: doubled by the network, or replayed.
    pub duplicates: u64,
    /// The same by direction.
    pub duplicates_by_direction: InOut,
    /// Frames that came after one with a higher seq.
    pub reordered: u64,
    /// The same by direction.
    pub reordered_by_direction: InOut,
    /// Frames too old to tell whether they were seen.
    pub too_old: u64,
    /// Seqs that were skipped and never came.
    pub lost: u64,
    /// Requests without any answer.
    pub unanswered: u64,
    /// Shakes.
    pub shake: ShakeFigures,
    /// Opens.
    pub open: OpenFigures,
    /// Answers by op and status.
    pub outcomes: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// STALE, and ERROR by code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// From the first transmission to the first answer.
    pub response_us: Percentiles,
    /// The same by the op that was asked.
    pub response_us_by_op: BTreeMap<&'static str, Percentiles>,
    /// The highest load level of a server's frame.
    pub load_level_max: u8,
    /// Frames that are not believed.
    pub sealed: SealedFigures,
    /// Whether there was no key, and seqs are taken at the headers' word.
    pub unverified: bool,
    /// What server keys say of handshakes.
    pub handshakes: Handshakes,
    /// What is not redpkt, by reason: records and datagrams, and with `op` frames.
    pub not_redpkt: BTreeMap<&'static str, u64>,
    /// Datagrams whose checksum is wrong, or not yet there. They are counted as any other.
    pub checksum_partial_or_wrong: u64,
    /// Records of datagrams that had been captured as they went out.
    pub doubled: u64,
    /// Who sends most to the server.
    pub top_talkers: Vec<TalkerRow>,
    /// By how many datagrams each of these may be too low. 0: they are exact.
    pub top_talkers_error: u64,
    /// Second by second, those in which something happened.
    pub per_second: Vec<SecondRow>,
    /// Sessions of which something was seen.
    pub sessions: u64,
    /// Users of whom something is kept, and those who had to go.
    pub users: u64,
    /// Users who had to go for lack of room; one who came again counts again.
    pub evicted_users: u64,
    /// Records that are earlier than the one before.
    pub timestamps_backwards: u64,
    /// Memory held at the end.
    pub memory_bytes: u64,
    /// What whoever reads this should know.
    pub notices: Vec<String>,
}

/// What is not 0 of each op.
fn by_op<T: Default + PartialEq>(of: impl Fn(usize) -> T) -> BTreeMap<&'static str, T> {
    let ops = Op::ALL.into_iter().map(|op| (op_name(op), of(op as usize)));
    ops.filter(|(_, value)| *value != T::default()).collect()
}

const _: () = assert!((Op::Invites as usize) < OPS);

impl Report {
    /// What was found.
    pub fn of(so_far: &ReadSoFar, follower: &Follower, figures: &Figures, top: usize) -> Report {
        let found = follower.found();
        let held = so_far.buffer_bytes + follower.memory_bytes() + figures.memory_bytes();
        Report {
            records: so_far.records,
            bytes: so_far.bytes,
            cut_short: so_far.cut_short,
            link_types: link_types(so_far),
            seconds: so_far.seconds(),
            datagrams: figures.datagrams.into(),
            frames: figures.frames.into(),
            opened: figures.opened.into(),
            ops: by_op(|op| InOut::from(figures.ops[op])),
            requests: figures.requests,
            answers: figures.answers,
            retransmissions: figures.retransmissions,
            retransmissions_by_op: by_op(|op| figures.retransmissions_by_op[op]),
            handshake_retransmissions: figures.handshake_retransmissions,
            duplicates: figures.duplicates.iter().sum(),
            duplicates_by_direction: figures.duplicates.into(),
            reordered: figures.reordered.iter().sum(),
            reordered_by_direction: figures.reordered.into(),
            too_old: figures.too_old,
            lost: found.lost,
            unanswered: follower.unanswered() as u64,
            shake: shake(figures),
            open: open(figures),
            outcomes: by_op(|op| outcomes(&figures.outcomes[op])),
            refusals: refusals(figures),
            response_us: Percentiles::of(figures.response()),
            response_us_by_op: by_op(|op| {
                figures.responses_by_op[op].as_ref().map(Percentiles::of).unwrap_or_default()
            }),
            load_level_max: figures.load_level_max,
            sealed: SealedFigures { no_key: figures.sealed[0], tag: figures.sealed[1] },
            unverified: follower.is_unverified(),
            handshakes: Handshakes {
                checked: found.handshakes_checked,
                right: found.handshakes_right,
                unknown_key: found.handshakes_of_unknown_key,
            },
            not_redpkt: not_redpkt(figures),
            checksum_partial_or_wrong: so_far.checksum_partial_or_wrong,
            doubled: so_far.doubled,
            top_talkers: talkers(figures, top),
            top_talkers_error: figures.talkers.error_datagrams(),
            per_second: seconds(figures),
            sessions: found.sessions,
            users: follower.users() as u64 + found.evicted_users,
            evicted_users: found.evicted_users,
            timestamps_backwards: so_far.timestamps_backwards,
            memory_bytes: held as u64,
            notices: so_far.notices.clone(),
        }
    }
}

fn link_types(so_far: &ReadSoFar) -> BTreeMap<String, u64> {
    let name = |link_type: u32| link::name(link_type).map_or_else(|| link_type.to_string(), str::to_owned);
    so_far.link_types.iter().map(|(link_type, records)| (name(*link_type), *records)).collect()
}

fn shake(figures: &Figures) -> ShakeFigures {
    ShakeFigures {
        sent: figures.new_requests_by_op[Op::Shake as usize],
        miss: figures.miss,
        win: figures.win,
        repeated_win: figures.repeated_win,
        repeated_miss: figures.repeated_miss,
    }
}

fn open(figures: &Figures) -> OpenFigures {
    OpenFigures {
        sent: figures.new_requests_by_op[Op::Open as usize],
        ok: figures.open_ok,
        empty: figures.open_empty,
        fen: figures.open_fen,
        repeated: figures.open_repeated,
    }
}

fn outcomes(counts: &[u64; STATUSES]) -> BTreeMap<&'static str, u64> {
    let names = Status::ALL.into_iter().map(status_name).chain(["other"]);
    names.zip(*counts).filter(|(_, count)| *count > 0).collect()
}

fn refusals(figures: &Figures) -> BTreeMap<&'static str, u64> {
    let name = |code: usize| match code {
        STALE => "STALE",
        code => RefusalCode::from_wire(code as u8).map_or("other", code_name),
    };
    let counts = figures.refusals.iter().enumerate();
    counts.filter(|(_, count)| **count > 0).map(|(code, count)| (name(code), *count)).collect()
}

fn not_redpkt(figures: &Figures) -> BTreeMap<&'static str, u64> {
    let counts = Reason::ALL.into_iter().map(|reason| (reason.name(), figures.not_redpkt[reason as usize]));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn talkers(figures: &Figures, top: usize) -> Vec<TalkerRow> {
    let row = |(ip, talker): ([u8; 16], super::talkers::Talker)| TalkerRow {
        address: canonical(ip).to_string(),
        datagrams: talker.datagrams,
        bytes: talker.bytes,
        not_redpkt_share: talker.not_redpkt as f64 / talker.datagrams.max(1) as f64,
    };
    figures.talkers.top(top).into_iter().map(row).collect()
}

fn seconds(figures: &Figures) -> Vec<SecondRow> {
    let row = |(s, second): (u64, super::seconds::Second)| SecondRow {
        s,
        datagrams_in: second.datagrams[0],
        datagrams_out: second.datagrams[1],
        frames_in: second.frames[0],
        frames_out: second.frames[1],
        requests: second.requests,
        answers: second.answers,
        wins: second.wins,
    };
    figures.seconds.rows().into_iter().map(row).collect()
}
