//! Who may write to a ledger: one process, and in it one writer for each journal.

use super::LedgerError;
use super::file::path_of;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The file in a ledger's directory that a running server holds locked. It stays when the server is gone:
/// the kernel gives the lock back however a process ends.
pub const NAME: &str = "lock";

/// How often, 10 ms apart, a lock is tried: somebody may only be looking.
const TRIES: usize = 20;

/// The right to write to a ledger.
pub struct Lock {
    dir: PathBuf,
    /// Locked until it is closed.
    _file: File,
    /// Which groups' journals have a writer.
    claimed: Vec<AtomicBool>,
}

/// Whether a server runs on the ledger at `dir`.
pub fn is_running(dir: &Path) -> bool {
    File::open(dir.join(NAME))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Lock {
    /// Takes the right to write to the ledger at `dir`, which has so many groups.
    pub fn take(dir: &Path, groups: u32) -> Result<Lock, LedgerError> {
        let path = dir.join(NAME);
        let cannot = LedgerError::io(&path, "lock it, as a server must to write here");
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(&cannot)?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => {
                    // For the message of whoever comes next; without it the lock is as good.
                    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                    let claimed = (0..groups).map(|_| AtomicBool::new(false)).collect();
                    return Ok(Lock { dir: dir.to_owned(), _file: file, claimed });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        Err(LedgerError::Locked { lock: path.clone(), process: holder.trim().parse().ok() })
    }
}

/// The right to write one group's journal; given back when it is dropped.
pub struct Claim {
    lock: Arc<Lock>,
    group: u32,
}

impl Claim {
    /// Takes it, unless somebody has it.
    pub fn take(lock: &Arc<Lock>, group: u32) -> Result<Claim, LedgerError> {
        if lock.claimed[group as usize].swap(true, Ordering::AcqRel) {
            return Err(LedgerError::Busy(path_of(&lock.dir, group)));
        }
        Ok(Claim { lock: Arc::clone(lock), group })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.lock.claimed[self.group as usize].store(false, Ordering::Release);
    }
}
