//! A session whose server has more to do than it can.

use super::server::{answer, refusal};
use super::*;
use crate::Op;
use crate::body::{RefusalCode, Status};

fn obeys_not() -> Config {
    Config { obeys: false, ..Config::default() }
}

/// A refusal because of load of what was sent last.
fn load(world: &World, retry_after_ms: u32) -> Frame {
    refusal(Op::Error, RefusalCode::Load as u8, &world.sent.last().unwrap().1[0], retry_after_ms)
}

/// Makes a call whose datagram the server refuses because of load.
fn call_shed(world: &mut World, call: Call, retry_after_ms: u32) -> u64 {
    let req = world.call(call).unwrap();
    world.wire.clear();
    let load = load(world, retry_after_ms);
    world.inject(&mut [load]);
    req
}

/// When calls that were sent since the log was cleared went out, in ms from `from_ns`.
fn waits_ms(world: &World, op: Op, from_ns: u64) -> Vec<u64> {
    let from_ms = (from_ns - START.mono_ns) / MS;
    world.sent_ms(op).into_iter().map(|at_ms| at_ms - from_ms).collect()
}

fn not_nows(world: &World) -> usize {
    world.outcomes().iter().filter(|(_, outcome)| *outcome == Outcome::NotNow).count()
}

/// Expect: what the server refused because of load comes again after its wish and up to as long again, under its
/// old req, and is answered; other kinds of requests are not held up.
#[test]
fn a_class_of_requests_waits_as_long_as_the_server_wishes() {
    let mut world = World::joined();
    let at_ns = world.now.mono_ns;
    let shake = call_shed(&mut world, Call::Shake, 2_000);
    assert_eq!((world.session.hint(), world.session.counters().unexpected), (Hint::Busy, 0));
    let open = world.call(Call::Open { packet: 5 }).unwrap();
    let balance = world.call(Call::Balance).unwrap();
    world.run_for_ms(100);
    assert_eq!(world.outcomes().iter().map(|(req, _)| *req).collect::<Vec<_>>(), [open, balance]);
    world.run_for_ms(4_500);
    let waits = waits_ms(&world, Op::Shake, at_ns);
    assert_eq!(waits.len(), 2);
    assert!((2_000..=4_000).contains(&waits[1]), "{waits:?}");
    assert_eq!(world.outcomes().last(), Some(&(shake, known(Status::Miss))));
    assert_eq!(world.hints(), [Hint::Busy, Hint::Smooth]);
}

/// Expect: of each class the pause holds new requests too, and no other class.
#[test]
fn a_pause_holds_its_class_and_no_other() {
    let calls = || [Call::Open { packet: 3 }, Call::Grab { packet: 4 }, Call::Shake, Call::Balance];
    for shed in calls() {
        let mut world = World::joined();
        call_shed(&mut world, shed.clone(), 1_000);
        world.sent.clear();
        for call in calls() {
            world.call(call).unwrap();
        }
        let held = |world: &World| calls().map(|call| world.sent_ms(call.op()).is_empty());
        assert_eq!(held(&world), calls().map(|call| call == shed));
        world.run_for_ms(990);
        assert!(world.sent_ms(shed.op()).is_empty());
        world.run_for_ms(8_000);
        assert!(!world.sent_ms(shed.op()).is_empty());
    }
}

/// Expect: a refusal because of load counts only with the tag of a datagram sent lately, and once.
#[test]
fn a_refusal_of_what_was_not_sent_is_ignored() {
    let mut world = World::joined();
    let req = world.call(Call::Shake).unwrap();
    let mut forged = load(&world, 5_000);
    forged.body[0] ^= 1;
    world.inject(&mut [forged]);
    assert_eq!((world.session.counters().unexpected, world.session.load.is_none()), (1, true));
    world.run_for_ms(100);
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
    call_shed(&mut world, Call::Shake, 1_000);
    let due_ns = world.session.timeout_ns();
    let again = load(&world, 9_000);
    world.inject(&mut [again]);
    assert_eq!((world.session.counters().unexpected, world.session.timeout_ns()), (2, due_ns));
}

/// Expect: on the word of a hint nothing waits for longer than 30 s and as long again; a request that cannot wait
/// for so long ends by its deadline, unknown, and a shake made meanwhile is answered here, at once.
#[test]
fn an_unsealed_wait_is_bounded_and_requests_end_by_their_deadline() {
    let mut world = World::joined();
    let at_ns = world.now.mono_ns;
    let open = call_shed(&mut world, Call::Open { packet: 3 }, u32::MAX);
    let shed = call_shed(&mut world, Call::Shake, u32::MAX);
    let shake = world.call(Call::Shake).unwrap();
    assert_eq!(world.outcomes(), [(shake, Outcome::NotNow)]);
    world.run_for_ms(10_100);
    assert_eq!(world.outcomes()[1..], [(open, Outcome::Unknown), (shed, Outcome::Unknown)]);
    let load = world.session.load.as_ref().unwrap();
    let until_ns = load.paused_until_ns(class::Class::Open).max(load.paused_until_ns(class::Class::Shake));
    assert!((30_000 * MS..=60_000 * MS).contains(&(until_ns - at_ns)));
    assert_eq!(world.joins(), 0);
}

