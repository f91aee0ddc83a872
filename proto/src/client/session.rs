//! One user's session, and its time.

use super::config::Config;
use super::event::{Call, CallError, Counters, Event, Outcome, Reply};
use super::hint::{Facts, Hint};
use super::in_flight::{Due, InFlight, Pending};
use super::invitations::Invitations;
use super::join::{Joining, Phase};
use super::load::Load;
use super::rto::{Rto, doubled};
use crate::body::{CookieBytes, Status};
use crate::replay::ReplayWindow;
use crate::seal::SessionKey;
use crate::ticket::Ticket;
use crate::{FRAMES_PER_DATAGRAM_MAX, IN_FLIGHT_MAX, Now};
use std::sync::Arc;

/// One user, from the first HELLO on, through any number of rejoins. At most 256 bytes, and 80 for each
/// request in flight.
#[derive(Debug)]
pub struct Session {
    pub(super) ticket: Ticket,
    pub(super) config: Arc<Config>,
    /// Of the newest session that the server gave.
    pub(super) key: Option<SessionKey>,
    pub(super) replay: ReplayWindow,
    pub(super) in_flight: InFlight,
    pub(super) rto: Rto,
    /// A handshake on its way: the first one, or one for the session that follows this one.
    pub(super) joining: Option<Box<Joining>>,
    /// The last two datagrams of session frames, the newest first.
    pub(super) sent: [SentFrame; 2],
    /// Kept of a server that is loaded.
    pub(super) load: Option<Box<Load>>,
    /// When the KEEPALIVE that has no answer yet was sent, which is its token; 0 if there is none.
    pub(super) keepalive_sent_ns: u64,
    pub(super) last_sent_ns: u64,
    /// Since when nothing was heard although something was sent; 0 if nothing is waited for.
    pub(super) silent_since_ns: u64,
    pub(super) number: u32,
    /// Low half of the newest req; it goes on from session to session.
    pub(super) counter: u32,
    /// Of the newest frame under this key.
    pub(super) seq: u32,
    pub(super) counters: Counters,
    /// To be sent back in PATH_OK.
    pub(super) path_cookie: Option<CookieBytes>,
    /// To be acknowledged by INVITE_OK.
    pub(super) invitations: Invitations,
    pub(super) keepalive_s: u16,
    pub(super) in_flight_max: u8,
    pub(super) frames_per_datagram: u8,
    /// KEEPALIVEs sent since one was answered.
    pub(super) keepalive_tries: u8,
    pub(super) load_level: u8,
    pub(super) hint: Hint,
    /// Which server the session is with.
    pub(super) home: u8,
    /// Which one the last datagram is for.
    pub(super) target: u8,
    /// The server wants a KEEPALIVE, to answer with PATH.
    pub(super) prove_path: bool,
    /// The server does not know this session, or its seqs are used up: nothing is sent under its key.
    pub(super) stale: bool,
    /// The server's last word was Busy: on a request, or on joining.
    pub(super) busy: bool,
    /// The server's last word on joining was that ticket or version are refused, and nothing authentic came
    /// since.
    pub(super) refused: bool,
}

const _: () = assert!(size_of::<Session>() <= 256);

/// The first frame of a datagram, in as many bytes as can still not be guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SentFrame {
    /// 0 for none.
    pub op: u8,
    /// Beginning of its tag.
    pub tag: [u8; 7],
}

/// From this seq on a new session is asked for. The seqs that are left last until it is there.
const SEQ_REJOIN: u32 = u32::MAX - (1 << 16);

/// A silence is so many times as long before it means something, of a server that is or was loaded.
const LOADED_SILENCES: u64 = 3;

/// No frame is sent with a seq above this.
pub(super) const SEQ_MAX: u32 = u32::MAX - FRAMES_PER_DATAGRAM_MAX as u32;

impl Session {
    /// A session that says HELLO as soon as it may transmit.
    pub fn new(ticket: Ticket, config: Arc<Config>, now: Now, rng: &mut crate::Rng) -> Session {
        Session {
            ticket,
            config,
            key: None,
            replay: ReplayWindow::new(),
            in_flight: InFlight::default(),
            rto: Rto::default(),
            joining: Some(Joining::at(now.mono_ns, 0, rng)),
            sent: [SentFrame::default(); 2],
            load: None,
            keepalive_sent_ns: 0,
            last_sent_ns: now.mono_ns,
            silent_since_ns: 0,
            number: 0,
            counter: 0,
            seq: 0,
            counters: Counters::default(),
            path_cookie: None,
            invitations: Invitations::default(),
            keepalive_s: 0,
            in_flight_max: 0,
            frames_per_datagram: 1,
            keepalive_tries: 0,
            load_level: 0,
            hint: Hint::Reconnecting,
            home: 0,
            target: 0,
            prove_path: false,
            stale: false,
            busy: false,
            refused: false,
        }
    }

