//! `redpkt-bench run`: opens the sessions of many users, then lets them shake at a rate, whatever the server
//! does (an open loop), and checks every answer.
//!
//! | file | what |
//! |---|---|
//! | `args`, `options` | the command line; what it means, checked |
//! | `schedule` | who shakes when, on every host alike |
//! | `report` | what a run found out |
//! | `host`, `kernel`, `server_side` | the machine, its UDP counters, the server's counters |
//! | `tally` | what each user was told about money |
//! | `wheel` | timers of a million users |

mod args;
mod host;
mod kernel;
mod options;
mod report;
mod schedule;
mod server_side;
mod tally;
mod wheel;

pub use args::RunArgs;
pub use host::Host;
pub use kernel::{KernelCheck, UdpCounters};
pub use options::{BadWire, RunOptions};
pub use report::{
    Check, Joins, Opens, Percentiles, RefusedFrames, Report, ScheduleKept, Second, Shakes, SocketTrouble,
};
pub use schedule::{Arrivals, Rate};
pub use server_side::ServerSide;
pub use tally::{Outcome, Row};

use redpkt::cli::Failure;

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Sessions are being opened.
    Joining {
        /// That are open.
        joined: u64,
        /// That will be.
        users: u64,
        /// Opened in the last second.
        joins_per_s: f64,
    },
    /// All are open.
    Joined(Joins),
    /// A second of the run is over.
    Second(Second),
    /// No more shots; waits for the last answers.
    Draining {
        /// Requests without an answer.
        outstanding: u64,
    },
    /// Worth knowing.
    Warning(String),
}

/// Opens the sessions, runs the load, and checks every answer. A failed check is no failure here: see
/// [`Report::check`].
pub fn execute(options: &RunOptions, progress: &mut dyn FnMut(Progress)) -> Result<Report, Failure> {
    let mut fleet = Fleet::join(options, progress)?;
    fleet.measure(options, progress)
}

/// Users with open sessions, on threads of their own. They keep their sessions alive until it is dropped.
pub struct Fleet {}

impl Fleet {
    /// Opens a session for each user of this host.
    pub fn join(options: &RunOptions, _progress: &mut dyn FnMut(Progress)) -> Result<Fleet, Failure> {
        options.check()?;
        Err(Failure::machine("not built yet"))
    }

    /// Lets them shake. Rate, duration, arrivals, opens, frames and alignment may differ from those of the
    /// join, and from run to run; the rest is as it was.
    pub fn measure(
        &mut self,
        _options: &RunOptions,
        _progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, Failure> {
        Err(Failure::machine("not built yet"))
    }
}

/// Runs the command.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let options = args.options()?;
    execute(&options, &mut |_| ()).map(|_| ())
}
