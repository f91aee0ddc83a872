//! Opening one journal's file, and what makes it one of this ledger.

use super::chain::Tip;
use super::{LedgerError, schema};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a ledger is fixed to when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the machine, in packet ids.
    pub machine: u16,
    /// Number of SETs.
    pub sets: u32,
    /// Number of groups, and so of journals.
    pub groups: u32,
}

/// What a journal's file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Of the ledger.
    pub identity: Identity,
    /// When the ledger was made, in ms since 1970.
    pub created_wall_ms: u64,
    /// Whose journal this is.
    pub group: u32,
}

/// How long a statement waits for a lock that another program holds.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

/// The file of a group's journal.
pub fn path_of(dir: &Path, group: u32) -> PathBuf {
    dir.join(format!("group-{group}.sqlite"))
}

/// The write-ahead log beside a journal's file.
pub fn wal_of(file: &Path) -> PathBuf {
    beside(file, "-wal")
}

/// The index of the write-ahead log, which is made anew whenever it is not there.
pub fn index_of(file: &Path) -> PathBuf {
    beside(file, "-shm")
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

const TO_READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens a journal's file to read it, which changes nothing in it. Whatever it is, it is not written to.
pub fn open_read_only(file: &Path) -> Result<Connection, LedgerError> {
    check_header(file)?;
    let open = || {
        let connection = Connection::open_with_flags(file, TO_READ)?;
        first_look(&connection).map(|()| connection)
    };
    open().or_else(|error| {
        // SQLite wants to make an index of the write-ahead log, which a read-only directory does not let it.
        // Where there is no log, nobody writes and the file can be read as it is.
        let is_refused =
            matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
        match is_refused && wal_of(file).metadata().map_or(0, |wal| wal.len()) == 0 {
            true => open_at_rest(file),
            false => Err(LedgerError::sqlite(file, "open it")(error)),
        }
    })
}

/// Opens a journal's file to which nobody writes, and makes no file beside it.
pub fn open_at_rest(file: &Path) -> Result<Connection, LedgerError> {
    check_header(file)?;
    let path = std::path::absolute(file).map_err(LedgerError::io(file, "open it"))?;
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    let open = || {
        let flags = TO_READ | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri + "?immutable=1", flags)?;
        first_look(&connection).map(|()| connection)
    };
    open().map_err(LedgerError::sqlite(file, "open it"))
}

fn first_look(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIME_MAX)?;
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
}

/// Opens a journal's file to write to it, checked before.
pub fn open_to_write(file: &Path) -> Result<Connection, LedgerError> {
    let cannot = LedgerError::sqlite(file, "open it for writing");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(&cannot)?;
    // SQLite opens a file that it may not write to for reading, and says nothing.
    if connection.is_readonly("main").map_err(&cannot)? {
        let denied = std::io::ErrorKind::PermissionDenied.into();
        return Err(LedgerError::io(file, "open it for writing")(denied));
    }
    set_up(&connection).map_err(&cannot)?;
    Ok(connection)
}

/// What every connection that writes needs: commits are on the disk when they return, and checkpoints are
/// made by nobody but us.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIME_MAX)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A transaction stays in memory until it is committed, so that nothing is written in between.
    connection.pragma_update(None, "cache_spill", false)
}

/// Makes a journal's file, whole and on the disk when this returns.
pub fn create(file: &Path, meta: &Meta) -> Result<(), LedgerError> {
    let cannot = LedgerError::sqlite(file, "make it");
    let make = |connection: &mut Connection| -> rusqlite::Result<()> {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        set_up(connection)?;
        let transaction = connection.transaction()?;
        transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", schema::FORMAT)?;
        schema::create(&transaction)?;
        for (name, value) in META_NAMES.iter().zip(meta.values()) {
            transaction.execute("INSERT INTO meta VALUES (?1, ?2)", (name, value.cast_signed()))?;
        }
        transaction.commit()
    };
    let mut connection = Connection::open(file).map_err(&cannot)?;
    make(&mut connection).map_err(&cannot)?;
    connection.close().map_err(|(_, error)| cannot(error))?;
    sync(file)
}

