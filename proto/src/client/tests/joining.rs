//! The first join, refusals, and joining again.

use super::server::refusal;
use super::*;
use crate::Op;
use crate::body::{RefusalCode, Status};

/// Expect: HELLO, JOIN, joined after two round trips; the hint turns smooth; the clock's offset is known.
#[test]
fn a_session_joins_in_two_round_trips() {
    let mut world = World::new(1, Config::default(), FINE);
    assert_eq!(world.session.call(START, Call::Shake), Err(CallError::NotJoined));
    world.run_for_ms(39);
    assert!(!world.session.is_joined());
    world.run_for_ms(2);
    assert!(world.session.is_joined());
    assert_eq!(world.session.session_number(), Some(world.server.number()));
    assert_eq!(world.hints(), [Hint::Smooth]);
    let offset = world.events.iter().find_map(|event| match event {
        Event::Clock { offset_ms, rtt_ns } => Some((*offset_ms, *rtt_ns)),
        _ => None,
    });
    assert_eq!(offset, Some((5_000, 20 * MS)));
}

/// Expect: HELLOs again after 1 s, 2 s, 4 s, 4 s …, less up to a quarter; reconnecting, then offline.
#[test]
fn an_absent_server_is_asked_with_backoff() {
    let mut world = World::new(2, Config::default(), FINE);
    world.server.is_mute = true;
    world.run_for_ms(30_000);
    let sent = world.sent_ms(Op::Hello);
    let waits: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, full) in waits.iter().zip([1_000, 2_000, 4_000, 4_000, 4_000]) {
        assert!((full * 3 / 4..=full).contains(wait), "{waits:?}");
    }
    assert_eq!(world.hints(), [Hint::Offline]);
    world.server.is_mute = false;
    world.run_for_ms(5_000);
    assert!(world.session.is_joined());
    assert_eq!(world.hints(), [Hint::Offline, Hint::Reconnecting, Hint::Smooth]);
}

/// Expect: while WELCOMEs are lost the same JOIN comes again, then a new HELLO; one session in the end.
#[test]
fn a_join_without_welcome_is_repeated_and_begun_again() {
    let mut world = World::new(3, Config::default(), FINE);
    world.run_for_ms(15);
    assert_eq!(world.server.heard(Op::Hello), 1);
    world.run_for_ms(10);
    world.server.is_mute = true;
    world.run_for_ms(12_000);
    assert_eq!(world.sent_ms(Op::Join).len(), 3);
    let hellos = world.sent.iter().filter(|(_, frames)| frames[0].header.op == Op::Hello as u8);
    let mut tags: Vec<[u8; 16]> = hellos.map(|(_, frames)| frames[0].tag).collect();
    tags.dedup();
    assert_eq!(tags.len(), 2, "a handshake begun again has a client random of its own");
    world.server.is_mute = false;
    world.run_for_ms(6_000);
    assert_eq!((world.session.is_joined(), world.joins()), (true, 1));
}

/// Expect: a second CHALLENGE for the same HELLO, and a second WELCOME, are counted and change nothing.
#[test]
fn duplicated_handshake_frames_change_nothing() {
    let mut world = World::new(4, Config::default(), Weather { duplicated_percent: 100, ..FINE });
    world.run_for_ms(500);
    assert_eq!(world.joins(), 1);
    assert!(world.session.counters().unexpected >= 2);
    assert_eq!(world.sent_ms(Op::Join).len(), 1);
}

/// Expect: a full server is asked again, not before its retry-after; the user sees that it is busy.
#[test]
fn a_full_server_is_asked_again_after_its_retry_after() {
    let mut world = World::new(5, Config::default(), FINE);
    world.server.refusal = Some((RefusalCode::Full, 3_000));
    world.run_for_ms(100);
    let refused = Event::JoinRefused { code: RefusalCode::Full, retry_after_ms: 3_000, retries: true };
    assert_eq!(world.events, [refused, Event::Hint(Hint::Busy)]);
    world.server.refusal = None;
    world.run_for_ms(6_500);
    assert!(world.session.is_joined());
    assert!((3_000..6_100).contains(&world.sent_ms(Op::Hello)[1]));
    assert_eq!(world.hints(), [Hint::Busy, Hint::Smooth]);
}

