//! Reads all journals of a ledger at a time, and shows how far it is.

use crate::ledger::sqlite::{LedgerError, Reader};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// After how long it is shown how far it is.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// How often that is shown.
const STEP: Duration = Duration::from_millis(200);

/// Rows that are counted together: a shared counter is not for every row.
const ROWS_TOGETHER: u64 = 4_096;

/// Counts the rows of one journal.
pub struct Progress<'a> {
    all: &'a AtomicU64,
    own: u64,
}

impl Progress<'_> {
    /// One row more was read.
    pub fn row(&mut self) {
        self.own += 1;
        if self.own.is_multiple_of(ROWS_TOGETHER) {
            self.all.fetch_add(ROWS_TOGETHER, Ordering::Relaxed);
        }
    }
}

/// Lets `read` read each journal, on a thread of its own; what it makes of them, in their order. After
/// 2 seconds a terminal on stderr shows how far it is.
pub fn read_all<T: Send>(
    readers: Vec<Reader>,
    read: impl Fn(&mut Reader, &mut Progress<'_>) -> Result<T, LedgerError> + Sync,
) -> Result<Vec<T>, LedgerError> {
    let total = readers.iter().map(|reader| reader.tip().map(|tip| tip.rows)).sum::<Result<u64, _>>()?;
    let rows = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (read, rows) = (&read, &rows);
        // It is closed when the last thread has ended, however that has ended.
        let (ends, ended) = mpsc::channel::<()>();
        let start = |mut reader: Reader| {
            let ends = ends.clone();
            scope.spawn(move || {
                let _ends = ends;
                read(&mut reader, &mut Progress { all: rows, own: 0 })
            })
        };
        let threads: Vec<_> = readers.into_iter().map(start).collect();
        drop(ends);
        show(total, rows, &ended);
        threads.into_iter().map(|thread| thread.join().expect("reading does not panic")).collect()
    })
}

/// Shows how far it is until all have ended.
fn show(total: u64, rows: &AtomicU64, ended: &mpsc::Receiver<()>) {
    let begin = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    while ended.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
        if begin.elapsed() < QUIET_TIME {
            continue;
        }
        // It draws on stderr, and only if that is a terminal.
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} rows, {eta} left");
            ProgressBar::new(total).with_style(style.expect("the template is right"))
        });
        bar.set_position(rows.load(Ordering::Relaxed));
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
