//! A server on an interface's queues, end to end: every way in which its datagrams, its neighbours' and broken ones
//! come, what is said when it cannot be, and what it does when its interface goes. Each test has a lab of its own
//! (two network namespaces and a veth pair); all are skipped, with the reason, where no lab can be made.

#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports, reason = "what the tests stand on serves those of `e2e` too")]

#[path = "../e2e/common/mod.rs"]
mod common;
mod frames;
mod world;

mod addresses;
mod counters;
mod doctor;
mod drops;
mod fallback;
mod gone;
mod neighbours;
mod queues;
mod refusals;
mod vlan;

/// Where the servers of these tests are.
const PLACE: common::Place = common::Place::Lab { io: "xdp" };
