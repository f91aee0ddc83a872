//! Scenarios of the client session: one session, a model server, and a virtual wire between them.

mod bank;
mod herd;
mod hostile;
mod joining;
mod liveness;
mod loss;
mod money;
mod obedience;
mod requests;
mod server;
mod targets;

use super::*;
use crate::body::Status;
use crate::{Now, Rng, SESSION_EPOCH_WALL_MS};
use rand::SeedableRng;
use server::Server;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const START: Now = Now { mono_ns: 1_000 * MS, wall_ms: SESSION_EPOCH_WALL_MS + 1_000_000_000 };
const USER: u64 = 77;

/// What the wire does to datagrams, both ways.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss_percent: u64,
    duplicated_percent: u64,
    delay_ns: u64,
    /// Each datagram takes up to this much longer, so they overtake each other.
    jitter_ns: u64,
}

const FINE: Weather = Weather { loss_percent: 0, duplicated_percent: 0, delay_ns: 10 * MS, jitter_ns: 0 };

struct Datagram {
    at_ns: u64,
    to_server: bool,
    frames: Vec<Frame>,
}

struct World {
    now: Now,
    session: Session,
    server: Server,
    weather: Weather,
    wire: Vec<Datagram>,
    rng: Rng,
    wire_rng: Rng,
    events: Vec<Event>,
    /// Every datagram that the session sent, and when.
    sent: Vec<(u64, Vec<Frame>)>,
    /// Which target each was for.
    sent_to: Vec<u8>,
}

impl World {
    fn new(seed: u64, config: Config, weather: Weather) -> World {
        let mut rng = Rng::seed_from_u64(seed);
        let server = Server::new(START, &mut rng);
        let ticket = server.ticket(USER, &mut rng);
        let session = Session::new(ticket, Arc::new(config), START, &mut rng);
        let wire_rng = Rng::seed_from_u64(seed ^ 0x5eed);
        World {
            now: START,
            session,
            server,
            weather,
            wire: vec![],
            rng,
            wire_rng,
            events: vec![],
            sent: vec![],
            sent_to: vec![],
        }
    }

    /// A world whose session has joined over a fine wire.
    fn joined() -> World {
        World::joined_with(Config::default())
    }

    fn joined_with(config: Config) -> World {
        let mut world = World::new(1, config, FINE);
        world.run_for_ms(100);
        assert!(world.session.is_joined());
        world.events.clear();
        world.sent.clear();
        world
    }

    fn below(&mut self, end: u64) -> u64 {
        rto::below(&mut self.wire_rng, end)
    }

    fn put_on_wire(&mut self, to_server: bool, frames: &[Frame]) {
        let copies = 1 + u64::from(self.below(100) < self.weather.duplicated_percent);
        for _ in 0..copies {
            if self.below(100) >= self.weather.loss_percent {
                let jitter_ns = self.below(self.weather.jitter_ns + 1);
                let at_ns = self.now.mono_ns + self.weather.delay_ns + jitter_ns;
                self.wire.push(Datagram { at_ns, to_server, frames: frames.to_vec() });
            }
        }
    }

    /// Lets the session send what it has to.
    fn pump(&mut self) {
        let mut out = datagram_buffer();
        loop {
            if self.session.timeout_ns() <= self.now.mono_ns {
                self.session.on_timeout(self.now, &mut self.rng, &mut self.events);
            }
            let count = self.session.transmit(self.now, &mut self.rng, &mut out);
            if count == 0 {
                break;
            }
            self.sent.push((self.now.mono_ns, out[..count].to_vec()));
            self.sent_to.push(self.session.target());
            self.put_on_wire(true, &out[..count]);
        }
        assert!(self.session.timeout_ns() > self.now.mono_ns, "it would spin: {:?}", self.session);
    }

    /// Gives the session frames from outside of the wire.
    fn inject(&mut self, frames: &mut [Frame]) {
        self.session.receive(self.now, frames, &mut self.rng, &mut self.events);
        self.pump();
    }

    fn call(&mut self, call: Call) -> Result<u64, CallError> {
        let called = self.session.call(self.now, call);
        self.pump();
        called
    }

    /// The next thing that happens, not later than `until_ns`.
    fn step(&mut self, until_ns: u64) -> bool {
        let arrival = (0..self.wire.len()).min_by_key(|i| self.wire[*i].at_ns);
        let arrival_ns = arrival.map_or(u64::MAX, |i| self.wire[i].at_ns);
        let next_ns = arrival_ns.min(self.session.timeout_ns());
        if next_ns > until_ns {
            self.now = self.now.plus_ns(until_ns - self.now.mono_ns);
            return false;
        }
        self.now = self.now.plus_ns(next_ns.saturating_sub(self.now.mono_ns));
        if let Some(i) = arrival.filter(|_| arrival_ns <= self.now.mono_ns) {
            let mut datagram = self.wire.remove(i);
            if datagram.to_server {
                let replies = self.server.receive(self.now, &mut datagram.frames);
                replies.iter().for_each(|reply| self.put_on_wire(false, &[*reply]));
            } else {
                self.session.receive(self.now, &mut datagram.frames, &mut self.rng, &mut self.events);
            }
        }
        self.session.on_timeout(self.now, &mut self.rng, &mut self.events);
        self.pump();
        true
    }

    fn run_for_ms(&mut self, ms: u64) {
        let until_ns = self.now.mono_ns + ms * MS;
        self.pump();
        while self.step(until_ns) {}
    }

    /// How the calls ended, in order.
    fn outcomes(&self) -> Vec<(u64, Outcome)> {
        let outcome = |event: &Event| match event {
            Event::Answered { req, outcome, .. } => Some((*req, *outcome)),
            _ => None,
        };
        self.events.iter().filter_map(outcome).collect()
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = |event: &Event| if let Event::Hint(hint) = event { Some(*hint) } else { None };
        self.events.iter().filter_map(hint).collect()
    }

    /// When frames of `op` were sent since the log was cleared, in ms since `START`.
    fn sent_ms(&self, op: crate::Op) -> Vec<u64> {
        let is_op = |frames: &[Frame]| frames.iter().any(|frame| frame.header.op == op as u8);
        let sent = self.sent.iter().filter(|(_, frames)| is_op(frames));
        sent.map(|(at_ns, _)| (at_ns - START.mono_ns) / MS).collect()
    }

    fn joins(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Joined { .. })).count()
    }
}

fn known(status: Status) -> Outcome {
    Outcome::Known(Reply::of(status))
}

fn ok(packet: u64, fen: u64) -> Outcome {
    Outcome::Known(Reply { packet, fen, ..Reply::of(Status::Ok) })
}
