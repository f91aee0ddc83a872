//! A SET that panics is masked: its users are told, the others go on, and it comes back from its journal.

use super::client::{Client, Said, said};
use super::world::{World, capacity, order, workers};
use crate::set::book::Order;
use crate::set::fault::{Fault, arm, disarm};
use crate::set::{Config, Drop, SetState};
use redpkt_proto::Op;
use redpkt_proto::body::Status;
use redpkt_proto::steer::Layout;

/// Two workers with two groups of four SETs each.
fn world() -> World {
    disarm();
    let layout = Layout { sets: 16, groups: 4, workers: 2 };
    World::new(Config { layout, capacity: capacity(16, 16, 64), promises: 256, ..workers(2) })
}

/// A user of another SET than those of `not`, of a group and a worker as wanted beside the first of them.
fn beside(world: &World, not: &[u64], same_group: bool, same_worker: bool) -> u64 {
    let layout = world.config.layout;
    let set = |user: u64| layout.set_of(user);
    let is_like = |user: &u64| {
        let is_new = not.iter().all(|other| set(*other) != set(*user));
        let (mine, theirs) = (layout.group_of(set(not[0])), layout.group_of(set(*user)));
        let workers = (mine % layout.workers, theirs % layout.workers);
        is_new && (mine == theirs) == same_group && (workers.0 == workers.1) == same_worker
    };
    (1..).find(is_like).expect("each SET has users")
}

/// Sends a request that finds no answer, because a SET panics over it.
fn lost(world: &mut World, client: &mut Client, op: Op, packet: u64) -> u64 {
    let req = client.next_req();
    let frame = client.request(op, req, packet);
    let out = world.ask(client.path, &[frame]);
    assert_eq!(out, []);
    assert!(!disarm(), "it has panicked");
    req
}

/// What is said of a request of an earlier session.
fn look_up(world: &mut World, client: &mut Client, req: u64) -> Said {
    let frame = client.request(Op::Ask, req, 0);
    let out = world.ask(client.path, &[frame]);
    Said::from(client.answer(&out[0]))
}

fn balance(world: &mut World, client: &mut Client) -> u64 {
    let said = client.about(world, Op::Balance, 0, 0);
    assert_eq!(said.status, Status::Ok);
    said.fen
}

fn is_told_to_come_again(said: Said) -> bool {
    said.status == Status::Busy && said.retry_after_ms > 0
}

/// All that is durable is there after the rebuild, and the audit finds every rule kept.
fn rebuilt(world: &mut World, sets: &[u32]) {
    assert_eq!(world.masked(), sets);
    world.check_conservation();
    for set in sets {
        assert!(world.rebuild_set(*set), "SET {set}");
    }
    assert!(world.masked().is_empty());
    world.check_conservation();
    world.audit();
}

/// Expect: its users are told to come again, nobody else notices, and nothing of its money is lost.
#[test]
fn a_set_that_panics_in_a_shake_is_masked_alone() {
    let mut world = world();
    let a = 1;
    let users = [a, beside(&world, &[a], true, true), beside(&world, &[a], false, true)];
    let far = beside(&world, &[a], false, false);
    let mut mine = world.client(a);
    let mut others = [users[1], users[2], far].map(|user| world.client(user));
    world.mint(48, 7);
    world.deposit(a, 500);
    let won = mine.shake(&mut world);
    let fen = mine.open(&mut world, won.packet).fen;
    arm(Fault::Shake);
    let req = lost(&mut world, &mut mine, Op::Shake, 0);
    let set = world.set_of(a);
    assert_eq!((world.masked(), world.count(|counters| counters.panics)), (vec![set], 1));
    let panicked: Vec<_> = world.core_of(a).take_panicked().collect();
    assert!(panicked.len() == 1 && panicked[0].set == set && panicked[0].message.contains("Shake"));
    for op in [Op::Shake, Op::Open, Op::Balance, Op::Invites, Op::Ask, Op::Grab] {
        let said = mine.about(&mut world, op, won.packet, 0);
        assert!(is_told_to_come_again(said), "{op:?} {said:?}");
    }
    assert!(is_told_to_come_again(mine.send(&mut world, 10, 1, &[far])));
    assert_eq!(world.dropped(Drop::Masked), 7);
    for other in &mut others {
        let won = other.shake(&mut world);
        assert_eq!(won.status, Status::Ok);
        assert_eq!(other.open(&mut world, won.packet).fen, 7);
    }
    rebuilt(&mut world, &[set]);
    mine.join(&mut world);
    assert_eq!(mine.ask(&mut world, Op::Ask, req, 0).status, Status::NotDone);
    assert_eq!(balance(&mut world, &mut mine), 500 + fen);
    assert_eq!(mine.shake(&mut world).status, Status::Ok, "its pool is there again");
    world.audit();
}

