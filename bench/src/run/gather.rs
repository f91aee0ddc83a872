//! Puts together what the threads of a run found out.

use super::book::{Invitation, Latencies};
use super::check::{Alone, Evidence, check};
use super::clock::ClockSamples;
use super::counts::Counts;
use super::generator::{Finished, Message, SecondPart};
use super::host::Host;
use super::kernel::KernelCheck;
use super::options::RunOptions;
use super::remote::{Remote, RunPhase};
use super::report::{Joins, Percentiles, RefusedFrames, Report, ScheduleKept, Second, SocketTrouble};
use super::server_side::ServerSide;
use super::{Progress, tally::Row};
use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::hdr::{histogram, log::Log};
use redpkt::net::client::ClientCounters;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What a latency log holds.
const LOGGED: &str = "answered shakes from the time they were due";

/// How long the server's published counters may take to show the last answer.
const SERVER_SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// What has come so far.
pub struct Gathered {
    threads: usize,
    duration_s: f64,
    gso: bool,
    /// Parts of seconds that are not complete: how many, and their sum.
    open: BTreeMap<u64, (usize, SecondSum)>,
    seconds: Vec<Second>,
    finished: Vec<Finished>,
    /// Requests without an answer, by thread, while the last answers are waited for.
    draining: BTreeMap<usize, u64>,
    latencies: Latencies,
    latency_log: Option<Log>,
    remote: Option<Arc<Remote>>,
    /// When the run's time is over.
    ends: Instant,
}

/// The parts of one second, added up.
struct SecondSum {
    counts: Counts,
    sent: u64,
    received: u64,
    latencies: Latencies,
}

impl Gathered {
    /// Nothing yet, of so many threads, of a run that begins then.
    pub fn new(threads: usize, options: &RunOptions, begins: Instant) -> Gathered {
        let wait = begins.saturating_duration_since(Instant::now());
        Gathered {
            threads,
            duration_s: options.time().as_secs_f64(),
            gso: options.gso,
            open: BTreeMap::new(),
            seconds: Vec::new(),
            finished: Vec::new(),
            draining: BTreeMap::new(),
            latencies: Latencies::new(),
            remote: options.remote.clone(),
            latency_log: options.latency_log.then(|| Log::new(SystemTime::now() + wait, LOGGED)),
            ends: begins + options.time(),
        }
    }

    /// Whether all threads have finished.
    pub fn is_done(&self) -> bool {
        self.finished.len() == self.threads
    }

    /// Takes in what a thread says.
    pub fn on_message(&mut self, message: Message, progress: &mut dyn FnMut(Progress)) {
        match message {
            Message::Second(part) => self.on_second(&part, progress),
            Message::Draining { thread, outstanding } => {
                self.set_phase(RunPhase::Draining);
                self.draining.insert(thread, outstanding);
                progress(Progress::Draining { outstanding: self.draining.values().sum() });
            }
            Message::Finished(finished) => {
                self.set_phase(RunPhase::Draining);
                if let Some(remote) = &self.remote {
                    remote.measured(finished.latencies.named());
                }
                self.finished.push(*finished);
            }
            Message::Joining { .. } => {}
        }
    }

    fn set_phase(&self, phase: RunPhase) {
        if let Some(remote) = &self.remote {
            remote.set_phase(phase);
        }
    }

