//! What there is no time for is refused by its header, in order of its value, and changes nothing.

use super::client::Client;
use super::world::{World, capacity, config, order};
use crate::gate::{ALL, CLASSES, Class, Gate};
use crate::ledger::Kind;
use crate::set::admission::Service;
use crate::set::book::Order;
use crate::set::{Config, Drop};
use redpkt_proto::body::{Refusal, RefusalCode, Status};
use redpkt_proto::{Frame, Op};

fn serve(world: &mut World, service: Service) {
    world.cores.iter_mut().for_each(|core| core.set_service(service));
}

/// Everything worth more than a class.
fn above(class: Class) -> Service {
    let limit = |each: Class| if (each as usize) < class as usize { ALL } else { 0 };
    Service { gate: Gate { limits: Class::ALL.map(limit), salt: 1, told: ALL }, ..Service::FULL }
}

fn refusal(frames: &[Frame], refused: &Frame) -> (Option<RefusalCode>, u32) {
    let [frame] = frames else { panic!("{frames:?}") };
    assert_eq!(frame.header.op, Op::Error as u8);
    let body: Refusal = frame.body();
    assert_eq!(body.refused_tag, refused.tag);
    (RefusalCode::from_wire(body.code), body.retry_after_ms.get())
}

/// Expect: with the gate shut for shakes a shake is refused with a time to come again, an open is not; the same shake is
/// answered once there is time, and nothing was executed twice.
#[test]
fn what_is_worth_less_is_refused_and_what_is_worth_more_is_done() {
    let mut world = World::new(config());
    let mut user = world.client(1);
    world.mint(1, 5);
    let packet = user.shake(&mut world).packet;
    serve(&mut world, above(Class::Shake));
    let shake = user.shake_frame();
    let (code, retry_after_ms) = refusal(&world.ask(user.path, &[shake]), &shake);
    assert_eq!(code, Some(RefusalCode::Load));
    assert!((500..=1_000).contains(&retry_after_ms), "{retry_after_ms}");
    assert_eq!(user.open(&mut world, packet).fen, 5);
    serve(&mut world, Service::FULL);
    let answers = world.ask(user.path, &[shake]);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(Status::from_wire(user.answer(answer).status), Some(Status::Miss));
    assert_eq!(world.dropped(Drop::Shed), 1);
    assert_eq!(world.count(|counters| counters.shed[Class::Shake as usize]), 1);
    world.audit();
}

/// Expect: each class in turn is refused when the gate is shut from it on.
#[test]
fn classes_go_in_the_order_of_their_value() {
    let mut world = World::new(config());
    let mut user = world.client(1);
    type Ask = fn(&mut Client) -> Frame;
    let asks: [(Class, Ask); 4] = [
        (Class::Open, |user| user.keepalive_frame(1)),
        (Class::Give, |user| {
            let req = user.next_req();
            user.request(Op::Grab, req, 77)
        }),
        (Class::Shake, Client::shake_frame),
        (Class::Read, |user| {
            let req = user.next_req();
            user.request(Op::Balance, req, 0)
        }),
    ];
    for shut_from in Class::ALL {
        serve(&mut world, above(shut_from));
        for (class, ask) in asks {
            let before = world.dropped(Drop::Shed);
            let frame = ask(&mut user);
            world.ask(user.path, &[frame]);
            let is_shed = world.dropped(Drop::Shed) > before;
            assert_eq!(
                is_shed,
                class as usize >= shut_from as usize,
                "{class:?} with the gate shut from {shut_from:?} on"
            );
        }
    }
}

/// Expect: a HELLO is told Busy, as a client of any text of version 1 understands, and no cookie is made.
#[test]
fn joins_are_refused_by_a_code_that_every_client_knows() {
    let mut world = World::new(config());
    let stranger = world.stranger(5);
    serve(&mut world, above(Class::Join));
    let hello = stranger.hello();
    let answers = world.ask(stranger.path, &[hello]);
    assert_eq!(refusal(&answers, &hello).0, Some(RefusalCode::Busy));
    serve(&mut world, Service::FULL);
    let mut stranger = stranger;
    stranger.join(&mut world);
    assert_eq!(world.sessions(), 1);
}