/// Expect: a server that refuses everything is there: nobody says HELLO to it for its silence.
#[test]
fn refusals_are_no_silence() {
    let mut world = World::joined();
    for _ in 0..10 {
        call_shed(&mut world, Call::Balance, 600);
        world.run_for_ms(1_000);
        world.wire.clear();
    }
    assert!(world.sent_ms(Op::Hello).is_empty());
}

/// Expect: a shake that is sent in vain time and again is taken as refused: it and new ones wait, for longer each time;
/// an open is sent for longer. Once the server answers, the shake is told, and who does not obey never waits.
#[test]
fn silence_is_taken_as_refusal() {
    for obeys in [true, false] {
        let mut world = World::joined_with(Config { obeys, ..Config::default() });
        world.weather.loss_percent = 100;
        let shake = world.call(Call::Shake).unwrap();
        let open = world.call(Call::Open { packet: 5 }).unwrap();
        world.run_for_ms(2_900);
        let (shakes, opens) = (world.sent_ms(Op::Shake).len(), world.sent_ms(Op::Open).len());
        let told = format!("{shakes} shakes, {opens} opens");
        assert!(if obeys { shakes <= 4 && opens > shakes } else { shakes >= 15 && opens >= 15 }, "{told}");
        // One waits for its turn, the next is not asked for.
        (0..2).for_each(|_| _ = world.call(Call::Shake).unwrap());
        assert_eq!(not_nows(&world), usize::from(obeys));
        world.weather.loss_percent = 0;
        world.run_for_ms(20_000);
        let told: Vec<u64> = world
            .outcomes()
            .iter()
            .filter(|(_, outcome)| *outcome != Outcome::NotNow)
            .map(|(req, _)| *req)
            .collect();
        assert!(told.contains(&shake) && told.contains(&open), "{told:?}");
    }
}

/// Expect: new shakes keep the distance that belongs to the load level, one waits for its turn and those made
/// meanwhile are answered here; without a level there is no distance.
#[test]
fn shakes_are_paced_by_the_load_level() {
    for (load_level, least_ms) in [(0, 0), (191, 0), (200, 700), (216, 1_400), (232, 2_800), (255, 3_600)] {
        let mut world = World::joined();
        world.server.load_level = load_level;
        world.call(Call::Shake).unwrap();
        world.run_for_ms(100);
        world.sent.clear();
        for _ in 0..100 {
            world.call(Call::Shake).unwrap();
            world.run_for_ms(100);
        }
        let sent = world.sent_ms(Op::Shake);
        let waits: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A shake is made each 100 ms, so one may come that much later than it could.
        assert!(
            waits.iter().all(|wait| (least_ms..=11 * least_ms / 5 + 100).contains(wait)),
            "{load_level}: {waits:?}"
        );
        assert!(sent.len() == 100 || least_ms > 0 && sent.len() > 1, "{load_level}: {sent:?}");
        world.run_for_ms(10_000);
        assert_eq!(world.outcomes().len(), 101);
        assert_eq!(world.server.executed.len() + not_nows(&world), 101);
    }
}

/// Expect: in silence the distance shrinks, and when the level falls shakes go out at once.
#[test]
fn shakes_are_not_paced_for_longer_than_the_load_lasts() {
    let mut world = World::joined();
    world.server.load_level = 240;
    world.call(Call::Shake).unwrap();
    world.run_for_ms(100);
    world.server.load_level = 0;
    world.run_for_ms(4_000);
    world.sent.clear();
    for _ in 0..10 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(100);
    }
    assert_eq!((world.sent_ms(Op::Shake).len(), not_nows(&world)), (10, 0));
}

/// Expect: opens, grabs and sends are never rejected here, whatever the load.
#[test]
fn what_is_about_money_is_never_rejected_here() {
    let mut world = World::joined();
    for _ in 0..40 {
        call_shed(&mut world, Call::Shake, 0);
        world.session.in_flight.give_up(world.now);
        world.run_for_ms(1);
    }
    world.server.load_level = 255;
    world.run_for_ms(3_000);
    world.events.clear();
    let terms = crate::Terms { total_fen: 9, shares: 1, equal: false, recipients: vec![5] };
    let calls = [Call::Open { packet: 3 }, Call::Grab { packet: 4 }, Call::Send { terms: Box::new(terms) }];
    for call in calls.iter().cycle().take(30) {
        world.call(call.clone()).unwrap();
        world.run_for_ms(50);
    }
    assert_eq!((world.outcomes().len(), not_nows(&world)), (30, 0));
}

