//! Bad wires.

use super::*;
use crate::Terms;
use crate::body::Status;
use std::collections::HashSet;

const BAD: Weather =
    Weather { loss_percent: 20, duplicated_percent: 10, delay_ns: 20 * MS, jitter_ns: 15 * MS };

/// Makes `calls` calls of every kind, a few at a time, and waits for all of them.
fn play(world: &mut World, calls: usize) -> HashSet<u64> {
    let mut reqs = HashSet::new();
    while reqs.len() < calls {
        for _ in 0..1 + world.below(4) {
            let call = any_call(world, 1 + reqs.len() as u64);
            if let Ok(req) = world.call(call) {
                assert!(reqs.insert(req), "req {req:x} was given twice");
            }
        }
        let pause_ms = world.below(60);
        world.run_for_ms(pause_ms);
    }
    world.run_for_ms(12_000);
    reqs
}

/// A session that takes a loss for nothing but a loss.
fn obeys_not() -> Config {
    Config { obeys: false, ..Config::default() }
}

/// Mostly a shake.
fn any_call(world: &mut World, packet: u64) -> Call {
    match world.below(32) {
        0..4 => Call::Open { packet },
        4 => {
            let recipients = (1_000..=1_000 + world.below(54)).collect();
            Call::Send { terms: Box::new(Terms { total_fen: 500, shares: 5, equal: false, recipients }) }
        }
        5 => Call::Share { packet, user: 9 },
        6 => Call::Grab { packet },
        7 => Call::Balance,
        8 => Call::History { entry: packet % 8 },
        9 => Call::Invites { after: packet % 12 },
        _ => Call::Shake,
    }
}

/// Every call ended once; none of those that were executed was so twice, and the outcome is the server's.
fn check(world: &World, reqs: &HashSet<u64>) {
    let outcomes = world.outcomes();
    let ended: HashSet<u64> = outcomes.iter().map(|(req, _)| *req).collect();
    assert_eq!((ended.len(), &ended), (outcomes.len(), reqs));
    assert!(world.server.executed.values().all(|times| *times == 1));
    for (req, outcome) in outcomes {
        if let Outcome::Known(Reply { status: Status::Ok, .. }) = outcome {
            assert_eq!(world.server.executed.get(&req), Some(&1));
        }
    }
}

/// Expect: at 20% loss each way, with duplicates and reordering, each of 2,000 requests ends known and was
/// executed exactly once, whatever the seed.
#[test]
fn every_request_ends_known_and_is_executed_once_on_a_bad_wire() {
    for seed in 0..4 {
        let mut world = World::new(seed, obeys_not(), BAD);
        world.run_for_ms(10_000);
        let reqs = play(&mut world, 2_000);
        check(&world, &reqs);
        assert!(world.outcomes().iter().all(|(_, outcome)| *outcome != Outcome::Unknown), "seed {seed}");
        assert_eq!(world.server.executed.len(), reqs.len(), "seed {seed}");
        assert_eq!(world.session.counters().bad_tag, 0);
    }
}

/// Expect: the same for requests that are alone in flight, where nothing but the timer tells a loss.
#[test]
fn a_request_alone_in_flight_ends_known_on_a_bad_wire() {
    let mut world = World::new(20, obeys_not(), BAD);
    world.run_for_ms(20_000);
    for _ in 0..2_000 {
        world.call(Call::Shake).unwrap();
        while world.session.in_flight() > 0 {
            let until_ns = world.now.mono_ns + 20 * MS;
            world.step(until_ns);
        }
    }
    assert!(world.outcomes().iter().all(|(_, outcome)| *outcome != Outcome::Unknown));
    assert_eq!((world.outcomes().len(), world.server.executed.len()), (2_000, 2_000));
    assert!(world.server.executed.values().all(|times| *times == 1));
}

/// Expect: when the server also loses the session now and then, every request ends, at most once executed,
/// and what is known agrees with the server.
#[test]
fn requests_end_right_when_the_server_restarts_on_a_bad_wire() {
    for seed in 10..14 {
        let mut world = World::new(seed, obeys_not(), BAD);
        world.run_for_ms(10_000);
        let mut reqs = HashSet::new();
        for _ in 0..8 {
            reqs.extend(play(&mut world, 50));
            world.server.forget_session();
        }
        let more = play(&mut world, 50);
        reqs.extend(more);
        check(&world, &reqs);
        assert!(world.joins() >= 8, "seed {seed}: {}", world.joins());
    }
}

/// Expect: samples of retransmitted requests count, so the timeout finds a round trip that is far above the
/// first guess, which Karn's algorithm alone could not.
#[test]
fn the_timeout_learns_from_retransmitted_requests() {
    let mut world = World::joined();
    assert!(world.session.rto_ns() < 100 * MS);
    world.weather.delay_ns = 400 * MS;
    for _ in 0..10 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(2_000);
    }
    assert!(world.session.rto_ns() > 800 * MS, "{}", world.session.rto_ns());
    let before = world.session.counters().retransmissions;
    world.call(Call::Shake).unwrap();
    world.run_for_ms(2_000);
    assert_eq!(world.session.counters().retransmissions, before);
    assert_eq!(world.joins(), 0);
}
