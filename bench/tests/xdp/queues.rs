//! Queues and workers in every proportion: each datagram comes to its owner, and everyone is answered.

use crate::common::*;
use crate::world::{KernelUdp, assert_by_xdp, content, serve};
use serde_json::Value;

const USERS: u64 = 100;

/// What the server tells after all users were answered, and what the kernel's UDP sent for it.
fn all_are_answered(queues: u32, workers: &str) -> (Value, u64) {
    lab(queues);
    let keys = Keys::new();
    let server =
        serve(&keys, &["--xdp-mode", "native", "--workers", workers, "--groups", "4", "--sets", "64"]);
    let before = KernelUdp::now();
    content(server.addr(), &keys, 1..=USERS);
    let stats = server.stats_when("all joins", |stats| stats["joins"] == USERS);
    assert_by_xdp(&stats, "native", queues);
    assert_eq!(stats["workers"].as_array().unwrap().len().to_string(), workers);
    let after = KernelUdp::now();
    assert_eq!(after.received, before.received, "a datagram came through the kernel's stack");
    (stats, after.sent - before.sent)
}

/// Expect: one worker empties both queues, and answers through them.
#[test]
fn two_queues_of_one_worker() {
    let (stats, sent_by_kernel) = all_are_answered(2, "1");
    assert_eq!((&stats["handed_over"], sent_by_kernel), (&0.into(), 0));
}

/// Expect: what came into the other's queue is handed over, nothing is lost, and answers leave by queues.
#[test]
fn two_queues_of_two_workers() {
    let (stats, sent_by_kernel) = all_are_answered(2, "2");
    assert!(stats["handed_over"].as_u64() > Some(0));
    assert_eq!((&stats["drops"]["ring_full"], sent_by_kernel), (&0.into(), 0));
}

/// Expect: the worker without a queue is handed its datagrams and answers through the kernel.
#[test]
fn one_queue_of_two_workers() {
    let (stats, sent_by_kernel) = all_are_answered(1, "2");
    assert!(stats["handed_over"].as_u64() > Some(0));
    assert!(sent_by_kernel > 0);
}

/// Expect: the same with two of each kind.
#[test]
fn two_queues_of_four_workers() {
    let (stats, sent_by_kernel) = all_are_answered(2, "4");
    assert!(stats["handed_over"].as_u64() > Some(0));
    assert!(sent_by_kernel > 0);
}
