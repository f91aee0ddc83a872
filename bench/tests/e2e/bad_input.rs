//! Whatever comes from the network is dropped or refused under its own counter, and nobody else notices.

use super::common::*;
use redpkt_proto::body::{Challenge, Hello, Refusal, RefusalCode};
use redpkt_proto::frame::VERSION;
use redpkt_proto::{DATAGRAM_BYTES_MAX, FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX, Frame, Op};
use serde_json::Value;
use std::collections::BTreeMap;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// A server, somebody honest whose shakes must always be answered, and what was dropped before.
struct Scene {
    keys: Keys,
    server: Server,
    honest_peer: Peer,
    honest: Hand,
    before: BTreeMap<String, u64>,
}

/// The honest user; others are the ones that misbehave.
const HONEST: u64 = 1_000;

impl Scene {
    fn new(args: &[&str]) -> Scene {
        let keys = Keys::new();
        let server = Server::start(&keys, args);
        let honest_peer = Peer::new(server.addr());
        let honest = Hand::join(&honest_peer, &keys.ticket(HONEST));
        let before = server.drops();
        Scene { keys, server, honest_peer, honest, before }
    }

    fn peer(&self) -> Peer {
        Peer::new(self.server.addr())
    }

    /// Another user's session, and the socket it lives at.
    fn join(&self, user: u64) -> (Hand, Peer) {
        let peer = self.peer();
        (Hand::join(&peer, &self.keys.ticket(user)), peer)
    }

    /// The honest user shakes and is answered at once. The worker handles datagrams in their order, so all
    /// that was sent before has been handled then.
    fn honest_shakes(&mut self) {
        let answer = self.honest.shake_and_hear(&self.honest_peer);
        assert_eq!(answer.retry_after_ms.get(), 0);
    }

    /// What has been dropped since the beginning, is exactly this; the figures are read after an honest
    /// shake is in them.
    fn expect_drops(&mut self, expected: &[(&str, u64)]) -> Value {
        self.honest_shakes();
        let honest_shakes = u64::from(self.honest.counter);
        let stats = self.server.stats_when("the honest shakes in the figures", |stats| {
            stats["shake"]["miss"].as_u64().unwrap() >= honest_shakes
        });
        let now: BTreeMap<String, u64> = serde_json::from_value(stats["drops"].clone()).unwrap();
        let expected: BTreeMap<String, u64> =
            expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(grown(&self.before, &now), expected);
        stats
    }
}

/// What a refusal says.
fn refusal(frame: &Frame, op: Op, refused: &Frame) -> Refusal {
    assert_eq!(frame.header.op, op as u8, "{frame:?}");
    let body: Refusal = frame.body();
    assert_eq!(body.refused_tag, refused.tag, "a refusal shows that its sender has seen the frame");
    body
}

/// Expect: every length from 0 to 1,300 bytes and some up to 65,507 is dropped as `length` (no whole frames),
/// `truncated` (longer than a datagram may be) or `version` (whole frames of an unknown one), each exactly once.
#[test]
fn every_length_is_dropped_under_its_own_counter() {
    let mut scene = Scene::new(&[]);
    let peer = scene.peer();
    peer.socket.set_nonblocking(true).unwrap();
    let lengths: Vec<usize> = (0..=1_300).chain((1_301..65_507).step_by(1_499)).chain([65_507]).collect();
    let mut zeros = vec![0; 65_507];
    // A version that is not spoken, and that a server has to answer.
    zeros[12] = 2;
    for (at, len) in lengths.iter().enumerate() {
        peer.send(&zeros[..*len]);
        if at % 40 == 0 || *len > 1_300 {
            scene.honest_shakes();
        }
    }
    let count = |is: &dyn Fn(usize) -> bool| lengths.iter().filter(|len| is(**len)).count() as u64;
    let fits = |len: usize| len <= DATAGRAM_BYTES_MAX;
    let whole = |len: usize| len > 0 && len.is_multiple_of(FRAME_BYTES);
    let stats = scene.expect_drops(&[
        ("length", count(&|len| fits(len) && !whole(len))),
        ("truncated", count(&|len| !fits(len))),
        ("version", count(&|len| fits(len) && whole(len))),
    ]);
    assert_eq!(stats["sessions"], 1);
    // Only the 18 lengths that are whole frames were answered, each by one frame.
    let mut answers = 0;
    while let Ok(len) = peer.socket.recv(&mut [0; 2_048]) {
        (answers, _) = (answers + 1, assert_eq!(len, FRAME_BYTES));
    }
    assert_eq!(answers, FRAMES_PER_DATAGRAM_MAX);
}

