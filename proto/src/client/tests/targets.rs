//! A session that may join one of several servers. The wire takes all datagrams to one model server, which stands
//! for whichever is asked.

use super::*;
use crate::Op;
use crate::body::{RefusalCode, Status};

fn several(seed: u64) -> World {
    World::new(seed, Config { targets: 3, ..Config::default() }, FINE)
}

/// Which target each HELLO went to, and when, in ms since the start.
fn hellos(world: &World) -> Vec<(u8, u64)> {
    let is_hello = |(_, frames): &&(u64, Vec<Frame>)| frames[0].header.op == Op::Hello as u8;
    let at = |(at_ns, frames): &(u64, Vec<Frame>)| {
        let place = world.sent.iter().position(|sent| sent.1[0].tag == frames[0].tag).unwrap();
        (world.sent_to[place], (at_ns - START.mono_ns) / MS)
    };
    world.sent.iter().filter(is_hello).map(at).collect()
}

/// Expect: a target that has no room, or is loaded, leads to the next one within a second; when all have refused
/// the server's wish is kept.
#[test]
fn a_refused_join_goes_to_the_next_target() {
    for code in [RefusalCode::Full, RefusalCode::Busy, RefusalCode::Load] {
        let mut world = several(40);
        world.server.refusal = Some((code, 20_000));
        world.run_for_ms(25_000);
        let hellos = hellos(&world);
        assert_eq!(hellos.iter().map(|(target, _)| *target).collect::<Vec<_>>(), [0, 1, 2], "{hellos:?}");
        assert!(hellos[2].1 < 2_100, "{hellos:?}");
        world.server.refusal = None;
        world.run_for_ms(20_000);
        assert!(world.session.is_joined());
        world.call(Call::Shake).unwrap();
        assert_eq!((world.session.target(), world.joins()), (0, 1));
    }
}

/// Expect: a target that says nothing is asked twice, then the next one, all round; slower in the second round.
#[test]
fn a_silent_target_is_passed_by() {
    let mut world = several(41);
    world.server.is_mute = true;
    world.run_for_ms(20_000);
    let hellos = hellos(&world);
    let targets: Vec<u8> = hellos.iter().map(|(target, _)| *target).collect();
    assert_eq!(targets[..8], [0, 0, 1, 1, 2, 2, 0, 0], "{hellos:?}");
    assert!(hellos[7].1 - hellos[6].1 > hellos[1].1 - hellos[0].1, "{hellos:?}");
}

/// Expect: a session whose server falls silent asks the next one, while its own frames still go to its own; when
/// it has moved, what was sent before ends unknown, because the new server knows nothing of it.
#[test]
fn a_silent_session_moves_and_its_requests_end_unknown() {
    let mut world = several(42);
    world.run_for_ms(100);
    let open = world.call(Call::Open { packet: 5 }).unwrap();
    world.server.is_mute = true;
    world.wire.clear();
    world.run_for_ms(3_900);
    assert_eq!(hellos(&world).last().map(|(target, _)| *target), Some(1));
    let of_session = |world: &World| {
        let sent = world.sent.iter().zip(&world.sent_to);
        let opens = sent.filter(|((_, frames), _)| frames[0].header.op == Op::Open as u8);
        opens.map(|(_, target)| *target).collect::<Vec<_>>()
    };
    assert!(of_session(&world).len() > 1 && of_session(&world).iter().all(|target| *target == 0));
    world.server.is_mute = false;
    world.server.forget_session();
    world.session.on_timeout(world.now, &mut world.rng, &mut world.events);
    while world.joins() < 2 {
        let until_ns = world.now.mono_ns + MS;
        world.step(until_ns);
    }
    world.run_for_ms(10);
    assert_eq!(world.outcomes(), [(open, Outcome::Unknown)]);
    let shake = world.call(Call::Shake).unwrap();
    assert_eq!(world.session.target(), 1);
    world.run_for_ms(100);
    assert_eq!(world.outcomes()[1], (shake, known(Status::Miss)));
}

/// Expect: a server that lost the session, as by a restart, is asked itself: it may know what became of requests.
#[test]
fn a_lost_session_stays_with_its_server() {
    let mut world = several(43);
    world.run_for_ms(100);
    world.server.forget_session();
    world.call(Call::Shake).unwrap();
    world.run_for_ms(3_000);
    assert_eq!((world.joins(), hellos(&world).last().map(|(target, _)| *target)), (2, Some(0)));
}

/// Expect: with one target each datagram is for it.
#[test]
fn one_target_is_the_only_one() {
    let mut world = World::new(44, Config { targets: 0, ..Config::default() }, FINE);
    world.server.is_mute = true;
    world.run_for_ms(20_000);
    world.server.is_mute = false;
    world.run_for_ms(5_000);
    world.call(Call::Shake).unwrap();
    assert!(world.session.is_joined() && world.sent_to.iter().all(|target| *target == 0));
}
