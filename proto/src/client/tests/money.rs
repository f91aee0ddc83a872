//! Sends, shares, grabs, and what a user can ask about his money.

use super::bank::{INVITED_TO, WALLET_FEN, WHEN_S};
use super::server::answer;
use super::*;
use crate::body::{Answer, EntryKind, Invite};
use crate::{INVITES_PUSHED_MAX, Op, Terms, TermsError};

fn terms(recipients: u64) -> Box<Terms> {
    let equal = recipients % 2 == 1;
    Box::new(Terms { total_fen: 8_800, shares: 8, equal, recipients: (1_000..1_000 + recipients).collect() })
}

fn send(recipients: u64) -> Call {
    Call::Send { terms: terms(recipients) }
}

/// What a good send is answered.
fn sent(req: u64) -> Outcome {
    ok(req | 1 << 48, 8_800)
}

fn invite(packet: u64) -> Invite {
    let (expiry_s, shares, total_fen) = (WHEN_S.into(), 500.into(), 88.into());
    Invite { packet: packet.into(), from: 42.into(), expiry_s, shares, reserved: [0; 2], total_fen }
}

/// Expect: the server reads the same terms, for every number of recipients, in one datagram each.
#[test]
fn sends_of_every_length_arrive_whole() {
    let mut world = World::joined();
    for recipients in 1..=54 {
        let req = world.call(send(recipients)).unwrap();
        world.run_for_ms(30);
        assert_eq!(world.outcomes().last(), Some(&(req, sent(req))));
        assert_eq!(world.server.sends[&req], *terms(recipients));
    }
    let sizes: Vec<usize> = world.sent.iter().map(|(_, frames)| frames.len()).collect();
    assert_eq!(sizes, (1..=54usize).map(|recipients| recipients.div_ceil(3)).collect::<Vec<_>>());
}

/// Expect: a send shares a datagram with what is due beside it if it fits whole, else it gets its own.
#[test]
fn a_send_is_never_cut() {
    let mut world = World::joined();
    for call in [Call::Shake, send(54), Call::Shake, send(4), send(48), Call::Balance] {
        world.session.call(world.now, call).unwrap();
    }
    world.run_for_ms(100);
    let sizes: Vec<usize> = world.sent.iter().map(|(_, frames)| frames.len()).collect();
    assert_eq!((sizes, world.outcomes().len()), (vec![5, 18, 16], 6));
}

/// Expect: terms that no server can take are not called, and neither is a send that is longer than a datagram
/// may be here.
#[test]
fn bad_terms_are_refused_before_they_are_sent() {
    let mut world = World::joined_with(Config { frames_per_datagram: 5, ..Config::default() });
    let bad = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms(3);
        change(&mut terms);
        Call::Send { terms }
    };
    for (call, error) in [
        (bad(&|terms| terms.total_fen = 0), TermsError::BadAmount),
        (bad(&|terms| terms.total_fen = 7), TermsError::BadShares),
        (bad(&|terms| terms.recipients.clear()), TermsError::BadRecipients),
        (bad(&|terms| terms.recipients[1] = 0), TermsError::BadRecipients),
        (bad(&|terms| terms.recipients[2] = USER), TermsError::Oneself),
    ] {
        assert_eq!(world.call(call), Err(CallError::BadTerms(error)));
    }
    assert_eq!(world.call(send(16)), Err(CallError::SendTooLong { frames: 6 }));
    assert_eq!((world.sent.len(), world.session.in_flight()), (0, 0));
    assert!(world.call(send(15)).is_ok());
}

/// Expect: a send whose answer is lost is sent again whole, with the same req and the next attempt, and was
/// executed once.
#[test]
fn a_send_whose_answer_is_lost_comes_again() {
    let mut world = World::joined();
    let req = world.call(send(7)).unwrap();
    world.server.silent_on = vec![req];
    world.run_for_ms(40);
    world.server.silent_on = vec![];
    world.run_for_ms(200);
    assert_eq!(world.outcomes(), [(req, sent(req))]);
    assert_eq!((world.server.executed[&req], world.server.heard(Op::SendMore)), (1, 4));
    let attempts: Vec<u8> = world.sent.iter().map(|(_, frames)| frames[0].header.load_level).collect();
    assert_eq!(attempts, [0, 1]);
    let counts: Vec<u8> = world.sent.iter().map(|(_, frames)| frames[0].header.flags).collect();
    assert_eq!(counts, [0x82, 0x82], "two SEND_MORE, equal shares");
    assert_eq!(world.session.counters().retransmissions, 3, "frames");
}

/// Expect: a send that came incomplete is sent again with the same req; to the end of its time it is known not
/// to be done.
#[test]
fn an_incomplete_send_is_sent_again() {
    let mut world = World::joined();
    world.server.lose_more_times = 2;
    let req = world.call(send(6)).unwrap();
    world.run_for_ms(2_000);
    assert_eq!(world.outcomes(), [(req, sent(req))]);
    assert_eq!(world.sent_ms(Op::Send).len(), 3);
    world.server.lose_more_times = u32::MAX;
    let req = world.call(send(6)).unwrap();
    world.run_for_ms(11_000);
    assert_eq!(world.outcomes()[1..], [(req, known(Status::Busy))]);
    assert!(!world.server.executed.contains_key(&req));
}

