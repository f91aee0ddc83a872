//! A user who shakes as fast as he likes: a session by hand, because a client's own waits when it is told to.

use crate::floor::join;
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt::net::affinity;
use redpkt::net::client::{ClientSockets, Peers};
use redpkt_proto::body::{Answer, Request, Status};
use redpkt_proto::frame::frames_mut;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::{SessionKey, open, seal};
use redpkt_proto::{Direction, Frame, Header, Op};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zerocopy::IntoBytes as _;

/// His number.
const USER: u64 = 1;

/// The longest pause between two looks at the clock.
const PAUSE: Duration = Duration::from_micros(500);

/// How long answers are waited for at the end.
const LAST: Duration = Duration::from_millis(200);

/// What he was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Shakes sent.
    pub sent: u64,
    /// Answered with a packet.
    pub wins: u64,
    /// Answered with nothing.
    pub misses: u64,
    /// Told to wait.
    pub refused: u64,
}

impl Told {
    /// Shakes that were answered.
    pub fn answered(&self) -> u64 {
        self.wins + self.misses
    }
}

/// He, with his session.
pub struct Greedy {
    peers: Peers,
    core: usize,
    key: SessionKey,
    session_number: u32,
    /// Low half of the newest req, and number of the newest frame.
    counter: u32,
    told: Told,
}

impl Greedy {
    /// Opens his session, through a socket of his own.
    pub fn join(target: SocketAddr, keys: &KeyRing, core: usize) -> Result<Greedy, Failure> {
        let mut peers = Peers::Sockets(ClientSockets::connect(target, 1, false).map_err(Failure::machine)?);
        let mut rng = os_seeded_rng().map_err(Failure::machine)?;
        let users = join(&mut peers, keys, 1, &mut rng)?;
        let (key, session_number) = users[0].session();
        Ok(Greedy { peers, core, key, session_number, counter: 0, told: Told::default() })
    }

    /// Shakes at a rate until he is told to stop; each shake is a new request.
    pub fn shake(&mut self, per_s: u64, stop: &AtomicBool) -> Result<Told, Failure> {
        affinity::pin_current_thread(self.core).map_err(Failure::machine)?;
        affinity::precise_timers().map_err(Failure::machine)?;
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_nanos() * u128::from(per_s) / 1_000_000_000) as u64;
            while self.told.sent < due {
                let frame = self.next_frame();
                self.peers.send(0, frame.as_bytes());
                self.told.sent += 1;
            }
            self.peers.flush();
            self.receive();
            self.peers.wait(PAUSE);
        }
        let stopped = Instant::now();
        while stopped.elapsed() < LAST {
            self.peers.wait(PAUSE);
            self.receive();
        }
        Ok(self.told)
    }

    fn next_frame(&mut self) -> Frame {
        self.counter += 1;
        let mut header = Header::new(USER, Direction::ToServer, Op::Shake);
        header.seq = self.counter.into();
        let req = u64::from(self.session_number) << 32 | u64::from(self.counter);
        let request =
            Request { req: req.into(), attempt: 0, reserved: [0; 7], packet: 0.into(), user: 0.into() };
        let mut frame = Frame::new(header, &request);
        seal(&self.key, &mut frame);
        frame
    }

    fn receive(&mut self) {
        let Greedy { peers, key, told, .. } = self;
        peers.recv(&mut |_, bytes| {
            for frame in frames_mut(bytes).into_iter().flatten() {
                // What is not for his session is no answer.
                if frame.header.op != Op::Shake as u8 || open(key, frame).is_err() {
                    continue;
                }
                match Status::from_wire(frame.body::<Answer>().status) {
                    Some(Status::Ok) => told.wins += 1,
                    Some(Status::Miss) => told.misses += 1,
                    _ => told.refused += 1,
                }
            }
        });
    }
}
