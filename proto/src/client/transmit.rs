//! What a session sends, one datagram at a time.

use super::class::Class;
use super::in_flight::{Due, Pending, Timer};
use super::session::{SEQ_MAX, SentFrame, Session};
use crate::body::{Body, InviteOk, Keepalive, PathProof};
use crate::{Direction, FRAMES_PER_DATAGRAM_MAX, Frame, Header, Now, Op, seal};

impl Session {
    /// Writes the frames of the next datagram into `out` and returns how many; 0 when nothing is to be sent
    /// now. It has been sent when this returns, so each datagram goes out once, or is lost.
    pub fn transmit(
        &mut self,
        now: Now,
        rng: &mut crate::Rng,
        out: &mut [Frame; FRAMES_PER_DATAGRAM_MAX],
    ) -> usize {
        if self.may_send() && self.is_used_up() {
            self.rejoin_at(now.mono_ns, self.home, rng);
            self.stale = self.seq >= SEQ_MAX;
        }
        if self.transmit_handshake(now, rng, out) {
            self.target = self.joining.as_ref().map_or(self.home, |joining| joining.target);
            self.note_sent(now, true);
            return 1;
        }
        if !self.may_send() {
            return 0;
        }
        let mut count = 0;
        if let Some(cookie) = self.path_cookie.take() {
            self.put(Op::PathOk, &PathProof { cookie, reserved: [0; 20] }, &mut out[count]);
            count += 1;
        }
        count += self.transmit_requests(now, rng, &mut out[count..]);
        count += self.transmit_keepalive(now, count, out);
        // INVITE_OK is not answered, so silence after it means nothing.
        let is_awaiting = count > 0;
        count += self.transmit_invite_oks(count, out);
        if count > 0 {
            let tag = *out[0].tag.first_chunk().expect("a tag is longer");
            self.sent = [SentFrame { op: out[0].header.op, tag }, self.sent[0]];
            self.target = self.home;
            self.note_sent(now, is_awaiting);
        }
        count
    }

    /// HELLO or JOIN, when due, in a datagram of its own.
    fn transmit_handshake(&mut self, now: Now, rng: &mut crate::Rng, out: &mut [Frame]) -> bool {
        let Some(joining) = self.joining.as_mut().filter(|joining| joining.due_ns <= now.mono_ns) else {
            return false;
        };
        out[0] = joining.frame(&self.ticket, &self.config, now, rng);
        if joining.is_repeating() {
            self.counters.retransmissions = self.counters.retransmissions.saturating_add(1);
        }
        true
    }

    /// The requests that are due, as many as fit.
    fn transmit_requests(&mut self, now: Now, rng: &mut crate::Rng, out: &mut [Frame]) -> usize {
        let config = &self.config;
        let doublings_max =
            if self.joining.is_some() { config.doublings_max_suspect } else { config.doublings_max };
        let timer = Timer { rto_ns: self.rto_ns(), rto_ns_max: config.rto_ns_max, doublings_max };
        let Session { in_flight, key: Some(key), seq, number, counters, ticket, load, .. } = self else {
            return 0;
        };
        let used = FRAMES_PER_DATAGRAM_MAX - out.len();
        let most = usize::from(self.frames_per_datagram).min(FRAMES_PER_DATAGRAM_MAX).saturating_sub(used);
        let due = |pending: &&mut Pending| pending.due_ns <= now.mono_ns && pending.deadline_ns > now.mono_ns;
        let (mut count, mut unheard) = (0, 0);
        for pending in in_flight.iter_mut().filter(due) {
            let frames = pending.frame_count(*number);
            // A SEND goes whole. One that does not fit beside others finds the next datagram empty.
            let Some(out) = out[..most].get_mut(count..count + frames) else { continue };
            if let Some(load) = load
                && let Err(until_ns) = load.let_out(now, pending)
            {
                pending.wait_until(until_ns);
                continue;
            }
            let first_seq = *seq + 1;
            pending.write(ticket.user, *number, first_seq, out);
            out.iter_mut().for_each(|frame| seal::seal(key, frame));
            *seq += frames as u32;
            count += frames;
            if pending.due != Due::New || pending.transmissions > 0 {
                let again = counters.retransmissions.saturating_add(frames as u32);
                counters.retransmissions = again;
            }
            pending.sent(now, first_seq, &timer, rng);
            unheard += usize::from(pending.is_unheard() && Class::of(&pending.call) == Class::Shake);
        }
        if unheard > 0 {
            self.take_as_refused(now, unheard, rng);
        }
        count
    }

    /// INVITE_OK for the invitations that have come, as many as there is room for.
    fn transmit_invite_oks(&mut self, used: usize, out: &mut [Frame]) -> usize {
        let most = usize::from(self.frames_per_datagram).min(out.len());
        let mut count = 0;
        while used + count < most
            && let Some(packet) = self.invitations.pop()
        {
            let body = InviteOk { packet: packet.into(), reserved: [0; 24] };
            self.put(Op::InviteOk, &body, &mut out[used + count]);
            count += 1;
        }
        count
    }

    /// KEEPALIVE, when it is due and there is room; requests that go out are sign of life enough.
    fn transmit_keepalive(&mut self, now: Now, count: usize, out: &mut [Frame]) -> usize {
        let is_idle = self.keepalive_sent_ns == 0 && !self.prove_path;
        let has_room = count < usize::from(self.frames_per_datagram).min(out.len());
        if self.keepalive_due_ns() > now.mono_ns || !has_room || (is_idle && count > 0) {
            return 0;
        }
        let token = now.mono_ns.max(1);
        let body = Keepalive { token: token.into(), server_wall_ms: 0.into(), reserved: [0; 16] };
        self.put(Op::Keepalive, &body, &mut out[count]);
        if self.keepalive_sent_ns != 0 {
            self.counters.retransmissions = self.counters.retransmissions.saturating_add(1);
        }
        self.keepalive_sent_ns = token;
        self.keepalive_tries = self.keepalive_tries.saturating_add(1);
        self.prove_path = false;
        1
    }

    /// Seals a frame under a new seq.
    fn put<B: Body>(&mut self, op: Op, body: &B, out: &mut Frame) {
        let Some(key) = &self.key else { return };
        self.seq += 1;
        let mut header = Header::new(self.ticket.user, Direction::ToServer, op);
        header.seq = self.seq.into();
        *out = Frame::new(header, body);
        seal::seal(key, out);
    }

    fn note_sent(&mut self, now: Now, is_awaiting: bool) {
        self.last_sent_ns = now.mono_ns;
        if is_awaiting && self.silent_since_ns == 0 {
            self.silent_since_ns = now.mono_ns.max(1);
        }
    }
}
