//! Money between users, on a ledger on disk: sent, invited to, opened, given back; and still there after a crash.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::body::{Answer, Send, Status};
use redpkt_proto::client::{Call, Config};
use redpkt_proto::frame::flags;
use redpkt_proto::seal;
use redpkt_proto::steer::Layout;
use redpkt_proto::{Direction, Frame, Header, Op, Terms};
use std::time::Duration;

const LAYOUT: Layout = Layout { sets: 8, groups: 4, workers: 2 };

/// Two workers with two groups each, on this ledger.
fn start(keys: &Keys, ledger: &Ledger, more: &[&str]) -> Server {
    let url = ledger.url();
    let args = ["--workers", "2", "--groups", "4", "--sets", "8", "--ledger", &url];
    Server::start(keys, &[&args[..], more].concat())
}

/// The first user of each group, and one more of the first group.
fn one_of_each_group() -> Vec<u64> {
    let first = |group| (1..).find(|user| LAYOUT.group_of(LAYOUT.set_of(*user)) == group).unwrap();
    let mut users: Vec<u64> = (0..LAYOUT.groups).map(first).collect();
    users.extend((1..).find(|user| !users.contains(user) && LAYOUT.group_of(LAYOUT.set_of(*user)) == 0));
    users
}

fn client(server: &Server, keys: &Keys) -> Client {
    let last = *one_of_each_group().iter().max().unwrap();
    let mut client = Client::new(server.addr(), keys, 1..=last, 2, Config::default());
    client.join_all();
    client
}

fn deposit(server: &Server, user: u64, fen: u64) {
    let target = format!("/deposit?id=pay-{user}-{fen}&user={user}&fen={fen}");
    assert_eq!(server.ask("POST", &target).status, 201);
}

fn send(total_fen: u32, shares: u8, recipients: &[u64]) -> Call {
    let terms = Terms { total_fen, shares, equal: shares.is_multiple_of(2), recipients: recipients.into() };
    Call::Send { terms: Box::new(terms) }
}

/// Ends the server in order, and audits.
fn end_and_audit(server: Server, ledger: &Ledger) -> serde_json::Value {
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    ledger.audit()
}

/// Expect: what one sends to users of his own group, of another one, and of another worker comes to them by
/// invitations; each opens once, all of it is taken, and every wallet holds what its user was told.
#[test]
fn what_is_sent_comes_to_users_of_all_groups_and_workers() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &[]);
    let users = one_of_each_group();
    let [sender, others @ ..] = &users[..] else { panic!("there are users") };
    deposit(&server, *sender, 1_000);
    let mut client = client(&server, &keys);
    for total_fen in [100, 301] {
        let made = client.ask(*sender, &send(total_fen, others.len() as u8, others)).unwrap();
        assert_eq!(made.fen, u64::from(total_fen));
    }
    client.drive_until("all to open", |client| client.tally.opened.len() == 2 * others.len());
    client.finish();
    assert_eq!(client.tally.fen(), 401);
    assert!(client.tally.invited.values().all(|from| from == sender), "{:?}", client.tally.invited);
    // Money that comes from another group is promised before it is there.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.balance(*sender), 1_000 - 401);
    for user in others {
        let opened = client.tally.opened.iter().filter(|((_, by), _)| by == user);
        let fen: u64 = opened.map(|(_, fen)| fen).sum();
        assert_eq!(client.balance(*user), fen, "user {user}");
    }
    assert!(client.tally.refused.is_empty() && client.tally.unknown.is_empty(), "{:?}", client.tally);
    let report = end_and_audit(server, &ledger);
    assert_eq!((&report["wallets_fen"], &report["packets_fen"]), (&1_000.into(), &0.into()));
}

/// Expect: grab claims and open takes; who is not invited gets nothing until somebody who is shares with him; when
/// nothing is left all others are told so.
#[test]
fn packets_are_for_the_invited_and_for_whom_they_share_with() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &[]);
    let users = one_of_each_group();
    let [sender, first, second, third, stranger] = users[..] else { panic!("five users") };
    deposit(&server, sender, 50);
    let mut client = client(&server, &keys);
    client.leave_invites();
    let packet = client.ask(sender, &send(50, 2, &[first, second])).unwrap().packet;
    client.drive_until("both to be told", |client| client.tally.invited.len() == 2);
    assert_eq!(client.ask(stranger, &Call::Grab { packet }), Err(Status::NotInvited));
    assert_eq!(client.ask(stranger, &Call::Share { packet, user: third }), Err(Status::NotInvited));
    assert_eq!(client.ask(first, &Call::Open { packet: packet + 1 }), Err(Status::UnknownPacket));
    assert_eq!(client.ask(first, &Call::Share { packet, user: first }), Err(Status::Oneself));
    client.ask(first, &Call::Grab { packet }).unwrap();
    client.ask(first, &Call::Share { packet, user: third }).unwrap();
    client.ask(third, &Call::Grab { packet }).unwrap();
    assert_eq!(client.ask(second, &Call::Open { packet }), Err(Status::Empty));
    for user in [first, third] {
        client.want(user, Call::Open { packet });
        client.want(user, Call::Open { packet });
    }
    client.finish();
    assert_eq!((client.tally.opened.len(), client.tally.fen()), (2, 50));
    assert_eq!(client.tally.invited.get(&(packet, third)), Some(&first));
    end_and_audit(server, &ledger);
}

