//! The users of one thread: their sessions, what they ask for (`asking`), who comes late or again (`coming`), and what
//! came of it.

mod asking;
mod coming;

use super::book::{Book, Ended};
use super::clock::ClockSamples;
use super::habits::Habits;
use super::mix::Mix;
use super::options::IdleSet;
use super::schedule::Share;
use super::totals::Totals;
use super::wheel::Timers;
use redpkt::net::client::Peers;
use redpkt_proto::body::RefusalCode;
use redpkt_proto::client::{Call, Config, Event, Session, datagram_buffer};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::ticket::Ticket;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame, Now, Rng, frame};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::IntoBytes;

/// A user. A million of them are there, so it is small, and all that a shot touches lies together.
pub struct User {
    session: Session,
    /// The newest shot's first request, and when it was due.
    first_req: u64,
    due_ns: u64,
    /// Its timer runs out then at the latest; `u64::MAX` if that is not known.
    armed_ns: u64,
    /// Bit `i`: is the newest shot's request `i` a shake without an answer?
    open: u32,
    state: State,
}

/// Whether a user is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// On the way for the first time.
    New,
    /// With a session, which may be renewed by itself.
    Joined,
    /// On the way again, after leaving.
    Returning,
}

const _: () = assert!(size_of::<User>() <= 288);
const _: () = assert!(FRAMES_PER_DATAGRAM_MAX <= 32);

/// How joining goes.
#[derive(Clone, Debug, Default)]
pub struct JoinState {
    /// Users that have joined, but for those who have left and are not back yet.
    pub joined: u64,
    /// Refusals after which a session tries again.
    pub refusals: u64,
    /// The newest of them.
    pub refused: Option<RefusalCode>,
    /// A refusal for good.
    pub refused_for_good: Option<RefusalCode>,
    /// Shakes that the server answers each user in a second.
    pub shakes_per_s: u16,
}

/// What tickets are made with.
pub struct Tickets {
    /// The server's keys.
    pub keys: KeyRing,
    /// When they end, in s since 1970.
    pub expiry_s: u32,
    /// The first user of all parts.
    pub first_user: u64,
}

/// All of that.
pub struct Crowd {
    pub share: Share,
    pub book: Book,
    pub joins: JoinState,
    pub clock_samples: ClockSamples,
    /// Requests without an answer.
    pub outstanding: u64,
    tickets: Tickets,
    config: Arc<Config>,
    users: Vec<User>,
    timers: Timers,
    rng: Rng,
    events: Vec<Event>,
    out: [Frame; FRAMES_PER_DATAGRAM_MAX],
    /// Users whose sessions want to send at once.
    ready: Vec<u32>,
    /// Due times of requests that newer shots of their users have overtaken.
    overtaken: HashMap<(u32, u64), u64>,
    habits: Habits,
    /// What users want to ask for next, and their sessions could not take yet.
    waiting: VecDeque<(u32, Call)>,
    /// When something was won, sent or invited to last, or such a request ended.
    stirred_ns: u64,
    /// Invitations, of all parts together, those that come again among them.
    invites: Arc<AtomicU64>,
    idle_set: Option<IdleSet>,
    /// How many of the last users join only when the run goes on, and have not yet.
    late: u64,
    /// Whose turn it is to leave.
    leaves_next: u32,
    /// What sessions that were left had counted.
    left: Totals,
}

impl Crowd {
    /// A crowd of which nobody has joined.
    pub fn new(
        share: Share,
        tickets: Tickets,
        config: Arc<Config>,
        habits: Habits,
        invites: Arc<AtomicU64>,
        now: Now,
        rng: Rng,
    ) -> Crowd {
        let len = share.count() as usize;
        Crowd {
            share,
            book: Book::new(0, false),
            joins: JoinState::default(),
            clock_samples: ClockSamples::default(),
            outstanding: 0,
            tickets,
            config,
            users: Vec::with_capacity(len),
            timers: Timers::new(len, now.mono_ns),
            rng,
            events: Vec::with_capacity(64),
            out: datagram_buffer(),
            ready: Vec::with_capacity(4_096),
            overtaken: HashMap::new(),
            habits,
            waiting: VecDeque::new(),
            stirred_ns: now.mono_ns,
            invites,
            idle_set: None,
            late: 0,
            leaves_next: 0,
            left: Totals::default(),
        }
    }

