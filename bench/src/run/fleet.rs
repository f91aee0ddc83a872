//! All threads of a run: starts them, follows them, and puts together what they found out.

use super::check::Alone;
use super::clock::{Clock, ClockSamples};
use super::coming::Coming;
use super::counts::Counts;
use super::crowd::{Crowd, Tickets};
use super::gather::Gathered;
use super::generator::{Command, Generator, Measure, Message};
use super::habits::{HabitOptions, Habits};
use super::joining::JoinWatch;
use super::kernel::{KernelCheck, Place};
use super::options::RunOptions;
use super::order::Ordered;
use super::remote::RunPhase;
use super::report::{Joins, Report};
use super::schedule::{Plan, Share, Turns, next_start};
use super::server_side::ServerSide;
use super::totals::Totals;
use super::{Host, Progress};
use crate::relay::Relay;
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt::net::affinity::pin_current_thread;
use redpkt::net::client::{ClientSockets, Peers};
use redpkt::telemetry::machine::Udp;
use redpkt_proto::client::Config;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From the decision to begin to the first shot, at least: every thread is ready by then.
const LEAD: Duration = Duration::from_millis(50);

/// How long nobody must have been invited before a run in which users are is over: longer than an invitation that
/// was lost takes to come again.
const LINGER: Duration = Duration::from_millis(1_500);

/// Clocks that are further apart are worth a warning.
const OFFSET_MS_MAX: u64 = 50;

/// Users with open sessions, on threads of their own. They keep their sessions alive until it is dropped.
pub struct Fleet {
    threads: Vec<Thread>,
    messages: Receiver<Message>,
    clock: Clock,
    clock_samples: ClockSamples,
    joins: Joins,
    place: Place,
    invites: Arc<AtomicU64>,
    /// Stops when the threads have.
    _relay: Option<Relay>,
}

