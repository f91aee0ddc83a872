//! Making the packets of the operator's orders: for shaking, or for users drawn among those who are here.
//!
//! Packets go to the SETs in turn, each order beginning where the one before ends. Every group counts through all
//! of an order's packets and makes those of its own SETs, so groups need not speak.

use super::book::{Packet, What};
use super::core::Core;
use super::fault::{self, Fault};
use super::mask::NOBODY;
use super::requests::invitation_row;
use crate::ledger::{Account, Kind, Ledger, Row, Terms};
use arrayvec::ArrayVec;
use rand::RngExt as _;
use redpkt_proto::Now;
use redpkt_proto::body::PacketId;

/// Packets looked at in one tick, of all orders of a group: a wave is worked off in pieces, between batches.
const STEPS_PER_TICK: u64 = 4_096;

/// Recipients that a house packet is given in one go; more are invited piece by piece.
const RECIPIENTS_PER_TICK: usize = 256;

/// Slots that are looked at for each recipient before the packet is given up.
const DRAWS_PER_RECIPIENT: u32 = 64;

/// How many times slower packets are made when fewer are to be made.
const SLOWER: u64 = 4;

/// A house packet whose recipients are not all invited yet.
pub(super) struct Inviting {
    send: Row,
    left: u32,
    /// Where the search for recipients goes on: a SET's position and a slot.
    at: (u32, u32),
    /// SETs that were not gone through.
    sets_left: u32,
}

/// What has to be held for one packet of an order: rows, and promises.
fn rows_and_promises(what: What) -> (usize, usize) {
    match what {
        What::Mint => (1, 0),
        What::Send { recipients } => {
            let at_once = recipients.min(RECIPIENTS_PER_TICK as u32) as usize;
            (1 + at_once, at_once)
        }
    }
}

impl<L: Ledger> Core<L> {
    /// Makes the packets that are due in this worker's SETs; whether more are due than one tick makes.
    pub(super) fn mint_due(&mut self, now: Now) -> bool {
        let mut more = false;
        // Fewer are made when the orders' clock goes slower.
        let pace = if self.service.mints { now } else { Now { mono_ns: now.mono_ns / SLOWER, ..now } };
        for group in 0..self.groups.len() {
            if self.groups[group].has_failed {
                continue;
            }
            if self.groups[group].inviting.is_some() {
                more |= self.invite_on(now, group);
                continue;
            }
            let mut steps = STEPS_PER_TICK;
            for order in 0..self.groups[group].book.orders().len() {
                let due = self.groups[group].book.order_mut(order).due(pace, steps);
                let (rows, promises) = rows_and_promises(self.groups[group].book.orders()[order].order.what);
                for packet in due {
                    // The journal is behind: what is due is made when there is room again.
                    if !self.groups[group].has_room(rows, promises) {
                        break;
                    }
                    self.groups[group].book.order_mut(order).next = packet + 1;
                    steps -= 1;
                    self.make(now, group, order, packet);
                    if self.groups[group].inviting.is_some() {
                        break;
                    }
                }
                // The recipients of one packet come before the next packet.
                if self.groups[group].inviting.is_some() {
                    break;
                }
            }
            more |= steps == 0;
        }
        more
    }

    /// Has the pace of all orders begin anew: what was not made so far does not come in a burst.
    pub(super) fn begin_paces_anew(&mut self) {
        for group in &mut self.groups {
            (0..group.book.orders().len()).for_each(|order| group.book.order_mut(order).hold());
        }
    }

    /// Makes one packet of an order, if its SET is one of the group's.
    fn make(&mut self, now: Now, group: usize, order: usize, packet: u64) {
        let running = &self.groups[group].book.orders()[order];
        let set = (running.first.wrapping_add(packet) % u64::from(self.config.layout.sets)) as u32;
        if self.config.layout.group_of(set) != self.groups[group].book.group() {
            return;
        }
        // Passed by until it is made: after a panic it stays so.
        self.groups[group].book.order_mut(order).progress.passed_by += 1;
        let position = self.position_of_set[set as usize];
        self.work_on(position);
        if self.is_ok(position) && self.make_here(now, group, order, packet, set) {
            self.groups[group].book.order_mut(order).progress.passed_by -= 1;
        }
        self.work_on(NOBODY);
    }

