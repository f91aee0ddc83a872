//! The ways by which orders and payments get to the workers, and their outcomes back.
//!
//! Nothing here blocks and nothing is pushed from the workers: whoever waits looks every millisecond.

use super::desk::{Desk, Pending, Refused, WAIT_MAX, Writing};
use super::orders::{Asked, OrderReport};
use super::payments::{AskedPayment, WAITING_MAX};
use super::server::lock;
use super::shared::Shared;
use crate::set::book::{Order, OrderState, What};
use crate::set::{DoneOutcome, Payment};
use crate::worker::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// When workers that have not all answered are told once more. It does no harm: a group writes an order once.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(4);

/// Between two looks at what the workers have said.
const LOOK_EVERY: Duration = Duration::from_millis(1);

impl Shared {
    /// Takes an order, and answers when all groups that work have written it; whether it is new, and its position.
    /// Without an id it gets one. `any_day` as in [`Orders::ask`].
    pub async fn give_order(&self, order: Order, any_day: bool) -> Result<(bool, usize), Refused> {
        let end = Instant::now() + WAIT_MAX;
        let (at, pending) = loop {
            match self.ask_order(&order, any_day) {
                Err(Refused::Busy(_)) if Instant::now() < end => self.look().await,
                asked => break asked?,
            }
        };
        match pending {
            None => Ok((false, at)),
            Some(pending) => Ok((self.written(pending, end, None).await?, at)),
        }
    }

    /// Has an order go on, pause or stop, and answers when all groups that work have written it; its position.
    pub async fn set_order_state(&self, id: &str, what: &str, state: OrderState) -> Result<usize, Refused> {
        let end = Instant::now() + WAIT_MAX;
        let (at, pending) = loop {
            match self.ask_order_state(id, what, state) {
                Err(Refused::Busy(_)) if Instant::now() < end => self.look().await,
                asked => break asked?,
            }
        };
        if let Some(pending) = pending {
            self.written(pending, end, None).await?;
        }
        Ok(at)
    }

    /// Pays into a wallet or out of it, and answers when that is durable; whether it is new.
    pub async fn pay(&self, payment: &Payment) -> Result<bool, Refused> {
        let end = Instant::now() + WAIT_MAX;
        let layout = self.settings().layout;
        let group = layout.group_of(layout.set_of(payment.user));
        match self.ask_payment(payment, group)? {
            None => Ok(false),
            Some(pending) => match self.written(pending, end, Some(group)).await {
                Err(Refused::Masked(_)) => Err(Refused::Masked(layout.set_of(payment.user))),
                outcome => outcome,
            },
        }
    }

    /// Waits for an outcome; whether it was asked for now. `group` is the one that writes it, if it is one.
    async fn written(&self, pending: Pending, end: Instant, group: Option<u32>) -> Result<bool, Refused> {
        loop {
            let outcome = *pending.outcome.borrow();
            match outcome {
                Some(outcome) => return self.answer(outcome, group).map(|()| pending.is_new),
                None if Instant::now() >= end => return Err(Refused::TimedOut),
                None => self.look().await,
            }
        }
    }

    fn answer(&self, outcome: DoneOutcome, group: Option<u32>) -> Result<(), Refused> {
        match outcome {
            DoneOutcome::Written => Ok(()),
            DoneOutcome::Full => Err(Refused::NoRoomNow),
            DoneOutcome::TooLittleMoney => Err(Refused::TooLittleMoney),
            // Which SET that is knows who has asked.
            DoneOutcome::Masked => Err(Refused::Masked(0)),
            DoneOutcome::Failed | DoneOutcome::Unknown => {
                Err(Refused::Failed(group.or_else(|| self.failed_group()).unwrap_or(0)))
            }
        }
    }

    async fn look(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
        self.collect();
    }

    /// Takes an order and tells the workers; its position, and who says when it is written unless it is.
    fn ask_order(&self, order: &Order, any_day: bool) -> Result<(usize, Option<Pending>), Refused> {
        let mut desk = lock(self.desk());
        let mut order = order.clone();
        if order.id.is_empty() {
            order.id = desk.orders.free_id(|id| desk.payments.has(id));
        }
        if desk.payments.has(&order.id) {
            return Err(Refused::Conflict(order.id));
        }
        let (at, is_new) = match desk.orders.ask(&order, any_day) {
            Asked::Known(at) => return Ok((at, None)),
            Asked::Conflict => return Err(Refused::Conflict(order.id)),
            Asked::Full => return Err(Refused::Full("orders")),
            Asked::NotWritten(at) => (at, false),
            Asked::New(at) => (at, true),
        };
        if let Some(pending) = desk.is_writing(at, None) {
            return Ok((at, Some(pending)));
        }
        desk.check_idle()?;
        if is_new {
            desk.has_room_for_fen(order.fen_at_most())?;
            let Order { id, rate_per_s, total, .. } = &order;
            tracing::info!(id, rate = rate_per_s, total, "order taken");
            desk.orders.take(order);
        }
        Ok((at, Some(self.write_order(&mut desk, at, None, is_new))))
    }

