//! Telling users of their invitations: pushed to the address that a session has proved, again and again until
//! it is acknowledged, at the next join if the user is away.

use super::core::Core;
use super::fault::{self, Fault};
use super::invites::{Invitation, Telling};
use super::mask::NOBODY;
use super::sessions::SlotId;
use crate::ledger::Ledger;
use redpkt_proto::{Frame, INVITES_PUSHED_MAX, Now, Op, Path, seal};
use std::collections::VecDeque;

/// How long the first push waits for its acknowledgement, in ms. Each further one waits twice as long.
const FIRST_WAIT_MS: u64 = 1_000;

/// Waits are doubled so often, up to 64 s.
const LEVELS: usize = 7;

/// Pushes that one turn sends.
const PUSHES_PER_TURN: usize = 64;

/// One invitation on its way to a session.
#[derive(Clone, Copy, Debug)]
struct Push {
    due_ms: u64,
    user: u64,
    packet: u64,
    session_number: u32,
}

/// What is to be pushed, by how long it waits: each queue is in the order of its due times. Bounded.
pub struct Pushes {
    /// To be pushed at once.
    first: VecDeque<Push>,
    waiting: [VecDeque<Push>; LEVELS],
    capacity: usize,
}

impl Pushes {
    /// Room for `capacity` pushes of each wait.
    pub fn new(capacity: usize) -> Pushes {
        let queue = || VecDeque::with_capacity(capacity);
        Pushes { first: queue(), waiting: std::array::from_fn(|_| queue()), capacity }
    }

    /// Bytes that this takes.
    pub fn bytes(capacity: usize) -> usize {
        (LEVELS + 1) * capacity * size_of::<Push>()
    }

    /// Queues a push that has been sent so many times; `false` if there is no room.
    fn add(&mut self, push: Push, sent: usize) -> bool {
        let queue = match sent.checked_sub(1) {
            None => &mut self.first,
            Some(level) => &mut self.waiting[level.min(LEVELS - 1)],
        };
        let has_room = queue.len() < self.capacity;
        if has_room {
            queue.push_back(push);
        }
        has_room
    }

    /// Whether `count` more can be pushed, and wait for their acknowledgements after that.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.first.len() + self.waiting[0].len() + count <= self.capacity
    }

    /// The next push that is due, and how often it was sent.
    fn pop_due(&mut self, now: Now) -> Option<(Push, usize)> {
        if let Some(push) = self.first.pop_front() {
            return Some((push, 0));
        }
        let now_ms = now.mono_ns / 1_000_000;
        let is_due = |queue: &VecDeque<Push>| queue.front().is_some_and(|push| push.due_ms <= now_ms);
        let level = self.waiting.iter().position(is_due)?;
        self.waiting[level].pop_front().map(|push| (push, level + 1))
    }
}

impl<L: Ledger> Core<L> {
    /// A user of this worker is invited. Always `true`: what finds no room is counted, and not waited for.
    pub(super) fn invited(&mut self, now: Now, invitation: Invitation) -> bool {
        let position = self.work_on_user(invitation.user);
        if self.is_masked(position) {
            self.counters.invites_lost += 1;
            return true;
        }
        let group = self.group_of_user(invitation.user);
        let set = self.groups[group].book.set_of_user(invitation.user);
        match set.invites.add(invitation, now.wall_s()) {
            Some(true) => self.push_more(now, invitation.user),
            Some(false) => {}
            None => self.counters.invites_lost += 1,
        }
        true
    }

    /// A user has joined: what was on its way to an earlier session is pushed again.
    pub(super) fn push_to_newcomer(&mut self, now: Now, user: u64) {
        let group = self.group_of_user(user);
        let set = self.groups[group].book.set_of_user(user);
        if set.invites.count() > 0 {
            set.invites.park_pushed(user);
            self.push_more(now, user);
        }
    }

    /// A user has acknowledged an invitation: the next one may go.
    pub(super) fn invitation_told(&mut self, now: Now, id: SlotId, packet: u64) {
        let user = self.sessions.get(id).user;
        let group = self.group_of_user(user);
        let set = self.groups[group].book.set_of_user(user);
        set.invites.set_telling(user, packet, Telling::Told);
        self.push_more(now, user);
    }

    /// Puts as many of a user's invitations on their way as may be unacknowledged, if the user is here.
    fn push_more(&mut self, now: Now, user: u64) {
        let position = self.position_of_set[self.config.layout.set_of(user) as usize];
        let Some(id) = self.sessions.find(position, user) else { return };
        let session_number = self.sessions.get(id).number;
        let group = self.group_of_user(user);
        let invites = &mut self.groups[group].book.set_of_user(user).invites;
        while let Some(next) = invites.next_to_push(user, INVITES_PUSHED_MAX, now.wall_s()) {
            if !self.pushes.add(Push { due_ms: 0, user, packet: next.packet, session_number }, 0) {
                return;
            }
            invites.set_telling(user, next.packet, Telling::Pushed);
        }
    }

    /// Sends the pushes that are due; whether more are.
    pub(super) fn push_due(&mut self, now: Now, send: &mut impl FnMut(&Path, &Frame)) -> bool {
        if !self.service.invites {
            return false;
        }
        for _ in 0..PUSHES_PER_TURN {
            let Some((push, sent)) = self.pushes.pop_due(now) else { return false };
            self.push(now, push, sent, send);
        }
        true
    }

    fn push(&mut self, now: Now, push: Push, sent: usize, send: &mut impl FnMut(&Path, &Frame)) {
        let Push { user, packet, session_number, .. } = push;
        let group = self.group_of_user(user);
        let position = self.work_on_user(user);
        if self.is_masked(position) {
            return;
        }
        fault::here(Fault::Push);
        let invites = &mut self.groups[group].book.set_of_user(user).invites;
        // It was acknowledged, taken up or parked meanwhile, or belongs to a session that is no more.
        let Some((what, Telling::Pushed)) = invites.get(user, packet) else { return };
        let Some(id) = self.sessions.find(position, user) else {
            return invites.set_telling(user, packet, Telling::Parked);
        };
        if self.sessions.get(id).number != session_number {
            return;
        }
        if now.wall_s() >= u64::from(what.expiry_s) {
            return invites.remove(user, packet);
        }
        let wait_ms = FIRST_WAIT_MS << sent.min(LEVELS - 1);
        let due_ms = now.mono_ns / 1_000_000 + wait_ms;
        if !self.pushes.add(Push { due_ms, ..push }, sent + 1) {
            invites.set_telling(user, packet, Telling::Parked);
        }
        let slot = self.sessions.get_mut(id);
        let path = slot.path;
        let Some(mut frame) = slot.frame(Op::Invite, 0, self.load_level, &what.body()) else { return };
        seal::seal(&slot.key, &mut frame);
        self.counters.frames_out += 1;
        self.counters.invites_pushed += 1;
        self.work = NOBODY;
        send(&path, &frame);
    }
}
