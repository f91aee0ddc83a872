//! At start: every group's book from its journal, and what the journals owe each other.

use super::clearing::{catch_up, check_delivered, deliver, on_its_way, tell_invitations, wait_durable};
use super::orders::Orders;
use super::payments::{Payments, Recorded};
use super::server::{CLOCK_BEHIND_MAX, lock};
use super::settings::Settings;
use crate::ledger::sqlite::{Directory, Identity, JournalOptions, LedgerError, Reader, Tip};
use crate::ledger::{Account, AnyLedger, Kind, Memory};
use crate::net::Waker;
use crate::set::book::{Book, RowError};
use crate::worker::Clock;
use rand::Rng as _;
use redpkt_proto::Rng;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Why the ledger cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A journal cannot be opened, read or written.
    #[error("--ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// A row does not fit to those before it.
    #[error("--ledger: {}: row {row} of group {group}: {error}", .file.display())]
    Row {
        /// The journal.
        file: PathBuf,
        /// Whose it is.
        group: u32,
        /// Which row.
        row: u64,
        /// Why it does not.
        error: RowError,
    },
    /// The groups' orders are not the same.
    #[error("--ledger: {0}; nothing was changed, `redpkt audit --ledger` says more")]
    Orders(String),
    /// What one group owes another could not be written.
    #[error(
        "--ledger: group {0}: its journal has failed while money on its way was written; look at its disk"
    )]
    Delivery(u32),
    /// A journal lacks rows that another one has had money by.
    #[error(
        "--ledger: group {group} has {rows} rows, and group {to} has had the money of its row {row}: put back the journal that has it; nothing was changed"
    )]
    Shortened {
        /// Whose rows are gone.
        group: u32,
        /// How many it has.
        rows: u64,
        /// The row that is known of.
        row: u64,
        /// Who knows of it.
        to: u32,
    },
    /// The clock is behind what is written.
    #[error(
        "the clock is {behind_s} s behind the ledger's newest row or session: set the clock, session numbers are made from it"
    )]
    Clock {
        /// By how much.
        behind_s: u64,
    },
}

impl RecoverError {
    /// Whether what the user wrote is to be changed: exit code 2.
    pub fn is_usage(&self) -> bool {
        match self {
            RecoverError::Ledger(error) => error.is_usage(),
            RecoverError::Row { error, .. } => matches!(error, RowError::Full { .. }),
            _ => false,
        }
    }
}

/// Where a server's money is kept.
pub enum Store {
    /// Nowhere beyond the process.
    Memory,
    /// In journals on disk, which are run so.
    Sqlite(Directory, JournalOptions),
}

impl Store {
    /// Opens what the settings name, and holds it: no other server can.
    pub fn open(settings: &Settings, now_wall_ms: u64) -> Result<Store, RecoverError> {
        let Some(dir) = &settings.ledger else {
            tracing::warn!("--ledger memory: all money is gone when this process ends");
            return Ok(Store::Memory);
        };
        let layout = settings.layout;
        let identity = Identity { machine: settings.machine, sets: layout.sets, groups: layout.groups };
        Ok(Store::Sqlite(Directory::open(dir, identity, now_wall_ms)?, settings.journal_options()))
    }

    /// The ledger of a group, to be written on after `tip`. It wakes its worker when rows are durable.
    pub fn ledger(&self, group: u32, tip: Option<Tip>, waker: Waker) -> Result<AnyLedger, LedgerError> {
        match (self, tip) {
            (Store::Sqlite(directory, options), Some(tip)) => {
                Ok(AnyLedger::Journal(directory.journal(group, tip, *options, move || waker.wake())?))
            }
            _ => Ok(AnyLedger::Memory(Memory::default())),
        }
    }
}

/// A group as its journal says.
pub struct Read {
    /// Its memory.
    pub book: Book,
    /// The end of its journal; `None` without one.
    pub tip: Option<Tip>,
    /// Deposits and withdrawals.
    pub recorded: Vec<Recorded>,
    /// By group: the last row by which money has left for its users.
    pub owed_up_to: Vec<u64>,
    /// The latest time of a row, in ms since 1970; when the ledger was made if there is none, 0 without a journal.
    pub newest_wall_ms: u64,
    /// Users with money.
    pub accounts: u64,
    /// Packets that were made.
    pub packets: u64,
}