/// Puts a file, or the names in a directory, on the disk.
pub fn sync(path: &Path) -> Result<(), LedgerError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(LedgerError::io(path, "put it on the disk"))
}

/// The first bytes of the file, read without SQLite: what is no journal is not touched by it at all.
fn check_header(file: &Path) -> Result<(), LedgerError> {
    let cannot = LedgerError::io(file, "read it");
    let mut header = Vec::new();
    File::open(file).and_then(|file| file.take(100).read_to_end(&mut header)).map_err(cannot)?;
    let foreign = |why: String| LedgerError::Foreign { file: file.to_owned(), why };
    if header.is_empty() {
        return Err(LedgerError::damaged(file, "it is empty"));
    }
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign("it is no SQLite file, and so no journal of redpkt".into()));
    }
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let (format, application_id) = (number(60), number(68));
    if application_id != schema::APPLICATION_ID {
        return Err(foreign(format!(
            "it is an SQLite file of something else: its application_id is {application_id:#010x}, a journal of redpkt has {:#010x}",
            schema::APPLICATION_ID
        )));
    }
    if format != schema::FORMAT {
        return Err(foreign(format!(
            "its format is {format} and this version of redpkt knows {}; use the version that wrote it",
            schema::FORMAT
        )));
    }
    Ok(())
}

/// Gives a file another name in its directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), LedgerError> {
    std::fs::rename(from, to).map_err(LedgerError::io(from, "give it its name"))
}

const META_NAMES: [&str; 5] = ["machine", "sets", "groups", "group", "created_wall_ms"];

impl Meta {
    fn values(&self) -> [u64; 5] {
        let Identity { machine, sets, groups } = self.identity;
        [machine.into(), sets.into(), groups.into(), self.group.into(), self.created_wall_ms]
    }

    /// Where the chain of this journal begins.
    pub fn genesis(&self) -> Tip {
        Tip::of_nothing(self.values())
    }

    /// Reads what the file says of itself, and checks that its tables are those of this version.
    pub fn read(connection: &Connection, file: &Path) -> Result<Meta, LedgerError> {
        let cannot = LedgerError::sqlite(file, "read its tables");
        if schema::tables_of(connection).map_err(&cannot)? != schema::own_tables().map_err(&cannot)? {
            let why = "its tables, indexes or triggers are not those of a journal; indexes and changes belong on an exported copy";
            return Err(LedgerError::damaged(file, why));
        }
        let mut values = [0; META_NAMES.len()];
        for (name, value) in META_NAMES.iter().zip(&mut values) {
            let wanted = "SELECT sum(value) FROM meta WHERE name = ?1";
            let found: Option<i64> =
                connection.query_row(wanted, [name], |row| row.get(0)).map_err(&cannot)?;
            *value = found.ok_or_else(|| LedgerError::damaged(file, format!("`meta` has no {name}")))?;
        }
        let [machine, sets, groups, group, created_wall_ms] = values;
        let narrow = || {
            let identity = Identity {
                machine: machine.try_into().ok()?,
                sets: sets.try_into().ok()?,
                groups: groups.try_into().ok()?,
            };
            let group = u32::try_from(group).ok().filter(|group| *group < identity.groups)?;
            Some(Meta { identity, group, created_wall_ms: created_wall_ms.try_into().ok()? })
        };
        narrow().ok_or_else(|| {
            LedgerError::damaged(file, format!("`meta` makes no sense: {META_NAMES:?} are {values:?}"))
        })
    }

    /// Checks that this is the journal of `group` in a ledger of this identity.
    pub fn check(&self, identity: Identity, group: u32, file: &Path) -> Result<(), LedgerError> {
        let Identity { machine, sets, groups } = self.identity;
        for (option, made, asked) in [
            ("--machine", u64::from(machine), u64::from(identity.machine)),
            ("--sets", sets.into(), identity.sets.into()),
            ("--groups", groups.into(), identity.groups.into()),
        ] {
            if made != asked {
                return Err(LedgerError::Identity { file: file.to_owned(), option, made, asked });
            }
        }
        if self.group != group {
            let why =
                format!("it is the journal of group {}; put every file back under its own name", self.group);
            return Err(LedgerError::Foreign { file: file.to_owned(), why });
        }
        Ok(())
    }
}
