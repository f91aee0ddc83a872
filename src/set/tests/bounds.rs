//! Tables and queues that fill up, and what is over.

use super::client::Client;
use super::world::{World, capacity, config, order, workers};
use crate::ledger::Kind;
use crate::set::book::{Order, What};
use crate::set::{Capacity, Config};
use redpkt_proto::body::Status;

fn big(recipients: u32, id: &str) -> Order {
    Order { id: id.into(), what: What::Send { recipients }, ..order(1, 10) }
}

fn many(members: usize) -> (World, Vec<Client>) {
    let capacity = Capacity { sessions: 400, accounts: 400, packets: 16, members, invites: 800 };
    let mut world = World::new(Config { capacity, promises: 2_048, pushes: 2_048, ..config() });
    let clients: Vec<_> = (1..=320).map(|user| world.client(user)).collect();
    world.deposit(1, 1_000);
    (world, clients)
}

/// Expect: a packet for many whose SET fills up meanwhile is left with who was invited; nothing else happens.
#[test]
fn what_others_take_while_many_are_invited_is_not_given_twice() {
    let (mut world, mut clients) = many(301);
    let now = world.now;
    world.cores[0].add_order(1, &big(300, "big"), 7, now);
    world.cores[0].tick(now);
    assert_eq!(clients[0].send(&mut world, 10, 1, &[2, 3]).status, Status::Ok);
    world.settle();
}

/// Expect: each packet for many gets all its recipients.
#[test]
fn two_packets_for_many_at_once_are_both_given_out() {
    let (mut world, _) = many(700);
    let now = world.now;
    world.cores[0].add_order(1, &big(300, "one"), 7, now);
    world.cores[0].add_order(2, &big(300, "two"), 7, now);
    for _ in 0..20 {
        world.settle();
        world.pass_ms(10);
    }
    let invited = world.rows().iter().filter(|row| row.kind == Kind::Invite).count();
    assert_eq!(invited, 600);
}

/// Expect: packets that are over do not fill a SET with those who were invited to them.
#[test]
fn what_is_over_makes_room_for_members() {
    let mut world = World::new(Config { capacity: capacity(64, 64, 16), promises: 256, ..config() });
    let mut sender = world.client(1);
    let mut guest = world.client(2);
    world.deposit(1, 1_000);
    let to: Vec<u64> = (2..12).collect();
    for _ in 0..6 {
        let sent = sender.send(&mut world, 10, 1, &to);
        assert_eq!(sent.status, Status::Ok);
        assert_eq!(guest.open(&mut world, sent.packet).status, Status::Ok);
    }
    for _ in 0..5 {
        world.pass_ms(3_600_000);
        world.settle();
    }
    sender.join(&mut world);
    assert_eq!(sender.send(&mut world, 10, 1, &to).status, Status::Ok, "six packets of 16, all over");
}

/// Expect: a packet that expires where a round ends is returned in the next one.
#[test]
fn a_round_of_returns_ends_where_it_is_told_to() {
    let capacity = Capacity { sessions: 8, accounts: 8, packets: 600, members: 600, invites: 64 };
    let mut world = World::new(Config { capacity, promises: 2_048, ..config() });
    let mut client = world.client(1);
    world.mint(513, 5);
    for _ in 0..512 {
        let won = client.shake(&mut world);
        assert_eq!(client.open(&mut world, won.packet).fen, 5);
    }
    world.cores[0].returns_at = (0, 0);
    world.pass_ms(3_600_000);
    for _ in 0..20 {
        world.pass_ms(2);
        world.settle();
    }
    assert_eq!(world.rows().iter().filter(|row| row.kind == Kind::Refund).count(), 1);
}

/// Expect: who asks for packets of other groups that are not there keeps no account.
#[test]
fn guessing_costs_no_account() {
    let mut world = World::new(Config { capacity: capacity(16, 4, 64), promises: 256, ..workers(2) });
    let layout = world.config.layout;
    let of_group_1: Vec<u64> =
        (1..).filter(|user| layout.group_of(layout.set_of(*user)) == 1).take(5).collect();
    let guess = redpkt_proto::body::PacketId { machine: 3, set: 0, number: 77 }.to_u64();
    for user in &of_group_1[..4] {
        let mut client = world.client(*user);
        assert_eq!(client.open(&mut world, guess).status, Status::UnknownPacket);
    }
    world.mint(8, 5);
    let mut last = world.client(of_group_1[4]);
    assert_eq!(last.shake(&mut world).status, Status::Ok, "nobody has any money");
}