/// Rows that are counted at once for the progress.
const ROWS_PER_LOOK: u64 = 4_096;

/// What several threads that read journals share.
#[derive(Default)]
struct Reading {
    rows: AtomicU64,
    next_group: AtomicUsize,
    has_failed: AtomicBool,
}

/// Reads one group's journal from its beginning, and gives the book that it makes.
pub fn read_group(settings: &Settings, reader: &mut Reader, rng: &mut Rng) -> Result<Read, RecoverError> {
    read_counted(settings, reader, rng, &Reading::default())
}

fn empty(settings: &Settings, group: u32, rng: &mut Rng) -> Read {
    let book = Book::new(group, settings.layout, &settings.core_config(0).capacity, || rng.next_u64());
    let owed_up_to = vec![0; settings.layout.groups as usize];
    Read { book, tip: None, recorded: Vec::new(), owed_up_to, newest_wall_ms: 0, accounts: 0, packets: 0 }
}

fn read_counted(
    settings: &Settings,
    reader: &mut Reader,
    rng: &mut Rng,
    reading: &Reading,
) -> Result<Read, RecoverError> {
    let (group, file) = (reader.group(), reader.file().to_owned());
    let mut read = empty(settings, group, rng);
    let Read { book, recorded, owed_up_to, newest_wall_ms, packets, .. } = &mut read;
    *newest_wall_ms = reader.created_wall_ms();
    let tip = reader.read::<RecoverError>(|row_number, row, note| {
        let fails = |error| RecoverError::Row { file: file.clone(), group, row: row_number, error };
        book.apply(row, note).map_err(fails)?;
        *newest_wall_ms = row.wall_ms.max(*newest_wall_ms);
        match (row.kind, row.credit) {
            (Kind::Open, Account::Clearing(to)) => {
                let owed = owed_up_to.get_mut(to as usize);
                let owed = owed.ok_or(RowError::Contradiction("it owes money to a group that is not there"));
                *owed.map_err(fails)? = row_number;
            }
            (Kind::Deposit | Kind::Withdraw, _) => {
                let id =
                    note.ok_or(RowError::Contradiction("it is a payment without an id")).map_err(fails)?;
                recorded.push(Recorded::new(id, row.user, row.fen, row.kind == Kind::Deposit));
            }
            (Kind::Mint | Kind::Send, _) => *packets += 1,
            _ => {}
        }
        if row_number % ROWS_PER_LOOK == 0 {
            reading.rows.fetch_add(ROWS_PER_LOOK, Ordering::Relaxed);
        }
        Ok(())
    })?;
    reading.rows.fetch_add(tip.rows % ROWS_PER_LOOK, Ordering::Relaxed);
    read.accounts = read.book.sets().iter().map(|set| set.accounts.count() as u64).sum();
    read.tip = Some(tip);
    Ok(read)
}

/// All groups, as they were, and everything that goes on.
pub struct Recovered {
    /// By group.
    pub groups: Vec<(Book, AnyLedger)>,
    /// Orders, the same in all groups.
    pub orders: Orders,
    /// Deposits and withdrawals of all groups.
    pub payments: Payments,
    /// The latest time of a row, in ms since 1970.
    pub newest_wall_ms: u64,
}

