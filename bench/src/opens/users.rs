//! What the client keeps of each user: a session, what was won, and one datagram of requests on its way.

use crate::floor;
use redpkt_proto::body::{Answer, Refusal, RefusalCode, Request, Status};
use redpkt_proto::seal::{SessionKey, open, seal};
use redpkt_proto::{Direction, Frame, Header, Op};

/// Requests of one datagram at the most: a server keeps so many answers about money of a user, so each of them can
/// be asked for again.
pub const REQUESTS_MAX: usize = 16;

/// A user with a session.
pub struct User {
    key: SessionKey,
    session_number: u32,
    /// Low half of the newest req.
    counter: u32,
    /// Of the newest frame.
    seq: u32,
    /// Bit `i`: does request `i` of the datagram on its way have no answer?
    waits: u16,
    /// Requests of the datagram on its way.
    count: u8,
    /// Transmissions of it before the last one.
    attempt: u8,
    /// Whether a shake has won nothing: there is nothing left for this user.
    is_dry: bool,
    /// When the datagram was sent first.
    since_ns: u64,
    /// What was won; in front what was opened, behind it what is being opened.
    packets: Vec<u64>,
    /// How many were opened.
    opened: usize,
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A packet was won.
    Won,
    /// An amount was taken, in fen.
    Opened(u64),
    /// Nothing was won.
    Miss,
    /// It is to be asked for again.
    Busy,
    /// Of a request that has its answer.
    Late,
    /// No answer to what was asked, or one that cannot be right.
    Wrong,
}

impl User {
    /// One who has just joined.
    pub fn new(session: &floor::User) -> User {
        let (key, session_number) = session.session();
        User {
            key,
            session_number,
            counter: 0,
            seq: 0,
            waits: 0,
            count: 0,
            attempt: 0,
            is_dry: false,
            since_ns: 0,
            packets: Vec::new(),
            opened: 0,
        }
    }

    /// Whether a datagram is on its way.
    pub fn waits(&self) -> bool {
        self.waits != 0
    }

