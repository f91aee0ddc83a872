//! What there is no time for is refused by its header, in order of its value, and changes nothing.

use super::world::{Client, World, capacity, config};
use crate::set::admission::{Class, PARTS, Service};
use crate::set::{Config, Drop};
use redpkt_proto::body::{Refusal, RefusalCode, Status};
use redpkt_proto::{Frame, Op};

fn serve(world: &mut World, service: Service) {
    world.cores.iter_mut().for_each(|core| core.set_service(service));
}

/// Everything below a class.
fn above(class: Class) -> Service {
    Service { cut: class as u16 * PARTS as u16, ..Service::FULL }
}

fn refusal(frames: &[Frame], refused: &Frame) -> (Option<RefusalCode>, u32) {
    let [frame] = frames else { panic!("{frames:?}") };
    assert_eq!(frame.header.op, Op::Error as u8);
    let body: Refusal = frame.body();
    assert_eq!(body.refused_tag, refused.tag);
    (RefusalCode::from_wire(body.code), body.retry_after_ms.get())
}

/// Expect: with the cut below shakes a shake is refused with a time to come again, an open is not; the same shake is
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

/// Expect: each class in turn is the first to be refused when the cut is at its foot.
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
    for cut_at in Class::ALL {
        serve(&mut world, above(cut_at));
        for (class, ask) in asks {
            let before = world.dropped(Drop::Shed);
            let frame = ask(&mut user);
            world.ask(user.path, &[frame]);
            let is_shed = world.dropped(Drop::Shed) > before;
            assert_eq!(is_shed, class as usize >= cut_at as usize, "{class:?} with the cut at {cut_at:?}");
        }
    }
}

/// Expect: a HELLO is told Busy, as a client of any text of version 1 understands, and no cookie is made.
#[test]
fn joins_are_refused_by_a_code_that_every_client_knows() {
    let mut world = World::new(config());
    let stranger = world.stranger(5);
    serve(&mut world, Service { off: 1 << Class::Join as u8, ..Service::FULL });
    let hello = stranger.hello();
    let answers = world.ask(stranger.path, &[hello]);
    assert_eq!(refusal(&answers, &hello).0, Some(RefusalCode::Busy));
    serve(&mut world, Service::FULL);
    let mut stranger = stranger;
    stranger.join(&mut world);
    assert_eq!(world.sessions(), 1);
}

/// Expect: in the middle of a class some users are served and some are not, always the same within an hour and not
/// the same in the next.
#[test]
fn within_a_class_it_is_by_user_and_hour() {
    let mut world = World::new(Config { capacity: capacity(64, 16, 16), ..config() });
    let mut users: Vec<Client> = (1..=12).map(|user| world.client(user)).collect();
    let half = Service { cut: above(Class::Shake).cut + PARTS as u16 / 2, ..Service::FULL };
    let mut shed_in_hour = |world: &mut World| -> Vec<u64> {
        serve(world, half);
        let refused = users.iter_mut().filter_map(|user| {
            let shake = user.shake_frame();
            let answers = world.ask(user.path, &[shake]);
            (answers[0].header.op == Op::Error as u8).then(|| user.user())
        });
        refused.collect()
    };
    let first = shed_in_hour(&mut world);
    assert_eq!(shed_in_hour(&mut world), first);
    assert!(!first.is_empty() && first.len() < 12, "{first:?}");
    world.now.wall_ms += 3_600_000;
    assert_ne!(shed_in_hour(&mut world), first);
}

/// Expect: no packet is made while minting is given up, and what was not made does not come in a burst.
#[test]
fn minting_that_was_given_up_goes_on_at_its_pace() {
    let mut world = World::new(config());
    serve(&mut world, Service { mints: false, ..Service::FULL });
    world.mint(1_000_000, 1);
    let made =
        |world: &World| world.rows().iter().filter(|row| row.kind == crate::ledger::Kind::Mint).count();
    for _ in 0..100 {
        world.pass_ms(10);
        world.settle();
    }
    assert_eq!(made(&world), 0);
    serve(&mut world, Service::FULL);
    world.pass_ms(1);
    world.settle();
    assert!(made(&world) > 0);
}
