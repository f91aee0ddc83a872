//! The operator's side: payments, orders and their limits.

use super::client::said;
use super::world::{World, capacity, config, order};
use crate::set::book::{Order, OrderState};
use crate::set::{Config, DoneOutcome, Payment};
use redpkt_proto::Op;
use redpkt_proto::body::Status;

fn outcomes(world: &mut World) -> Vec<(u64, DoneOutcome)> {
    world.settle();
    world.cores[0].take_done().map(|done| (done.ticket, done.outcome)).collect()
}

fn pay(world: &mut World, ticket: u64, fen: u64, is_deposit: bool) {
    let payment = Payment { id: format!("payment {ticket}"), user: 1, fen, is_deposit };
    let now = world.now;
    world.cores[0].pay(&payment, ticket, now);
}

/// Expect: told when it is durable, never below zero, refused where there is no room.
#[test]
fn payments_are_told_when_they_are_written_and_take_no_more_than_there_is() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.set_disks(false);
    pay(&mut world, 1, 100, true);
    assert_eq!(outcomes(&mut world), []);
    world.set_disks(true);
    assert_eq!(outcomes(&mut world), [(1, DoneOutcome::Written)]);
    pay(&mut world, 2, 101, false);
    pay(&mut world, 3, 40, false);
    assert_eq!(outcomes(&mut world), [(2, DoneOutcome::TooLittleMoney), (3, DoneOutcome::Written)]);
    assert_eq!(client.about(&mut world, Op::Balance, 0, 0).fen, 60);
    world.ledger.limit_room(0);
    pay(&mut world, 4, 1, true);
    assert_eq!(outcomes(&mut world), [(4, DoneOutcome::Full)]);
    world.check_conservation();
}

/// Expect: what is refused because of money that is not durably gone is told when it is.
#[test]
fn too_little_money_is_told_when_what_it_was_decided_from_is_durable() {
    let mut world = World::new(config());
    pay(&mut world, 1, 100, true);
    assert_eq!(outcomes(&mut world), [(1, DoneOutcome::Written)]);
    world.set_disks(false);
    pay(&mut world, 2, 80, false);
    pay(&mut world, 3, 40, false);
    assert_eq!(outcomes(&mut world), []);
    world.set_disks(true);
    assert_eq!(outcomes(&mut world), [(2, DoneOutcome::Written), (3, DoneOutcome::TooLittleMoney)]);
}

/// Expect: an order whose forerunner a group was not told is not taken there, nor changed; when that has come it is.
#[test]
fn an_order_that_comes_before_its_time_is_not_taken() {
    let mut world = World::new(config());
    let now = world.now;
    world.cores[0].add_order(2, &order(1, 1), 7, now);
    world.cores[0].set_order_state(2, OrderState::Paused, 8, now);
    assert_eq!(outcomes(&mut world), [(7, DoneOutcome::Full), (8, DoneOutcome::Full)]);
    assert_eq!(world.rows(), []);
    let first = Order { id: "first".into(), ..order(1, 1) };
    for (number, order) in [(1, &first), (2, &order(1, 1))] {
        world.cores[0].add_order(number, order, 9, now);
        assert_eq!(outcomes(&mut world), [(9, DoneOutcome::Written)]);
    }
}

/// Expect: an order's packets together never hold more than its budget, in how many groups ever.
#[test]
fn an_order_spends_no_more_than_its_budget() {
    let mut world = World::new(Config { capacity: capacity(4, 4, 64), ..super::world::workers(2) });
    world.order(&Order { fen_min: 10, fen_max: 40, budget_fen: 500, ..order(100, 40) });
    let minted: u64 = world.rows().iter().map(|row| row.fen).sum();
    assert!((400..=500).contains(&minted), "{minted}");
    world.check_conservation();
}

/// Expect: no packet while it is paused, none ever after it was stopped, also after a crash, and each is made once.
#[test]
fn an_order_is_paused_resumed_and_stopped_across_crashes() {
    let mut world = World::new(Config { capacity: capacity(4, 4, 64), ..config() });
    let minted = |world: &World| world.rows().iter().filter(|row| row.fen > 0).count();
    world.order(&Order { rate_per_s: 10, ..order(50, 5) });
    assert_eq!(minted(&world), 1);
    let set = |world: &mut World, state| {
        let now = world.now;
        world.cores[0].set_order_state(1, state, 9, now);
        world.settle();
    };
    set(&mut world, OrderState::Paused);
    world.pass_ms(5_000);
    world.settle();
    world.crash();
    world.pass_ms(5_000);
    world.settle();
    assert_eq!(minted(&world), 1, "paused, also after a crash");
    set(&mut world, OrderState::Running);
    world.pass_ms(1_000);
    world.settle();
    assert_eq!(minted(&world), 12, "at its pace, without what was missed");
    world.crash();
    world.settle();
    world.pass_ms(500);
    world.settle();
    assert_eq!(minted(&world), 18);
    set(&mut world, OrderState::Stopped);
    world.crash();
    world.pass_ms(60_000);
    world.settle();
    assert_eq!(minted(&world), 18);
    let mut places: Vec<u64> = world.rows().iter().filter(|row| row.fen > 0).map(|row| row.other).collect();
    places.dedup();
    assert_eq!(places, (0..18).collect::<Vec<u64>>(), "each packet of the order once");
}

/// Expect: who has won as much as is allowed wins nothing more, also after a crash; others do.
#[test]
fn wins_of_a_user_are_limited() {
    let mut world = World::new(Config { wins_per_user: 2, ..config() });
    let (mut first, mut second) = (world.client(1), world.client(2));
    world.mint(4, 5);
    assert_eq!(first.shake(&mut world).status, Status::Ok);
    assert_eq!(first.shake(&mut world).status, Status::Ok);
    assert_eq!(first.shake(&mut world), said(Status::Miss));
    world.crash();
    first.join(&mut world);
    assert_eq!(first.shake(&mut world), said(Status::Miss));
    second.join(&mut world);
    assert_eq!(second.shake(&mut world).status, Status::Ok);
}

/// Expect: a journal that is behind holds an order up, and loses none of its packets.
#[test]
fn an_order_waits_for_a_slow_journal() {
    let mut world = World::new(Config { capacity: capacity(4, 4, 64), ..config() });
    let made = |world: &World| world.rows().iter().filter(|row| row.fen > 0).count();
    world.ledger.limit_room(10);
    world.set_disks(false);
    world.order(&order(40, 5));
    assert_eq!(made(&world), 9, "one row is the order's");
    world.set_disks(true);
    (0..10).for_each(|_| _ = world.settle());
    assert_eq!(made(&world), 40);
    assert_eq!(world.cores[0].books().next().unwrap().orders()[0].progress.passed_by, 0);
}
