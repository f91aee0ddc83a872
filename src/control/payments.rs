//! Deposits and withdrawals that were asked for: each id once, for the life of the ledger.

use crate::set::{DoneOutcome, Payment};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tokio::sync::watch;

/// Payments that are remembered. 32 bytes each, and as much again while the table grows.
const PAYMENTS_MAX: usize = 1_000_000;

/// Payments that wait for a worker's answer at one time. It has room for so many outcomes and those of some orders, so
/// that none is lost: a payment whose outcome was lost could not be asked for again.
pub const WAITING_MAX: usize = 192;

/// A payment in a journal, as what is remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    id: u64,
    content: u64,
    deposit_fen: u64,
}

impl Recorded {
    /// 64 bits of a hash for its id, and 64 for all it says. Two of a million ids share theirs once in thirty million
    /// ledgers; the later one is then refused, and no payment is taken for another.
    pub fn new(id: &str, user: u64, fen: u64, is_deposit: bool) -> Recorded {
        let mut hash = blake3::Hasher::new();
        hash.update(id.as_bytes());
        let short = |hash: &blake3::Hasher| {
            u64::from_le_bytes(*hash.finalize().as_bytes().first_chunk().expect("32 bytes"))
        };
        let id = short(&hash);
        let content = [user, fen, u64::from(is_deposit)];
        for number in content {
            hash.update(&number.to_le_bytes());
        }
        Recorded { id, content: short(&hash), deposit_fen: if is_deposit { fen } else { 0 } }
    }

    fn of(payment: &Payment) -> Recorded {
        Recorded::new(&payment.id, payment.user, payment.fen, payment.is_deposit)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its group has not said yet what became of it.
    Asked,
    /// It is durable.
    Written,
    /// The group's journal has failed: whether it is in there is found when the group is rebuilt.
    Unknown { group: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Known {
    content: u64,
    state: State,
}

/// What became of asking for a payment.
#[derive(Debug)]
pub enum AskedPayment {
    /// It is new: the group is to be told, and will say what became of it.
    New(watch::Receiver<Option<DoneOutcome>>),
    /// It was asked for before, and its group will say what became of it.
    Asked(watch::Receiver<Option<DoneOutcome>>),
    /// It is done.
    Written,
    /// The group's journal has failed.
    Unknown,
    /// The id was used with other content.
    Conflict,
    /// No more payments can be remembered.
    Full,
}

/// A payment whose group has not answered.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    recorded: Recorded,
    group: u32,
    outcome: watch::Sender<Option<DoneOutcome>>,
}

/// All payments by their ids' hashes.
#[derive(Debug, Default)]
pub struct Payments {
    known: HashMap<u64, Known>,
    waiting: Vec<Waiting>,
    deposited_fen: u128,
}

impl Payments {
    /// A payment that a journal tells of.
    pub fn recover(&mut self, recorded: &Recorded) {
        self.known.insert(recorded.id, Known { content: recorded.content, state: State::Written });
        self.deposited_fen += u128::from(recorded.deposit_fen);
    }

    /// Whether a payment has this id.
    pub fn has(&self, id: &str) -> bool {
        self.known.contains_key(&Recorded::new(id, 0, 0, false).id)
    }

    /// How many payments of users of this group wait for its answer.
    pub fn waiting(&self, group: u32) -> usize {
        self.waiting.iter().filter(|waiting| waiting.group == group).count()
    }

    /// What was ever paid in, and may be by what was asked for, in fen.
    pub fn deposited_fen(&self) -> u128 {
        self.deposited_fen
    }

    /// Asks for a payment of a user of `group`; where it is new it goes by `ticket`.
    pub fn ask(&mut self, payment: &Payment, group: u32, ticket: u64) -> AskedPayment {
        let recorded = Recorded::of(payment);
        let is_full = self.known.len() >= PAYMENTS_MAX;
        match self.known.entry(recorded.id) {
            Entry::Occupied(known) if known.get().content != recorded.content => AskedPayment::Conflict,
            Entry::Occupied(known) => match known.get().state {
                State::Written => AskedPayment::Written,
                State::Unknown { .. } => AskedPayment::Unknown,
                State::Asked => {
                    let its = self.waiting.iter().find(|waiting| waiting.recorded.id == recorded.id);
                    AskedPayment::Asked(its.expect("who asks waits").outcome.subscribe())
                }
            },
            Entry::Vacant(_) if is_full => AskedPayment::Full,
            Entry::Vacant(place) => {
                place.insert(Known { content: recorded.content, state: State::Asked });
                self.deposited_fen += u128::from(recorded.deposit_fen);
                let (outcome, receiver) = watch::channel(None);
                self.waiting.push(Waiting { ticket, recorded, group, outcome });
                AskedPayment::New(receiver)
            }
        }
    }

    /// What became of the payment with this ticket; `false` if there is none.
    pub fn done(&mut self, ticket: u64, outcome: DoneOutcome) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return false };
        let Waiting { recorded, group, outcome: sender, .. } = self.waiting.swap_remove(at);
        match outcome {
            DoneOutcome::Written => self.set(recorded.id, State::Written),
            // The group may have been rebuilt before anybody heard of this: then its journal has told.
            DoneOutcome::Unknown if self.is_written(recorded.id) => {}
            DoneOutcome::Unknown => self.set(recorded.id, State::Unknown { group }),
            DoneOutcome::Full | DoneOutcome::TooLittleMoney | DoneOutcome::Failed | DoneOutcome::Masked => {
                self.forget(&recorded);
            }
        }
        // Nobody may be waiting any more.
        let _ = sender.send(Some(outcome));
        true
    }

