//! What a run found out: the fields of `run --json`.

use super::host::Host;
use super::kernel::KernelCheck;
use super::options::RunOptions;
use super::order::OrderFound;
use super::outcomes::{Invites, Opens, Requests, Shakes};
use super::series::Series;
use super::server_side::ServerSide;
use super::tally::Row;
use hdrhistogram::Histogram;
use redpkt::hdr::log::Log;
use serde::Serialize;

/// The result of a run. Its JSON form is a contract with scripts: fields are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests a second that this host was to make: its share of the whole.
    pub target_qps: f64,
    /// Requests a second that were made at shots.
    pub offered_qps: f64,
    /// Of these, those that were answered, a second of the run's time.
    pub answered_qps: f64,
    /// Datagrams a second that left our sockets within the run's time.
    pub pps_out: f64,
    /// Datagrams a second that came to our sockets within the run's time.
    pub pps_in: f64,
    /// The run's time in seconds, without joining and without waiting for the last answers.
    pub seconds: f64,
    /// Datagrams that left our sockets, until the last answer was there.
    pub datagrams_sent: u64,
    /// Datagrams that came to our sockets, until the last answer was there.
    pub datagrams_received: u64,
    /// Frames in the datagrams sent.
    pub frames_sent: u64,
    /// Requests answered, also those that follow from others. A BUSY that ended a request is none.
    pub answers: u64,
    /// Requests without an answer at their deadline, after all retransmissions.
    pub timeouts: u64,
    /// Transmissions of requests beyond the first.
    pub retransmits: u64,
    /// Requests that ended with the server's BUSY as its last word: surely not done.
    pub busy: u64,
    /// Sessions of this host.
    pub sessions: u64,
    /// Source ports they came from.
    pub peers: u64,
    /// Whether this side was too slow: less than 99% of the shots went out in the run's time.
    pub generator_limited: bool,
    /// Whether our sockets' datagrams crossed the kernel in runs; then datagrams are not system packets.
    pub gso: bool,
    /// Answered shakes, from the time they were due to their answer, in µs.
    pub latency_us: Percentiles,
    /// The same from their first transmission.
    pub latency_raw_us: Percentiles,
    /// Answered opens, from their first transmission, in µs.
    pub latency_open_us: Percentiles,
    /// Shakes.
    pub shake: Shakes,
    /// Opens.
    pub open: Opens,
    /// Sends.
    pub send: Requests,
    /// Shares.
    pub share: Requests,
    /// Grabs.
    pub grab: Requests,
    /// Questions for the balance.
    pub balance: Requests,
    /// Questions for the history.
    pub history: Requests,
    /// Invitations.
    pub invites: Invites,
    /// The order of packets of the house, where one was given.
    pub order: Option<OrderFound>,
    /// Second by second.
    pub per_second: Vec<Second>,
    /// The schedule.
    pub schedule: ScheduleKept,
    /// Shakes answered on their first transmission within 100 ms of the time they were due.
    pub first_try_answers_within_100ms: u64,
    /// Sessions that were renewed during the run.
    pub rejoins: u64,
    /// How the sessions were opened.
    pub join: Joins,
    /// Sessions opened a second.
    pub joins_per_s: f64,
    /// How long that took, in seconds.
    pub join_seconds: f64,
    /// CPU time of this side's threads for each request made, in ns. On loopback the kernel's receive work
    /// for the server is charged to them too.
    pub cpu_ns_per_request: f64,
    /// The server's clock minus ours in ms, from the samples with the shortest round trips.
    pub clock_offset_ms: Option<i64>,
    /// What our sessions refused of what came.
    pub refused: RefusedFrames,
    /// What our sockets counted beside datagrams.
    pub sockets: SocketTrouble,
    /// The kernel's UDP counters beside ours.
    pub kernel_udp: KernelCheck,
    /// The server's counters beside ours, where it was asked.
    pub server: Option<ServerSide>,
    /// Whether every answer was right.
    pub check: Check,
    /// What is worth knowing and no failure.
    pub warnings: Vec<String>,
    /// What this was run on.
    pub host: Host,
    /// What it was told.
    pub settings: RunOptions,
    /// Every value of `latency_us`, in ns.
    #[serde(skip)]
    pub latency: Histogram<u64>,
    /// The same second by second, where asked for: answers by the second in which they came, and at last those that
    /// came after the run's time.
    #[serde(skip)]
    pub latency_log: Option<Log>,
    /// Every value of `latency_raw_us`, in ns.
    #[serde(skip)]
    pub latency_raw: Histogram<u64>,
    /// Every value of `latency_open_us`, in ns.
    #[serde(skip)]
    pub latency_open: Histogram<u64>,
    /// Money answers and unknown outcomes, and misses where asked for.
    #[serde(skip)]
    pub tally: Vec<Row>,
    /// The same piece by piece, where asked for.
    #[serde(skip)]
    pub series: Option<Series>,
}

