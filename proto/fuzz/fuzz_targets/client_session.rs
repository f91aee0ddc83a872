//! A client session against a server with a broken mind: any bytes, and any bodies that are authentic.
//!
//! The input is a list of steps. Frames are sent to the session raw, or with a right tag, because a client
//! must not panic for its server either. Expect: every call ends in exactly one answer.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use rand_chacha::rand_core::SeedableRng;
use redpkt_proto::body::{Hello, Invite, Join, TicketFields};
use redpkt_proto::client::{Call, Config, Event, Session, datagram_buffer};
use redpkt_proto::frame::{flags, frames_mut};
use redpkt_proto::ticket::{Ticket, TicketSecret};
use redpkt_proto::{Direction, FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX, Frame, Header, Now, Op, Rng, Terms};
use redpkt_proto::{handshake, seal};
use std::collections::HashSet;
use std::sync::Arc;

const USER: u64 = 77;
const STEPS_MAX: usize = 400;

struct World {
    ticket: Ticket,
    session: Session,
    now: Now,
    rng: Rng,
    /// Of the HELLO or JOIN that was sent last.
    client_random: [u8; 8],
    last_tag: [u8; 16],
    seq: u32,
    number: u32,
    open: HashSet<u64>,
}

fuzz_target!(|bytes: &[u8]| {
    let fields = TicketFields { expiry_s: 1.into(), key_id: 1, nonce: [0; 7] };
    let ticket = Ticket { user: USER, fields, secret: TicketSecret::derive(&[9; 32], USER, &fields) };
    let now = Now { mono_ns: 1_000_000_000, wall_ms: 1_770_000_000_000 };
    let mut rng = Rng::seed_from_u64(1);
    let session = Session::new(ticket.clone(), Arc::new(Config::default()), now, &mut rng);
    let (client_random, last_tag, open) = ([0; 8], [0; 16], HashSet::new());
    let mut world = World { ticket, session, now, rng, client_random, last_tag, seq: 0, number: 100, open };
    let mut rest = bytes;
    for _ in 0..STEPS_MAX {
        let Some((step, after)) = rest.split_first() else { break };
        rest = world.step(*step, after);
    }
    world.end();
});

