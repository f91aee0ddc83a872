//! A disk of our own that is full when we want it: a file system in memory.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use redpkt::cli::Failure;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What fills it.
const BALLAST: &str = "ballast";

/// Bytes that are written at a time while it is filled; at the end one by one less.
const CHUNK: usize = 1 << 20;

/// It is there for the thread that mounted it and for what that thread starts, and gone with them at the latest.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Makes the directory, and mounts a disk of so many MiB there. From now on the calling thread has mounts of its
    /// own.
    pub fn mount(path: &Path, mib: u32) -> Result<SmallDisk, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::machine(format!("{what} {}: {error}; run it as root", path.display()))
        };
        std::fs::create_dir(path).map_err(|error| failed("making", &error))?;
        const NONE: Option<&str> = None;
        let size = format!("size={mib}m");
        unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE))
            .and_then(|()| mount(Some("small"), path, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())))
            .map_err(|error| failed("mounting a small disk at", &error))?;
        Ok(SmallDisk { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    pub fn fill(&self) -> Result<(), Failure> {
        let fill = || {
            let mut file = File::create(self.path.join(BALLAST))?;
            let (bytes, mut len) = (vec![0; CHUNK], CHUNK);
            while len > 0 {
                match file.write(&bytes[..len]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => len /= 2,
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        fill().map_err(|error| Failure::machine(format!("filling {}: {error}", self.path.display())))
    }

    /// Makes room again.
    pub fn free(&self) -> Result<(), Failure> {
        std::fs::remove_file(self.path.join(BALLAST))
            .map_err(|error| Failure::machine(format!("emptying {}: {error}", self.path.display())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever still has a file open on it keeps it until then; should it fail, it goes with this thread.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
