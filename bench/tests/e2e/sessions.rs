//! Sessions: joining, requests and their answers, changes of address, rates, and the end by silence.

use super::common::*;
use redpkt_proto::body::{Answer, Keepalive, PathProof, Status, Welcome};
use redpkt_proto::client::Config;
use redpkt_proto::frame::flags;
use redpkt_proto::{FRAME_BYTES, FRAMES_PER_DATAGRAM_MAX, Frame, Op};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use zerocopy::IntoBytes as _;

fn status(answer: &Answer) -> Status {
    Status::from_wire(answer.status).expect("a status")
}

/// One SET and a pool of `total` packets, already made.
fn with_pool(keys: &Keys, total: u64) -> Server {
    let total_text = total.to_string();
    let server = Server::start(
        keys,
        &["--sets", "1", "--groups", "1", "--mint", "1000000", "--mint-total", &total_text],
    );
    server.stats_when("the pool to be full", |stats| stats["pool_packets"] == total);
    server
}

/// Expect: every shake ends known, each packet is won once and opened by its winner, and the fen that users
/// were told are those that were minted and those that the server counts.
#[test]
fn wins_are_opened_and_the_fen_agree_on_both_sides() {
    let keys = Keys::new();
    let server = with_pool(&keys, 200);
    let mut client = Client::new(server.addr(), &keys, 1..=20, 3, Config::default());
    client.join_all();
    client.want_shakes(20);
    client.finish();
    let tally = &client.tally;
    assert_eq!((tally.miss, tally.won.len(), tally.opened.len()), (200, 200, 200));
    assert!(tally.refused.is_empty() && tally.unknown.is_empty(), "{tally:?}");
    assert_eq!(client.bad_frames(), 0);
    let stats = server.stats_when("all opens in the figures", |stats| stats["open"]["ok"] == 200);
    assert_eq!(stats["open"]["fen"], tally.fen());
    assert_eq!(stats["orders"][0]["minted_fen"], tally.fen());
    assert_eq!((&stats["shake"]["miss"], &stats["shake"]["win"]), (&200.into(), &200.into()));
    assert_eq!((&stats["pool_packets"], &stats["pool_fen"]), (&0.into(), &0.into()));
    // The order, and of each packet three rows: minted, won, opened.
    assert_eq!((&stats["ledger"]["rows"], &stats["joins"]), (&601.into(), &20.into()));
}

/// Expect: a packet is opened by its winner only; another user, a packet that never was and one of another
/// machine get nothing, and the amount is the same however often the winner asks.
#[test]
fn only_the_winner_opens_a_packet_and_always_gets_the_same() {
    let keys = Keys::new();
    let server = with_pool(&keys, 1);
    let (peer, other_peer) = (Peer::new(server.addr()), Peer::new(server.addr()));
    let mut winner = Hand::join(&peer, &keys.ticket(1));
    let mut other = Hand::join(&other_peer, &keys.ticket(2));
    let packet = winner.shake_and_hear(&peer).packet.get();
    let open = |hand: &mut Hand, peer: &Peer, packet: u64| -> Answer {
        let req = hand.new_req();
        let frame = hand.request(Op::Open, req, packet);
        hand.open(peer.ask(&frame), Op::Open)
    };
    assert_eq!(status(&open(&mut other, &other_peer, packet)), Status::NotInvited);
    assert_eq!(status(&open(&mut other, &other_peer, packet + 1)), Status::UnknownPacket);
    assert_eq!(status(&open(&mut winner, &peer, packet | 1 << 48)), Status::UnknownPacket);
    let first = open(&mut winner, &peer, packet);
    let again = open(&mut winner, &peer, packet);
    assert_eq!((status(&first), status(&again)), (Status::Ok, Status::Ok));
    assert_eq!((first.fen.get(), first.packet.get()), (again.fen.get(), packet));
    let stats = server.stats_when("the opens", |stats| stats["open"]["empty"] == 3);
    assert_eq!((&stats["open"]["ok"], &stats["open"]["fen"]), (&1.into(), &first.fen.get().into()));
}

