//! Scenarios: frames go into a core, and what comes out is read. Time is an argument.

mod elsewhere;
mod handshakes;
mod hostile;
mod money;
mod paths;
mod payments;
mod requests;
mod sends;
mod storms;
mod world;
