//! The Wireshark dissector against the protocol's own code: tshark has to find in captures what was put there.

#![forbid(unsafe_code)]

mod capture;
mod expected;
mod frames;
mod samples;
mod tshark;

use capture::Record;
use frames::{Noise, frame, goes, is_clear, sessions, time};
use redpkt_proto::body::{Answer, EntryKind, RefusalCode, Request, Send, Status};
use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::{Direction, Frame, Header, Op};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;
use tshark::{Fields, Found, Tshark};
use zerocopy::{FromBytes, IntoBytes};

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// Without what the dissector says beyond the frame, and addresses in one notation.
fn of_the_wire(found: &Fields) -> Fields {
    const BEYOND: [&str; 7] = [
        "redpkt.flags.",
        "redpkt.opened",
        "redpkt.session_number",
        "redpkt.req",
        "redpkt.re",
        "redpkt.expert.",
        "_ws.",
    ];
    let mut fields = found.clone();
    fields.retain(|name, _| !BEYOND.iter().any(|beyond| name.starts_with(beyond)));
    if let Some(ips) = fields.get_mut("redpkt.body.ip") {
        ips.iter_mut().for_each(|ip| *ip = ip.parse::<Ipv6Addr>().unwrap().to_string());
    }
    fields
}

fn has(found: &Found, at: usize, name: &str) -> bool {
    found.frames[at].contains_key(name)
}

