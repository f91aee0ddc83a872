//! What a server is started with, checked.

use super::io::Io;
use crate::capture::CaptureSettings;
use crate::ledger::sqlite::JournalOptions;
use crate::set::book::Order;
use crate::set::prefixes::share;
use crate::set::{Capacity, Config};
use crate::worker::{Idle, Plan};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::steer::Layout;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A checked configuration: every number in it is possible, alone and with the others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen for datagrams.
    pub listen: Vec<SocketAddr>,
    /// How SETs are divided.
    pub layout: Layout,
    /// The core of each worker; empty to leave them to the kernel.
    pub cores: Vec<usize>,
    /// How datagrams move.
    pub io: Io,
    /// Datagrams that a worker takes at once.
    pub batch: usize,
    /// Whether the kernel is given the steering program.
    pub steering: bool,
    /// What is given up at which load.
    pub service: Plan,
    /// The file that it came from, to read it again on SIGHUP.
    pub service_file: Option<PathBuf>,
    /// What a worker does when nothing waits.
    pub idle: Idle,
    /// Top 16 bits of packet ids.
    pub machine: u16,
    /// Sessions, accounts and packets in all, as asked for.
    pub totals: Totals,
    /// Sessions that one source prefix may hold; 0 means no limit.
    pub prefix_sessions: u64,
    /// Handshakes that one source prefix may have in a second; 0 means no limit.
    pub prefix_joins: u32,
    /// Where RELAY messages are passed to.
    pub relay: Option<SocketAddr>,
    /// Shakes that a user gets answered in a second; 0 means no limit.
    pub shakes_per_s: u16,
    /// Packets that a user can win by shaking; 0 means no limit.
    pub wins_per_user: u32,
    /// How long a packet can be taken from, in seconds.
    pub packet_life_s: u32,
    /// How often clients are told to send something, in seconds.
    pub keepalive_s: u16,
    /// After how much silence a session ends, in seconds.
    pub idle_s: u16,
    /// Server keys, and the file they came from, to read it again on SIGHUP.
    pub keys: KeyRing,
    /// Where the keys came from.
    pub key_file: PathBuf,
    /// The HTTP side; `None` for none.
    pub http: Option<super::HttpSettings>,
    /// Where journals are kept; `None` for nowhere.
    pub ledger: Option<PathBuf>,
    /// The order `start`.
    pub mint: Option<Order>,
    /// Whether its time was given as a time of day: after a restart it may be the order of an earlier day.
    pub mint_any_day: bool,
    /// A JSON line each second instead of a text line.
    pub json_lines: bool,
    /// Whether workers measure how long requests take, and what holds them up.
    pub telemetry: bool,
    /// What is written of the traffic.
    pub capture: CaptureSettings,
    /// Whether a SET can be made to panic by hand.
    pub drills: bool,
}

/// Records of each kind in all SETs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sessions.
    pub sessions: u64,
    /// Accounts.
    pub accounts: u64,
    /// Packets.
    pub packets: u64,
    /// Users that packets are for: winners, and who was invited.
    pub members: u64,
}

/// Fen that all orders of a server may mint together: amounts and their sums are kept in 63 bits, so that a
/// signed 64-bit column of a ledger holds every one of them.
pub const FEN_IN_ALL_MAX: u128 = i64::MAX as u128;

/// Rows that may wait for their commits, in all groups together: a ring is held ready for them.
const ROWS_WAITING_MAX: usize = 524_288;

/// Bytes of a row that waits.
const ROW_BYTES: u64 = 112;

/// Answers that may wait for the disk in each group.
const PROMISES_PER_GROUP: usize = 16_384;

/// Questions to the backend that may be unanswered at once, of one worker: 200 KiB. With a backend that answers in
/// 10 ms that is 200,000 a second.
const RELAY_QUESTIONS_PER_WORKER: usize = 2_048;

/// Invitations that may be on their way to users of one worker at once.
const PUSHES_PER_WORKER: usize = 16_384;

impl Settings {
    /// What the core of one worker is told.
    pub fn core_config(&self, worker: u32) -> Config {
        let Totals { sessions, accounts, packets, members } = self.totals;
        Config {
            machine: self.machine,
            layout: self.layout,
            worker,
            capacity: Capacity::of_totals(self.layout.sets, sessions, accounts, packets, members),
            // A SET never has more slots than 32 bits hold.
            prefix_sessions: share(self.prefix_sessions, self.layout.sets).min(u32::MAX.into()) as u32,
            prefix_joins_per_s: share(self.prefix_joins.into(), self.layout.workers) as u32,
            relay_questions: if self.relay.is_some() { RELAY_QUESTIONS_PER_WORKER } else { 0 },
            shakes_per_s: self.shakes_per_s,
            keepalive_s: self.keepalive_s,
            idle_s: self.idle_s,
            promises: PROMISES_PER_GROUP,
            pushes: PUSHES_PER_WORKER,
            wins_per_user: self.wins_per_user,
            packet_life_s: self.packet_life_s,
        }
    }

    /// How each journal is run.
    pub fn journal_options(&self) -> JournalOptions {
        let default = JournalOptions::default();
        let share = ROWS_WAITING_MAX / self.layout.groups as usize;
        JournalOptions { rows_waiting_max: share.clamp(4_096, default.rows_waiting_max), ..default }
    }

    /// The cores of the workers, in order; none if they are not pinned.
    pub fn worker_cores(&self) -> &[usize] {
        &self.cores[..self.cores.len().min(self.layout.workers as usize)]
    }

    /// Bytes that the cores of all workers take, and the rings to the journals.
    pub fn bytes(&self) -> u64 {
        let cores: u64 = (0..self.layout.workers).map(|worker| self.core_config(worker).bytes() as u64).sum();
        let rows = self.ledger.as_ref().map_or(0, |_| self.journal_options().rows_waiting_max as u64);
        cores + rows * ROW_BYTES * u64::from(self.layout.groups)
    }
}
