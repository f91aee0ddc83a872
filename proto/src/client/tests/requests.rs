//! Requests: retransmission, refusals that may be tried again, deadlines, windows.

use super::server::answer;
use super::*;
use crate::body::{Answer, Status};
use crate::{IN_FLIGHT_MAX, Op};

/// Expect: one frame out, one answer, its round trip; nothing is left behind.
#[test]
fn a_shake_is_answered() {
    let mut world = World::joined();
    let called_ns = world.now.mono_ns;
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(100);
    let answered = Event::Answered {
        req,
        call: Call::Shake,
        outcome: known(Status::Miss),
        sent_first_ns: called_ns,
        rtt_ns: Some(20 * MS),
        transmissions: 1,
    };
    assert_eq!(world.events, [answered]);
    assert_eq!((world.session.in_flight(), world.sent.len()), (0, 1));
}

/// Expect: transmissions after RTO, then twice that, up to four times, each with a new seq and the
/// same req; at the deadline exactly one Unknown.
#[test]
fn an_unanswered_request_backs_off_and_ends_unknown() {
    let config = Config { silence_ns_min: 60_000 * MS, obeys: false, ..Config::default() };
    let mut world = World::joined_with(config);
    let rto_ms = world.session.rto_ns() / MS;
    world.server.is_mute = true;
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(30_000);
    let sent = world.sent_ms(Op::Shake);
    for (i, pair) in sent.windows(2).enumerate() {
        let full = rto_ms << i.min(2);
        assert!((full * 3 / 4..=full + 1).contains(&(pair[1] - pair[0])), "{i}: {sent:?}");
    }
    assert!(sent.len() >= 24, "{sent:?}");
    let mut seqs: Vec<u32> = world.sent.iter().map(|(_, frames)| frames[0].header.seq.get()).collect();
    seqs.dedup();
    assert!(seqs.is_sorted() && seqs.len() == world.sent.len());
    assert_eq!(world.outcomes(), [(req, Outcome::Unknown)]);
    assert_eq!(world.server.executed[&req], 1);
}

/// Expect: three answers to later requests send an earlier one again at once, and only once.
#[test]
fn three_later_answers_send_an_earlier_request_again() {
    let config = Config { rto_ns_min: 5_000 * MS, rto_ns_max: 5_000 * MS, ..Config::default() };
    let mut world = World::joined_with(config);
    let lost = world.session.call(world.now, Call::Shake).unwrap();
    world.pump();
    world.wire.clear();
    world.run_for_ms(1);
    for _ in 0..5 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(1);
    }
    world.run_for_ms(100);
    assert_eq!(world.outcomes().len(), 6);
    let (_, transmissions) = transmissions_of(&world, lost);
    assert_eq!(transmissions, 2);
    let sent = world.sent_ms(Op::Shake);
    assert_eq!(sent[6] - sent[1], 22, "with the third answer: {sent:?}");
}

/// Expect: frames of one datagram do not overtake each other: one that wins waits for its row, the others do
/// not.
#[test]
fn answers_to_the_same_datagram_send_nothing_again() {
    let config = Config { rto_ns_min: 5_000 * MS, rto_ns_max: 5_000 * MS, ..Config::default() };
    let mut world = World::joined_with(config);
    let reqs: Vec<_> = (0..6).map(|_| world.session.call(world.now, Call::Shake).unwrap()).collect();
    world.server.silent_on = vec![reqs[0]];
    world.run_for_ms(200);
    assert_eq!((world.outcomes().len(), world.sent_ms(Op::Shake).len()), (5, 1), "one datagram, once");
}

/// Expect: when two are outstanding one later answer is enough, but a round trip and a quarter must have
/// passed, for reordering.
#[test]
fn with_two_in_flight_one_later_answer_is_enough_after_a_while() {
    let config = Config { rto_ns_min: 5_000 * MS, rto_ns_max: 5_000 * MS, ..Config::default() };
    let mut world = World::joined_with(config);
    let lost = world.call(Call::Shake).unwrap();
    world.wire.clear();
    world.run_for_ms(1);
    world.call(Call::Shake).unwrap();
    world.run_for_ms(23);
    assert_eq!(world.sent.len(), 2);
    world.run_for_ms(2);
    assert_eq!(world.sent.len(), 3);
    world.run_for_ms(30);
    assert_eq!(transmissions_of(&world, lost).1, 2);
}

/// Expect: shakes do not overtake opens, because opens wait for the disk.
#[test]
fn an_open_is_not_overtaken_by_shakes() {
    let mut world = World::joined();
    let open = world.call(Call::Open { packet: 9 }).unwrap();
    world.wire.clear();
    for _ in 0..5 {
        world.call(Call::Shake).unwrap();
    }
    world.run_for_ms(45);
    assert_eq!(world.sent_ms(Op::Open).len(), 1);
    world.run_for_ms(200);
    assert_eq!(transmissions_of(&world, open).1, 2);
}

/// Expect: Busy is tried again with the same req, not before the retry-after; the user sees it.
#[test]
fn a_busy_server_is_asked_again_with_the_same_req() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 700)), 2);
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(5_000);
    let sent = world.sent_ms(Op::Shake);
    assert_eq!(sent.len(), 3);
    assert!(sent.windows(2).all(|pair| (720..=900).contains(&(pair[1] - pair[0]))), "{sent:?}");
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
    assert_eq!(world.server.executed[&req], 1);
    assert_eq!(world.hints(), [Hint::Busy, Hint::Smooth]);
}