    fn on_second(&mut self, part: &SecondPart, progress: &mut dyn FnMut(Progress)) {
        let (parts, sum) = self.open.entry(part.second).or_insert_with(|| {
            (0, SecondSum { counts: Counts::default(), sent: 0, received: 0, latencies: Latencies::new() })
        });
        *parts += 1;
        sum.counts.add(&part.counts);
        sum.sent += part.sockets.datagrams_sent;
        sum.received += part.sockets.datagrams_received;
        sum.latencies.add(&part.latencies);
        if *parts < self.threads {
            return;
        }
        let Some((_, sum)) = self.open.remove(&part.second) else { return };
        // The last second may be a part of one.
        let length_s = (self.duration_s - part.second as f64).min(1.0);
        let percentiles = Percentiles::of(&sum.latencies.due);
        let second = Second {
            second: part.second,
            qps: sum.counts.answers() as f64 / length_s,
            pps_out: sum.sent as f64 / length_s,
            pps_in: sum.received as f64 / length_s,
            wins: sum.counts.shake.win,
            opens: sum.counts.open.ok,
            p50_us: percentiles.p50,
            p99_us: percentiles.p99,
            timeouts: sum.counts.timeouts(),
            offered: sum.counts.offered(),
            gso: self.gso,
        };
        self.latencies.add(&sum.latencies);
        if let Some(remote) = &self.remote {
            remote.measured(sum.latencies.named());
        }
        if let Some(log) = &mut self.latency_log {
            let start = Duration::from_secs(part.second);
            log.add(None, start, Duration::from_secs_f64(length_s.max(0.0)), &sum.latencies.due);
        }
        self.seconds.push(second);
        progress(Progress::Second(second));
    }

    fn sum(&self, field: impl Fn(&Finished) -> u64) -> u64 {
        self.finished.iter().map(field).sum()
    }

    fn sockets(&self, field: impl Fn(&ClientCounters) -> u64) -> u64 {
        self.sum(|finished| field(&finished.sockets))
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.finished.iter().for_each(|finished| counts.add(&finished.counts));
        counts
    }

    /// How long shots went out: all of the run's time, unless it was stopped.
    fn seconds_shot(&self) -> f64 {
        let longest = self.finished.iter().map(|finished| finished.shot_ns).max().unwrap_or(0);
        (longest as f64 / 1e9).clamp(0.001, self.duration_s)
    }

    fn histogram(&self, field: impl Fn(&Finished) -> &Histogram<u64>) -> Histogram<u64> {
        let mut all = histogram();
        self.finished.iter().for_each(|finished| all.add(field(finished)).expect("all histograms are alike"));
        all
    }

    /// System packets that our sockets sent and received.
    pub fn packets(&self) -> (u64, u64) {
        (self.sockets(|sockets| sockets.packets_sent), self.sockets(|sockets| sockets.packets_received))
    }