/// How long reading may take without a word.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// Rebuilds every group's memory, several at a time, and writes what was on its way between groups into the journals
/// it was on its way to. `wakers` are the workers'.
pub fn recover(
    settings: &Settings,
    store: &Store,
    wakers: &[Waker],
    rngs: impl Fn() -> Rng + Sync,
) -> Result<Recovered, RecoverError> {
    let start = Instant::now();
    let (mut reads, readers) = match store {
        Store::Memory => {
            let mut rng = rngs();
            let groups = 0..settings.layout.groups;
            (groups.map(|group| empty(settings, group, &mut rng)).collect::<Vec<_>>(), Vec::new())
        }
        Store::Sqlite(directory, _) => read_all(settings, directory, &rngs)?,
    };
    let orders = Orders::of_books(&reads.iter().map(|read| &read.book)).map_err(RecoverError::Orders)?;
    check_delivered(&reads)?;
    let on_its_way = on_its_way(&reads, &readers)?;
    // While there are readers no journal can be shortened.
    drop(readers);
    tell_invitations(settings.machine, &mut reads);
    let mut payments = Payments::default();
    reads.iter().flat_map(|read| &read.recorded).for_each(|recorded| payments.recover(recorded));
    report(start, store, &reads);
    let now_wall_ms = Clock::new().now().wall_ms;
    let newest_wall_ms = reads.iter().map(|read| read.newest_wall_ms).max().unwrap_or(0).max(now_wall_ms);
    let behind = Duration::from_millis(newest_wall_ms - now_wall_ms);
    if behind > CLOCK_BEHIND_MAX {
        return Err(RecoverError::Clock { behind_s: behind.as_secs() });
    }
    // A journal is on the disk when it is open, and not always when it was read. So all are, before any of them has
    // money by a row of another.
    let mut groups = Vec::new();
    for read in reads {
        let group = read.book.group();
        let waker = wakers[(group % settings.layout.workers) as usize].clone();
        groups.push((read.book, store.ledger(group, read.tip, waker)?));
    }
    for ((book, ledger), deliveries) in groups.iter_mut().zip(on_its_way) {
        deliver(book, ledger, &deliveries, newest_wall_ms)?;
        catch_up(&orders, book, ledger, newest_wall_ms)?;
    }
    for (book, ledger) in &mut groups {
        wait_durable(book.group(), ledger)?;
    }
    Ok(Recovered { groups, orders, payments, newest_wall_ms })
}

fn report(start: Instant, store: &Store, reads: &[Read]) {
    let rows: u64 = reads.iter().filter_map(|read| read.tip).map(|tip| tip.rows).sum();
    if rows > 0 && matches!(store, Store::Sqlite(..)) {
        let (packets, users): (u64, u64) =
            reads.iter().fold((0, 0), |sum, read| (sum.0 + read.packets, sum.1 + read.accounts));
        let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
        tracing::info!(rows, packets, users, seconds, "ledger read: every group goes on where it was");
    }
}

/// Reads all journals, as many at a time as there are processors.
fn read_all(
    settings: &Settings,
    directory: &Directory,
    rngs: &(impl Fn() -> Rng + Sync),
) -> Result<(Vec<Read>, Vec<Reader>), RecoverError> {
    let (groups, reading) = (settings.layout.groups as usize, Reading::default());
    let results: Mutex<Vec<(Read, Reader)>> = Mutex::default();
    let read_next = || -> Result<(), RecoverError> {
        let mut rng = rngs();
        loop {
            let group = reading.next_group.fetch_add(1, Ordering::Relaxed);
            if group >= groups || reading.has_failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut reader = directory.reader(group as u32)?;
            match read_counted(settings, &mut reader, &mut rng, &reading) {
                Ok(read) => lock(&results).push((read, reader)),
                Err(error) => {
                    reading.has_failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(groups);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read_next)).collect();
        tell_progress(directory, &reading, || readers.iter().all(|reader| reader.is_finished()));
        readers.into_iter().try_for_each(|reader| reader.join().expect("reading does not panic"))
    })?;
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(_, reader)| reader.group());
    Ok(results.into_iter().unzip())
}

fn tell_progress(directory: &Directory, reading: &Reading, is_over: impl Fn() -> bool) {
    let all: u64 = directory.found().iter().map(|found| found.tip.rows).sum();
    let mut told = Instant::now();
    while !is_over() {
        std::thread::sleep(Duration::from_millis(2));
        if told.elapsed() >= QUIET_TIME {
            told = Instant::now();
            let rows = reading.rows.load(Ordering::Relaxed);
            tracing::info!(rows, of = all, percent = rows * 100 / all.max(1), "reading the ledger");
        }
    }
}
