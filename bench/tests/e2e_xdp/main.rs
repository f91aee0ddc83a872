//! The end-to-end tests once more, over AF_XDP: each test makes a lab of its own (two network namespaces and a
//! veth pair), its server takes datagrams from the interface on one side, and its clients are ordinary sockets
//! on the other. Skipped, with the reason, where no lab can be made.
//!
//! Not here, because the engine makes no difference to them or cannot be there: what operators get wrong
//! and HTTP (`operator`, `http`), and servers that speak to each other or to themselves from one machine (`forged`),
//! whose datagrams never pass an interface.

#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports, reason = "what the tests stand on serves those of `e2e` too")]

#[path = "../e2e/common/mod.rs"]
mod common;

#[path = "../e2e/bad_input.rs"]
mod bad_input;
#[path = "../e2e/captured.rs"]
mod captured;
#[path = "../e2e/keys.rs"]
mod keys;
#[path = "../e2e/loss.rs"]
mod loss;
#[path = "../e2e/money.rs"]
mod money;
#[path = "../e2e/money_disk.rs"]
mod money_disk;
#[path = "../e2e/money_http.rs"]
mod money_http;
#[path = "../e2e/reflection.rs"]
mod reflection;
#[path = "../e2e/restart.rs"]
mod restart;
#[path = "../e2e/sessions.rs"]
mod sessions;
#[path = "../e2e/stopping.rs"]
mod stopping;
#[path = "../e2e/workers.rs"]
mod workers;

/// Where the servers of these tests are.
const PLACE: common::Place = common::Place::Lab { io: "xdp" };