/// Expect: each wrong send gets its own status, and no fen moves.
#[test]
fn wrong_sends_are_refused_each_by_its_status() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &[]);
    deposit(&server, 1, 100);
    let peer = Peer::new(server.addr());
    let mut hand = Hand::join(&peer, &keys.ticket(1));
    for (total_fen, shares, more, recipients, status) in [
        (101, 1, 0, [2, 0, 0], Status::TooLittleMoney),
        (0, 1, 0, [2, 0, 0], Status::BadAmount),
        (10, 0, 0, [2, 0, 0], Status::BadShares),
        (10, 11, 0, [2, 0, 0], Status::BadShares),
        (10, 1, 0, [0, 0, 0], Status::BadRecipients),
        (10, 1, 0, [2, 0, 3], Status::BadRecipients),
        (10, 1, 0, [2, 3, 2], Status::BadRecipients),
        (10, 1, 0, [2, 1, 3], Status::Oneself),
        (10, 1, 1, [2, 3, 4], Status::Incomplete),
        (10, 1, 18, [2, 3, 4], Status::Incomplete),
    ] {
        let frame = send_frame(&mut hand, more, total_fen, shares, recipients);
        let answer: Answer = hand.open(peer.ask(&frame), Op::Send);
        assert_eq!(Status::from_wire(answer.status), Some(status), "{total_fen} {shares} {recipients:?}");
        assert_eq!((answer.packet.get(), answer.fen.get()), (0, 0));
    }
    let report = end_and_audit(server, &ledger);
    assert_eq!((&report["wallets_fen"], &report["packets"]["made"]), (&100.into(), &0.into()));
}

/// A SEND under the next counter, whatever its terms.
fn send_frame(hand: &mut Hand, more: u8, total_fen: u32, shares: u8, recipients: [u64; 3]) -> Frame {
    hand.counter += 1;
    hand.seq += 1;
    let mut header = Header::new(hand.user, Direction::ToServer, Op::Send);
    (header.seq, header.flags) = (hand.seq.into(), more & flags::SEND_MORE);
    let total_fen = Send::fen_to_wire(total_fen).unwrap();
    let recipients = recipients.map(Into::into);
    let mut frame = Frame::new(header, &Send { counter: hand.counter.into(), total_fen, shares, recipients });
    seal::seal(&hand.key, &mut frame);
    frame
}

/// Expect: after a SIGKILL and a restart wallets, packets, claims and invitations are as they were, an opened share
/// tells the same amount, and what was not opened can be.
#[test]
fn a_crash_loses_nothing() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &["--mint", "1000000", "--mint-total", "40"]);
    let users = one_of_each_group();
    let [sender, first, second, third, _] = users[..] else { panic!("five users") };
    deposit(&server, sender, 500);
    let mut client = client(&server, &keys);
    client.leave_invites();
    let packet = client.ask(sender, &send(90, 3, &[first, second, third])).unwrap().packet;
    client.drive_until("all to be told", |client| client.tally.invited.len() == 3);
    client.want(first, Call::Open { packet });
    client.want(second, Call::Grab { packet });
    client.want_shakes(10);
    client.finish();
    let (before, fen) = (client.tally.opened.clone(), client.tally.fen());
    assert!(before.len() > 1);
    drop(client);
    server.kill();
    let server = start(&keys, &ledger, &["--mint", "1000000", "--mint-total", "40"]);
    let mut client = self::client(&server, &keys);
    client.drive_until("the rest to be told again", |client| !client.tally.invited.is_empty());
    for (packet, user) in before.keys() {
        client.want(*user, Call::Open { packet: *packet });
    }
    client.want(second, Call::Open { packet });
    client.want(third, Call::Open { packet });
    client.finish();
    let told: u64 = before.keys().map(|key| client.tally.opened[key]).sum();
    assert_eq!(told, fen, "each tells what it told before the crash");
    let of_packet = client.tally.opened.iter().filter(|((which, _), _)| *which == packet);
    assert_eq!(of_packet.map(|(_, fen)| fen).sum::<u64>(), 90);
    assert_eq!(client.ask(sender, &Call::Open { packet }), Err(Status::NotInvited));
    let taken = client.tally.fen();
    let report = end_and_audit(server, &ledger);
    assert_eq!(report["wallets_fen"], 500 - 90 + taken);
}

/// Expect: what nobody took when a packet's time is over comes back to its sender, and to the house; later opens are
/// told so.
#[test]
fn what_is_left_of_an_expired_packet_comes_back() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &["--packet-life", "2s", "--mint", "1000000", "--mint-total", "20"]);
    let [sender, first, second, ..] = one_of_each_group()[..] else { panic!("users") };
    deposit(&server, sender, 100);
    let mut client = client(&server, &keys);
    client.leave_invites();
    let packet = client.ask(sender, &send(60, 2, &[first, second])).unwrap().packet;
    client.want(first, Call::Open { packet });
    client.finish();
    let taken = client.tally.fen();
    assert!((1..60).contains(&taken));
    client.drive_for(Duration::from_millis(2_500));
    assert!(matches!(client.ask(second, &Call::Open { packet }), Err(Status::Expired | Status::Empty)));
    wait_for("the rest to come back", || (client.balance(sender) == 100 - taken).then_some(()));
    server.stats_when("the pool to be given back", |stats| stats["pool_packets"] == 0);
    let report = end_and_audit(server, &ledger);
    assert_eq!((&report["packets_fen"], &report["house_fen"]), (&0.into(), &(-100).into()));
}
