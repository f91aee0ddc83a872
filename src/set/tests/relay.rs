//! RELAY: questions that go out to the backend, and who hears the answers.

use super::client::Client;
use super::world::{World, config, path, workers};
use crate::net::allocation::allocations;
use crate::set::fault::{self, Fault};
use crate::set::{Config, Drop, Job, Portable, SetState};
use redpkt_proto::backend::{BackendAnswer, BackendQuestion};
use redpkt_proto::body::{PathProof, Relay, RelayAnswer, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::{Frame, Op, Path, seal};
use zerocopy::IntoBytes as _;

fn served() -> Config {
    Config { relay_questions: 4, ..config() }
}

/// A RELAY that says `text`.
fn relay(client: &mut Client, text: &str) -> Frame {
    let mut message = [0; 20];
    message[..text.len()].copy_from_slice(text.as_bytes());
    let req = client.next_req();
    let body = Relay { req: req.into(), attempt: 3, reserved: 0, kind: 7, length: text.len() as u8, message };
    client.sealed(Op::Relay, &body)
}

/// What has gone out to the backend of the first worker.
fn asked(world: &mut World) -> Vec<BackendQuestion> {
    world.cores[0].take_questions().collect()
}

/// What a good backend answers.
fn answer(question: &BackendQuestion, text: &str) -> BackendAnswer {
    let mut message = [0; 20];
    message[..text.len()].copy_from_slice(text.as_bytes());
    let Relay { req, attempt, kind, .. } = question.relay;
    let length = text.len() as u8;
    let answer = RelayAnswer { req, attempt, status: Status::Ok as u8, kind, length, message };
    BackendAnswer { token: question.token, user: question.user, answer }
}

/// What comes out when the backend says this.
fn said(world: &mut World, said: &BackendAnswer) -> Vec<(Path, Frame)> {
    let mut out = Vec::new();
    world.cores[0].backend_said(said.as_bytes(), |path, frame| out.push((*path, *frame)));
    out
}

fn opened(client: &Client, frame: &Frame) -> RelayAnswer {
    let mut frame = *frame;
    seal::open(&client.key, &mut frame).expect("sealed for this session");
    assert_eq!(frame.header.op, Op::Relay as u8);
    frame.body()
}

/// The status of the one answer, and its retry-after where it is Busy.
fn refusal(client: &Client, frames: &[Frame]) -> (Option<Status>, u32) {
    let [frame] = frames else { panic!("one answer: {frames:?}") };
    let answer = opened(client, frame);
    let [a, b, c, d, ..] = answer.message;
    assert_eq!(answer.req.get(), client.req(client.counter));
    (Status::from_wire(answer.status), u32::from_le_bytes([a, b, c, d]))
}

/// Expect: user, req, attempt, kind and message go out; the answer comes back sealed to who has asked, with its own req
/// and attempt whatever the backend wrote there.
#[test]
fn a_message_goes_to_the_backend_and_its_answer_to_who_has_asked() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    let frame = relay(&mut client, "hello");
    assert_eq!(world.ask(client.path, &[frame]), []);
    let questions = asked(&mut world);
    let [question] = &questions[..] else { panic!("{questions:?}") };
    let Relay { req, attempt, kind, length, .. } = question.relay;
    assert_eq!((question.user.get(), req.get(), attempt), (1, client.req(1), 3));
    assert_eq!((kind, &question.relay.message[..usize::from(length)]), (7, &b"hello"[..]));
    assert_eq!(asked(&mut world), [], "once");

    let mut reply = answer(question, "welcome");
    (reply.answer.req, reply.answer.attempt, reply.answer.length) = (99.into(), 9, 255);
    let out = said(&mut world, &reply);
    assert_eq!((out.len(), out[0].0), (1, client.path));
    let heard = opened(&client, &out[0].1);
    assert_eq!((heard.req.get(), heard.attempt, heard.status, heard.length), (client.req(1), 3, 0, 20));
    assert_eq!(&heard.message[..7], b"welcome");
    assert!(!world.cores[0].awaits_backend());
    let counters = world.counters().relay;
    assert_eq!((counters.passed, counters.answered, counters.refused), (1, 1, 0));
}