/// Expect: 19 whole frames are one too many: nothing of them is looked at.
#[test]
fn a_datagram_of_19_frames_is_dropped_whole() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let frames: Vec<Frame> = (0..19).map(|_| user.shake()).collect();
    peer.send_frames(&frames);
    user.sync(&peer);
    scene.expect_drops(&[("truncated", 1)]);
}

/// Expect: a sealed frame with an op that is none, that only a server sends, or that must come alone is
/// dropped as `op`, unanswered; the session goes on.
#[test]
fn an_unknown_op_is_dropped() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let requests =
        [Op::Shake, Op::Open, Op::Send, Op::Share, Op::Grab, Op::Balance, Op::History, Op::Invites];
    let others = [Op::Ask, Op::Relay, Op::InviteOk, Op::Keepalive, Op::PathOk, Op::Hello, Op::Join];
    let served: Vec<u8> = requests.into_iter().chain(others).map(|op| op as u8).collect();
    // A SEND_MORE without its SEND is among the others.
    let ops: Vec<u8> = (0..=255).filter(|op| !served.contains(op)).collect();
    let body = hello(&scene.keys.ticket(1), &random8()).body::<Hello>();
    for op in &ops {
        user.seq += 1;
        peer.send_frames(&[user.frame_with(user.seq, *op, &body)]);
    }
    user.sync(&peer);
    // A HELLO between other frames is no HELLO.
    let shakes = [user.shake(), hello(&scene.keys.ticket(1), &random8()), user.shake()];
    peer.send_frames(&shakes);
    assert_eq!(peer.hear().len(), 2);
    scene.expect_drops(&[("op", ops.len() as u64 + 1)]);
}

/// Expect: a datagram of a version that is not spoken gets one ERROR that names the versions that are,
/// however many frames it has.
#[test]
fn an_unknown_version_gets_one_error_that_names_the_versions() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    // Above 15 and at 0 a server may leave it unanswered.
    let versions = [2, 3, 15];
    for version in versions {
        for count in [1, FRAMES_PER_DATAGRAM_MAX] {
            let mut frames: Vec<Frame> = (0..count).map(|_| user.shake()).collect();
            frames.iter_mut().for_each(|frame| frame.header.version_direction = version);
            peer.send_frames(&frames);
            let body = refusal(&peer.hear_one(), Op::Error, &frames[0]);
            assert_eq!(RefusalCode::from_wire(body.code), Some(RefusalCode::Version));
            assert_eq!((body.version_min, body.version_max), (VERSION, VERSION));
        }
    }
    user.sync(&peer);
    scene.expect_drops(&[("version", 2 * versions.len() as u64)]);
}

/// Expect: a frame with any part changed is dropped as `tag`, unanswered, and moves nothing: the true frame
/// is answered afterwards.
#[test]
fn a_wrong_tag_is_dropped_and_changes_nothing() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let shake = user.shake();
    // seq, flags, load level, body, tag; never user, version and op, which have counters of their own.
    let places = [8, 11, 14, 15, 16, 47, 48, 63];
    for at in places {
        let mut frame = shake;
        frame.as_mut_bytes()[at] ^= 1;
        if frame.header.seq.get() != 0 {
            peer.send_frames(&[frame]);
        }
    }
    let mut far_ahead = shake;
    far_ahead.header.seq = u32::MAX.into();
    peer.send_frames(&[far_ahead]);
    let ticket = scene.keys.ticket(2);
    let client_random = random8();
    let mut bad_hello = hello(&ticket, &client_random);
    bad_hello.tag[0] ^= 1;
    peer.send_frames(&[bad_hello]);
    let cookie = challenge_cookie(&peer, &ticket, &client_random);
    let mut bad_join = join_frame(&ticket, &client_random, cookie);
    bad_join.body[31] ^= 1;
    peer.send_frames(&[bad_join]);
    peer.send_frames(&[shake]);
    user.open::<redpkt_proto::body::Answer>(peer.hear_one(), Op::Shake);
    user.sync(&peer);
    let zero_seqs = u64::from(shake.header.seq.get() ^ 1 == 0);
    let stats = scene.expect_drops(&[("tag", places.len() as u64 - zero_seqs + 3)]);
    assert_eq!(stats["sessions"], 2);
}

/// Expect: a frame that comes again is dropped as `replay`, unanswered, also when it is older than the replay
/// window; the request in it is not executed again.
#[test]
fn a_replayed_frame_is_dropped() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let first = user.shake();
    peer.ask(&first);
    (0..3).for_each(|_| peer.send_frames(&[first]));
    user.sync(&peer);
    user.seq += 1_000;
    user.sync(&peer);
    (0..2).for_each(|_| peer.send_frames(&[first]));
    user.sync(&peer);
    let stats = scene.expect_drops(&[("replay", 5)]);
    assert_eq!(stats["shake"]["miss"], u64::from(scene.honest.counter) + 1);
}