/// Expect: each op in both directions, in datagrams of 1 to 18 frames, sealed under any of a user's sessions, has the
/// fields and values of its struct, whatever its bytes are. Without the key log sealed bodies stay sealed bytes.
#[test]
fn every_field_of_every_op_is_found() {
    let Some(tshark) = Tshark::find() else { return };
    let mut noise = Noise(42);
    let (mut keys, mut records, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    for user in [1, 42, 1 << 63 | 7, u64::MAX] {
        let of_user = sessions(user, &mut noise);
        for (round, direction) in (0..16).flat_map(|round| DIRECTIONS.map(|direction| (round, direction))) {
            let session = &of_user[noise.number() as usize % of_user.len()];
            let ops = Op::ALL.into_iter().filter(|op| goes(*op, direction));
            let all: Vec<(Frame, Frame)> = ops
                .map(|op| {
                    let bytes = [[0; 64], [0xff; 64], noise.bytes()][round.min(2)];
                    frame(user, direction, op, bytes, &session.key)
                })
                .collect();
            for chunk in all.chunks([1, 18, 2, 5][round % 4]) {
                let sealed: Vec<Frame> = chunk.iter().map(|(_, sealed)| *sealed).collect();
                records.push(Record::of(time(session.session_number), &sealed));
                frames.push((chunk.to_vec(), session.session_number));
            }
        }
        keys.extend(of_user);
    }

    let without_keys = tshark.fields(&records);
    tshark.log_keys(&keys);
    let with_keys = tshark.fields(&records);
    for (at, (frames, session_number)) in frames.iter().enumerate() {
        assert_eq!(with_keys[at].datagram["redpkt.frames"], [frames.len().to_string()]);
        for (index, (plain, sealed)) in frames.iter().enumerate() {
            let (opened, closed) = (&with_keys[at].frames[index], &without_keys[at].frames[index]);
            let clear = is_clear(Op::from_wire(plain.header.op).unwrap());
            assert_eq!(of_the_wire(opened), expected::fields(plain, false), "datagram {at}, frame {index}");
            assert_eq!(of_the_wire(closed), expected::fields(sealed, !clear), "datagram {at}, frame {index}");
            let number = (!clear).then(|| vec![session_number.to_string()]);
            assert_eq!(opened.get("redpkt.session_number"), number.as_ref());
            assert_eq!(
                (opened.contains_key("redpkt.opened"), has(&without_keys[at], index, "redpkt.opened")),
                (!clear, false)
            );
            assert_eq!(has(&without_keys[at], index, "redpkt.expert.sealed"), !clear);
        }
    }
}

/// `PathOk` as `PATH_OK`.
fn upper_snake(name: &str) -> String {
    let words = name.char_indices().map(|(at, c)| {
        let gap = if at > 0 && c.is_ascii_uppercase() { "_" } else { "" };
        format!("{gap}{}", c.to_ascii_uppercase())
    });
    words.collect()
}

/// Expect: ops, statuses, codes and kinds have the names of the protocol's text, and filters know them.
#[test]
fn values_have_names() {
    let Some(tshark) = Tshark::find() else { return };
    let user = 7;
    let key = LoggedKey { user, session_number: 238_000_000, key: SessionKey::from_bytes([7; 16]) };
    let (mut records, mut names) = (Vec::new(), BTreeSet::new());
    let mut put = |op: Op, direction: Direction, body: &[(usize, u8)], name: String| {
        let mut bytes = [0; 64];
        body.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        records.push(Record::of(time(238_000_000), &[frame(user, direction, op, bytes, &key.key).1]));
        names.insert(name);
    };
    for (op, direction) in Op::ALL.into_iter().flat_map(|op| DIRECTIONS.map(|direction| (op, direction))) {
        if goes(op, direction) {
            put(op, direction, &[], format!("Op: {} ({})", upper_snake(&format!("{op:?}")), op as u8));
        }
    }
    for status in Status::ALL {
        put(
            Op::Open,
            Direction::ToClient,
            &[(25, status as u8)],
            format!("Status: {status:?} ({})", status as u8),
        );
    }
    for kind in EntryKind::ALL {
        put(
            Op::History,
            Direction::ToClient,
            &[(26, kind as u8)],
            format!("Kind: {kind:?} ({})", kind as u8),
        );
    }
    for code in (0..=255).filter_map(RefusalCode::from_wire) {
        put(Op::Error, Direction::ToClient, &[(32, code as u8)], format!("Code: {code:?} ({})", code as u8));
    }
    tshark.log_keys(&[key]);
    let text = tshark.text(&records, &["-V"]);
    let lines: BTreeSet<&str> = text.lines().map(str::trim).collect();
    for name in &names {
        assert!(lines.contains(name.as_str()), "{name} is not there");
    }
    for (field, value) in
        [("op", "PATH_OK"), ("body.status", "Miss"), ("body.kind", "PaidIn"), ("body.code", "Load")]
    {
        let filter = format!("redpkt.{field} == \"{value}\"");
        assert_eq!(tshark.text(&records, &["-Y", &filter]).lines().count(), 1, "{filter}");
    }
}

/// Expect: the protocol's own examples open, and what must not open does not.
#[test]
fn the_vectors_open() {
    let Some(tshark) = Tshark::find() else { return };
    let text = include_str!("../../../proto/vectors/sealed.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let bytes = |value: &serde_json::Value| -> Vec<u8> {
        let digits = value.as_str().unwrap();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    let (mut keys, mut records, mut plains) = (BTreeSet::new(), Vec::new(), Vec::new());
    let at = time(238_000_000);
    for vector in vectors["frames"].as_array().unwrap() {
        let sealed = Frame::read_from_bytes(&bytes(&vector["frame"])).unwrap();
        let plain = Frame { body: bytes(&vector["body"]).try_into().unwrap(), ..sealed };
        keys.insert((sealed.header.user.get(), bytes(&vector["session_key"])));
        records.push(Record::of(at, &[sealed]));
        plains.push(Some(plain));
    }
    for (index, vector) in vectors["must_not_open"].as_array().unwrap().iter().enumerate() {
        let sealed = Frame::read_from_bytes(&bytes(&vector["frame"])).unwrap();
        keys.insert((sealed.header.user.get(), bytes(&vectors["session_key"])));
        records.push(Record::of(at, &[sealed]));
        // The first one is told to open, to show that the others are only changed.
        let mut opened = sealed;
        let key = SessionKey::from_bytes(bytes(&vectors["session_key"]).try_into().unwrap());
        plains.push((index == 0 && seal::open(&key, &mut opened).is_ok()).then_some(opened));
    }
    let keys: Vec<LoggedKey> = keys
        .into_iter()
        .map(|(user, key)| {
            let key = SessionKey::from_bytes(key.try_into().unwrap());
            LoggedKey { user, session_number: 238_000_000, key }
        })
        .collect();
    tshark.log_keys(&keys);
    for ((found, plain), record) in tshark.fields(&records).iter().zip(&plains).zip(&records) {
        match plain {
            Some(plain) => assert_eq!(of_the_wire(&found.frames[0]), expected::fields(plain, false)),
            None => assert!(!has(found, 0, "redpkt.opened"), "{:02x?}", record.payload),
        }
    }
}

/// Expect: whatever is wrong with a datagram is told; nothing makes the dissector fail.
#[test]
fn what_is_wrong_is_told() {
    let Some(tshark) = Tshark::find() else { return };
    let mut noise = Noise(7);
    let keys = sessions(9, &mut noise);
    let at = time(keys[3].session_number);
    let mut sealed = |user: u64, op: Op| frame(user, Direction::ToServer, op, noise.bytes(), &keys[3].key).1;
    let good = sealed(9, Op::Shake);
    let (mut bad_tag, mut version, mut op, mut wrong_way) = (good, good, good, sealed(9, Op::Keepalive));
    bad_tag.tag[15] ^= 0x80;
    version.header.version_direction = 2;
    op.header.op = 77;
    wrong_way.header.op = Op::Welcome as u8;
    let mut error = sealed(9, Op::Error);
    error.header.version_direction = 0x80 | 9;
    let of = |frames: &[Frame]| Record::of(at, frames);
    let raw = |payload: &[u8]| Record::bytes(at, Direction::ToServer, payload);
    let cases = [
        (of(&[good]), "", 1),
        (of(&[bad_tag]), "redpkt.expert.tag", 1),
        (of(&[sealed(10, Op::Shake)]), "redpkt.expert.sealed", 1),
        (of(&[version]), "redpkt.expert.version", 1),
        (of(&[error]), "redpkt.expert.version", 1),
        (of(&[op]), "redpkt.expert.op", 1),
        (of(&[wrong_way]), "redpkt.expert.op", 1),
        (of(&[good, sealed(9, Op::Hello)]), "redpkt.expert.op", 2),
        (of(&[good, sealed(10, Op::Hello)]), "redpkt.expert.mixed_users", 2),
        (of(&[good; 18]), "", 18),
        (of(&[good; 19]), "redpkt.expert.length", 19),
        (raw(&[good; 1_000].as_bytes()[..63_999]), "redpkt.expert.length", 999),
        (raw(&good.as_bytes()[..63]), "redpkt.expert.length", 0),
        (raw(&[good; 2].as_bytes()[..65]), "redpkt.expert.length", 1),
        (raw(&[0]), "redpkt.expert.length", 0),
        (Record { snapped: 64, ..of(&[good, good]) }, "redpkt.expert.snapped", 1),
        (Record { snapped: 1, ..of(&[good]) }, "redpkt.expert.snapped", 0),
    ];
    tshark.log_keys(&keys);
    let (records, expected): (Vec<Record>, Vec<_>) =
        cases.into_iter().map(|(record, expert, frames)| (record, (expert, frames))).unzip();
    for (index, (found, (expert, frames))) in tshark.fields(&records).iter().zip(expected).enumerate() {
        assert_eq!(found.frames.len(), frames, "record {index}");
        let all = found.frames.iter().chain([&found.datagram]).flat_map(Fields::keys);
        let experts: BTreeSet<&str> =
            all.map(String::as_str).filter(|name| name.contains(".expert.")).collect();
        let told = if expert.is_empty() { experts.is_empty() } else { experts.contains(expert) };
        assert!(told, "record {index}: {experts:?}, not {expert}");
        // ERROR is the same in every version, and its refused tag stands first.
        let is_error = found.frames.iter().any(|frame| frame.get("redpkt.op") == Some(&vec!["6".to_owned()]));
        assert_eq!(is_error, is_error && has(found, 0, "redpkt.body.refused_tag"));
    }
}

/// Expect: no bytes, and no part of a record that was kept, make the dissector fail.
#[test]
fn no_bytes_make_it_fail() {
    let Some(tshark) = Tshark::find() else { return };
    let mut noise = Noise(99);
    let keys = sessions(9, &mut noise);
    tshark.log_keys(&keys);
    let mut records = Vec::new();
    for round in 0..600_usize {
        let mut payload: Vec<u8> = (0..round % 20).flat_map(|_| noise.bytes::<64>()).collect();
        for start in (0..payload.len()).step_by(64) {
            // Half of the frames have a version, an op and a user that lead on.
            if round % 2 == 0 {
                payload[start + 12] = 1 | payload[start + 12] & 0x80;
                payload[start + 13] %= 30;
                payload[start..start + 8].copy_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        payload.truncate(payload.len() - payload.len().min(noise.number() as usize % 3));
        let snapped = if round % 3 == 0 { noise.number() as usize % (payload.len() + 1) } else { 0 };
        // Times jump, and the first ones are before sessions were numbered.
        let time = Duration::from_nanos(noise.number() >> (round % 8 + 1));
        records.push(Record { snapped, ..Record::bytes(time, DIRECTIONS[round % 2], &payload) });
    }
    for snapped in 0..=64 {
        records.push(Record { snapped, ..Record::bytes(Duration::ZERO, Direction::ToServer, &[0xff; 64]) });
    }
    tshark.text(&records, &["-V"]);
    tshark.fields(&records);
}

fn one(found: &Found, name: &str) -> Option<String> {
    found.frames[0].get(name).map(|values| values.concat())
}

/// Expect: an answer is linked with the transmission that it answers, a hint with what it refuses, and what is sent
/// again is marked.
#[test]
fn answers_know_their_requests() {
    let Some(tshark) = Tshark::find() else { return };
    let (user, session_number) = (5, 238_000_000);
    let key = SessionKey::from_bytes([5; 16]);
    let mut seq = 0;
    let mut record = |ms: u64, direction: Direction, op: Op, body: [u8; 32], attempt: u8| {
        seq += 1;
        let mut header = Header::new(user, direction, op);
        (header.seq, header.load_level) = (seq.into(), attempt);
        let mut sealed = Frame { header, body, tag: [0; 16] };
        if !is_clear(op) {
            seal::seal(&key, &mut sealed);
        }
        (Record::of(time(session_number) + Duration::from_millis(ms), &[sealed]), sealed.tag)
    };
    let req = |counter: u64| u64::from(session_number) << 32 | counter;
    let asked =
        |counter, attempt| -> [u8; 32] { Request::new(req(counter), attempt).as_bytes().try_into().unwrap() };
    let answer = |counter, attempt| -> [u8; 32] {
        let mut body = [0; 32];
        body[..9].copy_from_slice(&asked(counter, attempt)[..9]);
        assert_eq!(Answer::read_from_bytes(&body).unwrap().req.get(), req(counter));
        body
    };
    let send = Send {
        counter: 2.into(),
        total_fen: [1, 0, 0],
        shares: 1,
        recipients: [6.into(), 0.into(), 0.into()],
    };
    let (to_server, to_client) = (Direction::ToServer, Direction::ToClient);
    let (first, _) = record(0, to_server, Op::Shake, asked(1, 0), 0);
    let (again, _) = record(50, to_server, Op::Shake, asked(1, 1), 0);
    let (sent, _) = record(60, to_server, Op::Send, send.as_bytes().try_into().unwrap(), 3);
    let (missed, _) = record(75, to_client, Op::Shake, answer(1, 1), 0);
    let (made, _) = record(90, to_client, Op::Send, answer(2, 3), 0);
    let (late, tag) = record(100, to_server, Op::Open, asked(3, 0), 0);
    let mut refused = [0; 32];
    refused[..16].copy_from_slice(&tag);
    let (stale, _) = record(104, to_client, Op::Stale, refused, 0);
    // Its clock is behind: records need not be in the order of time.
    let (early, _) = record(20, to_client, Op::Open, answer(3, 0), 0);

    tshark.log_keys(&[LoggedKey { user, session_number, key: key.clone() }]);
    let found = tshark.fields(&[first.clone(), again, sent, missed, made, late, stale, early, first]);
    let text = |value: &str| Some(value.to_owned());
    let is_again: Vec<bool> = found.iter().map(|found| has(found, 0, "redpkt.retransmission")).collect();
    // The SEND says that it is the fourth attempt; the last record is a copy of the first.
    assert_eq!(is_again, [false, true, true, false, false, false, false, false, false]);
    let answered: Vec<Option<String>> = found.iter().map(|found| one(found, "redpkt.response_in")).collect();
    assert_eq!(answered, [None, text("4"), text("5"), None, None, text("7"), None, None, None]);
    let asked: Vec<Option<String>> = found.iter().map(|found| one(found, "redpkt.response_to")).collect();
    assert_eq!(asked, [None, None, None, text("2"), text("3"), None, text("6"), text("6"), None]);
    let times: Vec<Option<String>> = found.iter().map(|found| one(found, "redpkt.response_time")).collect();
    let expected = ["0.025000000", "0.030000000", "0.004000000", "-0.080000000"].map(text);
    assert_eq!(times.into_iter().filter(Option::is_some).collect::<Vec<_>>(), expected);
    assert_eq!(one(&found[2], "redpkt.req"), text(&req(2).to_string()));
    assert_eq!(
        info_column(&tshark, user, &key),
        ["SHAKE user 5 seq 7, req 238000000:9", "SHAKE user 5 seq 7 → req 238000000:9 Miss"]
    );
}

/// The Info column of a request and its answer.
fn info_column(tshark: &Tshark, user: u64, key: &SessionKey) -> Vec<String> {
    let records = DIRECTIONS.map(|direction| {
        let mut body = [0; 32];
        body[..8].copy_from_slice(&(238_000_000_u64 << 32 | 9).to_le_bytes());
        body[9] = Status::Miss as u8;
        let mut header = Header::new(user, direction, Op::Shake);
        header.seq = 7.into();
        let mut sealed = Frame { header, body, tag: [0; 16] };
        seal::seal(key, &mut sealed);
        Record::of(time(238_000_000), &[sealed])
    });
    tshark.text(&records, &["-T", "fields", "-e", "_ws.col.Info"]).lines().map(str::to_owned).collect()
}