/// Expect: with a limit within a class some users are served and some are not, always the same as long as the salt is,
/// and not the same with another.
#[test]
fn within_a_class_it_is_by_user_and_salt() {
    let mut world = World::new(Config { capacity: capacity(64, 16, 16), ..config() });
    let mut users: Vec<Client> = (1..=12).map(|user| world.client(user)).collect();
    let mut shed_with = |world: &mut World, salt: u32| -> Vec<u64> {
        let gate = Gate { limits: [ALL / 2; CLASSES], salt, told: ALL };
        serve(world, Service { gate, ..Service::FULL });
        let refused = users.iter_mut().filter_map(|user| {
            let shake = user.shake_frame();
            let answers = world.ask(user.path, &[shake]);
            (answers[0].header.op == Op::Error as u8).then(|| user.user())
        });
        refused.collect()
    };
    let first = shed_with(&mut world, 1);
    assert_eq!(shed_with(&mut world, 1), first);
    assert!(!first.is_empty() && first.len() < 12, "{first:?}");
    assert_ne!(shed_with(&mut world, 2), first);
}

/// Expect: beyond so many answers refusals are silent, all are counted, and a new window answers again.
#[test]
fn only_so_many_are_told_that_they_are_refused() {
    let mut world = World::new(config());
    let mut user = world.client(1);
    serve(&mut world, Service { told_max: 2, ..above(Class::Shake) });
    let mut answers = |world: &mut World| {
        let shake = user.shake_frame();
        world.ask(user.path, &[shake]).len()
    };
    assert_eq!([1, 1, 0, 0].map(|_| answers(&mut world)), [1, 1, 0, 0]);
    assert_eq!(world.dropped(Drop::Shed), 4);
    world.cores.iter_mut().for_each(|core| *core.seen() = Default::default());
    assert_eq!(answers(&mut world), 1);
}

/// Expect: a shake that comes late is dropped unanswered and not executed, an open is answered.
#[test]
fn what_has_waited_too_long_is_dropped_but_for_money() {
    let mut world = World::new(config());
    let mut user = world.client(1);
    world.mint(1, 5);
    let packet = user.shake(&mut world).packet;
    world.cores.iter_mut().for_each(|core| core.set_late(true));
    let shake = user.shake_frame();
    assert!(world.ask(user.path, &[shake]).is_empty());
    assert_eq!(user.open(&mut world, packet).fen, 5);
    assert_eq!(world.dropped(Drop::Shed), 1);
    world.cores.iter_mut().for_each(|core| core.set_late(false));
    let answers = world.ask(user.path, &[shake]);
    assert_eq!(Status::from_wire(user.answer(&answers[0]).status), Some(Status::Miss));
}

/// Expect: a quarter of the packets is made while fewer are to be made, and what was not made does not come in a burst.
#[test]
fn fewer_packets_are_made_and_then_as_many_as_before() {
    let mut world = World::new(Config { capacity: capacity(64, 16, 256), ..config() });
    serve(&mut world, Service { mints: false, ..Service::FULL });
    world.order(&Order { rate_per_s: 100, ..order(1_000, 1) });
    let made = |world: &World| world.rows().iter().filter(|row| row.kind == Kind::Mint).count();
    let made_in_a_second = |world: &mut World| {
        let before = made(world);
        for _ in 0..100 {
            world.pass_ms(10);
            world.settle();
        }
        made(world) - before
    };
    let fewer = made_in_a_second(&mut world);
    assert!((24..=27).contains(&fewer), "{fewer}");
    serve(&mut world, Service::FULL);
    let all = made_in_a_second(&mut world);
    assert!((99..=102).contains(&all), "{all}");
}

/// Expect: without prompt commits what is decided within 20 ms is committed together, and after that at the latest.
#[test]
fn without_prompt_commits_rows_wait_for_each_other() {
    let mut world = World::new(config());
    let mut user = world.client(1);
    world.mint(10, 5);
    let turns = |world: &World| world.ledgers.iter().map(|ledger| ledger.turns()).sum::<usize>();
    let mut commits = |world: &mut World| {
        let before = turns(world);
        for _ in 0..5 {
            world.pass_ms(2);
            assert_eq!(user.shake(world).status, Status::Ok);
        }
        world.pass_ms(20);
        world.settle();
        turns(world) - before
    };
    assert_eq!(commits(&mut world), 5);
    serve(&mut world, Service { prompt: false, ..Service::FULL });
    assert!((1..=2).contains(&commits(&mut world)));
}
