//! Any bytes as a datagram: cut into frames, looked at as every op, opened, checked against a replay window.
//!
//! Random bytes never carry a right tag, so each frame is also sealed with the fixed key and opened again:
//! what an authentic peer with a broken mind could send.
#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use redpkt_proto::body::{
    Answer, Challenge, CookieBytes, Entry, EntryKind, Hello, Invite, InviteOk, Join, Keepalive, PacketId,
    PathProof, Redirect, Refusal, RefusalCode, Relay, RelayAnswer, Request, Send, SendMore, Status, Welcome,
};
use redpkt_proto::frame::{frames, frames_mut};
use redpkt_proto::replay::ReplayWindow;
use redpkt_proto::seal::{self, SessionKey};
use redpkt_proto::steer::Layout;
use redpkt_proto::terms::check_terms;
use redpkt_proto::{FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX, Frame, Op, Terms};

const SENDER: u64 = 77;
const KEY: SessionKey = SessionKey::from_bytes([7; 16]);

fuzz_target!(|bytes: &[u8]| {
    let mut datagram = bytes.to_vec();
    let fits = bytes.len() % FRAME_BYTES == 0
        && (1..=FRAMES_PER_DATAGRAM_MAX).contains(&(bytes.len() / FRAME_BYTES));
    assert_eq!(frames(bytes).is_some(), fits);
    let Some(frames) = frames_mut(&mut datagram) else { return };
    look_at_terms(frames);
    let mut window = ReplayWindow::new();
    let mut accepted = Vec::new();
    for frame in frames {
        look_at(frame);
        let seq = frame.header.seq.get();
        let mut forged = *frame;
        assert!(seal::open(&KEY, &mut forged).is_err(), "a tag was guessed");

        let clear = *frame;
        seal::seal(&KEY, frame);
        assert_eq!(frame.header, clear.header);
        seal::open(&KEY, frame).expect("what was sealed opens");
        assert_eq!(frame.body, clear.body);

        if window.check(seq).is_ok() {
            window.accept(seq);
            assert!(seq != 0 && !accepted.contains(&seq), "seq {seq} was accepted twice");
            accepted.push(seq);
        }
        assert!(window.check(seq).is_err());
    }
});

/// Reads all that can be read of a frame, whatever its op.
fn look_at(frame: &Frame) {
    let header = frame.header;
    let (_, _) = (header.version(), header.direction());
    if let Some(op) = Op::from_wire(header.op) {
        assert_eq!(op as u8, header.op);
        assert!(op.is_for_server() || op.is_for_client());
        let _ = op.is_handshake();
    }
    let layout = Layout { sets: 256, groups: 6, workers: 4 };
    assert!(layout.set_of(header.user.get()) < 256 && layout.worker_of_user(header.user.get()) < 4);

    let (_, join) = (frame.body::<Hello>(), frame.body::<Join>());
    let challenge: CookieBytes = frame.body::<Challenge>().cookie;
    assert_eq!(challenge, frame.body::<PathProof>().cookie);
    let _ = (join.cookie, frame.body::<Welcome>(), frame.body::<Keepalive>());
    let (request, answer): (Request, Answer) = (frame.body(), frame.body());
    assert_eq!((request.req, request.attempt), (answer.req, answer.attempt));
    if let Some(status) = Status::from_wire(answer.status) {
        assert_eq!(status as u8, answer.status);
    }
    let code = frame.body::<Refusal>().code;
    if let Some(known) = RefusalCode::from_wire(code) {
        assert_eq!(known as u8, code);
    }
    let packet = request.packet.get();
    assert_eq!(PacketId::from_u64(packet).to_u64(), packet);

    let entry: Entry = frame.body();
    assert_eq!((entry.status, entry.when_s), (answer.status, answer.retry_after_ms));
    if let Some(kind) = EntryKind::from_wire(entry.kind) {
        assert_eq!(kind as u8, entry.kind);
    }
    assert_eq!(frame.body::<Invite>().packet, frame.body::<InviteOk>().packet);
    let (relay, relayed) = (frame.body::<Relay>(), frame.body::<RelayAnswer>());
    assert_eq!((relay.length, relay.message), (relayed.length, relayed.message));
    let _ = frame.body::<Redirect>();

    let mut again = Frame::new(header, &answer);
    again.tag = frame.tag;
    assert_eq!(&again, frame);
}

/// Takes the frames for a SEND and its SEND_MORE. Terms that are found good read the same from their own frames.
fn look_at_terms(frames: &[Frame]) {
    let send: Send = frames[0].body();
    let mut places: Vec<u64> = send.recipients.iter().map(|user| user.get()).collect();
    for frame in &frames[1..] {
        places.extend(frame.body::<SendMore>().recipients.iter().map(|user| user.get()));
    }
    let Ok(count) = check_terms(SENDER, send.total_fen(), send.shares, &places) else { return };
    let recipients = places[..count].to_vec();
    let terms = Terms { total_fen: send.total_fen(), shares: send.shares, equal: false, recipients };
    assert_eq!(terms.check(SENDER), Ok(()));
    assert_eq!(terms.send(send.counter.get()), send);
    for index in 1..=terms.more() {
        let more: SendMore = frames[index].body();
        assert_eq!(terms.send_more(1, index as u8).recipients, more.recipients);
    }
}