/// Expect: a JOIN with a cookie that the server did not make, or made for another address, user or client
/// random, is dropped as `cookie`, unanswered, and takes no slot.
#[test]
fn a_forged_cookie_is_dropped() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let other_peer = scene.peer();
    let (ticket, other_ticket) = (scene.keys.ticket(2), scene.keys.ticket(3));
    let client_random = random8();
    let cookie = challenge_cookie(&peer, &ticket, &client_random);
    let mut forged = cookie;
    forged.mac[0] ^= 1;
    let mut later = cookie;
    later.made = (cookie.made.get() + 1).into();
    let mut never = cookie;
    never.made = 0.into();
    for cookie in [forged, later, never] {
        peer.send_frames(&[join_frame(&ticket, &client_random, cookie)]);
    }
    peer.send_frames(&[join_frame(&ticket, &random8(), cookie)]);
    peer.send_frames(&[join_frame(&other_ticket, &client_random, cookie)]);
    peer.send_frames(&[join_frame(
        &ticket,
        &client_random,
        challenge_cookie(&other_peer, &ticket, &client_random),
    )]);
    user.sync(&peer);
    let stats = scene.expect_drops(&[("cookie", 6)]);
    assert_eq!(stats["sessions"], 2, "the honest user's and the first one's");
    // The true one joins.
    Hand::welcomed(&ticket, &client_random, &peer.ask(&join_frame(&ticket, &client_random, cookie)));
}

/// Expect: a ticket whose time is over gets one ERROR that says so, and no cookie; with a wrong tag, nothing.
#[test]
fn an_expired_ticket_is_refused() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let ticket = scene.keys.ticket_until(2, now().wall_s() as u32 - 1);
    let mut frame = hello(&ticket, &random8());
    let body = refusal(&peer.ask(&frame), Op::Error, &frame);
    assert_eq!(RefusalCode::from_wire(body.code), Some(RefusalCode::TicketExpired));
    frame.tag[0] ^= 1;
    peer.send_frames(&[frame]);
    user.sync(&peer);
    scene.expect_drops(&[("ticket_expired", 1), ("tag", 1)]);
}

/// Expect: a ticket of a key that is not here gets one ERROR that says so; one that claims a key that is here
/// without having its secret is dropped as `tag`; so is one of another user, and one with a longer life.
#[test]
fn a_foreign_ticket_is_refused() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let mut foreign = Keys::new();
    let known_id = hello(&foreign.ticket(2), &random8());
    foreign.rotate();
    let unknown_id = hello(&foreign.ticket(2), &random8());
    let body = refusal(&peer.ask(&unknown_id), Op::Error, &unknown_id);
    assert_eq!(RefusalCode::from_wire(body.code), Some(RefusalCode::TicketKey));
    peer.send_frames(&[known_id]);
    let mut ticket = scene.keys.ticket(2);
    ticket.user = 3;
    peer.send_frames(&[hello(&ticket, &random8())]);
    let mut ticket = scene.keys.ticket(2);
    ticket.fields.expiry_s = (ticket.fields.expiry_s.get() + 1).into();
    peer.send_frames(&[hello(&ticket, &random8())]);
    user.sync(&peer);
    scene.expect_drops(&[("ticket_key", 1), ("tag", 3)]);
}

/// Expect: a datagram with frames of two users is dropped whole as `mixed_users`, unanswered: neither is
/// executed, wherever the second user's frame stands.
#[test]
fn frames_of_several_users_in_one_datagram_are_dropped_whole() {
    let mut scene = Scene::new(&[]);
    let (mut one, peer) = scene.join(1);
    let (mut two, _) = scene.join(2);
    peer.send_frames(&[one.shake(), two.shake()]);
    let mut frames: Vec<Frame> = (0..FRAMES_PER_DATAGRAM_MAX - 1).map(|_| one.shake()).collect();
    frames.push(two.shake());
    peer.send_frames(&frames);
    one.sync(&peer);
    let stats = scene.expect_drops(&[("mixed_users", 2)]);
    assert_eq!(stats["shake"]["miss"], u64::from(scene.honest.counter), "only the honest one's");
}

/// Expect: session frames without a session get one STALE for a datagram, however many frames it has, and
/// take no slot.
#[test]
fn an_unknown_session_gets_one_stale() {
    let mut scene = Scene::new(&[]);
    let peer = scene.peer();
    for count in [1, FRAMES_PER_DATAGRAM_MAX] {
        let frames: Vec<Frame> = (0..count).map(|_| scene.honest.clone().shake()).collect();
        let frames: Vec<Frame> = frames
            .into_iter()
            .map(|mut frame| {
                frame.header.user = 77.into();
                frame
            })
            .collect();
        peer.send_frames(&frames);
        refusal(&peer.hear_one(), Op::Stale, &frames[0]);
    }
    let stats = scene.expect_drops(&[("unknown_session", 2)]);
    assert_eq!(stats["sessions"], 1);
}

