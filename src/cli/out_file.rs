//! A file that a command makes: beside its place until it is whole, then under its name at once.

use super::Failure;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file on its way. It is gone again unless it gets its name.
pub struct OutFile {
    file: NamedTempFile,
    path: PathBuf,
    replaces: bool,
}

impl OutFile {
    /// Begins the file that `--out` names, which is only replaced if that is wanted.
    pub fn begin(path: &Path, replaces: bool) -> Result<OutFile, Failure> {
        if !replaces && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let file = NamedTempFile::new_in(directory(path)).map_err(|error| refused(path, &error))?;
        Ok(OutFile { file, path: path.to_owned(), replaces })
    }

    /// Where it is until it has its name.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// To write to it.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts it on the disk, under its name.
    pub fn finish(self) -> Result<(), Failure> {
        let OutFile { file, path, replaces } = self;
        file.as_file().sync_all().map_err(|error| refused(&path, &error))?;
        let named = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
        named.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => refused(&path, &error.error),
        })?;
        sync_directory(&path).map_err(|error| refused(&path, &error))
    }
}

fn exists(path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(format!("--out {path}: it exists; name another file, or replace it with --force"))
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    Failure::machine(format!("--out {}: {error}", path.display()))
}

/// Puts a new name on the disk.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// Where a file is.
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| *directory != Path::new("")).unwrap_or(Path::new("."))
}
