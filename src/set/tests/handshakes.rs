//! HELLO and JOIN.

use super::client::{Client, said};
use super::world::{World, capacity, config, path};
use crate::set::{Config, Drop};
use redpkt_proto::body::{Refusal, RefusalCode, Status, TicketFields};
use redpkt_proto::{COOKIE_LIFETIME_MS, Frame, Op, SESSION_STEP_MS};

fn refusal(frames: &[Frame], asked: &Frame) -> (RefusalCode, u32) {
    assert_eq!((frames.len(), frames[0].header.op), (1, Op::Error as u8));
    let refusal: Refusal = frames[0].body();
    assert_eq!(refusal.refused_tag, asked.tag);
    (RefusalCode::from_wire(refusal.code).unwrap(), refusal.retry_after_ms.get())
}

/// Expect: nothing is kept for a HELLO; the slot comes with the cookie.
#[test]
fn a_slot_is_taken_only_when_the_cookie_has_come_back() {
    let mut world = World::new(config());
    let mut client = world.stranger(1);
    let challenge = client.challenge(&mut world);
    assert_eq!(world.sessions(), 0);
    let welcome = world.ask(client.path, &[client.join_frame(&challenge)]);
    client.welcomed(&welcome[0]);
    assert_eq!(world.sessions(), 1);
    assert_eq!(client.shake(&mut world), said(Status::Miss));
}

/// Expect: the same WELCOME, and requests done before stay done.
#[test]
fn a_repeated_join_gets_the_same_welcome_and_resets_nothing() {
    let mut world = World::new(config());
    let mut client = world.stranger(1);
    let challenge = client.challenge(&mut world);
    let join = client.join_frame(&challenge);
    let first = world.ask(client.path, &[join]);
    client.welcomed(&first[0]);
    assert_eq!(client.shake(&mut world).status, Status::Miss);
    assert_eq!(world.ask(client.path, &[join]), first);
    let shakes = world.counters().shake_miss;
    let again = client.req(1);
    assert_eq!(client.ask(&mut world, Op::Shake, again, 0), said(Status::Miss));
    assert_eq!((world.counters().shake_miss, world.counters().joins), (shakes, 1));
}

/// Expect: a JOIN that somebody recorded earlier cannot end the session that came after it.
#[test]
fn a_join_with_a_cookie_older_than_the_session_is_dropped() {
    let mut world = World::new(config());
    let mut old = world.stranger(1);
    let old_challenge = old.challenge(&mut world);
    let mut client = Client { client_random: [9; 8], ..old.clone() };
    client.join(&mut world);
    world.pass_ms(2 * SESSION_STEP_MS);
    assert_eq!(world.ask(old.path, &[old.join_frame(&old_challenge)]), []);
    assert_eq!(world.dropped(Drop::Cookie), 1);
    assert_eq!(client.shake(&mut world), said(Status::Miss));
    // A handshake that begins now is taken.
    old.join(&mut world);
    assert_eq!(old.shake(&mut world), said(Status::Miss));
}

/// Expect: two sessions of one user never have the same number.
#[test]
fn a_second_join_in_the_same_step_is_told_to_come_again() {
    let mut world = World::new(config());
    let first = world.client(1);
    let second = Client { client_random: [9; 8], ..first };
    let challenge = second.challenge(&mut world);
    let join = second.join_frame(&challenge);
    let refused = world.ask(second.path, &[join]);
    assert_eq!(refusal(&refused, &join), (RefusalCode::Busy, SESSION_STEP_MS as u32));
    assert_eq!(world.dropped(Drop::Rate), 1);
}

