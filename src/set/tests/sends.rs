//! Packets for others: sent, told, shared, grabbed, opened, returned.

use super::client::{Client, said};
use super::world::{World, capacity, config, order};
use crate::ledger::Kind;
use crate::set::Config;
use crate::set::book::{Order, What};
use redpkt_proto::body::{Entry, EntryKind, Status};
use redpkt_proto::{Frame, Op};

/// A world with a sender who has 1,000 fen, and others.
fn world_of(users: u64) -> (World, Client, Vec<Client>) {
    let mut world = World::new(Config { capacity: capacity(64, 64, 16), promises: 256, ..config() });
    let sender = world.client(1);
    let others = (2..=users).map(|user| world.client(user)).collect();
    world.deposit(1, 1_000);
    (world, sender, others)
}

fn invites(out: &[(redpkt_proto::Path, Vec<Frame>)], client: &Client) -> Vec<u64> {
    let frames = out.iter().filter(|(path, _)| *path == client.path).flat_map(|(_, frames)| frames);
    let frames = frames.filter(|frame| frame.header.op == Op::Invite as u8);
    frames.map(|frame| client.invite(frame).packet.get()).collect()
}

/// Expect: the packet is made of the sender's money, only the invited take of it, each once, and all of it is taken.
#[test]
fn what_is_sent_goes_to_the_invited_to_the_fen() {
    let (mut world, mut sender, mut others) = world_of(5);
    let sent = sender.send(&mut world, 100, 3, &[2, 3, 4, 5]);
    assert_eq!((sent.status, sent.fen), (Status::Ok, 100));
    assert_eq!(sender.about(&mut world, Op::Balance, 0, 0).fen, 900);
    assert_eq!(sender.open(&mut world, sent.packet), said(Status::NotInvited), "nobody takes from his own");
    let mut stranger = world.client(9);
    assert_eq!(stranger.open(&mut world, sent.packet), said(Status::NotInvited));
    assert_eq!(stranger.about(&mut world, Op::Grab, sent.packet, 0), said(Status::NotInvited));
    let took: Vec<_> = others.iter_mut().map(|other| other.open(&mut world, sent.packet)).collect();
    assert_eq!(took[..3].iter().map(|took| took.fen).sum::<u64>(), 100);
    assert!(took[..3].iter().all(|took| took.fen > 0));
    assert_eq!(took[3], said(Status::Empty));
    assert_eq!(others[0].open(&mut world, sent.packet).fen, took[0].fen);
    assert_eq!(others[0].about(&mut world, Op::Balance, 0, 0).fen, took[0].fen);
    world.check_conservation();
}

/// Expect: each mistake has its own status, and nothing changed.
#[test]
fn a_wrong_send_is_refused_with_its_own_status() {
    let (mut world, mut sender, _) = world_of(1);
    let rows = world.rows().len();
    for (total, shares, recipients, status) in [
        (0, 1, &[2][..], Status::BadAmount),
        (5, 0, &[2], Status::BadShares),
        (5, 6, &[2], Status::BadShares),
        (5, 1, &[], Status::BadRecipients),
        (5, 1, &[2, 0, 3], Status::BadRecipients),
        (5, 1, &[2, 3, 4, 2], Status::BadRecipients),
        (5, 1, &[2, 1], Status::Oneself),
        (1_001, 1, &[2], Status::TooLittleMoney),
    ] {
        assert_eq!(sender.send(&mut world, total, shares, recipients), said(status));
    }
    let mut poor = world.client(7);
    assert_eq!(poor.send(&mut world, 1, 1, &[2]), said(Status::TooLittleMoney));
    assert_eq!(world.rows().len(), rows);
    assert_eq!(sender.send(&mut world, 1_000, 1, &[2]).status, Status::Ok);
}

