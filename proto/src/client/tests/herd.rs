//! A thousand sessions against one server of fixed capacity.

use super::*;
use crate::body::{Answer, RefusalCode, Request, TicketFields, Welcome};
use crate::seal::{self, SessionKey};
use crate::ticket::{Ticket, TicketSecret};
use crate::{Direction, Header, Op, handshake};
use std::collections::VecDeque;

const SESSIONS: usize = 1_000;

/// Each shakes so often.
const SHAKE_EVERY_NS: u64 = 500 * MS;

/// Shakes in a second of all of them, and of what the server can do while it is short of everything.
const DEMAND: u64 = SESSIONS as u64 * 1_000 * MS / SHAKE_EVERY_NS;
const CAPACITY: u64 = DEMAND / 4;

/// Simulated time goes in steps of this.
const TICK_NS: u64 = 2 * MS;
const ONE_WAY_NS: u64 = 10 * MS;

/// What the server does when it has more to do than it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Refuses with ERROR Load what would queue for longer than 16 ms, to come again after a second.
    Sheds,
    /// Says nothing: its socket's buffer is full, after 100 ms.
    Drops,
}

/// A queue that is worked on at a fixed rate. It answers every shake Miss.
struct Station {
    manner: Manner,
    per_s: u64,
    /// In work: which session, and its frame.
    queue: VecDeque<(usize, Frame)>,
    /// Work done on the first of them, in shakes × ns.
    done: u64,
    /// Queueing time over about 100 ms.
    smoothed_ns: u64,
}

impl Station {
    fn wait_ns(&self) -> u64 {
        self.queue.len() as u64 * 1_000 * MS / self.per_s
    }

    /// PROTOCOL.md, load level.
    fn level(&self) -> u8 {
        let us = (self.smoothed_ns / 1_000).max(1) as f64;
        (16.0 * us.log2()).min(255.0) as u8
    }

    fn arrive(&mut self, from: usize, frame: Frame) -> Option<Frame> {
        match self.manner {
            Manner::Sheds if self.wait_ns() >= 16 * MS => {
                let body = crate::body::Refusal {
                    refused_tag: frame.tag,
                    code: RefusalCode::Load as u8,
                    version_min: 1,
                    version_max: 1,
                    reserved1: 0,
                    retry_after_ms: 1_000.into(),
                    reserved2: [0; 8],
                };
                let user = frame.header.user.get();
                return Some(Frame::new(Header::new(user, Direction::ToClient, Op::Error), &body));
            }
            Manner::Drops if self.wait_ns() >= 100 * MS => {}
            _ => self.queue.push_back((from, frame)),
        }
        None
    }

    /// What is finished within a tick.
    fn work(&mut self) -> Vec<(usize, Frame)> {
        self.smoothed_ns = (self.smoothed_ns * 49 + self.wait_ns()) / 50;
        self.done += self.per_s * TICK_NS;
        let shakes = (self.done / (1_000 * MS)) as usize;
        self.done %= 1_000 * MS;
        self.queue.drain(..shakes.min(self.queue.len())).collect()
    }
}

struct Member {
    session: Session,
    key: SessionKey,
    seq: u32,
    shakes_next_ns: u64,
}