    /// So many of the last users do not join before the run.
    pub fn with_late(self, late: u64) -> Crowd {
        Crowd { late, ..self }
    }

    /// A run begins: users act on what they were invited to before.
    pub fn begin(&mut self, mix: &Mix, idle_set: Option<IdleSet>, now: Now) {
        self.waiting.clear();
        self.idle_set = idle_set;
        for (local, packet) in self.habits.begin(mix) {
            self.invited(local, packet, 0, now);
        }
    }

    /// The run is over; gives up what no session has taken: how many requests.
    pub fn end(&mut self) -> u64 {
        self.habits.end();
        let waiting = self.waiting.len() as u64;
        self.waiting.clear();
        waiting
    }

    /// Who that is.
    fn user(&self, local: u32) -> u64 {
        self.tickets.first_user + self.share.global(local)
    }

    /// Joins in flight.
    pub fn joining(&self) -> u64 {
        self.users.len() as u64 - self.joins.joined
    }

    /// Whether everybody is there who is to be there before the run.
    pub fn all_joined(&self) -> bool {
        self.joins.joined == self.share.count() - self.late
    }

    /// Lets the next user join; false if all are on their way.
    pub fn join_next(&mut self, now: Now, sockets: &mut Peers) -> bool {
        if self.users.len() as u64 >= self.share.count() - self.late {
            return false;
        }
        let local = self.users.len() as u32;
        let ticket = self.ticket(local);
        let session = Session::new(ticket, Arc::clone(&self.config), now, &mut self.rng);
        self.users.push(User {
            session,
            first_req: 0,
            due_ns: 0,
            armed_ns: u64::MAX,
            open: 0,
            state: State::New,
        });
        self.transmit(local, now, sockets);
        true
    }

    fn ticket(&mut self, local: u32) -> Ticket {
        let user = self.user(local);
        self.tickets.keys.issue(user, self.tickets.expiry_s, &mut self.rng)
    }

    /// Starts loading a user who will soon shake.
    #[inline]
    pub fn prefetch(&self, local: u32) {
        if let Some(user) = self.users.get(local as usize) {
            redpkt::net::prefetch_read(user);
        }
    }

    /// Takes in a datagram.
    pub fn receive(&mut self, bytes: &mut [u8], now: Now) {
        let Some(frames) = frame::frames_mut(bytes) else {
            self.book.counts.foreign += 1;
            return;
        };
        self.book.counts.frames_received += frames.len() as u64;
        let user = frames[0].header.user.get().wrapping_sub(self.tickets.first_user);
        let Some(local) = self.share.local(user).filter(|local| (*local as usize) < self.users.len()) else {
            self.book.counts.foreign += 1;
            return;
        };
        let session = &mut self.users[local as usize].session;
        session.receive(now, frames, &mut self.rng, &mut self.events);
        self.settle(local, now);
        if self.arm(local, now) {
            self.ready.push(local);
        }
    }

    /// Sends what the datagrams just received made necessary.
    pub fn send_ready(&mut self, now: Now, sockets: &mut Peers) {
        if !self.waiting.is_empty() {
            self.call_waiting(now);
        }
        while let Some(local) = self.ready.pop() {
            self.wake(local, now, sockets);
        }
    }

    /// Calls sessions whose timers have run out, at most `most`; whether there may be more.
    pub fn run_timers(&mut self, now: Now, most: usize, sockets: &mut Peers) -> bool {
        for _ in 0..most {
            let Some(local) = self.timers.pop(now.mono_ns) else { return false };
            self.users[local as usize].armed_ns = u64::MAX;
            if self.arm(local, now) {
                self.wake(local, now, sockets);
            }
        }
        true
    }

