//! A model of the server for one user, and how it can be told to misbehave. What it does with requests is in
//! `bank`.

use super::USER;
use crate::body::*;
use crate::cookie::{CookieJar, Purpose};
use crate::frame::flags;
use crate::keyring::KeyRing;
use crate::replay::ReplayWindow;
use crate::seal::{self, SessionKey};
use crate::ticket::Ticket;
use crate::{Direction, Frame, Header, Now, Op, Path, Rng, Terms, handshake};
use std::collections::HashMap;

struct Held {
    key: SessionKey,
    number: u32,
    client_random: [u8; 8],
    welcome: Frame,
    replay: ReplayWindow,
    seq: u32,
}

pub(super) struct Server {
    keys: KeyRing,
    jar: CookieJar,
    path: Path,
    held: Option<Held>,
    pub answers: HashMap<u64, (u8, Answer)>,
    /// Terms of the sends that were executed.
    pub sends: HashMap<u64, Terms>,
    /// Packets of INVITE_OK, in order.
    pub invite_oks: Vec<u64>,
    /// Loses the last SEND_MORE of the next sends.
    pub lose_more_times: u32,
    /// How often each req was executed.
    pub executed: HashMap<u64, u32>,
    /// Frames of each op that were let in.
    pub heard: HashMap<u8, u32>,
    /// Says nothing at all.
    pub is_mute: bool,
    /// Executes but does not answer these reqs.
    pub silent_on: Vec<u64>,
    /// Answers the next requests with this instead, and does not execute them.
    pub put_off: Option<(Status, u32)>,
    pub put_off_times: u32,
    /// Answers HELLO with ERROR.
    pub refusal: Option<(RefusalCode, u32)>,
    /// Wants the address proved.
    pub is_unproved: bool,
    pub load_level: u8,
    pub keepalive_s: u16,
    pub in_flight_max: u8,
}

impl Server {
    pub fn new(now: Now, rng: &mut Rng) -> Server {
        Server {
            keys: KeyRing::generate(rng),
            jar: CookieJar::new(now, rng),
            path: Path::new(([192, 0, 2, 1], 4000).into(), 0),
            held: None,
            answers: HashMap::new(),
            sends: HashMap::new(),
            invite_oks: vec![],
            lose_more_times: 0,
            executed: HashMap::new(),
            heard: HashMap::new(),
            is_mute: false,
            silent_on: vec![],
            put_off: None,
            put_off_times: 0,
            refusal: None,
            is_unproved: false,
            load_level: 0,
            keepalive_s: 25,
            in_flight_max: 32,
        }
    }

    pub fn ticket(&self, user: u64, rng: &mut Rng) -> Ticket {
        self.keys.issue(user, u32::MAX, rng)
    }

    /// Loses the session, as a restart does; answers are kept.
    pub fn forget_session(&mut self) {
        self.held = None;
    }

    /// The newest session's number.
    pub fn number(&self) -> u32 {
        self.held.as_ref().unwrap().number
    }

    pub fn heard(&self, op: Op) -> u32 {
        self.heard.get(&(op as u8)).copied().unwrap_or(0)
    }

    pub fn receive(&mut self, now: Now, frames: &mut [Frame]) -> Vec<Frame> {
        let (mut replies, mut rest) = (vec![], frames);
        while let Some((frame, behind)) = rest.split_first_mut() {
            let reply = self.receive_frame(now, frame, behind);
            replies.extend(reply);
            let is_send = frame.header.op == Op::Send as u8;
            rest = &mut behind[if is_send { (frame.header.flags & flags::SEND_MORE).into() } else { 0 }..];
        }
        if self.is_mute { vec![] } else { replies }
    }

    fn receive_frame(&mut self, now: Now, frame: &mut Frame, behind: &mut [Frame]) -> Option<Frame> {
        assert_eq!((frame.header.user.get(), frame.header.direction()), (USER, Direction::ToServer));
        let op = Op::from_wire(frame.header.op).unwrap();
        match op {
            Op::Hello | Op::Join if self.refusal.is_some() => {
                let (code, retry_after_ms) = self.refusal.unwrap();
                Some(refusal(Op::Error, code as u8, frame, retry_after_ms))
            }
            Op::Hello => self.hello(now, frame),
            Op::Join => self.join(now, frame),
            _ => self.session_frame(now, op, frame, behind),
        }
    }

    fn hello(&mut self, now: Now, frame: &Frame) -> Option<Frame> {
        *self.heard.entry(Op::Hello as u8).or_default() += 1;
        let hello: Hello = frame.body();
        let secret = self.keys.secret(USER, &hello.ticket).unwrap();
        handshake::check(&secret, frame, &hello.client_random).unwrap();
        let cookie = self.jar.make(Purpose::Join, now, &self.path, USER, &hello.client_random);
        let body = Challenge { cookie, reserved: [0; 20] };
        let random = &hello.client_random;
        Some(handshake::frame(&secret, USER, Direction::ToClient, Op::Challenge, &body, random))
    }