/// Expect: when a server answers few of the shakes, most are answered here and do not reach the wire, some always
/// do; 5 s after its last refusal all do.
#[test]
fn shakes_that_would_be_refused_are_rejected_here() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 9_900)), u32::MAX);
    let mut rejected = vec![];
    for _ in 0..120 {
        let before = not_nows(&world);
        world.call(Call::Shake).unwrap();
        world.run_for_ms(1_100);
        rejected.push(not_nows(&world) - before);
    }
    assert_eq!(rejected[..4].iter().sum::<usize>(), 0, "a few refusals are not yet overload");
    let late: usize = rejected[60..].iter().sum();
    assert!((45..60).contains(&late), "{late} of 60");
    (world.server.put_off, world.server.put_off_times) = (None, 0);
    world.run_for_ms(20_000);
    world.events.clear();
    for _ in 0..20 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(500);
    }
    assert_eq!((world.outcomes().len(), not_nows(&world)), (20, 0));
}

/// Expect: a loaded server that has gone mute gets few retransmissions, a healthy one as many as ever; a single
/// lost datagram is repaired at once either way.
#[test]
fn retransmissions_are_a_tenth_while_the_server_is_loaded() {
    let again = |config: Config, load_level: u8| {
        let mut world = World::joined_with(Config { silence_ns_min: 60_000 * MS, ..config });
        world.server.load_level = load_level;
        let lost = world.call(Call::Balance).unwrap();
        world.wire.clear();
        world.run_for_ms(1_500);
        assert!(world.outcomes().iter().any(|(req, _)| *req == lost));
        world.server.is_mute = true;
        let before = world.session.counters().retransmissions;
        for _ in 0..20 {
            world.call(Call::Balance).unwrap();
            world.run_for_ms(500);
        }
        world.session.counters().retransmissions - before
    };
    let (loaded, healthy) = (again(Config::default(), 230), again(Config::default(), 0));
    // 2 for the requests, 2 at once, and 1 in 5 s.
    assert!(loaded <= 2 + 2 + 2, "{loaded}");
    assert!(healthy > 100, "{healthy}");
    assert!(again(obeys_not(), 230) > 100);
}

/// Expect: on a wire that loses a fifth each way, while the server is loaded, opens still end known.
#[test]
fn opens_get_through_a_bad_wire_to_a_loaded_server() {
    let mut world = World::joined();
    world.server.load_level = 215;
    world.call(Call::Balance).unwrap();
    world.run_for_ms(100);
    world.weather.loss_percent = 20;
    let mut opens = 0;
    for packet in 1..200 {
        if packet % 10 == 0 {
            opens += 1;
            world.call(Call::Open { packet }).unwrap();
        }
        world.call(Call::Shake).unwrap();
        world.run_for_ms(1_000);
    }
    world.run_for_ms(11_000);
    let is_open = |event: &&Event| {
        matches!(event, Event::Answered { call: Call::Open { .. }, outcome: Outcome::Known(_), .. })
    };
    let known = world.events.iter().filter(is_open).count();
    assert!(known + 1 >= opens, "{known} of {opens}");
}

/// Expect: with `obeys` off none of this happens: the refusal is unexpected as it was before there was one, and
/// each shake goes out at once.
#[test]
fn a_session_that_does_not_obey_is_as_before() {
    let mut world = World::joined_with(obeys_not());
    world.server.load_level = 255;
    let req = world.call(Call::Shake).unwrap();
    let refused = load(&world, 5_000);
    world.inject(&mut [refused]);
    for _ in 0..20 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(50);
    }
    assert_eq!((world.outcomes().len(), not_nows(&world)), (21, 0));
    assert_eq!((world.outcomes()[0].0, world.session.counters().unexpected), (req, 1));
    assert!(world.session.load.is_none());
}

/// Expect: what is kept of a loaded server is given back when that is over.
#[test]
fn a_load_that_is_over_is_forgotten() {
    let mut world = World::joined();
    call_shed(&mut world, Call::Shake, 500);
    world.run_for_ms(5_000);
    assert!(world.session.load.is_some());
    world.run_for_ms(300_000);
    assert!(world.session.load.is_none());
}

/// Expect: an answer that was under way when the refusal of a later datagram came still ends its request.
#[test]
fn an_answer_ends_a_request_that_waits() {
    let mut world = World::joined();
    let req = call_shed(&mut world, Call::Shake, 5_000);
    let late = world.server.sealed(Op::Shake, &answer(req, Status::Miss));
    world.inject(&mut [late]);
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
}
