//! A ledger's directory: who may use it, and whether all of it is there and as it was written.

use super::chain::Tip;
use super::file::{self, Identity, Meta};
use super::{Journal, JournalOptions, LedgerError, Reader, Writer, lock, wal};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// There while the files of a new ledger are made: what is in them then is worth nothing.
const CREATING: &str = "creating";

/// A ledger that this process alone may write to, for as long as this or a writer of it lives.
pub struct Directory {
    dir: PathBuf,
    identity: Identity,
    lock: Arc<lock::Lock>,
    found: Vec<Found>,
}

/// A journal as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub group: u32,
    /// Up to its last whole commit, by that commit's own word.
    pub tip: Tip,
    /// Bytes of a commit after it that was not finished, and that nobody was told of.
    pub dropped_bytes: u64,
}

impl Directory {
    /// Opens the ledger at `dir`, or makes it where there is nothing. `dir` itself is made if its parent is
    /// there.
    ///
    /// Everything that can be checked without reading rows is checked before anything is written; rows are
    /// proved by [`Reader::read`].
    pub fn open(dir: &Path, identity: Identity, now_wall_ms: u64) -> Result<Directory, LedgerError> {
        check_place(dir)?;
        let lock = Arc::new(lock::Lock::take(dir, identity.groups)?);
        if dir.join(CREATING).exists() || groups_in(dir)?.is_empty() {
            create(dir, identity, now_wall_ms)?;
        }
        let created_wall_ms = check_together(dir, identity)?;
        let found = look_at_all(dir, identity, created_wall_ms)?;
        for Found { group, tip: Tip { rows, commits, .. }, dropped_bytes } in &found {
            if *dropped_bytes > 0 {
                tracing::warn!(
                    group,
                    "cut back to the last whole commit: {rows} rows, {commits} commits; {dropped_bytes} bytes of an unfinished one dropped"
                );
            }
        }
        Ok(Directory { dir: dir.to_owned(), identity, lock, found })
    }

    /// The journals as they were found, one for each group.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// What the ledger is fixed to.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Reads a group's journal, as it is now.
    pub fn reader(&self, group: u32) -> Result<Reader, LedgerError> {
        Reader::open(&self.dir, group)
    }

    /// Goes on writing a group's journal after `tip`, which [`Reader::read`] has returned. There is one writer
    /// of a journal at a time.
    pub fn writer(&self, group: u32, tip: Tip) -> Result<Writer, LedgerError> {
        Writer::open(&self.dir, group, tip, lock::Claim::take(&self.lock, group)?)
    }

    /// The same with a thread of its own, which calls `on_durable` after each commit, and when it fails. After a
    /// failure the journal is dropped, read anew, and written on by another.
    pub fn journal(
        &self,
        group: u32,
        tip: Tip,
        options: JournalOptions,
        on_durable: impl Fn() + Send + 'static,
    ) -> Result<Journal, LedgerError> {
        Journal::start(self.writer(group, tip)?, options, on_durable)
    }
}

/// Checks all journals, on all processors: to look at pages is their work.
fn look_at_all(dir: &Path, identity: Identity, created_wall_ms: u64) -> Result<Vec<Found>, LedgerError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(identity.groups as usize);
    let look_at_each = |groups: std::iter::StepBy<Range<u32>>| {
        groups.map(|group| look_at(dir, identity, created_wall_ms, group)).collect::<Result<Vec<_>, _>>()
    };
    let mut found = std::thread::scope(|scope| {
        let share = |first| (first..identity.groups).step_by(threads);
        let looks: Vec<_> =
            (0..threads as u32).map(|first| scope.spawn(move || look_at_each(share(first)))).collect();
        let looks = looks.into_iter().map(|look| look.join().expect("looking does not panic"));
        looks.collect::<Result<Vec<_>, _>>().map(|found| found.concat())
    })?;
    found.sort_unstable_by_key(|found| found.group);
    Ok(found)
}

/// Checks one journal, and what SQLite will pass over when it opens it.
fn look_at(dir: &Path, identity: Identity, created_wall_ms: u64, group: u32) -> Result<Found, LedgerError> {
    let tail = wal::tail_of(&file::path_of(dir, group))?;
    let reader = Reader::open(dir, group)?;
    reader.check_of(identity, created_wall_ms)?;
    reader.check_file()?;
    Ok(Found { group, tip: reader.tip()?, dropped_bytes: tail.dropped_bytes })
}

/// Checks that all journals are there, and belong to one ledger of this identity; when it was made.
fn check_together(dir: &Path, identity: Identity) -> Result<u64, LedgerError> {
    let groups = groups_in(dir)?;
    let first = Reader::open(dir, groups[0])?;
    first.check_of(identity, first.created_wall_ms())?;
    match (0..identity.groups).find(|group| !groups.contains(group)) {
        Some(group) => Err(LedgerError::MissingGroup(file::path_of(dir, group))),
        None => Ok(first.created_wall_ms()),
    }
}

