//! `redpkt report`: a recorded run as one HTML file.

use super::Failure;
use super::lines::print_result;
use crate::{page, record};
use clap::Args;
use std::path::PathBuf;

/// Options of `report`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt watch --run-dir runs/friday            # record, until Ctrl-C
  redpkt report runs/friday                     # makes runs/friday/report.html
  redpkt-bench practice --run-dir runs/practice # records a run too

The file needs nothing else: no network, no script. It has every plot of the run, its
settings and verdict, and the totals as clients, server, kernel and interface counted them.
Each of its sentences on where they agree is printed, too. A run that was cut short, or is
still being recorded, is read as far as it goes.

Exit codes: 0 done, 2 that is no run's directory, 3 the machine refused.")]
pub struct ReportArgs {
    /// The run's directory
    #[arg(value_name = "RUN_DIR")]
    dir: PathBuf,
}

/// Makes it, and says what it found.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let recorded = record::read(&args.dir).map_err(|error| match error.is_machine() {
        true => Failure::machine(error),
        false => Failure::usage(error),
    })?;
    let (html, words) = page::report(&recorded);
    let path = args.dir.join("report.html");
    std::fs::write(&path, html).map_err(|error| Failure::machine(format!("{}: {error}", path.display())))?;
    let mut lines = vec![format!("{}: {} seconds", path.display(), recorded.seconds.len())];
    lines.extend(words.iter().map(|words| format!("  {words}")));
    print_result(&lines.join("\n"))
}
