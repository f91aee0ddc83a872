//! Writes a capture to measure with: many users, real handshakes and seals, misses, wins, opens, retransmissions.
//!
//!     cargo run --release -p redpkt-pcap --example make_capture -- --users 100000 --frames 10000000 --out /tmp/big.pcap
//!     redpkt-pcap stats /tmp/big.pcap --key /tmp/big.pcap.key
//!     redpkt-pcap stats /tmp/big.pcap --keylog /tmp/big.pcap.keylog
//!
//! It is a classic pcap file of raw IPv4 with times in ns, each frame in a datagram of its own: the most work for each
//! frame. What it holds follows from its options alone.

use clap::Parser;
use rand::{Rng as _, SeedableRng as _};
use redpkt_proto::body::{Answer, Challenge, CookieBytes, Hello, Join, Request, Status, Welcome};
use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Header, Op, handshake};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes as _;

/// When the capture begins, in ns since 1970.
const BEGIN_NS: u64 = 1_780_000_000_000_000_000;

/// Of so many shakes one wins, and one is sent twice.
const WIN_EVERY: u64 = 100;
const RETRANSMIT_EVERY: u64 = 200;

#[derive(Parser)]
struct Args {
    /// Users, from 1
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Frames in all, handshakes included
    #[arg(long, default_value_t = 10_000_000)]
    frames: u64,
    /// Frames a second
    #[arg(long, default_value_t = 200_000)]
    rate: u64,
    /// The capture; its keys go beside it
    #[arg(long)]
    out: PathBuf,
}

/// One user's session.
struct Session {
    key: SessionKey,
    number: u32,
    seqs: [u32; 2],
    counter: u32,
}

/// Writes frames as records.
struct Writer {
    out: BufWriter<File>,
    frames: u64,
    rate: u64,
}

impl Writer {
    fn begin(path: &Path, rate: u64) -> io::Result<Writer> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 101] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Writer { out, frames: 0, rate })
    }

    fn now_ns(&self) -> u64 {
        BEGIN_NS + (u128::from(self.frames) * 1_000_000_000 / u128::from(self.rate)) as u64
    }

    fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        let user = frame.header.user.get() as u32;
        let (client, server) = ([10, (user >> 16) as u8, (user >> 8) as u8, user as u8], [192, 0, 2, 1]);
        let (from, to, from_port, to_port) = match frame.header.direction() {
            Direction::ToServer => (client, server, 40_000_u16, 7_100_u16),
            Direction::ToClient => (server, client, 7_100, 40_000),
        };
        let ns = self.now_ns();
        let bytes = 20 + 8 + 64_u32;
        for word in [(ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32, bytes, bytes] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        let mut ip = [0_u8; 28];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(bytes as u16).to_be_bytes());
        (ip[8], ip[9]) = (64, 17);
        ip[12..16].copy_from_slice(&from);
        ip[16..20].copy_from_slice(&to);
        ip[20..22].copy_from_slice(&from_port.to_be_bytes());
        ip[22..24].copy_from_slice(&to_port.to_be_bytes());
        ip[24..26].copy_from_slice(&72_u16.to_be_bytes());
        let sum = checksum(&ip[12..], frame.as_bytes());
        ip[26..28].copy_from_slice(&sum.to_be_bytes());
        self.out.write_all(&ip)?;
        self.out.write_all(frame.as_bytes())?;
        self.frames += 1;
        Ok(())
    }
}

/// UDP's checksum, over the addresses and the UDP header with a checksum of 0.
fn checksum(addresses_and_header: &[u8], payload: &[u8]) -> u16 {
    let words = addresses_and_header.chunks(2).chain(payload.chunks(2));
    // Protocol and length of the pseudo header.
    let mut sum: u32 = 17 + 72;
    sum += words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        sum => sum,
    }
}

