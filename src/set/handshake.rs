//! HELLO and JOIN: from a ticket to a session, without keeping anything for an address that is not proved.

use super::admission;
use super::core::{Core, Job};
use super::counters::Drop;
use super::fault::{self, Fault};
use super::headers::refuse;
use super::mask::MASKED_RETRY_AFTER_MS;
use super::prefixes::Limited;
use super::sessions::SlotId;
use crate::gate::{ALL, Class};
use crate::ledger::Ledger;
use redpkt_proto::body::{Challenge, Hello, Join, RefusalCode, TicketFields, Welcome};
use redpkt_proto::cookie::Purpose;
use redpkt_proto::seal::SessionKey;
use redpkt_proto::ticket::TicketSecret;
use redpkt_proto::{
    Direction, FRAMES_PER_DATAGRAM_MAX, Frame, IN_FLIGHT_MAX, Now, Op, Path, SESSION_STEP_MS, handshake,
};

/// When a client may ask again for a place in a full SET, in ms: sessions end by idle time only, so soon
/// is no use.
const FULL_RETRY_AFTER_MS: u32 = 5_000;

/// Nobody: in lists of recipients an empty place, so no user can be that.
const NO_USER: u64 = 0;

impl<L: Ledger> Core<L> {
    /// Answers a HELLO or JOIN, in place.
    pub(super) fn handshake(&mut self, now: Now, job: &mut Job<'_>, set: u32) {
        match Op::from_wire(job.frames[0].header.op) {
            Some(Op::Hello) => self.hello(now, job),
            _ => self.join(now, job, set),
        }
    }

    /// Whether the budget of its prefix lets a handshake datagram be looked at. One that is not is not answered: its
    /// source is not proved, and an answer costs as much as the flood has cost.
    pub(super) fn admits_handshake(&mut self, now: Now, path: &Path) -> bool {
        let are_shed = self.service.gate.limits[Class::Join as usize] != ALL;
        let is_admitted = self.handshake_rate.admits_unproved(now, path, are_shed);
        if !is_admitted {
            self.counters.drop(Drop::Prefix);
            self.counters.prefix_unread += 1;
        }
        is_admitted
    }

    /// Whether a session may begin, given whether its prefix has room for it; else the JOIN is told when to come again.
    /// A replayed JOIN begins nothing, so nobody uses up the budget of others.
    fn prefix_admits(&mut self, now: Now, job: &mut Job<'_>, has_room: bool) -> bool {
        let wait_ms = if !has_room {
            self.counters.prefix_sessions += 1;
            FULL_RETRY_AFTER_MS
        } else if !self.handshake_rate.take(now, &job.path, Limited::Proved) {
            self.counters.prefix_joins += 1;
            0
        } else {
            return true;
        };
        self.counters.drop(Drop::Prefix);
        let retry_after_ms = wait_ms + admission::retry_after_ms(job.frames[0].header.user.get(), now);
        refuse(job, Op::Error, RefusalCode::Busy as u8, retry_after_ms);
        false
    }

    fn hello(&mut self, now: Now, job: &mut Job<'_>) {
        let (user, hello) = (job.frames[0].header.user.get(), job.frames[0].body::<Hello>());
        let Some(secret) = self.check_ticket(now, job, &hello.ticket, &hello.client_random) else { return };
        let cookie = self.cookies.make(Purpose::Join, now, &job.path, user, &hello.client_random);
        let challenge = Challenge { cookie, reserved: [0; 20] };
        answer(job, &secret, Op::Challenge, &challenge, &hello.client_random);
    }

