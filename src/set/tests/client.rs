//! A user's client that makes its frames by hand.

use super::world::World;
use redpkt_proto::body::{
    Answer, Body, Challenge, Hello, Invite, InviteOk, Join, Keepalive, Request, Send, SendMore, Status,
    Welcome,
};
use redpkt_proto::frame::flags;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::ticket::Ticket;
use redpkt_proto::{Direction, Frame, Header, Op, Path, SESSION_STEP_MS, handshake};

/// One user's client, by hand.
#[derive(Clone)]
pub struct Client {
    pub ticket: Ticket,
    pub path: Path,
    pub client_random: [u8; 8],
    pub key: SessionKey,
    pub number: u32,
    pub seq: u32,
    pub counter: u32,
}

impl Client {
    pub fn user(&self) -> u64 {
        self.ticket.user
    }

    pub fn hello(&self) -> Frame {
        let hello =
            Hello { ticket: self.ticket.fields, client_random: self.client_random, reserved: [0; 12] };
        self.handshake(Op::Hello, &hello)
    }

    pub fn join_frame(&self, challenge: &Frame) -> Frame {
        let cookie = challenge.body::<Challenge>().cookie;
        self.handshake(
            Op::Join,
            &Join { ticket: self.ticket.fields, client_random: self.client_random, cookie },
        )
    }

    fn handshake<B: Body>(&self, op: Op, body: &B) -> Frame {
        let Ticket { user, ref secret, .. } = self.ticket;
        handshake::frame(secret, user, Direction::ToServer, op, body, &self.client_random)
    }

    /// Says HELLO; the cookie that comes back.
    pub fn challenge(&self, world: &mut World) -> Frame {
        let challenge = world.ask(self.path, &[self.hello()]);
        assert_eq!((challenge.len(), challenge[0].header.op), (1, Op::Challenge as u8));
        handshake::check(&self.ticket.secret, &challenge[0], &self.client_random).unwrap();
        challenge[0]
    }

    /// Takes a WELCOME.
    pub fn welcomed(&mut self, welcome: &Frame) {
        assert_eq!(welcome.header.op, Op::Welcome as u8);
        handshake::check(&self.ticket.secret, welcome, &self.client_random).unwrap();
        let welcome: Welcome = welcome.body();
        self.number = welcome.session_number.get();
        let (secret, user) = (&self.ticket.secret, self.ticket.user);
        self.key =
            handshake::session_key(secret, user, &self.client_random, &welcome.server_random, self.number);
        self.seq = 0;
    }

    /// A whole handshake with a new client random, after the step of the last one.
    pub fn join(&mut self, world: &mut World) {
        world.pass_ms(SESSION_STEP_MS);
        if u64::from(self.ticket.fields.expiry_s.get()) <= world.now.wall_s() {
            self.ticket = world.stranger(self.user()).ticket;
        }
        self.client_random = rand::RngExt::random(&mut world.rng);
        let challenge = self.challenge(world);
        let welcome = world.ask(self.path, &[self.join_frame(&challenge)]);
        assert_eq!(welcome.len(), 1);
        self.welcomed(&welcome[0]);
    }

    pub fn sealed<B: Body>(&mut self, op: Op, body: &B) -> Frame {
        self.sealed_under(Header::new(self.user(), Direction::ToServer, op), body)
    }

    fn sealed_under<B: Body>(&mut self, mut header: Header, body: &B) -> Frame {
        self.seq += 1;
        header.seq = self.seq.into();
        let mut frame = Frame::new(header, body);
        seal::seal(&self.key, &mut frame);
        frame
    }

    /// A request under a given req.
    pub fn request(&mut self, op: Op, req: u64, packet: u64) -> Frame {
        self.request_for(op, req, packet, 0)
    }

    /// The same, about another user.
    pub fn request_for(&mut self, op: Op, req: u64, packet: u64, user: u64) -> Frame {
        let body = Request {
            req: req.into(),
            attempt: 9,
            reserved: [0; 7],
            packet: packet.into(),
            user: user.into(),
        };
        self.sealed(op, &body)
    }

    /// The frames of a send.
    pub fn send_frames(
        &mut self,
        counter: u32,
        total_fen: u32,
        shares: u8,
        recipients: &[u64],
    ) -> Vec<Frame> {
        let three = |at: usize| std::array::from_fn(|i| recipients.get(at + i).copied().unwrap_or(0).into());
        let more = recipients.len().div_ceil(3).saturating_sub(1);
        let total_fen = Send::fen_to_wire(total_fen).unwrap();
        let counter = counter.into();
        let send = Send { counter, total_fen, shares, recipients: three(0) };
        let mut header = Header::new(self.user(), Direction::ToServer, Op::Send);
        (header.flags, header.load_level) = (more as u8 & flags::SEND_MORE, 9);
        let mut frames = vec![self.sealed_under(header, &send)];
        for index in 1..=more {
            let body =
                SendMore { counter, index: index as u8, reserved: [0; 3], recipients: three(3 * index) };
            frames.push(self.sealed(Op::SendMore, &body));
        }
        frames
    }

