//! A hostile network: everything that arrives is an attack until its seal is checked.

use super::client::said;
use super::world::{World, config, path};
use crate::net::allocation::allocations;
use crate::set::{Drop, Job, Portable};
use proptest::prelude::*;
use redpkt_proto::body::{Refusal, Status};
use redpkt_proto::{Direction, FRAMES_PER_DATAGRAM_MAX, Frame, Op};
use zerocopy::FromZeros as _;

/// Expect: dropped whole, never answered, whatever the version or op: two servers cannot be made to answer
/// each other.
#[test]
fn a_frame_that_a_server_sent_is_never_answered() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let shake = client.shake_frame();
    let answered = world.ask(client.path, &[shake]);
    let stale = world.stranger(2).keepalive_frame(1);
    let stale = world.ask(path(1), &[stale]);
    let challenge = world.stranger(2).challenge(&mut world);
    let mut count = 0;
    for frame in [answered[0], stale[0], challenge] {
        for version in 0..=127 {
            let mut frame = frame;
            frame.header.version_direction = 0x80 | version;
            assert_eq!(frame.header.direction(), Direction::ToClient);
            assert_eq!(world.ask(path(1), &[frame]), []);
            count += 1;
        }
    }
    assert_eq!(world.dropped(Drop::Direction), count);
}

/// Expect: one ERROR that names the versions spoken, for the first frame, however many there were.
#[test]
fn an_unknown_version_gets_one_error_that_names_those_spoken() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let mut frames: Vec<_> = (0..5).map(|_| client.shake_frame()).collect();
    frames[3].header.version_direction = 2;
    let out = world.ask(client.path, &frames);
    assert_eq!((out.len(), out[0].header.op, world.dropped(Drop::Version)), (1, Op::Error as u8, 1));
    let refusal: Refusal = out[0].body();
    assert_eq!((refusal.code, refusal.version_min, refusal.version_max), (1, 1, 1));
    assert_eq!(refusal.refused_tag, frames[0].tag);
    assert_eq!(world.counters().shake_miss, 0);
}

/// Expect: each under its own counter, nothing executed, and the session goes on.
#[test]
fn bad_session_frames_are_dropped_and_the_session_goes_on() {
    let mut world = World::new(config());
    let (mut client, mut other) = (world.client(1), world.client(2));

    assert_eq!(world.ask(client.path, &[client.clone().shake_frame(), other.shake_frame()]), []);
    assert_eq!(world.dropped(Drop::MixedUsers), 1);

    for op in [0, 10, 15, 30, 255, Op::Welcome as u8, Op::Stale as u8, Op::Path as u8] {
        let mut frame = client.clone().shake_frame();
        frame.header.op = op;
        assert_eq!(world.ask(client.path, &[frame]), [], "op {op}");
    }
    let hello = world.stranger(1).hello();
    assert_eq!(world.ask(client.path, &[hello, hello]), [], "a handshake frame comes alone");
    assert_eq!(world.dropped(Drop::Op), 10);

    let mut forged = client.clone().shake_frame();
    forged.tag[0] ^= 1;
    assert_eq!(world.ask(client.path, &[forged]), []);
    assert_eq!(world.dropped(Drop::Tag), 1);

    let frame = client.shake_frame();
    assert_eq!(world.ask(client.path, &[frame]).len(), 1);
    assert_eq!(world.ask(client.path, &[frame]), []);
    assert_eq!(world.batch(&[(client.path, vec![frame, frame]), (path(9), vec![frame])]), []);
    assert_eq!(world.dropped(Drop::Replay), 4);

    assert_eq!(client.shake(&mut world), said(Status::Miss));
    assert_eq!(world.counters().shake_miss, 2);
}

/// Expect: a forged frame with a far seq does not move the window, so the real ones behind it are taken.
#[test]
fn what_is_not_authentic_moves_no_window() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let mut far = client.shake_frame();
    far.header.seq = u32::MAX.into();
    let seen_before = world.sessions();
    assert_eq!(world.ask(client.path, &[far]), []);
    assert_eq!(client.shake(&mut world), said(Status::Miss));
    assert_eq!(world.sessions(), seen_before);
}

/// Expect: one STALE for a datagram, which shows the tag of its first frame.
#[test]
fn an_unknown_session_gets_one_stale() {
    let mut world = World::new(config());
    let mut stranger = world.stranger(5);
    let frames: Vec<_> = (0..4).map(|_| stranger.shake_frame()).collect();
    let out = world.ask(stranger.path, &frames);
    assert_eq!((out.len(), out[0].header.op), (1, Op::Stale as u8));
    assert_eq!(out[0].body::<Refusal>().refused_tag, frames[0].tag);
    assert_eq!(world.dropped(Drop::UnknownSession), 1);
}

/// Expect: from its first batch on, the core takes nothing from the allocator, whatever comes.
#[test]
fn the_core_allocates_nothing() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.mint(8, 50);
    let mut frames: Vec<Frame> = (0..16).map(|_| client.shake_frame()).collect();
    let mut strange = world.stranger(2).hello();
    let (core, now) = (&mut world.cores[0], world.now);
    // The ledger of these tests keeps lists of its rows and turns; they are not part of what is counted here.
    world.ledger.reserve(64);
    let count = allocations(|| {
        for frame in &mut frames {
            let mut jobs = [
                Job { path: client.path, frames: std::slice::from_mut(frame), replies: 0 },
                Job { path: path(9), frames: std::slice::from_mut(&mut strange), replies: 0 },
            ];
            core.handle_batch(now, 0, &mut jobs, Portable);
            core.turn(now, |_, _| {});
        }
    });
    assert_eq!(count, 0);
    assert_eq!(world.counters().shake_win, 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Expect: no bytes panic, nothing is answered by more frames than it had, and no session or money
    /// comes of it.
    #[test]
    fn arbitrary_frames_do_no_harm(
        bytes in prop::collection::vec(any::<[u8; 64]>(), 1..=FRAMES_PER_DATAGRAM_MAX),
        dress_up in any::<bool>(),
        op in prop::sample::select(vec![1u8, 3, 7, 9, 16, 17]),
    ) {
        let mut world = World::new(config());
        let mut client = world.client(1);
        let frames: Vec<Frame> = bytes
            .iter()
            .map(|bytes| {
                let mut frame = Frame::new_zeroed();
                zerocopy::IntoBytes::as_mut_bytes(&mut frame).copy_from_slice(bytes);
                if dress_up {
                    frame.header.user = 1.into();
                    frame.header.version_direction = 1;
                    frame.header.op = op;
                }
                frame
            })
            .collect();
        prop_assert!(world.ask(path(9), &frames).len() <= frames.len());
        prop_assert_eq!(world.sessions(), 1);
        prop_assert_eq!(client.shake(&mut world), said(Status::Miss));
    }
}
