//! What becomes durable, and what a failure leaves: promises kept or taken back.

use super::book::Totals;
use super::core::{Core, NEWS_MAX};
use super::fault::{self, Fault};
use super::invites::Invitation;
use super::links::{Asker, Decided, Message};
use super::mask::NOBODY;
use super::promises::{Promise, Promised};
use crate::ledger::Ledger;
use redpkt_proto::body::{Body, PacketId, Status};
use redpkt_proto::{Frame, Now, Op, Path, seal};

/// What the operator is told of something that was asked for: that it is written, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// What the operator called it.
    pub ticket: u64,
    /// Whether it was done.
    pub outcome: DoneOutcome,
}

/// What became of something the operator asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneOutcome {
    /// It is durable.
    Written,
    /// Nothing changed: no room for it now.
    Full,
    /// Nothing changed: the wallet does not hold that much.
    TooLittleMoney,
    /// Nothing changed: the group's money has stopped.
    Failed,
    /// Nothing changed: the user's SET is masked.
    Masked,
    /// The group's money has stopped before this was durable: its journal tells whether it is.
    Unknown,
}

/// What there is in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Its number.
    pub group: u32,
    /// Whether its money has stopped.
    pub has_failed: bool,
    /// Rows written.
    pub rows: u64,
    /// Of which are durable.
    pub durable_rows: u64,
    /// Commits.
    pub commits: u64,
    /// Answers that wait for them.
    pub promises: u64,
    /// What its accounts hold.
    pub totals: Totals,
}

impl<L: Ledger> Core<L> {
    /// Lets out what has become durable: answers sealed for the paths of their requests, and what other groups are
    /// told. What a failed group has promised becomes unknown. Returns whether a group was told something by
    /// another one of this worker, so that there may be more to settle.
    pub fn settle(&mut self, now: Now, mut send: impl FnMut(&Path, &Frame)) -> bool {
        self.guarded(|core| core.settle_groups(now, &mut send))
    }

    fn settle_groups(&mut self, now: Now, mut send: &mut impl FnMut(&Path, &Frame)) -> bool {
        let mut more = false;
        for group in 0..self.groups.len() {
            let ledger = &mut self.groups[group].ledger;
            let durable = ledger.durable_row();
            let has_failed = ledger.has_failed();
            self.groups[group].has_failed |= has_failed;
            self.groups[group].durable_rows = durable;
            while let Some(promise) = self.groups[group].promises.front().copied() {
                let Promise { since_ns, row, what } = promise;
                self.work = NOBODY;
                let kept = if row <= durable {
                    self.keep_promise(now, what, &mut send)
                } else if has_failed {
                    self.take_back(now, what, &mut send)
                } else {
                    break;
                };
                if !kept {
                    break;
                }
                match what {
                    Promised::Answer { op, .. } => self.waits.note(op, since_ns),
                    Promised::Decided(decided) => {
                        self.waits.note(decided.question.op, since_ns);
                        more = true;
                    }
                    Promised::Invited(_) | Promised::Done { .. } => {}
                }
                self.groups[group].promises.pop();
            }
        }
        more
    }

    /// Says what was promised; `false` if it has to be said later.
    fn keep_promise(&mut self, now: Now, what: Promised, send: &mut impl FnMut(&Path, &Frame)) -> bool {
        match what {
            // Clients that are not told ask again.
            Promised::Answer { asker, .. } if self.guards[asker.id.set as usize].is_mute => {}
            Promised::Answer { asker, op, answer } => {
                self.work_on(asker.id.set);
                fault::here(Fault::Settle);
                self.send_answer(&asker, op, &answer, send);
            }
            Promised::Decided(decided) if decided.question.worker == self.config.worker => {
                self.decided(now, &decided, send);
            }
            Promised::Decided(decided) => self.links.answer(decided.question.worker, decided),
            Promised::Invited(invitation) => self.tell_invitation(now, invitation),
            Promised::Done { ticket, outcome } => return self.tell_done(ticket, outcome),
        }
        true
    }

