//! Copies a ledger, also that of a running server.

use super::chain::Tip;
use super::{LedgerError, Reader, directory, file};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::path::Path;

/// Pages that are copied between two reports of progress: 16 MiB.
const PAGES_PER_STEP: i32 = 4_096;

/// Copies all journals of the ledger at `dir` to `out_dir`, a new or an empty directory, as they were at one
/// moment: see [`Reader::open_all`]. Each copy is read and proved before it gets its name, so an interrupted
/// backup is no ledger. Returns the journals' ends.
///
/// A running server goes on; its write-ahead logs grow meanwhile. `progress` gets how many bytes are copied
/// and how many there are.
pub fn backup(
    dir: &Path,
    out_dir: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<Tip>, LedgerError> {
    let readers = Reader::open_all(dir)?;
    directory::make_directory(out_dir)?;
    directory::check_empty(out_dir)?;
    let sizes = readers.iter().map(bytes_of).collect::<Result<Vec<_>, _>>()?;
    let bytes_total = sizes.iter().sum();
    let mut bytes_before = 0;
    let mut tips = Vec::new();
    for (reader, bytes) in readers.iter().zip(sizes) {
        let unfinished = out_dir.join(format!("group-{}.unfinished", reader.group()));
        copy(reader, &unfinished, |share| {
            progress(bytes_before + (bytes as f64 * share) as u64, bytes_total);
        })?;
        let tip = Reader::open_at_rest(&unfinished)?.read(|_, _, _| Ok::<_, LedgerError>(()))?;
        if tip != reader.tip()? {
            return Err(LedgerError::damaged(&unfinished, "it is not what was copied"));
        }
        tips.push(tip);
        bytes_before += bytes;
    }
    for reader in &readers {
        let group = reader.group();
        file::rename(&out_dir.join(format!("group-{group}.unfinished")), &file::path_of(out_dir, group))?;
    }
    file::sync(out_dir)?;
    progress(bytes_total, bytes_total);
    Ok(tips)
}

/// Bytes of a journal's pages.
fn bytes_of(reader: &Reader) -> Result<u64, LedgerError> {
    let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = reader
        .connection()
        .query_row(size, (), |row| row.get(0))
        .map_err(LedgerError::sqlite(reader.file(), "read its size"))?;
    Ok(bytes.cast_unsigned())
}

/// Copies one journal. `progress` gets how much of it is done, from 0 to 1.
fn copy(reader: &Reader, out: &Path, mut progress: impl FnMut(f64)) -> Result<(), LedgerError> {
    let cannot = LedgerError::sqlite(out, "copy a journal into it");
    let mut connection = Connection::open(out).map_err(&cannot)?;
    // Until it is whole it is worth nothing, so nothing protects it.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(&cannot)?;
    // The reader's transaction keeps the source as it is, so the copying never has to begin again.
    let copying = Backup::new(reader.connection(), &mut connection).map_err(&cannot)?;
    loop {
        let step = copying.step(PAGES_PER_STEP).map_err(&cannot)?;
        let state = copying.progress();
        progress(1.0 - f64::from(state.remaining) / f64::from(state.pagecount.max(1)));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(LedgerError::Busy(out.to_owned())),
        }
    }
    drop(copying);
    connection.close().map_err(|(_, error)| cannot(error))?;
    file::sync(out)
}