/// Joins a session by hand: the handshake's frames never queue.
fn member(user: u64, config: &Arc<Config>, rng: &mut Rng) -> Member {
    let fields = TicketFields { expiry_s: u32::MAX.into(), key_id: 1, nonce: [0; 7] };
    let secret = TicketSecret::derive(&[9; 32], user, &fields);
    let ticket = Ticket { user, fields, secret };
    let mut session = Session::new(ticket.clone(), config.clone(), START, rng);
    let (mut out, mut events) = (datagram_buffer(), vec![]);
    assert_eq!(session.transmit(START, rng, &mut out), 1);
    let random = out[0].body::<crate::body::Hello>().client_random;
    let mut give = |session: &mut Session, frame: Frame, rng: &mut Rng| {
        session.receive(START, &mut [frame], rng, &mut events);
    };
    let cookie = crate::body::CookieBytes { made: 0.into(), mac: [0; 8] };
    let challenge = crate::body::Challenge { cookie, reserved: [0; 20] };
    let to_client = Direction::ToClient;
    let frame = handshake::frame(&ticket.secret, user, to_client, Op::Challenge, &challenge, &random);
    give(&mut session, frame, rng);
    assert_eq!(session.transmit(START, rng, &mut out), 1);
    let (server_random, number) = ([7; 8], 100);
    let welcome = Welcome {
        server_random,
        session_number: number.into(),
        keepalive_s: 60.into(),
        idle_s: 180.into(),
        server_wall_ms: START.wall_ms.into(),
        shakes_per_s: 0.into(),
        in_flight_max: 32,
        frames_per_datagram_max: 18,
        reserved: [0; 4],
    };
    let frame = handshake::frame(&ticket.secret, user, to_client, Op::Welcome, &welcome, &random);
    give(&mut session, frame, rng);
    assert!(session.is_joined());
    let key = handshake::session_key(&ticket.secret, user, &random, &server_random, number);
    let shakes_next_ns = START.mono_ns + rto::below(rng, SHAKE_EVERY_NS);
    Member { session, key, seq: 0, shakes_next_ns }
}

struct Herd {
    now: Now,
    members: Vec<Member>,
    station: Station,
    /// Frames on their way to a session, with when they arrive.
    down: VecDeque<(u64, usize, Frame)>,
    up: VecDeque<(u64, usize, Frame)>,
    rng: Rng,
    /// Frames that reached the server in each second.
    offered: Vec<u64>,
    /// Shakes answered by the server, answered here, and ended without an answer.
    ends: [u64; 3],
}

impl Herd {
    fn new(config: Config, manner: Manner) -> Herd {
        let mut rng = Rng::seed_from_u64(7);
        let config = Arc::new(config);
        let members = (1..=SESSIONS as u64).map(|user| member(user, &config, &mut rng)).collect();
        let station = Station { manner, per_s: CAPACITY, queue: VecDeque::new(), done: 0, smoothed_ns: 0 };
        let (down, up, offered) = (VecDeque::new(), VecDeque::new(), vec![]);
        Herd { now: START, members, station, down, up, rng, offered, ends: [0; 3] }
    }

