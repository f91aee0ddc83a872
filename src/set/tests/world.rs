//! A core, a ledger whose disk can be held back, and clients that make frames by hand.

use crate::ledger::{Ledger, Memory, Row};
use crate::set::{Capacity, Config, Core, Counters, Drop, Job, MintOrder, Portable};
use rand::SeedableRng as _;
use redpkt_proto::body::{Answer, Challenge, Hello, Join, Keepalive, Request, Status, Welcome};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::steer::Layout;
use redpkt_proto::ticket::Ticket;
use redpkt_proto::{Direction, Frame, Header, Now, Op, Path, Rng, SESSION_STEP_MS, handshake};
use std::cell::RefCell;
use std::rc::Rc;

/// A ledger whose rows become durable only while `disk_on`.
#[derive(Clone, Default)]
pub struct Held(pub Rc<RefCell<HeldState>>);

#[derive(Default)]
pub struct HeldState {
    pub memory: Memory,
    pub rows: Vec<Row>,
    pub disk_off: bool,
    pub no_room: bool,
    durable: u64,
}

impl Ledger for Held {
    fn room(&self) -> usize {
        if self.0.borrow().no_room { 0 } else { usize::MAX }
    }

    fn append_noted(&mut self, row: &Row, _note: &str) -> u64 {
        self.append(row)
    }

    fn flush(&mut self) {}

    fn has_failed(&self) -> bool {
        false
    }

    fn append(&mut self, row: &Row) -> u64 {
        self.0.borrow_mut().rows.push(*row);
        self.0.borrow_mut().memory.append(row)
    }

    fn last_row(&self) -> u64 {
        self.0.borrow().memory.last_row()
    }

    fn durable_row(&mut self) -> u64 {
        let mut state = self.0.borrow_mut();
        if !state.disk_off {
            state.durable = state.memory.durable_row();
        }
        state.durable
    }

    fn commits(&self) -> u64 {
        self.0.borrow().memory.commits()
    }
}

/// The core of one worker, its time, and everything a test needs of its surroundings.
pub struct World {
    pub core: Core<Held>,
    pub ledger: Held,
    pub keys: KeyRing,
    pub now: Now,
    pub rng: Rng,
}

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

pub fn path(port: u16) -> Path {
    Path::new(([192, 0, 2, 1], port).into(), 0)
}

pub fn config() -> Config {
    Config {
        machine: 3,
        layout: Layout { sets: 1, groups: 1, workers: 1 },
        worker: 0,
        capacity: Capacity { sessions: 8, accounts: 4, packets: 16 },
        shakes_per_s: 0,
        keepalive_s: 25,
        idle_s: 90,
        promises: 64,
    }
}

impl World {
    pub fn new(config: Config) -> World {
        let mut rng = Rng::seed_from_u64(7);
        let keys = KeyRing::generate(&mut rng);
        let now = Now { mono_ns: 3_600_000_000_000, wall_ms: 1_800_000_000_000 };
        let ledger = Held::default();
        let its_ledger = ledger.clone();
        let core = Core::new(config, keys.clone(), now, Rng::seed_from_u64(8), move |_| its_ledger.clone());
        World { core, ledger, keys, now, rng }
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ns(ms * 1_000_000);
    }

    /// Puts datagrams in as one batch; their replies, and then what the ledger let out.
    pub fn batch(&mut self, datagrams: &[(Path, Vec<Frame>)]) -> Vec<(Path, Vec<Frame>)> {
        let mut datagrams = datagrams.to_vec();
        let mut jobs: Vec<Job<'_>> =
            datagrams.iter_mut().map(|(path, frames)| Job { path: *path, frames, replies: 0 }).collect();
        self.core.handle_batch(self.now, 0, &mut jobs, Portable);
        let replies = jobs.iter().filter(|job| job.replies > 0);
        let mut out: Vec<_> = replies.map(|job| (job.path, job.frames[..job.replies].to_vec())).collect();
        out.extend(self.settle());
        out
    }

    pub fn settle(&mut self) -> Vec<(Path, Vec<Frame>)> {
        let mut out = Vec::new();
        self.core.settle(|path, frame| out.push((*path, vec![*frame])));
        out
    }

    /// Puts one datagram in; the frames that come out, wherever they go.
    pub fn ask(&mut self, path: Path, frames: &[Frame]) -> Vec<Frame> {
        self.batch(&[(path, frames.to_vec())]).into_iter().flat_map(|(_, frames)| frames).collect()
    }

    pub fn mint(&mut self, total: u64, fen: u64) {
        let order = MintOrder { rate_per_s: u32::MAX, total, fen_min: fen, fen_max: fen };
        self.core.add_order(order, self.now);
        self.pass_ms(1);
        self.core.tick(self.now);
    }

    pub fn counters(&self) -> Counters {
        *self.core.counters()
    }

    pub fn dropped(&self, reason: Drop) -> u64 {
        self.core.counters().dropped(reason)
    }

    pub fn sessions(&self) -> u64 {
        self.core.set_stats().map(|set| set.sessions).sum()
    }

    /// A client of `user` that has not said anything yet.
    pub fn stranger(&mut self, user: u64) -> Client {
        let expiry_s = (self.now.wall_s() + 3_600) as u32;
        let ticket = self.keys.issue(user, expiry_s, &mut self.rng);
        let client_random = rand::RngExt::random(&mut self.rng);
        let key = SessionKey::from_bytes([0; 16]);
        Client { ticket, path: path(4_000 + user as u16), client_random, key, number: 0, seq: 0, counter: 0 }
    }

    /// A client of `user` that has joined.
    pub fn client(&mut self, user: u64) -> Client {
        let mut client = self.stranger(user);
        client.join(self);
        client
    }

    /// Who holds how much money. Expect: nothing is made or lost on the way.
    pub fn check_conservation(&self) {
        let (house_out, packets, wallets) = self.ledger.0.borrow().memory.fen();
        assert_eq!(house_out, packets + wallets);
        assert_eq!(wallets, self.counters().open_fen);
    }
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

    fn handshake<B: redpkt_proto::body::Body>(&self, op: Op, body: &B) -> Frame {
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
        self.client_random = rand::RngExt::random(&mut world.rng);
        let challenge = self.challenge(world);
        let welcome = world.ask(self.path, &[self.join_frame(&challenge)]);
        assert_eq!(welcome.len(), 1);
        self.welcomed(&welcome[0]);
    }

    pub fn sealed<B: redpkt_proto::body::Body>(&mut self, op: Op, body: &B) -> Frame {
        self.seq += 1;
        let mut header = Header::new(self.user(), Direction::ToServer, op);
        header.seq = self.seq.into();
        let mut frame = Frame::new(header, body);
        seal::seal(&self.key, &mut frame);
        frame
    }

    /// A request under a given req.
    pub fn request(&mut self, op: Op, req: u64, packet: u64) -> Frame {
        let (attempt, packet) = (9, packet.into());
        let body = Request { req: req.into(), attempt, reserved: [0; 7], packet, user: 0.into() };
        self.sealed(op, &body)
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
