//! Money: durable before it is told, conserved, bounded.

use super::client::{Client, said};
use super::world::{World, capacity, config, order};
use crate::ledger::{Account, Kind};
use crate::set::book::Order;
use crate::set::{Config, Core, Drop};
use proptest::prelude::*;
use redpkt_proto::Op;
use redpkt_proto::body::{PacketId, Status};
use redpkt_proto::steer::Layout;

/// Expect: no answer about money leaves while its row is not durable, misses do not wait, and answers come
/// in the order of their rows.
#[test]
fn an_answer_waits_for_its_row_and_a_miss_for_nothing() {
    let mut world = World::new(config());
    let (mut first, mut second) = (world.client(1), world.client(2));
    world.mint(1, 50);
    world.settle();
    world.ledger.set_disk(false);
    let (won, missed) = (first.shake_frame(), second.shake_frame());
    assert_eq!(world.ask(first.path, &[won]), []);
    let out = world.ask(second.path, &[missed]);
    assert_eq!(second.answer(&out[0]).status, Status::Miss as u8);
    // Asked again meanwhile: still nothing, and it is not executed again.
    let req = first.req(1);
    let again = first.request(Op::Shake, req, 0);
    assert_eq!(world.ask(first.path, &[again]), []);
    let open_req = first.next_req();
    let open = first.request(Op::Open, open_req, PacketId { machine: 3, set: 0, number: 1 }.to_u64());
    assert_eq!(world.ask(first.path, &[open]), []);

    world.ledger.set_disk(true);
    let out: Vec<_> = world.settle().into_iter().flat_map(|(_, frames)| frames).collect();
    let answers: Vec<_> = out.iter().map(|frame| first.answer(frame)).collect();
    let told: Vec<_> =
        answers.iter().map(|answer| (answer.req.get(), answer.status, answer.fen.get())).collect();
    assert_eq!(told, [(req, 0, 0), (req, 0, 0), (open_req, 0, 50)]);
    assert_eq!((world.counters().shake_win, world.counters().open_ok), (1, 1));
}

/// Expect: an answer that waited does not go into a later session; its client asks again and gets it.
#[test]
fn a_promise_to_a_session_that_ended_is_not_sent_and_not_lost() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.mint(1, 50);
    world.ledger.set_disk(false);
    let shake = client.shake_frame();
    let req = client.req(1);
    assert_eq!(world.ask(client.path, &[shake]), []);
    client.join(&mut world);
    world.ledger.set_disk(true);
    assert_eq!(world.settle(), []);
    assert_eq!(client.ask(&mut world, Op::Shake, req, 0).status, Status::Ok);
}

/// Expect: where there is no room for the answer, the row or the account, nothing is changed and the same
/// req can come again.
#[test]
fn a_full_table_or_queue_refuses_before_anything_changes() {
    let capacity = capacity(4, 1, 16);
    let mut world = World::new(Config { capacity, promises: 1, ..config() });
    let (mut first, mut second) = (world.client(1), world.client(2));
    world.mint(3, 50);
    world.settle();

    world.ledger.limit_room(0);
    let req = first.next_req();
    assert_eq!(first.ask(&mut world, Op::Shake, req, 0).status, Status::Busy);
    world.ledger.limit_room(usize::MAX);
    let won = first.ask(&mut world, Op::Shake, req, 0);
    assert_eq!(won.status, Status::Ok);

    assert_eq!(second.shake(&mut world).status, Status::Busy, "no room for another account");

    world.ledger.set_disk(false);
    let waiting = first.shake_frame();
    assert_eq!(world.ask(first.path, &[waiting]), []);
    let refused = first.open(&mut world, won.packet);
    assert_eq!(refused.status, Status::Busy);
    assert!(refused.retry_after_ms > 0);
    assert_eq!((world.counters().open_ok, world.dropped(Drop::Full)), (0, 3));
    world.check_conservation();
}

/// Expect: strangers, guessed ids and second opens move nothing; the winner gets it all, once.
#[test]
fn only_the_winner_opens_and_only_once() {
    let mut world = World::new(config());
    let (mut winner, mut stranger) = (world.client(1), world.client(2));
    world.mint(2, 50);
    let packet = winner.shake(&mut world).packet;
    assert_eq!(stranger.open(&mut world, packet), said(Status::NotInvited));
    assert_eq!(stranger.open(&mut world, packet + 1), said(Status::NotInvited), "still in the pool");
    for guess in [packet + 2, packet + (1 << 32), packet + (1 << 48), 0, u64::MAX] {
        assert_eq!(winner.open(&mut world, guess), said(Status::UnknownPacket), "{guess:x}");
    }
    let opened = winner.open(&mut world, packet);
    assert_eq!((opened.status, opened.fen), (Status::Ok, 50));
    assert_eq!(winner.open(&mut world, packet), opened, "a second open is answered as the first");
    assert_eq!(world.counters().open_fen, 50);
    let rows = world.rows();
    let open = rows.iter().find(|row| row.kind == Kind::Open).unwrap();
    assert_eq!((open.debit, open.credit, open.fen), (Account::Packet(open.packet), Account::Wallet(1), 50));
    let again = rows.last().unwrap();
    assert_eq!((again.kind, again.fen, again.req), (Kind::Told, 0, winner.req(winner.counter)));
    assert_eq!(rows.iter().filter(|row| row.kind == Kind::Open).count(), 1);
    world.check_conservation();
}

