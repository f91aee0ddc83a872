//! What one source prefix may take of the session table and of the worker's time, and what that leaves to others.

use super::client::Client;
use super::world::{World, capacity, config, workers};
use crate::gate::{ALL, Class, Gate};
use crate::set::admission::Service;
use crate::set::fault::{self, Fault};
use crate::set::sessions::SlotId;
use crate::set::{Config, Core, Drop};
use rand::{RngExt as _, SeedableRng as _};
use redpkt_proto::body::{PathProof, Refusal, RefusalCode, Status};
use redpkt_proto::{Frame, Op, Path, Rng, SESSION_STEP_MS, seal};

/// Prefix 203.0.`third`.0/24.
fn at(third: u8, last: u8) -> Path {
    Path::new(([203, 0, third, last], 4_000).into(), 0)
}

/// A client at an address.
fn stranger(world: &mut World, user: u64, path: Path) -> Client {
    let client = world.stranger(user);
    Client { path, ..client }
}

fn limited(prefix_sessions: u32, prefix_joins_per_s: u32) -> World {
    World::new(Config { capacity: capacity(8, 8, 8), prefix_sessions, prefix_joins_per_s, ..config() })
}

/// Says HELLO and JOIN; whether that made a session. Else it was told Busy, and when to come again.
fn joins(world: &mut World, client: &mut Client) -> bool {
    world.pass_ms(SESSION_STEP_MS);
    client.client_random = world.rng.random();
    let challenge = client.challenge(world);
    let join = client.join_frame(&challenge);
    let answers = world.ask(client.path, &[join]);
    let [answer] = &answers[..] else { panic!("one answer: {answers:?}") };
    if answer.header.op == Op::Error as u8 {
        assert!(busy(answer, &join) > 0);
        return false;
    }
    client.welcomed(answer);
    true
}

/// The retry-after of an ERROR Busy.
fn busy(answer: &Frame, asked: &Frame) -> u32 {
    let refusal: Refusal = answer.body();
    assert_eq!((refusal.code, refusal.refused_tag), (RefusalCode::Busy as u8, asked.tag));
    refusal.retry_after_ms.get()
}

fn counted(world: &World) -> u32 {
    world
        .cores
        .iter()
        .map(|core| (0..core.places.len()).map(|set| core.sessions.held(set as u32)).sum::<u32>())
        .sum()
}

/// Proves the address that a client is at now; whether the server took it.
fn prove(world: &mut World, client: &mut Client) -> bool {
    let keepalive = client.keepalive_frame(1);
    let mut path = world.ask(client.path, &[keepalive])[0];
    assert_eq!(path.header.op, Op::Path as u8);
    seal::open(&client.key, &mut path).unwrap();
    let ok = client.sealed(Op::PathOk, &path.body::<PathProof>());
    let answers = world.ask(client.path, &[ok]);
    assert!(answers.len() <= 1);
    answers.len() == 1
}

/// Lets sessions end that are silent, and those of `talking` live.
fn idle(world: &mut World, talking: &mut [&mut Client]) {
    for _ in 0..12 {
        world.pass_ms(10_000);
        talking.iter_mut().for_each(|client| assert_eq!(client.shake(world).status, Status::Miss));
        world.cores.iter_mut().for_each(|core| _ = core.tick(world.now));
    }
}

/// Expect: who has many tickets and one network gets no more than its share of the places, with Busy and a time to come
/// again for the rest; a stranger from elsewhere joins at once, and so does one of the own networks.
#[test]
fn one_prefix_does_not_get_the_last_places() {
    let mut world = limited(3, 0);
    let mut flood: Vec<Client> = (1..=20).map(|user| stranger(&mut world, user, at(1, user as u8))).collect();
    let joined = flood.iter_mut().filter_map(|client| joins(&mut world, client).then_some(())).count();
    assert_eq!((joined, world.sessions(), counted(&world)), (3, 3, 3));
    let counters = world.counters();
    assert_eq!((world.dropped(Drop::Prefix), counters.prefix_sessions), (17, 17));
    let mut other = stranger(&mut world, 30, at(2, 1));
    assert!(joins(&mut world, &mut other));
    assert_eq!(other.shake(&mut world).status, Status::Miss);
    // Private addresses have no limit, and are not counted.
    for user in 31..=34 {
        let path = Path::new(([192, 168, 0, 1], user as u16).into(), 0);
        let mut own = stranger(&mut world, user, path);
        assert!(joins(&mut world, &mut own), "user {user}");
    }
    assert_eq!((world.sessions(), counted(&world)), (8, 4));
}

