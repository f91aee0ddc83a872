//! A SET that has panicked is masked: passed by, until it comes from its group's journal again; and a SET that is
//! drained by hand.
//!
//! Whatever is done for one SET notes which before it begins, which costs one store. A panic is caught around a whole
//! batch, or a whole piece of a turn, and masks the SET that is noted. Nothing of it is read or changed after that but
//! its session slots, which seal the refusals: its tables may be changed by half, or by a row that was never written.
//! The journal is neither: what is not in it was promised to nobody. So money that comes from other groups for its
//! users is written past it, and a rebuild reads its tables from the journal, these rows among them.
//!
//! A panic that is no SET's, or after a row was handed to the ledger and before it was promised, is the worker's.

use super::book::{Before, Book, Set};
use super::core::{Core, NOT_OWN};
use super::links::Message;
use crate::ledger::{Ledger, Row};
use arrayvec::ArrayVec;
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Whether a SET works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetState {
    /// It does.
    #[default]
    Ok,
    /// By hand: it serves its sessions, opens and settles; nobody joins, nothing is won by a shake, and nothing minted.
    Draining,
    /// It has panicked: nothing of it is read or changed until it is rebuilt.
    Masked,
}

impl SetState {
    /// Its name in `/stats.json`.
    pub fn name(self) -> &'static str {
        match self {
            SetState::Ok => "ok",
            SetState::Draining => "draining",
            SetState::Masked => "masked",
        }
    }
}

/// A SET that was masked just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// Its number.
    pub set: u32,
    /// What the panic said.
    pub message: String,
}

/// A SET as its journal says, to be put in place of the one that is masked.
pub struct SetPart {
    /// Its tables.
    set: Set,
    /// Up to which row of the group's journal.
    up_to: u64,
    /// Who may take from its packets: told again, because the panic may have kept it from being told.
    owed: Vec<Message>,
}

impl SetPart {
    /// SET `number` of a book that was read from the journal up to row `up_to`.
    pub fn of(book: Book, number: u32, up_to: u64, machine: u16, wall_s: u64) -> SetPart {
        let of_set = book.invitations(machine).filter(|what| set_of_packet(what.packet) == number);
        let owed = of_set.map(Message::Invited).collect();
        SetPart { set: book.into_set(number, machine, wall_s), up_to, owed }
    }

    /// Which SET.
    pub fn number(&self) -> u32 {
        self.set.number
    }

    /// Invitations that are told again.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }
}

fn set_of_packet(packet: u64) -> u32 {
    PacketId::from_u64(packet).set.into()
}

/// How far a row is that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Writing {
    /// There is none.
    Nothing,
    /// It is being applied to the book, or is about to be handed to the ledger.
    Applying(Before),
    /// It is being handed to the ledger: whether it is there nobody can say after a panic.
    Handing,
}

/// What is known of a SET beside its tables.
#[derive(Clone, Copy, Default)]
pub(super) struct Guard {
    /// Questions of its users that other groups have not answered.
    pub(super) questions_out: u32,
    /// Whether it has panicked although it was masked, over telling its users so: they are told nothing any more.
    pub(super) is_mute: bool,
    /// The last row that may be about it, of those from before it was masked and those written past it.
    touched_row: u64,
}

/// In place of a SET's position: no SET is worked on.
pub(super) const NOBODY: u32 = u32::MAX;

/// The same: the SET of the slot that was swept last.
pub(super) const SWEEPING: u32 = NOBODY - 1;

/// Panics that wait to be fetched; a SET panics once.
pub(super) const PANICS_MAX: usize = 16;

/// When users of a SET that is masked or drained may ask again, in ms: it takes an operator.
pub(super) const MASKED_RETRY_AFTER_MS: u32 = 5_000;

/// A panic that was caught.
pub(super) type Panic = Box<dyn Any + Send>;

impl<L: Ledger> Core<L> {
    /// Notes which SET is worked on from now on, by its position.
    #[inline(always)]
    pub(super) fn work_on(&mut self, position: u32) {
        self.work = position;
    }

    /// The same, by one of its users; the SET's position.
    pub(super) fn work_on_user(&mut self, user: u64) -> u32 {
        self.work = self.position_of_set[self.config.layout.set_of(user) as usize];
        self.work
    }

    /// Whether the SET at this position is masked.
    #[inline(always)]
    pub(super) fn is_masked(&self, position: u32) -> bool {
        self.places[position as usize].state == SetState::Masked
    }

    /// Whether the SET at this position works as ever.
    pub(super) fn is_ok(&self, position: u32) -> bool {
        self.places[position as usize].state == SetState::Ok
    }

    /// Whether a packet lives in a SET of this worker that is masked.
    pub(super) fn is_packet_masked(&self, packet: u64) -> bool {
        let position = self.position_of_set.get(set_of_packet(packet) as usize).copied().unwrap_or(NOT_OWN);
        position != NOT_OWN && self.is_masked(position)
    }

    /// Runs a piece of work that can be run again after a panic, which then does not come by the same SET. A panic
    /// that is no SET's goes on.
    pub(super) fn guarded<R>(&mut self, mut piece: impl FnMut(&mut Self) -> R) -> R {
        loop {
            let done = catch_unwind(AssertUnwindSafe(|| piece(self)));
            match done {
                Ok(done) => {
                    self.work = NOBODY;
                    return done;
                }
                Err(panic) => {
                    if let Err(panic) = self.mask_after(panic) {
                        resume_unwind(panic);
                    }
                }
            }
        }
    }

