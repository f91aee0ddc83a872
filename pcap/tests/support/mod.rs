//! Captures made by hand: phones that join and ask with real keys, and writers of each format and link type.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod gist;
pub mod wire;

use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::body::{
    Answer, Body, Challenge, CookieBytes, Hello, Join, Refusal, RefusalCode, Request, Status, Welcome,
};
use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Header, Op, Rng, handshake};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use zerocopy::IntoBytes as _;

/// When every scene begins, in ns since 1970.
pub const BEGIN_NS: u64 = 1_780_000_000_000_000_000;

/// Where the server is.
pub const SERVER: &str = "192.0.2.1:7100";

/// One datagram on the wire.
#[derive(Clone, Debug)]
pub struct Sent {
    pub time_ns: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

/// What happens, in its order.
pub struct Scene {
    pub ring: KeyRing,
    pub rng: Rng,
    pub sent: Vec<Sent>,
    pub keys: Vec<LoggedKey>,
    pub now_ns: u64,
    pub dir: tempfile::TempDir,
}

/// A user with a session.
#[derive(Clone)]
pub struct Phone {
    pub user: u64,
    pub key: SessionKey,
    pub number: u32,
    pub seqs: [u32; 2],
    pub counter: u32,
}

pub fn client_of(user: u64) -> SocketAddr {
    SocketAddr::from(([198, 51, (user >> 8) as u8, user as u8], 40_000))
}

impl Scene {
    pub fn new() -> Scene {
        let mut rng = Rng::seed_from_u64(7);
        let ring = KeyRing::generate(&mut rng);
        let dir = tempfile::tempdir().unwrap();
        Scene { ring, rng, sent: Vec::new(), keys: Vec::new(), now_ns: BEGIN_NS, dir }
    }

    /// Time goes on.
    pub fn wait_us(&mut self, us: u64) {
        self.now_ns += us * 1_000;
    }

    /// Frames in one datagram, to where their direction says. Each takes a µs.
    pub fn send(&mut self, frames: &[Frame]) {
        let client = client_of(frames[0].header.user.get());
        let server: SocketAddr = SERVER.parse().unwrap();
        let (from, to) = match frames[0].header.direction() {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        };
        self.send_as(from, to, frames.as_bytes().to_vec());
    }

    pub fn send_as(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        self.sent.push(Sent { time_ns: self.now_ns, from, to, payload });
        self.wait_us(1);
    }

    /// The frames of a whole handshake; they are not sent yet.
    pub fn handshake(&mut self, user: u64, number: u32) -> (Phone, [Frame; 4]) {
        let ticket = self.ring.issue(user, (BEGIN_NS / 1_000_000_000) as u32 + 3_600, &mut self.rng);
        let (mut client_random, mut server_random) = ([0; 8], [0; 8]);
        self.rng.fill_bytes(&mut client_random);
        self.rng.fill_bytes(&mut server_random);
        let cookie = CookieBytes { made: 5.into(), mac: [9; 8] };
        let fields = ticket.fields;
        let hello = Hello { ticket: fields, client_random, reserved: [0; 12] };
        let challenge = Challenge { cookie, reserved: [0; 20] };
        let join = Join { ticket: fields, client_random, cookie };
        let welcome = Welcome {
            server_random,
            session_number: number.into(),
            keepalive_s: 20.into(),
            idle_s: 60.into(),
            server_wall_ms: (self.now_ns / 1_000_000).into(),
            shakes_per_s: 0.into(),
            in_flight_max: 32,
            frames_per_datagram_max: 18,
            reserved: [0; 4],
        };
        let (secret, random) = (&ticket.secret, &client_random);
        let (up, down) = (Direction::ToServer, Direction::ToClient);
        let frames = [
            handshake::frame(secret, user, up, Op::Hello, &hello, random),
            handshake::frame(secret, user, down, Op::Challenge, &challenge, random),
            handshake::frame(secret, user, up, Op::Join, &join, random),
            handshake::frame(secret, user, down, Op::Welcome, &welcome, random),
        ];
        let key = handshake::session_key(secret, user, random, &server_random, number);
        self.keys.push(LoggedKey { user, session_number: number, key: key.clone() });
        (Phone { user, key, number, seqs: [0; 2], counter: 0 }, frames)
    }

