//! Asking for luck.

use super::Asked;
use crate::ledger::{Account, Kind, Ledger, Row};
use crate::set::core::Core;
use crate::set::fault::{self, Fault};
use crate::set::mask::SetState;
use redpkt_proto::Now;
use redpkt_proto::body::{Answer, PacketId, Status};

impl<L: Ledger> Core<L> {
    /// The oldest packet of the SET's pool, if there is one. The pool of a group whose money has stopped is passed
    /// by.
    #[inline]
    pub(super) fn shake(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        if let Err(busy) = self.take_allowance(now, asked) {
            return Some(busy);
        }
        fault::here(Fault::Shake);
        let place = self.place(asked.asker.id);
        let group = &self.groups[place.group];
        if group.book.sets()[place.at].packets.pool_packets() == 0 || group.has_failed {
            return self.miss(asked);
        }
        self.shake_full_pool(now, asked)
    }

    fn miss(&mut self, asked: &Asked) -> Option<Answer> {
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), false);
        self.counters.shake_miss += 1;
        Some(asked.answer(Status::Miss))
    }

    /// Gives the shaker a packet. Room for all of it is made sure of before anything changes.
    fn shake_full_pool(&mut self, now: Now, asked: &Asked) -> Option<Answer> {
        let place = self.place(asked.asker.id);
        let user = asked.asker.user;
        if place.state != SetState::Ok {
            return self.miss(asked);
        }
        let limit = self.config.wins_per_user;
        let set = self.groups[place.group].book.set_mut(place.number);
        let has_won = |limit| set.accounts.get(user).is_some_and(|account| account.wins >= limit);
        if limit > 0 && has_won(limit) {
            return self.miss(asked);
        }
        let Some(packet) = set.packets.next_in_pool(now.wall_s()) else { return self.miss(asked) };
        let has_room = set.accounts.has_room_for(user) && set.packets.has_room_for_member();
        if let Err(busy) = self.hold(asked, 1, 1) {
            return Some(busy);
        }
        if !has_room {
            return self.full(asked);
        }
        let id = PacketId { machine: self.config.machine, set: place.number as u16, number: packet.number };
        let packet = id.to_u64();
        let row = self.groups[place.group].write(&Row {
            kind: Kind::Win,
            debit: Account::Packet(packet),
            credit: Account::Packet(packet),
            fen: 0,
            user,
            req: asked.asker.req,
            packet,
            wall_ms: now.wall_ms,
            other: 0,
            detail: 0,
        });
        self.sessions.get_mut(asked.asker.id).window.finish(asked.counter(), true);
        self.counters.shake_win += 1;
        self.promise(asked, row, Answer { packet: packet.into(), ..asked.answer(Status::Ok) });
        None
    }
}