/// Expect: the same req again gets the same answer, sealed anew, and is not executed again; with other content
/// it is refused.
#[test]
fn a_repeated_req_gets_the_first_answer_and_other_content_a_conflict() {
    let keys = Keys::new();
    let server = with_pool(&keys, 1);
    let peer = Peer::new(server.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    let (win, miss) = (user.shake_and_hear(&peer), user.shake_and_hear(&peer));
    assert_eq!((status(&win), status(&miss)), (Status::Ok, Status::Miss));
    for first in [win, miss] {
        let frame = user.request(Op::Shake, first.req.get(), 0);
        assert_eq!(user.open::<Answer>(peer.ask(&frame), Op::Shake), first);
    }
    let frame = user.request(Op::Open, win.req.get(), win.packet.get());
    assert_eq!(status(&user.open(peer.ask(&frame), Op::Open)), Status::Conflict);
    let stats = server.stats_when("the repetitions", |stats| stats["repeated"] == 3);
    assert_eq!((&stats["shake"]["miss"], &stats["shake"]["win"]), (&1.into(), &1.into()));
    assert_eq!(stats["open"]["ok"], 0);
}

/// Expect: a JOIN that comes again gets the same WELCOME (but for the clock in it) and resets nothing: no
/// other session number, no other key, and a request that was executed stays executed.
#[test]
fn a_repeated_join_gets_the_same_welcome_and_resets_nothing() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let (peer, ticket, client_random) = (Peer::new(server.addr()), keys.ticket(1), random8());
    let join = join_frame(&ticket, &client_random, challenge_cookie(&peer, &ticket, &client_random));
    let first = peer.ask(&join);
    let mut user = Hand::welcomed(&ticket, &client_random, &first);
    let shaken = user.shake_and_hear(&peer);
    next_session_step(user.number);
    for _ in 0..3 {
        let again = peer.ask(&join);
        let same_time = |frame: &Frame| Welcome { server_wall_ms: 0.into(), ..frame.body() };
        assert_eq!(same_time(&again), same_time(&first));
    }
    let frame = user.request(Op::Shake, shaken.req.get(), 0);
    assert_eq!(user.open::<Answer>(peer.ask(&frame), Op::Shake), shaken);
    let stats = server.stats_when("the repetition", |stats| stats["repeated"] == 1);
    assert_eq!(
        (&stats["joins"], &stats["sessions"], &stats["shake"]["miss"]),
        (&1.into(), &1.into(), &1.into())
    );
}

/// Expect: after a rejoin, reqs of the session before are looked up and never executed: a win is told again, a
/// shake that never came is a miss that nobody counts, an open that never came is not done.
#[test]
fn requests_in_flight_over_a_rejoin_are_looked_up_and_never_executed() {
    let keys = Keys::new();
    let server = with_pool(&keys, 2);
    let peer = Peer::new(server.addr());
    let mut before = Hand::join(&peer, &keys.ticket(1));
    let won = before.shake_and_hear(&peer);
    assert_eq!(status(&won), Status::Ok);
    let (lost_shake, lost_open) = (before.new_req(), before.new_req());
    next_session_step(before.number);
    let mut after = Hand::join(&peer, &keys.ticket(1));
    assert!(after.number > before.number);
    let mut again = |op, req, packet| -> Answer {
        let frame = after.request(op, req, packet);
        after.open(peer.ask(&frame), op)
    };
    assert_eq!(again(Op::Shake, won.req.get(), 0), won);
    assert_eq!(status(&again(Op::Shake, lost_shake, 0)), Status::Miss);
    assert_eq!(status(&again(Op::Open, lost_open, won.packet.get())), Status::NotDone);
    // What is sealed under the old key is no longer anybody's.
    before.seq += 100;
    peer.send_frames(&[before.shake()]);
    after.sync(&peer);
    let stats = server.stats_when("the lookups", |stats| stats["drops"]["tag"] == 1);
    assert_eq!(stats["repeated"], 3);
    assert_eq!((&stats["shake"]["miss"], &stats["shake"]["win"]), (&0.into(), &1.into()));
    assert_eq!((&stats["pool_packets"], &stats["joins"]), (&1.into(), &2.into()));
}

