//! Scenarios: frames go into a core, and what comes out is read. Time is an argument.

mod handshakes;
mod hostile;
mod money;
mod paths;
mod requests;
mod world;
