//! Disks that hang: one group's is one group's, and when it is well again everything goes on.

use super::client::{Client, told};
use super::world::{World, capacity, workers};
use crate::ledger::Simulated;
use crate::set::{Capacity, Config, Core, Job, Portable};
use redpkt_proto::{Now, Op};

/// Expect: answers of a group whose disk is well do not wait behind one for a user of a group whose disk hangs.
#[test]
fn a_hanging_disk_holds_up_no_other_group_of_its_worker() {
    let mut world = World::new(Config { capacity: capacity(16, 16, 64), promises: 256, ..workers(2) });
    let users = [world.find(&[], |of| of == 0), world.find(&[], |of| of == 2)];
    let [mut sender, mut other] = users.map(|user| world.client(user));
    world.deposit(sender.user(), 1_000);
    let packet = sender.send(&mut world, 100, 1, &[other.user()]).packet;
    world.ledgers[0].set_disk(false);
    world.ledgers[2].set_disk(false);
    world.deposit(other.user(), 1);
    let req = other.next_req();
    let frame = other.request(Op::Grab, req, packet);
    assert_eq!(world.ask(other.path, &[frame]), []);
    for _ in 0..256 {
        let req = other.next_req();
        let frame = other.request(Op::Balance, req, 0);
        let _ = world.ask(other.path, &[frame]);
    }
    // Only group 2's disk hangs now.
    world.ledgers[0].set_disk(true);
    let out = world.settle();
    assert_eq!(told(&out, &other), []);
    let req = sender.next_req();
    let frame = sender.request(Op::Balance, req, 0);
    assert_eq!(world.ask(sender.path, &[frame]).len(), 1, "group 0's disk is well");
}

/// Expect: a question to a group whose disk is well does not wait behind one to a group whose disk hangs.
#[test]
fn a_hanging_disk_holds_up_no_group_behind_it_in_a_ring() {
    // Groups 0 and 2 on worker 0; 1 and 3 on worker 1. Group 1 hangs; group 3 is well.
    let mut world = World::new(Config { capacity: capacity(16, 16, 64), promises: 64, ..workers(2) });
    let a = world.find(&[], |of| of == 0);
    let hung = world.find(&[], |of| of == 1);
    let well = world.find(&[], |of| of == 3);
    let [mut a, mut hung, mut well] = [a, hung, well].map(|user| world.client(user));
    world.deposit(hung.user(), 100);
    world.deposit(well.user(), 100);
    let bad = hung.send(&mut world, 10, 1, &[a.user()]).packet;
    let good = well.send(&mut world, 10, 1, &[a.user()]).packet;
    world.ledgers[1].set_disk(false);
    world.deposit(hung.user(), 1);
    for _ in 0..64 {
        let req = hung.next_req();
        let frame = hung.request(Op::Balance, req, 0);
        let _ = world.ask(hung.path, &[frame]);
    }
    let req = a.next_req();
    let frame = a.request(Op::Open, req, bad);
    let _ = world.ask(a.path, &[frame]);
    let req = a.next_req();
    let frame = a.request(Op::Open, req, good);
    assert_eq!(world.ask(a.path, &[frame]).len(), 1, "groups 0 and 3 are well");
}

/// Expect: with queues, rings and credits full on both sides, all that was promised is told once the disks are well.
#[test]
fn two_workers_never_wait_for_each_other() {
    let capacity = Capacity { sessions: 64, accounts: 4096, packets: 64, members: 2048, invites: 2048 };
    let mut world = World::new(Config { capacity, promises: 512, ..workers(2) });
    let (x, y) = (world.find(&[], |of| of == 0), world.find(&[], |of| of == 1));
    let mut clients = [world.client(x), world.client(y)];
    world.deposit(x, 100_000);
    world.deposit(y, 100_000);
    let packets =
        [clients[0].send(&mut world, 100, 2, &[y]).packet, clients[1].send(&mut world, 100, 2, &[x]).packet];
    let layout = world.config.layout;
    let of_worker = |worker: u32| -> Vec<u64> {
        (10_000..).filter(|user| layout.worker_of(layout.set_of(*user)) == worker).take(54).collect()
    };
    let others = [of_worker(1), of_worker(0)];
    world.set_disks(false);
    let now = world.now;
    for at in 0..2 {
        let client = &mut clients[at];
        // Some opens of the other worker's packets that wait, as they do while a disk hangs.
        flood(&mut world.cores[at], now, client, Op::Open, packets[1 - at], 2_100);
        for _ in 0..9 {
            client.counter += 1;
            let mut frames = client.send_frames(client.counter, 54, 54, &others[at]);
            let mut jobs = [Job { path: client.path, frames: &mut frames, replies: 0 }];
            world.cores[at].handle_batch(now, 0, &mut jobs, Portable);
        }
        flood(&mut world.cores[at], now, client, Op::Balance, 0, 1_024);
    }
    let promises = |world: &World| -> Vec<u64> {
        world.cores.iter().flat_map(|core| core.group_stats().map(|stats| stats.promises)).collect()
    };
    // The disks are well again, and users ask for their balances for a while.
    world.set_disks(true);
    for _ in 0..50 {
        for (core, client) in world.cores.iter_mut().zip(&mut clients) {
            core.turn(now, |_, _| {});
            flood(core, now, client, Op::Balance, 0, 1_024);
        }
    }
    // Nobody asks any more.
    (0..2_000).for_each(|_| _ = world.settle());
    assert_eq!(promises(&world), [0; 4], "all that was promised is durable");
}

fn flood(
    core: &mut Core<Simulated>,
    now: Now,
    client: &mut Client,
    op: Op,
    packet: u64,
    count: usize,
) -> usize {
    let mut busy = 0;
    for _ in 0..count / 16 {
        let mut frames: Vec<_> = (0..16)
            .map(|_| {
                let req = client.next_req();
                client.request(op, req, packet)
            })
            .collect();
        let path = client.path;
        let mut jobs = [Job { path, frames: &mut frames, replies: 0 }];
        core.handle_batch(now, 0, &mut jobs, Portable);
        busy += jobs[0].replies;
    }
    busy
}