/// Checks that there is a ledger here or that one can be made, and makes the directory.
fn check_place(dir: &Path) -> Result<(), LedgerError> {
    make_directory(dir)?;
    if groups_in(dir)?.is_empty() && !dir.join(CREATING).exists() {
        check_empty(dir)?;
    }
    Ok(())
}

/// Makes the directory if its parent is there and it is not; on the disk when this returns.
pub(super) fn make_directory(dir: &Path) -> Result<(), LedgerError> {
    let place = |why: &str| LedgerError::Place { dir: dir.to_owned(), why: why.to_owned() };
    match fs::create_dir(dir) {
        Ok(()) => {
            let parent = dir.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            file::sync(parent)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(place("the directory above it does not exist; make that first"))
        }
        // Whatever else is in the way does not matter if it is there.
        Err(error) => match dir.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(place("it is a file; name a directory")),
            Err(_) => Err(LedgerError::io(dir, "make it")(error)),
        },
    }
}

/// Checks that nothing is in the directory but what a ledger, or a file system, leaves there.
pub(super) fn check_empty(dir: &Path) -> Result<(), LedgerError> {
    let ours = [lock::NAME, "lost+found"];
    for entry in fs::read_dir(dir).map_err(LedgerError::io(dir, "list it"))? {
        let name = entry.map_err(LedgerError::io(dir, "list it"))?.file_name();
        if !ours.iter().any(|own| name == *own) {
            let why = format!("it holds {}; name an empty or a new directory", name.display());
            return Err(LedgerError::Place { dir: dir.to_owned(), why });
        }
    }
    Ok(())
}

/// Checks that `dir` is a ledger that was made to its end.
pub(super) fn check_whole(dir: &Path) -> Result<(), LedgerError> {
    let missing = |why: &str| LedgerError::Missing { dir: dir.to_owned(), why: why.to_owned() };
    match dir.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing("there is no such directory")),
        Err(error) => Err(LedgerError::io(dir, "read it")(error)),
        Ok(metadata) if !metadata.is_dir() => Err(missing("it is a file")),
        Ok(_) if dir.join(CREATING).exists() => Err(missing("a server was stopped while it made it")),
        Ok(_) => Ok(()),
    }
}

/// What it means that the journal of `group` is not there.
pub(super) fn missing(dir: &Path, group: u32) -> LedgerError {
    match groups_in(dir) {
        Ok(groups) if groups.is_empty() => {
            LedgerError::Missing { dir: dir.to_owned(), why: "it has no group-0.sqlite".into() }
        }
        Ok(_) => LedgerError::MissingGroup(file::path_of(dir, group)),
        Err(error) => error,
    }
}

/// The groups whose journals are there, in order.
fn groups_in(dir: &Path) -> Result<Vec<u32>, LedgerError> {
    let mut groups = Vec::new();
    for entry in fs::read_dir(dir).map_err(LedgerError::io(dir, "list it"))? {
        let name = entry.map_err(LedgerError::io(dir, "list it"))?.file_name();
        let group = name.to_str().and_then(|name| name.strip_prefix("group-")?.strip_suffix(".sqlite"));
        groups.extend(group.and_then(|group| group.parse::<u32>().ok()));
    }
    groups.sort_unstable();
    Ok(groups)
}

/// Makes the journals of a new ledger. What an attempt before this one left is made anew.
fn create(dir: &Path, identity: Identity, created_wall_ms: u64) -> Result<(), LedgerError> {
    let creating = dir.join(CREATING);
    File::create(&creating).map_err(LedgerError::io(&creating, "make it"))?;
    file::sync(dir)?;
    for group in groups_in(dir)? {
        let file = file::path_of(dir, group);
        // Journals get their names when they are whole, and nobody writes to one while the mark is there; but
        // somebody may have put one back from a backup.
        if wal_has_bytes(&file) || Reader::open_at_rest(&file)?.tip()?.rows > 0 {
            let why = format!(
                "it says that the ledger was not made to its end, and {} has rows; if that was put back from a backup, remove this mark",
                file.display()
            );
            return Err(LedgerError::Foreign { file: creating, why });
        }
        for leftover in [file::wal_of(&file), file::index_of(&file), file] {
            remove(&leftover)?;
        }
    }
    for group in 0..identity.groups {
        let unfinished = dir.join(format!("group-{group}.unfinished"));
        [file::wal_of(&unfinished), file::index_of(&unfinished), unfinished.clone()]
            .iter()
            .try_for_each(|file| remove(file))?;
        file::create(&unfinished, &Meta { identity, created_wall_ms, group })?;
        file::rename(&unfinished, &file::path_of(dir, group))?;
    }
    file::sync(dir)?;
    remove(&creating)?;
    file::sync(dir)
}

fn wal_has_bytes(file: &Path) -> bool {
    file::wal_of(file).metadata().is_ok_and(|wal| wal.len() > 0)
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::io(path, "remove it")(error))
        }
        _ => Ok(()),
    }
}
