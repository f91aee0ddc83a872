//! The handshake's state: HELLO, CHALLENGE, JOIN, WELCOME, with retransmission.

use super::config::Config;
use super::rto::backed_off;
use crate::body::{CookieBytes, Hello, Join};
use crate::ticket::Ticket;
use crate::{Direction, Frame, Now, Op, handshake};
use rand::Rng as _;

/// JOINs sent before it begins again with HELLO: the cookie may be too old by then, or our address another.
const JOIN_TRIES_MAX: u8 = 3;

/// HELLOs sent to one of several targets before the next one is asked.
const HELLO_TRIES_MAX: u8 = 2;

/// What is said next, or was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// HELLO is due, or was sent and waits for CHALLENGE.
    Hello,
    /// JOIN is due, or was sent and waits for WELCOME.
    Join,
}

/// A handshake on its way. It lives in a box, because sessions are mostly joined.
#[derive(Debug)]
pub(super) struct Joining {
    pub phase: Phase,
    /// How often this phase's frame was sent.
    tries: u8,
    /// Which server is asked.
    pub target: u8,
    /// Targets asked in vain before this one, since one gave a session or lost it.
    pub turns: u8,
    pub client_random: [u8; 8],
    cookie: CookieBytes,
    /// Of the last frame sent; zero when none waits for an answer.
    tag: [u8; 16],
    /// When the next frame is to be sent.
    pub due_ns: u64,
    sent_ns: u64,
}

impl Joining {
    /// A handshake with a target, whose HELLO is due at `due_ns`.
    pub fn at(due_ns: u64, target: u8, rng: &mut crate::Rng) -> Box<Joining> {
        let mut client_random = [0; 8];
        rng.fill_bytes(&mut client_random);
        Box::new(Joining {
            phase: Phase::Hello,
            tries: 0,
            target,
            turns: 0,
            client_random,
            cookie: CookieBytes { made: 0.into(), mac: [0; 8] },
            tag: [0; 16],
            due_ns,
            sent_ns: 0,
        })
    }

    /// The frame that is due: HELLO, JOIN, or the same one again; after JOINs without an answer the HELLO of
    /// a new handshake.
    pub fn frame(&mut self, ticket: &Ticket, config: &Config, now: Now, rng: &mut crate::Rng) -> Frame {
        let is_in_vain = match self.phase {
            Phase::Hello => config.targets > 1 && self.tries >= HELLO_TRIES_MAX,
            Phase::Join => self.tries >= JOIN_TRIES_MAX,
        };
        if is_in_vain {
            *self = *self.elsewhere(now.mono_ns, config, rng);
        }
        let (fields, client_random) = (ticket.fields, self.client_random);
        let frame = if self.phase == Phase::Join {
            let body = Join { ticket: fields, client_random, cookie: self.cookie };
            handshake::frame(
                &ticket.secret,
                ticket.user,
                Direction::ToServer,
                Op::Join,
                &body,
                &client_random,
            )
        } else {
            let body = Hello { ticket: fields, client_random, reserved: [0; 12] };
            handshake::frame(
                &ticket.secret,
                ticket.user,
                Direction::ToServer,
                Op::Hello,
                &body,
                &client_random,
            )
        };
        // Where all targets are silent the second round is slower than the first.
        let doublings = u32::from(self.tries) + u32::from(self.turns / config.targets.max(1));
        let wait_ns = backed_off(config.rto_ns_initial, doublings, config.rto_ns_max, rng);
        self.tag = frame.tag;
        self.sent_ns = now.mono_ns;
        self.due_ns = now.mono_ns.saturating_add(wait_ns);
        self.tries = self.tries.saturating_add(1);
        frame
    }

    /// A handshake with the next target, which follows this one.
    pub fn elsewhere(&self, due_ns: u64, config: &Config, rng: &mut crate::Rng) -> Box<Joining> {
        let next = Joining::at(due_ns, config.target_after(self.target), rng);
        // With one target the next one is the same, and each handshake is the first.
        let turns = if config.targets > 1 { self.turns.saturating_add(1) } else { 0 };
        Box::new(Joining { turns, ..*next })
    }

    /// Whether there is a target that has not been asked in this round.
    pub fn has_another(&self, config: &Config) -> bool {
        let targets = config.targets.max(1);
        self.turns % targets != targets - 1
    }

    /// Whether the last frame was a repetition of the one before.
    pub fn is_repeating(&self) -> bool {
        self.tries > 1
    }

    /// Goes on to JOIN, at once.
    pub fn challenged(&mut self, now: Now, cookie: CookieBytes) {
        self.phase = Phase::Join;
        self.tries = 0;
        self.cookie = cookie;
        self.tag = [0; 16];
        self.due_ns = now.mono_ns;
    }

    /// Whether it was begun: whether a frame of it was sent.
    pub fn is_begun(&self) -> bool {
        self.phase == Phase::Join || self.tries > 0
    }

    /// Whether this phase's frame was sent, so that its answer can come.
    pub fn awaits(&self, phase: Phase) -> bool {
        self.phase == phase && self.tries > 0
    }

    /// Whether `tag` is that of the frame sent last. Whoever knows it has seen that frame.
    pub fn sent_last(&self, tag: &[u8; 16]) -> bool {
        self.tries > 0 && self.tag == *tag
    }

    /// Time since the last frame was sent, if it was sent once: handshake frames do not tell their attempts
    /// apart (RFC 6298 §3).
    pub fn rtt_ns(&self, now: Now) -> Option<u64> {
        (self.tries == 1).then(|| now.mono_ns.saturating_sub(self.sent_ns))
    }
}
