//! The names and values of a frame's fields: the only place where they are.
//!
//! Names are those of the structs in `redpkt_proto`. A struct within a body adds a dot: `ticket.expiry_s`. The text and
//! the JSON of `show` are made from these, and other decoders use the same names.

use redpkt_proto::body::*;
use redpkt_proto::{Direction, Frame, Op};
use std::fmt;
use zerocopy::little_endian::U64;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// A number that has a name.
    Name(&'static str),
    /// Bytes, written in hex.
    Bytes(&'a [u8]),
    /// An IP address, as on the network.
    Ip([u8; 16]),
    /// Several users.
    Users([u64; 3]),
}

impl Value<'_> {
    /// Whether it says nothing: zero, none, or only zeros.
    pub fn is_zero(&self) -> bool {
        match self {
            Value::Number(number) => *number == 0,
            Value::Name(_) => false,
            Value::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Value::Ip(ip) => *ip == [0; 16],
            Value::Users(users) => users.iter().all(|user| *user == 0),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Name(name) => f.write_str(name),
            Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Value::Ip(ip) => write!(f, "{}", crate::datagram::canonical(*ip)),
            Value::Users([a, b, c]) => write!(f, "{a},{b},{c}"),
        }
    }
}

/// Who takes the fields, one after the other in the order of the wire.
pub type Each<'a> = &'a mut dyn FnMut(&'static str, Value<'_>);

/// An op as PROTOCOL.md writes it.
pub fn op_name(op: Op) -> &'static str {
    match op {
        Op::Hello => "HELLO",
        Op::Challenge => "CHALLENGE",
        Op::Join => "JOIN",
        Op::Welcome => "WELCOME",
        Op::Stale => "STALE",
        Op::Error => "ERROR",
        Op::Keepalive => "KEEPALIVE",
        Op::Path => "PATH",
        Op::PathOk => "PATH_OK",
        Op::Shake => "SHAKE",
        Op::Open => "OPEN",
        Op::Send => "SEND",
        Op::SendMore => "SEND_MORE",
        Op::Share => "SHARE",
        Op::Grab => "GRAB",
        Op::Balance => "BALANCE",
        Op::History => "HISTORY",
        Op::Invite => "INVITE",
        Op::InviteOk => "INVITE_OK",
        Op::Relay => "RELAY",
        Op::Redirect => "REDIRECT",
        Op::Ask => "ASK",
        Op::Invites => "INVITES",
    }
}

/// A status as PROTOCOL.md writes it.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::Ok => "Ok",
        Status::Miss => "Miss",
        Status::Busy => "Busy",
        Status::TooOld => "TooOld",
        Status::Conflict => "Conflict",
        Status::NotDone => "NotDone",
        Status::UnknownPacket => "UnknownPacket",
        Status::NotInvited => "NotInvited",
        Status::Empty => "Empty",
        Status::Expired => "Expired",
        Status::OutcomeUnknown => "OutcomeUnknown",
        Status::TooLittleMoney => "TooLittleMoney",
        Status::BadAmount => "BadAmount",
        Status::BadShares => "BadShares",
        Status::BadRecipients => "BadRecipients",
        Status::Oneself => "Oneself",
        Status::Incomplete => "Incomplete",
        Status::NothingThere => "NothingThere",
    }
}

/// An ERROR's code as PROTOCOL.md writes it.
pub fn code_name(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Version => "Version",
        RefusalCode::TicketExpired => "TicketExpired",
        RefusalCode::TicketKey => "TicketKey",
        RefusalCode::Full => "Full",
        RefusalCode::Busy => "Busy",
        RefusalCode::Load => "Load",
    }
}

/// The kind of an entry of the history.
pub fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Won => "Won",
        EntryKind::Opened => "Opened",
        EntryKind::Sent => "Sent",
        EntryKind::Returned => "Returned",
        EntryKind::PaidIn => "PaidIn",
        EntryKind::PaidOut => "PaidOut",
    }
}

