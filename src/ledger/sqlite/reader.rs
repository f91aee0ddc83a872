//! Reads a journal: every row in order, each proved by the chain.

use super::chain::{Chain, Commit, Tip};
use super::columns::{Columns, NAMES, row_of};
use super::file::{self, Identity, Meta};
use super::{LedgerError, directory};
use crate::ledger::{Kind, Row};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::path::{Path, PathBuf};

/// One group's journal as it was when this was opened: rows that are appended later are not seen.
///
/// Also of a running server, which it neither stops nor slows; but the server cannot reuse the room of what
/// it wrote meanwhile, so a reader is not kept for long.
pub struct Reader {
    connection: Connection,
    file: PathBuf,
    meta: Meta,
}

impl Reader {
    /// Opens the journal of `group` in the ledger at `dir`. Nothing is written.
    pub fn open(dir: &Path, group: u32) -> Result<Reader, LedgerError> {
        directory::check_whole(dir)?;
        let file = file::path_of(dir, group);
        if !file.exists() {
            return Err(directory::missing(dir, group));
        }
        let reader = Reader::of(file::open_read_only(&file)?, &file)?;
        reader.meta.check(reader.meta.identity, group, &file)?;
        Ok(reader)
    }

    /// Opens a journal that nobody writes to, by its file, whatever that is called.
    pub(super) fn open_at_rest(file: &Path) -> Result<Reader, LedgerError> {
        Reader::of(file::open_at_rest(file)?, file)
    }

    fn of(connection: Connection, file: &Path) -> Result<Reader, LedgerError> {
        let meta = Meta::read(&connection, file)?;
        let reader = Reader { connection, file: file.to_owned(), meta };
        reader.begin()?;
        Ok(reader)
    }

    /// From now on this moment is what is seen.
    fn begin(&self) -> Result<(), LedgerError> {
        // A transaction begins with its first query.
        let begin = "BEGIN; SELECT max(number) FROM commits";
        self.connection.execute_batch(begin).map_err(LedgerError::sqlite(&self.file, "read it"))
    }

    /// Sees what comes, until it begins again.
    fn end(&self) -> Result<(), LedgerError> {
        self.connection.execute_batch("ROLLBACK").map_err(LedgerError::sqlite(&self.file, "read it"))
    }

    /// Opens the journals of all groups as they were at one moment: what a group has had from another has
    /// left that other.
    pub fn open_all(dir: &Path) -> Result<Vec<Reader>, LedgerError> {
        let first = Reader::open(dir, 0)?;
        let meta = first.meta;
        let mut readers = vec![first];
        for group in 1..meta.identity.groups {
            let reader = Reader::open(dir, group)?;
            reader.check_of(meta.identity, meta.created_wall_ms)?;
            readers.push(reader);
        }
        let tips = || readers.iter().map(Reader::tip).collect::<Result<Vec<_>, _>>();
        for _ in 0..OPEN_ALL_TRIES {
            // A delivery is written after what it delivers is durable. So those that are there before any
            // moment is fixed have theirs in all of them; the few that come until the last is are looked at.
            readers.iter().try_for_each(Reader::end)?;
            let before = tips()?;
            readers.iter().try_for_each(Reader::begin)?;
            if Reader::are_of_one_moment(&readers, &before, &tips()?)? {
                return Ok(readers);
            }
        }
        Err(LedgerError::Unsteady(dir.to_owned()))
    }

