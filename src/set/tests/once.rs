//! One req, one outcome, however often it is asked while its outcome is not known.

use super::client::{Client, told};
use super::world::{World, capacity, workers};
use crate::set::Config;
use redpkt_proto::Op;

/// Sender and guest in group 0, other in `group`.
fn three(group: u32) -> (World, Client, Client, Client) {
    let mut world = World::new(Config { capacity: capacity(16, 16, 64), promises: 256, ..workers(2) });
    let sender = world.find(&[], |of| of == 0);
    let guest = world.find(&[sender], |of| of == 0);
    let other = world.find(&[], |of| of == group);
    let clients = [sender, guest, other].map(|user| world.client(user));
    world.deposit(sender, 1_000);
    let [sender, guest, other] = clients;
    (world, sender, guest, other)
}

/// Expect: what was refused for good stays so, also when it would be granted now.
fn refused_then_done(group: u32) {
    let (mut world, mut sender, mut guest, mut other) = three(group);
    let packet = sender.send(&mut world, 100, 2, &[guest.user()]).packet;
    world.ledgers[0].set_disk(false);
    world.deposit(sender.user(), 1);
    let req = other.next_req();
    let frame = other.request(Op::Open, req, packet);
    assert_eq!(world.ask(other.path, &[frame]), []);
    let share = guest.next_req();
    let frame = guest.request_for(Op::Share, share, packet, other.user());
    assert_eq!(world.ask(guest.path, &[frame]), []);
    let frame = other.request(Op::Open, req, packet);
    assert_eq!(world.ask(other.path, &[frame]), []);
    world.ledgers[0].set_disk(true);
    let out = world.settle();
    let answers = told(&out, &other);
    assert!(answers.iter().all(|said| said.status == answers[0].status), "one req: {answers:?}");
}

#[test]
fn a_refused_open_is_not_done_by_a_copy_of_it() {
    // Of another group of the same worker, and of another worker.
    refused_then_done(2);
    refused_then_done(1);
}

/// Expect: what was done is told as done, also when it would be refused now.
#[test]
fn a_share_that_was_done_is_not_refused_by_a_copy_of_it() {
    let (mut world, mut sender, mut guest, mut other) = three(1);
    let packet = sender.send(&mut world, 100, 1, &[guest.user(), other.user()]).packet;
    world.ledgers[0].set_disk(false);
    let req = other.next_req();
    let frame = other.request_for(Op::Share, req, packet, 500);
    assert_eq!(world.ask(other.path, &[frame]), []);
    let open = guest.next_req();
    let frame = guest.request(Op::Open, open, packet);
    assert_eq!(world.ask(guest.path, &[frame]), []);
    let frame = other.request_for(Op::Share, req, packet, 500);
    assert_eq!(world.ask(other.path, &[frame]), []);
    world.ledgers[0].set_disk(true);
    let out = world.settle();
    let mut answers = told(&out, &other);
    let frame = other.request_for(Op::Share, req, packet, 500);
    let out = world.batch(&[(other.path, vec![frame])]);
    answers.extend(told(&out, &other));
    assert!(answers.iter().all(|said| said.status == answers[0].status), "one req: {answers:?}");
}