/// A latency distribution in µs; all 0 when there is no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
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

/// One second of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Second {
    /// Which, from 0.
    pub second: u64,
    /// Requests answered a second, opens included.
    pub qps: f64,
    /// Datagrams out a second.
    pub pps_out: f64,
    /// Datagrams in a second.
    pub pps_in: f64,
    /// Shakes that won.
    pub wins: u64,
    /// Opens that took money.
    pub opens: u64,
    /// Median from the due time of the shakes answered in it, in µs.
    pub p50_us: f64,
    /// 99% of the same.
    pub p99_us: f64,
    /// Requests whose deadline passed.
    pub timeouts: u64,
    /// Requests made.
    pub offered: u64,
    /// Whether datagrams crossed the kernel in runs; then PPS are not system packets.
    pub gso: bool,
}

/// How well the schedule was kept. A shot is one user's datagram of K requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ScheduleKept {
    /// Shots due in the run's time.
    pub shots_due: u64,
    /// Shots whose turn came in the run's time, also where the session could not take them.
    pub shots_fired: u64,
    /// Requests due in the run's time.
    pub requests_due: u64,
    /// Shots that went out more than 1 ms after they were due.
    pub late_sends: u64,
    /// How late they went out, in µs.
    pub late_us: Percentiles,
    /// Requests not made: as many as allowed were waiting for their answers.
    pub window_full: u64,
    /// Requests not made: the session was being renewed.
    pub not_joined: u64,
}

/// How the sessions were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Joins {
    /// Sessions opened.
    pub sessions: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Refusals that were overcome by trying again.
    pub refusals: u64,
    /// Source ports they came from.
    pub peers: u64,
    /// Shakes that the server answers each user in a second; 0 is no limit.
    pub shakes_per_s: u16,
}

/// Frames and datagrams that came and were not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedFrames {
    /// Frames with a wrong tag.
    pub bad_tag: u64,
    /// Frames seen before.
    pub replayed: u64,
    /// Frames that nothing waited for.
    pub unexpected: u64,
    /// Answers to requests that had ended.
    pub late: u64,
    /// Datagrams that are no whole frames, or for no user of ours.
    pub foreign: u64,
}

/// Trouble at our sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketTrouble {
    /// Datagrams not sent: the kernel refused them, or the send buffer stayed full.
    pub send_errors: u64,
    /// Times that the network said that nobody is there.
    pub unreachable: u64,
    /// Datagrams longer than one of the protocol may be.
    pub truncated: u64,
    /// Receiving failed.
    pub recv_errors: u64,
}

/// The verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whether there is no problem.
    pub ok: bool,
    /// Each in one line.
    pub problems: Vec<String>,
}

impl Percentiles {
    /// Of a histogram of ns.
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        match histogram.is_empty() {
            true => Percentiles::default(),
            false => Percentiles {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: histogram.max() as f64 / 1e3,
            },
        }
    }
}