    fn join(&mut self, now: Now, job: &mut Job<'_>, set: u32) {
        let (user, join) = (job.frames[0].header.user.get(), job.frames[0].body::<Join>());
        let Some(secret) = self.check_ticket(now, job, &join.ticket, &join.client_random) else { return };
        if !self.cookies.check(&join.cookie, Purpose::Join, now, &job.path, user, &join.client_random) {
            self.counters.drop(Drop::Cookie);
            return;
        }
        fault::here(Fault::Handshake);
        let id = match self.sessions.find(set, user) {
            None if !self.is_ok(set) => return self.refuse_newcomer(job),
            None if !self.prefix_admits(now, job, self.sessions.may_begin(set, &job.path)) => return,
            None => match self.sessions.add(set, user) {
                Some(id) => id,
                None => {
                    self.counters.drop(Drop::Full);
                    return refuse(job, Op::Error, RefusalCode::Full as u8, FULL_RETRY_AFTER_MS);
                }
            },
            Some(id) => {
                let number = self.sessions.get(id).number;
                let (_, key) = self.session_key(&secret, user, &join.client_random, number);
                if key == self.sessions.get(id).key {
                    return self.welcome(now, job, &secret, id, &join.client_random);
                }
                if !self.is_ok(set) {
                    return self.refuse_newcomer(job);
                }
                // A cookie made before the session began comes from an older handshake: whoever has
                // recorded that must not be able to end this session with it.
                if join.cookie.made.get() <= number {
                    if now.session_number() > number {
                        self.counters.drop(Drop::Cookie);
                    } else {
                        self.counters.drop(Drop::Rate);
                        refuse(job, Op::Error, RefusalCode::Busy as u8, SESSION_STEP_MS as u32);
                    }
                    return;
                }
                if !self.prefix_admits(now, job, self.sessions.may_move(id, &job.path)) {
                    return;
                }
                id
            }
        };
        let number = now.session_number();
        let (_, key) = self.session_key(&secret, user, &join.client_random, number);
        if let Some(key_log) = &mut self.key_log {
            key_log.log(user, number, &key);
        }
        self.sessions.begin(id, number, key, job.path, now);
        self.counters.joins += 1;
        let user = self.sessions.get(id).user;
        self.push_to_newcomer(now, user);
        self.welcome(now, job, &secret, id, &join.client_random);
    }

    /// Nobody joins a SET that is masked or drained.
    fn refuse_newcomer(&mut self, job: &mut Job<'_>) {
        self.counters.drop(Drop::Masked);
        refuse(job, Op::Error, RefusalCode::Busy as u8, MASKED_RETRY_AFTER_MS);
    }

    /// The ticket's secret, if the ticket is good and the frame's tag proves it. What may be said to an
    /// unproved address is at most one frame.
    fn check_ticket(
        &mut self,
        now: Now,
        job: &mut Job<'_>,
        ticket: &TicketFields,
        client_random: &[u8; 8],
    ) -> Option<TicketSecret> {
        let user = job.frames[0].header.user.get();
        if user == NO_USER {
            self.counters.drop(Drop::Tag);
            return None;
        }
        let Some(secret) = self.keys.secret(user, ticket) else {
            self.counters.drop(Drop::TicketKey);
            refuse(job, Op::Error, RefusalCode::TicketKey as u8, 0);
            return None;
        };
        if handshake::check(&secret, &job.frames[0], client_random).is_err() {
            self.counters.drop(Drop::Tag);
            return None;
        }
        if u64::from(ticket.expiry_s.get()) <= now.wall_s() {
            self.counters.drop(Drop::TicketExpired);
            refuse(job, Op::Error, RefusalCode::TicketExpired as u8, 0);
            return None;
        }
        Some(secret)
    }

    fn welcome(
        &mut self,
        now: Now,
        job: &mut Job<'_>,
        secret: &TicketSecret,
        id: SlotId,
        client_random: &[u8; 8],
    ) {
        let slot = self.sessions.get(id);
        let (server_random, _) = self.session_key(secret, slot.user, client_random, slot.number);
        let welcome = Welcome {
            server_random,
            session_number: slot.number.into(),
            keepalive_s: self.config.keepalive_s.into(),
            idle_s: self.config.idle_s.into(),
            server_wall_ms: now.wall_ms.into(),
            shakes_per_s: self.config.shakes_per_s.into(),
            in_flight_max: IN_FLIGHT_MAX as u8,
            frames_per_datagram_max: FRAMES_PER_DATAGRAM_MAX as u8,
            reserved: [0; 4],
        };
        answer(job, secret, Op::Welcome, &welcome, client_random);
    }

    /// Server random and key of a session: the same for the same handshake, so a repeated JOIN is known
    /// by its key and nothing else has to be kept.
    fn session_key(
        &self,
        secret: &TicketSecret,
        user: u64,
        client_random: &[u8; 8],
        number: u32,
    ) -> ([u8; 8], SessionKey) {
        let server_random = handshake::server_random(&self.random_secret, user, client_random, number);
        let key = handshake::session_key(secret, user, client_random, &server_random, number);
        (server_random, key)
    }
}

fn answer<B: redpkt_proto::body::Body>(
    job: &mut Job<'_>,
    secret: &TicketSecret,
    op: Op,
    body: &B,
    client_random: &[u8; 8],
) {
    let user = job.frames[0].header.user.get();
    let frame: Frame = handshake::frame(secret, user, Direction::ToClient, op, body, client_random);
    job.frames[0] = frame;
    job.replies = 1;
}
