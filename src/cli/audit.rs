//! `redpkt audit`: proves every rule on money, also of a running server's ledger.

use super::lines::print_result;
use super::reading::read_all;
use super::{Failure, ledger_dir};
use crate::audit::{Group, Place, Report, Tallies, Tip, judge};
use crate::ledger::sqlite::{LedgerError, Reader};
use clap::Args;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Options of `audit`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt audit --ledger sqlite:money          # also while a server runs on it
  redpkt audit --ledger sqlite:money --json | jq .ok
  redpkt audit --ledger sqlite:money --tally clients.jsonl   # as redpkt-bench run --tally writes it

docs/LEDGER.md lists the rules. Nothing is written to the ledger.

Exit codes: 0 every rule holds, 1 one does not (the first differences are shown),
2 an option is wrong or names no ledger, 3 the machine refused.")]
pub struct AuditArgs {
    /// The ledger, sqlite:DIR
    #[arg(long, value_name = "URL")]
    ledger: String,
    /// What clients were told, JSON lines as redpkt-bench writes them; may be given several times
    #[arg(long, value_name = "FILE", num_args = 1..)]
    tally: Vec<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Audits a ledger and prints the report.
pub fn run(args: &AuditArgs) -> Result<(), Failure> {
    let report = audit(args)?;
    if args.json {
        print_result(&serde_json::to_string(&report).map_err(Failure::machine)?)?;
    } else {
        print_result(&report.lines().join("\n"))?;
    }
    if report.ok {
        return Ok(());
    }
    let rules: Vec<_> = report.by_rule.keys().copied().collect();
    Err(Failure::check(format!("{} differences: {}", report.difference_count, rules.join(", "))))
}

fn audit(args: &AuditArgs) -> Result<Report, Failure> {
    let begin = Instant::now();
    let dir = ledger_dir::parse(&args.ledger)?;
    let tallies = (!args.tally.is_empty()).then(|| read_tallies(&args.tally)).transpose()?;
    let mut report = match read_groups(&dir) {
        Ok(groups) => judge(groups, tallies.as_ref(), |group| rows_now(&dir, group)),
        Err(error) if ledger_dir::is_difference(&error) => Report::unreadable(error.to_string()),
        Err(error) => return Err(ledger_dir::failure(&error)),
    };
    report.took_s = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// Takes every row of every group. What is wrong with a journal itself is a difference like others.
fn read_groups(dir: &Path) -> Result<Vec<Group>, LedgerError> {
    read_all(Reader::open_all(dir)?, |reader, progress| {
        let identity = reader.identity();
        let place = Place::new(identity.machine, identity.sets, identity.groups, reader.group());
        let mut group = Group::new(place);
        let read = reader.read(|number, row, note| {
            group.take(number, row, note);
            progress.row();
            Ok::<_, LedgerError>(())
        });
        match read {
            Ok(tip) => group.end(Tip { commits: tip.commits, hash: hex(&tip.hash) }),
            Err(error) if ledger_dir::is_difference(&error) => group.broken(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(group)
    })
}

/// Rows of a journal by now. If it cannot be read any more, it is taken as it was: none later.
fn rows_now(dir: &Path, group: u32) -> u64 {
    Reader::open(dir, group).and_then(|reader| reader.tip()).map_or(0, |tip| tip.rows)
}

fn read_tallies(files: &[PathBuf]) -> Result<Tallies, Failure> {
    let mut tallies = Tallies::default();
    for path in files {
        let name = path.display();
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::usage(format!("--tally {name}: {error}")),
            _ => Failure::machine(format!("--tally {name}: {error}")),
        })?;
        tallies
            .read(BufReader::with_capacity(1 << 20, file))
            .map_err(|why| Failure::usage(format!("--tally {name}: {why}")))?;
    }
    Ok(tallies)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub mod tests;
