//! At most once.

use super::client::said;
use super::world::{World, capacity, config};
use crate::set::{Config, Drop};
use redpkt_proto::body::{PacketId, Status};
use redpkt_proto::{ANSWERS_KEPT, FRAMES_PER_DATAGRAM_MAX, IN_FLIGHT_MAX, Op};

/// Expect: a request that comes again is not executed again, and its answer is the first one.
#[test]
fn a_retransmitted_request_gets_the_first_answer() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    assert_eq!(client.shake(&mut world), said(Status::Miss));
    world.mint(2, 50);
    // The missed shake stays missed, although there is something to win now.
    let first = client.req(1);
    assert_eq!(client.ask(&mut world, Op::Shake, first, 0), said(Status::Miss));
    let won = client.shake(&mut world);
    assert_eq!(won.status, Status::Ok);
    let second = client.req(2);
    assert_eq!(client.ask(&mut world, Op::Shake, second, 0), won);
    let opened = client.open(&mut world, won.packet);
    assert_eq!((opened.status, opened.packet, opened.fen), (Status::Ok, won.packet, 50));
    let third = client.req(3);
    assert_eq!(client.ask(&mut world, Op::Open, third, won.packet), opened);
    let counters = world.counters();
    assert_eq!((counters.shake_miss, counters.shake_win, counters.open_ok), (1, 1, 1));
    assert_eq!(counters.repeated, 3);
    world.check_conservation();
}

/// Expect: refused, nothing changed.
#[test]
fn the_same_req_with_other_content_is_refused() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.mint(2, 50);
    let (won, other) = (client.shake(&mut world), client.shake(&mut world));
    let opened = client.open(&mut world, won.packet);
    let (shake_req, open_req) = (client.req(1), client.req(3));
    assert_eq!(client.ask(&mut world, Op::Open, shake_req, won.packet), said(Status::Conflict));
    assert_eq!(client.ask(&mut world, Op::Open, open_req, other.packet), said(Status::Conflict));
    assert_eq!(client.ask(&mut world, Op::Shake, open_req, 0), said(Status::Conflict));
    assert_eq!(client.ask(&mut world, Op::Open, open_req, won.packet), opened);
    assert_eq!(world.counters().open_ok, 1);
}

/// Expect: too old to tell is not executed, whatever waits in the pool.
#[test]
fn below_the_window_nothing_is_executed() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let newest = client.req(IN_FLIGHT_MAX + 1);
    assert_eq!(client.ask(&mut world, Op::Shake, newest, 0), said(Status::Miss));
    world.mint(1, 50);
    let (below, zero) = (client.req(1), client.req(0));
    assert_eq!(client.ask(&mut world, Op::Shake, below, 0), said(Status::TooOld));
    assert_eq!(client.ask(&mut world, Op::Shake, zero, 0), said(Status::TooOld));
    assert_eq!(world.counters().shake_win, 0);
    let inside = client.req(2);
    assert_eq!(client.ask(&mut world, Op::Shake, inside, 0).status, Status::Ok);
}

/// Expect: a req of an earlier session is looked up and never executed; one of a later session neither.
#[test]
fn reqs_of_other_sessions_are_never_executed() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.mint(3, 50);
    let won = client.shake(&mut world);
    let opened = client.open(&mut world, won.packet);
    let (shake_req, open_req, never) = (client.req(1), client.req(2), client.req(3));
    client.join(&mut world);
    assert_eq!(client.ask(&mut world, Op::Shake, shake_req, 0), won);
    assert_eq!(client.ask(&mut world, Op::Open, open_req, won.packet), opened);
    assert_eq!(client.ask(&mut world, Op::Shake, never, 0), said(Status::Miss));
    assert_eq!(client.ask(&mut world, Op::Open, never, won.packet), said(Status::NotDone));
    let later = client.req(1) + (1 << 32);
    assert_eq!(client.ask(&mut world, Op::Shake, later, 0), said(Status::TooOld));
    assert_eq!((world.counters().shake_win, world.counters().open_ok), (1, 1));
}

/// Expect: after idle expiry too, the last answers about money are there, and older ones are never
/// contradicted.
#[test]
fn kept_answers_outlive_the_session_and_forgotten_ones_are_not_contradicted() {
    let capacity = capacity(2, 1, 64);
    let mut world = World::new(Config { capacity, ..config() });
    let mut client = world.client(1);
    world.mint(ANSWERS_KEPT as u64 + 1, 5);
    let won: Vec<_> = (0..=ANSWERS_KEPT).map(|_| client.shake(&mut world)).collect();
    let reqs: Vec<_> = (1..=ANSWERS_KEPT as u32 + 1).map(|counter| client.req(counter)).collect();
    for _ in 0..20 {
        world.pass_ms(10_000);
        world.cores[0].tick(world.now);
    }
    assert_eq!(world.sessions(), 0);
    client.join(&mut world);
    assert_eq!(client.ask(&mut world, Op::Shake, reqs[0], 0), said(Status::TooOld));
    for (req, won) in reqs.iter().zip(&won).skip(1) {
        assert_eq!(client.ask(&mut world, Op::Shake, *req, 0), *won);
    }
}

/// Expect: a refused open stays refused under its req, also when the packet comes to be.
#[test]
fn a_refused_open_never_takes_money_later() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let id = PacketId { machine: 3, set: 0, number: 1 }.to_u64();
    assert_eq!(client.open(&mut world, id), said(Status::UnknownPacket));
    world.mint(1, 50);
    assert_eq!(client.shake(&mut world).packet, id);
    let first = client.req(1);
    assert_eq!(client.ask(&mut world, Op::Open, first, id), said(Status::NotDone));
    assert_eq!(client.open(&mut world, id).fen, 50);
    assert_eq!(world.counters().open_ok, 1);
}

/// Expect: 18 answers in one datagram, each of its request.
#[test]
fn a_datagram_of_many_frames_gets_its_answers_in_one() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let frames: Vec<_> = (0..FRAMES_PER_DATAGRAM_MAX).map(|_| client.shake_frame()).collect();
    let replies = world.batch(&[(client.path, frames)]);
    assert_eq!(replies.len(), 1);
    let reqs: Vec<_> = replies[0].1.iter().map(|frame| client.answer(frame).req.get()).collect();
    assert_eq!(reqs, (1..=18).map(|counter| client.req(counter)).collect::<Vec<_>>());
}

/// Expect: shakes over the rate are refused with a retry-after, not executed, and pass after it.
#[test]
fn a_user_who_shakes_too_often_is_told_when_to_come_again() {
    let mut world = World::new(Config { shakes_per_s: 10, ..config() });
    let mut client = world.client(1);
    (0..10).for_each(|_| assert_eq!(client.shake(&mut world).status, Status::Miss));
    world.mint(1, 50);
    let refused = client.shake(&mut world);
    assert_eq!(refused.status, Status::Busy);
    assert!((1..=100).contains(&refused.retry_after_ms), "{refused:?}");
    assert_eq!((world.dropped(Drop::Rate), world.counters().shake_win), (1, 0));
    world.pass_ms(u64::from(refused.retry_after_ms));
    let same = client.req(11);
    assert_eq!(client.ask(&mut world, Op::Shake, same, 0).status, Status::Ok);
}
