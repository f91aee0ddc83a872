//! The client's side of a session: one user, without sockets, clocks or the system's randomness.
//!
//! A [`Session`] is driven by four verbs. [`Session::call`] takes a request, [`Session::receive`] the frames
//! of a datagram, [`Session::on_timeout`] the passing of [`Session::timeout_ns`]. After each of them
//! [`Session::transmit`] is called until it returns 0: it writes what has to be sent. What happened comes
//! out as [`Event`]s; every call ends in exactly one [`Event::Answered`].
//!
//! How it finds out that something was lost: `rto` (RFC 6298) and, when later requests are answered first,
//! `in_flight` (RFC 5681, RFC 5827). How it joins and joins again: `join`. How it spares a server that has more to
//! do than it can: `obey`, with `pace`, `throttle` (told locally "not this time") and `budget` (of retries).

mod budget;
mod class;
mod config;
mod event;
mod frames;
mod hint;
mod in_flight;
mod invitations;
mod join;
mod load;
mod obey;
mod pace;
mod receive;
mod rto;
mod session;
mod throttle;
mod transmit;
mod verdict;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use event::{Call, CallError, Counters, Event, Outcome, Past, Reply};
pub use hint::Hint;
pub use session::Session;

use crate::{FRAMES_PER_DATAGRAM_MAX, Frame};
use zerocopy::FromZeros;

/// Room for the frames of one datagram, all zero: what [`Session::transmit`] writes into.
pub fn datagram_buffer() -> [Frame; FRAMES_PER_DATAGRAM_MAX] {
    FromZeros::new_zeroed()
}
