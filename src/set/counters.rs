//! What the core counts.

use redpkt_proto::Op;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Why a datagram, or a frame of it, was dropped or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Drop {
    /// Not 1 to 18 whole frames.
    Length,
    /// Another version of the wire; one ERROR was the answer.
    Version,
    /// An op that is none, or that no client may send, or that must come alone.
    Op,
    /// A frame that a server sent; never answered.
    Direction,
    /// Frames of several users in one datagram.
    MixedUsers,
    /// No session for that user; one STALE was the answer.
    UnknownSession,
    /// A wrong tag, or a handshake for user 0, who is nobody.
    Tag,
    /// A seq that was seen, or is too old to tell.
    Replay,
    /// A cookie that is not ours, too old, or older than the session.
    Cookie,
    /// A ticket whose time is over.
    TicketExpired,
    /// A ticket of a key that is not in the key file.
    TicketKey,
    /// A table is full: sessions, accounts, or answers that wait for the disk.
    Full,
    /// A shake, a repeated request, a refused request or a join that came too soon.
    Rate,
    /// A request about money in a group whose journal has failed.
    Ledger,
    /// Refused unread, by its header, because of load or by the operator's wish.
    Shed,
    /// A request or a join in a SET that is masked, or a join in one that is drained.
    Masked,
    /// A handshake, or a proof of address, of a source prefix that has had its share.
    Prefix,
    /// A RELAY for a backend that cannot be reached, or has too many unanswered.
    Relay,
}

impl Drop {
    /// Every reason, in the order of its number.
    pub const ALL: [Drop; 18] = [
        Drop::Length,
        Drop::Version,
        Drop::Op,
        Drop::Direction,
        Drop::MixedUsers,
        Drop::UnknownSession,
        Drop::Tag,
        Drop::Replay,
        Drop::Cookie,
        Drop::TicketExpired,
        Drop::TicketKey,
        Drop::Full,
        Drop::Rate,
        Drop::Ledger,
        Drop::Shed,
        Drop::Masked,
        Drop::Prefix,
        Drop::Relay,
    ];

    /// Its name in `/stats.json`.
    pub fn name(self) -> &'static str {
        match self {
            Drop::Length => "length",
            Drop::Version => "version",
            Drop::Op => "op",
            Drop::Direction => "direction",
            Drop::MixedUsers => "mixed_users",
            Drop::UnknownSession => "unknown_session",
            Drop::Tag => "tag",
            Drop::Replay => "replay",
            Drop::Cookie => "cookie",
            Drop::TicketExpired => "ticket_expired",
            Drop::TicketKey => "ticket_key",
            Drop::Full => "full",
            Drop::Rate => "rate",
            Drop::Ledger => "ledger",
            Drop::Shed => "shed",
            Drop::Masked => "masked",
            Drop::Prefix => "prefix",
            Drop::Relay => "relay",
        }
    }
}

/// Totals since the start, of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// Frames that came in whole datagrams.
    pub frames_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Requests that were answered, refusals among them.
    pub answers: u64,
    /// Shakes that won nothing.
    pub shake_miss: u64,
    /// Shakes that won a packet.
    pub shake_win: u64,
    /// Opens that took money.
    pub open_ok: u64,
    /// Opens that found nothing to take.
    pub open_empty: u64,
    /// What opens took, in fen.
    pub open_fen: u64,
    /// Packets that users made for others.
    pub sends: u64,
    /// Users that were invited by others to what is left of a packet.
    pub shares: u64,
    /// Shares that were claimed.
    pub grabs: u64,
    /// Sends, shares and grabs that were refused.
    pub refused: u64,
    /// Invitations that were pushed to users, each time.
    pub invites_pushed: u64,
    /// Invitations that found no room, and are not told.
    pub invites_lost: u64,
    /// Packets whose time was over before they were empty.
    pub expired: u64,
    /// What went back from them, in fen.
    pub returned_fen: u64,
    /// Answers that could not be made durable.
    pub outcome_unknown: u64,
    /// SETs whose accounts and packets were counted and were not what the rows say: a bug.
    pub miscounted: u64,
    /// Panics of SETs: each masks its SET.
    pub panics: u64,
    /// Requests that were answered again as before.
    pub repeated: u64,
    /// Sessions that began.
    pub joins: u64,
    /// Sessions that ended because they were idle.
    pub idle_ended: u64,
    /// Sessions that proved a new address.
    pub path_changes: u64,
    /// Of what is dropped as [`Drop::Prefix`]: handshakes that were not looked at.
    pub prefix_unread: u64,
    /// Sessions that did not begin because too many had in that second.
    pub prefix_joins: u64,
    /// Sessions that did not begin, and addresses that were not taken as proved, because too many are there.
    pub prefix_sessions: u64,
    /// What became of RELAYs.
    pub relay: super::relay::RelayCounters,
    /// Refused unread, by [`Class`](crate::gate::Class).
    pub shed: [u64; crate::gate::CLASSES],
    /// By [`Drop`].
    pub drops: [u64; Drop::ALL.len()],
}

impl Counters {
    /// Counts one drop.
    #[inline]
    pub fn drop(&mut self, reason: Drop) {
        self.drops[reason as usize] += 1;
    }

    /// Counts a request about a packet that was executed.
    #[inline]
    pub fn done(&mut self, op: Op, fen: u64) {
        match op {
            Op::Open => {
                self.open_ok += 1;
                self.open_fen += fen;
            }
            Op::Share => self.shares += 1,
            _ => self.grabs += 1,
        }
    }

    /// Counts a request that was refused for good.
    pub fn refused(&mut self, op: Op) {
        if op == Op::Open {
            self.open_empty += 1;
        } else {
            self.refused += 1;
        }
    }

    /// Drops for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_number_under_its_own_name() {
        for (at, reason) in Drop::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
            assert_eq!(Drop::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
