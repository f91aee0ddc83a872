//! What became of requests, in numbers: parts of `run --json`.

use serde::Serialize;

/// What became of shakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shakes {
    /// Made: given to a session, which sent it at least once, or answered it `not_now`.
    pub sent: u64,
    /// Answered: nothing.
    pub miss: u64,
    /// Of these, those that were told after the session they were made in was over. The server looks such a shake up and
    /// counts nothing: it may have counted a miss before, if the shake had come then.
    pub repeated_miss: u64,
    /// Answered: a packet.
    pub win: u64,
    /// Unanswered at the deadline.
    pub unknown: u64,
    /// Refused by the server to the end.
    pub busy: u64,
    /// Answered otherwise: the server contradicts itself, or us.
    pub other: u64,
    /// Answered "not this time" by the session itself: never sent, to spare a loaded server.
    pub not_now: u64,
}

/// What became of opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Opens {
    /// Made.
    pub sent: u64,
    /// Took money.
    pub ok: u64,
    /// Found nothing to take.
    pub empty: u64,
    /// What was taken, in fen.
    pub fen: u64,
    /// Unanswered at the deadline.
    pub unknown: u64,
    /// Refused by the server to the end.
    pub busy: u64,
    /// Answered otherwise.
    pub other: u64,
}

/// What became of requests of another op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Made.
    pub sent: u64,
    /// Done.
    pub ok: u64,
    /// Refused with a good reason: nothing left, time over, too little money, nothing there.
    pub refused: u64,
    /// Unanswered at the deadline.
    pub unknown: u64,
    /// Refused by the server to the end.
    pub busy: u64,
    /// Answered that no money has moved and none will: it may be asked for anew, as users do with grabs.
    pub not_done: u64,
    /// Answered otherwise.
    pub other: u64,
    /// Sends: what the packets made of them hold, in fen. Else 0.
    pub fen: u64,
}

/// What became of invitations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Invites {
    /// Received, each user's to each packet once.
    pub received: u64,
    /// Opens of these packets that took money.
    pub opened: u64,
    /// What they took, in fen.
    pub fen: u64,
    /// Opens of these packets that found nothing.
    pub empty: u64,
}

/// Numbers that are added up field by field.
macro_rules! by_field {
    ($name:ident: $($field:ident)*) => {
        impl $name {
            /// Each number made of both.
            pub(super) fn with(&self, other: &$name, of: fn(u64, u64) -> u64) -> $name {
                $name { $($field: of(self.$field, other.$field)),* }
            }
        }
    };
}

by_field!(Shakes: sent miss repeated_miss win unknown busy other not_now);
by_field!(Opens: sent ok empty fen unknown busy other);
by_field!(Requests: sent ok refused unknown busy not_done other fen);
by_field!(Invites: received opened fen empty);