fn join(writer: &mut Writer, ring: &KeyRing, user: u64, rng: &mut redpkt_proto::Rng) -> io::Result<Session> {
    let ticket = ring.issue(user, (BEGIN_NS / 1_000_000_000) as u32 + 86_400, rng);
    let (mut client_random, mut server_random) = ([0; 8], [0; 8]);
    rng.fill_bytes(&mut client_random);
    rng.fill_bytes(&mut server_random);
    let cookie = CookieBytes { made: 1.into(), mac: client_random };
    let fields = ticket.fields;
    let number = 1_000 + (user % 100) as u32;
    let hello = Hello { ticket: fields, client_random, reserved: [0; 12] };
    let challenge = Challenge { cookie, reserved: [0; 20] };
    let join = Join { ticket: fields, client_random, cookie };
    let welcome = Welcome {
        server_random,
        session_number: number.into(),
        keepalive_s: 20.into(),
        idle_s: 60.into(),
        server_wall_ms: (writer.now_ns() / 1_000_000).into(),
        shakes_per_s: 0.into(),
        in_flight_max: 32,
        frames_per_datagram_max: 18,
        reserved: [0; 4],
    };
    let (secret, random) = (&ticket.secret, &client_random);
    let (up, down) = (Direction::ToServer, Direction::ToClient);
    writer.frame(&handshake::frame(secret, user, up, Op::Hello, &hello, random))?;
    writer.frame(&handshake::frame(secret, user, down, Op::Challenge, &challenge, random))?;
    writer.frame(&handshake::frame(secret, user, up, Op::Join, &join, random))?;
    writer.frame(&handshake::frame(secret, user, down, Op::Welcome, &welcome, random))?;
    let key = handshake::session_key(secret, user, random, &server_random, number);
    Ok(Session { key, number, seqs: [0; 2], counter: 0 })
}

impl Session {
    fn seal(
        &mut self,
        user: u64,
        direction: Direction,
        op: Op,
        body: &impl redpkt_proto::body::Body,
    ) -> Frame {
        let seq = &mut self.seqs[usize::from(direction == Direction::ToClient)];
        *seq += 1;
        let mut header = Header::new(user, direction, op);
        header.seq = (*seq).into();
        if direction == Direction::ToClient {
            header.load_level = 53;
        }
        let mut frame = Frame::new(header, body);
        seal::seal(&self.key, &mut frame);
        frame
    }

    /// A request, and its answer.
    fn ask(&mut self, writer: &mut Writer, user: u64, op: Op, packet: u64, again: bool) -> io::Result<bool> {
        self.counter += 1;
        let req = u64::from(self.number) << 32 | u64::from(self.counter);
        let mut request = Request { packet: packet.into(), ..Request::new(req, 0) };
        let frame = self.seal(user, Direction::ToServer, op, &request);
        writer.frame(&frame)?;
        if again {
            request.attempt = 1;
            let frame = self.seal(user, Direction::ToServer, op, &request);
            writer.frame(&frame)?;
        }
        let wins = op == Op::Open || (user + u64::from(self.counter)).is_multiple_of(WIN_EVERY);
        let status = if wins { Status::Ok } else { Status::Miss };
        let fen = if op == Op::Open { 88 } else { 0 };
        let answer = Answer {
            req: req.into(),
            attempt: request.attempt,
            status: status as u8,
            reserved: [0; 2],
            retry_after_ms: 0.into(),
            packet: if wins { req } else { 0 }.into(),
            fen: fen.into(),
        };
        let frame = self.seal(user, Direction::ToClient, op, &answer);
        writer.frame(&frame)?;
        Ok(wins)
    }
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut rng = redpkt_proto::Rng::seed_from_u64(1);
    let ring = KeyRing::generate(&mut rng);
    let beside = |ending: &str| {
        let mut path = args.out.clone().into_os_string();
        path.push(ending);
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(PathBuf::from(path))
    };
    beside(".key")?.write_all(ring.to_text().as_bytes())?;
    let mut keylog = BufWriter::new(beside(".keylog")?);
    let mut writer = Writer::begin(&args.out, args.rate)?;
    let mut sessions = Vec::with_capacity(args.users as usize);
    for user in 1..=args.users {
        let session = join(&mut writer, &ring, user, &mut rng)?;
        let logged = LoggedKey { user, session_number: session.number, key: session.key.clone() };
        writeln!(keylog, "{}", logged.to_line())?;
        sessions.push(session);
    }
    while writer.frames < args.frames {
        let user = 1 + rng.next_u64() % args.users;
        let session = &mut sessions[user as usize - 1];
        let again = rng.next_u64().is_multiple_of(RETRANSMIT_EVERY);
        if session.ask(&mut writer, user, Op::Shake, 0, again)? {
            session.ask(&mut writer, user, Op::Open, 1, false)?;
        }
    }
    keylog.flush()?;
    writer.out.flush()?;
    eprintln!("{}: {} frames of {} users", args.out.display(), writer.frames, args.users);
    Ok(())
}