/// Expect: 54 recipients in 18 frames; a missing frame is told and nothing is done; the same req can then come whole.
#[test]
fn a_send_runs_only_when_all_its_frames_are_there() {
    let (mut world, mut sender, _) = world_of(1);
    let recipients: Vec<u64> = (100..154).collect();
    let frames = sender.send_frames(1, 540, 54, &recipients);
    assert_eq!(frames.len(), 18);
    let out = world.ask(sender.path, &frames[..17]);
    assert_eq!(
        out.iter().map(|frame| sender.answer(frame).status).collect::<Vec<_>>(),
        [Status::Incomplete as u8]
    );
    assert_eq!(world.dropped(crate::set::Drop::Op), 16, "what has no send is dropped");
    let mut broken = sender.send_frames(1, 540, 54, &recipients);
    broken[9].tag[0] ^= 1;
    let out = world.ask(sender.path, &broken);
    let told: Vec<_> = out.iter().map(|frame| sender.answer(frame).status).collect();
    assert_eq!(told, [Status::Incomplete as u8], "a frame was not authentic");
    let mut twice = sender.send_frames(1, 540, 54, &recipients);
    twice.swap(3, 4);
    let out = world.ask(sender.path, &twice);
    let told: Vec<_> = out.iter().map(|frame| sender.answer(frame).status).collect();
    assert_eq!(told, [Status::Incomplete as u8], "a place in the row is another's");
    let frames = sender.send_frames(1, 540, 54, &recipients);
    let out = world.ask(sender.path, &frames);
    assert_eq!(sender.answer(&out[0]).status, Status::Ok as u8);
    let rows = world.rows();
    assert_eq!(rows.iter().filter(|row| row.kind == Kind::Invite).count(), 54);
    world.check_conservation();
}

/// Expect: the same req with the same content gets the first answer; with another amount, number of shares or
/// recipient it is refused.
#[test]
fn the_same_send_again_is_one_send() {
    let (mut world, mut sender, _) = world_of(1);
    let ask = |world: &mut World, sender: &mut Client, total, shares, recipients: &[u64]| {
        let frames = sender.send_frames(1, total, shares, recipients);
        let out = world.ask(sender.path, &frames);
        super::client::Said::from(sender.answer(&out[0]))
    };
    let first = ask(&mut world, &mut sender, 10, 2, &[2, 3]);
    assert_eq!(ask(&mut world, &mut sender, 10, 2, &[2, 3]), first);
    assert_eq!(ask(&mut world, &mut sender, 11, 2, &[2, 3]), said(Status::Conflict));
    assert_eq!(ask(&mut world, &mut sender, 10, 1, &[2, 3]), said(Status::Conflict));
    assert_eq!(ask(&mut world, &mut sender, 10, 2, &[2, 4]), said(Status::Conflict));
    assert_eq!(world.count(|counters| counters.sends), 1);
    let req = sender.req(1);
    assert_eq!(sender.ask(&mut world, Op::Shake, req, 0), said(Status::Conflict));
    // In a later session it is asked for by ASK, whose answer has the op of the request.
    sender.join(&mut world);
    let frame = sender.request(Op::Ask, req, 0);
    let out = world.ask(sender.path, &[frame]);
    assert_eq!(out[0].header.op, Op::Send as u8);
    assert_eq!(super::client::Said::from(sender.answer(&out[0])), first);
    let frame = sender.request(Op::Ask, req + 1, 0);
    let out = world.ask(sender.path, &[frame]);
    assert_eq!((out[0].header.op, sender.answer(&out[0]).status), (Op::Ask as u8, Status::NotDone as u8));
}

