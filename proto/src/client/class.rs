//! What kinds of requests are worth when not all can be served.

use super::event::Call;
use crate::Op;

/// Requests that are given up and waited with together, the most valuable first: money that somebody has won
/// already, money on its way to others, luck, and what only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// OPEN.
    Open,
    /// GRAB, SEND and SHARE; ASK, because it asks for a SEND.
    Give,
    /// SHAKE.
    Shake,
    /// BALANCE, HISTORY and INVITES.
    Read,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = 4;

    pub const ALL: [Class; Class::COUNT] = [Class::Open, Class::Give, Class::Shake, Class::Read];

    pub fn of(call: &Call) -> Class {
        match call {
            Call::Open { .. } => Class::Open,
            Call::Grab { .. } | Call::Send { .. } | Call::Share { .. } => Class::Give,
            Call::Shake => Class::Shake,
            Call::Balance | Call::History { .. } | Call::Invites { .. } => Class::Read,
        }
    }

    /// That of a frame's op; `None` for one that is no request.
    pub fn of_op(op: u8) -> Option<Class> {
        Some(match Op::from_wire(op)? {
            Op::Open => Class::Open,
            Op::Grab | Op::Send | Op::SendMore | Op::Share | Op::Ask => Class::Give,
            Op::Shake => Class::Shake,
            Op::Balance | Op::History | Op::Invites => Class::Read,
            _ => return None,
        })
    }

    /// Whether money waits for it.
    pub fn is_about_money(self) -> bool {
        matches!(self, Class::Open | Class::Give)
    }
}
