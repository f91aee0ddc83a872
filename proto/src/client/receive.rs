//! What a session makes of the frames it gets. Whatever is wrong with them is counted and changes nothing.

use super::class::Class;
use super::event::{Event, Outcome, Reply};
use super::join::{Joining, Phase};
use super::rto::below;
use super::session::{Session, answered};
use super::verdict::{Verdict, verdict};
use crate::body::{Answer, Challenge, Invite, Keepalive, PathProof, Refusal, RefusalCode, Status, Welcome};
use crate::frame::{VERSION, flags};
use crate::replay::{ReplayWindow, Replayed};
use crate::seal::{self, BadTag};
use crate::{Direction, FRAMES_PER_DATAGRAM_MAX, Frame, Now, Op, handshake};

/// The longest wait that an unsealed refusal can ask for. It is no proof, so it must not stop a user for long.
const UNSEALED_RETRY_AFTER_MS_MAX: u32 = 30_000;
const MS: u64 = 1_000_000;

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rejected {
    BadTag,
    Replayed,
    Unexpected,
    Late,
}

impl From<BadTag> for Rejected {
    fn from(_: BadTag) -> Rejected {
        Rejected::BadTag
    }
}

impl From<Replayed> for Rejected {
    fn from(_: Replayed) -> Rejected {
        Rejected::Replayed
    }
}

impl Session {
    /// Takes in the frames of one datagram. They are opened where they lie.
    pub fn receive(&mut self, now: Now, frames: &mut [Frame], rng: &mut crate::Rng, events: &mut Vec<Event>) {
        for frame in frames {
            let Err(rejected) = self.receive_frame(now, frame, rng, events) else { continue };
            let counter = match rejected {
                Rejected::BadTag => &mut self.counters.bad_tag,
                Rejected::Replayed => &mut self.counters.replayed,
                Rejected::Unexpected => &mut self.counters.unexpected,
                Rejected::Late => &mut self.counters.late,
            };
            *counter = counter.saturating_add(1);
        }
        self.show_hint(now, events);
    }

