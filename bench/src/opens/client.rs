//! The client: one thread, a closed loop of datagrams, every answer opened and checked.

use super::users::{Taken, User};
use hdrhistogram::Histogram;
use redpkt::cli::Failure;
use redpkt::net::client::Peers;
use redpkt_proto::client::datagram_buffer;
use redpkt_proto::frame::frames_mut;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame, Op};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// When a datagram whose answers are not all there is sent again: longer than a disk takes at its worst.
const LOST_NS: u64 = 1_000_000_000;

/// How long nothing may be answered before the server is given up.
const SILENT_NS_MAX: u64 = 20_000_000_000;

/// The longest sleep.
const WAIT_NS: u64 = 1_000_000;

/// The longest latency that the histogram tells apart.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What came of asking everything that there was to ask.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Requests done.
    pub ok: u64,
    /// Shakes that won nothing.
    pub missed: u64,
    /// What opens took, in fen.
    pub fen: u64,
    /// Answers that wanted to be asked again.
    pub busy: u64,
    /// Datagrams sent again.
    pub sent_again: u64,
    /// Answers that were known already.
    pub late: u64,
    /// Answers that cannot be right.
    pub wrong: u64,
    /// From the first datagram to the last answer.
    pub time: Duration,
    /// From a datagram's sending to each of its answers, in ns.
    pub latency_ns: Histogram<u64>,
}

/// How much is on its way at a time.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    /// Datagrams, each of another user.
    pub datagrams: usize,
    /// Requests in each.
    pub frames: usize,
}

/// A datagram on its way.
struct Shot {
    user: u32,
    counter: u32,
    sent_ns: u64,
}

/// Users, and the sockets they come from.
pub struct Client {
    sockets: Peers,
    users: Vec<User>,
    start: Instant,
    out: [Frame; FRAMES_PER_DATAGRAM_MAX],
}

impl Client {
    /// Users with sessions; user i + 1 comes from socket i modulo their number.
    pub fn new(sockets: Peers, users: Vec<User>) -> Client {
        Client { sockets, users, start: Instant::now(), out: datagram_buffer() }
    }

    /// All users.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// Asks for `op` until nobody has more to ask; `progress` hears once a second how many were done.
    pub fn run(&mut self, op: Op, width: Width, progress: &mut dyn FnMut(u64)) -> Result<Phase, Failure> {
        let ready =
            (0..self.users.len() as u32).filter(|user| self.users[*user as usize].has_more(op)).collect();
        let mut round = Round {
            op,
            width,
            ready,
            shots: VecDeque::with_capacity(2 * width.datagrams),
            in_flight: 0,
            phase: Phase::new()?,
        };
        let begin_ns = self.now_ns();
        let (mut now_ns, mut heard_ns, mut told_ns) = (begin_ns, begin_ns, begin_ns);
        while round.in_flight > 0 || !round.ready.is_empty() {
            let sent = self.send(&mut round, now_ns);
            self.sockets.flush();
            let came = self.receive(&mut round);
            now_ns = self.now_ns();
            if came > 0 {
                heard_ns = now_ns;
            } else if sent == 0 {
                self.sockets.wait(Duration::from_nanos(WAIT_NS));
                now_ns = self.now_ns();
            }
            if now_ns - heard_ns > SILENT_NS_MAX {
                let open = round.in_flight;
                return Err(Failure::check(format!(
                    "{open} datagrams are not answered, for {SILENT_NS_MAX} ns"
                )));
            }
            if now_ns - told_ns >= 1_000_000_000 {
                told_ns = now_ns;
                progress(round.phase.ok);
            }
        }
        round.phase.time = Duration::from_nanos(heard_ns - begin_ns);
        Ok(round.phase)
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Sends what may be on its way, and again what was lost; how many datagrams.
    fn send(&mut self, round: &mut Round, now_ns: u64) -> usize {
        let mut sent = 0;
        while round.in_flight < round.width.datagrams {
            let Some(user) = round.ready.pop_front() else { break };
            let asker = &mut self.users[user as usize];
            let count = asker.ask(u64::from(user) + 1, round.op, round.width.frames, now_ns, &mut self.out);
            round.shots.push_back(Shot { user, counter: asker.counter(), sent_ns: now_ns });
            self.sockets.send(user as usize % self.sockets.len(), self.out[..count].as_bytes());
            round.in_flight += 1;
            sent += 1;
        }
        while let Some(shot) = round.shots.front() {
            let asker = &mut self.users[shot.user as usize];
            let is_answered = !asker.waits() || asker.counter() != shot.counter;
            if !is_answered && now_ns.saturating_sub(shot.sent_ns) < LOST_NS {
                break;
            }
            let Some(shot) = round.shots.pop_front().filter(|_| !is_answered) else { continue };
            let count = asker.ask_again(u64::from(shot.user) + 1, round.op, &mut self.out);
            self.sockets.send(shot.user as usize % self.sockets.len(), self.out[..count].as_bytes());
            round.shots.push_back(Shot { sent_ns: now_ns, ..shot });
            round.phase.sent_again += 1;
            sent += 1;
        }
        sent
    }

    /// Takes what has come; how many answers.
    fn receive(&mut self, round: &mut Round) -> u64 {
        let Client { sockets, users, start, .. } = self;
        let mut came = 0;
        sockets.recv(&mut |_, bytes| {
            let now_ns = start.elapsed().as_nanos() as u64;
            let Some(frames) = frames_mut(bytes) else { return round.phase.wrong += 1 };
            let user = (frames[0].header.user.get() as usize).wrapping_sub(1);
            let Some(asker) = users.get_mut(user) else { return round.phase.wrong += 1 };
            for frame in frames {
                came += 1;
                let waited = asker.waits();
                round.phase.count(asker.take(frame, round.op), now_ns.saturating_sub(asker.since_ns()));
                if waited && !asker.waits() {
                    round.in_flight -= 1;
                    if asker.has_more(round.op) {
                        round.ready.push_back(user as u32);
                    }
                }
            }
        });
        came
    }
}

/// What goes on in one [`Client::run`].
struct Round {
    op: Op,
    width: Width,
    /// Users with more to ask and nothing on its way.
    ready: VecDeque<u32>,
    /// In the order of sending; those at the front may be answered already.
    shots: VecDeque<Shot>,
    /// Datagrams whose answers are not all there.
    in_flight: usize,
    phase: Phase,
}

impl Phase {
    fn new() -> Result<Phase, Failure> {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).map_err(Failure::machine)?;
        Ok(Phase {
            ok: 0,
            missed: 0,
            fen: 0,
            busy: 0,
            sent_again: 0,
            late: 0,
            wrong: 0,
            time: Duration::ZERO,
            latency_ns,
        })
    }

    fn count(&mut self, taken: Taken, latency_ns: u64) {
        match taken {
            Taken::Won => self.ok += 1,
            Taken::Opened(fen) => {
                self.ok += 1;
                self.fen += fen;
            }
            Taken::Miss => self.missed += 1,
            Taken::Busy => return self.busy += 1,
            Taken::Late => return self.late += 1,
            Taken::Wrong => return self.wrong += 1,
        }
        self.latency_ns.saturating_record(latency_ns.max(1));
    }

    /// A quantile of the latency, in µs.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1e3
    }
}