/// Expect: when opened packets had to make room, opening one again gets the first answer as long as that is
/// kept, and "too old to tell" after, but never "empty".
#[test]
fn a_packet_that_made_room_is_never_called_empty() {
    let capacity = capacity(4, 2, 1);
    let mut world = World::new(Config { capacity, ..config() });
    let (mut client, mut other) = (world.client(1), world.client(2));
    world.mint(1, 50);
    let packet = client.shake(&mut world).packet;
    let opened = client.open(&mut world, packet);
    world.mint(1, 60);
    assert_eq!(client.open(&mut world, packet), opened);
    assert_eq!(other.open(&mut world, packet), said(Status::TooOld));
    let next = client.shake(&mut world).packet;
    assert_eq!(next, packet + 1);
    for _ in 0..redpkt_proto::ANSWERS_KEPT {
        client.open(&mut world, next);
    }
    assert_eq!(client.open(&mut world, packet), said(Status::TooOld));
    world.check_conservation();
}

/// Expect: also the answer that there is nothing to take waits for the rows that it was decided from.
#[test]
fn a_refused_open_waits_for_the_ledger_too() {
    let mut world = World::new(config());
    let (mut winner, mut stranger) = (world.client(1), world.client(2));
    world.mint(1, 50);
    world.settle();
    world.ledger.set_disk(false);
    let won = winner.shake_frame();
    assert_eq!(world.ask(winner.path, &[won]), []);
    let req = stranger.next_req();
    let open = stranger.request(Op::Open, req, PacketId { machine: 3, set: 0, number: 1 }.to_u64());
    assert_eq!(world.ask(stranger.path, &[open]), []);
    world.ledger.set_disk(true);
    let out = world.settle();
    assert_eq!(stranger.answer(&out[1].1[0]).status, Status::NotInvited as u8);
}

/// Expect: copies of kept answers and guessed packets count against the user's rate, so one user cannot fill
/// the queue of those who wait.
#[test]
fn one_user_cannot_fill_the_queue_of_promises() {
    let mut world = World::new(Config { shakes_per_s: 4, ..config() });
    let mut client = world.client(1);
    world.mint(1, 50);
    let packet = client.shake(&mut world).packet;
    world.ledger.set_disk(false);
    let shake_req = client.req(1);
    let mut busy = 0;
    for at in 0..10 {
        let next = client.next_req();
        let (op, req) = if at % 2 == 0 { (Op::Shake, shake_req) } else { (Op::Open, next) };
        let frame = client.request(op, req, packet + 7);
        let out = world.ask(client.path, &[frame]);
        busy += out.iter().filter(|frame| client.answer(frame).status == Status::Busy as u8).count();
    }
    assert_eq!((busy, world.dropped(Drop::Rate)), (7, 7));
}

/// Expect: the workers of a layout together mint each packet of an order once, round-robin over the SETs,
/// and what finds no room is counted.
#[test]
fn workers_share_an_order_without_speaking() {
    let layout = Layout { sets: 8, groups: 3, workers: 3 };
    let mut world = World::new(Config { layout, capacity: capacity(1, 1, 2), ..config() });
    world.order(&Order { fen_min: 3, fen_max: 9, ..order(20, 3) });
    let mut packets = [0; 8];
    for set in world.cores.iter().flat_map(Core::set_stats) {
        packets[set.set as usize] = set.pool_packets;
    }
    let orders = || world.cores.iter().flat_map(Core::books).map(|book| book.orders()[0].progress);
    assert_eq!((packets, orders().map(|order| order.passed_by).sum::<u64>()), ([2; 8], 4));
    let fen = orders().map(|order| order.fen).sum::<u64>();
    assert!((16 * 3..=16 * 9).contains(&fen), "{fen}");
    world.check_conservation();
}

#[derive(Clone, Debug)]
enum Step {
    Mint(u64),
    Shake(usize),
    Open(usize, usize),
    Again(usize, u32),
    Rejoin(usize),
    Disk(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u64..1_000).prop_map(Step::Mint),
        8 => (0usize..3).prop_map(Step::Shake),
        6 => (0usize..3, 0usize..40).prop_map(|(client, packet)| Step::Open(client, packet)),
        3 => (0usize..3, 1u32..40).prop_map(|(client, counter)| Step::Again(client, counter)),
        1 => (0usize..3).prop_map(Step::Rejoin),
        1 => any::<bool>().prop_map(Step::Disk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Expect: whatever users do, and however the disk stalls, no fen is made or lost, and nobody takes
    /// more than was minted.
    #[test]
    fn money_is_conserved_at_every_instant(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(config());
        let mut clients: Vec<Client> = (1..=3).map(|user| world.client(user)).collect();
        for step in steps {
            match step {
                Step::Mint(fen) if world.orders() < 30 => world.mint(1, fen),
                Step::Mint(_) => {}
                Step::Shake(client) => {
                    let frame = clients[client].shake_frame();
                    world.ask(clients[client].path, &[frame]);
                }
                Step::Open(client, number) => {
                    let id = PacketId { machine: 3, set: 0, number: number as u32 }.to_u64();
                    let req = clients[client].next_req();
                    let frame = clients[client].request(Op::Open, req, id);
                    world.ask(clients[client].path, &[frame]);
                }
                Step::Again(client, counter) => {
                    let req = clients[client].req(counter);
                    let frame = clients[client].request(Op::Shake, req, 0);
                    world.ask(clients[client].path, &[frame]);
                }
                Step::Rejoin(client) => {
                    clients[client].join(&mut world);
                    clients[client].counter = 0;
                }
                Step::Disk(on) => {
                    world.ledger.set_disk(on);
                    world.settle();
                }
            }
            world.check_conservation();
        }
    }
}