    /// Sends money, and reads the one answer.
    pub fn send(&mut self, world: &mut World, total_fen: u32, shares: u8, recipients: &[u64]) -> Said {
        self.counter += 1;
        let frames = self.send_frames(self.counter, total_fen, shares, recipients);
        let out = world.ask(self.path, &frames);
        assert_eq!(out.len(), 1, "one answer");
        let answer = self.answer(&out[0]);
        assert_eq!((answer.req.get(), answer.attempt), (self.req(self.counter), 9));
        assert_eq!(out[0].header.op, Op::Send as u8);
        Said::from(answer)
    }

    /// Asks for something about a packet, as a new request.
    pub fn about(&mut self, world: &mut World, op: Op, packet: u64, user: u64) -> Said {
        let req = self.next_req();
        let frame = self.request_for(op, req, packet, user);
        let frames = world.ask(self.path, &[frame]);
        assert_eq!(frames.len(), 1, "one answer");
        Said::from(self.answer(&frames[0]))
    }

    /// Opens an invitation.
    pub fn invite(&self, frame: &Frame) -> Invite {
        let mut frame = *frame;
        seal::open(&self.key, &mut frame).expect("sealed for this session");
        assert_eq!(frame.header.op, Op::Invite as u8);
        frame.body()
    }

    pub fn invite_ok_frame(&mut self, packet: u64) -> Frame {
        self.sealed(Op::InviteOk, &InviteOk { packet: packet.into(), reserved: [0; 24] })
    }

    /// A req of this session.
    pub fn req(&self, counter: u32) -> u64 {
        u64::from(self.number) << 32 | u64::from(counter)
    }

    pub fn next_req(&mut self) -> u64 {
        self.counter += 1;
        self.req(self.counter)
    }

    pub fn shake_frame(&mut self) -> Frame {
        let req = self.next_req();
        self.request(Op::Shake, req, 0)
    }

    pub fn keepalive_frame(&mut self, token: u64) -> Frame {
        self.sealed(
            Op::Keepalive,
            &Keepalive { token: token.into(), server_wall_ms: 0.into(), reserved: [0; 16] },
        )
    }

    /// Opens an answer.
    pub fn answer(&self, frame: &Frame) -> Answer {
        let mut frame = *frame;
        seal::open(&self.key, &mut frame).expect("sealed for this session");
        assert_eq!(frame.header.direction(), Direction::ToClient);
        frame.body()
    }

    /// Asks and reads the one answer.
    pub fn ask(&mut self, world: &mut World, op: Op, req: u64, packet: u64) -> Said {
        let frame = self.request(op, req, packet);
        let frames = world.ask(self.path, &[frame]);
        assert_eq!(frames.len(), 1, "one answer");
        let answer = self.answer(&frames[0]);
        assert_eq!((answer.req.get(), answer.attempt, frames[0].header.op), (req, 9, op as u8));
        Said::from(answer)
    }

    pub fn shake(&mut self, world: &mut World) -> Said {
        let req = self.next_req();
        self.ask(world, Op::Shake, req, 0)
    }

    pub fn open(&mut self, world: &mut World, packet: u64) -> Said {
        let req = self.next_req();
        self.ask(world, Op::Open, req, packet)
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub status: Status,
    pub packet: u64,
    pub fen: u64,
    pub retry_after_ms: u32,
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Said {
        Said {
            status: Status::from_wire(answer.status).expect("a status"),
            packet: answer.packet.get(),
            fen: answer.fen.get(),
            retry_after_ms: answer.retry_after_ms.get(),
        }
    }
}

pub fn said(status: Status) -> Said {
    Said { status, packet: 0, fen: 0, retry_after_ms: 0 }
}

/// What a client was told, but for invitations.
pub fn told(out: &[(Path, Vec<Frame>)], client: &Client) -> Vec<Said> {
    let of = out.iter().filter(|(path, _)| *path == client.path).flat_map(|(_, frames)| frames);
    let of = of.filter(|frame| frame.header.op != Op::Invite as u8);
    of.map(|frame| Said::from(client.answer(frame))).collect()
}
