//! Frames made by hand: a session whose every byte a test decides.

use super::{PATIENCE, now, rng};
use rand::Rng as _;
use redpkt_proto::body::{Answer, Body, Challenge, CookieBytes, Hello, Join, Keepalive, Request, Welcome};
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::ticket::Ticket;
use redpkt_proto::{Direction, Frame, Header, Op, frame, handshake};
use std::net::{SocketAddr, UdpSocket};
use zerocopy::IntoBytes as _;

/// A socket that hears one server only.
pub struct Peer {
    pub socket: UdpSocket,
}

impl Peer {
    pub fn new(server: SocketAddr) -> Peer {
        Peer::at(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }, server)
    }

    pub fn at(local: &str, server: SocketAddr) -> Peer {
        let socket = UdpSocket::bind(local).expect("a free port");
        socket.connect(server).expect("a route");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer { socket }
    }

    pub fn send(&self, bytes: &[u8]) {
        assert_eq!(self.socket.send(bytes).expect("the kernel takes it"), bytes.len());
    }

    pub fn send_frames(&self, frames: &[Frame]) {
        self.send(frames.as_bytes());
    }

    /// The frames of the next datagram.
    pub fn hear(&self) -> Vec<Frame> {
        let mut bytes = [0; 2_048];
        let len = self.socket.recv(&mut bytes).expect("an answer");
        frame::frames(&bytes[..len]).unwrap_or_else(|| panic!("{len} bytes are no frames")).to_vec()
    }

    /// The one frame of the next datagram.
    pub fn hear_one(&self) -> Frame {
        let frames = self.hear();
        assert_eq!(frames.len(), 1);
        frames[0]
    }

    pub fn ask(&self, frame: &Frame) -> Frame {
        self.send_frames(std::slice::from_ref(frame));
        self.hear_one()
    }
}

/// One user's session: what a client keeps of it, without a client's good manners.
#[derive(Clone)]
pub struct Hand {
    pub user: u64,
    pub key: SessionKey,
    pub number: u32,
    pub seq: u32,
    /// Low half of the last req made.
    pub counter: u32,
}

impl Hand {
    /// Joins.
    pub fn join(peer: &Peer, ticket: &Ticket) -> Hand {
        let client_random = random8();
        let cookie = challenge_cookie(peer, ticket, &client_random);
        let welcome = peer.ask(&join_frame(ticket, &client_random, cookie));
        Hand::welcomed(ticket, &client_random, &welcome)
    }

    /// The session of a WELCOME.
    pub fn welcomed(ticket: &Ticket, client_random: &[u8; 8], welcome: &Frame) -> Hand {
        assert_eq!(Op::from_wire(welcome.header.op), Some(Op::Welcome), "{welcome:?}");
        handshake::check(&ticket.secret, welcome, client_random).expect("the server's tag");
        let body: Welcome = welcome.body();
        let (user, number) = (ticket.user, body.session_number.get());
        let key = handshake::session_key(&ticket.secret, user, client_random, &body.server_random, number);
        Hand { user, key, number, seq: 0, counter: 0 }
    }

    /// A sealed frame with the next seq.
    pub fn frame<B: Body>(&mut self, op: Op, body: &B) -> Frame {
        self.seq += 1;
        self.frame_with(self.seq, op as u8, body)
    }

    /// A sealed frame of any seq and op.
    pub fn frame_with<B: Body>(&self, seq: u32, op: u8, body: &B) -> Frame {
        let mut header = Header::new(self.user, Direction::ToServer, Op::Keepalive);
        header.seq = seq.into();
        header.op = op;
        let mut frame = Frame::new(header, body);
        seal::seal(&self.key, &mut frame);
        frame
    }

    /// A new SHAKE.
    pub fn shake(&mut self) -> Frame {
        let req = self.new_req();
        self.request(Op::Shake, req, 0)
    }

    /// SHAKE or OPEN of a req that may be old.
    pub fn request(&mut self, op: Op, req: u64, packet: u64) -> Frame {
        let body =
            Request { req: req.into(), attempt: 0, reserved: [0; 7], packet: packet.into(), user: 0.into() };
        self.frame(op, &body)
    }

    pub fn new_req(&mut self) -> u64 {
        self.counter += 1;
        u64::from(self.number) << 32 | u64::from(self.counter)
    }

    pub fn keepalive(&mut self, token: u64) -> Frame {
        self.frame(
            Op::Keepalive,
            &Keepalive { token: token.into(), server_wall_ms: 0.into(), reserved: [0; 16] },
        )
    }

    /// Opens a frame of the server's.
    pub fn open<B: Body>(&self, mut frame: Frame, op: Op) -> B {
        assert_eq!(frame.header.direction(), Direction::ToClient);
        assert_eq!((frame.header.user.get(), frame.header.op), (self.user, op as u8), "{frame:?}");
        seal::open(&self.key, &mut frame).expect("the server's seal");
        frame.body()
    }

    /// Asks for luck and gets the answer.
    pub fn shake_and_hear(&mut self, peer: &Peer) -> Answer {
        let frame = self.shake();
        let answer: Answer = self.open(peer.ask(&frame), Op::Shake);
        assert_eq!(answer.req.get() as u32, self.counter);
        answer
    }

    /// Says KEEPALIVE and hears it come back: everything sent from that socket before has been handled, and
    /// whatever was answered has been heard.
    pub fn sync(&mut self, peer: &Peer) {
        let token = u64::from(self.seq) + 1_000;
        let frame = self.keepalive(token);
        let back: Keepalive = self.open(peer.ask(&frame), Op::Keepalive);
        assert_eq!(back.token.get(), token);
    }
}

/// HELLO.
pub fn hello(ticket: &Ticket, client_random: &[u8; 8]) -> Frame {
    let body = Hello { ticket: ticket.fields, client_random: *client_random, reserved: [0; 12] };
    handshake::frame(&ticket.secret, ticket.user, Direction::ToServer, Op::Hello, &body, client_random)
}

/// JOIN.
pub fn join_frame(ticket: &Ticket, client_random: &[u8; 8], cookie: CookieBytes) -> Frame {
    let body = Join { ticket: ticket.fields, client_random: *client_random, cookie };
    handshake::frame(&ticket.secret, ticket.user, Direction::ToServer, Op::Join, &body, client_random)
}

/// Says HELLO and takes the cookie of the CHALLENGE.
pub fn challenge_cookie(peer: &Peer, ticket: &Ticket, client_random: &[u8; 8]) -> CookieBytes {
    let challenge = peer.ask(&hello(ticket, client_random));
    assert_eq!(Op::from_wire(challenge.header.op), Some(Op::Challenge), "{challenge:?}");
    handshake::check(&ticket.secret, &challenge, client_random).expect("the server's tag");
    challenge.body::<Challenge>().cookie
}

pub fn random8() -> [u8; 8] {
    let mut bytes = [0; 8];
    rng().fill_bytes(&mut bytes);
    bytes
}

/// Waits until a user that joined now may join again: session numbers have a step of their own.
pub fn next_session_step(number: u32) {
    super::wait_for("the next session step", || (now().session_number() > number).then_some(()));
}