    /// Takes a request and returns its number; its [`Event::Answered`] comes within the deadline, with
    /// [`Outcome::NotNow`] from the next [`on_timeout`](Self::on_timeout), which is due at once. The number of a
    /// call that ends so may come again after it has ended.
    pub fn call(&mut self, now: Now, call: Call) -> Result<u64, CallError> {
        if self.is_used_up() {
            return Err(CallError::SeqsUsedUp);
        }
        if !self.is_joined() {
            return Err(CallError::NotJoined);
        }
        if let Call::Send { terms } = &call {
            terms.check(self.ticket.user)?;
            let frames = 1 + terms.more() as u8;
            if frames > self.frames_per_datagram {
                return Err(CallError::SendTooLong { frames });
            }
        }
        let counter = self.counter + 1;
        let most = IN_FLIGHT_MAX.min(self.in_flight_max.into()) as usize;
        if self.in_flight.len() >= most || !self.in_flight.is_within_window(self.number, counter) {
            return Err(CallError::WindowFull);
        }
        let number = u64::from(self.number) << 32;
        let Some(due_ns) = self.admit(now, &call) else {
            // It takes no number of the wire, or a few dozen of them would leave the window behind.
            let req = number | u64::from(u32::MAX - self.in_flight.len() as u32);
            self.in_flight.push_never(req, call, now, &self.config);
            return Ok(req);
        };
        self.counter = counter;
        let req = number | u64::from(counter);
        self.in_flight.push(req, call, now, due_ns, &self.config);
        Ok(req)
    }

    /// When [`on_timeout`](Self::on_timeout) and [`transmit`](Self::transmit) have something to do, in
    /// monotonic ns: `u64::MAX` is never, any time that has passed is at once.
    pub fn timeout_ns(&self) -> u64 {
        let mut next_ns = u64::MAX;
        let mut at = |ns: u64| next_ns = next_ns.min(ns);
        if let Some(joining) = &self.joining {
            at(joining.due_ns);
            if self.silent_since_ns != 0 && self.hint != Hint::Offline {
                let offline_ns = if self.refused { self.silence_ns() } else { self.config.join_deadline_ns };
                at(self.silent_since_ns.saturating_add(offline_ns));
            }
        } else if let Some(suspect_ns) = self.suspect_ns() {
            at(suspect_ns);
        }
        if self.may_send() {
            self.in_flight.iter().for_each(|pending| at(pending.due_ns));
            at(self.keepalive_due_ns());
            if self.path_cookie.is_some() || !self.invitations.is_empty() {
                at(0);
            }
        }
        self.in_flight.iter().for_each(|pending| at(pending.deadline_ns));
        next_ns
    }

    /// Ends calls whose deadline has passed, suspects a silent session, and says what an app should show.
    pub fn on_timeout(&mut self, now: Now, rng: &mut crate::Rng, events: &mut Vec<Event>) {
        while let Some(pending) = self.in_flight.pop_expired(now) {
            let outcome = outcome_at_deadline(&pending);
            if pending.call == Call::Shake && outcome == Outcome::Unknown {
                self.heard_nothing(now);
            }
            events.push(answered(pending, outcome, None));
        }
        if self.suspect_ns().is_some_and(|at| at <= now.mono_ns) {
            self.rejoin_at(now.mono_ns, self.config.target_after(self.home), rng);
        }
        self.forget_load(now);
        self.show_hint(now, events);
    }

    /// Whether there is a session and no other is being asked for: whether calls are taken.
    pub fn is_joined(&self) -> bool {
        self.may_send() && !self.is_joining()
    }

    /// Whose session it is.
    pub fn user(&self) -> u64 {
        self.ticket.user
    }

    /// The newest session's number, if there was one.
    pub fn session_number(&self) -> Option<u32> {
        self.key.as_ref().map(|_| self.number)
    }

    /// The newest session's key, for a key log.
    pub fn key(&self) -> Option<&SessionKey> {
        self.key.as_ref()
    }

    /// Index of the server that the datagram which [`transmit`](Self::transmit) wrote last is for: below
    /// [`Config::targets`]. A session that asks another server to join goes on with its own one meanwhile.
    pub fn target(&self) -> u8 {
        self.target
    }

    /// How many calls wait for their end.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What an app can show now.
    pub fn hint(&self) -> Hint {
        self.hint
    }

    /// The load level of the newest answer: 16 × log2 of what the server takes for its queueing time, in µs.
    pub fn load_level(&self) -> u8 {
        self.load_level
    }

    /// The present retransmission timeout of a first transmission, in ns.
    pub fn rto_ns(&self) -> u64 {
        self.rto.timeout_ns(&self.config)
    }