/// Expect: what is late, comes twice, names another user or guesses a token is nobody's answer, and no frame leaves.
#[test]
fn an_answer_that_fits_no_question_is_ignored_and_counted() {
    let mut world = World::new(served());
    let (mut one, other) = (world.client(1), world.client(2));
    let frame = relay(&mut one, "a");
    world.ask(one.path, &[frame]);
    let question = asked(&mut world)[0];
    let good = answer(&question, "b");
    let guessed = BackendAnswer { token: (question.token.get() ^ 1 << 16).into(), ..good };
    let far = BackendAnswer { token: (question.token.get() | 0xffff).into(), ..good };
    let for_another = BackendAnswer { user: other.user().into(), ..good };
    for forged in [guessed, far, for_another] {
        assert_eq!(said(&mut world, &forged), []);
    }
    assert_eq!(world.counters().relay.unasked, 3);
    for bytes in [&[][..], &[0; 47], &[0; 49], &[0; 64]] {
        world.cores[0].backend_said(bytes, |_, _| panic!("it is no answer"));
    }
    assert_eq!(world.counters().relay.malformed, 4);
    assert_eq!(said(&mut world, &good).len(), 1);
    assert_eq!((said(&mut world, &good), world.counters().relay.unasked), (vec![], 4), "twice");
    // The place is used again: an answer to what had it before is late.
    let frame = relay(&mut one, "c");
    world.ask(one.path, &[frame]);
    assert_ne!(asked(&mut world)[0].token, question.token);
    assert_eq!((said(&mut world, &good), world.counters().relay.unasked), (vec![], 5));
}

/// Expect: an answer is for the session that asked: not for the user's next one.
#[test]
fn an_answer_does_not_reach_a_later_session() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    let frame = relay(&mut client, "a");
    world.ask(client.path, &[frame]);
    let question = asked(&mut world)[0];
    client.join(&mut world);
    assert_eq!(said(&mut world, &answer(&question, "b")), []);
    assert_eq!(world.counters().relay.undelivered, 1);
}

/// Expect: an address that is not proved gets Busy and is told to prove itself, nothing is passed on for it; and who
/// proves another address before the answer came does not hear it.
#[test]
fn answers_go_to_proved_addresses_only() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    let frame = relay(&mut client, "a");
    world.ask(client.path, &[frame]);
    let question = asked(&mut world)[0];

    client.path = path(9);
    let frame = relay(&mut client, "b");
    let out = world.ask(client.path, &[frame]);
    assert_eq!((refusal(&client, &out), out[0].header.flags), ((Some(Status::Busy), 250), flags::PROVE_PATH));
    assert_eq!(asked(&mut world), []);

    let keepalive = client.keepalive_frame(1);
    let mut proof = world.ask(client.path, &[keepalive])[0];
    seal::open(&client.key, &mut proof).unwrap();
    let ok = client.sealed(Op::PathOk, &proof.body::<PathProof>());
    world.ask(client.path, &[ok]);
    assert_eq!(said(&mut world, &answer(&question, "c")), []);
    assert_eq!(world.counters().relay.undelivered, 1);
    let frame = relay(&mut client, "d");
    assert_eq!(world.ask(client.path, &[frame]), []);
    assert_eq!(asked(&mut world).len(), 1);
}

/// Expect: without a backend the answer is final, so that nobody asks for ever.
#[test]
fn without_a_backend_nothing_is_done() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let frame = relay(&mut client, "a");
    let out = world.ask(client.path, &[frame]);
    assert_eq!(refusal(&client, &out), (Some(Status::NotDone), 0));
    world.cores[0].backend_said(&[0; 48], |_, _| panic!("nobody has asked"));
    assert_eq!(world.counters().relay.refused, 1);
}

/// Expect: a backend that does not answer holds as many questions as the table has places and no more: further ones are
/// told Busy, shakes are answered as ever, and after a second all are told to ask again, and the places are free.
#[test]
fn a_silent_backend_holds_up_nobody() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    for _ in 0..4 {
        let frame = relay(&mut client, "a");
        assert_eq!(world.ask(client.path, &[frame]), []);
    }
    for _ in 0..3 {
        let frame = relay(&mut client, "b");
        let out = world.ask(client.path, &[frame]);
        let (status, retry_after_ms) = refusal(&client, &out);
        assert!(status == Some(Status::Busy) && (500..=1_000).contains(&retry_after_ms), "{retry_after_ms}");
        assert_eq!(client.shake(&mut world).status, Status::Miss);
    }
    let questions = asked(&mut world);
    assert_eq!((questions.len(), world.dropped(Drop::Relay)), (4, 3));
    world.pass_ms(999);
    assert_eq!(world.settle(), []);
    world.pass_ms(2);
    let out = world.settle();
    assert_eq!((out.len(), world.counters().relay.expired), (4, 4));
    for (_, frames) in &out {
        assert_eq!(opened(&client, &frames[0]).status, Status::Busy as u8);
    }
    assert_eq!(
        (said(&mut world, &answer(&questions[0], "late")), world.counters().relay.unasked),
        (vec![], 1)
    );
    let frame = relay(&mut client, "c");
    assert_eq!((world.ask(client.path, &[frame]), asked(&mut world).len()), (vec![], 1));
}

