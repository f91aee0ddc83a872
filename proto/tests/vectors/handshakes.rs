//! `handshakes.json`: whole handshakes.

use crate::{Hex, Wide, at_wall_ms, read};
use redpkt_proto::body::{self, CookieBytes, TicketFields};
use redpkt_proto::cookie::{self, Purpose};
use redpkt_proto::ticket::TicketSecret;
use redpkt_proto::{Direction, Frame, Op, Path, handshake};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use zerocopy::IntoBytes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handshakes {
    #[serde(rename = "about")]
    _about: String,
    handshakes: Vec<HandshakeCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HandshakeCase {
    server_key: Hex<32>,
    user: Wide,
    expiry_s: u32,
    key_id: u8,
    nonce: Hex<7>,
    ticket_secret: Hex<32>,
    client_random: Hex<8>,
    ip: IpAddr,
    port: u16,
    cookie_secret: Hex<32>,
    server_secret: Hex<32>,
    hello_wall_ms: Wide,
    join_wall_ms: Wide,
    keepalive_s: u16,
    idle_s: u16,
    shakes_per_s: u16,
    in_flight_max: u8,
    frames_per_datagram_max: u8,
    cookie: Hex<12>,
    server_random: Hex<8>,
    session_number: u32,
    session_key: Hex<16>,
    hello: Hex<64>,
    challenge: Hex<64>,
    join: Hex<64>,
    welcome: Hex<64>,
}

impl HandshakeCase {
    fn ticket(&self) -> TicketFields {
        TicketFields { expiry_s: self.expiry_s.into(), key_id: self.key_id, nonce: self.nonce.0 }
    }

    fn secret(&self) -> TicketSecret {
        TicketSecret::derive(&self.server_key.0, self.user.0, &self.ticket())
    }

    fn frame<B: body::Body>(&self, direction: Direction, op: Op, body: &B) -> Frame {
        handshake::frame(&self.secret(), self.user.0, direction, op, body, &self.client_random.0)
    }

    /// Expect: the frame of the file is the one we build, and it verifies, with no byte changed.
    fn check<B: body::Body>(&self, bytes: &Hex<64>, direction: Direction, op: Op, body: &B) {
        let frame = bytes.frame();
        assert_eq!(hex::encode(self.frame(direction, op, body).as_bytes()), hex::encode(bytes.0), "{op:?}");
        assert_eq!(Op::from_wire(frame.header.op), Some(op));
        assert_eq!(
            (frame.header.direction(), frame.header.version()),
            (direction, redpkt_proto::frame::VERSION)
        );
        assert_eq!(frame.body::<B>().as_bytes(), body.as_bytes());
        assert_eq!(handshake::check(&self.secret(), &frame, &self.client_random.0), Ok(()));
        for at in 0..64 {
            let mut changed = frame;
            changed.as_mut_bytes()[at] ^= 1;
            assert!(handshake::check(&self.secret(), &changed, &self.client_random.0).is_err(), "byte {at}");
        }
        let bound = handshake::check(&self.secret(), &frame, &[0; 8]).is_err();
        assert_eq!(bound, direction == Direction::ToClient, "{op:?} and another client random");
    }

    fn cookie(&self) -> CookieBytes {
        let made = at_wall_ms(self.hello_wall_ms.0).session_number();
        let path = Path::new(SocketAddr::new(self.ip, self.port), 0);
        let (purpose, user) = (Purpose::Join, self.user.0);
        let mac = cookie::mac(&self.cookie_secret.0, purpose, made, &path, user, &self.client_random.0);
        CookieBytes { made: made.into(), mac }
    }
}

#[test]
fn a_handshake_derives_secret_cookie_number_random_and_key() {
    for case in read::<Handshakes>("handshakes").handshakes {
        let (secret, user, random) = (case.secret(), case.user.0, &case.client_random.0);
        assert_eq!(secret.bytes(), &case.ticket_secret.0);
        assert_eq!(case.cookie().as_bytes(), case.cookie.0);
        let number = at_wall_ms(case.join_wall_ms.0).session_number();
        assert_eq!(number, case.session_number);
        let server_random = handshake::server_random(&case.server_secret.0, user, random, number);
        assert_eq!(server_random, case.server_random.0);
        let key = handshake::session_key(&secret, user, random, &server_random, number);
        assert_eq!(key.bytes(), &case.session_key.0);
    }
}

#[test]
fn hello_carries_ticket_and_client_random() {
    for case in read::<Handshakes>("handshakes").handshakes {
        let body =
            body::Hello { ticket: case.ticket(), client_random: case.client_random.0, reserved: [0; 12] };
        case.check(&case.hello, Direction::ToServer, Op::Hello, &body);
    }
}

#[test]
fn challenge_carries_the_cookie_and_is_bound_to_the_client_random() {
    for case in read::<Handshakes>("handshakes").handshakes {
        let body = body::Challenge { cookie: case.cookie(), reserved: [0; 20] };
        case.check(&case.challenge, Direction::ToClient, Op::Challenge, &body);
    }
}

#[test]
fn join_repeats_ticket_and_client_random_and_echoes_the_cookie() {
    for case in read::<Handshakes>("handshakes").handshakes {
        let body = body::Join {
            ticket: case.ticket(),
            client_random: case.client_random.0,
            cookie: case.challenge.frame().body::<body::Challenge>().cookie,
        };
        case.check(&case.join, Direction::ToServer, Op::Join, &body);
    }
}

#[test]
fn welcome_carries_server_random_number_and_limits_and_is_bound_to_the_client_random() {
    for case in read::<Handshakes>("handshakes").handshakes {
        let body = body::Welcome {
            server_random: case.server_random.0,
            session_number: case.session_number.into(),
            keepalive_s: case.keepalive_s.into(),
            idle_s: case.idle_s.into(),
            server_wall_ms: case.join_wall_ms.0.into(),
            shakes_per_s: case.shakes_per_s.into(),
            in_flight_max: case.in_flight_max,
            frames_per_datagram_max: case.frames_per_datagram_max,
            reserved: [0; 4],
        };
        case.check(&case.welcome, Direction::ToClient, Op::Welcome, &body);
    }
}