    /// What all sessions counted since they were made.
    pub fn session_counters(&self) -> Totals {
        let mut totals = self.left;
        self.users.iter().for_each(|user| totals.add(user.session.counters()));
        totals
    }

    /// Whether requests are left, made or not made yet.
    pub fn is_busy(&self) -> bool {
        self.outstanding > 0 || !self.waiting.is_empty()
    }

    /// When something was won, sent or invited to last, or such a request ended.
    pub fn stirred_ns(&self) -> u64 {
        self.stirred_ns
    }

    fn wake(&mut self, local: u32, now: Now, sockets: &mut Peers) {
        let session = &mut self.users[local as usize].session;
        session.on_timeout(now, &mut self.rng, &mut self.events);
        self.settle(local, now);
        self.transmit(local, now, sockets);
    }

    fn transmit(&mut self, local: u32, now: Now, sockets: &mut Peers) {
        let socket = local as usize % sockets.len();
        let session = &mut self.users[local as usize].session;
        loop {
            let count = session.transmit(now, &mut self.rng, &mut self.out);
            if count == 0 {
                break;
            }
            self.book.counts.frames_sent += count as u64;
            sockets.send(socket, self.out[..count].as_bytes());
        }
        self.arm(local, now);
    }

    /// Sees to it that a session is called in time; whether it wants to be called at once. The timers are
    /// touched only if they would be late.
    fn arm(&mut self, local: u32, now: Now) -> bool {
        let user = &mut self.users[local as usize];
        let at_ns = user.session.timeout_ns();
        if at_ns < user.armed_ns {
            user.armed_ns = at_ns;
            self.timers.arm(local, at_ns, now.mono_ns);
        }
        at_ns <= now.mono_ns
    }

    /// Reads what a session has to say.
    fn settle(&mut self, local: u32, now: Now) {
        if self.events.is_empty() {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.on_event(local, event, now);
        }
        self.events = events;
    }

    fn on_event(&mut self, local: u32, event: Event, now: Now) {
        match event {
            Event::Answered { req, call, outcome, sent_first_ns, rtt_ns, transmissions } => {
                self.outstanding -= 1;
                let due_ns = if call == Call::Shake { self.due_ns(local, req) } else { None };
                let is_invited =
                    matches!(call, Call::Open { packet } if self.habits.is_invited(local, packet));
                let session_number = self.users[local as usize].session.session_number();
                let is_looked_up = session_number != Some((req >> 32) as u32);
                let next = self.habits.ended(local, &call, &outcome, &mut self.rng);
                if call != Call::Shake {
                    self.stirred_ns = now.mono_ns;
                }
                let (user, now_ns) = (self.user(local), now.mono_ns);
                self.book.ended(&Ended {
                    user,
                    req,
                    call,
                    outcome,
                    due_ns,
                    sent_first_ns,
                    rtt_ns,
                    transmissions,
                    now_ns,
                    is_invited,
                    is_looked_up,
                });
                if let Some(call) = next {
                    self.call(local, call, now);
                }
            }
            Event::Joined { shakes_per_s, .. } => {
                let user = &mut self.users[local as usize];
                let before = std::mem::replace(&mut user.state, State::Joined);
                self.book.counts.rejoins += u64::from(before != State::New);
                self.joins.joined += u64::from(before != State::Joined);
                self.joins.shakes_per_s = shakes_per_s;
            }
            Event::JoinRefused { code, retries, .. } => {
                self.joins.refusals += 1;
                let place = if retries { &mut self.joins.refused } else { &mut self.joins.refused_for_good };
                *place = Some(code);
            }
            Event::Clock { offset_ms, rtt_ns } => self.clock_samples.add(rtt_ns, offset_ms),
            Event::Invited { packet, total_fen, .. } => {
                self.invites.fetch_add(1, Ordering::Relaxed);
                self.invited(local, packet, total_fen, now);
            }
            Event::Hint(_) => {}
        }
    }
}
