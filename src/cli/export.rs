//! `redpkt export`: a ledger in one file, for questions that the server never asks.

use super::lines::print_result;
use super::out_file::OutFile;
use super::{Failure, ledger_dir};
use crate::ledger::csv;
use crate::ledger::sqlite::{Export, LedgerError, Reader};
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Options of `export`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt export --ledger sqlite:money --out event.sqlite   # also while a server runs on it
  sqlite3 event.sqlite \"SELECT * FROM statement WHERE user = 42\"
  redpkt export --ledger sqlite:money --out event.csv

The file has the rows of all groups as they were at one moment; docs/LEDGER.md explains
its tables and views.

Exit codes: 0 done, 1 the ledger is not as it was written, 2 an option is wrong or
names no ledger, 3 the machine refused.")]
pub struct ExportArgs {
    /// The ledger, sqlite:DIR
    #[arg(long, value_name = "URL")]
    ledger: String,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to make [default: by the end of the file's name]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An SQLite file with views, and indexes on user, packet and kind
    Sqlite,
    /// Comma-separated values, a line a row, with names in place of numbers
    Csv,
}

/// Makes the file.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let dir = ledger_dir::parse(&args.ledger)?;
    let format = format_of(args)?;
    let mut readers = Reader::open_all(&dir).map_err(|error| ledger_dir::failure(&error))?;
    let out = OutFile::begin(&args.out, args.force)?;
    let rows = match format {
        Format::Sqlite => {
            write_sqlite(&mut readers, out.path()).map_err(|error| ledger_dir::failure(&error))?
        }
        Format::Csv => write_csv(&mut readers, &out)?,
    };
    out.finish()?;
    print_result(&format!("{}: {rows} rows of {} groups", args.out.display(), readers.len()))
}

fn format_of(args: &ExportArgs) -> Result<Format, Failure> {
    let end = args.out.extension().and_then(|end| end.to_str());
    match (args.format, end) {
        (Some(format), _) => Ok(format),
        (None, Some("sqlite" | "sqlite3" | "db")) => Ok(Format::Sqlite),
        (None, Some("csv")) => Ok(Format::Csv),
        _ => Err(Failure::usage(format!(
            "--out {}: end it in .sqlite or .csv, or say which it is with --format",
            args.out.display()
        ))),
    }
}

fn write_sqlite(readers: &mut [Reader], out: &Path) -> Result<u64, LedgerError> {
    let mut export = Export::create(out, &readers[0])?;
    let mut rows = 0;
    for reader in readers {
        rows += export.add(reader)?.rows;
    }
    export.finish()?;
    Ok(rows)
}

fn write_csv(readers: &mut [Reader], out: &OutFile) -> Result<u64, Failure> {
    let refused = |error: io::Error| Failure::machine(format!("--out: {error}"));
    let mut file = BufWriter::with_capacity(1 << 20, out.file());
    writeln!(file, "{}", csv::HEAD).map_err(refused)?;
    let mut rows = 0;
    for reader in readers {
        let group = reader.group();
        let tip = reader.read(|number, row, note| {
            csv::write_row(&mut file, group, number, row, note).map_err(Stopped::File)
        });
        match tip {
            Ok(tip) => rows += tip.rows,
            Err(Stopped::File(error)) => return Err(refused(error)),
            Err(Stopped::Ledger(error)) => return Err(ledger_dir::failure(&error)),
        }
    }
    file.flush().map_err(refused)?;
    Ok(rows)
}

/// What can stop the writing of rows.
enum Stopped {
    /// The file that is made.
    File(io::Error),
    /// The ledger that is read.
    Ledger(LedgerError),
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Stopped {
        Stopped::Ledger(error)
    }
}

#[cfg(test)]
mod tests;
