//! What the measuring client keeps of each user, and the frames it makes and checks with it.

use redpkt_proto::body::{Answer, Refusal, RefusalCode, Request, Status};
use redpkt_proto::seal::{SessionKey, open, seal};
use redpkt_proto::{Direction, Frame, Header, Op, Rng};

/// One user with a session and at most one request on its way: a cache line.
#[repr(align(64))]
pub struct User {
    key: SessionKey,
    session_number: u32,
    /// Low half of the newest req.
    counter: u32,
    /// Of the newest frame.
    seq: u32,
    /// Transmissions of the newest request before the last one.
    attempt: u8,
    /// Whether its answer is still to come.
    waits: bool,
    /// Since when its latency counts.
    since_ns: u64,
}

const _: () = assert!(size_of::<User>() == 64);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// The bare echo: the request's own frame comes back.
    Echo,
    /// The server: an answer to the shake.
    Server,
}

/// A datagram that is not the answer waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    /// The answer to a request that has its answer already, or to an earlier transmission of it.
    Late,
    /// A server that was held up for a moment has no time for it: it is sent again like one that was lost.
    Refused,
    /// Not the answer of that user's session at all.
    Wrong,
}

impl User {
    /// A session that has just begun.
    pub fn new(key: SessionKey, session_number: u32) -> User {
        User { key, session_number, counter: 0, seq: 0, attempt: 0, waits: false, since_ns: 0 }
    }

    /// `count` users whose sessions nobody else knows.
    pub fn strangers(count: usize, rng: &mut Rng) -> Vec<User> {
        (0..count).map(|_| User::new(SessionKey::from_bytes(rand::RngExt::random(rng)), 1)).collect()
    }

    /// Its key and its number, for a client of another kind.
    pub fn session(&self) -> (SessionKey, u32) {
        (self.key.clone(), self.session_number)
    }

    /// Whether a request is on its way.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The low half of the newest req.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// Begins a new shake whose latency counts from `since_ns`.
    pub fn shake(&mut self, id: u64, since_ns: u64) -> Frame {
        self.counter += 1;
        self.attempt = 0;
        self.waits = true;
        self.since_ns = since_ns;
        self.frame(id)
    }

    /// The same request again, in a new frame.
    pub fn shake_again(&mut self, id: u64) -> Frame {
        self.attempt = self.attempt.wrapping_add(1);
        self.frame(id)
    }

    fn req(&self) -> u64 {
        u64::from(self.session_number) << 32 | u64::from(self.counter)
    }

    fn frame(&mut self, id: u64) -> Frame {
        self.seq += 1;
        let mut header = Header::new(id, Direction::ToServer, Op::Shake);
        header.seq = self.seq.into();
        let request = Request {
            req: self.req().into(),
            attempt: self.attempt,
            reserved: [0; 7],
            packet: 0.into(),
            user: 0.into(),
        };
        let mut frame = Frame::new(header, &request);
        seal(&self.key, &mut frame);
        frame
    }

    /// Opens and checks the answer; since when its latency counts.
    pub fn take(&mut self, frame: &mut Frame, answerer: Answerer) -> Result<u64, Unexpected> {
        if answerer == Answerer::Server && is_refusal(frame) {
            return Err(Unexpected::Refused);
        }
        open(&self.key, frame).map_err(|_| Unexpected::Wrong)?;
        // Both begin with the req, so the work is the same.
        let answer: Answer = frame.body();
        let (direction, is_answer) = match answerer {
            Answerer::Echo => (Direction::ToServer, true),
            Answerer::Server => {
                let status = Status::from_wire(answer.status);
                (Direction::ToClient, matches!(status, Some(Status::Miss | Status::Ok)))
            }
        };
        if frame.header.direction() != direction || frame.header.op != Op::Shake as u8 || !is_answer {
            return Err(Unexpected::Wrong);
        }
        if !self.waits || answer.req.get() != self.req() {
            return Err(Unexpected::Late);
        }
        self.waits = false;
        Ok(self.since_ns)
    }
}

/// ERROR Load, which is not sealed: it was decided from the header alone.
fn is_refusal(frame: &Frame) -> bool {
    let refusal: Refusal = frame.body();
    let is_error = frame.header.direction() == Direction::ToClient && frame.header.op == Op::Error as u8;
    is_error && refusal.code == RefusalCode::Load as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use zerocopy::FromZeros as _;

    fn user() -> User {
        User::strangers(1, &mut Rng::seed_from_u64(1)).remove(0)
    }

    #[test]
    fn an_echo_is_taken_once() {
        let mut user = user();
        let frame = user.shake(7, 55);
        assert_eq!(user.take(&mut frame.clone(), Answerer::Echo), Ok(55));
        assert_eq!(user.take(&mut frame.clone(), Answerer::Echo), Err(Unexpected::Late));
    }

    #[test]
    fn what_was_sent_again_is_answered_by_either_transmission() {
        let mut user = user();
        let mut first = user.shake(7, 55);
        let mut again = user.shake_again(7);
        assert_ne!(first.header.seq, again.header.seq);
        assert_eq!(user.take(&mut first, Answerer::Echo), Ok(55));
        assert_eq!(user.take(&mut again, Answerer::Echo), Err(Unexpected::Late));
    }

    /// Expect: the server's answer is told from a frame that came back, and from another session's.
    #[test]
    fn what_is_no_answer_is_told_apart() {
        let mut user = user();
        let frame = user.shake(7, 55);
        assert_eq!(user.take(&mut frame.clone(), Answerer::Server), Err(Unexpected::Wrong));
        let refusal = Refusal { code: RefusalCode::Load as u8, ..Refusal::new_zeroed() };
        let mut refused = Frame::new(Header::new(7, Direction::ToClient, Op::Error), &refusal);
        assert_eq!(user.take(&mut refused.clone(), Answerer::Server), Err(Unexpected::Refused));
        assert_eq!(user.take(&mut refused, Answerer::Echo), Err(Unexpected::Wrong));
        let mut damaged = frame;
        damaged.body[0] ^= 1;
        assert_eq!(user.take(&mut damaged, Answerer::Echo), Err(Unexpected::Wrong));
        assert!(user.waits());
    }
}
