//! Puts a group whose journal has failed back to work, while the others go on.

use super::clearing::{catch_up, deliver, owed, wait_durable};
use super::recover::{RecoverError, Store, read_group};
use super::server::{lock, os_seeded_rng};
use super::shared::Shared;
use crate::ledger::AnyLedger;
use crate::ledger::sqlite::{Directory, LedgerError, Tip};
use crate::net::Waker;
use crate::set::links::Message;
use crate::worker::{Command, WorkerHangs};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Why a group is not rebuilt. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such group.
    #[error("there are groups 0 to {0}")]
    NoSuchGroup(u32),
    /// There is no journal.
    #[error("--ledger memory: keeps nothing that a group could be rebuilt from")]
    Memory,
    /// It works.
    #[error("group {0} has not failed")]
    Works(u32),
    /// Something of it is under way.
    #[error("group {0}: answers are still under way; ask again in a second")]
    UnderWay(u32),
    /// Something else is being done.
    #[error("an order is being written, or another group rebuilt; ask again in a second")]
    Busy,
    /// Its journal cannot be read, or written.
    #[error("group {group}: {error}")]
    Ledger {
        /// Which.
        group: u32,
        /// What is wrong with the journal.
        error: RecoverError,
    },
    /// No randomness.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// Its worker takes nothing.
    #[error(transparent)]
    Hangs(#[from] WorkerHangs),
    /// Its worker has it, and has not put it to work.
    #[error(
        "group {0} was rebuilt, and does not work after {WAIT_MAX:?}: what it owes has no room at others, or its disk has failed again; look at /stats.json"
    )]
    TimedOut(u32),
}

/// A group that works again.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// Which.
    pub group: u32,
    /// Rows of its journal.
    pub rows: u64,
    /// Of which came from other groups, and were on their way.
    pub delivered: usize,
    /// What it may owe to others and brings again: money and invitations.
    pub owed: usize,
    /// How long it took.
    pub seconds: f64,
}

/// How long a worker may take to put a group to work, and a failed journal's thread to end.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Ends the rebuilding, however it ends.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(self.0.desk()).rebuilding = None;
    }
}

impl Shared {
    /// Reads a failed group's journal anew and has its worker go on with it. Blocks for as long as reading takes.
    pub fn rebuild(&self, group: u32) -> Result<Rebuilt, RebuildError> {
        let groups = self.settings().layout.groups;
        if group >= groups {
            return Err(RebuildError::NoSuchGroup(groups - 1));
        }
        let Store::Sqlite(directory, _) = self.store() else { return Err(RebuildError::Memory) };
        if !lock(self.desk()).begin_rebuilding(group) {
            return Err(RebuildError::Busy);
        }
        let _turn = Turn(self);
        self.check_failed(group)?;
        // What its worker has said of payments is known before the journal tells what became of them.
        self.collect();
        let start = Instant::now();
        let rebuilt = self.read_and_send(directory, group).and_then(|rebuilt| {
            self.wait_until_it_works(group)?;
            Ok(Rebuilt { seconds: start.elapsed().as_secs_f64(), ..rebuilt })
        });
        match &rebuilt {
            Ok(Rebuilt { rows, delivered, owed, .. }) => {
                tracing::info!(group, rows, delivered, owed, "rebuilt from its journal");
            }
            Err(error) => tracing::error!(group, %error, "not rebuilt"),
        }
        rebuilt
    }

    fn check_failed(&self, group: u32) -> Result<(), RebuildError> {
        let published = self.groups().find(|(number, _)| *number == group).map(|(_, snapshot)| snapshot);
        match published {
            Some(snapshot) if snapshot.can_be_rebuilt != 0 => Ok(()),
            Some(snapshot) if snapshot.has_failed != 0 => Err(RebuildError::UnderWay(group)),
            _ => Err(RebuildError::Works(group)),
        }
    }

    /// The way of a start, for one group: its book, what others owe it, what it owes them.
    fn read_and_send(&self, directory: &Directory, group: u32) -> Result<Rebuilt, RebuildError> {
        let failed = |error: RecoverError| RebuildError::Ledger { group, error };
        let cannot = |error: LedgerError| failed(error.into());
        let mut rng = os_seeded_rng().map_err(RebuildError::Random)?;
        let worker = &self.workers()[(group % self.settings().layout.workers) as usize];

        let mut reader = directory.reader(group).map_err(cannot)?;
        let mut read = read_group(self.settings(), &mut reader, &mut rng).map_err(failed)?;
        let tip = read.tip.expect("it was read from a journal");
        // Nobody in this group asks others for money while it stands still, so this is all that is on its way here.
        let mut deliveries = Vec::new();
        let mut news: Vec<Message> = Vec::new();
        for other in (0..self.settings().layout.groups).filter(|other| *other != group) {
            let its = directory.reader(other).map_err(cannot)?;
            let owed_here = owed(&its, group, read.book.delivered(other)).map_err(cannot)?;
            // What a group that has failed as well owes beyond its durable rows it brings when it is rebuilt itself.
            let is_durable_up_to = self.durable_rows_if_failed(other).unwrap_or(u64::MAX);
            deliveries.extend(owed_here.filter(|delivery| delivery.row <= is_durable_up_to));
            if read.owed_up_to[other as usize] > 0 {
                // What has come there and is not on its disk yet is brought in vain, which does no harm.
                let has_come = its.delivered(group).map_err(cannot)?;
                news.extend(owed(&reader, other, has_come).map_err(cannot)?.map(Message::Delivery));
            }
        }
        drop(reader);
        let invitations = read.book.invitations(self.settings().machine);
        news.extend(invitations.filter(|what| !read.book.has_user(what.user)).map(Message::Invited));

        let mut ledger = self.open_again(group, tip, &worker.waker()).map_err(cannot)?;
        // Not after its worker's clock, by which that row was written: what is written next is not before.
        let wall_ms = read.newest_wall_ms;
        deliver(&mut read.book, &mut ledger, &deliveries, wall_ms).map_err(failed)?;
        catch_up(&lock(self.desk()).orders, &mut read.book, &mut ledger, wall_ms).map_err(failed)?;
        wait_durable(group, &mut ledger).map_err(failed)?;
        lock(self.desk()).orders.are_written();
        let rebuilt =
            Rebuilt { group, rows: tip.rows, delivered: deliveries.len(), owed: news.len(), seconds: 0.0 };
        worker.command(Command::Rebuild(Box::new((read.book, ledger, news))))?;
        lock(self.desk()).payments.rebuilt(group, &read.recorded);
        Ok(rebuilt)
    }

    fn durable_rows_if_failed(&self, group: u32) -> Option<u64> {
        let published = self.groups().find(|(number, _)| *number == group).map(|(_, snapshot)| snapshot);
        published.filter(|snapshot| snapshot.has_failed != 0).map(|snapshot| snapshot.durable_rows)
    }

    /// Opens the journal to write on, as soon as the thread that has failed has let it go.
    fn open_again(&self, group: u32, tip: Tip, waker: &Waker) -> Result<AnyLedger, LedgerError> {
        let end = Instant::now() + WAIT_MAX;
        loop {
            match self.store().ledger(group, Some(tip), waker.clone()) {
                Err(LedgerError::Busy(_)) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => return opened,
            }
        }
    }

    fn wait_until_it_works(&self, group: u32) -> Result<(), RebuildError> {
        let end = Instant::now() + WAIT_MAX;
        while self.groups().any(|(number, snapshot)| number == group && snapshot.has_failed != 0) {
            if Instant::now() >= end {
                return Err(RebuildError::TimedOut(group));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
