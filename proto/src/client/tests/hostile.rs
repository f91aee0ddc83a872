//! Frames that nobody honest has sent.

use super::*;
use crate::body::Status;
use crate::{Direction, Op, frame};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// What a frame from outside must not change.
fn state(world: &World) -> (Vec<in_flight::Pending>, Option<u32>, u32, Hint, bool, u64) {
    let session = &world.session;
    let pending = session.in_flight.iter().cloned().collect();
    let joined = session.is_joined();
    (pending, session.session_number(), session.seq, session.hint(), joined, session.timeout_ns())
}

fn with_two_requests() -> World {
    let mut world = World::joined();
    world.call(Call::Shake).unwrap();
    world.call(Call::Open { packet: 5 }).unwrap();
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Expect: arbitrary bytes neither panic nor change anything but a counter.
    #[test]
    fn arbitrary_bytes_change_nothing(bytes in prop::collection::vec(any::<u8>(), 64 * 18), frames in 1usize..=18) {
        let mut world = with_two_requests();
        let before = state(&world);
        let mut bytes = bytes[..frames * 64].to_vec();
        world.inject(frame::frames_mut(&mut bytes).unwrap());
        prop_assert_eq!(state(&world), before);
        let counters = world.session.counters();
        prop_assert_eq!((counters.unexpected + counters.bad_tag + counters.replayed) as usize, frames);
    }

    /// Expect: so do frames with a right header of any op, joined or joining.
    #[test]
    fn arbitrary_bodies_under_a_right_header_change_nothing(
        op in 0u8..32,
        seq in any::<u32>(),
        body in any::<[u8; 32]>(),
        tag in any::<[u8; 16]>(),
        is_joining in any::<bool>(),
    ) {
        let mut world = if is_joining { World::new(1, Config::default(), FINE) } else { with_two_requests() };
        world.pump();
        let before = state(&world);
        let mut header = crate::Header::new(USER, Direction::ToClient, Op::Shake);
        (header.op, header.seq) = (op, seq.into());
        world.inject(&mut [Frame { header, body, tag }]);
        prop_assert_eq!(state(&world), before);
    }

    /// Expect: a changed bit anywhere in a right answer makes it a wrong one, and the right one still counts.
    #[test]
    fn a_changed_bit_is_noticed(bit in 0usize..512) {
        let mut world = with_two_requests();
        let req = u64::from(world.server.number()) << 32 | 1;
        let right = world.server.sealed(Op::Shake, &server::answer(req, Status::Miss));
        let mut wrong = right;
        wrong.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
        let before = state(&world);
        world.inject(&mut [wrong]);
        prop_assert_eq!(state(&world), before);
        world.inject(&mut [right]);
        prop_assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
    }
}

/// Expect: an answer that comes twice is counted as replayed, and ends its request once.
#[test]
fn a_replayed_answer_counts_once() {
    let mut world = with_two_requests();
    let req = u64::from(world.server.number()) << 32 | 1;
    let frame = world.server.sealed(Op::Shake, &server::answer(req, Status::Miss));
    world.inject(&mut [frame, frame]);
    assert_eq!((world.outcomes().len(), world.session.counters().replayed), (1, 1));
}

/// Expect: our own frames, sent back to us, and another user's are not taken.
#[test]
fn reflected_frames_and_frames_of_others_are_unexpected() {
    let mut world = with_two_requests();
    let mut own = world.sent[0].1.clone();
    let mut other = own.clone();
    other[0].header.user = (USER + 1).into();
    let before = state(&world);
    world.inject(&mut own);
    world.inject(&mut other);
    assert_eq!(state(&world), before);
    assert_eq!(world.session.counters().unexpected, 2);
}
