//! One SQLite file with the journals of all groups, indexed for questions.

use super::chain::Tip;
use super::columns::{NAMES, columns_of};
use super::{Identity, LedgerError, Reader, schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// The file while it is made. It is worth nothing before [`finish`](Self::finish).
pub struct Export {
    connection: Connection,
    file: PathBuf,
}

impl Export {
    /// Makes the tables in an empty file, for the ledger that this journal is of.
    pub fn create(file: &Path, reader: &Reader) -> Result<Export, LedgerError> {
        let cannot = LedgerError::sqlite(file, "make it");
        let connection = Connection::open(file).map_err(&cannot)?;
        let Identity { machine, sets, groups } = reader.identity();
        let meta = [
            ("machine", u64::from(machine)),
            ("sets", sets.into()),
            ("groups", groups.into()),
            ("created_wall_ms", reader.created_wall_ms()),
        ];
        let make = || -> rusqlite::Result<()> {
            // Until it is whole it is worth nothing, so nothing protects it.
            connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
            schema::create_export(&connection)?;
            for (name, value) in meta {
                connection.execute("INSERT INTO meta VALUES (?1, ?2)", (name, value.cast_signed()))?;
            }
            Ok(())
        };
        make().map_err(cannot)?;
        Ok(Export { connection, file: file.to_owned() })
    }

    /// Adds all of a journal, which is proved while it is read.
    pub fn add(&mut self, reader: &mut Reader) -> Result<Tip, LedgerError> {
        let cannot = LedgerError::sqlite(&self.file, "write rows into it");
        let group = i64::from(reader.group());
        self.add_commits(reader).map_err(&cannot)?;
        let names = NAMES.join(", ");
        let places = ["?"; NAMES.len() + 2].join(", ");
        let insert = format!("INSERT INTO journal(\"group\", {names}, note) VALUES ({places})");
        let mut insert = self.connection.prepare(&insert).map_err(&cannot)?;
        reader.read(|number, row, note| {
            let mut bind = || -> rusqlite::Result<()> {
                insert.raw_bind_parameter(1, group)?;
                for (at, column) in columns_of(number, row).iter().enumerate() {
                    insert.raw_bind_parameter(at + 2, column)?;
                }
                insert.raw_bind_parameter(NAMES.len() + 2, note)?;
                insert.raw_execute().map(drop)
            };
            bind().map_err(&cannot)
        })
    }

    fn add_commits(&self, reader: &Reader) -> rusqlite::Result<()> {
        let mut commits = reader
            .connection()
            .prepare("SELECT number, last_row, rows, wall_ms, hash FROM commits ORDER BY 1")?;
        let mut commits = commits.query(())?;
        let mut insert = self.connection.prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        while let Some(commit) = commits.next()? {
            let number = |at| commit.get::<_, i64>(at);
            let hash: Vec<u8> = commit.get(4)?;
            insert.execute((reader.group(), number(0)?, number(1)?, number(2)?, number(3)?, hash))?;
        }
        Ok(())
    }

    /// Makes the indexes, and ends the file.
    pub fn finish(self) -> Result<(), LedgerError> {
        let Export { connection, file } = self;
        let cannot = LedgerError::sqlite(&file, "make its indexes");
        connection.execute_batch(schema::EXPORT_INDEXES).map_err(&cannot)?;
        connection.execute_batch("COMMIT; ANALYZE").map_err(&cannot)?;
        connection.close().map_err(|(_, error)| cannot(error))
    }
}