/// Expect: a refused ticket is shown again 20 s to 40 s later, in a handshake of its own; each refusal is told;
/// when the server thinks better of it the session joins.
#[test]
fn a_refused_ticket_is_shown_again_after_a_while() {
    for code in [RefusalCode::Version, RefusalCode::TicketExpired, RefusalCode::TicketKey] {
        let mut world = World::new(6, Config::default(), FINE);
        world.server.refusal = Some((code, 0));
        world.run_for_ms(19_900);
        let refused = Event::JoinRefused { code, retry_after_ms: 0, retries: false };
        assert_eq!(world.events, [refused.clone(), Event::Hint(Hint::Offline)]);
        world.run_for_ms(20_500);
        let hellos: Vec<_> = world.sent.iter().map(|(at_ns, frames)| (*at_ns, frames[0].tag)).collect();
        assert_eq!(hellos.len(), 2);
        assert!((20_000 * MS..40_100 * MS).contains(&(hellos[1].0 - hellos[0].0)), "{hellos:?}");
        assert_ne!(hellos[0].1, hellos[1].1, "a handshake begun again has a client random of its own");
        assert_eq!(world.events, [refused.clone(), Event::Hint(Hint::Offline), refused]);
        world.server.refusal = None;
        world.run_for_ms(41_000);
        assert!(world.session.is_joined());
        assert_eq!(world.hints(), [Hint::Offline, Hint::Reconnecting, Hint::Smooth]);
    }
}

/// A world whose session fell silent, asked for another, and got a refusal for good from somebody on the path.
fn refused_while_it_lives() -> (World, u64) {
    let mut world = World::joined();
    world.weather.loss_percent = 100;
    let req = world.call(Call::Open { packet: 5 }).unwrap();
    world.run_for_ms(3_200);
    let hello = world.sent.iter().rev().find(|(_, frames)| frames[0].header.op == Op::Hello as u8);
    let hello = hello.unwrap().1[0];
    world.inject(&mut [refusal(Op::Error, RefusalCode::TicketExpired as u8, &hello, 0)]);
    assert_eq!(world.session.hint(), Hint::Offline);
    world.weather.loss_percent = 0;
    world.sent.clear();
    (world, req)
}

/// Expect: a session that lives takes calls and answers on, forgets the refusal when it hears a sealed frame,
/// and can join again when it has to.
#[test]
fn a_refusal_does_not_end_a_session_that_lives() {
    let (mut world, req) = refused_while_it_lives();
    let shake = world.call(Call::Shake).unwrap();
    world.run_for_ms(50_000);
    let taken = ok(5, 105);
    let mut outcomes = world.outcomes();
    outcomes.sort_by_key(|(req, _)| *req);
    assert_eq!(outcomes, [(req, taken), (shake, known(Status::Miss))]);
    assert_eq!((world.session.hint(), world.joins()), (Hint::Smooth, 0));
    assert!(world.sent_ms(Op::Hello).is_empty());
    world.server.forget_session();
    world.call(Call::Shake).unwrap();
    world.run_for_ms(3_000);
    assert_eq!((world.session.is_joined(), world.joins()), (true, 1));
}

/// Expect: an idle session that was refused finds out by its keepalive that it lives.
#[test]
fn an_idle_refused_session_finds_out_that_it_lives() {
    let (mut world, _) = refused_while_it_lives();
    world.weather.loss_percent = 100;
    world.run_for_ms(10_000);
    assert_eq!((world.session.in_flight(), world.session.hint()), (0, Hint::Offline));
    world.weather.loss_percent = 0;
    world.run_for_ms(60_000);
    assert_eq!((world.session.hint(), world.session.is_joined()), (Hint::Smooth, true));
}