/// Expect: a claimed share waits for its user, whoever else comes; who claims late finds nothing.
#[test]
fn who_grabs_first_opens_whenever() {
    let (mut world, mut sender, mut others) = world_of(4);
    let packet = sender.send(&mut world, 10, 1, &[2, 3, 4]).packet;
    let grabbed = others[0].about(&mut world, Op::Grab, packet, 0);
    assert_eq!((grabbed.status, grabbed.packet, grabbed.fen), (Status::Ok, packet, 0));
    assert_eq!(others[0].about(&mut world, Op::Grab, packet, 0), grabbed);
    assert_eq!(others[1].about(&mut world, Op::Grab, packet, 0), said(Status::Empty));
    assert_eq!(others[2].open(&mut world, packet), said(Status::Empty));
    assert_eq!(others[0].open(&mut world, packet).fen, 10);
    assert_eq!(others[0].about(&mut world, Op::Grab, packet, 0), grabbed, "a share is the user's, still");
}

/// Expect: who holds a share lets others in as long as something is left, and they may do so too.
#[test]
fn a_share_can_be_shared() {
    let (mut world, mut sender, mut others) = world_of(5);
    let packet = sender.send(&mut world, 10, 2, &[2]).packet;
    let [second, third, fourth, fifth] = &mut others[..] else { panic!() };
    assert_eq!(third.about(&mut world, Op::Share, packet, 4), said(Status::NotInvited));
    assert_eq!(second.about(&mut world, Op::Share, packet, 2), said(Status::Oneself));
    assert_eq!(second.about(&mut world, Op::Share, packet, 0), said(Status::BadRecipients));
    let req = second.next_req();
    let share = second.request_for(Op::Share, req, packet, 3);
    let out = world.batch(&[(second.path, vec![share])]);
    assert_eq!((out.len(), invites(&out, third)), (2, vec![packet]), "an answer, and the invitation");
    assert_eq!(second.about(&mut world, Op::Share, packet, 3).status, Status::Ok, "twice is once");
    second.open(&mut world, packet);
    assert_eq!(second.about(&mut world, Op::Share, packet, 4).status, Status::Ok, "also when it was opened");
    assert_eq!(third.about(&mut world, Op::Share, packet, 5).status, Status::Ok);
    assert_eq!(fourth.open(&mut world, packet).status, Status::Ok);
    assert_eq!(fifth.open(&mut world, packet), said(Status::Empty));
    assert_eq!(second.about(&mut world, Op::Share, packet, 9), said(Status::Empty));
    let shares = world.rows().iter().filter(|row| row.kind == Kind::Share).count();
    assert_eq!((shares, world.count(|counters| counters.shares)), (3, 3));
    world.check_conservation();
}

/// Expect: a share of what one has won is one's own, however many are let in before it is opened.
#[test]
fn a_winner_finds_a_share_whoever_was_invited() {
    let (mut world, mut winner, mut others) = world_of(3);
    world.order(&Order { shares: 2, ..order(2, 50) });
    let packet = winner.shake(&mut world).packet;
    assert_eq!(winner.about(&mut world, Op::Grab, packet, 0).status, Status::Ok, "it is his already");
    for other in &mut others {
        assert_eq!(winner.about(&mut world, Op::Share, packet, other.user()).status, Status::Ok);
    }
    assert_eq!(others[0].open(&mut world, packet).status, Status::Ok);
    assert_eq!(others[1].open(&mut world, packet), said(Status::Empty));
    assert_eq!(winner.open(&mut world, packet).status, Status::Ok);
    world.mint(1, 9);
    let (_, single) = (winner.shake(&mut world), winner.shake(&mut world).packet);
    assert_eq!(winner.about(&mut world, Op::Share, single, 3), said(Status::Empty), "there is one share");
    world.check_conservation();
}

