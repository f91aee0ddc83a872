//! Clients as they should be: sessions of `redpkt_proto::client` over real sockets.

use super::{Keys, PATIENCE, now, rng};
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, CallError, Config, Event, Outcome, Reply, Session, datagram_buffer};
use redpkt_proto::{DATAGRAM_BYTES_MAX, Rng, frame};
use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes as _;

/// Some users behind some sockets.
pub struct Client {
    users: Vec<User>,
    place_of: HashMap<u64, usize>,
    sockets: Vec<UdpSocket>,
    rng: Rng,
    events: Vec<Event>,
    /// What they were told so far.
    pub tally: Tally,
}

struct User {
    session: Session,
    socket: usize,
    /// Calls that wait for a place in the session.
    wants: Vec<Call>,
    opens_invites: bool,
}

/// What users were told, added up; and whoever is told what cannot be fails the test.
#[derive(Debug, Default)]
pub struct Tally {
    /// Sessions that began.
    pub joins: u64,
    /// Shakes that won nothing.
    pub miss: u64,
    /// Packets that were won, each by whom.
    pub won: HashMap<u64, u64>,
    /// Packets that were opened, each by whom, with what he took.
    pub opened: HashMap<(u64, u64), u64>,
    /// Packets to which users were invited, each who, with who invites.
    pub invited: HashMap<(u64, u64), u64>,
    /// Other calls that were done.
    pub done: Vec<(u64, Call, Reply)>,
    /// Calls that ended with another word.
    pub refused: Vec<(u64, Call, Status)>,
    /// Calls whose end is not known.
    pub unknown: Vec<(u64, Call)>,
    /// Calls that ended, by user.
    pub answered: HashMap<u64, u64>,
    reqs: HashSet<(u64, u64)>,
}

impl Client {
    /// These users, spread over so many sockets.
    pub fn new(
        server: SocketAddr,
        keys: &Keys,
        users: std::ops::RangeInclusive<u64>,
        sockets: usize,
        config: Config,
    ) -> Client {
        let (config, mut rng) = (Arc::new(config), rng());
        let user = |(at, user): (usize, u64)| User {
            session: Session::new(keys.ticket(user), Arc::clone(&config), now(), &mut rng),
            socket: at % sockets,
            wants: Vec::new(),
            opens_invites: true,
        };
        let users: Vec<User> = users.enumerate().map(user).collect();
        Client {
            place_of: users.iter().enumerate().map(|(at, user)| (user.session.user(), at)).collect(),
            users,
            sockets: (0..sockets).map(|_| socket(server)).collect(),
            rng,
            events: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Drives all sessions until `is_done`.
    pub fn drive_until(&mut self, what: &str, is_done: impl Fn(&Client) -> bool) {
        let end = Instant::now() + 2 * PATIENCE;
        while !is_done(self) {
            assert!(Instant::now() < end, "waited in vain for {what}: {}", self.state());
            self.turn();
        }
    }

    /// Drives all sessions for that long.
    pub fn drive_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn();
        }
    }

    /// Drives until everyone has joined.
    pub fn join_all(&mut self) {
        self.drive_until("all to join", |client| client.users.iter().all(|user| user.session.is_joined()));
    }

    /// Has every user shake so many times, as soon as their sessions take it.
    pub fn want_shakes(&mut self, shakes: usize) {
        self.want_shakes_of(0..=u64::MAX, shakes);
    }

    /// The same for some users.
    pub fn want_shakes_of(&mut self, users: std::ops::RangeInclusive<u64>, shakes: usize) {
        let them = self.users.iter_mut().filter(|user| users.contains(&user.session.user()));
        them.for_each(|user| user.wants.extend(vec![Call::Shake; shakes]));
    }

    /// Has one user call this, as soon as his session takes it.
    pub fn want(&mut self, user: u64, call: Call) {
        self.users[self.place_of[&user]].wants.push(call);
    }

    /// Has one user call this, and drives until it has ended: what he was told, if it was done.
    pub fn ask(&mut self, user: u64, call: &Call) -> Result<Reply, Status> {
        self.want(user, call.clone());
        let (done, refused) = (self.tally.done.len(), self.tally.refused.len());
        self.finish();
        match (self.tally.done.get(done..), self.tally.refused.get(refused..)) {
            (Some([.., (_, _, reply)]), _) => Ok(*reply),
            (_, Some([.., (_, _, status)])) => Err(*status),
            told => panic!("{call:?}: {told:?}"),
        }
    }

    /// What a user's wallet holds, in fen.
    pub fn balance(&mut self, user: u64) -> u64 {
        self.ask(user, &Call::Balance).expect("a balance is always told").fen
    }

    /// Has users leave invitations alone.
    pub fn leave_invites(&mut self) {
        self.users.iter_mut().for_each(|user| user.opens_invites = false);
    }

    /// Drives until every call has ended, those too that follow from wins.
    pub fn finish(&mut self) {
        self.drive_until("all calls to end", |client| client.open_calls() == 0);
    }

    /// Moves everybody to new sockets, as when phones change their network.
    pub fn move_to_new_sockets(&mut self) {
        for old in &mut self.sockets {
            *old = socket(old.peer_addr().expect("it is connected"));
        }
    }

    /// Keys of all sessions, for looking whether they are told anywhere.
    pub fn session_keys(&self) -> Vec<[u8; 16]> {
        self.users.iter().filter_map(|user| user.session.key()).map(|key| *key.bytes()).collect()
    }