/// Expect: what was in memory and in no row is gone, by half or whole; the share can be taken still, once.
#[test]
fn a_row_that_was_applied_and_not_written_was_never_there() {
    for fault in [Fault::HalfApplied, Fault::Applied] {
        let mut world = world();
        let a = 1;
        let b = beside(&world, &[a], true, true);
        let third = beside(&world, &[a, b], true, true);
        let [mut sender, mut taker, mut third] = [a, b, third].map(|user| world.client(user));
        world.deposit(a, 500);
        let packet = sender.send(&mut world, 100, 1, &[b]).packet;
        let rows = world.rows().len();
        arm(fault);
        let req = lost(&mut world, &mut taker, Op::Open, packet);
        assert_eq!(world.rows().len(), rows);
        // The row was of two SETs: the packet's and the taker's.
        let mut sets = vec![world.set_of(a), world.set_of(b)];
        sets.sort_unstable();
        assert_eq!(third.shake(&mut world), said(Status::Miss));
        assert_eq!(balance(&mut world, &mut third), 0);
        rebuilt(&mut world, &sets);
        for client in [&mut sender, &mut taker] {
            client.join(&mut world);
        }
        assert_eq!(taker.ask(&mut world, Op::Ask, req, packet).status, Status::NotDone);
        assert_eq!((balance(&mut world, &mut sender), balance(&mut world, &mut taker)), (400, 0));
        assert_eq!(taker.open(&mut world, packet).fen, 100);
        assert_eq!(balance(&mut world, &mut taker), 100);
        world.audit();
    }
}

/// Expect: a question of another group that panics is answered as one that cannot be decided now; who has asked goes
/// on, and gets the share when the packet's SET is back.
#[test]
fn a_question_from_another_group_masks_the_packets_set_alone() {
    for same_worker in [true, false] {
        for fault in [Fault::Question, Fault::HalfApplied, Fault::Applied] {
            let mut world = world();
            let a = 1;
            let b = beside(&world, &[a], false, same_worker);
            let [mut sender, mut taker] = [a, b].map(|user| world.client(user));
            world.deposit(a, 500);
            let packet = sender.send(&mut world, 100, 1, &[b]).packet;
            arm(fault);
            let req = taker.next_req();
            let frame = taker.request(Op::Open, req, packet);
            let out = world.ask(taker.path, &[frame]);
            assert!(!disarm());
            if same_worker {
                // The panic was in its own batch: it asks again.
                assert_eq!(out, []);
            } else {
                assert!(is_told_to_come_again(Said::from(taker.answer(&out[0]))));
            }
            assert_eq!(world.masked(), [world.set_of(a)]);
            assert!(is_told_to_come_again(taker.ask(&mut world, Op::Open, req, packet)));
            assert_eq!(taker.shake(&mut world), said(Status::Miss));
            let set = world.set_of(a);
            rebuilt(&mut world, &[set]);
            assert_eq!(taker.ask(&mut world, Op::Open, req, packet).fen, 100);
            assert_eq!(balance(&mut world, &mut taker), 100);
            world.check_conservation();
            world.audit();
        }
    }
}

/// Expect: money that another group has promised to a user of a masked SET comes into the journal past it, and is in
/// the wallet after the rebuild; money for other SETs that comes later does not overtake it.
#[test]
fn money_for_users_of_a_masked_set_comes() {
    for same_worker in [true, false] {
        for fault in [Fault::Decided, Fault::HalfApplied, Fault::Applied] {
            let mut world = world();
            let a = 1;
            let b = beside(&world, &[a], false, same_worker);
            let c = beside(&world, &[b, a], true, true);
            let [mut sender, mut taker, mut third] = [a, b, c].map(|user| world.client(user));
            world.deposit(a, 500);
            let packet = sender.send(&mut world, 100, 2, &[b, c]).packet;
            let theirs = world.config.layout.group_of(world.set_of(a)) as usize;
            world.ledgers[theirs].set_disk(false);
            let req = taker.next_req();
            let frame = taker.request(Op::Open, req, packet);
            assert_eq!(world.ask(taker.path, &[frame]), []);
            // It is decided, and not durable: what panics next is the user's SET.
            arm(fault);
            world.ledgers[theirs].set_disk(true);
            let out = world.settle();
            let told = super::client::told(&out, &taker);
            assert!(!disarm() && told.len() == 1 && told[0].status == Status::Ok, "{told:?}");
            assert_eq!(world.masked(), [world.set_of(b)]);
            let rest = third.open(&mut world, packet).fen;
            assert_eq!(told[0].fen + rest, 100);
            let set = world.set_of(b);
            rebuilt(&mut world, &[set]);
            taker.join(&mut world);
            assert_eq!(look_up(&mut world, &mut taker, req).fen, told[0].fen);
            let fen = [&mut taker, &mut third].map(|client| balance(&mut world, client));
            assert_eq!(fen, [told[0].fen, rest]);
            world.audit();
        }
    }
}