    /// What was promised may be written or not: whoever asked is told so, and may ask again.
    fn take_back(&mut self, now: Now, what: Promised, send: &mut impl FnMut(&Path, &Frame)) -> bool {
        self.counters.outcome_unknown += 1;
        match what {
            Promised::Answer { asker, .. } if self.guards[asker.id.set as usize].is_mute => {}
            Promised::Answer { asker, op, .. } => {
                self.work_on(asker.id.set);
                self.send_answer(&asker, op, &asker.answer(Status::OutcomeUnknown), send);
            }
            Promised::Decided(decided) => {
                let unknown = Decided { status: Status::OutcomeUnknown, row: 0, ..decided };
                return self.keep_promise(now, Promised::Decided(unknown), send);
            }
            Promised::Invited(_) => {}
            Promised::Done { ticket, outcome: DoneOutcome::Written } => {
                return self.tell_done(ticket, DoneOutcome::Unknown);
            }
            // It was to be refused, so it is not written.
            Promised::Done { ticket, .. } => return self.tell_done(ticket, DoneOutcome::Failed),
        }
        true
    }

    /// Tells the operator what became of something; `false` if too many such answers wait to be fetched.
    pub(super) fn tell_done(&mut self, ticket: u64, outcome: DoneOutcome) -> bool {
        self.done.try_push(Done { ticket, outcome }).is_ok()
    }

    /// Sends an answer into the session that has asked, if that still is.
    pub(super) fn send_answer(
        &mut self,
        asker: &Asker,
        op: Op,
        answer: &impl Body,
        send: &mut impl FnMut(&Path, &Frame),
    ) {
        let slot = self.sessions.get_mut(asker.id);
        if slot.user != asker.user || slot.number != asker.session_number {
            return;
        }
        let Some(mut frame) = slot.frame(op, asker.flags, self.load_level, answer) else { return };
        seal::seal(&slot.key, &mut frame);
        self.counters.frames_out += 1;
        let work = std::mem::replace(&mut self.work, NOBODY);
        send(&asker.path, &frame);
        self.work = work;
    }

    /// Promises that `recipient` is told of a packet, once `row` is durable; room for it was held.
    pub(super) fn promise_invitation(&mut self, packet: u64, recipient: u64, from: u64, row: u64) {
        let id = PacketId::from_u64(packet);
        let group = self.group_of_packet(packet);
        let group = &mut self.groups[group];
        let record = group.book.set(id.set.into()).packets.get(id.number).expect("it was just found");
        let invitation = Invitation { from, ..Invitation::new(id.machine, id.set.into(), record, recipient) };
        group.promises.push(row, Promised::Invited(invitation));
    }

    /// Brings an invitation to the SET of who is invited. Where there is no place for it now it waits, and holds up
    /// nobody; where too many wait it is counted and not told.
    fn tell_invitation(&mut self, now: Now, invitation: Invitation) {
        let layout = &self.config.layout;
        let worker = layout.worker_of(layout.set_of(invitation.user));
        if worker == self.config.worker {
            self.invited(now, invitation);
        } else if self.news.len() < NEWS_MAX {
            self.news.push_back(invitation);
            self.bring_news();
        } else {
            self.counters.invites_lost += 1;
        }
    }

    /// Brings invitations to other workers, as far as their rings have places.
    pub(super) fn bring_news(&mut self) {
        while let Some(invitation) = self.news.front() {
            let layout = &self.config.layout;
            let worker = layout.worker_of(layout.set_of(invitation.user));
            if !self.links.tell(worker, Message::Invited(*invitation)) {
                return;
            }
            self.news.pop_front();
        }
    }

    /// What there is in each group of this worker.
    pub fn group_stats(&self) -> impl Iterator<Item = GroupStats> {
        self.groups.iter().map(|group| GroupStats {
            group: group.book.group(),
            has_failed: group.has_failed,
            rows: group.ledger.last_row(),
            durable_rows: group.durable_rows,
            commits: group.ledger.commits(),
            promises: group.promises.count() as u64,
            totals: *group.book.totals(),
        })
    }
}