/// Expect: a call whose every transmission was answered Busy ends as known, and was not executed.
#[test]
fn busy_to_the_end_is_known() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 900)), u32::MAX);
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(15_000);
    assert_eq!(world.outcomes(), [(req, known(Status::Busy))]);
    assert!(world.server.executed.is_empty());
}

/// Expect: when one transmission has no answer, Busy on the others does not tell what it did.
#[test]
fn busy_after_a_lost_transmission_is_unknown() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 900)), u32::MAX);
    let req = world.call(Call::Shake).unwrap();
    world.wire.clear();
    world.run_for_ms(15_000);
    assert_eq!(world.outcomes(), [(req, Outcome::Unknown)]);
}

/// Expect: an outcome that could not be made durable is asked for again, and known when it is.
#[test]
fn an_outcome_unknown_to_the_server_is_asked_for_again() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::OutcomeUnknown, 200)), 3);
    let req = world.call(Call::Open { packet: 7 }).unwrap();
    world.run_for_ms(9_000);
    let taken = ok(7, 107);
    assert_eq!(world.outcomes(), [(req, taken)]);
    (world.server.put_off, world.server.put_off_times) = (Some((Status::OutcomeUnknown, 200)), u32::MAX);
    let req = world.call(Call::Open { packet: 8 }).unwrap();
    world.run_for_ms(11_000);
    assert_eq!(world.outcomes()[1..], [(req, Outcome::Unknown)]);
}

/// Expect: a status that we do not know is taken as OutcomeUnknown: the request is sent again, later.
#[test]
fn an_unknown_status_puts_a_request_off() {
    let mut world = World::joined();
    let req = world.call(Call::Shake).unwrap();
    world.wire.clear();
    let body = Answer { status: 99, retry_after_ms: 800.into(), ..answer(req, Status::Ok) };
    let frame = world.server.sealed(Op::Shake, &body);
    world.inject(&mut [frame]);
    world.run_for_ms(790);
    assert_eq!((world.sent_ms(Op::Shake).len(), world.session.counters().unexpected), (1, 0));
    world.run_for_ms(300);
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
}

/// Expect: answers with another op, another packet or a win without one are counted, and
/// the request goes on; a kept answer that is gone makes it unknown.
#[test]
fn wrong_answers_are_counted_and_do_not_end_a_request() {
    let mut world = World::joined();
    let shake = world.call(Call::Shake).unwrap();
    let open = world.call(Call::Open { packet: 3 }).unwrap();
    world.wire.clear();
    let wrong = [
        (Op::Open, answer(shake, Status::Ok)),
        (Op::Shake, answer(shake, Status::Ok)),
        (Op::Open, Answer { packet: 4.into(), ..answer(open, Status::Ok) }),
        (Op::Open, answer(open, Status::Miss)),
    ];
    for (op, body) in wrong {
        let frame = world.server.sealed(op, &body);
        world.inject(&mut [frame]);
    }
    assert_eq!((world.session.counters().unexpected, world.session.in_flight()), (4, 2));
    let frame = world.server.sealed(Op::Open, &answer(open, Status::TooOld));
    world.inject(&mut [frame]);
    assert_eq!(world.outcomes(), [(open, Outcome::Unknown)]);
}

/// Expect: as many requests in flight as WELCOME allows, and none 32 or more above the oldest.
#[test]
fn the_window_is_never_exceeded() {
    let mut world = World::new(8, Config::default(), FINE);
    world.server.in_flight_max = 4;
    world.run_for_ms(100);
    let first = world.call(Call::Shake).unwrap();
    world.server.silent_on = vec![first];
    for _ in 0..3 {
        world.call(Call::Shake).unwrap();
    }
    assert_eq!(world.call(Call::Shake), Err(CallError::WindowFull));
    for _ in 4..IN_FLIGHT_MAX {
        world.run_for_ms(25);
        world.call(Call::Shake).unwrap();
    }
    world.run_for_ms(25);
    assert_eq!(world.session.in_flight(), 1);
    assert_eq!(world.call(Call::Shake), Err(CallError::WindowFull));
    world.server.silent_on = vec![];
    world.run_for_ms(5_000);
    assert!(world.call(Call::Shake).is_ok());
}

/// Expect: requests that are due together share datagrams of at most the configured number of frames.
#[test]
fn requests_share_datagrams() {
    let mut world = World::joined_with(Config { frames_per_datagram: 5, ..Config::default() });
    for _ in 0..12 {
        world.session.call(world.now, Call::Shake).unwrap();
    }
    world.run_for_ms(100);
    let sizes: Vec<usize> = world.sent.iter().map(|(_, frames)| frames.len()).collect();
    assert_eq!((sizes, world.outcomes().len()), (vec![5, 5, 2], 12));
}

/// Expect: a request that was never sent when its deadline comes is known not to be done.
#[test]
fn a_request_that_was_never_sent_is_known_not_done() {
    let mut world = World::joined();
    let now = world.now;
    let req = world.session.call(now, Call::Shake).unwrap();
    world.now = now.plus_ns(10_000 * MS);
    world.session.on_timeout(world.now, &mut world.rng, &mut world.events);
    assert_eq!(world.outcomes(), [(req, known(Status::NotDone))]);
}

fn transmissions_of(world: &World, of: u64) -> (Option<u64>, u32) {
    let found = world.events.iter().find_map(|event| match event {
        Event::Answered { req, rtt_ns, transmissions, .. } if *req == of => Some((*rtt_ns, *transmissions)),
        _ => None,
    });
    found.expect("it was answered")
}
