//! `sends.json`: SEND with its SEND_MORE, and good and bad terms.

use crate::{Hex, Wide, read};
use redpkt_proto::body::{self, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::terms::check_terms;
use redpkt_proto::{Direction, Frame, Header, Op, Terms};
use serde::Deserialize;
use zerocopy::IntoBytes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sends {
    #[serde(rename = "about")]
    _about: String,
    session_key: Hex<16>,
    user: Wide,
    sends: Vec<SendCase>,
    terms: Vec<TermsCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendCase {
    name: String,
    counter: u32,
    attempt: u8,
    total_fen: u32,
    shares: u8,
    equal: bool,
    recipients: Vec<Wide>,
    first_seq: u32,
    frames: Vec<SendFrame>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendFrame {
    header: Hex<16>,
    body: Hex<32>,
    frame: Hex<64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsCase {
    name: String,
    total_fen: u32,
    shares: u8,
    places: Vec<Wide>,
    status: u8,
}

impl SendCase {
    fn terms(&self) -> Terms {
        let recipients = self.recipients.iter().map(|user| user.0).collect();
        Terms { total_fen: self.total_fen, shares: self.shares, equal: self.equal, recipients }
    }

    /// The frames before sealing, made from the terms.
    fn clear(&self, user: u64) -> Vec<Frame> {
        let terms = self.terms();
        let header = |op, at| {
            let seq = self.first_seq + at as u32;
            Header { seq: seq.into(), ..Header::new(user, Direction::ToServer, op) }
        };
        let equal = if self.equal { flags::EQUAL_SHARES } else { 0 };
        let (flags, load_level) = (equal | terms.more() as u8, self.attempt);
        let head = Header { flags, load_level, ..header(Op::Send, 0) };
        let mut frames = vec![Frame::new(head, &terms.send(self.counter))];
        for index in 1..=terms.more() {
            let body = terms.send_more(self.counter, index as u8);
            frames.push(Frame::new(header(Op::SendMore, index), &body));
        }
        frames
    }
}

#[test]
fn a_send_lies_in_its_frames_as_the_tables_say() {
    let file: Sends = read("sends");
    for case in &file.sends {
        assert_eq!(case.terms().check(file.user.0), Ok(()), "{}", case.name);
        let clear = case.clear(file.user.0);
        assert_eq!(clear.len(), case.frames.len(), "{}", case.name);
        for (frame, expected) in clear.iter().zip(&case.frames) {
            assert_eq!(hex::encode(frame.header.as_bytes()), hex::encode(expected.header.0), "{}", case.name);
            assert_eq!(hex::encode(frame.body), hex::encode(expected.body.0), "{}", case.name);
        }
    }
}

#[test]
fn a_send_seals_to_the_same_bytes() {
    let file: Sends = read("sends");
    let key = SessionKey::from_bytes(file.session_key.0);
    for case in &file.sends {
        for (mut frame, expected) in case.clear(file.user.0).into_iter().zip(&case.frames) {
            seal::seal(&key, &mut frame);
            assert_eq!(hex::encode(frame.as_bytes()), hex::encode(expected.frame.0), "{}", case.name);
        }
    }
}

#[test]
fn a_sealed_send_opens_to_the_same_terms() {
    let file: Sends = read("sends");
    let key = SessionKey::from_bytes(file.session_key.0);
    for case in &file.sends {
        let mut frames: Vec<Frame> = case.frames.iter().map(|frame| frame.frame.frame()).collect();
        frames.iter_mut().for_each(|frame| seal::open(&key, frame).expect("it is sealed with this key"));
        let (head, send): (_, body::Send) = (frames[0].header, frames[0].body());
        assert_eq!(usize::from(head.flags & flags::SEND_MORE), frames.len() - 1, "{}", case.name);
        assert_eq!(head.flags & flags::EQUAL_SHARES != 0, case.equal, "{}", case.name);
        let read = (send.counter.get(), head.load_level, send.total_fen(), send.shares);
        assert_eq!(read, (case.counter, case.attempt, case.total_fen, case.shares), "{}", case.name);
        let mut places: Vec<u64> = send.recipients.iter().map(|user| user.get()).collect();
        for (at, frame) in frames.iter().enumerate().skip(1) {
            let more: body::SendMore = frame.body();
            assert_eq!((more.counter, usize::from(more.index)), (send.counter, at), "{}", case.name);
            places.extend(more.recipients.iter().map(|user| user.get()));
        }
        let checked = check_terms(file.user.0, send.total_fen(), send.shares, &places);
        assert_eq!(checked, Ok(case.recipients.len()), "{}", case.name);
        places.truncate(case.recipients.len());
        assert_eq!(places, case.terms().recipients, "{}", case.name);
    }
}

#[test]
fn bad_terms_get_the_status_of_their_first_fault() {
    let file: Sends = read("sends");
    for case in &file.terms {
        let places: Vec<u64> = case.places.iter().map(|user| user.0).collect();
        let checked = check_terms(file.user.0, case.total_fen, case.shares, &places);
        let status = checked.err().map_or(Status::Ok, |error| error.status());
        assert_eq!(status as u8, case.status, "{}", case.name);
    }
    for status in [Status::BadAmount, Status::BadShares, Status::BadRecipients, Status::Oneself] {
        assert!(file.terms.iter().any(|case| case.status == status as u8), "{status:?}");
    }
}

#[test]
fn there_are_sends_of_one_and_of_all_frames() {
    let counts: Vec<usize> = read::<Sends>("sends").sends.iter().map(|case| case.frames.len()).collect();
    assert!(counts.contains(&1) && counts.contains(&2) && counts.contains(&18), "{counts:?}");
}
