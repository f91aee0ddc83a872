//! `redpkt-bench run`: opens the sessions of many users, then lets them shake, and send, at a rate, whatever the
//! server does (an open loop), lets them take what they win and are invited to, and checks every answer.
//!
//! | file | what |
//! |---|---|
//! | `args`, `options` | the command line; what it means, checked |
//! | `schedule`, `share`, `stride`, `phases` | who shakes when, on every host alike; at rates that change |
//! | `fleet` | all threads: opening sessions (`joining`), a run, what they found out (`gather`) |
//! | `generator`, `seconds` | one thread: its sockets and the turns it takes; its seconds |
//! | `crowd` | its users: sessions, what they wait for (`wheel`), what they do next (`mix`, `habits`), what came of it (`book`, `counts`) |
//! | `remote` | a run that is watched and steered by HTTP: its rate, its churn, its figures |
//! | `shots`, `coming` | the next shot, planned or told; users who come late or again |
//! | `deposit`, `order` | money for users before the run; packets of the house during it |
//! | `clock` | our clock, and how far it is from the server's |
//! | `console`, `spectrum`, `output` | what a person sees, and the files |
//! | `report`, `outcomes`, `check`, `tally` | what a run found out; whether it can be true; what each user was told about money |
//! | `series` | the same piece by piece of the run's time |
//! | `host`, `kernel`, `server_side` | the machine, its UDP counters, the server's counters |

mod args;
mod book;
mod check;
mod clock;
mod coming;
mod console;
mod counts;
mod crowd;
mod deposit;
mod fleet;
mod gather;
mod generator;
mod habits;
mod host;
mod joining;
mod kernel;
mod mix;
mod options;
mod order;
mod outcomes;
mod output;
mod phases;
mod remote;
mod report;
mod schedule;
mod seconds;
mod series;
mod server_side;
mod share;
mod shots;
mod spectrum;
mod stride;
mod tally;
#[cfg(test)]
mod tests;
mod totals;
mod wheel;
mod xdp;

pub use args::RunArgs;
pub(crate) use console::grouped;
pub use console::{Console, summary};
pub use deposit::deposit;
pub use fleet::Fleet;
pub use habits::SendHabit;
pub use host::Host;
pub use kernel::KernelCheck;
pub use mix::Mix;
pub use options::{IdleSet, RunOptions};
pub use order::OrderFound;
pub use outcomes::{Invites, Opens, Requests, Shakes};
pub use output::Outputs;
pub use phases::Phase;
pub use remote::{Remote, RunPhase, parse_per_s, split};
pub use report::{Check, Joins, Percentiles, RefusedFrames, Report, ScheduleKept, Second, SocketTrouble};
pub use schedule::{Arrivals, Rate};
pub use series::{Apart, Piece, Requested, Series, SeriesOptions};
pub use server_side::ServerSide;
pub use spectrum::text as spectrum;
pub use tally::{Outcome, Row, write_rows, write_tally};
pub use xdp::XdpClient;

use redpkt::cli::Failure;
use std::time::Instant;

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Users are being paid.
    Paying {
        /// That were.
        paid: u64,
        /// That will be.
        users: u64,
    },
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
    /// When the first shot is due.
    Begins(Instant),
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
    options.check()?;
    deposit(options, progress)?;
    let mut fleet = Fleet::join(options, progress)?;
    fleet.measure(options, progress)
}

/// Runs the command.
#[expect(clippy::needless_pass_by_value, reason = "all commands take their options alike")]
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let (mut options, outputs) = (args.options()?, args.outputs());
    outputs.prepare()?;
    let remote = Remote::listen(&mut options)?;
    if let Some((_, addr)) = &remote {
        eprintln!("HTTP at http://{addr}: /stats.json, POST /qps?target=N, POST /stop");
    }
    let mut console = Console::new(args.is_quiet());
    let report = execute(&options, &mut |progress| console.show(&progress))?;
    if let Some((remote, _)) = &remote {
        remote.set_phase(RunPhase::Done);
    }
    outputs.write(&report)?;
    if outputs.takes_stdout() {
        eprint!("{}", summary(&report));
    } else {
        print!("{}", summary(&report));
    }
    match report.check.ok {
        true => Ok(()),
        false => Err(Failure::check(format!("the check failed: {}", report.check.problems.join("; ")))),
    }
}