    fn make_here(&mut self, now: Now, at: usize, order: usize, packet: u64, set: u32) -> bool {
        fault::here(Fault::Mint);
        let expiry_s = self.expiry_s(now);
        let group = &self.groups[at];
        let running = &group.book.orders()[order];
        let (order_number, shares, equal) = (order as u64 + 1, running.order.shares, running.order.equal);
        let fen_max = running.order.fen_max.min(running.budget_fen);
        if fen_max < running.order.fen_min {
            return false;
        }
        let fen = self.rng.random_range(running.order.fen_min..=fen_max);
        let (kind, recipients) = match running.order.what {
            What::Mint => (Kind::Mint, 0),
            What::Send { recipients } => (Kind::Send, recipients),
        };
        let packets = &group.book.set(set).packets;
        if !packets.has_room(recipients as usize) {
            return false;
        }
        let id = PacketId { machine: self.config.machine, set: set as u16, number: packets.next_number() };
        let id = id.to_u64();
        let row = Row {
            kind,
            debit: Account::House,
            credit: Account::Packet(id),
            fen,
            user: 0,
            req: order_number,
            packet: id,
            wall_ms: now.wall_ms,
            other: packet,
            detail: Terms { shares, equal, expiry_s }.to_detail(),
        };
        if recipients as usize <= RECIPIENTS_PER_TICK {
            let Some(recipients) = self.draw(set, recipients as usize) else { return false };
            let last = self.write_send(at, &row, &recipients);
            for recipient in recipients {
                self.promise_invitation(id, recipient, 0, last);
            }
        } else {
            self.groups[at].write(&row);
            let position = self.position_of_set[set as usize];
            let sets_left = self.sessions.sets();
            self.groups[at].inviting =
                Some(Inviting { send: row, left: recipients, at: (position, 0), sets_left });
        }
        true
    }

    /// Users with a session on this worker, each once, drawn from the SET first and then from those that follow.
    /// `None` if not enough were found.
    fn draw(&mut self, set: u32, count: usize) -> Option<ArrayVec<u64, RECIPIENTS_PER_TICK>> {
        let mut users = ArrayVec::new();
        let mut position = self.position_of_set[set as usize];
        let draws = DRAWS_PER_RECIPIENT * count as u32;
        let positions = self.sessions.sets();
        for draw in 0..draws {
            // A SET whose sessions were drawn without enough luck is left for the next one.
            if draw > 0 && draw % DRAWS_PER_RECIPIENT.div_ceil(4) == 0 {
                position = (position + 1) % positions;
            }
            if users.len() == count {
                break;
            }
            let at = self.rng.random();
            if !self.is_masked(position)
                && let Some(user) = self.sessions.user_near(position, at)
                && !users.contains(&user)
            {
                users.push(user);
            }
        }
        (users.len() == count).then_some(users)
    }

    /// Whether more users can be invited to a packet of this worker.
    fn takes_members(&self, packet: u64) -> bool {
        let id = PacketId::from_u64(packet);
        let packets = &self.groups[self.group_of_packet(packet)].book.set(id.set.into()).packets;
        packets.get(id.number).is_some_and(Packet::is_open) && packets.has_room_for_member()
    }

    /// Invites the next of many recipients of a house packet, in the order of their slots; whether there are more.
    fn invite_on(&mut self, now: Now, group: usize) -> bool {
        let Some(mut inviting) = self.groups[group].inviting.take() else { return false };
        let mut invited = 0;
        let mut looked_at = 0;
        while inviting.left > 0 && invited < RECIPIENTS_PER_TICK && self.groups[group].has_room(1, 1) {
            // Those who were promised an invitation are pushed one too.
            if !self.pushes.has_room(self.groups[group].promises.count() + 1) {
                break;
            }
            let (position, slot) = inviting.at;
            if inviting.sets_left == 0 || looked_at > 4 * RECIPIENTS_PER_TICK {
                break;
            }
            looked_at += 1;
            if self.is_masked(position) || slot >= self.sessions.top(position) {
                inviting.at = ((position + 1) % self.sessions.sets(), 0);
                inviting.sets_left -= 1;
                continue;
            }
            inviting.at = (position, slot + 1);
            let Some(user) = self.sessions.user_near(position, slot) else { continue };
            let Row { packet, .. } = inviting.send;
            self.work_on(self.position_of_set[usize::from(PacketId::from_u64(packet).set)]);
            if self.is_packet_masked(packet) || !self.takes_members(packet) {
                // Its time is over, or others took the room: who is invited by now is.
                self.counters.invites_lost += u64::from(inviting.left);
                return true;
            }
            let row = Row { wall_ms: now.wall_ms, ..invitation_row(&inviting.send, user) };
            let row = self.groups[group].write(&row);
            self.promise_invitation(packet, user, 0, row);
            inviting.left -= 1;
            invited += 1;
        }
        let is_over = inviting.left == 0 || inviting.sets_left == 0;
        if !is_over {
            self.groups[group].inviting = Some(inviting);
        }
        // Where there is no room the next tick goes on.
        !is_over && looked_at > 0
    }
}