fn named(name: Option<&'static str>, byte: u8) -> Value<'static> {
    name.map_or(Value::Number(byte.into()), Value::Name)
}

fn status(byte: u8) -> Value<'static> {
    named(Status::from_wire(byte).map(status_name), byte)
}

/// The fields of a frame's header.
pub fn header(frame: &Frame, each: Each<'_>) {
    let header = &frame.header;
    each("user", Value::Number(header.user.get()));
    each("seq", Value::Number(header.seq.get().into()));
    each("version", Value::Number(header.version().into()));
    each("op", named(Op::from_wire(header.op).map(op_name), header.op));
    each("flags", Value::Number(header.flags.into()));
    each("load_level", Value::Number(header.load_level.into()));
}

/// The fields of an open body, reserved bytes left out.
pub fn body(frame: &Frame, op: Op, direction: Direction, each: Each<'_>) {
    use Direction::{ToClient, ToServer};
    match (op, direction) {
        (Op::Hello, _) => {
            let body: Hello = frame.body();
            ticket(&body.ticket, each);
            each("client_random", Value::Bytes(&body.client_random));
        }
        (Op::Challenge, _) => cookie(&frame.body::<Challenge>().cookie, each),
        (Op::Join, _) => {
            let body: Join = frame.body();
            ticket(&body.ticket, each);
            each("client_random", Value::Bytes(&body.client_random));
            cookie(&body.cookie, each);
        }
        (Op::Welcome, _) => welcome(&frame.body(), each),
        (Op::Stale | Op::Error, _) => refusal(&frame.body(), op, each),
        (Op::Keepalive, _) => {
            let body: Keepalive = frame.body();
            each("token", Value::Number(body.token.get()));
            each("server_wall_ms", Value::Number(body.server_wall_ms.get()));
        }
        (Op::Path | Op::PathOk, _) => cookie(&frame.body::<PathProof>().cookie, each),
        (Op::Send, ToServer) => send(&frame.body(), each),
        (Op::SendMore, _) => {
            let body: SendMore = frame.body();
            each("counter", Value::Number(body.counter.get().into()));
            each("index", Value::Number(body.index.into()));
            each("recipients", users(&body.recipients));
        }
        (Op::Invite, _) => invite(&frame.body(), each),
        (Op::InviteOk, _) => each("packet", Value::Number(frame.body::<InviteOk>().packet.get())),
        (Op::Relay, ToServer) => relay(&frame.body(), each),
        (Op::Relay, ToClient) => relay_answer(&frame.body(), each),
        (Op::Redirect, _) => redirect(&frame.body(), each),
        (Op::History, ToClient) => entry(&frame.body(), each),
        (_, ToServer) => request(&frame.body(), each),
        (_, ToClient) => answer(&frame.body(), each),
    }
}

fn users(users: &[U64; 3]) -> Value<'static> {
    Value::Users(users.map(U64::get))
}

fn ticket(fields: &TicketFields, each: Each<'_>) {
    each("ticket.expiry_s", Value::Number(fields.expiry_s.get().into()));
    each("ticket.key_id", Value::Number(fields.key_id.into()));
    each("ticket.nonce", Value::Bytes(&fields.nonce));
}

fn cookie(cookie: &CookieBytes, each: Each<'_>) {
    each("cookie.made", Value::Number(cookie.made.get().into()));
    each("cookie.mac", Value::Bytes(&cookie.mac));
}

fn welcome(body: &Welcome, each: Each<'_>) {
    each("server_random", Value::Bytes(&body.server_random));
    each("session_number", Value::Number(body.session_number.get().into()));
    each("keepalive_s", Value::Number(body.keepalive_s.get().into()));
    each("idle_s", Value::Number(body.idle_s.get().into()));
    each("server_wall_ms", Value::Number(body.server_wall_ms.get()));
    each("shakes_per_s", Value::Number(body.shakes_per_s.get().into()));
    each("in_flight_max", Value::Number(body.in_flight_max.into()));
    each("frames_per_datagram_max", Value::Number(body.frames_per_datagram_max.into()));
}

