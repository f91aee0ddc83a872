//! Checkpoints: copying what is in the write-ahead log into the journal's file, so that the log can begin anew.
//!
//! Copying and syncing much takes long, so another thread does it while commits go on. But the log begins
//! anew only if everything in it was copied when a commit begins, and under a steady load each commit adds
//! frames during the copying. So the ledger thread itself copies the small rest: between two commits,
//! best when no row waits, and whatever waits once the log is long.

use super::LedgerError;
use super::file;
use super::writer::Writer;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread::JoinHandle;

/// When the log is long enough for what, in frames of 4,120 bytes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// From here on it is copied.
    to_copy: u32,
    /// A rest that the ledger thread may copy.
    rest: u32,
    /// From here on it copies a small rest although rows wait.
    long: u32,
    /// From here on it copies whatever is left, because the disk is too slow for the load.
    most: u32,
}

impl Limits {
    fn of(to_copy: u32) -> Limits {
        Limits {
            to_copy,
            rest: to_copy / 32,
            long: to_copy.saturating_mul(2),
            most: to_copy.saturating_mul(8),
        }
    }
}

/// The checkpoints of one journal, as the ledger thread has them.
pub struct Checkpoints {
    /// Asks the copying thread; `None` only while it is stopped.
    ask: Option<SyncSender<()>>,
    copied: Receiver<Result<u32, LedgerError>>,
    limits: Limits,
    is_copying: bool,
    thread: Option<JoinHandle<()>>,
    /// Frames in the log after the last commit, and how many of them are in the file.
    frames: u32,
    in_file: u32,
    /// Until the log has so many frames another try would be in vain: somebody reads an old state.
    not_before: u32,
}

impl Checkpoints {
    /// Starts the copying thread, with a connection of its own; the log is copied from so many frames on.
    pub fn start(file: &Path, frames_to_copy: u32) -> Result<Checkpoints, LedgerError> {
        let connection = file::open_to_write(file)?;
        let path = file.to_owned();
        let (ask, asked) = mpsc::sync_channel::<()>(1);
        let (tell, copied) = mpsc::sync_channel(1);
        let copy_when_asked = move || {
            for () in asked {
                if tell.send(copy(&connection, &path)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(copy_when_asked)
            .map_err(LedgerError::io(file, "start a thread for it"))?;
        Ok(Checkpoints {
            ask: Some(ask),
            copied,
            limits: Limits::of(frames_to_copy),
            is_copying: false,
            thread: Some(thread),
            frames: 0,
            in_file: 0,
            not_before: 0,
        })
    }

    /// Does what is due after a commit. `is_idle`: no row waits.
    pub fn after_commit(&mut self, writer: &Writer, is_idle: bool) -> Result<(), LedgerError> {
        let frames = writer.wal_frames();
        if frames < self.frames {
            (self.in_file, self.not_before) = (0, 0);
        }
        self.frames = frames;
        self.take_copied()?;
        let limits = self.limits;
        let rest = frames - self.in_file.min(frames);
        if frames < limits.to_copy.max(self.not_before) || self.is_copying && frames < limits.most {
            return Ok(());
        }
        let is_rest_small = rest <= limits.rest;
        if frames >= limits.most || is_rest_small && (is_idle || frames >= limits.long) {
            self.wait_for_copying()?;
            self.in_file = copy(writer.connection(), writer.file())?;
            // The next commit begins the log anew, unless somebody reads in it.
            self.not_before = frames + limits.to_copy;
        } else if !is_rest_small {
            let ask = self.ask.as_ref().expect("it is there until the end");
            self.is_copying = ask.try_send(()).is_ok();
        }
        Ok(())
    }

    /// Takes what the copying thread has to say.
    fn take_copied(&mut self) -> Result<(), LedgerError> {
        match self.copied.try_recv() {
            Ok(copied) => self.note_copied(copied?),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        Ok(())
    }

    fn wait_for_copying(&mut self) -> Result<(), LedgerError> {
        if self.is_copying
            && let Ok(copied) = self.copied.recv()
        {
            self.note_copied(copied?);
        }
        Ok(())
    }

    fn note_copied(&mut self, in_file: u32) {
        self.is_copying = false;
        if in_file <= self.in_file {
            self.not_before = self.frames + self.limits.to_copy;
        }
        self.in_file = in_file;
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Copies what can be copied without waiting for anybody; how many frames of the log are in the file now.
fn copy(connection: &Connection, file: &Path) -> Result<u32, LedgerError> {
    match connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE) {
        Ok((_, in_file)) => Ok(u32::try_from(in_file).unwrap_or(0)),
        // Somebody else is at it.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(0),
        Err(error) => Err(LedgerError::sqlite(file, "copy the write-ahead log into it")(error)),
    }
}

/// Copies all of the log and makes it empty, so that all that was read is surely on the disk: a log that was
/// read may have been in the kernel's memory alone.
pub fn copy_all(connection: &Connection, file: &Path) -> Result<(), LedgerError> {
    let try_copy = |mode| connection.wal_checkpoint_v2(DEFAULT_NAME, mode);
    let copied = match try_copy(CheckpointMode::TRUNCATE) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            // A reader keeps the log from being emptied, but not from being copied, if it reads the newest state.
            try_copy(CheckpointMode::PASSIVE)
        }
        other => other,
    };
    match copied.map_err(LedgerError::sqlite(file, "copy the write-ahead log into it"))? {
        (frames, in_file) if frames == in_file => Ok(()),
        _ => Err(LedgerError::Busy(file.to_owned())),
    }
}
