//! SETs drained, resumed, made to panic for practice, and put back to work from their group's journal, while everything
//! else serves.

use super::recover::{RecoverError, Store, read_group};
use super::server::{lock, os_seeded_rng};
use super::shared::Shared;
use crate::ledger::sqlite::{Directory, LedgerError};
use crate::set::{SetPart, SetState};
use crate::worker::{Clock, Command, SetSnapshot, WorkerHangs};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Why nothing was done with a SET.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// There is no such SET.
    #[error("there are SETs 0 to {0}")]
    NoSuchSet(u32),
    /// Only a masked SET is rebuilt.
    #[error("SET {0} is not masked; there is nothing to rebuild")]
    Works(u32),
    /// A masked SET is neither drained nor serving.
    #[error("SET {0} is masked; POST /sets/{0}/rebuild puts it back to work")]
    Masked(u32),
    /// The server was started without drills.
    #[error("SET {0}: only a server that was started with --drills has a SET panic by hand")]
    NoDrills(u32),
    /// Its worker has panicked.
    #[error("the worker of SET {0} has failed; restart the server")]
    WorkerFailed(u32),
    /// A group's journal has failed: what it has promised may be for users of this SET.
    #[error("group {0} has failed; POST /groups/{0}/rebuild first")]
    GroupFailed(u32),
    /// There is no journal.
    #[error("--ledger memory: keeps nothing that a SET could be rebuilt from; restart the server")]
    Memory,
    /// Something of it is under way.
    #[error("SET {0}: answers for its users are still under way; ask again in a second")]
    UnderWay(u32),
    /// Something else is being rebuilt.
    #[error("another SET or a group is being rebuilt; ask again when it is done")]
    Busy,
    /// Its group's journal cannot be read.
    #[error("SET {set}: {error}")]
    Ledger {
        /// Which.
        set: u32,
        /// What is wrong with the journal.
        error: RecoverError,
    },
    /// No randomness.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// Its worker takes nothing.
    #[error(transparent)]
    Hangs(#[from] WorkerHangs),
    /// Its worker has not done it.
    #[error("SET {0}: its worker has not done it after {WAIT_MAX:?}; look at /stats.json and ask again")]
    TimedOut(u32),
}

/// What became of a SET.
#[derive(Debug, Serialize)]
pub struct SetReport {
    /// Which.
    pub set: u32,
    /// `ok`, `draining` or, after a drill, `masked`.
    pub state: &'static str,
    /// Rows of its group's journal that it was rebuilt from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How long it took.
    pub seconds: f64,
}

/// How long a worker may take to say that it has done what it was told.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often a journal is read when money for the SET's users comes in between.
const READS_MAX: usize = 5;

/// Ends the rebuilding, however it ends.
struct Turn<'a>(&'a Shared);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(self.0.desk()).rebuilding_set = None;
    }
}

impl Shared {
    /// Has a SET get no new users, wins and packets: it serves what is there.
    pub fn drain_set(&self, set: u32) -> Result<SetReport, SetError> {
        self.told_set(set, SetState::Draining)
    }

    /// Has a drained SET work as ever; one that is masked is rebuilt.
    pub fn resume_set(&self, set: u32) -> Result<SetReport, SetError> {
        match self.known_set(set)?.state() {
            SetState::Masked => self.rebuild_set(set),
            _ => self.told_set(set, SetState::Ok),
        }
    }

    /// Has a SET panic, to practise what follows: it is masked, its users are told so, and it can be rebuilt.
    pub fn drill_set(&self, set: u32) -> Result<SetReport, SetError> {
        if !self.settings().drills {
            return Err(SetError::NoDrills(set));
        }
        self.told_set(set, SetState::Masked)
    }

    /// Reads a masked SET's tables from its group's journal, which goes on meanwhile, and has its worker take them.
    /// Blocks for as long as reading takes.
    pub fn rebuild_set(&self, set: u32) -> Result<SetReport, SetError> {
        if self.known_set(set)?.state() != SetState::Masked {
            return Err(SetError::Works(set));
        }
        let Store::Sqlite(directory, _) = self.store() else { return Err(SetError::Memory) };
        if !lock(self.desk()).begin_rebuilding_set(set) {
            return Err(SetError::Busy);
        }
        let _turn = Turn(self);
        let start = Instant::now();
        for _ in 0..READS_MAX {
            if let Some(group) = self.failed_group() {
                return Err(SetError::GroupFailed(group));
            }
            self.wait_for(set, |snapshot| snapshot.can_be_rebuilt != 0)
                .map_err(|_| SetError::UnderWay(set))?;
            let rows = self.read_set_and_send(directory, set)?;
            if self.wait_for(set, |snapshot| snapshot.state() != SetState::Masked).is_ok() {
                let seconds = start.elapsed().as_secs_f64();
                tracing::info!(set, rows, seconds, "SET rebuilt from its group's journal");
                return Ok(SetReport { set, state: SetState::Ok.name(), rows: Some(rows), seconds });
            }
        }
        Err(SetError::TimedOut(set))
    }

    /// Reads the whole group, since rows are about several SETs, and takes this one's part; how many rows.
    fn read_set_and_send(&self, directory: &Directory, set: u32) -> Result<u64, SetError> {
        let failed = |error: RecoverError| SetError::Ledger { set, error };
        let cannot = |error: LedgerError| failed(error.into());
        let settings = self.settings();
        let mut rng = os_seeded_rng().map_err(SetError::Random)?;
        let mut reader = directory.reader(settings.layout.group_of(set)).map_err(cannot)?;
        let read = read_group(settings, &mut reader, &mut rng).map_err(failed)?;
        let rows = read.tip.expect("it was read from a journal").rows;
        let wall_s = Clock::new().now().wall_s();
        let part = SetPart::of(read.book, set, rows, settings.machine, wall_s);
        let worker = &self.workers()[settings.layout.worker_of(set) as usize];
        worker.command(Command::RebuildSet(Box::new(part)))?;
        Ok(rows)
    }

    fn told_set(&self, set: u32, state: SetState) -> Result<SetReport, SetError> {
        if self.known_set(set)?.state() == SetState::Masked {
            return Err(SetError::Masked(set));
        }
        let start = Instant::now();
        let worker = &self.workers()[self.settings().layout.worker_of(set) as usize];
        worker.command(match state {
            SetState::Masked => Command::Drill { set },
            state => Command::Drain { set, is_draining: state == SetState::Draining },
        })?;
        self.wait_for(set, |snapshot| snapshot.state() == state)?;
        tracing::info!(set, state = state.name(), "SET told by hand");
        Ok(SetReport { set, state: state.name(), rows: None, seconds: start.elapsed().as_secs_f64() })
    }

    fn known_set(&self, set: u32) -> Result<SetSnapshot, SetError> {
        let layout = self.settings().layout;
        let known = self.set(set).ok_or(SetError::NoSuchSet(layout.sets - 1))?;
        if self.workers()[layout.worker_of(set) as usize].has_failed() {
            return Err(SetError::WorkerFailed(set));
        }
        Ok(known)
    }

    fn wait_for(&self, set: u32, is_so: impl Fn(&SetSnapshot) -> bool) -> Result<(), SetError> {
        let end = Instant::now() + WAIT_MAX;
        while !is_so(&self.known_set(set)?) {
            if Instant::now() >= end {
                return Err(SetError::TimedOut(set));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