    /// What was counted since [`new`](Self::new).
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes out the datagram that begins with a frame of this tag, if it is one that we sent last, and returns
    /// the frame's op: whoever knows the tag has seen our frames.
    pub(super) fn take_sent(&mut self, tag: &[u8; 16]) -> Option<u8> {
        let sent = self.sent.iter_mut().find(|sent| sent.op != 0 && tag.starts_with(&sent.tag))?;
        Some(std::mem::take(sent).op)
    }

    /// Whether seqs or reqs are so many that it is time for a new session.
    pub(super) fn is_used_up(&self) -> bool {
        self.seq >= SEQ_REJOIN || self.counter == u32::MAX
    }

    /// Whether session frames are sent under the present key.
    pub(super) fn may_send(&self) -> bool {
        self.key.is_some() && !self.stale
    }

    /// Whether a new session is being asked for. Not while one that was refused waits to ask again and the
    /// old one may live: that goes on as if nothing was said.
    fn is_joining(&self) -> bool {
        let goes_on = self.refused && self.may_send();
        self.joining.as_ref().is_some_and(|joining| joining.is_begun() || !goes_on)
    }

    /// Asks a target for a new session, unless that is being done or will be.
    pub(super) fn rejoin_at(&mut self, due_ns: u64, target: u8, rng: &mut crate::Rng) {
        if self.joining.is_none() {
            self.joining = Some(Joining::at(due_ns, target, rng));
            self.busy = false;
        }
    }

    /// A sealed frame came: the session lives. A rejoin is given up, if the server does not know of it.
    pub(super) fn heard(&mut self, now: Now) {
        let waits = self.in_flight.is_awaiting() || self.keepalive_sent_ns != 0;
        self.silent_since_ns = if waits { now.mono_ns } else { 0 };
        self.refused = false;
        let is_decided = self.joining.as_ref().is_some_and(|joining| joining.phase == Phase::Join);
        if !is_decided && !self.is_used_up() {
            self.joining = None;
            self.stale = false;
        }
    }

    /// When the keepalive timer runs out: for the next one, or for the one that has no answer.
    pub(super) fn keepalive_due_ns(&self) -> u64 {
        if self.is_joining() {
            u64::MAX
        } else if self.keepalive_sent_ns != 0 {
            let tries = u32::from(self.keepalive_tries).max(1);
            let wait_ns = doubled(self.rto_ns(), tries - 1, self.config.rto_ns_max);
            self.keepalive_sent_ns.saturating_add(wait_ns)
        } else if self.prove_path {
            0
        } else if self.keepalive_s == 0 {
            u64::MAX
        } else {
            self.last_sent_ns.saturating_add(u64::from(self.keepalive_s) * 1_000_000_000)
        }
    }

    /// When the session becomes suspect if nothing is heard.
    fn suspect_ns(&self) -> Option<u64> {
        let is_live = self.key.is_some() && self.joining.is_none();
        (is_live && self.silent_since_ns != 0).then(|| self.silent_since_ns.saturating_add(self.silence_ns()))
    }

    /// How long nothing may be heard before the session counts as dead, in ns.
    fn silence_ns(&self) -> u64 {
        // A loaded server loses more and is asked less often; HELLOs are the last thing that it needs.
        let times = if self.load.is_some() { LOADED_SILENCES } else { 1 };
        self.config.silence_ns(self.rto_ns()).saturating_mul(times)
    }

    /// Emits the hint if it is another than before.
    pub(super) fn show_hint(&mut self, now: Now, events: &mut Vec<Event>) {
        let is_silent_for =
            |ns| self.silent_since_ns != 0 && now.mono_ns.saturating_sub(self.silent_since_ns) >= ns;
        let is_dead = !self.may_send() || is_silent_for(self.silence_ns());
        let hint = Hint::of(Facts {
            refused: self.refused && is_dead,
            joining: self.is_joining() || self.key.is_none(),
            long_silent: is_silent_for(self.config.join_deadline_ns),
            busy: self.busy,
            load_level: self.load_level,
        });
        if hint != self.hint {
            self.hint = hint;
            events.push(Event::Hint(hint));
        }
    }
}

/// What is known of a call when its deadline passes.
fn outcome_at_deadline(pending: &Pending) -> Outcome {
    if pending.due == Due::Never {
        return Outcome::NotNow;
    }
    let status = match pending.transmissions {
        0 => Status::NotDone,
        _ if pending.is_surely_not_done() => Status::Busy,
        _ => return Outcome::Unknown,
    };
    Outcome::Known(Reply::of(status))
}

/// The event that ends a call.
pub(super) fn answered(pending: Pending, outcome: Outcome, rtt_ns: Option<u64>) -> Event {
    Event::Answered {
        req: pending.req,
        call: pending.call,
        outcome,
        sent_first_ns: pending.first_sent_ns,
        rtt_ns,
        transmissions: pending.transmissions,
    }
}
