//! The crate against the data files of `vectors/`, which were made by a script written from PROTOCOL.md:
//! it builds the same bytes, and reads them back.
//!
//! A field of a file that no test here looks at is an error: every struct denies unknown fields.

#![forbid(unsafe_code)]

use redpkt_proto::body::{self, CookieBytes, RefusalCode, Status, TicketFields};
use redpkt_proto::cookie::{self, Purpose};
use redpkt_proto::derive::{self, Label};
use redpkt_proto::frame::frames;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::replay::ReplayWindow;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::steer::{Layout, steering_hash};
use redpkt_proto::ticket::{Ticket, TicketSecret};
use redpkt_proto::{Direction, Frame, Header, Now, Op, Path, handshake};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use zerocopy::IntoBytes;

/// Bytes, hex in the file.
#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut bytes = [0; N];
        let digits = String::deserialize(from)?;
        hex::decode_to_slice(&digits, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Hex(bytes))
    }
}

impl Hex<64> {
    /// As a datagram of one frame, the way bytes come in.
    fn frame(&self) -> Frame {
        frames(&self.0).expect("64 bytes are a datagram")[0]
    }
}

/// A number of 64 bits, a decimal string in the file.
#[derive(Clone, Copy)]
struct Wide(u64);

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Wide).map_err(serde::de::Error::custom)
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let file = format!("{}/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("reading {file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The secret of 32 bytes that every test here needs as a [`TicketSecret`]: by way of a ticket's text.
fn ticket_secret(bytes: &[u8; 32]) -> TicketSecret {
    let text = format!("rp1-{}{}", "00".repeat(20), hex::encode(bytes));
    text.parse::<Ticket>().expect("that is a ticket").secret
}

fn at_wall_ms(wall_ms: u64) -> Now {
    Now { mono_ns: 0, wall_ms }
}

// --- tickets and key files ----------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tickets {
    #[serde(rename = "about")]
    _about: String,
    key_file: String,
    key_ids: Vec<u8>,
    tickets: Vec<TicketCase>,
    unknown_key_ids: Vec<u8>,
    texts_of_the_first_ticket: Vec<String>,
    texts_of_no_ticket: Vec<String>,
    same_key_files: Vec<String>,
    bad_key_files: Vec<BadKeyFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketCase {
    user: Wide,
    expiry_s: u32,
    key_id: u8,
    nonce: Hex<7>,
    fields: Hex<12>,
    secret: Hex<32>,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadKeyFile {
    why: String,
    text: String,
}

impl TicketCase {
    fn fields(&self) -> TicketFields {
        TicketFields { expiry_s: self.expiry_s.into(), key_id: self.key_id, nonce: self.nonce.0 }
    }
}

#[test]
fn ticket_fields_are_expiry_key_id_and_nonce() {
    for case in read::<Tickets>("tickets").tickets {
        assert_eq!(case.fields().as_bytes(), case.fields.0, "{}", case.text);
    }
}

#[test]
fn a_tickets_secret_is_a_keyed_hash_of_user_and_fields() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    for case in file.tickets {
        let secret = ring.secret(case.user.0, &case.fields()).expect("its key is in the file");
        assert_eq!(secret.bytes(), &case.secret.0, "{}", case.text);
    }
}

#[test]
fn a_tickets_text_is_prefix_user_fields_and_secret() {
    for case in read::<Tickets>("tickets").tickets {
        let ticket =
            Ticket { user: case.user.0, fields: case.fields(), secret: ticket_secret(&case.secret.0) };
        assert_eq!(ticket.to_text(), case.text);
        assert_eq!(case.text.parse(), Ok(ticket));
    }
}

#[test]
fn white_space_around_a_ticket_and_the_case_of_its_digits_do_not_matter() {
    let file: Tickets = read("tickets");
    let first: Ticket = file.tickets[0].text.parse().unwrap();
    for text in file.texts_of_the_first_ticket {
        assert_eq!(text.parse().as_ref(), Ok(&first), "{text:?}");
    }
}

#[test]
fn other_texts_are_no_tickets() {
    for text in read::<Tickets>("tickets").texts_of_no_ticket {
        assert!(text.parse::<Ticket>().is_err(), "{text:?}");
    }
}

#[test]
fn a_key_file_lists_ids_and_keys_the_issuing_one_first() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    assert_eq!(ring.ids().collect::<Vec<_>>(), file.key_ids);
    assert_eq!(ring.to_text(), file.key_file);
}

#[test]
fn a_ticket_of_an_unknown_key_has_no_secret() {
    let file: Tickets = read("tickets");
    let ring = KeyRing::parse(&file.key_file).unwrap();
    for key_id in file.unknown_key_ids {
        let fields = TicketFields { key_id, ..file.tickets[0].fields() };
        assert!(ring.secret(1, &fields).is_none(), "key id {key_id}");
    }
}

#[test]
fn comments_and_white_space_in_a_key_file_do_not_matter() {
    let files = read::<Tickets>("tickets").same_key_files;
    let first = KeyRing::parse(&files[0]).unwrap().to_text();
    for text in files {
        assert_eq!(KeyRing::parse(&text).unwrap().to_text(), first, "{text:?}");
    }
}

#[test]
fn bad_key_files_are_refused() {
    for BadKeyFile { why, text } in read::<Tickets>("tickets").bad_key_files {
        assert!(KeyRing::parse(&text).is_err(), "{why}");
    }
}

// --- keyed hashes, session numbers and keys, cookies -------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyedHashes {
    #[serde(rename = "about")]
    _about: String,
    keyed_hashes: Vec<KeyedHash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyedHash {
    label: String,
    key: Hex<32>,
    input: String,
    result: String,
}

#[test]
fn a_keyed_hash_is_a_prefix_of_keyed_blake3_over_label_and_fields() {
    let labels = [Label::Ticket, Label::Mac, Label::Session, Label::ServerRandom, Label::Cookie, Label::Path];
    let cases = read::<KeyedHashes>("keyed_hashes").keyed_hashes;
    for case in &cases {
        let label = *labels.iter().find(|label| label.bytes() == case.label.as_bytes()).expect("known");
        let (input, result) = (hex::decode(&case.input).unwrap(), hex::decode(&case.result).unwrap());
        let (head, fields) = input.split_at(8);
        assert_eq!(head, label.bytes());
        let (one, other) = fields.split_at(fields.len() / 2);
        let hash: [u8; 32] = derive::keyed(&case.key.0, label, &[one, other]);
        assert_eq!(hash[..result.len()], result, "{}", case.label);
    }
    assert!(labels.iter().all(|label| cases.iter().any(|case| case.label.as_bytes() == label.bytes())));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    #[serde(rename = "about")]
    _about: String,
    session_numbers: Vec<SessionNumber>,
    session_keys: Vec<SessionKeyCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionNumber {
    wall_ms: Wide,
    session_number: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionKeyCase {
    user: Wide,
    ticket_secret: Hex<32>,
    client_random: Hex<8>,
    server_secret: Hex<32>,
    session_number: u32,
    server_random: Hex<8>,
    session_key: Hex<16>,
}

#[test]
fn a_session_number_counts_steps_of_250_ms_since_2025() {
    for case in read::<Sessions>("sessions").session_numbers {
        assert_eq!(at_wall_ms(case.wall_ms.0).session_number(), case.session_number, "{}", case.wall_ms.0);
    }
}

#[test]
fn a_server_random_is_a_keyed_hash_of_user_client_random_and_session_number() {
    for case in read::<Sessions>("sessions").session_keys {
        let random = handshake::server_random(
            &case.server_secret.0,
            case.user.0,
            &case.client_random.0,
            case.session_number,
        );
        assert_eq!(random, case.server_random.0, "user {}", case.user.0);
    }
}

#[test]
fn a_session_key_is_a_keyed_hash_of_user_both_randoms_and_session_number() {
    for case in read::<Sessions>("sessions").session_keys {
        let key = handshake::session_key(
            &ticket_secret(&case.ticket_secret.0),
            case.user.0,
            &case.client_random.0,
            &case.server_random.0,
            case.session_number,
        );
        assert_eq!(key.bytes(), &case.session_key.0, "user {}", case.user.0);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cookies {
    #[serde(rename = "about")]
    _about: String,
    cookies: Vec<CookieCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CookieCase {
    purpose: String,
    secret: Hex<32>,
    made: u32,
    ip: IpAddr,
    scope: u32,
    port: u16,
    ip_bytes: Hex<16>,
    user: Wide,
    nonce: Hex<8>,
    cookie: Hex<12>,
}

impl CookieCase {
    fn path(&self) -> Path {
        let addr = match self.ip {
            IpAddr::V4(_) => SocketAddr::new(self.ip, self.port),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
        };
        Path::new(addr, 3)
    }
}

#[test]
fn an_address_is_its_ipv6_bytes_with_the_scope_of_a_link_local_one() {
    for case in read::<Cookies>("cookies").cookies {
        assert_eq!(case.path().ip, case.ip_bytes.0, "{}", case.ip);
    }
}

#[test]
fn a_cookie_is_its_time_and_a_keyed_hash_of_what_it_is_bound_to() {
    for case in read::<Cookies>("cookies").cookies {
        let purpose = match case.purpose.as_str() {
            "join" => Purpose::Join,
            "path" => Purpose::Path,
            other => panic!("no purpose: {other}"),
        };
        let mac = cookie::mac(&case.secret.0, purpose, case.made, &case.path(), case.user.0, &case.nonce.0);
        let cookie = CookieBytes { made: case.made.into(), mac };
        assert_eq!(cookie.as_bytes(), case.cookie.0, "{} {}", case.purpose, case.ip);
    }
}

// --- steering ----------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steering {
    #[serde(rename = "about")]
    _about: String,
    hashes: Vec<SteeringHash>,
    layouts: Vec<LayoutCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SteeringHash {
    user: Wide,
    steering_hash: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutCase {
    sets: u32,
    groups: u32,
    workers: u32,
    places: Vec<Place>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    user: Wide,
    place: [u32; 3],
}

#[test]
fn the_steering_hash_mixes_the_users_two_big_endian_words() {
    for case in read::<Steering>("steering").hashes {
        assert_eq!(steering_hash(case.user.0), case.steering_hash, "user {}", case.user.0);
    }
}

#[test]
fn a_user_has_one_set_group_and_worker() {
    for LayoutCase { sets, groups, workers, places } in read::<Steering>("steering").layouts {
        let layout = Layout { sets, groups, workers };
        for Place { user, place } in places {
            let set = layout.set_of(user.0);
            assert_eq!([set, layout.group_of(set), layout.worker_of(set)], place, "user {}", user.0);
            assert_eq!(layout.worker_of_user(user.0), place[2]);
        }
    }
}

// --- the handshake -----------------------------------------------------------------------------------

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

// --- session frames ----------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    #[serde(rename = "about")]
    _about: String,
    frames: Vec<SealedCase>,
    session_key: Hex<16>,
    must_not_open: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedCase {
    name: String,
    session_key: Hex<16>,
    user: Wide,
    seq: u32,
    to_client: bool,
    op: u8,
    flags: u8,
    load_level: u8,
    fields: Fields,
    nonce: Hex<16>,
    header: Hex<16>,
    body: Hex<32>,
    frame: Hex<64>,
}

/// What a body is made of. Told apart by their names: an answer has a status, a request none.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Fields {
    Keepalive { token: Wide, server_wall_ms: Wide },
    PathProof { cookie: Hex<12> },
    Answer { req: Wide, attempt: u8, status: u8, retry_after_ms: u32, packet: Wide, fen: Wide },
    Request { req: Wide, attempt: u8, packet: Wide },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    why: String,
    frame: Hex<64>,
}

impl SealedCase {
    fn direction(&self) -> Direction {
        if self.to_client { Direction::ToClient } else { Direction::ToServer }
    }

    fn header(&self) -> Header {
        let op = Op::from_wire(self.op).unwrap_or_else(|| panic!("{}: no op {}", self.name, self.op));
        Header {
            seq: self.seq.into(),
            flags: self.flags,
            load_level: self.load_level,
            ..Header::new(self.user.0, self.direction(), op)
        }
    }

    /// The frame before sealing, made from the fields alone.
    fn clear(&self) -> Frame {
        let header = self.header();
        match self.fields {
            Fields::Keepalive { token, server_wall_ms } => Frame::new(
                header,
                &body::Keepalive {
                    token: token.0.into(),
                    server_wall_ms: server_wall_ms.0.into(),
                    reserved: [0; 16],
                },
            ),
            Fields::PathProof { cookie: Hex([a, b, c, d, mac @ ..]) } => {
                let cookie = CookieBytes { made: u32::from_le_bytes([a, b, c, d]).into(), mac };
                Frame::new(header, &body::PathProof { cookie, reserved: [0; 20] })
            }
            Fields::Request { req, attempt, packet } => Frame::new(
                header,
                &body::Request {
                    req: req.0.into(),
                    attempt,
                    reserved: [0; 7],
                    packet: packet.0.into(),
                    user: 0.into(),
                },
            ),
            Fields::Answer { req, attempt, status, retry_after_ms, packet, fen } => {
                assert_eq!(Status::from_wire(status).map(|status| status as u8), Some(status));
                Frame::new(
                    header,
                    &body::Answer {
                        req: req.0.into(),
                        attempt,
                        status,
                        reserved: [0; 2],
                        retry_after_ms: retry_after_ms.into(),
                        packet: packet.0.into(),
                        fen: fen.0.into(),
                    },
                )
            }
        }
    }
}

#[test]
fn session_bodies_lie_as_the_tables_say() {
    for case in read::<Sealed>("sealed").frames {
        let clear = case.clear();
        assert_eq!(hex::encode(clear.header.as_bytes()), hex::encode(case.header.0), "{}", case.name);
        assert_eq!(hex::encode(clear.body), hex::encode(case.body.0), "{}", case.name);
    }
}

#[test]
fn a_session_frame_seals_to_the_same_bytes() {
    for case in read::<Sealed>("sealed").frames {
        let mut frame = case.clear();
        seal::seal(&SessionKey::from_bytes(case.session_key.0), &mut frame);
        assert_eq!(hex::encode(frame.as_bytes()), hex::encode(case.frame.0), "{}", case.name);
    }
}

#[test]
fn a_sealed_frame_opens_to_the_same_fields() {
    for case in read::<Sealed>("sealed").frames {
        let mut frame = case.frame.frame();
        assert_eq!(
            seal::open(&SessionKey::from_bytes(case.session_key.0), &mut frame),
            Ok(()),
            "{}",
            case.name
        );
        assert_eq!(frame.header, case.header(), "{}", case.name);
        assert_eq!(frame.body, case.body.0, "{}", case.name);
        assert_eq!(frame.body, case.clear().body, "{}", case.name);
    }
}

#[test]
fn the_nonce_is_seq_and_direction() {
    use aegis::aegis128l::Aegis128L;
    for case in read::<Sealed>("sealed").frames {
        let cipher = Aegis128L::<16>::new(&case.session_key.0, &case.nonce.0);
        let (body, tag) = cipher.encrypt(&case.body.0, &case.header.0);
        assert_eq!(
            hex::encode([body, tag.to_vec()].concat()),
            hex::encode(&case.frame.0[16..]),
            "{}",
            case.name
        );
    }
}

#[test]
fn every_op_of_a_session_has_a_vector_in_each_of_its_directions() {
    let cases = read::<Sealed>("sealed").frames;
    for op in Op::ALL
        .into_iter()
        .filter(|op| !op.is_handshake() && !matches!(op, Op::Stale | Op::Error))
        .filter(|op| *op as u8 <= 17)
    {
        let has = |to_client| cases.iter().any(|case| case.op == op as u8 && case.to_client == to_client);
        assert_eq!(has(false), op.is_for_server(), "{op:?} to the server");
        assert_eq!(has(true), op != Op::PathOk, "{op:?} to the client");
    }
}

#[test]
fn every_status_has_a_vector() {
    let cases = read::<Sealed>("sealed").frames;
    for wanted in Status::ALL.into_iter().take(11) {
        let is = |case: &SealedCase| matches!(case.fields, Fields::Answer { status, .. } if status == wanted as u8);
        assert!(cases.iter().any(is), "{wanted:?}");
    }
}

#[test]
fn a_changed_frame_does_not_open() {
    let file: Sealed = read("sealed");
    for (at, Refused { why, frame }) in file.must_not_open.iter().enumerate() {
        let opened = seal::open(&SessionKey::from_bytes(file.session_key.0), &mut frame.frame());
        assert_eq!(opened.is_ok(), at == 0, "{why}");
    }
}

// --- hints -------------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hints {
    #[serde(rename = "about")]
    _about: String,
    hints: Vec<Hint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hint {
    name: String,
    user: Wide,
    op: u8,
    load_level: u8,
    refused_tag: Hex<16>,
    code: u8,
    version_min: u8,
    version_max: u8,
    retry_after_ms: u32,
    frame: Hex<64>,
}

#[test]
fn stale_and_error_name_the_refused_tag_and_have_none() {
    let cases = read::<Hints>("hints").hints;
    for case in &cases {
        let op = Op::from_wire(case.op).unwrap();
        assert!(matches!(op, Op::Stale | Op::Error), "{}", case.name);
        let code = RefusalCode::from_wire(case.code).map_or(0, |code| code as u8);
        let header =
            Header { load_level: case.load_level, ..Header::new(case.user.0, Direction::ToClient, op) };
        let refusal = body::Refusal {
            refused_tag: case.refused_tag.0,
            code,
            version_min: case.version_min,
            version_max: case.version_max,
            reserved1: 0,
            retry_after_ms: case.retry_after_ms.into(),
            reserved2: [0; 8],
        };
        let frame = Frame::new(header, &refusal);
        assert_eq!(hex::encode(frame.as_bytes()), hex::encode(case.frame.0), "{}", case.name);
        assert_eq!(case.frame.frame().body::<body::Refusal>(), refusal, "{}", case.name);
    }
    for code in (1..=255).filter_map(RefusalCode::from_wire) {
        assert!(cases.iter().any(|case| case.code == code as u8), "{code:?}");
    }
    assert!(cases.iter().any(|case| case.op == Op::Stale as u8));
}

// --- the replay window -------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(rename = "about")]
    _about: String,
    traces: Vec<Trace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace {
    name: String,
    seqs: Vec<(u32, bool)>,
}

#[test]
fn the_replay_window_accepts_each_seq_once_and_none_128_behind() {
    for Trace { name, seqs } in read::<Replay>("replay").traces {
        let mut window = ReplayWindow::new();
        for (at, (seq, accepted)) in seqs.into_iter().enumerate() {
            assert_eq!(window.check(seq).is_ok(), accepted, "{name}: seq {seq} at {at}");
            if accepted {
                window.accept(seq);
            }
        }
    }
}