/// Expect: after a rejoin an unanswered send is asked for, and never sent again: it ends with its own answer,
/// or as not done.
#[test]
fn after_a_rejoin_a_send_is_asked_for() {
    let mut world = World::joined();
    let done = world.call(send(54)).unwrap();
    world.server.silent_on = vec![done];
    world.run_for_ms(30);
    world.server.forget_session();
    world.server.silent_on = vec![];
    let lost = world.call(send(5)).unwrap();
    world.run_for_ms(21);
    world.sent.clear();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 100)), 1);
    world.run_for_ms(3_000);
    let mut outcomes = world.outcomes();
    outcomes.sort_by_key(|(req, _)| *req);
    assert_eq!(outcomes, [(done, sent(done)), (lost, known(Status::NotDone))]);
    assert_eq!((world.joins(), world.server.executed.len()), (1, 1));
    assert_eq!((world.server.heard(Op::Ask), world.sent_ms(Op::Send).len()), (3, 0));
}

/// Expect: an ASK that claims more than that nothing is known is no answer, and neither is a SEND of another
/// amount.
#[test]
fn wrong_answers_do_not_end_a_send() {
    let mut world = World::joined();
    let req = world.call(send(3)).unwrap();
    world.wire.clear();
    let right = Answer { packet: 9.into(), fen: 8_800.into(), ..answer(req, Status::Ok) };
    let wrong = [
        (Op::Ask, right),
        (Op::Ask, answer(req, Status::NotDone)),
        (Op::Send, Answer { fen: 8_799.into(), ..right }),
        (Op::Send, Answer { packet: 0.into(), ..right }),
        (Op::Send, answer(req, Status::Miss)),
    ];
    for (op, body) in wrong {
        let frame = world.server.sealed(op, &body);
        world.inject(&mut [frame]);
    }
    assert_eq!((world.session.counters().unexpected, world.session.in_flight()), (5, 1));
    let frame = world.server.sealed(Op::Send, &right);
    world.inject(&mut [frame]);
    assert_eq!(world.outcomes(), [(req, ok(9, 8_800))]);
}

/// Expect: each of the small requests brings what it is for, and a refusal as it is.
#[test]
fn small_requests_are_answered() {
    let mut world = World::joined();
    let refused = Outcome::Known(Reply { packet: 3, ..Reply::of(Status::Oneself) });
    let past = |at: usize| {
        let past = Some(Past { kind: Some(EntryKind::ALL[at]), when_s: WHEN_S });
        let (packet, fen) = (1_000 + at as u64, 2_000 + at as u64);
        Outcome::Known(Reply { packet, fen, past, ..Reply::of(Status::Ok) })
    };
    let too_much = Terms { total_fen: WALLET_FEN + 1, ..*terms(1) };
    for (call, outcome) in [
        (Call::Share { packet: 3, user: 8 }, ok(3, 0)),
        (Call::Share { packet: 3, user: USER }, refused),
        (Call::Grab { packet: 3 }, ok(3, 0)),
        (Call::Balance, ok(0, WALLET_FEN.into())),
        (Call::History { entry: 0 }, past(0)),
        (Call::History { entry: 5 }, past(5)),
        (Call::History { entry: 6 }, known(Status::NothingThere)),
        (Call::Invites { after: 0 }, ok(INVITED_TO[0], 50)),
        (Call::Invites { after: INVITED_TO[0] }, ok(INVITED_TO[1], 90)),
        (Call::Invites { after: INVITED_TO[1] }, known(Status::NothingThere)),
        (Call::Send { terms: Box::new(too_much) }, known(Status::TooLittleMoney)),
    ] {
        let req = world.call(call.clone()).unwrap();
        world.run_for_ms(30);
        assert_eq!(world.outcomes().last(), Some(&(req, outcome)), "{call:?}");
    }
}

/// Expect: each is sent again when its answer is lost, and asked for in the next session under its own op.
#[test]
fn small_requests_survive_loss_and_rejoin() {
    let calls = [
        Call::Share { packet: 3, user: 8 },
        Call::Grab { packet: 3 },
        Call::Balance,
        Call::History { entry: 2 },
        Call::Invites { after: 0 },
    ];
    for call in calls {
        let mut world = World::joined();
        let req = world.call(call.clone()).unwrap();
        world.server.silent_on = vec![req];
        world.run_for_ms(200);
        assert!(world.server.heard(call.op()) >= 2, "{call:?}");
        world.server.forget_session();
        world.server.silent_on = vec![];
        world.run_for_ms(3_000);
        assert_eq!((world.joins(), world.server.executed[&req]), (1, 1), "{call:?}");
        let [(answered, Outcome::Known(reply))] = world.outcomes()[..] else { panic!("{call:?}") };
        assert_eq!((answered, reply.status), (req, Status::Ok), "{call:?}");
    }
}

