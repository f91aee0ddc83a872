//! The redpkt wire: what goes into a datagram, how it is sealed, and the client's side of a session.
//!
//! Nothing here knows sockets, threads, clocks or the operating system's randomness: time and random
//! generators come in as arguments, so production, tests and simulators run the same code.
//! `PROTOCOL.md` in this folder describes the same wire in byte tables.

#![forbid(unsafe_code)]

pub mod backend;
pub mod body;
pub mod client;
pub mod cookie;
pub mod derive;
pub mod frame;
pub mod handshake;
pub mod keylog;
pub mod keyring;
pub mod limits;
pub mod path;
pub mod replay;
pub mod seal;
pub mod steer;
pub mod terms;
pub mod ticket;
pub mod time;

pub use frame::{Direction, Frame, Header, Op};
pub use limits::*;
pub use path::Path;
pub use terms::{Terms, TermsError};
pub use time::Now;

/// The cryptographic generator that every function here takes where it needs randomness.
/// Production seeds it from the operating system, tests from a fixed number.
pub type Rng = rand_chacha::ChaCha12Rng;
