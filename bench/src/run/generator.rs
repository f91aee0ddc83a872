//! One thread of the load: its sockets, its users, and the turns it takes.

use super::book::{Book, Invitation, Latencies};
use super::clock::{Clock, ClockSamples};
use super::coming::Coming;
use super::counts::Counts;
use super::crowd::{Crowd, JoinState};
use super::mix::Mix;
use super::options::IdleSet;
use super::phases::{Phase, Phases};
use super::remote::{Figures, Remote};
use super::schedule::{Plan, Turns};
use super::seconds::{Seconds, since};
use super::series::{Series, SeriesOptions};
use super::shots::{Planned, Shots, Told};
use super::tally::Row;
use super::totals::Totals;
use hdrhistogram::Histogram;
use redpkt::net::affinity::{precise_timers, thread_cpu_ns};
use redpkt::net::client::{ClientCounters, Peers};
use redpkt_proto::Now;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

/// Shots, or timers, that one turn takes at the most: so many leave with one call, and what came meanwhile is
/// taken soon.
const BATCH: usize = 64;

/// The longest sleep: timers have this resolution.
const TICK_NS: u64 = 1_000_000;

/// Between two tellings of what is counted, in ns.
const PUBLISH_NS: u64 = 50_000_000;

/// What a thread is told.
pub enum Command {
    /// Let the users shake.
    Measure(Box<Measure>),
    /// End.
    Stop,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Measure {
    pub plan: Plan,
    /// What follows at other rates.
    pub phases: Vec<Phase>,
    /// Whether it is recorded piece by piece what became of requests.
    pub series: Option<SeriesOptions>,
    /// The beginning on our monotonic clock.
    pub start_ns: u64,
    pub mix: Mix,
    pub idle_set: Option<IdleSet>,
    pub keeps_misses: bool,
    /// How long the last answers are waited for.
    pub drain_ns: u64,
    /// How long nobody must have been invited, or asked for anything but luck, before the run is over: what one
    /// user does can invite another.
    pub linger_ns: u64,
    /// How long after the run's time shots that are due in it may still go out.
    pub grace_ns: u64,
    /// Ends the shots before their time when it is set.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Measure {
    /// How long all phases take.
    pub fn duration_ns(&self) -> u64 {
        let more = self.phases.iter().map(|phase| phase.duration.as_nanos() as u64);
        self.plan.duration_ns + more.sum::<u64>()
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// What a thread tells.
pub enum Message {
    /// How joining goes.
    Joining { thread: usize, joins: JoinState, sockets: ClientCounters, clock_samples: ClockSamples },
    /// A second is over.
    Second(Box<SecondPart>),
    /// No more shots.
    Draining { thread: usize, outstanding: u64 },
    /// A run is over.
    Finished(Box<Finished>),
}

/// A thread's part of a second.
pub struct SecondPart {
    pub second: u64,
    pub counts: Counts,
    pub sockets: ClientCounters,
    pub latencies: Latencies,
}

/// A thread's part of a run.
pub struct Finished {
    /// Until the last answer.
    pub counts: Counts,
    /// Until the last shot.
    pub sockets_in_time: ClientCounters,
    /// Until the last answer.
    pub sockets: ClientCounters,
    /// Of the answers after the last second.
    pub latencies: Latencies,
    pub late: Histogram<u64>,
    pub rows: Vec<Row>,
    pub invitations: Vec<Invitation>,
    pub series: Option<Series>,
    pub shots_due: u64,
    /// How long shots went out.
    pub shot_ns: u64,
    pub refused: Totals,
    /// Requests of users that no session took.
    pub not_taken: u64,
    /// CPU time of the thread, with what the kernel did in its name.
    pub cpu_ns: u64,
    pub clock_samples: ClockSamples,
}

/// A thread's all.
pub struct Generator {
    pub thread: usize,
    pub clock: Clock,
    pub crowd: Crowd,
    pub sockets: Peers,
    pub turns: Turns,
    pub frames: usize,
    pub spin: Duration,
    pub nap: Duration,
    pub join_window: u64,
    /// Who comes late or again.
    pub coming: Coming,
    /// Who watches and steers the run.
    pub remote: Option<Arc<Remote>>,
    /// What was counted in the books before this one.
    pub counts_before: Counts,
    pub published_ns: u64,
    /// Session counters at the end of the run before.
    pub refused_before: Totals,
}

impl Generator {
    /// Joins, then does what it is told until it is told to stop.
    pub fn run(mut self, commands: &Receiver<Command>, messages: &Sender<Message>) {
        // Without, the kernel may wake us 50 µs late; late sends would show it.
        let _ = precise_timers();
        if !self.join(commands, messages) {
            return;
        }
        loop {
            match commands.try_recv() {
                Ok(Command::Measure(measure)) => self.measure(&measure, messages),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    let more = self.turn();
                    self.sleep_until(if more { 0 } else { self.clock.now().mono_ns + 5 * TICK_NS });
                }
            }
        }
    }

    /// Lets all users join, some at a time; false if told to stop.
    fn join(&mut self, commands: &Receiver<Command>, messages: &Sender<Message>) -> bool {
        let mut report_ns = 0;
        loop {
            let now = self.clock.now();
            for _ in 0..BATCH {
                if self.crowd.joining() >= self.join_window || !self.crowd.join_next(now, &mut self.sockets) {
                    break;
                }
            }
            self.turn();
            let is_done = self.crowd.all_joined();
            if is_done || now.mono_ns >= report_ns {
                report_ns = now.mono_ns + 50 * TICK_NS;
                let _ = messages.send(Message::Joining {
                    thread: self.thread,
                    joins: self.crowd.joins.clone(),
                    sockets: self.sockets.counters(),
                    clock_samples: self.crowd.clock_samples.clone(),
                });
                if is_done {
                    self.published_ns = 0;
                    self.publish(now.mono_ns);
                    return true;
                }
                if !matches!(commands.try_recv(), Err(TryRecvError::Empty)) {
                    return false;
                }
            }
            self.sleep_until(self.clock.now().mono_ns + TICK_NS);
        }
    }

    /// Tells what was counted so far, now and then.
    fn publish(&mut self, now_ns: u64) {
        let Some(remote) = self.remote.as_ref().filter(|_| now_ns >= self.published_ns + PUBLISH_NS) else {
            return;
        };
        self.published_ns = now_ns;
        let mut counts = self.counts_before;
        counts.add(&self.crowd.book.counts);
        let figures = Figures::of(&counts, &self.sockets.counters(), self.crowd.joins.joined);
        remote.publish(self.thread, &figures);
    }

    /// Begins another book; what the one before has.
    fn next_book(&mut self, next: Book) -> Book {
        self.counts_before.add(&self.crowd.book.counts);
        std::mem::replace(&mut self.crowd.book, next)
    }

    /// Sends what is queued, takes in what came, and calls sessions whose time has come; whether there is
    /// more to do at once.
    fn turn(&mut self) -> bool {
        let Generator { sockets, crowd, clock, .. } = self;
        sockets.flush();
        sockets.recv(&mut |_, bytes| crowd.receive(bytes, clock.now()));
        let now = clock.now();
        crowd.send_ready(now, sockets);
        let more = crowd.run_timers(now, BATCH, sockets);
        sockets.flush();
        self.publish(now.mono_ns);
        more
    }

    /// Sleeps until a datagram comes or it is almost that time; or for a nap, whatever comes.
    fn sleep_until(&mut self, until_ns: u64) {
        if !self.nap.is_zero() {
            return std::thread::sleep(self.nap);
        }
        let left = Duration::from_nanos(until_ns.saturating_sub(self.clock.now().mono_ns));
        if left > self.spin {
            self.sockets.wait(left - self.spin);
        }
    }

    fn measure(&mut self, measure: &Measure, messages: &Sender<Message>) {
        let (sockets_before, cpu_before_ns) = (self.sockets.counters(), thread_cpu_ns());
        let mut seconds = Seconds::new(measure, sockets_before);
        self.next_book(Book::new(rows(&measure.plan), measure.keeps_misses));
        let series = |options| Series::new(options, measure.start_ns, sockets_before.datagrams_sent);
        self.crowd.book.series = measure.series.map(series);
        self.crowd.begin(&measure.mix, measure.idle_set, self.clock.now());
        self.coming.begin(self.clock.now().mono_ns);
        let shots_due = self.shoot(measure, &mut seconds, messages);
        let shot_ns = self.clock.now().mono_ns.saturating_sub(measure.start_ns);
        let sockets_in_time = since(&self.sockets.counters(), &sockets_before);
        self.drain(measure, messages);
        let not_taken = self.crowd.end();
        let totals = self.crowd.session_counters();
        let book = self.next_book(Book::new(0, false));
        self.published_ns = 0;
        self.publish(self.clock.now().mono_ns);
        let _ = messages.send(Message::Finished(Box::new(Finished {
            counts: book.counts,
            sockets_in_time,
            sockets: since(&self.sockets.counters(), &sockets_before),
            latencies: book.latencies,
            late: book.late,
            rows: book.rows,
            invitations: book.invitations,
            series: book.series,
            shots_due,
            shot_ns,
            refused: totals.since(&self.refused_before),
            not_taken,
            cpu_ns: thread_cpu_ns() - cpu_before_ns,
            clock_samples: self.crowd.clock_samples.clone(),
        })));
        self.refused_before = totals;
    }

    /// Fires every shot when it is due, or as soon after that as it can; how many were due. An open loop:
    /// no shot waits for an answer.
    fn shoot(&mut self, measure: &Measure, seconds: &mut Seconds, messages: &Sender<Message>) -> u64 {
        let turns = std::mem::replace(&mut self.turns, Turns::none());
        let remote = self.remote.clone();
        let mut shots = match &remote {
            Some(remote) => Shots::Told(Told::new(&turns, &remote.pace, measure.start_ns)),
            None => Shots::Planned(Planned::new(Phases::new(&turns, measure.plan, &measure.phases))),
        };
        let end_ns = measure.start_ns + measure.duration_ns();
        let mut unfired = 0;
        loop {
            let now = self.clock.now();
            let counters = self.sockets.counters();
            seconds.close_until(now, counters, &mut self.crowd.book, messages);
            self.crowd.book.sent(counters.datagrams_sent, now.mono_ns);
            let is_over = now.mono_ns >= end_ns;
            let next_ns = shots.next_due_ns().filter(|due_ns| measure.start_ns + due_ns < end_ns);
            if is_over && (next_ns.is_none() || now.mono_ns >= end_ns + measure.grace_ns) {
                unfired = if next_ns.is_some() { shots.left() } else { 0 };
                break;
            }
            if measure.is_stopped() {
                break;
            }
            let mut more = self.fire_due(&mut shots, measure.start_ns, end_ns, now);
            self.coming.go_on(now, &mut self.crowd, &mut self.sockets, remote.as_deref());
            more |= self.turn();
            if !more {
                let due_ns = shots.next_due_ns().map_or(end_ns, |due_ns| measure.start_ns + due_ns);
                self.sleep_until(due_ns.min(now.mono_ns + TICK_NS));
            }
        }
        self.turns = turns;
        self.crowd.book.counts.shots_fired + unfired
    }

    /// Fires what is due by now, some at a time; whether there may be more.
    fn fire_due(&mut self, shots: &mut Shots<'_>, start_ns: u64, end_ns: u64, now: Now) -> bool {
        let until_ns = now.mono_ns.min(end_ns - 1);
        for _ in 0..BATCH {
            if until_ns < start_ns {
                return false;
            }
            let Some(shot) = shots.due(until_ns - start_ns) else { return false };
            self.crowd.prefetch(shots.ahead());
            self.crowd.fire(shot.local, self.frames, start_ns + shot.due_ns, now, &mut self.sockets);
        }
        true
    }

    /// Waits for the last answers, and for what follows from them.
    fn drain(&mut self, measure: &Measure, messages: &Sender<Message>) {
        let until_ns = self.clock.now().mono_ns + measure.drain_ns;
        let mut report_ns = self.clock.now().mono_ns + 500 * TICK_NS;
        let mut looked_ns = 0;
        loop {
            let more = self.turn();
            let now_ns = self.clock.now().mono_ns;
            if now_ns >= looked_ns + TICK_NS {
                looked_ns = now_ns;
                self.crowd.book.sent(self.sockets.counters().datagrams_sent, now_ns);
            }
            let is_quiet = now_ns >= self.crowd.stirred_ns() + measure.linger_ns;
            if (is_quiet && !self.crowd.is_busy()) || now_ns >= until_ns {
                break;
            }
            if now_ns >= report_ns {
                report_ns = now_ns + 1_000 * TICK_NS;
                let (thread, outstanding) = (self.thread, self.crowd.outstanding);
                let _ = messages.send(Message::Draining { thread, outstanding });
            }
            if !more {
                self.sleep_until(now_ns + TICK_NS);
            }
        }
    }
}

/// Room for the tally, so that it seldom grows during the run. Memory is taken when it is used.
fn rows(plan: &Plan) -> usize {
    let requests = plan.rate.requests(plan.frames) * plan.duration_ns as f64 / 1e9;
    (requests as usize).clamp(1 << 12, 1 << 20)
}
