//! Packets of other groups and other workers.

use super::client::{Client, said};
use super::world::{World, capacity, cleared, workers};
use crate::ledger::Kind;
use crate::set::{Config, Drop};
use redpkt_proto::Op;
use redpkt_proto::body::Status;

/// A sender and a user of another group: of the same worker or another one.
fn apart(world: &mut World, same_worker: bool) -> (Client, Client) {
    let layout = world.config.layout;
    let group = |user: u64| layout.group_of(layout.set_of(user));
    let worker = |user: u64| group(user) % layout.workers;
    let is_other = |user: &u64| group(*user) != group(1) && (worker(*user) == worker(1)) == same_worker;
    let other = (2..).find(is_other).unwrap();
    let pair = (world.client(1), world.client(other));
    world.deposit(1, 1_000);
    pair
}

fn world() -> World {
    World::new(Config { capacity: capacity(16, 16, 64), promises: 256, ..workers(2) })
}

/// Expect: it makes no difference for a user where a packet lives.
#[test]
fn a_packet_of_another_group_is_grabbed_shared_and_opened_as_any() {
    for same_worker in [true, false] {
        let mut world = world();
        let (mut sender, mut other) = apart(&mut world, same_worker);
        let packet = sender.send(&mut world, 100, 2, &[other.user()]).packet;
        let balance = |world: &mut World, client: &mut Client| client.about(world, Op::Balance, 0, 0).fen;
        let grabbed = other.about(&mut world, Op::Grab, packet, 0);
        assert_eq!((grabbed.status, grabbed.packet), (Status::Ok, packet));
        let shared = other.about(&mut world, Op::Share, packet, 500);
        assert_eq!((shared.status, shared.packet), (Status::Ok, packet));
        let opened = other.open(&mut world, packet);
        assert_eq!((opened.status, opened.packet), (Status::Ok, packet));
        assert_eq!(balance(&mut world, &mut other), opened.fen);
        assert_eq!(other.open(&mut world, packet), opened, "a second open is answered as the first");
        assert_eq!(balance(&mut world, &mut other), opened.fen);
        // The same reqs again get the same answers.
        for (counter, op, user, said) in
            [(1, Op::Grab, 0, grabbed), (2, Op::Share, 500, shared), (3, Op::Open, 0, opened)]
        {
            let req = other.req(counter);
            let frame = other.request_for(op, req, packet, user);
            let out = world.ask(other.path, &[frame]);
            assert_eq!(super::client::Said::from(other.answer(&out[0])), said, "{op:?}");
        }
        let rows = world.rows();
        let count = |kind| rows.iter().filter(|row| row.kind == kind).count();
        assert_eq!((count(Kind::Open), count(Kind::Deliver), count(Kind::Told)), (1, 1, 3));
        world.check_conservation();
    }
}

/// Expect: refusals come through, are final, and leave no trace.
#[test]
fn a_refusal_of_another_group_is_final() {
    for same_worker in [true, false] {
        let mut world = world();
        let (mut sender, mut other) = apart(&mut world, same_worker);
        let packet = sender.send(&mut world, 100, 1, &[900]).packet;
        assert_eq!(other.open(&mut world, packet), said(Status::NotInvited));
        assert_eq!(other.open(&mut world, packet + 1), said(Status::UnknownPacket));
        let mut guest = world.client(900);
        guest.open(&mut world, packet);
        let req = other.req(1);
        assert_eq!(other.ask(&mut world, Op::Open, req, packet), said(Status::NotDone));
        other.join(&mut world);
        assert_eq!(other.ask(&mut world, Op::Open, req, packet), said(Status::NotDone));
        world.check_conservation();
    }
}

/// Expect: nothing is told before it is durable where it was decided, and an answer that was lost on the way, by a
/// crash at any point, is found again: the money is delivered once.
#[test]
fn a_crash_between_two_groups_loses_and_doubles_nothing() {
    for same_worker in [true, false] {
        let mut world = world();
        let (mut sender, mut other) = apart(&mut world, same_worker);
        let layout = world.config.layout;
        let theirs = layout.group_of(layout.set_of(sender.user())) as usize;
        let mine = layout.group_of(layout.set_of(other.user())) as usize;
        let packet = sender.send(&mut world, 100, 2, &[other.user()]).packet;
        let req = other.next_req();

        // Not durable where it was decided: not told, and gone by a crash. It was never executed.
        world.ledgers[theirs].set_disk(false);
        let frame = other.request(Op::Open, req, packet);
        assert_eq!(world.ask(other.path, &[frame]), []);
        world.crash();
        world.set_disks(true);
        other.join(&mut world);
        assert_eq!(other.ask(&mut world, Op::Open, req, packet), said(Status::NotDone));

        // Durable there and not here: told, and after the crash it is there.
        world.ledgers[mine].set_disk(false);
        let opened = other.open(&mut world, packet);
        assert_eq!(opened.status, Status::Ok);
        let req = other.req(other.counter);
        let delivered = |world: &World| world.rows().iter().filter(|row| row.kind == Kind::Deliver).count();
        assert_eq!(delivered(&world), 1);
        world.crash();
        assert_eq!(delivered(&world), 1, "the start has delivered it");
        world.set_disks(true);
        other.join(&mut world);
        assert_eq!(other.ask(&mut world, Op::Open, req, packet), opened);
        assert_eq!(other.about(&mut world, Op::Balance, 0, 0).fen, opened.fen);
        assert_eq!(cleared(theirs as u32, &world.ledgers[theirs]).len(), 1);
        world.check_conservation();
    }
}