    /// The server's counters since `before`, once they show what we know of, or after a while.
    pub fn read_server(&self, url: &str, before: &ServerSide) -> Result<ServerSide, String> {
        let begun = Instant::now();
        let counts = self.counts();
        loop {
            let server = ServerSide::read(url)?.since(before);
            let is_complete = server.shake_win >= counts.shake.win
                && server.shake_miss >= counts.shake.miss
                && server.open_ok >= counts.open.ok
                && server.open_fen >= counts.open.fen;
            if is_complete || begun.elapsed() > SERVER_SETTLES_WITHIN {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn schedule(&self, counts: &Counts, options: &RunOptions) -> ScheduleKept {
        let shots_due = self.sum(|finished| finished.shots_due);
        ScheduleKept {
            shots_due,
            shots_fired: counts.shots_fired,
            requests_due: shots_due * options.frames_per_datagram as u64,
            late_sends: counts.late_sends,
            late_us: Percentiles::of(&self.histogram(|finished| &finished.late)),
            window_full: counts.window_full,
            not_joined: counts.not_joined,
        }
    }

    fn refused(&self, counts: &Counts) -> RefusedFrames {
        RefusedFrames {
            bad_tag: self.sum(|finished| finished.refused.bad_tag),
            replayed: self.sum(|finished| finished.refused.replayed),
            unexpected: self.sum(|finished| finished.refused.unexpected),
            late: self.sum(|finished| finished.refused.late),
            foreign: counts.foreign,
        }
    }

    /// The report.
    #[expect(clippy::too_many_arguments, reason = "each is found out elsewhere")]
    pub fn report(
        mut self,
        options: &RunOptions,
        host: Host,
        join: Joins,
        clock_samples: &ClockSamples,
        kernel_udp: KernelCheck,
        server: Option<(ServerSide, Alone)>,
        mut warnings: Vec<String>,
    ) -> Result<Report, Failure> {
        let counts = self.counts();
        let mut last = Latencies::new();
        self.finished.iter().for_each(|finished| last.add(&finished.latencies));
        if let Some(log) = &mut self.latency_log {
            log.add(None, options.time(), self.ends.elapsed(), &last.due);
        }
        self.latencies.add(&last);
        let Latencies { due: latency, raw: latency_raw, open: latency_open } = self.latencies.clone();
        let seconds = self.seconds_shot();
        let rows = self.finished.iter_mut().flat_map(|finished| std::mem::take(&mut finished.rows));
        let tally: Vec<Row> = rows.collect();
        let invitations: Vec<Invitation> =
            self.finished.iter_mut().flat_map(|finished| std::mem::take(&mut finished.invitations)).collect();
        let series = self.finished.iter_mut().filter_map(|finished| finished.series.take());
        let series = series.reduce(|mut all, series| {
            all.add(&series);
            all
        });
        let schedule = self.schedule(&counts, options);
        let refused = self.refused(&counts);
        let mut clock_samples = clock_samples.clone();
        self.finished.iter().for_each(|finished| clock_samples.merge(&finished.clock_samples));
        let check = check(&Evidence {
            counts,
            rows: &tally,
            invitations: &invitations,
            refused,
            is_disturbed: options.wire.is_some() || options.persists,
            not_taken: self.sum(|finished| finished.not_taken),
            server,
        });
        let in_time = |field: fn(&ClientCounters) -> u64| {
            self.sum(|finished| field(&finished.sockets_in_time)) as f64 / seconds
        };
        let generator_limited = schedule.shots_fired * 100 < schedule.shots_due * 99;
        if generator_limited {
            warnings.push(format!(
                "this side was too slow: {} of {} shots went out in time; ask for less, or use more --threads or hosts",
                schedule.shots_fired, schedule.shots_due
            ));
        }
        if kernel_udp.agrees == Some(false) {
            warnings.push(
                "the kernel's UDP counters differ from ours by more than 1%: other UDP traffic, or loss"
                    .into(),
            );
        }
        Ok(Report {
            target_qps: schedule.requests_due as f64 / seconds,
            offered_qps: counts.shot() as f64 / seconds,
            answered_qps: counts.shot_and_answered() as f64 / seconds,
            pps_out: in_time(|sockets| sockets.datagrams_sent),
            pps_in: in_time(|sockets| sockets.datagrams_received),
            seconds,
            datagrams_sent: self.sockets(|sockets| sockets.datagrams_sent),
            datagrams_received: self.sockets(|sockets| sockets.datagrams_received),
            frames_sent: counts.frames_sent,
            answers: counts.answers(),
            timeouts: counts.timeouts(),
            retransmits: counts.retransmits,
            busy: counts.busy(),
            sessions: join.sessions,
            peers: join.peers,
            generator_limited,
            gso: options.gso,
            latency_us: Percentiles::of(&latency),
            latency_raw_us: Percentiles::of(&latency_raw),
            latency_open_us: Percentiles::of(&latency_open),
            shake: counts.shake,
            open: counts.open,
            send: counts.send,
            share: counts.share,
            grab: counts.grab,
            balance: counts.balance,
            history: counts.history,
            invites: counts.invites,
            order: None,
            per_second: std::mem::take(&mut self.seconds),
            schedule,
            first_try_answers_within_100ms: counts.first_try_in_time,
            rejoins: counts.rejoins,
            joins_per_s: join.sessions as f64 / join.seconds.max(1e-9),
            join_seconds: join.seconds,
            join,
            cpu_ns_per_request: self.sum(|finished| finished.cpu_ns) as f64 / counts.offered().max(1) as f64,
            clock_offset_ms: clock_samples.offset_ms(),
            refused,
            sockets: SocketTrouble {
                send_errors: self.sockets(|sockets| sockets.send_errors),
                unreachable: self.sockets(|sockets| sockets.unreachable),
                truncated: self.sockets(|sockets| sockets.truncated),
                recv_errors: self.sockets(|sockets| sockets.recv_errors),
            },
            kernel_udp,
            server: server.map(|(server, _)| server),
            check,
            warnings,
            host,
            settings: options.clone(),
            latency,
            latency_log: self.latency_log,
            latency_raw,
            latency_open,
            tally,
            series,
        })
    }
}
