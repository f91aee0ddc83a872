//! `sealed.json`, `money.json`, `invitations.json`, `relay.json`: session frames before and after sealing.

use crate::fields::Fields;
use crate::{Hex, Wide, read};
use redpkt_proto::body::{EntryKind, Status};
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Header, Op};
use serde::Deserialize;
use zerocopy::IntoBytes;

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
struct Frames {
    #[serde(rename = "about")]
    _about: String,
    frames: Vec<SealedCase>,
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
        self.fields.frame(self.header())
    }
}

/// The cases of all files.
fn cases() -> Vec<SealedCase> {
    let others = ["money", "invitations", "relay"].map(|name| read::<Frames>(name).frames);
    read::<Sealed>("sealed").frames.into_iter().chain(others.into_iter().flatten()).collect()
}

#[test]
fn session_bodies_lie_as_the_tables_say() {
    for case in cases() {
        let clear = case.clear();
        assert_eq!(hex::encode(clear.header.as_bytes()), hex::encode(case.header.0), "{}", case.name);
        assert_eq!(hex::encode(clear.body), hex::encode(case.body.0), "{}", case.name);
    }
}

#[test]
fn a_session_frame_seals_to_the_same_bytes() {
    for case in cases() {
        let mut frame = case.clear();
        seal::seal(&SessionKey::from_bytes(case.session_key.0), &mut frame);
        assert_eq!(hex::encode(frame.as_bytes()), hex::encode(case.frame.0), "{}", case.name);
    }
}

#[test]
fn a_sealed_frame_opens_to_the_same_fields() {
    for case in cases() {
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
    for case in cases() {
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
    let cases = cases();
    let is_session = |op: &Op| !op.is_handshake() && !matches!(op, Op::Stale | Op::Error);
    for op in Op::ALL.into_iter().filter(is_session) {
        let has = |to_client| cases.iter().any(|case| case.op == op as u8 && case.to_client == to_client);
        // Those to the server are in sends.json.
        if !matches!(op, Op::Send | Op::SendMore) {
            assert_eq!(has(false), op.is_for_server(), "{op:?} to the server");
        }
        assert_eq!(has(true), op.is_for_client(), "{op:?} to the client");
    }
}

#[test]
fn every_status_and_every_kind_of_entry_has_a_vector() {
    let cases = cases();
    for wanted in Status::ALL {
        assert!(cases.iter().any(|case| case.fields.status() == Some(wanted)), "{wanted:?}");
    }
    for wanted in EntryKind::ALL {
        let is =
            |case: &SealedCase| matches!(case.fields, Fields::Entry { kind, .. } if kind == wanted as u8);
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
