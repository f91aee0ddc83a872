//! Scenarios: frames go into a core, and what comes out is read. Time is an argument.

mod bounds;
mod client;
mod elsewhere;
mod handshakes;
mod hostile;
mod masks;
mod money;
mod once;
mod paths;
mod payments;
mod prefixes;
mod relay;
mod requests;
mod sends;
mod shed;
mod stalls;
mod storms;
mod world;