    /// Frames that were sent again, by all.
    pub fn retransmissions(&self) -> u64 {
        self.users.iter().map(|user| u64::from(user.session.counters().retransmissions)).sum()
    }

    /// Frames that did not fit or were not sealed for their session, by all.
    pub fn bad_frames(&self) -> u64 {
        let bad = |user: &User| {
            let counters = user.session.counters();
            u64::from(counters.bad_tag) + u64::from(counters.unexpected)
        };
        self.users.iter().map(bad).sum()
    }

    /// Sends what is due and takes what came, once.
    pub fn turn(&mut self) {
        let mut is_idle = true;
        let mut out = datagram_buffer();
        for user in &mut self.users {
            while let Some(call) = user.wants.last().cloned() {
                match user.session.call(now(), call) {
                    Ok(_) => user.wants.pop(),
                    Err(CallError::NotJoined | CallError::WindowFull | CallError::SeqsUsedUp) => break,
                    Err(error) => panic!("user {}: {error}", user.session.user()),
                };
            }
            if user.session.timeout_ns() > now().mono_ns {
                continue;
            }
            user.session.on_timeout(now(), &mut self.rng, &mut self.events);
            self.tally.take(user, &mut self.events);
            loop {
                let count = user.session.transmit(now(), &mut self.rng, &mut out);
                if count == 0 {
                    break;
                }
                is_idle = false;
                // A server that is down makes errors here; the session sends it again.
                let _ = self.sockets[user.socket].send(out[..count].as_bytes());
            }
        }
        is_idle &= !self.receive();
        if is_idle {
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn receive(&mut self) -> bool {
        let mut bytes = [0; DATAGRAM_BYTES_MAX + 1];
        let mut has_come = false;
        for socket in &self.sockets {
            while let Ok(len) = socket.recv(&mut bytes) {
                has_come = true;
                let frames = frame::frames_mut(&mut bytes[..len]).expect("a server sends whole frames");
                let place = self.place_of[&frames[0].header.user.get()];
                let user = &mut self.users[place];
                user.session.receive(now(), frames, &mut self.rng, &mut self.events);
                self.tally.take(user, &mut self.events);
            }
        }
        has_come
    }

    fn open_calls(&self) -> usize {
        self.users.iter().map(|user| user.wants.len() + user.session.in_flight()).sum()
    }

    fn state(&self) -> String {
        let joined = self.users.iter().filter(|user| user.session.is_joined()).count();
        let tally = &self.tally;
        format!(
            "{joined} of {} joined, {} calls open, {} missed, {} won, {} opened, {} refused, {} unknown",
            self.users.len(),
            self.open_calls(),
            tally.miss,
            tally.won.len(),
            tally.opened.len(),
            tally.refused.len(),
            tally.unknown.len()
        )
    }
}

impl Tally {
    /// What was opened, in fen.
    pub fn fen(&self) -> u64 {
        self.opened.values().sum()
    }

    /// Shakes that ended known.
    pub fn shakes(&self) -> u64 {
        self.miss + self.won.len() as u64
    }

    /// Takes in what a user was told; who wins opens.
    fn take(&mut self, user: &mut User, events: &mut Vec<Event>) {
        let id = user.session.user();
        for event in events.drain(..) {
            let (req, call, outcome) = match event {
                Event::Answered { req, call, outcome, .. } => (req, call, outcome),
                Event::Joined { .. } => {
                    self.joins += 1;
                    continue;
                }
                Event::JoinRefused { code, retries: false, .. } => panic!("user {id} is refused: {code:?}"),
                Event::Invited { packet, from, .. } => {
                    let is_new = self.invited.insert((packet, id), from).is_none();
                    if is_new && user.opens_invites {
                        user.wants.push(Call::Open { packet });
                    }
                    continue;
                }
                Event::JoinRefused { .. } | Event::Hint(_) | Event::Clock { .. } => continue,
            };
            if outcome == Outcome::NotNow {
                // A loaded server was spared it: the user shakes again.
                user.wants.push(call);
                continue;
            }
            assert!(self.reqs.insert((id, req)), "user {id}: req {req:x} ended twice");
            *self.answered.entry(id).or_default() += 1;
            match (call, outcome) {
                (call, Outcome::Unknown) => self.unknown.push((id, call)),
                (_, Outcome::NotNow) => unreachable!("it was taken above"),
                (Call::Shake, Outcome::Known(reply)) => match reply.status {
                    Status::Miss => self.miss += 1,
                    Status::Ok => {
                        let other = self.won.insert(reply.packet, id);
                        assert_eq!(other, None, "packet {:x} was won twice", reply.packet);
                        user.wants.push(Call::Open { packet: reply.packet });
                    }
                    status => self.refused.push((id, Call::Shake, status)),
                },
                (Call::Open { packet }, Outcome::Known(reply)) if reply.status == Status::Ok => {
                    assert!(reply.fen > 0, "packet {packet:x} was empty");
                    let before = self.opened.insert((packet, id), reply.fen);
                    let tells_the_same = before.is_none_or(|fen| fen == reply.fen);
                    assert!(tells_the_same, "packet {packet:x}: {before:?}, and then {reply:?}");
                }
                (call, Outcome::Known(reply)) if reply.status == Status::Ok => {
                    self.done.push((id, call, reply));
                }
                (call, Outcome::Known(reply)) => self.refused.push((id, call, reply.status)),
            }
        }
    }
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).expect("a port");
    socket.connect(server).expect("a route");
    socket.set_nonblocking(true).unwrap();
    // What all users may be sent at once.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &(1 << 20));
    socket
}
