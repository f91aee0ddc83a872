//! A group's journal as its worker has it: rows go by a ring to a thread that commits them.
//!
//! While one commit goes to the disk the rows of the next gather, so commits become larger as the load does,
//! and nobody waits for company.

use super::LedgerError;
use super::checkpoint::Checkpoints;
use super::writer::{ROWS_PER_COMMIT_MAX, Writer};
use crate::ledger::{Kind, Ledger, Row};
use rtrb::{Consumer, Producer, RingBuffer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// How a journal is run.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// Rows that may wait for their commit. Memory is held for all of them, 112 bytes each.
    pub rows_waiting_max: usize,
    /// Frames in the write-ahead log, of 4,120 bytes each, from which on it is copied into the journal's file and
    /// begun anew. Under load it grows to twice as many; to eight times on a disk that is too slow for the load,
    /// where commits then wait; and beyond only while somebody reads an old state.
    pub wal_frames_to_copy: u32,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        // A commit of some rows takes three frames: at 2,000 commits a second 64 MiB are ten seconds.
        JournalOptions { rows_waiting_max: 65_536, wal_frames_to_copy: 16_384 }
    }
}

/// The worker's end of a journal. When it is dropped all its rows have been committed, unless it has failed.
pub struct Journal {
    waiting: Producer<Entry>,
    shared: Arc<Shared>,
    last_row: u64,
    /// The last row that the thread was waked for.
    flushed_row: u64,
    /// `None` only while it is dropped.
    thread: Option<JoinHandle<()>>,
}

/// A row on its way.
struct Entry {
    row: Row,
    note: Option<Box<str>>,
}

/// What the thread tells the worker, and the order to stop.
struct Shared {
    /// The last row of the turns that were handed over: what comes behind it is not whole yet.
    flushed_row: AtomicU64,
    durable_row: AtomicU64,
    commits: AtomicU64,
    has_failed: AtomicBool,
    is_stopping: AtomicBool,
}

impl Journal {
    /// Starts the thread, which calls `on_durable` after each commit, and when it fails.
    pub(super) fn start(
        writer: Writer,
        options: JournalOptions,
        on_durable: impl Fn() + Send + 'static,
    ) -> Result<Journal, LedgerError> {
        let tip = writer.tip();
        let file = writer.file().to_owned();
        let cannot = LedgerError::io(&file, "start the thread that writes it");
        let checkpoints = Checkpoints::start(&file, options.wal_frames_to_copy)?;
        let (waiting, taken) = RingBuffer::new(options.rows_waiting_max);
        let shared = Arc::new(Shared {
            flushed_row: tip.rows.into(),
            durable_row: tip.rows.into(),
            commits: tip.commits.into(),
            has_failed: false.into(),
            is_stopping: false.into(),
        });
        let its_shared = Arc::clone(&shared);
        let name = file.file_stem().map_or("journal".into(), |name| name.to_string_lossy());
        let thread = std::thread::Builder::new()
            .name(format!("ledger-{name}"))
            .spawn(move || LedgerThread { writer, checkpoints, taken, shared: its_shared, on_durable }.run())
            .map_err(cannot)?;
        Ok(Journal { waiting, shared, last_row: tip.rows, flushed_row: tip.rows, thread: Some(thread) })
    }

    fn push(&mut self, entry: Entry) -> u64 {
        // A journal that has failed takes no rows, and says so by `has_failed`.
        let is_taken = self.waiting.push(entry).is_ok();
        assert!(is_taken || self.has_failed(), "room is asked for before a row is appended");
        self.last_row += 1;
        self.last_row
    }

    fn wake(&self) {
        // It costs a system call only when the thread sleeps.
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Ledger for Journal {
    fn room(&self) -> usize {
        self.waiting.slots()
    }

    fn append(&mut self, row: &Row) -> u64 {
        self.push(Entry { row: *row, note: None })
    }

    fn append_noted(&mut self, row: &Row, note: &str) -> u64 {
        self.push(Entry { row: *row, note: Some(note.into()) })
    }

    fn flush(&mut self) {
        if self.flushed_row != self.last_row {
            self.flushed_row = self.last_row;
            self.shared.flushed_row.store(self.last_row, Ordering::Release);
            self.wake();
        }
    }

    fn last_row(&self) -> u64 {
        self.last_row
    }

    fn durable_row(&mut self) -> u64 {
        self.shared.durable_row.load(Ordering::Acquire)
    }

    fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Acquire)
    }

    fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.flush();
        self.shared.is_stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of it was caught and said.
            let _ = thread.join();
        }
    }
}

/// The thread that commits.
struct LedgerThread<F> {
    // In this order they are dropped: the last connection to close leaves DIR as plain files.
    checkpoints: Checkpoints,
    writer: Writer,
    taken: Consumer<Entry>,
    shared: Arc<Shared>,
    on_durable: F,
}

impl<F: Fn()> LedgerThread<F> {
    /// How many rows the next commit takes: those of whole turns. If they are too many they are cut where a packet
    /// is not parted from who is invited to it.
    fn whole_rows(&mut self) -> usize {
        let flushed = self.shared.flushed_row.load(Ordering::Acquire);
        let rows = (flushed - self.shared.durable_row.load(Ordering::Relaxed)) as usize;
        if rows <= ROWS_PER_COMMIT_MAX {
            return rows;
        }
        let chunk = self.taken.read_chunk(rows).expect("what was flushed is there");
        let (first, second) = chunk.as_slices();
        let next = first.iter().chain(second).skip(ROWS_PER_COMMIT_MAX);
        ROWS_PER_COMMIT_MAX + next.take_while(|entry| entry.row.kind == Kind::Invite).count()
    }

    fn run(mut self) {
        let why = match catch_unwind(AssertUnwindSafe(|| self.commit_until_stopped())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{}: the thread that writes it has panicked", self.writer.file().display()),
        };
        let durable_row = self.shared.durable_row.load(Ordering::Relaxed);
        self.shared.has_failed.store(true, Ordering::Release);
        tracing::error!(durable_row, "a journal has failed, and its group takes no more money: {why}");
        (self.on_durable)();
    }

    fn commit_until_stopped(&mut self) -> Result<(), LedgerError> {
        loop {
            // Before the ring is looked at: what is found then is all there is.
            let is_stopping = self.shared.is_stopping.load(Ordering::Acquire);
            let rows = self.whole_rows();
            if rows == 0 && is_stopping {
                return Ok(());
            }
            if rows == 0 {
                std::thread::park();
                continue;
            }
            let chunk = self.taken.read_chunk(rows).expect("so many are there");
            let (first, second) = chunk.as_slices();
            let entries = first.iter().chain(second).map(|entry| (&entry.row, entry.note.as_deref()));
            let tip = self.writer.commit(entries)?;
            chunk.commit_all();
            self.shared.commits.store(tip.commits, Ordering::Relaxed);
            self.shared.durable_row.store(tip.rows, Ordering::Release);
            (self.on_durable)();
            self.checkpoints.after_commit(&self.writer, self.taken.is_empty())?;
        }
    }
}
