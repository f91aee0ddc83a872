//! Keepalive, the proof of an address, and silence.

use super::*;
use crate::Op;
use crate::body::Status;

/// Expect: an idle session says KEEPALIVE at the server's interval and learns the clock's offset; a busy one
/// does not.
#[test]
fn an_idle_session_keeps_itself_alive() {
    let mut world = World::joined();
    world.run_for_ms(60_000);
    let sent = world.sent_ms(Op::Keepalive);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1] - sent[0], 25_000);
    assert_eq!(world.events, [const { Event::Clock { offset_ms: 5_000, rtt_ns: 20 * MS } }; 2]);
    for _ in 0..30 {
        world.call(Call::Shake).unwrap();
        world.run_for_ms(5_000);
    }
    assert_eq!(world.sent_ms(Op::Keepalive).len(), 2);
}

/// Expect: a lost KEEPALIVE is repeated after the timeout.
#[test]
fn a_lost_keepalive_is_repeated() {
    let mut world = World::joined();
    world.run_for_ms(24_900);
    world.weather.loss_percent = 100;
    world.run_for_ms(100);
    world.weather.loss_percent = 0;
    world.run_for_ms(1_000);
    assert!(world.sent_ms(Op::Keepalive).len() >= 2);
    assert!(world.session.counters().retransmissions >= 1);
    assert_eq!(world.joins(), 0);
}

/// Expect: PROVE_PATH in an answer leads to one KEEPALIVE, its PATH to PATH_OK with the same cookie, and then
/// no more.
#[test]
fn an_address_proves_itself() {
    let mut world = World::joined();
    world.server.is_unproved = true;
    for _ in 0..3 {
        world.call(Call::Shake).unwrap();
    }
    world.run_for_ms(500);
    assert!(!world.server.is_unproved);
    assert_eq!((world.server.heard(Op::Keepalive), world.server.heard(Op::PathOk)), (1, 1));
    world.call(Call::Shake).unwrap();
    world.run_for_ms(500);
    assert_eq!(world.server.heard(Op::Keepalive), 1);
}

/// Expect: the KEEPALIVE that answers PATH_OK is not taken for the answer to another that is under way: its
/// token of 0 is no time, so it samples neither the round trip nor the clock.
#[test]
fn the_word_that_an_address_is_proved_is_no_sample() {
    let mut world = World::joined();
    world.server.is_unproved = true;
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(45);
    assert_eq!(world.sent_ms(Op::PathOk).len(), 1);
    let late = world.server.sealed(Op::Shake, &server::answer(req, Status::Miss));
    world.inject(&mut [late]);
    assert_eq!(world.sent_ms(Op::Keepalive).len(), 2);
    let (rto_ns, unexpected) = (world.session.rto_ns(), world.session.counters().unexpected);
    world.run_for_ms(16);
    assert!(!world.server.is_unproved);
    assert_eq!((world.session.rto_ns(), world.session.counters().unexpected), (rto_ns, unexpected));
    assert!(!world.events.iter().any(|event| matches!(event, Event::Clock { .. })), "{:?}", world.events);
    world.run_for_ms(1_000);
    assert_eq!((world.sent_ms(Op::Keepalive).len(), world.server.heard(Op::PathOk)), (2, 1));
}

/// Expect: a server that has lost the session and cannot say so is asked with HELLO after the silence, while
/// the request goes on; the rejoin ends it.
#[test]
fn silence_leads_to_a_rejoin() {
    let mut world = World::joined();
    let executed = world.call(Call::Open { packet: 5 }).unwrap();
    world.server.is_mute = true;
    world.run_for_ms(4_000);
    assert_eq!(world.session.hint(), Hint::Reconnecting);
    assert!(!world.sent_ms(Op::Hello).is_empty());
    world.server.is_mute = false;
    world.server.forget_session();
    world.run_for_ms(5_000);
    let taken = ok(5, 105);
    assert_eq!((world.outcomes(), world.joins()), (vec![(executed, taken)], 1));
}

/// Expect: a sealed answer under the old key, before a JOIN was sent, ends the suspicion.
#[test]
fn a_sign_of_life_ends_the_suspicion() {
    let mut world = World::joined_with(Config { obeys: false, ..Config::default() });
    world.weather.loss_percent = 100;
    let req = world.call(Call::Shake).unwrap();
    world.run_for_ms(3_200);
    assert_eq!(world.session.hint(), Hint::Reconnecting);
    let body = server::answer(req, Status::Miss);
    let frame = world.server.sealed(Op::Shake, &body);
    world.inject(&mut [frame]);
    assert!(world.session.is_joined());
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
    assert_eq!(world.hints(), [Hint::Reconnecting, Hint::Smooth]);
}

/// Expect: an idle session on a dead network notices it by its keepalive, and comes back when it can.
#[test]
fn an_idle_session_survives_an_outage() {
    let mut world = World::joined();
    world.weather.loss_percent = 100;
    world.run_for_ms(60_000);
    assert_eq!(world.session.hint(), Hint::Offline);
    world.weather.loss_percent = 0;
    world.run_for_ms(5_000);
    assert!(world.session.is_joined());
    assert_eq!(world.hints(), [Hint::Reconnecting, Hint::Offline, Hint::Reconnecting, Hint::Smooth]);
}

/// Expect: a long queue at the server shows as busy, and goes away with it.
#[test]
fn a_high_load_level_shows_as_busy() {
    let mut world = World::joined_with(Config { obeys: false, ..Config::default() });
    for (load_level, hint) in [(16 * 14 - 1, Hint::Smooth), (16 * 14, Hint::Busy), (0, Hint::Smooth)] {
        world.server.load_level = load_level;
        world.call(Call::Shake).unwrap();
        world.run_for_ms(100);
        assert_eq!((world.session.hint(), world.session.load_level()), (hint, load_level));
    }
}