    fn run_for_s(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.offered.push(0);
            for _ in 0..1_000 * MS / TICK_NS {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.now = self.now.plus_ns(TICK_NS);
        let now_ns = self.now.mono_ns;
        while self.up.front().is_some_and(|(at_ns, ..)| *at_ns <= now_ns) {
            let (_, from, frame) = self.up.pop_front().unwrap();
            *self.offered.last_mut().unwrap() += 1;
            let refused = self.station.arrive(from, frame);
            self.down.extend(refused.map(|frame| (now_ns + ONE_WAY_NS, from, frame)));
        }
        let level = self.station.level();
        for (from, mut frame) in self.station.work() {
            let answer = self.members[from].answer(&mut frame, level);
            self.down.push_back((now_ns + ONE_WAY_NS, from, answer));
        }
        let mut events = vec![];
        while self.down.front().is_some_and(|(at_ns, ..)| *at_ns <= now_ns) {
            let (_, to, frame) = self.down.pop_front().unwrap();
            self.members[to].session.receive(self.now, &mut [frame], &mut self.rng, &mut events);
        }
        let mut out = datagram_buffer();
        for (at, member) in self.members.iter_mut().enumerate() {
            if member.shakes_next_ns <= now_ns {
                member.shakes_next_ns += SHAKE_EVERY_NS;
                let _ = member.session.call(self.now, Call::Shake);
            }
            if member.session.timeout_ns() > now_ns {
                continue;
            }
            member.session.on_timeout(self.now, &mut self.rng, &mut events);
            while let count @ 1.. = member.session.transmit(self.now, &mut self.rng, &mut out) {
                self.up.extend(out[..count].iter().map(|frame| (now_ns + ONE_WAY_NS, at, *frame)));
            }
        }
        for event in events {
            if let Event::Answered { outcome, .. } = event {
                self.ends[match outcome {
                    Outcome::Known(Reply { status: Status::Miss, .. }) => 0,
                    Outcome::NotNow => 1,
                    _ => 2,
                }] += 1;
            }
        }
    }

    fn offered_per_s(&self, seconds: std::ops::Range<usize>) -> u64 {
        let count = seconds.len() as u64;
        self.offered[seconds].iter().sum::<u64>() / count
    }
}

impl Member {
    fn answer(&mut self, frame: &mut Frame, level: u8) -> Frame {
        let user = frame.header.user.get();
        self.seq += 1;
        let mut header = Header::new(user, Direction::ToClient, Op::Shake);
        (header.seq, header.load_level) = (self.seq.into(), level);
        let mut reply = if seal::open(&self.key, frame).is_ok() && frame.header.op == Op::Shake as u8 {
            let request: Request = frame.body();
            let attempt = request.attempt;
            let body = Answer { attempt, ..server::answer(request.req.get(), Status::Miss) };
            Frame::new(header, &body)
        } else {
            // HELLO and KEEPALIVE take a server's time, too; what they are answered does not matter here.
            header.op = Op::Redirect as u8;
            Frame { header, body: [0; 32], tag: [0; 16] }
        };
        seal::seal(&self.key, &mut reply);
        reply
    }
}

/// Expect: at four times a server's capacity the load that is offered falls below 1.5 times within 3 s and stays
/// there, while the server still has enough to do; when there is capacity for all, it is back within 6 s.
#[test]
fn a_herd_that_obeys_comes_down_and_comes_back() {
    let mut herd = Herd::new(Config::default(), Manner::Sheds);
    herd.run_for_s(20);
    let most = *herd.offered[3..].iter().max().unwrap();
    assert!(most < CAPACITY * 3 / 2, "{most} of {CAPACITY}: {:?}", herd.offered);
    assert!(herd.offered_per_s(3..20) > CAPACITY * 4 / 5, "{:?}", herd.offered);
    herd.station.per_s = 2 * DEMAND;
    herd.run_for_s(10);
    let back = herd.offered_per_s(26..30);
    assert!(back > DEMAND * 95 / 100, "{back} of {DEMAND}: {:?}", herd.offered);
}

/// Expect: a server that says nothing to whom it does not serve is spared, too, if later: nobody knows of its load
/// who has not been served once, and until then most of what it gets is sent again.
#[test]
fn a_herd_comes_down_even_if_it_is_told_nothing() {
    let mut herd = Herd::new(Config::default(), Manner::Drops);
    herd.run_for_s(20);
    let offered = herd.offered_per_s(6..20);
    assert!(offered < CAPACITY * 3 / 2, "{offered} of {CAPACITY}: {:?}", herd.offered);
    herd.station.per_s = 2 * DEMAND;
    herd.run_for_s(14);
    let back = herd.offered_per_s(30..34);
    assert!(back > DEMAND * 9 / 10, "{back} of {DEMAND}: {:?}", herd.offered);
}

/// Expect: without obedience it stays at four times, or above by retransmissions.
#[test]
fn a_herd_that_does_not_obey_stays() {
    for manner in [Manner::Sheds, Manner::Drops] {
        let mut herd = Herd::new(Config { obeys: false, ..Config::default() }, manner);
        herd.run_for_s(8);
        let least = *herd.offered[1..].iter().min().unwrap();
        assert!(least >= CAPACITY * 4 * 95 / 100, "{manner:?}: {least}: {:?}", herd.offered);
        assert_eq!(herd.ends[1], 0);
    }
}