    fn receive_frame(
        &mut self,
        now: Now,
        frame: &mut Frame,
        rng: &mut crate::Rng,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejected> {
        let header = frame.header;
        if header.user.get() != self.ticket.user || header.direction() != Direction::ToClient {
            return Err(Rejected::Unexpected);
        }
        match Op::from_wire(header.op).ok_or(Rejected::Unexpected)? {
            // An ERROR may tell us that our version is not spoken, so its own is not asked for.
            Op::Error => self.refused(now, &frame.body(), rng, events),
            _ if header.version() != VERSION => Err(Rejected::Unexpected),
            Op::Challenge => self.challenged(now, frame),
            Op::Welcome => self.welcomed(now, frame, rng, events),
            Op::Stale => self.lost(now, &frame.body(), rng),
            op if op.is_for_client() => {
                self.open(frame)?;
                self.heard_level(now, header.load_level, rng);
                let taken = match op {
                    Op::Keepalive => self.kept_alive(now, &frame.body(), events),
                    Op::Path => self.asked_for_path(&frame.body()),
                    Op::Invite => self.invited(&frame.body(), events),
                    // Not followed yet. The server has to go on serving whoever ignores it.
                    Op::Redirect => Ok(()),
                    _ => self.answered(now, op, frame, rng, events),
                };
                self.heard(now);
                taken
            }
            _ => Err(Rejected::Unexpected),
        }
    }

    /// Verifies and decrypts a session frame; only then the replay window moves.
    fn open(&mut self, frame: &mut Frame) -> Result<(), Rejected> {
        let key = self.key.as_ref().ok_or(Rejected::Unexpected)?;
        let seq = frame.header.seq.get();
        self.replay.check(seq)?;
        seal::open(key, frame)?;
        self.replay.accept(seq);
        Ok(())
    }

    /// CHALLENGE: takes its cookie, if HELLO waits for it. Another one for the same HELLO comes too late.
    fn challenged(&mut self, now: Now, frame: &Frame) -> Result<(), Rejected> {
        let joining = self.joining.as_mut().filter(|joining| joining.awaits(Phase::Hello));
        let joining = joining.ok_or(Rejected::Unexpected)?;
        handshake::check(&self.ticket.secret, frame, &joining.client_random)?;
        if let Some(rtt_ns) = joining.rtt_ns(now) {
            self.rto.sample(rtt_ns);
        }
        joining.challenged(now, frame.body::<Challenge>().cookie);
        self.refused = false;
        self.silent_since_ns = now.mono_ns.max(1);
        Ok(())
    }

    /// WELCOME: the new session takes the old one's place, and its requests along.
    fn welcomed(
        &mut self,
        now: Now,
        frame: &Frame,
        rng: &mut crate::Rng,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejected> {
        let joining = self.joining.as_ref().filter(|joining| joining.awaits(Phase::Join));
        let joining = joining.ok_or(Rejected::Unexpected)?;
        handshake::check(&self.ticket.secret, frame, &joining.client_random)?;
        let (rtt_ns, target) = (joining.rtt_ns(now), joining.target);
        let welcome: Welcome = frame.body();
        let (user, number) = (self.ticket.user, welcome.session_number.get());
        let (ours, theirs) = (&joining.client_random, &welcome.server_random);
        self.key = Some(handshake::session_key(&self.ticket.secret, user, ours, theirs, number));
        self.joining = None;
        self.replay = ReplayWindow::new();
        self.seq = 0;
        self.number = number;
        // The counter goes on through all sessions, so that a server whose numbers come again (its clock was
        // set back) is never given a req twice; it starts over when it is half used up, which takes years.
        if self.counter > u32::MAX / 2 {
            self.counter = 0;
        }
        self.keepalive_s = welcome.keepalive_s.get();
        self.in_flight_max = welcome.in_flight_max.max(1);
        let frames_max = welcome.frames_per_datagram_max.min(self.config.frames_per_datagram);
        self.frames_per_datagram = frames_max.clamp(1, FRAMES_PER_DATAGRAM_MAX as u8);
        (self.keepalive_sent_ns, self.keepalive_tries, self.silent_since_ns) = (0, 0, 0);
        (self.path_cookie, self.prove_path, self.stale, self.busy) = (None, false, false, false);
        self.refused = false;
        self.sent = Default::default();
        if self.home != target {
            self.moved(now, target);
        }
        self.heard_level(now, frame.header.load_level, rng);
        self.in_flight.resume(now);
        self.keep_pauses();
        events.push(Event::Joined {
            session_number: number,
            server_wall_ms: welcome.server_wall_ms.get(),
            shakes_per_s: welcome.shakes_per_s.get(),
        });
        if let Some(rtt_ns) = rtt_ns {
            self.rto.sample(rtt_ns);
            events.push(clock(now, welcome.server_wall_ms.get(), rtt_ns));
        }
        Ok(())
    }

    /// The session is with another server now, and so is its load. That one knows nothing of the requests that
    /// were made of the one before, and would say that they have not been done, which may be wrong: they end.
    fn moved(&mut self, now: Now, target: u8) {
        self.home = target;
        self.load = None;
        self.in_flight.give_up(now);
    }

    /// STALE: the server does not know the session. Believed only of one who has seen what we sent.
    fn lost(&mut self, now: Now, refusal: &Refusal, rng: &mut crate::Rng) -> Result<(), Rejected> {
        if !self.may_send() || self.take_sent(&refusal.refused_tag).is_none() {
            return Err(Rejected::Unexpected);
        }
        self.stale = true;
        let retry_after_ms = refusal.retry_after_ms.get().min(UNSEALED_RETRY_AFTER_MS_MAX);
        let wait_ns = u64::from(retry_after_ms) * MS + below(rng, self.config.rejoin_wait_ns_max);
        self.rejoin_at(now.mono_ns.saturating_add(wait_ns), self.home, rng);
        Ok(())
    }

    /// ERROR: no session for us now. Believed only of one who has seen our handshake frame, and never for good:
    /// whoever is on the path has seen it too.
    fn refused(
        &mut self,
        now: Now,
        refusal: &Refusal,
        rng: &mut crate::Rng,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejected> {
        let code = RefusalCode::from_wire(refusal.code).ok_or(Rejected::Unexpected)?;
        let retry_after_ms = refusal.retry_after_ms.get().min(UNSEALED_RETRY_AFTER_MS_MAX);
        let joining = self.joining.as_ref().filter(|joining| joining.sent_last(&refusal.refused_tag));
        let Some(joining) = joining else {
            // Only Load refuses session frames. Who does not obey ignores it, as clients did before there was one.
            if code != RefusalCode::Load || !self.config.obeys || !self.may_send() {
                return Err(Rejected::Unexpected);
            }
            let op = self.take_sent(&refusal.refused_tag).ok_or(Rejected::Unexpected)?;
            self.shed(now, op, u64::from(retry_after_ms) * MS, rng);
            return Ok(());
        };
        let retries = matches!(code, RefusalCode::Full | RefusalCode::Busy | RefusalCode::Load);
        let wait_ns_min = if retries { self.config.rto_ns_initial } else { self.config.refused_wait_ns };
        let wait_ns = (u64::from(retry_after_ms) * MS).max(wait_ns_min);
        let wait_ns = if retries && joining.has_another(&self.config) {
            // The next server has not been asked, and has not wished for a wait.
            below(rng, self.config.rejoin_wait_ns_max)
        } else {
            wait_ns + below(rng, wait_ns)
        };
        let due_ns = now.mono_ns.saturating_add(wait_ns);
        let next = if retries {
            joining.elsewhere(due_ns, &self.config, rng)
        } else {
            Joining::at(due_ns, joining.target, rng)
        };
        self.joining = Some(next);
        (self.refused, self.busy) = (!retries, retries);
        if retries {
            self.silent_since_ns = 0;
        }
        events.push(Event::JoinRefused { code, retry_after_ms, retries });
        Ok(())
    }

    /// KEEPALIVE came back. Its token is our clock when it was sent, and the seal says that it is ours; 0
    /// answers PATH_OK, is no time, and says that the address is proved.
    fn kept_alive(&mut self, now: Now, body: &Keepalive, events: &mut Vec<Event>) -> Result<(), Rejected> {
        if body.token.get() == 0 {
            self.prove_path = false;
            (self.keepalive_sent_ns, self.keepalive_tries) = (0, 0);
            return Ok(());
        }
        if self.keepalive_sent_ns == 0 {
            return Err(Rejected::Late);
        }
        let rtt_ns = now.mono_ns.checked_sub(body.token.get()).ok_or(Rejected::Unexpected)?;
        self.rto.sample(rtt_ns);
        (self.keepalive_sent_ns, self.keepalive_tries) = (0, 0);
        events.push(clock(now, body.server_wall_ms.get(), rtt_ns));
        Ok(())
    }

    /// PATH, which a KEEPALIVE from a new address gets: its cookie goes back at once.
    fn asked_for_path(&mut self, body: &PathProof) -> Result<(), Rejected> {
        self.path_cookie = Some(body.cookie);
        self.prove_path = false;
        (self.keepalive_sent_ns, self.keepalive_tries) = (0, 0);
        Ok(())
    }

    /// INVITE: told to the app, and acknowledged each time, because the last INVITE_OK may be lost.
    fn invited(&mut self, body: &Invite, events: &mut Vec<Event>) -> Result<(), Rejected> {
        let packet = body.packet.get();
        if packet == 0 {
            return Err(Rejected::Unexpected);
        }
        self.invitations.push(packet);
        events.push(Event::Invited {
            packet,
            from: body.from.get(),
            expiry_s: body.expiry_s.get(),
            shares: body.shares.get(),
            total_fen: body.total_fen.get(),
        });
        Ok(())
    }

    /// An answer to a request: a round-trip sample, a sign for those sent before it, and usually the end.
    fn answered(
        &mut self,
        now: Now,
        op: Op,
        frame: &Frame,
        rng: &mut crate::Rng,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejected> {
        if self.keepalive_sent_ns == 0 {
            self.prove_path |= frame.header.flags & flags::PROVE_PATH != 0;
        }
        let answer: Answer = frame.body();
        let index = self.in_flight.index_of(answer.req.get()).ok_or(Rejected::Late)?;
        let pending = self.in_flight.get_mut(index);
        let verdict = verdict(op, frame, pending, self.number).ok_or(Rejected::Unexpected)?;
        let (waited, class) = (pending.call.waits_for_disk(), Class::of(&pending.call));
        let (rtt_ns, answered_one) =
            (pending.rtt_ns(answer.attempt, now), pending.transmission(answer.attempt));
        if let Some(rtt_ns) = rtt_ns {
            self.rto.sample(rtt_ns);
        }
        let is_busy = verdict == Verdict::Again(Status::Busy);
        let outcome = match verdict {
            Verdict::Final(outcome) => Some(outcome),
            Verdict::Again(status) => {
                let rto_ns = self.rto.timeout_ns(&self.config);
                let retry_after_ns = u64::from(answer.retry_after_ms.get()) * MS;
                pending.put_off((status, answer.attempt, retry_after_ns), now, rto_ns, &self.config, rng);
                // Nothing more would be sent before the deadline and nothing was done: say so now.
                let is_over = pending.due_ns >= pending.deadline_ns && pending.is_surely_not_done();
                is_over.then_some(Outcome::Known(Reply::of(Status::Busy)))
            }
        };
        self.busy = is_busy;
        self.heard_answer(now, class, is_busy, rng);
        if let Some(outcome) = outcome {
            let pending = self.in_flight.remove(index);
            events.push(answered(pending, outcome, rtt_ns));
        }
        if let Some(answered_one) = answered_one {
            self.in_flight.overtaken_by(answered_one, waited, now, &self.rto);
        }
        Ok(())
    }
}

/// A clock sample: the server's wall time was read half a round trip ago.
fn clock(now: Now, server_wall_ms: u64, rtt_ns: u64) -> Event {
    let ours_ms = now.wall_ms.saturating_sub(rtt_ns / 2 / MS);
    Event::Clock { offset_ms: server_wall_ms.wrapping_sub(ours_ms) as i64, rtt_ns }
}
