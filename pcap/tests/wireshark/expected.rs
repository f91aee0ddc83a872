//! What the fields of a frame have to be: the structs' values under the structs' names.

use crate::tshark::Fields;
use redpkt_proto::body::*;
use redpkt_proto::{Direction, Frame, Op};
use std::net::Ipv6Addr;
use zerocopy::little_endian::U64;

/// Writes fields as tshark does.
struct Writer(Fields);

impl Writer {
    fn number(&mut self, name: &str, number: impl Into<u64>) {
        self.0.entry(format!("redpkt.{name}")).or_default().push(number.into().to_string());
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.insert(format!("redpkt.{name}"), vec![digits.join(":")]);
    }
}

/// Header and tag, and the body: in clear as it stands in the frame, or as it is still sealed.
pub fn fields(frame: &Frame, is_sealed: bool) -> Fields {
    let mut to = Writer(Fields::new());
    let header = &frame.header;
    to.number("user", header.user);
    to.number("seq", header.seq);
    to.number("version", header.version());
    to.number("direction", u8::from(header.direction() == Direction::ToClient));
    to.number("op", header.op);
    to.0.insert("redpkt.flags".to_owned(), vec![format!("0x{:02x}", header.flags)]);
    to.number("load_level", header.load_level);
    to.bytes("tag", &frame.tag);
    if is_sealed {
        to.bytes("sealed", &frame.body);
    } else {
        let op = Op::from_wire(header.op).expect("only bodies of ops are opened");
        body(frame, op, header.direction(), &mut to);
    }
    to.0
}

fn body(frame: &Frame, op: Op, direction: Direction, to: &mut Writer) {
    use Direction::{ToClient, ToServer};
    match (op, direction) {
        (Op::Hello, _) => {
            let body: Hello = frame.body();
            ticket(&body.ticket, &body.client_random, to);
        }
        (Op::Challenge, _) => cookie(&frame.body::<Challenge>().cookie, to),
        (Op::Join, _) => {
            let body: Join = frame.body();
            ticket(&body.ticket, &body.client_random, to);
            cookie(&body.cookie, to);
        }
        (Op::Welcome, _) => welcome(&frame.body(), to),
        (Op::Stale | Op::Error, _) => refusal(&frame.body(), to),
        (Op::Keepalive, _) => {
            let body: Keepalive = frame.body();
            to.number("body.token", body.token);
            to.number("body.server_wall_ms", body.server_wall_ms);
        }
        (Op::Path | Op::PathOk, _) => cookie(&frame.body::<PathProof>().cookie, to),
        (Op::Send, ToServer) => {
            let body: Send = frame.body();
            to.number("body.counter", body.counter);
            to.number("body.total_fen", body.total_fen());
            to.number("body.shares", body.shares);
            recipients(&body.recipients, to);
        }
        (Op::SendMore, _) => {
            let body: SendMore = frame.body();
            to.number("body.counter", body.counter);
            to.number("body.index", body.index);
            recipients(&body.recipients, to);
        }
        (Op::Invite, _) => {
            let body: Invite = frame.body();
            to.number("body.packet", body.packet);
            to.number("body.from", body.from);
            to.number("body.expiry_s", body.expiry_s);
            to.number("body.shares", body.shares);
            to.number("body.total_fen", body.total_fen);
        }
        (Op::InviteOk, _) => to.number("body.packet", frame.body::<InviteOk>().packet),
        (Op::Relay, _) => relay(frame, direction, to),
        (Op::Redirect, _) => {
            let body: Redirect = frame.body();
            to.0.insert("redpkt.body.ip".to_owned(), vec![Ipv6Addr::from(body.ip).to_string()]);
            to.number("body.port", body.port);
            to.number("body.retry_after_ms", body.retry_after_ms);
        }
        (Op::History, ToClient) => {
            let body: Entry = frame.body();
            answered(body.req, body.attempt, Some(body.status), to);
            to.number("body.kind", body.kind);
            to.number("body.when_s", body.when_s);
            to.number("body.packet", body.packet);
            to.number("body.fen", body.fen);
        }
        (_, ToServer) => {
            let body: Request = frame.body();
            answered(body.req, body.attempt, None, to);
            to.number("body.packet", body.packet);
            to.number("body.user", body.user);
        }
        (_, ToClient) => {
            let body: Answer = frame.body();
            answered(body.req, body.attempt, Some(body.status), to);
            to.number("body.retry_after_ms", body.retry_after_ms);
            to.number("body.packet", body.packet);
            to.number("body.fen", body.fen);
        }
    }
}

fn ticket(fields: &TicketFields, client_random: &[u8], to: &mut Writer) {
    to.number("body.ticket.expiry_s", fields.expiry_s);
    to.number("body.ticket.key_id", fields.key_id);
    to.bytes("body.ticket.nonce", &fields.nonce);
    to.bytes("body.client_random", client_random);
}

fn cookie(cookie: &CookieBytes, to: &mut Writer) {
    to.number("body.cookie.made", cookie.made);
    to.bytes("body.cookie.mac", &cookie.mac);
}

fn welcome(body: &Welcome, to: &mut Writer) {
    to.bytes("body.server_random", &body.server_random);
    to.number("body.session_number", body.session_number);
    to.number("body.keepalive_s", body.keepalive_s);
    to.number("body.idle_s", body.idle_s);
    to.number("body.server_wall_ms", body.server_wall_ms);
    to.number("body.shakes_per_s", body.shakes_per_s);
    to.number("body.in_flight_max", body.in_flight_max);
    to.number("body.frames_per_datagram_max", body.frames_per_datagram_max);
}

fn refusal(body: &Refusal, to: &mut Writer) {
    to.bytes("body.refused_tag", &body.refused_tag);
    to.number("body.code", body.code);
    to.number("body.version_min", body.version_min);
    to.number("body.version_max", body.version_max);
    to.number("body.retry_after_ms", body.retry_after_ms);
}

fn answered(req: U64, attempt: u8, status: Option<u8>, to: &mut Writer) {
    to.number("body.req", req);
    to.number("body.attempt", attempt);
    if let Some(status) = status {
        to.number("body.status", status);
    }
}

fn relay(frame: &Frame, direction: Direction, to: &mut Writer) {
    let body: RelayAnswer = frame.body();
    let status = (direction == Direction::ToClient).then_some(body.status);
    answered(body.req, body.attempt, status, to);
    to.number("body.kind", body.kind);
    to.number("body.length", body.length);
    to.bytes("body.message", &body.message);
}

fn recipients(users: &[U64; 3], to: &mut Writer) {
    users.iter().for_each(|user| to.number("body.recipients", *user));
}