    /// A user joins.
    pub fn join(&mut self, user: u64, number: u32) -> Phone {
        let (phone, frames) = self.handshake(user, number);
        frames.iter().for_each(|frame| self.send(std::slice::from_ref(frame)));
        phone
    }

    /// A shake and its answer, 500 µs later; the req.
    pub fn shake(&mut self, phone: &mut Phone, status: Status) -> u64 {
        let (req, frame) = phone.ask(Op::Shake, 0);
        self.send(&[frame]);
        self.wait_us(499);
        let packet = if status == Status::Ok { 77 } else { 0 };
        let answer = phone.answer(Op::Shake, req, status, packet, 0);
        self.send(&[answer]);
        req
    }

    /// The capture, as classic pcap of raw IP.
    pub fn capture(&self) -> PathBuf {
        self.file("scene.pcap", &wire::pcap(&self.sent, wire::Link::Raw, wire::Form::NsLittle))
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(bytes).unwrap();
        path
    }

    pub fn key_file(&self) -> PathBuf {
        self.file("key", self.ring.to_text().as_bytes())
    }

    pub fn key_log(&self) -> PathBuf {
        let lines: Vec<String> = self.keys.iter().map(LoggedKey::to_line).collect();
        self.file("keylog", (lines.join("\n") + "\n").as_bytes())
    }

    /// What `stats` with the server's keys says of it.
    pub fn stats(&self) -> Value {
        stats(&self.capture(), &["--key", text(&self.key_file())])
    }
}

impl Phone {
    /// A frame with the next seq of its direction.
    pub fn seal(&mut self, direction: Direction, op: Op, body: &impl Body) -> Frame {
        self.seal_with(direction, op, body, |_| {})
    }

    pub fn seal_with(
        &mut self,
        direction: Direction,
        op: Op,
        body: &impl Body,
        change: impl FnOnce(&mut Header),
    ) -> Frame {
        let seq = &mut self.seqs[usize::from(direction == Direction::ToClient)];
        *seq += 1;
        let mut header = Header::new(self.user, direction, op);
        header.seq = (*seq).into();
        if direction == Direction::ToClient {
            header.load_level = 40;
        }
        change(&mut header);
        let mut frame = Frame::new(header, body);
        seal::seal(&self.key, &mut frame);
        frame
    }

    /// A new request; its req.
    pub fn ask(&mut self, op: Op, packet: u64) -> (u64, Frame) {
        self.counter += 1;
        let req = u64::from(self.number) << 32 | u64::from(self.counter);
        (req, self.again(op, req, 0, packet))
    }

    /// A transmission of a request.
    pub fn again(&mut self, op: Op, req: u64, attempt: u8, packet: u64) -> Frame {
        let request = Request { packet: packet.into(), ..Request::new(req, attempt) };
        self.seal(Direction::ToServer, op, &request)
    }

    pub fn answer(&mut self, op: Op, req: u64, status: Status, packet: u64, fen: u64) -> Frame {
        let answer = Answer {
            req: req.into(),
            attempt: 0,
            status: status as u8,
            reserved: [0; 2],
            retry_after_ms: if status == Status::Busy { 50 } else { 0 }.into(),
            packet: packet.into(),
            fen: fen.into(),
        };
        self.seal(Direction::ToClient, op, &answer)
    }
}

/// A STALE or an ERROR.
pub fn refusal(user: u64, op: Op, code: Option<RefusalCode>) -> Frame {
    let body = Refusal {
        refused_tag: [1; 16],
        code: code.map_or(0, |code| code as u8),
        version_min: 1,
        version_max: 1,
        reserved1: 0,
        retry_after_ms: 500.into(),
        reserved2: [0; 8],
    };
    Frame::new(Header::new(user, Direction::ToClient, op), &body)
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the program.
pub fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redpkt-pcap")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs `stats --json`, which succeeds.
pub fn stats(capture: &Path, more: &[&str]) -> Value {
    let args = [&["stats", text(capture), "--json"], more].concat();
    let output = run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The lines of `show`, which succeeds.
pub fn show(capture: &Path, more: &[&str]) -> Vec<String> {
    let args = [&["show", text(capture)], more].concat();
    let output = run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The objects of `show --json`.
pub fn show_json(capture: &Path, more: &[&str]) -> Vec<Value> {
    let lines = show(capture, &[&["--json"], more].concat());
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}
