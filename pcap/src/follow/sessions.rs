//! Session frames: which key opens them, and what they say of seqs, requests and answers.

use super::seen::{AnswerSeen, Opening, RequestSeen, Seen, Sink, Why};
use super::users::Session;
use super::window::Place;
use super::{Batch, Follower, direction};
use crate::datagram::Datagram;
use redpkt::net::lanes::{LANES, Lanes as Cipher};
use redpkt_proto::body::{Request, Send, Status};
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Op};
use zerocopy::FromZeros as _;

/// Which frame of a batch.
#[derive(Clone, Copy)]
pub struct At {
    /// Which record.
    pub item: usize,
    /// Which of its frames.
    pub frame: usize,
    /// What it is about.
    pub op: Op,
}

/// A frame on its way through the cipher.
#[derive(Clone, Copy)]
struct Pending {
    at: At,
    user_at: usize,
    /// Of the session whose key it is tried with.
    session_number: u32,
}

/// Frames that are opened side by side: they are bound by latency, and four take little longer than one.
pub struct Lanes {
    cipher: Option<Cipher>,
    frames: [Frame; LANES],
    pending: [Pending; LANES],
    len: usize,
}

impl Lanes {
    /// Empty ones.
    pub fn new() -> Lanes {
        let at = At { item: 0, frame: 0, op: Op::Keepalive };
        let pending = [Pending { at, user_at: 0, session_number: 0 }; LANES];
        Lanes { cipher: Cipher::detect(), frames: <[Frame; LANES]>::new_zeroed(), pending, len: 0 }
    }
}

/// What a frame that is open does.
#[derive(Clone, Copy, Default)]
struct Effect {
    place: Option<Place>,
    request: Option<RequestSeen>,
    answer: Option<AnswerSeen>,
}

impl Follower {
    /// A session frame. It is told when its lane is through.
    #[inline]
    pub(super) fn sealed(&mut self, batch: Batch<'_>, at: At, sink: &mut impl Sink) {
        let datagram = batch.datagram(at.item);
        let frame = &batch.frames(datagram).expect("it was checked")[at.frame];
        let (id, hash) = (frame.header.user.get(), self.hashes[at.item]);
        match self.users.find(id, hash) {
            Some(user_at) if self.users.get(user_at).session.has_key => {
                let session_number = self.users.get(user_at).session.number;
                let lane = self.lanes.len;
                self.lanes.frames[lane] = *frame;
                self.lanes.pending[lane] = Pending { at, user_at, session_number };
                self.lanes.len += 1;
                if self.lanes.len == LANES {
                    self.flush(batch, sink);
                }
            }
            _ if self.keys.are_none() => self.taken_at_its_word(datagram, frame, at.op, hash, sink),
            found => {
                self.flush(batch, sink);
                self.try_others(datagram, frame, at.op, found, hash, sink);
            }
        }
    }

    /// Opens what is in the lanes and tells of it, in its order.
    #[inline]
    pub(super) fn flush(&mut self, batch: Batch<'_>, sink: &mut impl Sink) {
        let len = std::mem::take(&mut self.lanes.len);
        if len == 0 {
            return;
        }
        let mut frames = self.lanes.frames;
        let pending = self.lanes.pending;
        let is_open = self.open_lanes(&pending, &mut frames, len);
        for lane in 0..len {
            let Pending { at, user_at, session_number } = pending[lane];
            let datagram = batch.datagram(at.item);
            // A frame before it may have shown two other sessions of this user, so that its own is no longer kept.
            if is_open[lane] && self.session(user_at, session_number).is_some() {
                self.opened(datagram, &frames[lane], at.op, user_at, session_number, sink);
            } else {
                let frame = &batch.frames(datagram).expect("it was checked")[at.frame];
                self.try_others(datagram, frame, at.op, Some(user_at), self.hashes[at.item], sink);
            }
        }
    }

    #[inline]
    fn open_lanes(
        &self,
        pending: &[Pending; LANES],
        frames: &mut [Frame; LANES],
        len: usize,
    ) -> [bool; LANES] {
        // Lanes that are not in use get the first one's key.
        let key = |lane: usize| self.users.key(pending[if lane < len { lane } else { 0 }].user_at);
        match self.lanes.cipher {
            Some(cipher) if len > 1 => cipher.open(&std::array::from_fn(key), frames),
            _ => std::array::from_fn(|lane| lane < len && seal::open(key(lane), &mut frames[lane]).is_ok()),
        }
    }

    /// A frame that the newest key did not open, or whose user has none: the session before, then the key log.
    fn try_others(
        &mut self,
        datagram: &Datagram,
        frame: &Frame,
        op: Op,
        found: Option<usize>,
        hash: u32,
        sink: &mut impl Sink,
    ) {
        let mut hint = 0;
        if let Some(at) = found {
            let (user, rest) = self.users.whole(at);
            hint = rest.welcome;
            // The newest may have become so while this frame was on its way.
            let sessions = [&user.session, &rest.previous];
            let open = sessions
                .into_iter()
                .filter(|session| session.has_key)
                .find_map(|session| Some((opened_with(&session.key, frame)?, session.number)));
            if let Some((open, number)) = open {
                return self.opened(datagram, &open, op, at, number, sink);
            }
        }
        let id = frame.header.user.get();
        let logged = self.keys.log.as_ref().and_then(|log| {
            log.candidates(id, hint, datagram.time_ns)
                .find_map(|logged| Some((opened_with(&logged.key, frame)?, logged.clone())))
        });
        if let Some((open, logged)) = logged {
            let at = self.find_or_add(id, hash);
            let from_the_beginning = self.users.whole(at).1.welcome == logged.session_number;
            self.begin_session(at, Some(logged.key), logged.session_number, from_the_beginning);
            return self.opened(datagram, &open, op, at, logged.session_number, sink);
        }
        let has_key = found.is_some_and(|at| self.users.get(at).session.has_key) || self.keys.has_logged(id);
        let why = if has_key { Why::Tag } else { Why::NoKey };
        tell(datagram, frame, op, Opening::Sealed(why), 0, Effect::default(), sink);
    }

