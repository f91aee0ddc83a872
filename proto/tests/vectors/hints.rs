//! `hints.json`: STALE and ERROR.

use crate::{Hex, Wide, read};
use redpkt_proto::body::{self, RefusalCode};
use redpkt_proto::{Direction, Frame, Header, Op};
use serde::Deserialize;
use zerocopy::IntoBytes;

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
