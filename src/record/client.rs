//! What of a load client's `/stats.json` is kept. Names are the contract's; what is missing is 0.

use crate::telemetry::machine::Machine;
use serde::{Deserialize, Serialize};

/// A load client's figures at one moment. Totals since its start, where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientReading {
    /// When it was read, in ms since 1970, by the client's clock.
    pub wall_ms: u64,
    /// Since its start.
    pub uptime_s: f64,
    /// The version of the program.
    pub version: String,
    /// `joining`, `running`, `draining` or `done`, now.
    pub phase: String,
    /// The server's address.
    pub target: String,
    /// Which host of how many it is.
    pub host: u64,
    /// How many hosts share the load.
    pub hosts: u64,
    /// Its users.
    pub users: u64,
    /// Live sessions, now.
    pub sessions: u64,
    /// The rate it is to reach, now.
    pub target_qps: f64,
    /// Requests made.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Requests sent once more.
    pub retransmits: u64,
    /// Answers that said to come again later.
    pub busy: u64,
    /// Sessions that began anew.
    pub rejoins: u64,
    /// Frames out.
    pub frames_sent: u64,
    /// Frames in.
    pub frames_received: u64,
    /// Datagrams out.
    pub datagrams_sent: u64,
    /// Datagrams in.
    pub datagrams_received: u64,
    /// Shakes by outcome.
    pub shake: Shakes,
    /// Opens by outcome.
    pub open: Opens,
    /// Packets made for others.
    pub sends: u64,
    /// Invitations that came.
    pub invited: u64,
    /// What the kernel and the drivers count where it is.
    pub machine: Machine,
}

/// Shakes by outcome, as the client was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shakes {
    /// Asked.
    pub sent: u64,
    /// Won nothing.
    pub miss: u64,
    /// Won a packet.
    pub win: u64,
}

/// Opens by outcome, as the client was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opens {
    /// Asked.
    pub sent: u64,
    /// Took money.
    pub ok: u64,
    /// Found nothing to take.
    pub empty: u64,
    /// What was taken, in fen.
    pub fen: u64,
}
