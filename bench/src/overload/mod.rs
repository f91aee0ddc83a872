//! `redpkt-bench overload`: what is given up, and what is not, when more comes than the server can do: the knee, then
//! several times of it with clients that obey and that do not, floods, failures and a wave; a bare echo beside it.
//!
//! Server and load in a lab, a core each. One client core cannot offer a whole server core several times what it can
//! do, so a thread that does nothing else takes the greater part of the server's core (`--share`).
//!
//! | file | what |
//! |---|---|
//! | `table` | all that can be shown, by name |
//! | `knee` | the search for the knee |
//! | `stage`, `thief`, `disk` | a server with a part of a core, its ledger and its users; a disk that is full |
//! | `watch` | a run, the server's own figures beside it, and what is done to it meanwhile |
//! | `times`, `floods`, `greedy`, `failures` | the scenarios |
//! | `bare_echo`, `refusal` | what no protection does; what a refusal costs |
//! | `figures`, `scenario`, `report` | what came of it |
//! | `plot`, `pictures` | the same as pictures |

mod bare_echo;
mod disk;
mod failures;
mod figures;
mod floods;
mod greedy;
mod knee;
mod pictures;
mod plot;
mod refusal;
mod report;
mod scenario;
mod stage;
mod table;
mod thief;
mod times;
mod watch;

use crate::child::guard;
use crate::floor::{CorePair, siblings};
use crate::json_or_text;
use crate::lab::{Lab, Side};
use crate::run::Host;
use clap::Args;
use redpkt::cli::Failure;
use redpkt::net::affinity::allowed_cores;
use report::Report;
use stage::{Times, World};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use table::Part;

/// Offered loads, over the knee, and in a smoke test.
const TIMES: [u32; 4] = [1, 2, 4, 8];
const TIMES_QUICK: [u32; 2] = [1, 4];

/// Users, and in a smoke test.
const USERS: u64 = 20_000;
const USERS_QUICK: u64 = 2_000;

/// Options of `overload`.
#[derive(Args)]
#[command(after_help = "\
What there is, by name: 1x-disobedient 2x-disobedient ... 8x-obedient (together: times), joins, one-user, set-killed,
disk-failed, wave, 1x-echo ... 8x-echo (together: echo), refusal-cost. Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and
`ip`. Exits with 1 if an audit fails.

Examples:
  redpkt-bench overload --plots plots --json overload.json     # about 6 minutes
  redpkt-bench overload --quick                                # a smoke test, about a minute
  redpkt-bench overload --only 4x-disobedient,set-killed --knee 20000
  redpkt-bench overload --io xdp --times 1,2 --only times --json -")]
pub struct OverloadArgs {
    /// The server's engine: mmsg or xdp
    #[arg(long, value_name = "mmsg|xdp", default_value = "mmsg", value_parser = ["mmsg", "xdp"])]
    io: String,
    /// Show these alone, by name or by group
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Offered loads, in multiples of the knee [default: 1,2,4,8]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=16))]
    times: Vec<u32>,
    /// Take this for the knee, in shakes a second, instead of looking for it
    #[arg(long, value_name = "QPS", value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    knee: Option<u64>,
    /// How long each load lasts
    #[arg(long, value_name = "S", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Users [default: 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    users: Option<u64>,
    /// The server has 1/N of its core
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=16))]
    share: u32,
    /// 1 and 4 times the knee, with few users, for a second: a smoke test, not a measurement
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Draw pictures into this directory
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Where the result goes as JSON; - is stdout, and then the tables go to stderr
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Runs the command.
pub fn run(args: &OverloadArgs) -> Result<(), Failure> {
    let parts = Part::only(&args.times(), &args.only)?;
    if let Some(why) = Lab::why_not() {
        return Err(Failure::machine(why));
    }
    guard::install();
    let host = Host::read();
    let mut world = args.world()?;
    world.lab.enter(Side::Client)?;
    world.knee_qps = match args.knee {
        Some(knee_qps) => knee_qps,
        None => knee::find(&world)?,
    };
    eprintln!("the knee: {} shakes/s", world.knee_qps);
    let mut report = Report {
        io: world.io.clone(),
        knee_qps: world.knee_qps,
        share: world.share,
        seconds: world.times.load.as_secs_f64(),
        users: world.users,
        scenarios: Vec::new(),
        echo: Vec::new(),
        refusal_cost_ratio: None,
        refusal_cost: None,
        audit: true,
        cores: world.cores,
        host,
    };
    for part in parts {
        play(&world, part, &mut report)?;
    }
    report.audit = report.scenarios.iter().all(|scenario| scenario.audit);
    if let Some(directory) = &args.plots {
        pictures::draw(&report, directory)?;
    }
    json_or_text(&report, &report.text(), args.json.as_deref())?;
    if report.audit { Ok(()) } else { Err(Failure::check("the audit of a ledger failed: see above")) }
}

/// Shows one part, and says what came of it.
fn play(world: &World, part: Part, report: &mut Report) -> Result<(), Failure> {
    let scenario = match part {
        Part::Times { times, obeys } => times::times(world, times, obeys)?,
        Part::Joins => floods::joins(world)?,
        Part::OneUser => floods::one_user(world)?,
        Part::SetKilled => failures::set_killed(world)?,
        Part::DiskFailed => failures::disk_failed(world)?,
        Part::Wave => times::wave(world)?,
        Part::Echo { times } => {
            let echo = bare_echo::play(world, times)?;
            eprintln!("{}", echo.line());
            report.echo.push(echo);
            return Ok(());
        }
        Part::RefusalCost => {
            let cost = refusal::measure(world)?;
            eprintln!("{}", cost.line());
            report.refusal_cost_ratio = Some(cost.ratio);
            report.refusal_cost = Some(cost);
            return Ok(());
        }
    };
    eprintln!("{}", scenario.line());
    report.scenarios.push(scenario);
    Ok(())
}

impl OverloadArgs {
    fn times(&self) -> Vec<u32> {
        match (self.times.is_empty(), self.quick) {
            (false, _) => self.times.clone(),
            (true, false) => TIMES.into(),
            (true, true) => TIMES_QUICK.into(),
        }
    }

    fn world(&self) -> Result<World, Failure> {
        let ms = Duration::from_millis;
        let times = match self.quick {
            true => Times {
                lead: ms(500),
                load: ms(1_200),
                after: ms(2_000),
                deadline: ms(2_000),
                piece: ms(100),
            },
            false => Times {
                lead: ms(2_000),
                load: Duration::from_secs(self.seconds),
                after: ms(4_000),
                deadline: ms(5_000),
                piece: ms(250),
            },
        };
        Ok(World {
            lab: Arc::new(Lab::new(1)?),
            cores: CorePair::choose(&allowed_cores(), siblings),
            io: self.io.clone(),
            share: self.share,
            users: self.users.unwrap_or(if self.quick { USERS_QUICK } else { USERS }),
            knee_qps: 0,
            times,
            quick: self.quick,
        })
    }
}
