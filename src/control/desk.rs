//! What the operator asks for, on its way into the journals: orders, changes of orders, payments.
//!
//! Asking twice is harmless, so whoever got no answer asks again. Orders go one after another: every group has to
//! write the same ones in the same order.

use super::orders::Orders;
use super::payments::Payments;
use super::settings::FEN_IN_ALL_MAX;
use crate::set::book::OrderState;
use crate::set::{Done, DoneOutcome};
use crate::worker::WorkerHangs;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long an answer waits for the disk.
pub const WAIT_MAX: Duration = Duration::from_secs(5);

/// Why the operator does not get what was asked for. Nothing has changed, unless it says that it is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The id has other content.
    #[error("id {0:?} exists with other content; use another id")]
    Conflict(String),
    /// Nothing has this id.
    #[error(
        "there is no {what} order of this id to {verb}; GET /orders lists those of POST /mint and of POST /send"
    )]
    NotFound {
        /// Which orders were asked for.
        what: &'static str,
        /// What to do.
        verb: &'static str,
    },
    /// A stopped order does not go on.
    #[error("order {0:?} was stopped, and that is for ever; give a new one")]
    Stopped(String),
    /// The wallet holds less.
    #[error("the wallet does not hold that much")]
    TooLittleMoney,
    /// Sums of money would not fit into 63 bits.
    #[error("the total of all orders and deposits could be more than {FEN_IN_ALL_MAX} fen; ask for less")]
    TooMuch,
    /// A table has no room, for good.
    #[error("this ledger takes no more {0}")]
    Full(&'static str),
    /// A group has no room now.
    #[error(
        "there is no room for it now: the disk is behind, or --accounts is too small; ask again with the same id"
    )]
    NoRoomNow,
    /// A group's journal has failed.
    #[error(
        "the journal of group {0} has failed; look at its disk, then POST /groups/{0}/rebuild, and ask again with the same id"
    )]
    Failed(u32),
    /// The user's SET has panicked.
    #[error("SET {0} is masked; POST /sets/{0}/rebuild, then ask again with the same id")]
    Masked(u32),
    /// Something else is being done.
    #[error("{0} is still being written; ask again with the same id")]
    Busy(String),
    /// No answer in time.
    #[error("not on the disk after {WAIT_MAX:?}: the outcome is unknown; ask again with the same id")]
    TimedOut,
    /// A worker takes nothing.
    #[error("{0}")]
    Hangs(String),
}

impl From<WorkerHangs> for Refused {
    fn from(hangs: WorkerHangs) -> Refused {
        Refused::Hangs(hangs.to_string())
    }
}

/// Everything that was asked for.
#[derive(Debug, Default)]
pub struct Desk {
    /// Orders to make packets.
    pub orders: Orders,
    /// Deposits and withdrawals.
    pub payments: Payments,
    /// The newest ticket; 0 is nobody's.
    ticket: u64,
    /// The order, or the change of one, that is being written.
    pub writing: Option<Writing>,
    /// The group that is being rebuilt: meanwhile no order is taken, because it could not write it.
    pub rebuilding: Option<u32>,
    /// The SET that is being rebuilt. Orders go on: they are no SET's.
    pub rebuilding_set: Option<u32>,
}

/// An order, or a change of one, that not all groups have written.
#[derive(Debug)]
pub struct Writing {
    /// By which the groups answer.
    pub ticket: u64,
    /// The position of the order.
    pub at: usize,
    /// `None` while it is the order itself.
    pub state: Option<OrderState>,
    /// Groups that have not answered.
    pub groups_left: usize,
    /// When the workers were told.
    pub told: Instant,
    /// Whether a group has written it.
    pub is_written: bool,
    /// Whether a group had no room for it: it is told again.
    pub is_full: bool,
    /// To who waits.
    pub outcome: watch::Sender<Option<DoneOutcome>>,
}

/// An answer that comes when the journals have what was asked for.
pub struct Pending {
    /// Comes here.
    pub outcome: watch::Receiver<Option<DoneOutcome>>,
    /// Whether it was asked for now, and not before.
    pub is_new: bool,
}

impl Desk {
    /// What the ledger tells of.
    pub fn recovered(orders: Orders, payments: Payments) -> Desk {
        Desk { orders, payments, ..Desk::default() }
    }

    /// Takes the turn for a group that is rebuilt, which lacks what is written meanwhile; `false` while something is.
    pub fn begin_rebuilding(&mut self, group: u32) -> bool {
        let is_idle = self.check_idle().is_ok() && self.rebuilding_set.is_none();
        if is_idle {
            self.rebuilding = Some(group);
        }
        is_idle
    }

    /// Takes the turn for a SET that is rebuilt; `false` while another one is, or a group.
    pub fn begin_rebuilding_set(&mut self, set: u32) -> bool {
        let is_idle = self.rebuilding.is_none() && self.rebuilding_set.is_none();
        if is_idle {
            self.rebuilding_set = Some(set);
        }
        is_idle
    }

    /// What the next thing asked for is called towards the workers.
    pub fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Whether so much more can be put in, in the life of the ledger.
    pub fn has_room_for_fen(&self, fen: u128) -> Result<(), Refused> {
        let fen = self.orders.fen_at_most() + self.payments.deposited_fen() + fen;
        if fen > FEN_IN_ALL_MAX { Err(Refused::TooMuch) } else { Ok(()) }
    }

    /// What is being written, if that is this.
    pub fn is_writing(&self, at: usize, state: Option<OrderState>) -> Option<Pending> {
        let writing = self.writing.as_ref().filter(|writing| (writing.at, writing.state) == (at, state))?;
        Some(Pending { outcome: writing.outcome.subscribe(), is_new: false })
    }

    /// Orders go one after another: whether nothing is being written.
    pub fn check_idle(&self) -> Result<(), Refused> {
        match (&self.writing, self.rebuilding) {
            (Some(writing), _) => Err(Refused::Busy(format!("order {:?}", self.orders.get(writing.at).0.id))),
            (None, Some(group)) => Err(Refused::Busy(format!("group {group}"))),
            (None, None) => Ok(()),
        }
    }

    /// A group has said what became of something.
    pub fn take_done(&mut self, done: Done) {
        if let Some(writing) = self.writing.as_mut().filter(|writing| writing.ticket == done.ticket) {
            writing.groups_left = writing.groups_left.saturating_sub(1);
            writing.is_written |= done.outcome == DoneOutcome::Written;
            writing.is_full |= done.outcome == DoneOutcome::Full;
        } else {
            self.payments.done(done.ticket, done.outcome);
        }
    }
}
