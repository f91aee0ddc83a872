//! The users of one thread: their sessions, what they wait for, and what came of it.

use super::book::{Book, Ended};
use super::clock::ClockSamples;
use super::schedule::Share;
use super::wheel::Timers;
use rand::Rng as _;
use redpkt::net::client::ClientSockets;
use redpkt_proto::body::RefusalCode;
use redpkt_proto::client::{Call, CallError, Config, Counters, Event, Session, datagram_buffer};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{FRAMES_PER_DATAGRAM_MAX, Frame, Now, Rng, frame};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A user. A million of them are there, so it is small, and all that a shot touches lies together.
pub struct User {
    session: Session,
    /// The newest shot's first request, and when it was due.
    first_req: u64,
    due_ns: u64,
    /// Its timer runs out then at the latest; `u64::MAX` if that is not known.
    armed_ns: u64,
    /// Bit `i`: is the newest shot's request `i` without an answer?
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
    /// Share of wins that are opened, in 2^32nds.
    open_share: u64,
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
    /// Wins whose opens their sessions could not take yet.
    unopened: VecDeque<(u32, u64)>,
}

impl Crowd {
    /// A crowd of which nobody has joined.
    pub fn new(share: Share, tickets: Tickets, config: Arc<Config>, now: Now, rng: Rng) -> Crowd {
        let len = share.count() as usize;
        Crowd {
            share,
            book: Book::new(0, false),
            joins: JoinState::default(),
            clock_samples: ClockSamples::default(),
            outstanding: 0,
            open_share: 1 << 32,
            tickets,
            config,
            users: Vec::with_capacity(len),
            timers: Timers::new(len, now.mono_ns),
            rng,
            events: Vec::with_capacity(64),
            out: datagram_buffer(),
            ready: Vec::with_capacity(4_096),
            overtaken: HashMap::new(),
            unopened: VecDeque::new(),
        }
    }

    /// Sets the share of wins that are opened.
    pub fn set_open_share(&mut self, share: f64) {
        self.open_share = (share * (1u64 << 32) as f64) as u64;
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

    /// A user shakes `frames` times at once, which was due at `due_ns`.
    pub fn fire(&mut self, local: u32, frames: usize, due_ns: u64, now: Now, sockets: &mut ClientSockets) {
        self.book.fired(now.mono_ns.saturating_sub(due_ns));
        let user = &mut self.users[local as usize];
        let (mut first_req, mut made) = (0, 0);
        while made < frames {
            match user.session.call(now, Call::Shake) {
                Ok(req) if made == 0 => first_req = req,
                Ok(_) => {}
                Err(error) => {
                    let left = (frames - made) as u64;
                    match error {
                        CallError::WindowFull => self.book.counts.window_full += left,
                        CallError::NotJoined | CallError::SeqsUsedUp => self.book.counts.not_joined += left,
                        CallError::BadTerms(_) | CallError::SendTooLong { .. } => {
                            unreachable!("a shake has no terms")
                        }
                    }
                    break;
                }
            }
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
        (user.first_req, user.due_ns, user.open) = (first_req, due_ns, (1u32 << made) - 1);
        self.book.counts.shake.sent += made as u64;
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
        if !self.unopened.is_empty() {
            self.open_unopened(now);
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

    /// Whether requests, or wins not opened yet, are left.
    pub fn is_busy(&self) -> bool {
        self.outstanding > 0 || !self.unopened.is_empty()
    }

    /// Gives up wins that no session took the open of; how many.
    pub fn forget_unopened(&mut self) -> u64 {
        let unopened = self.unopened.len() as u64;
        self.unopened.clear();
        unopened
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
                let user = self.tickets.first_user + self.share.global(local);
                let now_ns = now.mono_ns;
                let ended = Ended { user, req, call, outcome, due_ns, sent_first_ns, transmissions, now_ns };
                if let Some(packet) = self.book.ended(&ended)
                    && (self.open_share == 1 << 32 || u64::from(self.rng.next_u32()) < self.open_share)
                {
                    self.open(local, packet, now);
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
            Event::Hint(_) | Event::Invited { .. } => {}
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

    fn open(&mut self, local: u32, packet: u64, now: Now) {
        match self.users[local as usize].session.call(now, Call::Open { packet }) {
            Ok(_) => {
                self.book.counts.open.sent += 1;
                self.outstanding += 1;
            }
            Err(_) => self.unopened.push_back((local, packet)),
        }
    }

    /// Tries again what the sessions could not take, some at a time.
    fn open_unopened(&mut self, now: Now) {
        for _ in 0..self.unopened.len().min(16) {
            let Some((local, packet)) = self.unopened.pop_front() else { return };
            self.open(local, packet, now);
            self.ready.push(local);
        }
    }
}

/// Sums of [`Counters`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub bad_tag: u64,
    pub replayed: u64,
    pub unexpected: u64,
    pub late: u64,
}

impl Totals {
    fn add(&mut self, counters: &Counters) {
        self.bad_tag += u64::from(counters.bad_tag);
        self.replayed += u64::from(counters.replayed);
        self.unexpected += u64::from(counters.unexpected);
        self.late += u64::from(counters.late);
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Totals) -> Totals {
        Totals {
            bad_tag: self.bad_tag - before.bad_tag,
            replayed: self.replayed - before.replayed,
            unexpected: self.unexpected - before.unexpected,
            late: self.late - before.late,
        }
    }
}