impl World {
    /// Does one step and returns the bytes that it did not use.
    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        match step % 8 {
            0 => {
                let frames = usize::from(step / 8) % FRAMES_PER_DATAGRAM_MAX + 1;
                let (mut datagram, rest) = cut(rest, frames * FRAME_BYTES);
                if let Some(frames) = frames_mut(&mut datagram) {
                    self.receive(frames);
                }
                rest
            }
            1 => {
                let (ns, rest) = cut(rest, 5);
                let ns = ns.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                self.now = self.now.plus_ns(ns);
                let mut events = Vec::new();
                self.session.on_timeout(self.now, &mut self.rng, &mut events);
                self.note(&events);
                rest
            }
            2 => self.call(Call::Shake, rest),
            3 => {
                let (bytes, rest) = cut(rest, 4);
                self.call(any_call(step / 8, &bytes), rest)
            }
            4 => {
                self.transmit();
                rest
            }
            5 => self.handshake(Op::Challenge, rest),
            6 => self.handshake(Op::Welcome, rest),
            _ => self.sealed(step / 8, rest),
        }
    }

    fn call<'a>(&mut self, call: Call, rest: &'a [u8]) -> &'a [u8] {
        if let Ok(req) = self.session.call(self.now, call) {
            assert!(self.open.insert(req), "req {req:x} was given twice");
        }
        rest
    }

    fn transmit(&mut self) {
        let mut out = datagram_buffer();
        for _ in 0..100 {
            let count = self.session.transmit(self.now, &mut self.rng, &mut out);
            if count == 0 {
                return;
            }
            self.last_tag = out[0].tag;
            self.check_sends(&out[..count]);
            match Op::from_wire(out[0].header.op) {
                Some(Op::Hello) => self.client_random = out[0].body::<Hello>().client_random,
                Some(Op::Join) => self.client_random = out[0].body::<Join>().client_random,
                _ => {}
            }
        }
        panic!("transmit does not come to an end");
    }

    /// Every SEND has all its SEND_MORE directly behind it.
    fn check_sends(&self, frames: &[Frame]) {
        let mut left = 0;
        for frame in frames {
            let is_more = frame.header.op == Op::SendMore as u8;
            assert_eq!(is_more, left > 0, "a SEND was cut");
            left = match frame.header.op {
                op if op == Op::Send as u8 => frame.header.flags & flags::SEND_MORE,
                _ => left.saturating_sub(1),
            };
        }
        assert_eq!(left, 0, "a SEND was cut");
    }

    /// CHALLENGE or WELCOME with a right tag and any body.
    fn handshake<'a>(&mut self, op: Op, rest: &'a [u8]) -> &'a [u8] {
        let (body, rest) = cut(rest, 32);
        let mut frame = Frame { body: body.try_into().unwrap(), ..empty(op) };
        if op == Op::Welcome {
            // Numbers may stay, grow, and go back, as after a clock was set back.
            self.number = (self.number + u32::from(frame.body[8] % 4)).saturating_sub(1);
            frame.body[8..12].copy_from_slice(&self.number.to_le_bytes());
        }
        frame.tag = handshake::tag(&self.ticket.secret, &frame, &self.client_random);
        self.seq = 0;
        self.receive(&mut [frame]);
        rest
    }

    /// A session frame with a right tag, or a hint with the tag of what was sent last, and else any body.
    fn sealed<'a>(&mut self, which: u8, rest: &'a [u8]) -> &'a [u8] {
        const OPS: [Op; 16] = [
            Op::Shake,
            Op::Open,
            Op::Keepalive,
            Op::Path,
            Op::Stale,
            Op::Error,
            Op::Send,
            Op::Share,
            Op::Grab,
            Op::Balance,
            Op::History,
            Op::Invite,
            Op::Relay,
            Op::Redirect,
            Op::Ask,
            Op::Invites,
        ];
        let op = OPS[usize::from(which) % OPS.len()];
        let (body, rest) = cut(rest, 34);
        let mut frame = Frame { body: body[..32].try_into().unwrap(), ..empty(op) };
        (frame.header.flags, frame.header.load_level) = (body[32], body[33]);
        if matches!(op, Op::Stale | Op::Error) {
            frame.body[..16].copy_from_slice(&self.last_tag);
        } else if let Some(key) = self.session.key() {
            // The high half of a req can hardly be guessed: a small number here stands for the session's.
            if op != Op::Invite && frame.body[4..8] == [0; 4] {
                let number = self.session.session_number().unwrap_or(0);
                frame.body[4..8].copy_from_slice(&number.to_le_bytes());
            }
            self.seq += 1;
            frame.header.seq = self.seq.into();
            seal::seal(key, &mut frame);
        }
        self.receive(&mut [frame]);
        rest
    }

    fn receive(&mut self, frames: &mut [Frame]) {
        let mut events = Vec::new();
        self.session.receive(self.now, frames, &mut self.rng, &mut events);
        self.note(&events);
        let told = events.iter().filter(|event| matches!(event, Event::Invited { .. })).count();
        let invites = frames.iter().filter(|frame| frame.header.op == Op::Invite as u8);
        assert!(told <= invites.filter(|frame| frame.body::<Invite>().packet.get() != 0).count());
        let _ = (self.session.timeout_ns(), self.session.hint());
    }

    fn note(&mut self, events: &[Event]) {
        for event in events {
            if let Event::Answered { req, .. } = event {
                assert!(self.open.remove(req), "req {req:x} was answered twice, or never asked");
            }
        }
        assert_eq!(self.open.len(), self.session.in_flight());
    }

    /// A day later nothing may be open any more.
    fn end(mut self) {
        self.now = self.now.plus_ns(86_400_000_000_000);
        let mut events = Vec::new();
        self.session.on_timeout(self.now, &mut self.rng, &mut events);
        self.note(&events);
        assert!(self.open.is_empty(), "a call never ends");
    }
}

/// A call of any kind; most terms of a send are good.
fn any_call(kind: u8, bytes: &[u8]) -> Call {
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| u64::from(bytes[at]));
    match kind % 8 {
        0 | 1 => Call::Open { packet: a },
        2 => {
            let recipients = (b..b + c % 60).collect();
            Call::Send {
                terms: Box::new(Terms {
                    total_fen: a as u32 * 16,
                    shares: d as u8,
                    equal: d > 99,
                    recipients,
                }),
            }
        }
        3 => Call::Share { packet: a, user: b },
        4 => Call::Grab { packet: a },
        5 => Call::Balance,
        6 => Call::History { entry: a },
        _ => Call::Invites { after: a },
    }
}

fn empty(op: Op) -> Frame {
    Frame { header: Header::new(USER, Direction::ToClient, op), body: [0; 32], tag: [0; 16] }
}

/// The next `len` bytes, filled up with zeros, and the rest.
fn cut(bytes: &[u8], len: usize) -> (Vec<u8>, &[u8]) {
    let (head, rest) = bytes.split_at(len.min(bytes.len()));
    let mut head = head.to_vec();
    head.resize(len, 0);
    (head, rest)
}