    /// Low half of the newest req: names the datagram on its way.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// When the datagram was sent first.
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }

    /// What was won.
    pub fn packets(&self) -> &[u64] {
        &self.packets
    }

    /// Whether there is more to ask for.
    pub fn has_more(&self, op: Op) -> bool {
        if op == Op::Open { self.opened < self.packets.len() } else { !self.is_dry }
    }

    /// Writes a new datagram of up to `most` requests; how many.
    pub fn ask(&mut self, id: u64, op: Op, most: usize, now_ns: u64, out: &mut [Frame]) -> usize {
        let left = if op == Op::Open { self.packets.len() - self.opened } else { most };
        let count = left.min(most).min(REQUESTS_MAX);
        self.counter += count as u32;
        (self.count, self.attempt, self.since_ns) = (count as u8, 0, now_ns);
        self.waits = ((1u32 << count) - 1) as u16;
        self.write(id, op, out)
    }

    /// Writes those requests again that have no answer; how many.
    pub fn ask_again(&mut self, id: u64, op: Op, out: &mut [Frame]) -> usize {
        self.attempt = self.attempt.wrapping_add(1);
        self.write(id, op, out)
    }

    fn write(&mut self, id: u64, op: Op, out: &mut [Frame]) -> usize {
        let mut written = 0;
        for index in (0..usize::from(self.count)).filter(|index| self.waits & (1 << index) != 0) {
            let packet = if op == Op::Open { self.packets[self.opened + index] } else { 0 };
            self.seq += 1;
            let header = Header { seq: self.seq.into(), ..Header::new(id, Direction::ToServer, op) };
            let request = Request::new(self.req(index), self.attempt);
            out[written] = Frame::new(header, &Request { packet: packet.into(), ..request });
            seal(&self.key, &mut out[written]);
            written += 1;
        }
        written
    }

    fn req(&self, index: usize) -> u64 {
        let counter = self.counter - u32::from(self.count) + 1 + index as u32;
        u64::from(self.session_number) << 32 | u64::from(counter)
    }

    /// Opens and checks an answer.
    pub fn take(&mut self, frame: &mut Frame, op: Op) -> Taken {
        if frame.header.op == Op::Error as u8 && frame.body::<Refusal>().code == RefusalCode::Load as u8 {
            return Taken::Busy;
        }
        if open(&self.key, frame).is_err()
            || frame.header.direction() != Direction::ToClient
            || frame.header.op != op as u8
        {
            return Taken::Wrong;
        }
        let answer: Answer = frame.body();
        let index = answer.req.get().wrapping_sub(self.req(0)) as usize;
        if index >= usize::from(self.count) || self.waits & (1 << index) == 0 {
            return Taken::Late;
        }
        let (packet, fen) = (answer.packet.get(), answer.fen.get());
        let taken = match Status::from_wire(answer.status) {
            Some(Status::Busy | Status::OutcomeUnknown) => return Taken::Busy,
            Some(Status::Miss) if op == Op::Shake => {
                self.is_dry = true;
                Taken::Miss
            }
            Some(Status::Ok) if op == Op::Shake && packet != 0 => {
                self.packets.push(packet);
                Taken::Won
            }
            Some(Status::Ok) if op == Op::Open && packet == self.packets[self.opened + index] && fen > 0 => {
                Taken::Opened(fen)
            }
            _ => Taken::Wrong,
        };
        self.waits &= !(1 << index);
        if self.waits == 0 && op == Op::Open {
            self.opened += usize::from(self.count);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use zerocopy::FromZeros as _;

    fn user() -> User {
        User::new(&floor::User::strangers(1, &mut redpkt_proto::Rng::seed_from_u64(1)).remove(0))
    }

    /// The server's answer to the request of a frame.
    fn answer(user: &User, frame: &Frame, status: Status, packet: u64, fen: u64) -> Frame {
        let mut frame = *frame;
        open(&user.key, &mut frame).unwrap();
        let request: Request = frame.body();
        let header = Header::new(7, Direction::ToClient, Op::from_wire(frame.header.op).unwrap());
        let mut answer = Answer::new_zeroed();
        (answer.req, answer.status) = (request.req, status as u8);
        (answer.packet, answer.fen) = (packet.into(), fen.into());
        let mut frame = Frame::new(header, &answer);
        seal(&user.key, &mut frame);
        frame
    }

    /// Expect: what is won is opened, each answer counts once, and what has none is asked for again.
    #[test]
    fn packets_are_won_and_then_opened() {
        let (mut user, mut out) = (user(), redpkt_proto::client::datagram_buffer());
        assert_eq!(user.ask(7, Op::Shake, 3, 5, &mut out), 3);
        for (at, packet) in [(2, 30), (0, 10)] {
            let mut told = answer(&user, &out[at], Status::Ok, packet, 0);
            assert_eq!(user.take(&mut told.clone(), Op::Shake), Taken::Won);
            assert_eq!(user.take(&mut told, Op::Shake), Taken::Late);
        }
        let mut busy = answer(&user, &out[1], Status::Busy, 0, 0);
        assert_eq!((user.take(&mut busy, Op::Shake), user.waits()), (Taken::Busy, true));
        assert_eq!(user.ask_again(7, Op::Shake, &mut out), 1);
        let mut miss = answer(&user, &out[0], Status::Miss, 0, 0);
        assert_eq!((user.take(&mut miss, Op::Shake), user.waits()), (Taken::Miss, false));
        assert!(!user.has_more(Op::Shake) && user.has_more(Op::Open));
        assert_eq!(user.packets(), [30, 10]);
        assert_eq!(user.ask(7, Op::Open, 8, 6, &mut out), 2);
        let mut other = answer(&user, &out[0], Status::Ok, 10, 9);
        assert_eq!(user.take(&mut other, Op::Open), Taken::Wrong, "another packet than was asked for");
        let mut second = answer(&user, &out[1], Status::Ok, 10, 4);
        assert_eq!(user.take(&mut second, Op::Open), Taken::Opened(4));
        assert!(!user.has_more(Op::Open) && !user.waits());
        out[0].zero();
        assert_eq!(user.take(&mut out[0], Op::Open), Taken::Wrong);
    }
}