    fn join(&mut self, now: Now, frame: &Frame) -> Option<Frame> {
        let join: Join = frame.body();
        let secret = self.keys.secret(USER, &join.ticket).unwrap();
        handshake::check(&secret, frame, &join.client_random).unwrap();
        if !self.jar.check(&join.cookie, Purpose::Join, now, &self.path, USER, &join.client_random) {
            return None;
        }
        *self.heard.entry(Op::Join as u8).or_default() += 1;
        if let Some(held) = self.held.as_ref().filter(|held| held.client_random == join.client_random) {
            return Some(held.welcome);
        }
        let number = now.session_number();
        if self.held.as_ref().is_some_and(|held| held.number >= number) {
            return Some(refusal(Op::Error, RefusalCode::Busy as u8, frame, 250));
        }
        let server_random = handshake::server_random(&[9; 32], USER, &join.client_random, number);
        let body = Welcome {
            server_random,
            session_number: number.into(),
            keepalive_s: self.keepalive_s.into(),
            idle_s: 60.into(),
            server_wall_ms: (now.wall_ms + 5_000).into(),
            shakes_per_s: 10.into(),
            in_flight_max: self.in_flight_max,
            frames_per_datagram_max: 18,
            reserved: [0; 4],
        };
        let random = &join.client_random;
        let welcome = handshake::frame(&secret, USER, Direction::ToClient, Op::Welcome, &body, random);
        let key = handshake::session_key(&secret, USER, random, &server_random, number);
        let (client_random, replay, seq) = (join.client_random, ReplayWindow::new(), 0);
        self.held = Some(Held { key, number, client_random, welcome, replay, seq });
        Some(welcome)
    }

    /// Opens a session frame and counts it.
    pub fn open(&mut self, frame: &mut Frame) -> Option<()> {
        let held = self.held.as_mut()?;
        let seq = frame.header.seq.get();
        if held.replay.check(seq).is_err() || seal::open(&held.key, frame).is_err() {
            return None;
        }
        held.replay.accept(seq);
        *self.heard.entry(frame.header.op).or_default() += 1;
        Some(())
    }

    fn session_frame(&mut self, now: Now, op: Op, frame: &mut Frame, behind: &mut [Frame]) -> Option<Frame> {
        if self.held.is_none() {
            return Some(refusal(Op::Stale, 0, frame, 100));
        }
        self.open(frame)?;
        match op {
            Op::InviteOk => {
                self.invite_oks.push(frame.body::<InviteOk>().packet.get());
                None
            }
            Op::Send => self.send(frame, behind),
            Op::Ask => self.ask(&frame.body()),
            Op::Keepalive if self.is_unproved => {
                let nonce = u64::from(self.number()).to_le_bytes();
                let cookie = self.jar.make(Purpose::Path, now, &self.path, USER, &nonce);
                Some(self.sealed(Op::Path, &PathProof { cookie, reserved: [0; 20] }))
            }
            Op::Keepalive => {
                let mut body: Keepalive = frame.body();
                body.server_wall_ms = (now.wall_ms + 5_000).into();
                Some(self.sealed(op, &body))
            }
            Op::PathOk => {
                let nonce = u64::from(self.number()).to_le_bytes();
                let cookie = frame.body::<PathProof>().cookie;
                assert!(self.jar.check(&cookie, Purpose::Path, now, &self.path, USER, &nonce));
                self.is_unproved = false;
                let (token, server_wall_ms) = (0.into(), (now.wall_ms + 5_000).into());
                Some(self.sealed(Op::Keepalive, &Keepalive { token, server_wall_ms, reserved: [0; 16] }))
            }
            _ => self.request(op, &frame.body()),
        }
    }

    /// A frame under the session's key and its next seq.
    pub fn sealed<B: Body>(&mut self, op: Op, body: &B) -> Frame {
        let held = self.held.as_mut().unwrap();
        held.seq += 1;
        let mut header = Header::new(USER, Direction::ToClient, op);
        header.seq = held.seq.into();
        header.load_level = self.load_level;
        header.flags = if self.is_unproved { flags::PROVE_PATH } else { 0 };
        let mut frame = Frame::new(header, body);
        seal::seal(&held.key, &mut frame);
        frame
    }
}

pub(super) fn answer(req: u64, status: Status) -> Answer {
    Answer {
        req: req.into(),
        attempt: 0,
        status: status as u8,
        reserved: [0; 2],
        retry_after_ms: 0.into(),
        packet: 0.into(),
        fen: 0.into(),
    }
}

/// STALE or ERROR for `frame`.
pub(super) fn refusal(op: Op, code: u8, frame: &Frame, retry_after_ms: u32) -> Frame {
    let body = Refusal {
        refused_tag: frame.tag,
        code,
        version_min: 1,
        version_max: 1,
        reserved1: 0,
        retry_after_ms: retry_after_ms.into(),
        reserved2: [0; 8],
    };
    Frame::new(Header::new(USER, Direction::ToClient, op), &body)
}