    fn are_of_one_moment(readers: &[Reader], before: &[Tip], tips: &[Tip]) -> Result<bool, LedgerError> {
        let latest =
            "SELECT debit_id, max(other) FROM journal WHERE row > ?1 AND kind = ?2 GROUP BY debit_id";
        for (reader, before) in readers.iter().zip(before) {
            let cannot = LedgerError::sqlite(&reader.file, "read what was delivered");
            let mut statement = reader.connection.prepare(latest).map_err(&cannot)?;
            let mut delivered =
                statement.query((before.rows.cast_signed(), Kind::Deliver as u8)).map_err(&cannot)?;
            while let Some(row) = delivered.next().map_err(&cannot)? {
                let (from, last): (i64, i64) =
                    row.get(0).and_then(|from| Ok((from, row.get(1)?))).map_err(&cannot)?;
                let its_tip = usize::try_from(from).ok().and_then(|from| tips.get(from));
                if its_tip.is_some_and(|tip| last.cast_unsigned() > tip.rows) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Checks that this journal is of a ledger of this identity that was made then.
    pub(super) fn check_of(&self, identity: Identity, created_wall_ms: u64) -> Result<(), LedgerError> {
        self.meta.check(identity, self.meta.group, &self.file)?;
        if self.meta.created_wall_ms == created_wall_ms {
            return Ok(());
        }
        let why = "it is of another ledger than the other groups' journals: they were not made together";
        Err(LedgerError::Foreign { file: self.file.clone(), why: why.into() })
    }

    /// What the ledger was made for.
    pub fn identity(&self) -> Identity {
        self.meta.identity
    }

    /// Whose journal this is.
    pub fn group(&self) -> u32 {
        self.meta.group
    }

    /// When the ledger was made, in ms since 1970.
    pub fn created_wall_ms(&self) -> u64 {
        self.meta.created_wall_ms
    }

    /// The journal's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How long the journal is, by its last commit's own word: [`read`](Self::read) proves it.
    pub fn tip(&self) -> Result<Tip, LedgerError> {
        tip_of(&self.connection, &self.meta, &self.file)
    }

    /// Checks how the file is built, below its rows: pages, trees, types. Reads all of it.
    pub fn check_file(&self) -> Result<(), LedgerError> {
        let cannot = LedgerError::sqlite(&self.file, "check it");
        let found: String =
            self.connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(cannot)?;
        if found == "ok" { Ok(()) } else { Err(LedgerError::damaged(&self.file, found.replace('\n', " "))) }
    }

    /// Gives every row with its number and its note to `each`, in order; then the journal's end.
    ///
    /// The chain is checked commit by commit, after the commit's rows were given: only when this has returned
    /// `Ok` is any of them proved. Stops at the first error, its own or one of `each`.
    pub fn read<E: From<LedgerError>>(
        &mut self,
        mut each: impl FnMut(u64, &Row, Option<&str>) -> Result<(), E>,
    ) -> Result<Tip, E> {
        let cannot = LedgerError::sqlite(&self.file, "read it");
        let damaged = |why: String| LedgerError::damaged(&self.file, why);
        let select = format!("SELECT {}, note FROM journal ORDER BY row", NAMES.join(", "));
        let mut journal = self.connection.prepare(&select).map_err(&cannot)?;
        let mut journal = journal.query(()).map_err(&cannot)?;
        let mut commits = self.connection.prepare(SELECT_COMMITS).map_err(&cannot)?;
        let mut commits = commits.query(()).map_err(&cannot)?;
        let mut chain = Chain::after(self.meta.genesis(), 1024);
        while let Some(record) = commits.next().map_err(&cannot)? {
            let record = commit_of(record).map_err(&cannot)?;
            let number = chain.tip().commits + 1;
            if record.number != number || record.rows == 0 {
                return Err(damaged(format!("commit {number} is missing or empty")).into());
            }
            for _ in 0..record.rows {
                let expected = chain.next_row();
                let Some(found) = journal.next().map_err(&cannot)? else {
                    return Err(damaged(format!("row {expected} of commit {number} is missing")).into());
                };
                let (columns, note) =
                    values_of(found).map_err(|why| damaged(format!("row {expected}: {why}")))?;
                if columns[0].cast_unsigned() != expected {
                    return Err(damaged(format!("row {expected} is missing; {} follows", columns[0])).into());
                }
                let row = row_of(&columns).map_err(|why| damaged(format!("row {expected}: {why}")))?;
                chain.add(&columns, note);
                each(expected, &row, note)?;
            }
            if chain.close() != record {
                let (first, last) = (record.last_row.saturating_sub(record.rows) + 1, record.last_row);
                let why =
                    format!("commit {number}, rows {first} to {last}: the hash of the chain does not match");
                return Err(damaged(why).into());
            }
        }
        if let Some(row) = journal.next().map_err(&cannot)? {
            let number: i64 = row.get(0).map_err(&cannot)?;
            return Err(damaged(format!("row {number} belongs to no commit")).into());
        }
        Ok(chain.tip())
    }
}

/// How often [`Reader::open_all`] tries to find one moment. Fixing it takes some 10 µs for each group, and a
/// delivery two commits.
const OPEN_ALL_TRIES: usize = 1_000;

const SELECT_COMMITS: &str = "SELECT number, last_row, rows, wall_ms, hash FROM commits ORDER BY number";

/// The end of a journal by its last commit's word.
pub(super) fn tip_of(connection: &Connection, meta: &Meta, file: &Path) -> Result<Tip, LedgerError> {
    let last = format!("{SELECT_COMMITS} DESC LIMIT 1");
    match connection.query_row(&last, (), commit_of) {
        Ok(commit) => Ok(Tip { rows: commit.last_row, commits: commit.number, hash: commit.hash }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(meta.genesis()),
        Err(error) => Err(LedgerError::sqlite(file, "read its last commit")(error)),
    }
}

fn commit_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Commit> {
    let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    // A hash of another length is none that matches.
    let hash = row.get_ref(4)?.as_blob()?.try_into().unwrap_or_default();
    Ok(Commit { number: number(0)?, last_row: number(1)?, rows: number(2)?, wall_ms: number(3)?, hash })
}

/// The columns and the note of a row, without an allocation.
pub(super) fn values_of<'row>(row: &'row rusqlite::Row<'_>) -> Result<(Columns, Option<&'row str>), String> {
    let mut columns = [0; NAMES.len()];
    for (at, column) in columns.iter_mut().enumerate() {
        match row.get_ref(at) {
            Ok(ValueRef::Integer(value)) => *column = value,
            _ => return Err(format!("{} is no integer", NAMES[at])),
        }
    }
    match row.get_ref(NAMES.len()) {
        Ok(ValueRef::Null) => Ok((columns, None)),
        // An empty note is stored as none, because the chain does not tell them apart.
        Ok(ValueRef::Text(note)) if !note.is_empty() => {
            Ok((columns, Some(str::from_utf8(note).map_err(|_| "its note is no UTF-8")?)))
        }
        _ => Err("its note is no text".into()),
    }
}