/// Expect: a kind of entry that this code does not know is told as such; a history that is put off waits as
/// long as it is told.
#[test]
fn a_history_may_be_put_off_and_may_know_more_than_we() {
    let mut world = World::joined();
    (world.server.put_off, world.server.put_off_times) = (Some((Status::Busy, 700)), 1);
    let req = world.call(Call::History { entry: 0 }).unwrap();
    world.run_for_ms(600);
    assert_eq!(world.sent_ms(Op::History).len(), 1);
    world.server.silent_on = vec![req];
    world.run_for_ms(400);
    assert!(world.sent_ms(Op::History)[1] >= world.sent_ms(Op::History)[0] + 720);
    let frame = world.server.sealed(Op::History, &Answer { reserved: [99, 0], ..answer(req, Status::Ok) });
    world.inject(&mut [frame]);
    let past = Some(Past { kind: None, when_s: 0 });
    assert_eq!(world.outcomes(), [(req, Outcome::Known(Reply { past, ..Reply::of(Status::Ok) }))]);
}

/// Expect: sends, shares and grabs wait for the disk, so answers to shakes and balances send none of them
/// again early, and those to opens do.
#[test]
fn what_waits_for_the_disk_is_overtaken_by_its_like_alone() {
    let config = Config { rto_ns_min: 5_000 * MS, rto_ns_max: 5_000 * MS, ..Config::default() };
    for call in [send(3), Call::Share { packet: 1, user: 2 }, Call::Grab { packet: 1 }] {
        let mut world = World::joined_with(config.clone());
        let op = call.op();
        world.call(call).unwrap();
        world.wire.clear();
        for later in [Call::Shake, Call::Balance, Call::Shake, Call::Balance] {
            world.run_for_ms(1);
            world.call(later).unwrap();
        }
        world.run_for_ms(100);
        assert_eq!((world.sent_ms(op).len(), world.outcomes().len()), (1, 4), "{op:?}");
        world.call(Call::Open { packet: 9 }).unwrap();
        world.run_for_ms(100);
        assert_eq!((world.sent_ms(op).len(), world.outcomes().len()), (2, 6), "{op:?}");
    }
}

/// Expect: every INVITE is told and acknowledged, also one that comes again; those of one datagram in one.
#[test]
fn invitations_are_told_and_acknowledged_each_time() {
    let mut world = World::joined();
    for packet in [7, 7] {
        let frame = world.server.sealed(Op::Invite, &invite(packet));
        world.inject(&mut [frame]);
    }
    let frames: Vec<Frame> = [8, 9].iter().map(|at| world.server.sealed(Op::Invite, &invite(*at))).collect();
    world.inject(&mut frames.clone());
    world.run_for_ms(50);
    let told = Event::Invited { packet: 7, from: 42, expiry_s: WHEN_S, shares: 500, total_fen: 88 };
    assert_eq!((world.events.len(), &world.events[..2]), (4, &[told.clone(), told][..]));
    assert_eq!((world.server.invite_oks.clone(), world.sent.len()), (vec![7, 7, 8, 9], 3));
}

/// Expect: INVITE_OK is not answered, so silence after it makes no session suspect; a keepalive still does.
#[test]
fn an_acknowledgement_waits_for_nothing() {
    let mut world = World::joined();
    let frame = world.server.sealed(Op::Invite, &invite(7));
    world.inject(&mut [frame]);
    world.run_for_ms(20_000);
    assert_eq!((world.sent.len(), world.session.hint()), (1, Hint::Smooth));
    assert_eq!(world.sent_ms(Op::Hello).len(), 0);
}

/// Expect: a flood of invitations is told, and acknowledged as far as the server may push; no packet 0.
#[test]
fn too_many_invitations_are_not_all_acknowledged() {
    let mut world = World::joined();
    let mut frames: Vec<Frame> = (0..18).map(|at| world.server.sealed(Op::Invite, &invite(at))).collect();
    world.inject(&mut frames);
    world.run_for_ms(50);
    assert_eq!((world.events.len(), world.session.counters().unexpected), (17, 1));
    assert_eq!(world.server.invite_oks, (1..=INVITES_PUSHED_MAX as u64).collect::<Vec<_>>());
}

/// Expect: what this code does not follow changes nothing; it is a sign of life all the same.
#[test]
fn a_redirect_is_ignored() {
    let mut world = World::joined();
    let frame = world.server.sealed(Op::Redirect, &answer(1, Status::Ok));
    world.inject(&mut [frame]);
    let frame = world.server.sealed(Op::Relay, &answer(1, Status::Ok));
    world.inject(&mut [frame]);
    world.run_for_ms(1_000);
    assert_eq!((world.events.len(), world.sent.len()), (0, 0));
    assert_eq!(world.session.counters(), &Counters { late: 1, ..Counters::default() });
}
