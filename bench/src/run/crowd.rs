//! The users of one thread: their sessions, what they wait for, and what came of it.

use super::book::{Book, Ended};
use super::clock::ClockSamples;
use super::habits::Habits;
use super::mix::Mix;
use super::options::IdleSet;
use super::schedule::Share;
use super::totals::Totals;
use super::wheel::Timers;
use redpkt::net::client::ClientSockets;
use redpkt_proto::body::RefusalCode;
use redpkt_proto::client::{Call, CallError, Config, Event, Session, datagram_buffer};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame, Now, Op, Rng, frame};
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
    /// Whether it has joined once.
    joined: bool,
}

const _: () = assert!(size_of::<User>() <= 288);
const _: () = assert!(FRAMES_PER_DATAGRAM_MAX <= 32);

/// How joining goes.
#[derive(Clone, Debug, Default)]
pub struct JoinState {
    /// Users that have joined.
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
        }
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

    /// Whether everybody has joined once.
    pub fn all_joined(&self) -> bool {
        self.joins.joined == self.share.count()
    }

    /// Lets the next user join; false if all are on their way.
    pub fn join_next(&mut self, now: Now, sockets: &mut ClientSockets) -> bool {
        if self.users.len() as u64 == self.share.count() {
            return false;
        }
        let local = self.users.len() as u32;
        let Tickets { keys, expiry_s, first_user } = &self.tickets;
        let ticket = keys.issue(first_user + self.share.global(local), *expiry_s, &mut self.rng);
        let session = Session::new(ticket, Arc::clone(&self.config), now, &mut self.rng);
        self.users.push(User {
            session,
            first_req: 0,
            due_ns: 0,
            armed_ns: u64::MAX,
            open: 0,
            joined: false,
        });
        self.transmit(local, now, sockets);
        true
    }

    /// Starts loading a user who will soon shake.
    #[inline]
    pub fn prefetch(&self, local: u32) {
        redpkt::net::prefetch_read(&self.users[local as usize]);
    }

    /// A user's shot of `frames` requests, which was due at `due_ns`.
    pub fn fire(&mut self, local: u32, frames: usize, due_ns: u64, now: Now, sockets: &mut ClientSockets) {
        self.book.fired(now.mono_ns.saturating_sub(due_ns));
        let id = self.user(local);
        if self.idle_set.is_some_and(|idle| idle.has(id)) {
            return;
        }
        let user = &mut self.users[local as usize];
        let (mut first_req, mut made, mut shakes) = (0, 0, 0u32);
        while made < frames {
            let call = self.habits.wish(local, id, &mut self.rng);
            let (op, is_shake) = (call.op(), call == Call::Shake);
            let send = (op == Op::Send).then(|| call.clone());
            match user.session.call(now, call) {
                Ok(req) if made == 0 => first_req = req,
                Ok(_) => {}
                Err(error) => {
                    let left = (frames - made) as u64;
                    if let Some(send) = send {
                        self.habits.not_made(local, &send);
                    }
                    match error {
                        CallError::NotJoined | CallError::SeqsUsedUp => self.book.counts.not_joined += left,
                        CallError::WindowFull => self.book.counts.window_full += left,
                        // Terms are made to be good, and the options allow as many frames as they need.
                        CallError::BadTerms(_) | CallError::SendTooLong { .. } => {
                            self.book.counts.not_made += left;
                        }
                    }
                    break;
                }
            }
            self.book.made(op);
            shakes |= u32::from(is_shake) << made;
            made += 1;
        }
        if made == 0 {
            return;
        }
        while user.open != 0 {
            let bit = user.open.trailing_zeros();
            user.open &= user.open - 1;
            self.overtaken.insert((local, user.first_req + u64::from(bit)), user.due_ns);
        }
        (user.first_req, user.due_ns, user.open) = (first_req, due_ns, shakes);
        self.outstanding += made as u64;
        self.transmit(local, now, sockets);
    }

    /// Takes in a datagram.
    pub fn receive(&mut self, bytes: &mut [u8], now: Now) {
        let Some(frames) = frame::frames_mut(bytes) else {
            self.book.counts.foreign += 1;
            return;
        };
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
    pub fn send_ready(&mut self, now: Now, sockets: &mut ClientSockets) {
        if !self.waiting.is_empty() {
            self.call_waiting(now);
        }
        while let Some(local) = self.ready.pop() {
            self.wake(local, now, sockets);
        }
    }

    /// Calls sessions whose timers have run out, at most `most`; whether there may be more.
    pub fn run_timers(&mut self, now: Now, most: usize, sockets: &mut ClientSockets) -> bool {
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
        let mut totals = Totals::default();
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

    fn wake(&mut self, local: u32, now: Now, sockets: &mut ClientSockets) {
        let session = &mut self.users[local as usize].session;
        session.on_timeout(now, &mut self.rng, &mut self.events);
        self.settle(local, now);
        self.transmit(local, now, sockets);
    }

    fn transmit(&mut self, local: u32, now: Now, sockets: &mut ClientSockets) {
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
            Event::Answered { req, call, outcome, sent_first_ns, transmissions, .. } => {
                self.outstanding -= 1;
                let due_ns = if call == Call::Shake { self.due_ns(local, req) } else { None };
                let is_invited =
                    matches!(call, Call::Open { packet } if self.habits.is_invited(local, packet));
                let next = self.habits.ended(local, &call, &outcome, &mut self.rng);
                if call != Call::Shake {
                    self.stirred_ns = now.mono_ns;
                }
                let (user, now_ns) = (self.user(local), now.mono_ns);
                self.book.ended(Ended {
                    user,
                    req,
                    call,
                    outcome,
                    due_ns,
                    sent_first_ns,
                    transmissions,
                    now_ns,
                    is_invited,
                });
                if let Some(call) = next {
                    self.call(local, call, now);
                }
            }
            Event::Joined { shakes_per_s, .. } => {
                let user = &mut self.users[local as usize];
                if std::mem::replace(&mut user.joined, true) {
                    self.book.counts.rejoins += 1;
                } else {
                    self.joins.joined += 1;
                    self.joins.shakes_per_s = shakes_per_s;
                }
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

    /// When a shake that has ended was due.
    fn due_ns(&mut self, local: u32, req: u64) -> Option<u64> {
        let user = &mut self.users[local as usize];
        let nth = req.wrapping_sub(user.first_req);
        if nth < 32 && user.open & (1 << nth) != 0 {
            user.open &= !(1 << nth);
            return Some(user.due_ns);
        }
        self.overtaken.remove(&(local, req))
    }

    /// A user is invited, perhaps again.
    fn invited(&mut self, local: u32, packet: u64, total_fen: u64, now: Now) {
        let user = self.user(local);
        let Some(calls) = self.habits.invited(local, user, packet, &mut self.rng) else { return };
        self.stirred_ns = now.mono_ns;
        self.waiting.extend(calls.map(|call| (local, call)));
        self.book.invited(user, packet, total_fen);
        self.call_waiting(now);
    }

    /// Asks for something at once, or later.
    fn call(&mut self, local: u32, call: Call, now: Now) {
        let op = call.op();
        match self.users[local as usize].session.call(now, call.clone()) {
            Ok(_) => {
                self.book.made(op);
                self.outstanding += 1;
            }
            Err(_) => self.waiting.push_back((local, call)),
        }
    }

    /// Tries again what sessions could not take, some at a time.
    fn call_waiting(&mut self, now: Now) {
        for _ in 0..self.waiting.len().min(16) {
            let Some((local, call)) = self.waiting.pop_front() else { return };
            self.call(local, call, now);
            self.ready.push(local);
        }
    }
}