/// Expect: the share is of each SET, so users who were chosen for their SET do not fill that either.
#[test]
fn one_prefix_does_not_fill_one_set() {
    let capacity = capacity(8, 8, 8);
    let mut world = World::new(Config { capacity, prefix_sessions: 3, ..workers(2) });
    let set = world.set_of(1);
    let of_set: Vec<u64> = (1..).filter(|user| world.set_of(*user) == set).take(8).collect();
    let elsewhere = (1..).find(|user| world.set_of(*user) != set).unwrap();
    let mut join = |user| {
        let mut client = stranger(&mut world, user, at(1, 1));
        joins(&mut world, &mut client)
    };
    assert_eq!(of_set.iter().filter(|user| join(**user)).count(), 3);
    assert!(join(elsewhere), "the same prefix in another SET");
}

/// Expect: a place comes free when its session ends by idle time, and when its user joins from elsewhere; a rejoin from
/// the same prefix needs none; at the end nothing is counted.
#[test]
fn places_come_back_when_sessions_end_or_leave() {
    let mut world = limited(2, 0);
    let [mut one, mut two, mut three] = [1, 2, 3].map(|user| stranger(&mut world, user, at(1, user as u8)));
    assert!(joins(&mut world, &mut one) && joins(&mut world, &mut two) && !joins(&mut world, &mut three));
    assert!(joins(&mut world, &mut one), "the same user again");
    assert_eq!(counted(&world), 2);

    two.path = at(2, 1);
    assert!(joins(&mut world, &mut two), "from elsewhere");
    assert!(joins(&mut world, &mut three));
    two.path = at(1, 9);
    assert!(!joins(&mut world, &mut two), "back, where there is no place any more");
    two.path = at(2, 1);
    assert_eq!(two.shake(&mut world).status, Status::Miss, "the session that it has goes on");
    assert_eq!((world.sessions(), counted(&world)), (3, 3));

    idle(&mut world, &mut [&mut two]);
    assert_eq!((world.sessions(), counted(&world)), (1, 1));
    assert!(joins(&mut world, &mut three));
    idle(&mut world, &mut []);
    assert_eq!((world.sessions(), counted(&world)), (0, 0));
}

/// Expect: whoever proves an address of another prefix is counted there, and only where there is room: else two
/// networks were enough to take all places. The session goes on meanwhile.
#[test]
fn a_proved_path_moves_the_count() {
    let mut world = limited(1, 0);
    let [mut one, mut two] = [1, 2].map(|user| stranger(&mut world, user, at(user as u8, 1)));
    assert!(joins(&mut world, &mut one) && joins(&mut world, &mut two));
    one.path = at(2, 7);
    assert!(!prove(&mut world, &mut one));
    assert_eq!(one.shake(&mut world).status, Status::Miss);
    assert_eq!((world.dropped(Drop::Prefix), world.counters().path_changes), (1, 0));
    let mut three = stranger(&mut world, 3, at(1, 3));
    assert!(!joins(&mut world, &mut three), "its place is not free");

    one.path = at(3, 1);
    assert!(prove(&mut world, &mut one));
    assert!(joins(&mut world, &mut three));
    assert_eq!((world.sessions(), counted(&world)), (3, 3));
    one.path = Path::new(([10, 0, 0, 1], 9).into(), 0);
    assert!(prove(&mut world, &mut one));
    assert_eq!((world.sessions(), counted(&world)), (3, 2));
}

/// Expect: when a group is rebuilt, and a SET after a panic, nobody is counted there any more.
#[test]
fn sessions_that_are_ended_together_are_not_counted_any_more() {
    let mut world = limited(4, 0);
    let join_all = |world: &mut World| {
        let mut clients: Vec<Client> = (1..=4).map(|user| stranger(world, user, at(1, 1))).collect();
        assert!(clients.iter_mut().all(|client| joins(world, client)));
        assert_eq!(counted(world), 4);
        clients
    };
    join_all(&mut world);
    world.ledger.fail();
    world.settle();
    world.rebuild(0, 0);
    assert_eq!((world.sessions(), counted(&world)), (0, 0));
    let mut clients = join_all(&mut world);
    fault::arm(Fault::Shake);
    let shake = clients[0].shake_frame();
    assert_eq!(world.ask(clients[0].path, &[shake]), []);
    assert!(world.rebuild_set(0));
    assert_eq!((world.sessions(), counted(&world)), (0, 0));
}

/// Sessions by the prefix that their slots say, 0 for those that are not counted.
fn of_slots(world: &World) -> [u32; 4] {
    let sessions = &world.cores[0].sessions;
    let mut counts = [0; 4];
    for slot in (0..sessions.top(0)).map(|slot| sessions.get(SlotId { set: 0, slot })) {
        let [.., a, _, third, _] = slot.path.ip;
        if slot.number != 0 {
            counts[if a == 203 { usize::from(third) } else { 0 }] += 1;
        }
    }
    counts
}

