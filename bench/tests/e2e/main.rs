//! End-to-end tests: real servers as child processes, real sockets on loopback, and clients that behave or
//! do not. Each test is named by the rule it holds.

#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports, reason = "what the tests stand on serves `e2e_xdp` and `xdp` too")]

mod common;

mod bad_input;
mod captured;
mod doctor;
mod forged;
mod http;
mod keys;
mod loss;
mod money;
mod money_disk;
mod money_http;
mod operator;
mod page;
mod prefixes;
mod reflection;
mod relay;
mod restart;
mod service;
mod sessions;
mod sets_http;
mod steered;
mod stopping;
mod telemetry;
mod workers;

/// Where the servers of these tests are; `e2e_xdp` has them elsewhere.
const PLACE: common::Place = common::Place::Loopback;