    /// A group was rebuilt, and its journal has these: what was unknown is known now.
    pub fn rebuilt(&mut self, group: u32, recorded: &[Recorded]) {
        for recorded in recorded {
            if let Some(known) = self.known.get_mut(&recorded.id) {
                known.state = State::Written;
            }
        }
        self.known.retain(|_, known| known.state != State::Unknown { group });
    }

    fn is_written(&self, id: u64) -> bool {
        self.known.get(&id).is_some_and(|known| known.state == State::Written)
    }

    fn set(&mut self, id: u64, state: State) {
        if let Some(known) = self.known.get_mut(&id) {
            known.state = state;
        }
    }

    fn forget(&mut self, recorded: &Recorded) {
        self.known.remove(&recorded.id);
        self.deposited_fen -= u128::from(recorded.deposit_fen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deposit(id: &str, fen: u64) -> Payment {
        Payment { id: id.into(), user: 7, fen, is_deposit: true }
    }

    fn ask(payments: &mut Payments, id: &str, fen: u64, ticket: u64) -> &'static str {
        match payments.ask(&deposit(id, fen), 1, ticket) {
            AskedPayment::New(_) => "new",
            AskedPayment::Asked(_) => "asked",
            AskedPayment::Written => "written",
            AskedPayment::Unknown => "unknown",
            AskedPayment::Conflict => "conflict",
            AskedPayment::Full => "full",
        }
    }

    #[test]
    fn a_payment_is_made_once_and_other_content_under_its_id_is_refused() {
        let mut payments = Payments::default();
        let AskedPayment::New(told) = payments.ask(&deposit("a", 5), 1, 1) else { panic!("it is new") };
        assert_eq!((ask(&mut payments, "a", 5, 2), ask(&mut payments, "a", 6, 2)), ("asked", "conflict"));
        assert_eq!((payments.waiting(1), payments.waiting(2)), (1, 0));
        assert!(!payments.done(2, DoneOutcome::Written) && payments.done(1, DoneOutcome::Written));
        assert_eq!(payments.waiting(1), 0);
        assert_eq!(*told.borrow(), Some(DoneOutcome::Written));
        assert_eq!((ask(&mut payments, "a", 5, 3), payments.deposited_fen()), ("written", 5));
        assert!(payments.has("a") && !payments.has("b"));
        let withdrawal = Payment { is_deposit: false, ..deposit("a", 5) };
        assert!(matches!(payments.ask(&withdrawal, 1, 4), AskedPayment::Conflict));
    }

    #[test]
    fn a_refused_payment_is_as_one_never_asked_for() {
        let mut payments = Payments::default();
        assert_eq!(ask(&mut payments, "a", 5, 1), "new");
        assert!(payments.done(1, DoneOutcome::Full));
        assert_eq!((payments.deposited_fen(), ask(&mut payments, "a", 6, 2)), (0, "new"));
    }

    /// Expect: what a failed journal leaves unknown is found in it, or can be asked for again.
    #[test]
    fn what_a_failure_left_unknown_a_rebuild_makes_known() {
        let mut payments = Payments::default();
        for (ticket, id) in [(1, "a"), (2, "b")] {
            ask(&mut payments, id, 5, ticket);
            payments.done(ticket, DoneOutcome::Unknown);
            assert_eq!(ask(&mut payments, id, 5, 9), "unknown");
        }
        payments.rebuilt(1, &[Recorded::of(&deposit("a", 5))]);
        assert_eq!((ask(&mut payments, "a", 5, 3), ask(&mut payments, "b", 5, 4)), ("written", "new"));
    }

    /// Expect: a payment that the rebuild found in the journal stays known when its outcome is heard of later.
    #[test]
    fn an_outcome_that_comes_after_the_rebuild_changes_nothing() {
        let mut payments = Payments::default();
        ask(&mut payments, "a", 5, 1);
        payments.rebuilt(1, &[Recorded::of(&deposit("a", 5))]);
        payments.done(1, DoneOutcome::Unknown);
        assert_eq!(ask(&mut payments, "a", 5, 2), "written");
    }

    #[test]
    fn what_the_journals_tell_of_is_known_after_a_restart() {
        let mut payments = Payments::default();
        payments.recover(&Recorded::new("a", 7, 5, true));
        payments.recover(&Recorded::new("w", 7, 3, false));
        assert_eq!((ask(&mut payments, "a", 5, 1), payments.deposited_fen()), ("written", 5));
    }
}