struct Thread {
    commands: Sender<Command>,
    handle: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Opens a session for each user of this host.
    pub fn join(options: &RunOptions, progress: &mut dyn FnMut(Progress)) -> Result<Fleet, Failure> {
        options.check()?;
        let mut fleet = Fleet::start(options)?;
        let begun = Instant::now();
        let present = |thread| share(options, thread).count() - late(options, thread);
        let users = (0..options.threads).map(present).sum();
        let mut watch = JoinWatch::new(options.threads as usize, users);
        while !watch.is_done() {
            if options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Failure::check("stopped before all sessions were open"));
            }
            if let Some(message) = fleet.next_message(Duration::from_millis(100))? {
                watch.on_message(message);
            }
            watch.look(options, progress)?;
        }
        fleet.clock_samples = watch.clock_samples();
        fleet.joins = watch.joins(options, begun.elapsed().as_secs_f64());
        progress(Progress::Joined(fleet.joins));
        Ok(fleet)
    }

    fn start(options: &RunOptions) -> Result<Fleet, Failure> {
        let (sender, messages) = channel();
        let place = match (&options.wire, options.gso, &options.xdp) {
            (Some(_), _, _) => Place::BehindRelay,
            (None, true, _) => Place::BehindRuns,
            (None, false, Some(_)) => Place::PastKernel,
            (None, false, None) => Place::of(options.target),
        };
        let clock = options.remote.as_ref().map_or_else(Clock::start, |remote| remote.clock);
        let relay = options.wire.map(|wire| Relay::start(options.target, wire)).transpose()?;
        let target = relay.as_ref().map_or(options.target, Relay::addr);
        let mut fleet = Fleet {
            threads: Vec::new(),
            messages,
            clock,
            clock_samples: ClockSamples::default(),
            joins: Joins::default(),
            place,
            invites: Arc::default(),
            _relay: relay,
        };
        for thread in 0..options.threads {
            let invites = Arc::clone(&fleet.invites);
            let started = start_thread(options, target, thread, clock, invites, sender.clone())?;
            fleet.threads.push(started);
        }
        Ok(fleet)
    }

    /// The next message, if one comes in that time.
    fn next_message(&self, timeout: Duration) -> Result<Option<Message>, Failure> {
        let is_over = |thread: &Thread| thread.handle.as_ref().is_some_and(JoinHandle::is_finished);
        match self.messages.recv_timeout(timeout) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) if !self.threads.iter().any(is_over) => Ok(None),
            Err(_) => Err(Failure::check("a thread of the load has ended; its last words are above")),
        }
    }

    /// Lets them shake. Rates, durations, arrivals, seed, mix, order, series and alignment may differ from those of the
    /// join and from run to run; the rest must be as it was.
    pub fn measure(
        &mut self,
        options: &RunOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, Failure> {
        options.check()?;
        let mut warnings = Vec::new();
        let mut warn = |warning: String, progress: &mut dyn FnMut(Progress)| {
            progress(Progress::Warning(warning.clone()));
            warnings.push(warning);
        };
        let host = Host::read();
        self.warn_before(options, &mut |warning| warn(warning, progress));
        let compared = options.http.as_ref().filter(|_| !options.persists);
        let server_before = match compared {
            None => None,
            Some(url) => {
                Some(ServerSide::read(url).map_err(|why| Failure::machine(format!("--http {why}")))?)
            }
        };
        let kernel_before = Udp::read_of(options.target.ip());
        let ordered = match (&options.order, &options.http) {
            (Some(query), Some(url)) => {
                Some(Ordered::give(url, query).map_err(|why| Failure::machine(format!("--order {why}")))?)
            }
            _ => None,
        };
        let begins = self.begin(options);
        progress(Progress::Begins(begins));

        let mut gathered = Gathered::new(self.threads.len(), options, begins);
        while !gathered.is_done() {
            if let Some(message) = self.next_message(Duration::from_millis(200))? {
                gathered.on_message(message, progress);
            }
        }
        let kernel =
            Udp::read_of(options.target.ip()).zip(kernel_before).map(|(after, before)| after.since(&before));
        let (sent, received) = gathered.packets();
        let kernel = KernelCheck::new(kernel, sent, received, self.place);
        let alone = if options.hosts == 1 { Alone::Yes } else { Alone::No };
        let server = match (compared, server_before) {
            (Some(url), Some(before)) => match gathered.read_server(url, &before) {
                Ok(server) => Some((server, alone)),
                Err(why) => return Err(Failure::check(format!("--http {why}"))),
            },
            _ => None,
        };
        let mut report =
            gathered.report(options, host, self.joins, &self.clock_samples, kernel, server, warnings)?;
        if let Some(ordered) = ordered {
            let found = ordered.found().map_err(|why| Failure::check(format!("--order {why}")))?;
            report.check.problems.extend(found.problems(&report.invites));
            report.check.ok = report.check.problems.is_empty();
            report.order = Some(found);
        }
        Ok(report)
    }

    /// Invitations that have come so far, those that came again among them.
    pub fn invites(&self) -> u64 {
        self.invites.load(Ordering::Relaxed)
    }

    /// Tells all threads when and how to begin; when that is.
    fn begin(&self, options: &RunOptions) -> Instant {
        let now_ns = self.clock.now().mono_ns;
        let offset_ns = self.clock_samples.offset_ms().unwrap_or(0) * 1_000_000;
        let server_now_ns = self.clock.unix_ns(now_ns).saturating_add_signed(offset_ns);
        let start_unix_ns = next_start(server_now_ns, LEAD, options.align);
        let measure = Measure {
            plan: Plan {
                rate: options.rate,
                frames: options.frames_per_datagram,
                arrivals: options.arrivals,
                seed: options.seed,
                start_unix_ns,
                duration_ns: options.duration.as_nanos() as u64,
            },
            phases: options.phases.clone(),
            series: options.series,
            start_ns: now_ns + (start_unix_ns - server_now_ns),
            mix: options.mix,
            idle_set: options.idle_set,
            keeps_misses: options.tally_misses,
            grace_ns: options.grace.as_nanos() as u64,
            stop: options.stop.clone(),
            // A shake at the end, its open, and some.
            drain_ns: 2 * options.deadline.as_nanos() as u64 + 1_000_000_000,
            linger_ns: if options.mix.invites() || options.order.is_some() {
                LINGER.as_nanos() as u64
            } else {
                0
            },
        };
        if let Some(remote) = &options.remote {
            remote.pace.begin(measure.start_ns);
            remote.set_phase(RunPhase::Running);
        }
        for thread in &self.threads {
            // One that has ended is noticed when its messages are waited for.
            let _ = thread.commands.send(Command::Measure(Box::new(measure.clone())));
        }
        Instant::now() + Duration::from_nanos(measure.start_ns.saturating_sub(self.clock.now().mono_ns))
    }

    fn warn_before(&self, options: &RunOptions, warn: &mut dyn FnMut(String)) {
        if let Some(offset_ms) = self.clock_samples.offset_ms()
            && offset_ms.unsigned_abs() > OFFSET_MS_MAX
        {
            warn(format!(
                "this clock is {} ms {} the server's; hosts keep step by the server's clock as they measure it",
                offset_ms.abs(),
                if offset_ms > 0 { "behind" } else { "before" }
            ));
        }
        let each = options.rate.requests(options.frames_per_datagram) / options.users as f64;
        let most = self.joins.shakes_per_s;
        if most > 0 && each > f64::from(most) {
            warn(format!(
                "each user shakes {each:.1} times a second and the server answers {most}: the others get BUSY; ask for more --users, or serve --shakes-per-s 0"
            ));
        }
        if cfg!(debug_assertions) {
            warn("built without --release: these figures say nothing about speed".into());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for thread in &self.threads {
            let _ = thread.commands.send(Command::Stop);
        }
        for handle in self.threads.iter_mut().filter_map(|thread| thread.handle.take()) {
            let _ = handle.join();
        }
    }
}

/// The users of a thread.
fn share(options: &RunOptions, thread: u32) -> Share {
    Share::new(options.users, (options.host, options.hosts), (thread, options.threads))
}

/// Users of a thread who come late.
fn late(options: &RunOptions, thread: u32) -> u64 {
    (share(options, thread).count() as f64 * options.late) as u64
}

/// The part of `all` that belongs to `thread` when each gets as many as the others, or one more.
fn part_of(all: usize, thread: u32, threads: u32) -> usize {
    let (thread, threads) = (thread as usize, threads as usize);
    all / threads + usize::from(thread < all % threads)
}

fn start_thread(
    options: &RunOptions,
    target: SocketAddr,
    thread: u32,
    clock: Clock,
    invites: Arc<AtomicU64>,
    messages: Sender<Message>,
) -> Result<Thread, Failure> {
    let sockets = match &options.xdp {
        Some(xdp) => xdp.open(target, share(options, thread).count() as usize)?,
        None => {
            let ports = part_of(options.source_ports, thread, options.threads);
            let sockets = ClientSockets::connect(target, ports, options.gso)
                .map_err(|error| Failure::machine(format!("--source-ports: {error}")))?;
            Peers::Sockets(sockets)
        }
    };
    let rng = os_seeded_rng().map_err(|error| Failure::machine(format!("no random bytes: {error}")))?;
    let share = share(options, thread);
    let default = Config::default();
    let deadline_ns = options.deadline.as_nanos() as u64;
    // What is first sent again at its deadline is never sent again.
    let [rto_ns_initial, rto_ns_min, rto_ns_max] = match options.retransmits {
        true => [default.rto_ns_initial, default.rto_ns_min, default.rto_ns_max],
        false => [deadline_ns; 3],
    };
    let config = Config {
        rto_ns_initial,
        rto_ns_min,
        rto_ns_max,
        deadline_ns,
        frames_per_datagram: options.frames_max() as u8,
        rejoin_wait_ns_max: options.rejoin_wait.as_nanos() as u64,
        // What is asked for is offered, also to a server that would rather have less.
        obeys: options.obeys,
        ..default
    };
    let ttl_s = options.duration.as_secs() + 24 * 3_600;
    let tickets = Tickets {
        keys: options.keys.clone(),
        expiry_s: u32::try_from(clock.now().wall_s() + ttl_s).unwrap_or(u32::MAX),
        first_user: options.first_user,
    };
    let habits = HabitOptions {
        mix: options.mix,
        send: options.send,
        deposit_fen: options.deposit_fen,
        persists: options.persists,
        acts_at_shots: options.acts_at_shots,
        users: (options.first_user, options.users),
    };
    let (frames, spin, nap) = (options.frames_per_datagram, options.spin, options.nap);
    let late = late(options, thread);
    let coming = Coming::new(late, options.late_over, options.churn_per_s);
    let remote = options.remote.clone();
    if let (Some(remote), Ok(addr)) = (&remote, sockets.local_addr(0)) {
        remote.speaks_from(addr);
    }
    let turns = match &remote {
        Some(_) => share.within_host(options.hosts),
        None => share,
    };
    let join_window = part_of(options.join_window, thread, options.threads) as u64;
    let core = options.cores.get(thread as usize).copied();
    let (commands, orders) = channel();
    let body = move || {
        if let Some(core) = core
            && let Err(error) = pin_current_thread(core)
        {
            eprintln!("redpkt-bench: --cores: core {core}: {error}; left to the kernel");
        }
        let crowd =
            Crowd::new(share, tickets, Arc::new(config), Habits::new(habits), invites, clock.now(), rng)
                .with_late(late);
        let generator = Generator {
            thread: thread as usize,
            clock,
            crowd,
            sockets,
            turns: Turns::new(turns),
            frames,
            spin,
            nap,
            join_window,
            coming,
            remote,
            counts_before: Counts::default(),
            published_ns: 0,
            refused_before: Totals::default(),
        };
        generator.run(&orders, &messages);
    };
    let handle = std::thread::Builder::new()
        .name(format!("load-{thread}"))
        .spawn(body)
        .map_err(|error| Failure::machine(format!("--threads: {error}")))?;
    Ok(Thread { commands, handle: Some(handle) })
}