/// Expect: an invitation comes when the packet is durable, again until it is acknowledged, and not after.
#[test]
fn the_invited_are_told_until_they_say_so() {
    let (mut world, mut sender, mut others) = world_of(3);
    let [second, third] = &mut others[..] else { panic!() };
    world.set_disks(false);
    let frames = sender.send_frames(1, 10, 2, &[2, 3, 77]);
    assert_eq!(world.batch(&[(sender.path, frames)]), [], "nothing is told before it is durable");
    world.set_disks(true);
    let out = world.settle();
    let packet = invites(&out, second)[0];
    assert_eq!(invites(&out, third), [packet]);
    let ok = second.invite_ok_frame(packet);
    assert_eq!(world.ask(second.path, &[ok]), []);
    world.pass_ms(1_000);
    let out = world.settle();
    assert_eq!((invites(&out, second), invites(&out, third)), (vec![], vec![packet]));
    world.pass_ms(1_000);
    assert_eq!(invites(&world.settle(), third), Vec::<u64>::new(), "the next one waits twice as long");
    third.open(&mut world, packet);
    world.pass_ms(60_000);
    assert_eq!(invites(&world.settle(), third), Vec::<u64>::new(), "who has opened needs not be told");
    // User 77 was away, and is told when he comes.
    let mut away = world.stranger(77);
    let challenge = away.challenge(&mut world);
    let join = away.join_frame(&challenge);
    let out = world.batch(&[(away.path, vec![join])]);
    let welcome =
        out.iter().flat_map(|(_, frames)| frames).find(|frame| frame.header.op == Op::Welcome as u8);
    away.welcomed(welcome.unwrap());
    assert_eq!(invites(&out, &away), [packet]);
}

/// Expect: a push goes only where the session has proved itself, whatever address a request came from.
#[test]
fn an_invitation_goes_to_the_proved_address() {
    let (mut world, mut sender, mut others) = world_of(2);
    let other = &mut others[0];
    let shake = other.shake_frame();
    world.ask(super::world::path(9), &[shake]);
    let frames = sender.send_frames(1, 10, 1, &[2]);
    let out = world.batch(&[(sender.path, frames)]);
    assert_eq!(invites(&out, other).len(), 1);
}

/// Expect: at most 8 wait for an acknowledgement, each that comes lets the next go, and all are found by asking.
#[test]
fn many_invitations_come_a_few_at_a_time_and_are_found_by_asking() {
    let (mut world, mut sender, mut others) = world_of(2);
    let other = &mut others[0];
    let mut told = Vec::new();
    for counter in 1..=10 {
        let frames = sender.send_frames(counter, 10, 1, &[2]);
        let out = world.batch(&[(sender.path, frames)]);
        told.extend(invites(&out, other));
    }
    assert_eq!(told.len(), 8);
    let ok = other.invite_ok_frame(told[0]);
    let out = world.batch(&[(other.path, vec![ok])]);
    assert_eq!(invites(&out, other).len(), 1);
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let said = other.about(&mut world, Op::Invites, after, 0);
        if said.status != Status::Ok {
            assert_eq!(said.status, Status::NothingThere);
            break;
        }
        assert_eq!(said.fen, 10);
        after = said.packet;
        found.push(after);
    }
    assert_eq!(found.len(), 10);
    other.open(&mut world, found[3]);
    assert_eq!(other.about(&mut world, Op::Invites, found[2], 0).packet, found[4]);
}

/// Expect: what is left goes back to the sender, a win that was not opened to the house, and whoever comes late is
/// told so. Nothing is returned twice.
#[test]
fn what_nobody_took_goes_back_when_the_time_is_over() {
    let (mut world, mut sender, mut others) = world_of(4);
    let packet = sender.send(&mut world, 100, 3, &[2, 3, 4]).packet;
    world.mint(2, 30);
    let won = sender.shake(&mut world).packet;
    let took = others[0].open(&mut world, packet).fen;
    others[1].about(&mut world, Op::Grab, packet, 0);
    world.pass_ms(3_600_000);
    assert_eq!(others[1].ask_unjoined(&mut world, Op::Open, packet), said(Status::Expired));
    assert_eq!(sender.ask_unjoined(&mut world, Op::Open, won), said(Status::Expired));
    for _ in 0..8 {
        world.pass_ms(2);
        world.settle();
    }
    assert_eq!(sender.ask_unjoined(&mut world, Op::Balance, 0).fen, 1_000 - took);
    let refunds: Vec<_> = world.rows().into_iter().filter(|row| row.kind == Kind::Refund).collect();
    assert_eq!(refunds.iter().map(|row| row.fen).sum::<u64>(), 100 - took + 60);
    assert_eq!(refunds.len(), 3);
    assert_eq!(others[0].ask_unjoined(&mut world, Op::Open, packet).fen, took, "an answer outlives the time");
    assert_eq!(sender.shake(&mut world), said(Status::Miss), "nor is it won");
    world.check_conservation();
}