/// Expect: a session that was refused and is then told that it is lost waits, asks again and joins; the open
/// that was under way ends at its deadline.
#[test]
fn a_refused_session_that_is_lost_joins_later() {
    let (mut world, req) = refused_while_it_lives();
    world.server.forget_session();
    world.run_for_ms(16_000);
    assert_eq!(world.outcomes(), [(req, Outcome::Unknown)]);
    assert_eq!(world.session.hint(), Hint::Offline);
    assert_eq!(world.call(Call::Shake), Err(CallError::NotJoined));
    world.run_for_ms(25_000);
    assert_eq!((world.session.is_joined(), world.session.hint()), (true, Hint::Smooth));
}

/// Expect: an ERROR that does not show our HELLO's tag is counted and changes nothing.
#[test]
fn an_error_of_somebody_who_did_not_see_our_hello_is_ignored() {
    let mut world = World::new(7, Config::default(), FINE);
    world.pump();
    let mut hello = world.sent[0].1[0];
    hello.tag[15] ^= 1;
    world.inject(&mut [refusal(Op::Error, RefusalCode::TicketKey as u8, &hello, 0)]);
    assert_eq!(world.session.counters().unexpected, 1);
    world.run_for_ms(100);
    assert!(world.session.is_joined());
}

/// Expect: a STALE with another tag, or with a zero one, changes nothing; requests go on under the old key.
#[test]
fn a_stale_of_somebody_off_the_path_is_ignored() {
    let mut world = World::joined();
    let req = world.call(Call::Shake).unwrap();
    let mut frame = world.sent[0].1[0];
    frame.tag[0] ^= 1;
    world.inject(&mut [refusal(Op::Stale, 0, &frame, 0)]);
    frame.tag = [0; 16];
    world.inject(&mut [refusal(Op::Stale, 0, &frame, 0)]);
    assert_eq!(world.session.counters().unexpected, 2);
    world.run_for_ms(3_000);
    assert_eq!((world.outcomes(), world.joins()), (vec![(req, known(Status::Miss))], 0));
}

/// Expect: after the server lost the session, HELLO comes after a random wait of up to a second beyond the
/// retry-after; an open that had been executed keeps its answer, one that had not is known not to be done.
#[test]
fn a_rejoin_keeps_the_requests() {
    let mut world = World::joined();
    let executed = world.session.call(world.now, Call::Open { packet: 5 }).unwrap();
    world.server.silent_on = vec![executed];
    world.run_for_ms(30);
    assert_eq!(world.server.executed[&executed], 1);
    world.server.forget_session();
    world.server.silent_on = vec![];
    let new = world.call(Call::Open { packet: 6 }).unwrap();
    world.run_for_ms(21);
    assert_eq!(world.session.hint(), Hint::Reconnecting);
    assert_eq!(world.call(Call::Shake), Err(CallError::NotJoined));
    let old_number = world.session.session_number();
    world.run_for_ms(2_500);
    let hello_ms = world.sent_ms(Op::Hello)[0];
    assert!((250..1_400).contains(&hello_ms), "{hello_ms}");
    assert!(world.session.session_number() > old_number);
    let taken = ok(5, 105);
    let not_done = Outcome::Known(Reply { packet: 6, ..Reply::of(Status::NotDone) });
    assert_eq!(world.outcomes(), [(executed, taken), (new, not_done)]);
    assert_eq!(world.server.executed.len(), 1);
    assert_eq!(world.hints(), [Hint::Reconnecting, Hint::Smooth]);
    let next = world.call(Call::Shake).unwrap();
    assert_eq!(next, u64::from(world.server.number()) << 32 | (u64::from(new as u32) + 1));
}

/// Expect: before the seqs of a key run out the session joins again; no seq is used twice.
#[test]
fn used_up_seqs_lead_to_a_new_session() {
    let mut world = World::joined();
    world.session.seq = u32::MAX - (1 << 16) - 1;
    world.session.replay = crate::replay::ReplayWindow::new();
    let req = world.call(Call::Shake).unwrap();
    assert_eq!(world.session.call(world.now, Call::Shake), Err(CallError::SeqsUsedUp));
    world.run_for_ms(2_000);
    assert_eq!(world.outcomes(), [(req, known(Status::Miss))]);
    assert_eq!(world.joins(), 1);
    assert!(world.session.is_joined() && world.session.seq < 10);
}