/// Expect: once the network says that nobody is there, who waits is told at once and nothing is passed on for a second;
/// then it is tried again.
#[test]
fn a_backend_that_is_gone_is_left_alone_for_a_while() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    let frame = relay(&mut client, "a");
    world.ask(client.path, &[frame]);
    asked(&mut world);
    let now = world.now;
    world.cores[0].backend_is_away(now);
    world.pass_ms(2);
    let out = world.settle();
    assert_eq!((out.len(), refusal(&client, &out[0].1).0), (1, Some(Status::Busy)));
    let frame = relay(&mut client, "b");
    let out = world.ask(client.path, &[frame]);
    assert_eq!((refusal(&client, &out).0, asked(&mut world).len()), (Some(Status::Busy), 0));
    world.pass_ms(1_000);
    let frame = relay(&mut client, "c");
    assert_eq!((world.ask(client.path, &[frame]), asked(&mut world).len()), (vec![], 1));
}

/// Expect: one turn passes on no more than its budget, however many users ask, and one user no more than his rate.
#[test]
fn a_flood_of_messages_has_a_budget() {
    let mut world = World::new(Config { relay_questions: 1_000, ..config() });
    let mut client = world.client(1);
    let frames: Vec<Frame> = (0..400).map(|_| relay(&mut client, "a")).collect();
    let out: Vec<Frame> = frames.chunks(10).flat_map(|frames| world.ask(client.path, frames)).collect();
    assert_eq!((asked(&mut world).len(), out.len()), (256, 144));
    assert!(out.iter().all(|frame| opened(&client, frame).status == Status::Busy as u8));

    let mut world = World::new(Config { relay_questions: 1_000, shakes_per_s: 10, ..config() });
    let mut client = world.client(1);
    let frames: Vec<Frame> = (0..18).map(|_| relay(&mut client, "a")).collect();
    let out = world.ask(client.path, &frames);
    assert_eq!((asked(&mut world).len(), out.len(), world.dropped(Drop::Rate)), (10, 8, 8));
}

/// Expect: a message takes no place in the window: its req may come again and is asked again, and a shake under the
/// next one is answered.
#[test]
fn a_message_is_not_executed_at_most_once() {
    let mut world = World::new(served());
    let mut client = world.client(1);
    let frame = relay(&mut client, "a");
    world.ask(client.path, &[frame]);
    client.counter -= 1;
    let again = relay(&mut client, "a");
    world.ask(client.path, &[again]);
    assert_eq!(asked(&mut world).len(), 2);
    assert_eq!(client.shake(&mut world).status, Status::Miss);
}

/// Expect: users of a masked SET are told Busy in the layout of RELAY, those of others are served.
#[test]
fn a_masked_set_passes_nothing_on() {
    let mut world = World::new(Config { relay_questions: 4, ..workers(1) });
    let (mut one, mut other) = (world.client(1), world.find(&[1], |group| group == 1));
    let set = world.set_of(1);
    if world.set_of(other) == set {
        other = (1..).find(|user| world.set_of(*user) != set).unwrap();
    }
    let mut other = world.client(other);
    fault::arm(Fault::Shake);
    let shake = one.shake_frame();
    assert_eq!(world.ask(one.path, &[shake]), []);
    assert_eq!(world.set_state(set), SetState::Masked);
    let frame = relay(&mut one, "a");
    let out = world.ask(one.path, &[frame]);
    assert_eq!(refusal(&one, &out), (Some(Status::Busy), 5_000));
    let frame = relay(&mut other, "b");
    assert_eq!((world.ask(other.path, &[frame]), asked(&mut world).len()), (vec![], 1));
}

/// Expect: neither messages and their answers nor the counts of prefixes take anything from the allocator.
#[test]
fn messages_and_joins_allocate_nothing() {
    let mut world = World::new(Config { prefix_sessions: 3, prefix_joins_per_s: 4, ..served() });
    let mut client = world.client(1);
    let mut relays: Vec<Frame> = (0..16).map(|_| relay(&mut client, "a")).collect();
    let mut joins: Vec<(Path, Frame)> = Vec::new();
    for user in 2..=5 {
        let stranger = world.stranger(user);
        let challenge = stranger.challenge(&mut world);
        joins.push((stranger.path, stranger.join_frame(&challenge)));
    }
    let (core, now) = (&mut world.cores[0], world.now);
    let count = allocations(|| {
        for frame in &mut relays {
            let mut jobs = [Job { path: client.path, frames: std::slice::from_mut(frame), replies: 0 }];
            core.handle_batch(now, 0, &mut jobs, Portable);
            let question = core.take_questions().next().expect("each is passed on");
            core.backend_said(answer(&question, "b").as_bytes(), |_, _| {});
            core.turn(now, |_, _| {});
        }
        for (path, frame) in &mut joins {
            let mut jobs = [Job { path: *path, frames: std::slice::from_mut(frame), replies: 0 }];
            core.handle_batch(now, 0, &mut jobs, Portable);
        }
    });
    assert_eq!(count, 0);
    let counters = world.counters();
    assert_eq!((counters.relay.answered, counters.joins, world.dropped(Drop::Prefix)), (16, 3, 2));
}