fn refusal(body: &Refusal, op: Op, each: Each<'_>) {
    each("refused_tag", Value::Bytes(&body.refused_tag));
    let name = RefusalCode::from_wire(body.code).filter(|_| op == Op::Error).map(code_name);
    each("code", named(name, body.code));
    each("version_min", Value::Number(body.version_min.into()));
    each("version_max", Value::Number(body.version_max.into()));
    each("retry_after_ms", Value::Number(body.retry_after_ms.get().into()));
}

fn request(body: &Request, each: Each<'_>) {
    each("req", Value::Number(body.req.get()));
    each("attempt", Value::Number(body.attempt.into()));
    each("packet", Value::Number(body.packet.get()));
    each("user", Value::Number(body.user.get()));
}

fn answer(body: &Answer, each: Each<'_>) {
    each("req", Value::Number(body.req.get()));
    each("attempt", Value::Number(body.attempt.into()));
    each("status", status(body.status));
    each("retry_after_ms", Value::Number(body.retry_after_ms.get().into()));
    each("packet", Value::Number(body.packet.get()));
    each("fen", Value::Number(body.fen.get()));
}

fn entry(body: &Entry, each: Each<'_>) {
    each("req", Value::Number(body.req.get()));
    each("attempt", Value::Number(body.attempt.into()));
    each("status", status(body.status));
    each("kind", named(EntryKind::from_wire(body.kind).map(kind_name), body.kind));
    each("when_s", Value::Number(body.when_s.get().into()));
    each("packet", Value::Number(body.packet.get()));
    each("fen", Value::Number(body.fen.get()));
}

fn send(body: &Send, each: Each<'_>) {
    each("counter", Value::Number(body.counter.get().into()));
    each("total_fen", Value::Number(body.total_fen().into()));
    each("shares", Value::Number(body.shares.into()));
    each("recipients", users(&body.recipients));
}

fn invite(body: &Invite, each: Each<'_>) {
    each("packet", Value::Number(body.packet.get()));
    each("from", Value::Number(body.from.get()));
    each("expiry_s", Value::Number(body.expiry_s.get().into()));
    each("shares", Value::Number(body.shares.get().into()));
    each("total_fen", Value::Number(body.total_fen.get()));
}

fn relay(body: &Relay, each: Each<'_>) {
    each("req", Value::Number(body.req.get()));
    each("attempt", Value::Number(body.attempt.into()));
    each("kind", Value::Number(body.kind.into()));
    each("length", Value::Number(body.length.into()));
    each("message", Value::Bytes(&body.message));
}

fn relay_answer(body: &RelayAnswer, each: Each<'_>) {
    each("req", Value::Number(body.req.get()));
    each("attempt", Value::Number(body.attempt.into()));
    each("status", status(body.status));
    each("kind", Value::Number(body.kind.into()));
    each("length", Value::Number(body.length.into()));
    each("message", Value::Bytes(&body.message));
}

fn redirect(body: &Redirect, each: Each<'_>) {
    each("ip", Value::Ip(body.ip));
    each("port", Value::Number(body.port.get().into()));
    each("retry_after_ms", Value::Number(body.retry_after_ms.get().into()));
}

/// Every name that [`body`] can give.
pub fn body_names() -> std::collections::BTreeSet<&'static str> {
    let mut names = std::collections::BTreeSet::new();
    for op in Op::ALL {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let zeros = Keepalive { token: 0.into(), server_wall_ms: 0.into(), reserved: [0; 16] };
            let frame = Frame::new(redpkt_proto::Header::new(0, direction, op), &zeros);
            body(&frame, op, direction, &mut |name, _| {
                names.insert(name);
            });
        }
    }
    names
}