/// Expect: a session that speaks from another address is answered there at once, flagged; a KEEPALIVE gets
/// PATH instead of an answer; PATH_OK proves the address and the flag goes; the old address then has it.
#[test]
fn a_changed_address_is_answered_at_once_and_has_to_prove_itself() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let (old, new) = (Peer::new(server.addr()), Peer::new(server.addr()));
    let mut user = Hand::join(&old, &keys.ticket(1));
    let flag_at = |user: &mut Hand, peer: &Peer| {
        let frame = user.shake();
        let answer = peer.ask(&frame);
        assert_eq!(status(&user.open(answer, Op::Shake)), Status::Miss);
        answer.header.flags & flags::PROVE_PATH
    };
    assert_eq!(flag_at(&mut user, &old), 0);
    assert_eq!(flag_at(&mut user, &new), flags::PROVE_PATH);
    let frame = user.keepalive(1);
    let proof: PathProof = user.open(new.ask(&frame), Op::Path);
    // Not from elsewhere: the cookie is bound to the address.
    let frame = user.frame(Op::PathOk, &proof);
    old.send_frames(&[frame]);
    user.sync(&old);
    assert_eq!(flag_at(&mut user, &new), flags::PROVE_PATH);
    let frame = user.frame(Op::PathOk, &proof);
    user.open::<Keepalive>(new.ask(&frame), Op::Keepalive);
    assert_eq!(flag_at(&mut user, &new), 0);
    assert_eq!(flag_at(&mut user, &old), flags::PROVE_PATH);
    let stats = server.stats_when("the shakes", |stats| stats["shake"]["miss"] == 5);
    assert_eq!((&stats["path_changes"], &stats["drops"]["cookie"]), (&1.into(), &1.into()));
    assert_eq!(stats["joins"], 1);
}

/// Expect: clients whose sockets change go on without joining again, and prove their new addresses.
#[test]
fn sessions_survive_a_change_of_address() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let mut client = Client::new(server.addr(), &keys, 1..=10, 2, Config::default());
    client.join_all();
    client.want_shakes(2);
    client.finish();
    client.move_to_new_sockets();
    client.want_shakes(2);
    client.finish();
    let end = std::time::Instant::now() + PATIENCE;
    let stats = loop {
        let stats = server.stats();
        if stats["path_changes"] == 10 {
            break stats;
        }
        assert!(std::time::Instant::now() < end, "{stats:#}");
        client.drive_for(Duration::from_millis(20));
    };
    assert_eq!((&stats["joins"], &stats["shake"]["miss"]), (&10.into(), &40.into()));
}

/// Expect: shakes beyond a user's rate are answered BUSY with a retry-after and not executed; another user is
/// not held back; who waits as told is served, so that every shake is executed once in the end.
#[test]
fn a_user_who_shakes_too_fast_is_told_when_to_come_again() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--shakes-per-s", "5"]);
    let (peer, other_peer) = (Peer::new(server.addr()), Peer::new(server.addr()));
    let mut fast = Hand::join(&peer, &keys.ticket(1));
    let mut slow = Hand::join(&other_peer, &keys.ticket(2));
    let shakes: Vec<Frame> = (0..10).map(|_| fast.shake()).collect();
    peer.send_frames(&shakes);
    let answers: Vec<Answer> = peer.hear().into_iter().map(|frame| fast.open(frame, Op::Shake)).collect();
    assert_eq!(answers.len(), 10);
    let (passed, held): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| status(answer) == Status::Miss);
    assert_eq!((passed.len(), held.len()), (5, 5));
    assert!(held.iter().all(|answer| status(answer) == Status::Busy));
    assert!(held.iter().all(|answer| (1..=200).contains(&answer.retry_after_ms.get())), "{held:?}");
    assert_eq!(status(&slow.shake_and_hear(&other_peer)), Status::Miss);
    let stats = server.stats_when("the shakes", |stats| stats["shake"]["miss"] == 6);
    assert_eq!(stats["drops"]["rate"], 5);
    // The same, by clients that ask for each again when they are told to.
    let waits = Config { obeys: false, ..Config::default() };
    let mut client = Client::new(server.addr(), &keys, 11..=13, 1, waits);
    client.join_all();
    client.want_shakes(10);
    client.finish();
    assert_eq!((client.tally.miss, client.tally.refused.len()), (30, 0));
    server.stats_when("everything executed once", |stats| stats["shake"]["miss"] == 36);
    // And by those that also throttle themselves: each shake is answered, by the server or at once by the session.
    let mut client = Client::new(server.addr(), &keys, 21..=23, 1, Config::default());
    client.join_all();
    client.want_shakes(10);
    client.finish();
    assert_eq!(client.tally.miss + client.tally.refused.len() as u64, 30);
    assert!(client.tally.miss >= 15, "{:?}", client.tally.miss);
}