/// Expect: while a question of its users is out a masked SET is not rebuilt: the answer could contradict it.
#[test]
fn a_set_is_not_rebuilt_while_its_users_have_questions_out() {
    let mut world = world();
    let a = 1;
    let b = beside(&world, &[a], false, false);
    let [mut sender, mut taker] = [a, b].map(|user| world.client(user));
    world.deposit(a, 500);
    let packet = sender.send(&mut world, 100, 1, &[b]).packet;
    let theirs = world.config.layout.group_of(world.set_of(a)) as usize;
    world.ledgers[theirs].set_disk(false);
    let req = taker.next_req();
    let frame = taker.request(Op::Open, req, packet);
    assert_eq!(world.ask(taker.path, &[frame]), []);
    arm(Fault::Shake);
    lost(&mut world, &mut taker, Op::Shake, 0);
    let set = world.set_of(b);
    assert!(!world.rebuild_set(set));
    world.ledgers[theirs].set_disk(true);
    world.settle();
    rebuilt(&mut world, &[set]);
    taker.join(&mut world);
    assert_eq!(look_up(&mut world, &mut taker, req).fen, 100);
    world.audit();
}

/// Expect: the packet that panicked and the others of its SET are passed by and counted so; every other SET has its
/// own, and the group's budget is what the journal says.
#[test]
fn a_set_that_panics_in_minting_is_passed_by() {
    for fault in [Fault::Mint, Fault::HalfApplied, Fault::Applied] {
        let mut world = world();
        arm(fault);
        world.order(&Order { budget_fen: 1_600, ..order(32, 5) });
        for core in &mut world.cores {
            core.tick(world.now);
        }
        let masked = world.masked();
        assert!(masked.len() == 1 && !disarm());
        let of_orders = |world: &World, figure: fn(&crate::set::book::Progress) -> u64| {
            let orders = world.cores.iter().flat_map(|core| core.books()).flat_map(|book| book.orders());
            orders.map(|running| figure(&running.progress)).sum::<u64>()
        };
        let made = of_orders(&world, |progress| progress.packets);
        let passed_by = of_orders(&world, |progress| progress.passed_by);
        assert_eq!((made, passed_by), (30, 2), "{fault:?}");
        world.settle();
        rebuilt(&mut world, &masked);
        world.mint(16, 5);
        let made = of_orders(&world, |progress| progress.packets);
        assert_eq!(made, 46, "its pool gets packets again");
        world.settle();
        world.audit();
    }
}

/// Expect: what is left of its packets is returned after the rebuild, that of the others at once.
#[test]
fn a_set_that_panics_in_expiry_returns_what_is_left_later() {
    for fault in [Fault::Expiry, Fault::HalfApplied, Fault::Applied] {
        let mut world = world();
        let a = 1;
        let b = beside(&world, &[a], true, true);
        let [mut one, mut other] = [a, b].map(|user| world.client(user));
        for user in [a, b] {
            world.deposit(user, 500);
        }
        for client in [&mut one, &mut other] {
            client.send(&mut world, 100, 1, &[99]);
        }
        arm(fault);
        world.pass_ms(3_601_000);
        world.settle();
        world.pass_ms(2);
        world.settle();
        let masked = world.masked();
        assert!(masked.len() == 1 && !disarm(), "{masked:?}");
        assert_eq!(world.count(|counters| counters.expired), 1, "the other's is returned");
        rebuilt(&mut world, &masked);
        world.pass_ms(2);
        world.settle();
        for client in [&mut one, &mut other] {
            client.join(&mut world);
        }
        assert_eq!([balance(&mut world, &mut one), balance(&mut world, &mut other)], [500, 500]);
        world.audit();
    }
}