/// Expect: a grab of another group's packet is told only when it is written here too, because nothing else would
/// find it after a crash.
#[test]
fn what_moves_no_money_is_told_when_it_is_written_on_both_sides() {
    for same_worker in [true, false] {
        let mut world = world();
        let (mut sender, mut other) = apart(&mut world, same_worker);
        let layout = world.config.layout;
        let mine = layout.group_of(layout.set_of(other.user())) as usize;
        let packet = sender.send(&mut world, 100, 2, &[other.user()]).packet;
        world.ledgers[mine].set_disk(false);
        let req = other.next_req();
        let frame = other.request(Op::Grab, req, packet);
        assert_eq!(world.ask(other.path, &[frame]), []);
        world.ledgers[mine].set_disk(true);
        assert_eq!(world.settle().len(), 1);
        world.crash();
        other.join(&mut world);
        assert_eq!(other.ask(&mut world, Op::Grab, req, packet).status, Status::Ok);
    }
}

/// Expect: the failed group's users are told that the outcome is unknown, its packets are refused for now, the others
/// go on; after the rebuild the same reqs get what the journal says, and nothing is lost.
#[test]
fn a_failed_group_stops_alone_and_comes_back_from_its_journal() {
    for same_worker in [true, false] {
        let mut world = world();
        let (mut sender, mut other) = apart(&mut world, same_worker);
        let layout = world.config.layout;
        let theirs = layout.group_of(layout.set_of(sender.user()));
        let packet = sender.send(&mut world, 100, 2, &[other.user()]).packet;
        let own = world.rows().len();
        world.deposit(other.user(), 50);

        let ledger = world.ledgers[theirs as usize].clone();
        ledger.set_disk(false);
        let (send_req, open_req) = (sender.req(sender.counter + 1), other.next_req());
        let frames = sender.send_frames(sender.counter + 1, 10, 1, &[other.user()]);
        assert_eq!(world.ask(sender.path, &frames), []);
        let open = other.request(Op::Open, open_req, packet);
        assert_eq!(world.ask(other.path, &[open]), []);
        ledger.fail();
        let out = world.settle();
        let unknown = Status::OutcomeUnknown as u8;
        let told = |client: &Client| {
            let of = out.iter().filter(|(path, _)| *path == client.path).flat_map(|(_, frames)| frames);
            of.map(|frame| client.answer(frame).status).collect::<Vec<_>>()
        };
        assert_eq!((told(&sender), told(&other)), (vec![unknown], vec![unknown]));

        assert_eq!(sender.about(&mut world, Op::Balance, 0, 0).status, Status::Busy);
        assert_eq!(other.ask(&mut world, Op::Open, open_req, packet).status, Status::Busy);
        assert_eq!(sender.shake(&mut world), said(Status::Miss), "a pool that has stopped is passed by");
        assert_eq!(other.send(&mut world, 50, 1, &[7]).status, Status::Ok, "the other group goes on");
        assert!(world.dropped(Drop::Ledger) > 0 && world.rows().len() > own);

        world.rebuild(theirs, 0);
        assert_eq!(other.ask(&mut world, Op::Open, open_req, packet).status, Status::Ok);
        sender.join(&mut world);
        let frame = sender.request(Op::Ask, send_req, 0);
        let out = world.ask(sender.path, &[frame]);
        assert_eq!(sender.answer(&out[0]).status, Status::NotDone as u8);
        assert_eq!(sender.about(&mut world, Op::Balance, 0, 0).fen, 900);
        world.check_conservation();
    }
}

/// Expect: with every credit given out, further questions are refused for now, and nothing is lost.
#[test]
fn questions_are_bounded() {
    use crate::set::links::CREDITS;
    let mut world = World::new(Config { promises: 8_192, ..workers(2) });
    let (mut sender, mut other) = apart(&mut world, false);
    let packet = sender.send(&mut world, 100, 2, &[other.user()]).packet;
    world.set_disks(false);
    let (now, mut busy) = (world.now, 0);
    let path = other.path;
    let core = world.core_of(other.user());
    for _ in 0..CREDITS / 16 + 2 {
        let frames: Vec<_> = (0..16)
            .map(|_| {
                let req = other.next_req();
                other.request(Op::Open, req, packet)
            })
            .collect();
        let mut frames = frames;
        let mut jobs = [crate::set::Job { path, frames: &mut frames, replies: 0 }];
        core.handle_batch(now, 0, &mut jobs, crate::set::Portable);
        let replies = jobs[0].replies;
        busy +=
            frames[..replies].iter().filter(|frame| other.answer(frame).status == Status::Busy as u8).count();
    }
    assert_eq!(busy, 32);
    world.set_disks(true);
    let answers = world.settle().len();
    assert!(answers > 0);
    (0..20).for_each(|_| _ = world.settle());
    assert_eq!(other.about(&mut world, Op::Open, packet, 0).status, Status::Ok);
    world.check_conservation();
}