    fn ask_order_state(
        &self,
        id: &str,
        what: &str,
        state: OrderState,
    ) -> Result<(usize, Option<Pending>), Refused> {
        let mut desk = lock(self.desk());
        let verb = match state {
            OrderState::Running => "resume",
            OrderState::Paused => "pause",
            OrderState::Stopped => "stop",
        };
        let not_found = Refused::NotFound { what: if what == "mint" { "mint" } else { "send" }, verb };
        let at = desk.orders.position(id).ok_or(not_found.clone())?;
        let (order, before) = desk.orders.get(at);
        if (order.what == What::Mint) != (what == "mint") {
            return Err(not_found);
        }
        if let Some(pending) = desk.is_writing(at, Some(state)) {
            return Ok((at, Some(pending)));
        }
        if before == state {
            return Ok((at, None));
        }
        if before == OrderState::Stopped {
            return Err(Refused::Stopped(id.to_owned()));
        }
        desk.check_idle()?;
        if !desk.orders.has_written(at) {
            // All groups had failed: the first that is rebuilt writes it.
            return Err(Refused::Failed(self.failed_group().unwrap_or(0)));
        }
        tracing::info!(id, verb, "order changed");
        Ok((at, Some(self.write_order(&mut desk, at, Some(state), true))))
    }

    /// Tells all workers of an order, or of a change of one.
    fn write_order(&self, desk: &mut Desk, at: usize, state: Option<OrderState>, is_new: bool) -> Pending {
        let (sender, outcome) = watch::channel(None);
        let mut writing = Writing {
            ticket: 0,
            at,
            state,
            groups_left: 0,
            told: Instant::now(),
            is_written: false,
            is_full: false,
            outcome: sender,
        };
        self.tell_order(desk, &mut writing);
        desk.writing = Some(writing);
        Pending { outcome, is_new }
    }

    /// Tells all workers that live; a group that has it already says so. One that hangs is waited for, and told again:
    /// a group that went on without this order could not take the next.
    fn tell_order(&self, desk: &mut Desk, writing: &mut Writing) {
        (writing.ticket, writing.groups_left, writing.is_full) = (desk.next_ticket(), 0, false);
        writing.told = Instant::now();
        let number = writing.at + 1;
        let order = Arc::new(desk.orders.get(writing.at).0.clone());
        for worker in self.workers().iter().filter(|worker| !worker.has_failed()) {
            let (order, ticket) = (Arc::clone(&order), writing.ticket);
            let told = worker.command(match writing.state {
                None => Command::Order { number, order, ticket },
                Some(state) => Command::OrderState { number, state, ticket },
            });
            if let Err(error) = told {
                tracing::error!(number, %error, "an order was not told to all workers");
            }
            writing.groups_left += worker.groups().count();
        }
    }

    fn ask_payment(&self, payment: &Payment, group: u32) -> Result<Option<Pending>, Refused> {
        let mut desk = lock(self.desk());
        if desk.orders.position(&payment.id).is_some() {
            return Err(Refused::Conflict(payment.id.clone()));
        }
        if payment.is_deposit && !desk.payments.has(&payment.id) {
            desk.has_room_for_fen(payment.fen.into())?;
        }
        let worker = &self.workers()[(group % self.settings().layout.workers) as usize];
        // Each group has its share, so that one whose disk hangs does not hold up the others.
        let waiting_max = (WAITING_MAX / worker.groups().count()).max(1);
        if !desk.payments.has(&payment.id) && desk.payments.waiting(group) >= waiting_max {
            return Err(Refused::NoRoomNow);
        }
        let ticket = desk.next_ticket();
        match desk.payments.ask(payment, group, ticket) {
            AskedPayment::Written => Ok(None),
            AskedPayment::Unknown => Err(Refused::Failed(group)),
            AskedPayment::Conflict => Err(Refused::Conflict(payment.id.clone())),
            AskedPayment::Full => Err(Refused::Full("payments")),
            AskedPayment::Asked(outcome) => Ok(Some(Pending { outcome, is_new: false })),
            AskedPayment::New(outcome) => {
                if let Err(hangs) = worker.command(Command::Pay { payment: payment.clone(), ticket }) {
                    // It was not told, so nothing has changed.
                    desk.payments.done(ticket, DoneOutcome::Full);
                    return Err(hangs.into());
                }
                Ok(Some(Pending { outcome, is_new: true }))
            }
        }
    }

    /// Takes in what the workers have said since the last look.
    pub fn collect(&self) {
        let mut desk = lock(self.desk());
        for worker in self.workers() {
            while let Some(done) = worker.take_done() {
                desk.take_done(done);
            }
        }
        let is_due =
            |writing: &mut Writing| writing.groups_left == 0 || writing.told.elapsed() > TELL_AGAIN_AFTER;
        let Some(mut writing) = desk.writing.take_if(is_due) else { return };
        if writing.groups_left > 0 || writing.is_full {
            self.tell_order(&mut desk, &mut writing);
            desk.writing = Some(writing);
            return;
        }
        // Groups that have failed hear of it when they are rebuilt, or at the next start.
        let is_known = writing.is_written;
        if is_known && writing.state.is_none() {
            desk.orders.is_written(writing.at);
        }
        if let Some(state) = writing.state.filter(|_| is_known) {
            desk.orders.set_state(writing.at, state);
        }
        let outcome = if is_known { DoneOutcome::Written } else { DoneOutcome::Failed };
        let _ = writing.outcome.send(Some(outcome));
    }

    /// How far the order at this position is.
    pub fn order(&self, at: usize) -> OrderReport {
        self.orders().swap_remove(at)
    }

    /// How far all orders are.
    pub fn orders(&self) -> Vec<OrderReport> {
        lock(self.desk()).orders.report(&self.snapshots(), self.settings().layout.groups)
    }
}
