//! What is done with a ledger apart from serving.

use super::lines::print_result;
use super::{Failure, ledger_dir};
use crate::ledger::sqlite::{self, LedgerError};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Options of `backup`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  redpkt backup --ledger sqlite:money --out /backup/money-2026-02-16\n\nThe server may run meanwhile. The copy is a ledger like any other: audit it, export it, or serve from it.\nExit codes: 0 done, 2 an option is wrong, 3 the machine refused or the ledger is damaged."
)]
pub struct BackupArgs {
    /// The ledger to copy, such as sqlite:DIR
    #[arg(long, value_name = "URL")]
    ledger: String,
    /// The directory to copy it to, new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A copy that takes longer shows how far it is, to a person at a terminal.
const SHOWN_AFTER: Duration = Duration::from_secs(2);

/// Copies a ledger, also that of a running server.
pub fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let dir = ledger_dir::parse(&args.ledger)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    let style =
        ProgressStyle::with_template("{bytes} of {total_bytes} [{bar:40}] {bytes_per_sec}, {eta} to go");
    bar.set_style(style.expect("the template is right"));
    let start = Instant::now();
    let tips = sqlite::backup(&dir, &args.out, |done, total| {
        if bar.is_hidden() && start.elapsed() > SHOWN_AFTER {
            // Draws nothing where stderr is no terminal.
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_length(total);
        bar.set_position(done);
    })
    .map_err(refused)?;
    bar.finish_and_clear();
    let rows: u64 = tips.iter().map(|tip| tip.rows).sum();
    print_result(&format!("{}: {} groups, {rows} rows, every chain proved", args.out.display(), tips.len()))
}

/// What is wrong with a ledger, with its exit code.
fn refused(error: LedgerError) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::machine(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sqlite::{Directory, Identity, Reader};

    /// Expect: a copy of a ledger that a server holds is a ledger; what cannot be copied is one line.
    #[test]
    fn a_ledger_in_use_is_copied_to_a_new_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (from, out) = (dir.path().join("from"), dir.path().join("to"));
        let _held = Directory::open(&from, Identity { machine: 0, sets: 2, groups: 2 }, 1).unwrap();
        let url = |dir: &PathBuf| format!("sqlite:{}", dir.display());
        let copy = |ledger: String| backup(&BackupArgs { ledger, out: out.clone() });
        copy(url(&from)).unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2, "two journals and nothing else");
        assert_eq!(Reader::open_all(&out).unwrap().len(), 2);
        let again = copy(url(&from)).unwrap_err().to_string();
        assert!(again.contains("name an empty or a new directory"), "{again}");
        for wrong in ["memory:", "sqlite:", "x"] {
            assert!(copy(wrong.to_owned()).is_err());
        }
    }
}