/// Expect: an answer that was promised is told although its SET panics over telling it, and invitations that are
/// pushed, sessions that join and SETs that are counted take no other SET with them.
#[test]
fn whatever_is_done_for_a_set_takes_it_alone() {
    for fault in [Fault::Settle, Fault::Push, Fault::Recount, Fault::Handshake] {
        let mut world = world();
        let a = 1;
        let b = beside(&world, &[a], true, true);
        let [mut sender, mut other] = [a, b].map(|user| world.client(user));
        world.deposit(a, 500);
        arm(fault);
        match fault {
            Fault::Settle => assert_eq!(sender.send(&mut world, 100, 1, &[b]).status, Status::Ok),
            Fault::Push => assert_eq!(sender.send(&mut world, 100, 1, &[b]).status, Status::Ok),
            Fault::Recount => {
                world.pass_ms(1_001);
                world.settle();
            }
            _ => {
                world.pass_ms(250);
                let newcomer = world.stranger(a);
                let challenge = newcomer.challenge(&mut world);
                let join = newcomer.join_frame(&challenge);
                assert_eq!(world.ask(newcomer.path, &[join]), []);
                assert_eq!(world.ask(newcomer.path, &[join])[0].header.op, Op::Error as u8);
            }
        }
        assert!(!disarm());
        let masked = world.masked();
        assert_eq!(masked.len(), 1, "{fault:?}");
        rebuilt(&mut world, &masked);
        for client in [&mut sender, &mut other] {
            client.join(&mut world);
        }
        let sent = if matches!(fault, Fault::Settle | Fault::Push) { 100 } else { 0 };
        assert_eq!([balance(&mut world, &mut sender), balance(&mut world, &mut other)], [500 - sent, 0]);
        world.audit();
    }
}

/// Expect: payments to a masked SET are refused, one that panics is refused too, and neither is written.
#[test]
fn a_payment_to_a_masked_set_is_refused() {
    let mut world = world();
    let mut mine = world.client(1);
    arm(Fault::Applied);
    world.deposit(1, 500);
    world.deposit(1, 500);
    let outcomes: Vec<_> = world.core_of(1).take_done().map(|done| done.outcome).collect();
    assert_eq!(outcomes, [crate::set::DoneOutcome::Masked; 2]);
    let set = world.set_of(1);
    rebuilt(&mut world, &[set]);
    world.deposit(1, 400);
    mine.join(&mut world);
    assert_eq!(balance(&mut world, &mut mine), 400);
    world.audit();
}

/// Expect: who is there opens, sends and settles; nobody joins, wins or finds new packets, until it is resumed.
#[test]
fn a_drained_set_serves_what_is_there() {
    let mut world = world();
    let mut mine = world.client(1);
    world.deposit(1, 500);
    world.mint(32, 5);
    let won = mine.shake(&mut world);
    let set = world.set_of(1);
    world.core_of(1).set_draining(set, true);
    assert_eq!(world.set_state(set), SetState::Draining);
    assert_eq!(mine.shake(&mut world), said(Status::Miss));
    assert_eq!(mine.open(&mut world, won.packet).fen, 5);
    assert_eq!(mine.send(&mut world, 100, 1, &[99]).status, Status::Ok);
    world.mint(16, 5);
    let pool = |world: &mut World| {
        world.core_of(1).set_stats().find(|stats| stats.set == set).map(|stats| stats.pool_packets)
    };
    assert_eq!(pool(&mut world), Some(1));
    world.pass_ms(250);
    let mut again = world.stranger(1);
    let challenge = again.challenge(&mut world);
    let refused = world.ask(again.path, &[again.join_frame(&challenge)]);
    assert_eq!(refused[0].header.op, Op::Error as u8);
    world.core_of(1).set_draining(set, false);
    again.join(&mut world);
    assert_eq!(again.shake(&mut world).status, Status::Ok);
    world.check_conservation();
    world.audit();
}

/// Expect: a panic that is no SET's goes on, to the head of the worker's thread.
#[test]
#[should_panic(expected = "the control plane counts the orders")]
fn a_panic_of_no_set_is_the_workers() {
    let mut world = world();
    let now = world.now;
    world.cores[0].add_order(99, &order(1, 1), 7, now);
}

/// Expect: a SET that panics over telling its users what was promised tells them nothing more, and takes nobody with
/// it; after the rebuild they find what became of their requests.
#[test]
fn a_masked_set_that_panics_again_is_mute() {
    let mut world = world();
    let a = 1;
    let b = beside(&world, &[a], true, true);
    let [mut mine, mut other] = [a, b].map(|user| world.client(user));
    world.deposit(a, 500);
    let (set, group) = (world.set_of(a), world.config.layout.group_of(world.set_of(a)) as usize);
    world.ledgers[group].set_disk(false);
    let (req, counter) = (mine.next_req(), mine.counter);
    let frames = mine.send_frames(counter, 100, 1, &[99]);
    assert_eq!(world.ask(mine.path, &frames), []);
    arm(Fault::Shake);
    lost(&mut world, &mut mine, Op::Shake, 0);
    arm(Fault::Settle);
    world.ledgers[group].set_disk(true);
    assert_eq!(world.settle(), []);
    assert!(!disarm());
    lost(&mut world, &mut mine, Op::Balance, 0);
    assert_eq!((balance(&mut world, &mut other), world.masked()), (0, vec![set]));
    rebuilt(&mut world, &[set]);
    mine.join(&mut world);
    assert_eq!((look_up(&mut world, &mut mine, req).fen, balance(&mut world, &mut mine)), (100, 400));
}
