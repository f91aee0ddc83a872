//! Handshakes: where sessions begin, and with server keys where their keys come from.

use super::seen::{Opening, Seen, Sink, Why};
use super::users::{Handshake, Rest};
use super::{Follower, direction};
use crate::datagram::Datagram;
use redpkt_proto::body::{Join, TicketFields, Welcome};
use redpkt_proto::ticket::TicketSecret;
use redpkt_proto::{Frame, Op, handshake};

/// What became of a frame in clear.
struct Told {
    opening: Opening,
    is_again: bool,
    session_number: u32,
}

impl Told {
    fn new(opening: Opening) -> Told {
        Told { opening, is_again: false, session_number: 0 }
    }
}

impl Follower {
    /// A frame that is not sealed. No frame may be on its way through the lanes.
    pub(super) fn clear(
        &mut self,
        datagram: &Datagram,
        frame: &Frame,
        op: Op,
        hash: u32,
        sink: &mut impl Sink,
    ) {
        let told = match op {
            Op::Hello | Op::Join => self.asked_to_join(frame, op, hash),
            Op::Challenge | Op::Welcome if self.keys.ring.is_some() => self.proved(frame, op, hash),
            Op::Welcome => self.welcome_at_its_word(frame, hash),
            _ => Told::new(Opening::Clear),
        };
        let Told { opening, is_again, session_number } = told;
        sink.frame(&Seen {
            datagram,
            frame,
            op,
            direction: direction(datagram),
            opening,
            session_number,
            place: None,
            request: None,
            answer: None,
            is_handshake_again: is_again,
        });
    }

    /// HELLO or JOIN.
    fn asked_to_join(&mut self, frame: &Frame, op: Op, hash: u32) -> Told {
        let id = frame.header.user.get();
        // HELLO has ticket and random at the same places.
        let join: Join = frame.body();
        if self.keys.ring.is_some() {
            match self.check_asked(frame, id, &join) {
                Ok(()) => {}
                Err(why) => return Told::new(Opening::Sealed(why)),
            }
        } else if !self.keys.are_none() && !self.keys.has_logged(id) {
            return Told::new(Opening::Clear);
        }
        let at = self.find_or_add(id, hash);
        let is_again = note(self.users.whole(at).1, &join, op);
        Told { is_again, ..Told::new(Opening::Clear) }
    }

    /// Whether the server keys say that HELLO or JOIN is authentic.
    fn check_asked(&mut self, frame: &Frame, id: u64, join: &Join) -> Result<(), Why> {
        let Some(secret) = self.keys.secret(id, &join.ticket) else {
            self.found.handshakes_of_unknown_key += 1;
            return Err(Why::NoKey);
        };
        self.found.handshakes_checked += 1;
        handshake::check(&secret, frame, &join.client_random).map_err(|_| Why::Tag)?;
        self.found.handshakes_right += 1;
        if id == 0 { Err(Why::Tag) } else { Ok(()) }
    }

    /// CHALLENGE or WELCOME, with server keys: it is one only if it answers a handshake that was seen.
    fn proved(&mut self, frame: &Frame, op: Op, hash: u32) -> Told {
        let id = frame.header.user.get();
        let Some(at) = self.users.find(id, hash) else { return Told::new(Opening::Clear) };
        let seen = self.users.whole(at).1.handshakes;
        if seen.iter().all(|handshake| !handshake.has_any()) {
            return Told::new(Opening::Clear);
        }
        self.found.handshakes_checked += 1;
        let right = seen.iter().filter(|handshake| handshake.has_any()).find_map(|handshake| {
            let secret = self.keys.secret(id, &handshake.ticket())?;
            handshake::check(&secret, frame, &handshake.client_random).ok()?;
            Some((secret, handshake.client_random))
        });
        let Some((secret, client_random)) = right else { return Told::new(Opening::Sealed(Why::Tag)) };
        self.found.handshakes_right += 1;
        let mut told = Told::new(Opening::Clear);
        if op == Op::Welcome {
            told.session_number = self.welcome(frame, at, &secret, &client_random);
        }
        told
    }

    /// An authentic WELCOME; its session's number.
    fn welcome(&mut self, frame: &Frame, at: usize, secret: &TicketSecret, client_random: &[u8; 8]) -> u32 {
        let welcome: Welcome = frame.body();
        let number = welcome.session_number.get();
        let user = self.users.get(at);
        // The same JOIN gets the same WELCOME again, and nothing begins.
        if number > user.session.number || !user.session.has_key {
            let key = handshake::session_key(secret, user.id, client_random, &welcome.server_random, number);
            self.begin_session(at, Some(key), number, true);
        }
        number
    }

    /// WELCOME, without server keys: it cannot be checked. With a key log it only tells which key to try first and
    /// that the session was seen from its beginning; without any key it is believed.
    fn welcome_at_its_word(&mut self, frame: &Frame, hash: u32) -> Told {
        let id = frame.header.user.get();
        let number = frame.body::<Welcome>().session_number.get();
        if self.keys.are_none() {
            let at = self.find_or_add(id, hash);
            if number > self.users.get(at).session.number {
                self.begin_session(at, None, number, true);
            }
        } else if self.keys.has_logged(id) {
            let at = self.find_or_add(id, hash);
            self.users.whole(at).1.welcome = number;
        }
        Told { session_number: number, ..Told::new(Opening::Clear) }
    }
}

/// Remembers a HELLO or a JOIN; whether it was there before. The newest two handshakes are kept, so that an old one
/// that somebody replays does not hide the new one.
fn note(rest: &mut Rest, join: &Join, op: Op) -> bool {
    let known = rest.handshakes.iter().position(|handshake| handshake.is_of(join));
    let at = known.unwrap_or_else(|| {
        rest.handshakes.swap(0, 1);
        rest.handshakes[0] = Handshake::of(join);
        0
    });
    let flag = match op {
        Op::Hello => &mut rest.handshakes[at].has_hello,
        _ => &mut rest.handshakes[at].has_join,
    };
    std::mem::replace(flag, true)
}

impl Handshake {
    fn of(join: &Join) -> Handshake {
        let mut handshake = Handshake { client_random: join.client_random, ..Handshake::default() };
        handshake.set_ticket(&join.ticket);
        handshake
    }

    fn is_of(&self, join: &Join) -> bool {
        self.has_any() && self.client_random == join.client_random && self.ticket() == join.ticket
    }

    fn has_any(&self) -> bool {
        self.has_hello || self.has_join
    }

    fn ticket(&self) -> TicketFields {
        let [a, b, c, d, key_id, nonce @ ..] = self.ticket;
        TicketFields { expiry_s: u32::from_le_bytes([a, b, c, d]).into(), key_id, nonce }
    }

    fn set_ticket(&mut self, ticket: &TicketFields) {
        self.ticket[..4].copy_from_slice(&ticket.expiry_s.get().to_le_bytes());
        self.ticket[4] = ticket.key_id;
        self.ticket[5..].copy_from_slice(&ticket.nonce);
    }
}