/// Expect: a session that is silent for the idle time ends and frees its slot; its next word gets STALE, and
/// it may join again. One that keeps alive as it was told lives on.
#[test]
fn a_silent_session_ends_and_may_join_again() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--idle", "4s", "--keepalive", "1s"]);
    let peer = Peer::new(server.addr());
    let mut silent = Hand::join(&peer, &keys.ticket(1));
    let mut client = Client::new(server.addr(), &keys, 2..=4, 1, Config::default());
    client.join_all();
    let end = std::time::Instant::now() + PATIENCE;
    while server.stats()["idle_ended"] != 1 {
        assert!(std::time::Instant::now() < end, "{:#}", server.stats());
        client.drive_for(Duration::from_millis(50));
    }
    assert_eq!(server.stats()["sessions"], 3);
    let frame = silent.shake();
    assert_eq!(peer.ask(&frame).header.op, Op::Stale as u8);
    Hand::join(&peer, &keys.ticket(1)).shake_and_hear(&peer);
    client.want_shakes(1);
    client.finish();
    let stats = server.stats_when("the shakes", |stats| stats["shake"]["miss"] == 4);
    assert_eq!((&stats["sessions"], &stats["joins"]), (&4.into(), &5.into()));
    assert_eq!(client.tally.joins, 3);
}

/// Expect: a client whose session has ended finds that out by itself, joins again and has its request done.
#[test]
fn a_client_rejoins_by_itself_after_its_session_has_ended() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--idle", "2s", "--keepalive", "1s"]);
    let mut client = Client::new(server.addr(), &keys, 1..=3, 1, Config::default());
    client.join_all();
    server.stats_when("all sessions to end", |stats| stats["idle_ended"] == 3);
    client.want_shakes(1);
    client.finish();
    client.join_all();
    client.want_shakes(1);
    client.finish();
    assert_eq!(client.tally.miss, 6);
    assert!(client.tally.joins >= 6, "{}", client.tally.joins);
}

/// Expect: 18 frames in a datagram are answered by 18 frames in one datagram, in their order.
#[test]
fn eighteen_frames_are_answered_in_one_datagram() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let peer = Peer::new(server.addr());
    let mut user = Hand::join(&peer, &keys.ticket(1));
    for _ in 0..3 {
        let shakes: Vec<Frame> = (0..FRAMES_PER_DATAGRAM_MAX).map(|_| user.shake()).collect();
        peer.send_frames(&shakes);
        let answers = peer.hear();
        assert_eq!(answers.len(), FRAMES_PER_DATAGRAM_MAX);
        let first = user.counter - FRAMES_PER_DATAGRAM_MAX as u32 + 1;
        for (frame, counter) in answers.into_iter().zip(first..) {
            assert_eq!(user.open::<Answer>(frame, Op::Shake).req.get() as u32, counter);
        }
    }
    let stats = server.stats_when("the answers", |stats| stats["answers"] == 54);
    assert_eq!((&stats["datagrams_in"], &stats["datagrams_out"]), (&5.into(), &5.into()));
}

/// Expect: a server listens at several addresses of both families, and one session may speak to any.
#[test]
fn several_listen_addresses_of_both_families_serve_alike() {
    if let Err(error) = UdpSocket::bind("[::1]:0") {
        return eprintln!("skipped: no IPv6 here ({error})");
    }
    let keys = Keys::new();
    let args: Vec<&str> = listen().iter().flat_map(|addr| ["--listen", addr]).collect();
    let server = Server::start(&keys, &args);
    assert_eq!(server.listen.len(), 3);
    assert!(server.listen[1].is_ipv6());
    let mut users: Vec<(Hand, Peer)> = server
        .listen
        .iter()
        .zip(1..)
        .map(|(addr, user)| {
            let peer = Peer::new(*addr);
            (Hand::join(&peer, &keys.ticket(user)), peer)
        })
        .collect();
    for (hand, peer) in &mut users {
        hand.shake_and_hear(peer);
    }
    let (first, _) = &mut users[0];
    first.shake_and_hear(&Peer::new(server.listen[1]));
    let stats = server.stats_when("the shakes", |stats| stats["shake"]["miss"] == 4);
    assert_eq!(stats["joins"], 3);
}

/// Expect: on a wildcard, a reply leaves from the address that was asked.
#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--listen", "0.0.0.0:0"]);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for (ip, user) in wildcard_ips().into_iter().zip(1..) {
        let asked = SocketAddr::new(ip, server.addr().port());
        socket.send_to(hello(&keys.ticket(user), &random8()).as_bytes(), asked).unwrap();
        let mut bytes = [0; 2_048];
        let (len, from) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!((len, from), (FRAME_BYTES, asked));
        // A connected socket hears nobody else: a whole session works at that address.
        let peer = Peer { socket: UdpSocket::bind("0.0.0.0:0").unwrap() };
        peer.socket.connect(asked).unwrap();
        peer.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut hand = Hand::join(&peer, &keys.ticket(user));
        hand.shake_and_hear(&peer);
    }
}