    /// Masks the SET that has panicked, or makes it mute where it was masked already. The panic comes back where it was
    /// mute too; one that is no SET's goes on.
    #[cold]
    pub(super) fn mask_after(&mut self, panic: Panic) -> Result<(), Panic> {
        self.sending = None;
        let work = std::mem::replace(&mut self.work, NOBODY);
        if work == NOBODY || self.groups.iter().any(|group| matches!(group.writing, Writing::Handing)) {
            resume_unwind(panic);
        }
        let work = if work == SWEEPING { self.sessions.swept_set() } else { work };
        self.counters.panics += 1;
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let mut has_masked = self.mask(work, &message);
        for at in 0..self.groups.len() {
            let group = &mut self.groups[at];
            if let Writing::Applying(before) = std::mem::replace(&mut group.writing, Writing::Nothing) {
                for set in group.book.put_back(&before).into_iter().flatten() {
                    has_masked |= self.mask(self.position_of_set[set as usize], &message);
                }
            }
        }
        if has_masked || !std::mem::replace(&mut self.guards[work as usize].is_mute, true) {
            Ok(())
        } else {
            Err(panic)
        }
    }

    fn mask(&mut self, position: u32, message: &str) -> bool {
        let place = &mut self.places[position as usize];
        if place.state == SetState::Masked {
            return false;
        }
        place.state = SetState::Masked;
        self.guards[position as usize].touched_row = self.groups[place.group].ledger.last_row();
        self.sessions.set_frozen(position, true);
        let _ = self.panicked.try_push(Panicked { set: place.number, message: message.to_owned() });
        true
    }

    /// Writes a row about a SET that is masked, and what it says of the rest of the group.
    pub(super) fn write_past_set(&mut self, position: u32, row: &Row) {
        let group = &mut self.groups[self.places[position as usize].group];
        group.book.apply_past_set(row);
        self.guards[position as usize].touched_row = group.ledger.append(row);
    }

    /// Has a SET of this worker be drained, or work again. One that is masked stays masked.
    pub fn set_draining(&mut self, set: u32, is_draining: bool) {
        let place = &mut self.places[self.position_of_set[set as usize] as usize];
        if place.state != SetState::Masked {
            place.state = if is_draining { SetState::Draining } else { SetState::Ok };
        }
    }

    /// Has a SET of this worker panic, by hand, to practise what follows: it goes the way of every panic. One that is
    /// masked stays so.
    #[cold]
    pub fn drill(&mut self, set: u32) {
        let position = self.position_of_set[set as usize];
        self.guarded(|core| {
            core.work_on(position);
            // Run again after the panic it passes the SET by, as every piece of work does.
            assert!(core.is_masked(position), "a drill: POST /sets/{set}/panic");
        });
    }

    /// Whether a SET of this worker works.
    pub fn set_state(&self, set: u32) -> SetState {
        self.places[self.position_of_set[set as usize] as usize].state
    }

    /// Whether a SET is masked and all that is written about it is durable and known, so that it can be rebuilt: what
    /// other groups still have to decide for its users could contradict what it would tell them.
    pub fn can_set_be_rebuilt(&self, set: u32) -> bool {
        let position = self.position_of_set[set as usize] as usize;
        let (place, guard) = (&self.places[position], &self.guards[position]);
        let group = &self.groups[place.group];
        place.state == SetState::Masked
            && !group.has_failed
            && guard.questions_out == 0
            && group.durable_rows >= guard.touched_row
    }

    /// Puts a masked SET back to work with what its group's journal says; `false` where that was read too early, and
    /// is to be read again. Sessions of its users end: they join again and ask what became of their requests.
    pub fn rebuild_set(&mut self, part: SetPart, now: Now) -> bool {
        let SetPart { set, up_to, owed } = part;
        let position = self.position_of_set[set.number as usize];
        if !self.can_set_be_rebuilt(set.number) || up_to < self.guards[position as usize].touched_row {
            return false;
        }
        self.groups[self.places[position as usize].group].book.exchange(set, now.wall_s());
        self.unmask(position);
        self.owed.extend(owed);
        true
    }

    /// The SET's tables are new: its sessions begin anew, and it works.
    pub(super) fn unmask(&mut self, position: u32) {
        self.sessions.reset(position);
        self.places[position as usize].state = SetState::Ok;
        self.guards[position as usize] = Guard::default();
    }

    /// SETs that were masked since the last call.
    pub fn take_panicked(&mut self) -> impl Iterator<Item = Panicked> {
        std::mem::take::<ArrayVec<_, PANICS_MAX>>(&mut self.panicked).into_iter()
    }

    /// A panic in a batch: nothing of it is answered. What was done stays done, and is told when clients ask again.
    #[cold]
    pub(super) fn give_up_batch(&mut self, jobs: &mut [super::Job<'_>], panic: Panic) {
        // A SET that panics although it is masked keeps its users from being told, and nothing else.
        let _ = self.mask_after(panic);
        jobs.iter_mut().for_each(|job| job.replies = 0);
    }

    /// Pays, unless the user's SET is masked, or panics over it before the payment is written.
    pub(super) fn pay_guarded(&mut self, payment: &super::Payment, ticket: u64, now: Now) {
        self.guarded(|core| {
            let position = core.work_on_user(payment.user);
            if core.is_masked(position) {
                let _ = core.tell_done(ticket, super::DoneOutcome::Masked);
            } else {
                core.pay_unguarded(payment, ticket, now);
            }
        });
    }
}