    /// There is no key at all: what the header says is taken for true.
    fn taken_at_its_word(
        &mut self,
        datagram: &Datagram,
        frame: &Frame,
        op: Op,
        hash: u32,
        sink: &mut impl Sink,
    ) {
        let at = self.find_or_add(frame.header.user.get(), hash);
        let session = &mut self.users.get(at).session;
        let place = session.window(direction(datagram)).take(frame.header.seq.get(), &mut self.found.lost);
        let effect = Effect { place: Some(place), ..Effect::default() };
        tell(datagram, frame, op, Opening::Sealed(Why::NoKey), 0, effect, sink);
    }

    /// A session begins; an older one than the newest takes the place of the one before it.
    pub(super) fn begin_session(
        &mut self,
        at: usize,
        key: Option<SessionKey>,
        number: u32,
        from_the_beginning: bool,
    ) {
        let (user, rest) = self.users.whole(at);
        let begun = Session::begun(key, number, from_the_beginning);
        let before =
            if number < user.session.number { begun } else { std::mem::replace(&mut user.session, begun) };
        let gone = std::mem::replace(&mut rest.previous, before);
        self.found.lost += gone.missing();
        self.found.sessions += 1;
    }

    /// A frame is open, in the session of that number.
    #[inline]
    fn opened(
        &mut self,
        datagram: &Datagram,
        open: &Frame,
        op: Op,
        user_at: usize,
        number: u32,
        sink: &mut impl Sink,
    ) {
        let direction = direction(datagram);
        let seq = open.header.seq.get();
        let place = {
            let session = self.session(user_at, number).expect("it has opened a frame");
            let mut lost = 0;
            let place = session.window(direction).take(seq, &mut lost);
            self.found.lost += lost;
            place
        };
        let mut effect = Effect { place: Some(place), ..Effect::default() };
        if !matches!(place, Place::Duplicate | Place::TooOld) && is_request(op) {
            match direction {
                Direction::ToServer => {
                    effect.request = Some(self.request(datagram, open, op, user_at, number));
                }
                Direction::ToClient => effect.answer = Some(self.answer(datagram, open, user_at, number)),
            }
        }
        tell(datagram, open, op, Opening::Opened, number, effect, sink);
    }

    /// The newest session or the one before, by its number.
    #[inline]
    fn session(&mut self, at: usize, number: u32) -> Option<&mut Session> {
        if self.users.get(at).session.number == number {
            return Some(&mut self.users.get(at).session);
        }
        let previous = &mut self.users.whole(at).1.previous;
        (previous.number == number && previous.has_key).then_some(previous)
    }

    #[inline]
    fn request(
        &mut self,
        datagram: &Datagram,
        open: &Frame,
        op: Op,
        user_at: usize,
        number: u32,
    ) -> RequestSeen {
        let (req, attempt) = if op == Op::Send {
            let send: Send = open.body();
            (u64::from(number) << 32 | u64::from(send.counter.get()), open.header.load_level)
        } else {
            // RELAY has both at the same place.
            let request: Request = open.body();
            (request.req.get(), request.attempt)
        };
        // What was first sent in a session that is no longer kept can only be told by its attempt.
        let is_new = match self.session(user_at, (req >> 32) as u32) {
            Some(session) => session.requests.saw(req as u32),
            None => attempt == 0,
        };
        if is_new {
            self.waiting.add(open.header.user.get(), req, op, datagram.time_ns);
        }
        RequestSeen { req, attempt, is_new, is_retransmission: attempt > 0 || !is_new }
    }

    #[inline]
    fn answer(&mut self, datagram: &Datagram, open: &Frame, user_at: usize, number: u32) -> AnswerSeen {
        // Answers, entries of the history and answers to RELAY have req and status at the same places.
        let answer: redpkt_proto::body::Answer = open.body();
        let (req, status) = (answer.req.get(), Status::from_wire(answer.status));
        let is_final = !matches!(status, Some(Status::Busy | Status::Incomplete | Status::OutcomeUnknown));
        let made_in = (req >> 32) as u32;
        let is_first_final = is_final
            && self
                .session(user_at, made_in)
                .is_some_and(|session| session.requests.finished(req as u32) == Some(true));
        let response = self
            .waiting
            .answered(open.header.user.get(), req)
            .map(|(op, sent_ns)| (op, datagram.time_ns.saturating_sub(sent_ns)));
        AnswerSeen { req, status, is_first_final, is_of_this_session: made_in == number, response }
    }
}

/// Whether it is asked and answered with a req.
fn is_request(op: Op) -> bool {
    use Op::*;
    matches!(op, Shake | Open | Send | Share | Grab | Balance | History | Invites | Relay | Ask)
}

fn opened_with(key: &SessionKey, frame: &Frame) -> Option<Frame> {
    let mut open = *frame;
    seal::open(key, &mut open).ok()?;
    Some(open)
}

#[inline]
fn tell(
    datagram: &Datagram,
    frame: &Frame,
    op: Op,
    opening: Opening,
    session_number: u32,
    effect: Effect,
    sink: &mut impl Sink,
) {
    let Effect { place, request, answer } = effect;
    let direction = direction(datagram);
    sink.frame(&Seen {
        datagram,
        frame,
        op,
        direction,
        opening,
        session_number,
        place,
        request,
        answer,
        is_handshake_again: false,
    });
}