/// Expect: each is dropped under its own counter, and no slot is taken.
#[test]
fn bad_tickets_and_cookies_are_refused() {
    let mut world = World::new(config());
    let good = world.stranger(1);
    let challenge = good.challenge(&mut world);

    let mut foreign = good.clone();
    foreign.ticket.fields.key_id = 77;
    let hello = foreign.hello();
    assert_eq!(refusal(&world.ask(good.path, &[hello]), &hello), (RefusalCode::TicketKey, 0));
    assert_eq!(world.dropped(Drop::TicketKey), 1);

    let mut forged = good.clone();
    forged.ticket.fields = TicketFields { nonce: [1; 7], ..good.ticket.fields };
    assert_eq!(world.ask(good.path, &[forged.hello()]), []);
    assert_eq!(world.dropped(Drop::Tag), 1);

    // Another address, another user's cookie, a changed cookie.
    let join = good.join_frame(&challenge);
    assert_eq!(world.ask(path(1), &[join]), []);
    let other = world.stranger(2);
    assert_eq!(world.ask(good.path, &[other.join_frame(&challenge)]), []);
    let mut changed = challenge;
    changed.body[5] ^= 1;
    assert_eq!(world.ask(good.path, &[good.join_frame(&changed)]), []);
    assert_eq!(world.dropped(Drop::Cookie), 3);

    world.pass_ms(COOKIE_LIFETIME_MS + SESSION_STEP_MS);
    world.cores[0].tick(world.now);
    assert_eq!(world.ask(good.path, &[join]), []);
    assert_eq!(world.dropped(Drop::Cookie), 4);

    world.pass_ms(3_600_000);
    let hello = good.hello();
    assert_eq!(refusal(&world.ask(good.path, &[hello]), &hello), (RefusalCode::TicketExpired, 0));
    assert_eq!((world.dropped(Drop::TicketExpired), world.sessions()), (1, 0));
}

/// Expect: who is in stays in, who comes is told when to come again, and a place that is left is given.
#[test]
fn a_full_table_refuses_with_a_retry_after() {
    let capacity = capacity(2, 1, 1);
    let mut world = World::new(Config { capacity, ..config() });
    let mut first = world.client(1);
    world.client(2);
    let third = world.stranger(3);
    let challenge = third.challenge(&mut world);
    let join = third.join_frame(&challenge);
    let refused = world.ask(third.path, &[join]);
    assert_eq!(refusal(&refused, &join).0, RefusalCode::Full);
    assert!(refusal(&refused, &join).1 > 0);
    assert_eq!((world.dropped(Drop::Full), world.sessions()), (1, 2));

    // 90 s of silence, and the time in which the sweep comes round.
    for _ in 0..12 {
        world.pass_ms(10_000);
        assert_eq!(first.shake(&mut world).status, Status::Miss);
        world.cores[0].tick(world.now);
    }
    assert_eq!((world.sessions(), world.counters().idle_ended), (1, 1));
    world.client(3);
}

/// Expect: a session key of before is worth nothing.
#[test]
fn frames_of_the_session_before_a_rejoin_do_not_open() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let mut before = client.clone();
    client.join(&mut world);
    let frame = before.shake_frame();
    assert_eq!(world.ask(client.path, &[frame]), []);
    assert_eq!(world.dropped(Drop::Tag), 1);
    assert_eq!(client.shake(&mut world), said(Status::Miss));
}

/// Expect: 0 is no user; whoever holds a ticket for it is dropped.
#[test]
fn user_zero_cannot_join() {
    let mut world = World::new(config());
    let nobody = world.stranger(0);
    assert_eq!(world.ask(nobody.path, &[nobody.hello()]), []);
    assert_eq!(world.dropped(Drop::Tag), 1);
}

/// Expect: joining again gives no new allowance.
#[test]
fn a_rejoin_does_not_reset_the_shake_rate() {
    let mut world = World::new(Config { shakes_per_s: 10, ..config() });
    let mut client = world.client(1);
    (0..10).for_each(|_| assert_eq!(client.shake(&mut world).status, Status::Miss));
    client.join(&mut world);
    let answered = (0..10).filter(|_| client.shake(&mut world).status == Status::Miss).count();
    assert_eq!(answered, 2, "what came back in the 250 ms until the next join");
}
