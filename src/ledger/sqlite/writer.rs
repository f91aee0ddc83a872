//! Appends to a journal: commit after commit, each on the disk when it returns.

use super::chain::{Chain, Tip};
use super::columns::columns_of;
use super::file::{self, Meta};
use super::lock::Claim;
use super::reader::tip_of;
use super::{LedgerError, checkpoint, schema};
use crate::ledger::Row;
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The one who writes a journal. After an error it is of no use any more: drop it and read the journal.
pub struct Writer {
    connection: Connection,
    file: PathBuf,
    chain: Chain,
    insert_row: String,
    /// Frames in the write-ahead log after the last commit.
    wal_frames: Arc<AtomicU32>,
    /// Given back after the connection is closed.
    _claim: Claim,
}

impl Writer {
    /// Opens the journal of `group` to go on after `tip`, up to which a reader has proved it.
    pub(super) fn open(dir: &Path, group: u32, tip: Tip, claim: Claim) -> Result<Writer, LedgerError> {
        let file = file::path_of(dir, group);
        let mut connection = file::open_to_write(&file)?;
        let meta = Meta::read(&connection, &file)?;
        if tip_of(&connection, &meta, &file)? != tip {
            return Err(LedgerError::damaged(&file, "it has changed since it was read"));
        }
        checkpoint::copy_all(&connection, &file)?;
        let wal_frames = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&wal_frames);
        let count = move |_: &mut Wal, frames: i32| {
            counted.store(frames.cast_unsigned(), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(count)).map_err(LedgerError::sqlite(&file, "open it for writing"))?;
        let (chain, insert_row) = (Chain::after(tip, ROWS_PER_COMMIT_MAX), schema::insert_row());
        Ok(Writer { connection, file, chain, insert_row, wal_frames, _claim: claim })
    }

    /// Appends these rows as one commit, and returns the end of the journal when they are on the disk.
    pub fn commit<'rows>(
        &mut self,
        rows: impl IntoIterator<Item = (&'rows Row, Option<&'rows str>)>,
    ) -> Result<Tip, LedgerError> {
        let Writer { connection, chain, insert_row, .. } = self;
        let write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare_cached(insert_row)?;
            for (row, note) in rows {
                let note = note.filter(|note| !note.is_empty());
                let columns = columns_of(chain.next_row(), row);
                for (at, column) in columns.iter().enumerate() {
                    insert.raw_bind_parameter(at + 1, column)?;
                }
                insert.raw_bind_parameter(columns.len() + 1, note)?;
                insert.raw_execute()?;
                chain.add(&columns, note);
            }
            let commit = chain.close();
            let [number, last_row, rows, wall_ms] =
                [commit.number, commit.last_row, commit.rows, commit.wall_ms].map(u64::cast_signed);
            transaction.prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                number,
                last_row,
                rows,
                wall_ms,
                commit.hash.as_slice(),
            ))?;
            drop(insert);
            transaction.commit()
        };
        write().map_err(LedgerError::sqlite(&self.file, "commit"))?;
        Ok(self.chain.tip())
    }

    /// Up to the last commit.
    pub fn tip(&self) -> Tip {
        self.chain.tip()
    }

    /// The journal's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn wal_frames(&self) -> u32 {
        self.wal_frames.load(Ordering::Relaxed)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Rows that are taken together: their memory is held ready, and the next ones wait for at most so many.
pub const ROWS_PER_COMMIT_MAX: usize = 8_192;