impl Client {
    /// Joins again if the session was idle for too long, and asks as a new request.
    fn ask_unjoined(&mut self, world: &mut World, op: Op, packet: u64) -> super::client::Said {
        self.join(world);
        self.about(world, op, packet, 0)
    }
}

/// Expect: a user is told what is kept, newest first.
#[test]
fn the_history_tells_what_happened() {
    let (mut world, mut sender, _) = world_of(1);
    world.pass_ms(1_000);
    let packet = sender.send(&mut world, 10, 1, &[2]).packet;
    let mut entry = |world: &mut World, at: u64| {
        let req = sender.next_req();
        let frame = sender.request(Op::History, req, at);
        let out = world.ask(sender.path, &[frame]);
        let mut frame = out[0];
        redpkt_proto::seal::open(&sender.key, &mut frame).unwrap();
        frame.body::<Entry>()
    };
    let newest = entry(&mut world, 0);
    assert_eq!(
        (newest.status, newest.kind, newest.packet.get(), newest.fen.get()),
        (0, EntryKind::Sent as u8, packet, 10)
    );
    let older = entry(&mut world, 1);
    assert_eq!((older.kind, older.fen.get()), (EntryKind::PaidIn as u8, 1_000));
    assert!(older.when_s < newest.when_s);
    assert_eq!(entry(&mut world, 2).status, Status::NothingThere as u8);
}

/// Expect: the house sends to users who are here, each packet to as many as it says, none of them twice; with too few
/// here the packet is not made, and counted.
#[test]
fn the_house_sends_to_those_who_are_here() {
    let (mut world, _, mut others) = world_of(9);
    let send = |recipients| Order { what: What::Send { recipients }, shares: 3, fen_min: 3, ..order(4, 30) };
    world.order(&send(3));
    let rows = world.rows();
    let sends: Vec<_> = rows.iter().filter(|row| row.kind == Kind::Send).collect();
    assert_eq!((sends.len(), sends[0].user), (4, 0));
    for send in &sends {
        let invited: std::collections::HashSet<u64> = rows
            .iter()
            .filter(|row| row.kind == Kind::Invite && row.packet == send.packet)
            .map(|row| row.other)
            .collect();
        assert_eq!(invited.len(), 3);
        for other in others.iter_mut().filter(|other| invited.contains(&other.user())) {
            assert_eq!(other.open(&mut world, send.packet).status, Status::Ok);
        }
    }
    world.order(&send(20));
    assert_eq!(world.cores[0].books().next().unwrap().orders()[1].progress.passed_by, 4);
    world.check_conservation();
}

/// Expect: a packet for more users than one go invites gets all of them.
#[test]
fn a_house_packet_for_many_is_given_to_all_of_them() {
    let members = crate::set::Capacity { members: 1_000, invites: 1_000, ..capacity(600, 600, 4) };
    let mut world =
        World::new(Config { capacity: members, promises: 1_024, pushes: 1_024, idle_s: 60_000, ..config() });
    (1..=600).for_each(|user| _ = world.client(user));
    world.order(&Order { what: What::Send { recipients: 600 }, shares: 500, ..order(1, 5_000) });
    for _ in 0..10 {
        world.settle();
    }
    let rows = world.rows();
    let invited: std::collections::HashSet<u64> =
        rows.iter().filter(|row| row.kind == Kind::Invite).map(|row| row.other).collect();
    assert_eq!(invited.len(), 600);
}