/// Expect: whatever users do, the counts are what the slots say, and no prefix holds more than it may.
#[test]
fn counts_are_what_the_slots_say() {
    for seed in 0..20 {
        let mut world = limited(2, 0);
        let mut choices = Rng::seed_from_u64(seed);
        let mut clients: Vec<Client> = (1..=8).map(|user| stranger(&mut world, user, at(1, 1))).collect();
        for _ in 0..200 {
            let client = &mut clients[choices.random_range(0..8)];
            client.path = match choices.random_range(0..4) {
                0 => Path::new(([10, 0, 0, 1], 4_000).into(), 0),
                third => at(third, 1),
            };
            let has_session = world.cores[0].sessions.find(0, client.user()).is_some();
            match choices.random_range(0..10) {
                0 => {
                    world.pass_ms(31_000);
                    world.cores[0].tick(world.now);
                }
                1..6 => _ = joins(&mut world, client),
                _ if has_session && client.number != 0 => {
                    let keepalive = client.keepalive_frame(1);
                    if world.ask(client.path, &[keepalive])[0].header.op == Op::Path as u8 {
                        prove(&mut world, client);
                    }
                }
                _ => {}
            }
            let [own, counts @ ..] = of_slots(&world);
            assert_eq!(counted(&world), counts.iter().sum::<u32>(), "seed {seed}");
            assert!(counts.iter().all(|count| *count <= 2), "seed {seed}: {counts:?}");
            assert_eq!(world.sessions(), u64::from(own + counts.iter().sum::<u32>()));
        }
    }
}

/// Expect: sessions of one prefix that would begin faster than allowed are told Busy; others join at once, and
/// HELLOs, which can be anybody's, are answered all the same.
#[test]
fn joins_of_a_prefix_have_a_rate() {
    let mut world = limited(0, 4);
    let frames: Vec<(Client, Frame)> = (1..=8)
        .map(|user| {
            let client = stranger(&mut world, user, at(1, 1));
            let challenge = client.challenge(&mut world);
            let join = client.join_frame(&challenge);
            (client, join)
        })
        .collect();
    let mut refused = 0;
    for (client, join) in &frames {
        let answer = world.ask(client.path, &[*join])[0];
        if answer.header.op == Op::Error as u8 {
            assert!((500..=1_000).contains(&busy(&answer, join)));
            refused += 1;
        }
    }
    assert_eq!((refused, world.counters().prefix_joins, world.sessions()), (4, 4, 4));
    // A JOIN that comes again begins nothing and takes nothing.
    let (client, join) = &frames[0];
    for _ in 0..20 {
        assert_eq!(world.ask(client.path, &[*join])[0].header.op, Op::Welcome as u8);
    }
    let mut other = stranger(&mut world, 20, at(2, 1));
    let challenge = other.challenge(&mut world);
    other.welcomed(&world.ask(other.path, &[other.join_frame(&challenge)])[0]);
    // A quarter of a second is one more.
    world.pass_ms(250);
    let (client, join) = &frames[7];
    assert_eq!(world.ask(client.path, &[*join])[0].header.op, Op::Welcome as u8);
}

/// Expect: while handshakes are being shed a flood of handshakes in the name of one prefix is dropped
/// unread and unanswered beyond its budget, and users of others join; a while after the load is over, nothing is.
#[test]
fn a_flood_under_load_is_dropped_unread_and_others_join() {
    let mut world = limited(0, 10);
    let mut gate = Gate { salt: 1, ..Gate::OPEN };
    gate.limits[Class::Join as usize] = ALL - 1;
    let pressed = Service { gate, ..Service::FULL };
    let serve = |world: &mut World, service| {
        world.cores.iter_mut().for_each(|core: &mut Core<_>| core.set_service(service));
    };
    let hello = stranger(&mut world, 1, at(1, 1)).hello();
    let mut forged = hello;
    forged.tag[0] ^= 1;
    let flood = |world: &mut World, frame: Frame| {
        (0..100).filter(|_| !world.ask(at(1, 1), &[frame]).is_empty()).count()
    };
    assert_eq!(flood(&mut world, hello), 100, "no load, no limit");
    serve(&mut world, pressed);
    assert_eq!(flood(&mut world, hello), 10);
    assert_eq!((world.dropped(Drop::Prefix), world.counters().prefix_unread), (90, 90));
    assert_eq!((flood(&mut world, forged), world.dropped(Drop::Tag)), (0, 0), "not one key is made");
    for user in 2..=6 {
        let mut other = stranger(&mut world, user, at(2, 1));
        assert!(joins(&mut world, &mut other));
    }
    serve(&mut world, Service::FULL);
    world.pass_ms(1_000);
    assert_eq!(flood(&mut world, hello), 10, "the flood may be what the load was");
    world.pass_ms(5_000);
    assert_eq!(flood(&mut world, hello), 100);
}
