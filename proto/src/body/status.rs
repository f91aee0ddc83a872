//! What became of a request.

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Done: the SHAKE won nothing.
    Miss = 1,
    /// Not executed by this attempt; the same req may be sent again after the retry-after.
    Busy = 2,
    /// The req is below the window, or its answer is no longer kept. Not executed now.
    TooOld = 3,
    /// This req was used before with other content. Not executed.
    Conflict = 4,
    /// This req has moved no money, and never will.
    NotDone = 5,
    /// No such packet.
    UnknownPacket = 6,
    /// The packet is for somebody else, or who shares it holds no share of it.
    NotInvited = 7,
    /// Nothing is left for this user, of a packet that he did not open.
    Empty = 8,
    /// The packet's time is over.
    Expired = 9,
    /// The outcome could not be made durable: ask again later.
    OutcomeUnknown = 10,
    /// The wallet does not hold that much.
    TooLittleMoney = 11,
    /// No fen, or more than is allowed.
    BadAmount = 12,
    /// No shares, or more shares than fen.
    BadShares = 13,
    /// No recipients, a hole between them, or the same one twice.
    BadRecipients = 14,
    /// The sender is among the recipients, or a share goes to oneself.
    Oneself = 15,
    /// Not all SEND_MORE came with their SEND. Not executed by this attempt; the same req may be sent again.
    Incomplete = 16,
    /// No such entry of the history; no further invitation.
    NothingThere = 17,
}

impl Status {
    /// Every status, in the order of their numbers.
    pub const ALL: [Status; 18] = [
        Status::Ok,
        Status::Miss,
        Status::Busy,
        Status::TooOld,
        Status::Conflict,
        Status::NotDone,
        Status::UnknownPacket,
        Status::NotInvited,
        Status::Empty,
        Status::Expired,
        Status::OutcomeUnknown,
        Status::TooLittleMoney,
        Status::BadAmount,
        Status::BadShares,
        Status::BadRecipients,
        Status::Oneself,
        Status::Incomplete,
        Status::NothingThere,
    ];

    /// The status of a byte from the wire.
    pub fn from_wire(byte: u8) -> Option<Status> {
        Status::ALL.get(usize::from(byte)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_their_bytes_are_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(Status::from_wire(byte).map(|status| status as u8), (byte <= 17).then_some(byte));
        }
    }
}