/// Expect: frames with the server's direction are never answered, whatever their op and version, also between
/// frames that would be.
#[test]
fn frames_with_the_servers_direction_are_never_answered() {
    let mut scene = Scene::new(&[]);
    let (mut user, peer) = scene.join(1);
    let mut sent = 0;
    for op in 0..=255 {
        for version in [2, VERSION, 15] {
            let mut frame = user.shake();
            (frame.header.op, frame.header.version_direction) = (op, version | 0x80);
            peer.send_frames(&[frame]);
            sent += 1;
        }
        if op % 16 == 0 {
            user.sync(&peer);
        }
    }
    let mut frames = [user.shake(), user.shake(), user.shake()];
    frames[1].header.version_direction |= 0x80;
    peer.send_frames(&frames);
    user.sync(&peer);
    scene.expect_drops(&[("direction", sent + 1)]);
}

/// Expect: random bytes of a datagram's size are dropped or refused, never answered by more frames than came,
/// and everybody else is served.
#[test]
fn random_bytes_change_nothing() {
    use rand::Rng as _;
    let mut scene = Scene::new(&[]);
    let peer = scene.peer();
    peer.socket.set_nonblocking(true).unwrap();
    let mut rng = rng();
    let mut bytes = [0; DATAGRAM_BYTES_MAX];
    for round in 0..400usize {
        rng.fill_bytes(&mut bytes);
        let frames = round % FRAMES_PER_DATAGRAM_MAX + 1;
        // Half of them carry the right version, so that they get further.
        if round % 2 == 0 {
            for frame in bytes.as_chunks_mut::<FRAME_BYTES>().0 {
                frame[..8].copy_from_slice(&HONEST.to_le_bytes());
                frame[12] = VERSION;
            }
        }
        peer.send(&bytes[..frames * FRAME_BYTES]);
        if round % 20 == 0 {
            scene.honest_shakes();
        }
        while let Ok(len) = peer.socket.recv(&mut [0; 2_048]) {
            assert_eq!(len, FRAME_BYTES);
        }
    }
    scene.honest_shakes();
    let shakes = scene.honest.counter;
    let stats = scene.server.stats_when("the honest shakes", |stats| stats["shake"]["miss"] == shakes);
    assert_eq!((&stats["sessions"], &stats["joins"]), (&1.into(), &1.into()));
}

/// Expect: a full SET answers a new user's JOIN with ERROR Full and a retry-after, goes on serving those who
/// are there, and lets them join again.
#[test]
fn a_full_table_refuses_newcomers_with_a_retry_after() {
    let mut scene = Scene::new(&["--sessions", "4", "--sets", "1", "--groups", "1"]);
    let mut there: Vec<(Hand, Peer)> = (1..=3).map(|user| scene.join(user)).collect();
    let (ticket, peer, client_random) = (scene.keys.ticket(4), scene.peer(), random8());
    let cookie = challenge_cookie(&peer, &ticket, &client_random);
    let join = join_frame(&ticket, &client_random, cookie);
    for _ in 0..2 {
        let body = refusal(&peer.ask(&join), Op::Error, &join);
        assert_eq!(RefusalCode::from_wire(body.code), Some(RefusalCode::Full));
        assert!(body.retry_after_ms.get() > 0);
    }
    for (hand, peer) in &mut there {
        hand.sync(peer);
        next_session_step(hand.number);
        Hand::join(peer, &scene.keys.ticket(hand.user)).sync(peer);
    }
    let stats = scene.expect_drops(&[("full", 2)]);
    assert_eq!(stats["sessions"], 4);
}

/// Expect: a CHALLENGE is as long as the HELLO that asked for it, so a forged source address gets no more than
/// was sent; the server keeps nothing for it.
#[test]
fn a_hello_is_answered_by_one_frame_and_keeps_nothing() {
    let mut scene = Scene::new(&[]);
    let peer = scene.peer();
    for user in 1..=200 {
        let challenge = peer.ask(&hello(&scene.keys.ticket(user), &random8()));
        assert_eq!(challenge.header.op, Op::Challenge as u8);
        assert!(Challenge::read_from_bytes(&challenge.body).is_ok());
    }
    let stats = scene.expect_drops(&[]);
    assert_eq!((&stats["sessions"], &stats["joins"]), (&1.into(), &1.into()));
}
