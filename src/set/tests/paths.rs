//! Change of address, and what an address that has not proved itself gets.

use super::client::said;
use super::world::{World, config, path};
use crate::set::Drop;
use redpkt_proto::body::{PathProof, Status};
use redpkt_proto::frame::flags;
use redpkt_proto::seal;
use redpkt_proto::{Frame, Op};

fn opened(client: &super::client::Client, frame: &Frame) -> Frame {
    let mut frame = *frame;
    seal::open(&client.key, &mut frame).unwrap();
    frame
}

/// Expect: answered at once with a flag; one frame for one frame; proved by PATH and PATH_OK.
#[test]
fn a_new_address_is_answered_at_once_and_proves_itself() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    client.path = path(9);
    let shake = client.shake_frame();
    let out = world.ask(client.path, &[shake]);
    assert_eq!((out.len(), out[0].header.flags), (1, flags::PROVE_PATH));
    assert_eq!(client.answer(&out[0]).status, Status::Miss as u8);

    let keepalive = client.keepalive_frame(5);
    let out = world.ask(client.path, &[keepalive]);
    assert_eq!((out.len(), out[0].header.op), (1, Op::Path as u8));
    let proof: PathProof = opened(&client, &out[0]).body();

    // The proof counts only where it was sent to.
    let elsewhere = client.sealed(Op::PathOk, &proof);
    assert_eq!(world.ask(path(10), &[elsewhere]), []);
    assert_eq!((world.dropped(Drop::Cookie), world.counters().path_changes), (1, 0));

    let ok = client.sealed(Op::PathOk, &proof);
    let out = world.ask(client.path, &[ok]);
    assert_eq!((out.len(), out[0].header.op), (1, Op::Keepalive as u8));
    assert_eq!(world.counters().path_changes, 1);
    let shake = client.shake_frame();
    assert_eq!(world.ask(client.path, &[shake])[0].header.flags, 0);
}

/// Expect: a promise goes to where its request came from, and says that the address is to be proved.
#[test]
fn an_answer_that_waited_goes_where_its_request_came_from() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    world.mint(1, 50);
    world.ledger.set_disk(false);
    let shake = client.shake_frame();
    assert_eq!(world.ask(path(9), &[shake]), []);
    world.ledger.set_disk(true);
    let out = world.settle();
    assert_eq!((out.len(), out[0].0, out[0].1[0].header.flags), (1, path(9), flags::PROVE_PATH));
}

/// Expect: a keepalive from the proved address comes back with its token.
#[test]
fn a_keepalive_is_answered_with_its_token() {
    let mut world = World::new(config());
    let mut client = world.client(1);
    let keepalive = client.keepalive_frame(77);
    let out = world.ask(client.path, &[keepalive]);
    let answer: redpkt_proto::body::Keepalive = opened(&client, &out[0]).body();
    assert_eq!((answer.token.get(), answer.server_wall_ms.get()), (77, world.now.wall_ms));
    assert_eq!(client.shake(&mut world), said(Status::Miss));
}
