//! The terms of a packet that a user sends: what SEND and its SEND_MORE carry, and when they are good.

use crate::body::{Send, SendMore, Status};
use crate::{RECIPIENTS_MAX, RECIPIENTS_PER_FRAME, SEND_FEN_MAX};
use zerocopy::little_endian::U64;

/// A packet for others, as its sender wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What goes into it, in fen: 1 to [`SEND_FEN_MAX`].
    pub total_fen: u32,
    /// How many shares, from 1; not more than fen.
    pub shares: u8,
    /// Equal shares, not random ones.
    pub equal: bool,
    /// Who may take one: 1 to [`RECIPIENTS_MAX`] users, none of them 0, twice, or the sender.
    pub recipients: Vec<u64>,
}

/// What is wrong with terms. The first that applies, in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// No fen, or more than SEND can carry.
    #[error("the amount is 0 or above {SEND_FEN_MAX} fen; send another amount")]
    BadAmount,
    /// No shares, or more shares than fen.
    #[error("there are no shares, or more shares than fen; each share needs one fen at least")]
    BadShares,
    /// No recipients, too many, a 0 before or among them, or the same one twice.
    #[error("recipients are 1 to {RECIPIENTS_MAX} users, none of them 0, and none twice")]
    BadRecipients,
    /// The sender is among the recipients.
    #[error("nobody can send a packet to himself; leave the sender out of the recipients")]
    Oneself,
}

impl TermsError {
    /// What a server answers to such terms.
    pub fn status(self) -> Status {
        match self {
            TermsError::BadAmount => Status::BadAmount,
            TermsError::BadShares => Status::BadShares,
            TermsError::BadRecipients => Status::BadRecipients,
            TermsError::Oneself => Status::Oneself,
        }
    }
}

/// Checks terms as they come from the wire and returns how many recipients there are. `places` are the
/// recipients of SEND and its SEND_MORE in their order, where 0 is none; a 0 with somebody behind it is a hole.
pub fn check_terms(sender: u64, total_fen: u32, shares: u8, places: &[u64]) -> Result<usize, TermsError> {
    if total_fen == 0 || total_fen > SEND_FEN_MAX {
        return Err(TermsError::BadAmount);
    }
    if shares == 0 || u32::from(shares) > total_fen {
        return Err(TermsError::BadShares);
    }
    let count = places.iter().position(|user| *user == 0).unwrap_or(places.len());
    let (recipients, rest) = places.split_at(count);
    let has_hole = rest.iter().any(|user| *user != 0);
    let is_twice = |(at, user): (usize, &u64)| recipients[..at].contains(user);
    if count == 0 || count > RECIPIENTS_MAX || has_hole || recipients.iter().enumerate().any(is_twice) {
        return Err(TermsError::BadRecipients);
    }
    if recipients.contains(&sender) {
        return Err(TermsError::Oneself);
    }
    Ok(count)
}

impl Terms {
    /// Whether a server could take them from `sender`, if his wallet holds that much.
    pub fn check(&self, sender: u64) -> Result<(), TermsError> {
        match check_terms(sender, self.total_fen, self.shares, &self.recipients)? {
            count if count == self.recipients.len() => Ok(()),
            _ => Err(TermsError::BadRecipients),
        }
    }

    /// SEND_MORE frames that follow the SEND of good terms: 0 to [`SEND_MORE_MAX`](crate::SEND_MORE_MAX).
    pub fn more(&self) -> usize {
        self.recipients.len().div_ceil(RECIPIENTS_PER_FRAME).max(1) - 1
    }

    /// The body of the SEND of good terms.
    pub fn send(&self, counter: u32) -> Send {
        let total_fen = Send::fen_to_wire(self.total_fen).unwrap_or([0; 3]);
        Send { counter: counter.into(), total_fen, shares: self.shares, recipients: self.places(0) }
    }

    /// The body of the `index`-th SEND_MORE, from 1.
    pub fn send_more(&self, counter: u32, index: u8) -> SendMore {
        SendMore { counter: counter.into(), index, reserved: [0; 3], recipients: self.places(index.into()) }
    }

    /// The recipients in the `index`-th frame.
    fn places(&self, index: usize) -> [U64; RECIPIENTS_PER_FRAME] {
        let at = |place| self.recipients.get(RECIPIENTS_PER_FRAME * index + place).copied().unwrap_or(0);
        std::array::from_fn(|place| at(place).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TermsError::*;

    const SENDER: u64 = 7;

    fn checked(total_fen: u32, shares: u8, places: &[u64]) -> Result<usize, TermsError> {
        check_terms(SENDER, total_fen, shares, places)
    }

    #[test]
    fn good_terms_tell_their_recipients() {
        let most: Vec<u64> = (100..).take(RECIPIENTS_MAX).collect();
        assert_eq!(checked(1, 1, &[1]), Ok(1));
        assert_eq!(checked(SEND_FEN_MAX, 255, &most), Ok(RECIPIENTS_MAX));
        assert_eq!(checked(255, 255, &[1, 2, 3, 4, 0, 0]), Ok(4));
    }

    #[test]
    fn bad_terms_are_refused_the_first_fault_first() {
        let too_many: Vec<u64> = (100..).take(RECIPIENTS_MAX + 1).collect();
        for (total_fen, shares, places, error) in [
            (0, 0, &[][..], BadAmount),
            (SEND_FEN_MAX + 1, 1, &[1], BadAmount),
            (1, 0, &[], BadShares),
            (9, 10, &[SENDER, SENDER], BadShares),
            (9, 9, &[], BadRecipients),
            (9, 9, &[0, 0, 0], BadRecipients),
            (9, 9, &[0, 1], BadRecipients),
            (9, 9, &[1, 0, 0, 2], BadRecipients),
            (9, 9, &[1, 2, 3, 1], BadRecipients),
            (9, 9, &[SENDER, SENDER], BadRecipients),
            (9, 9, &too_many, BadRecipients),
            (9, 9, &[1, SENDER], Oneself),
        ] {
            assert_eq!(checked(total_fen, shares, places), Err(error), "{total_fen} {shares} {places:?}");
        }
    }

    #[test]
    fn terms_are_cut_into_frames_of_three() {
        let mut terms = Terms { total_fen: 1_000, shares: 3, equal: false, recipients: vec![] };
        for (count, more) in [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (54, 17)] {
            terms.recipients = (1..=count).collect();
            assert_eq!((terms.check(100), terms.more()), (Ok(()), more), "{count}");
        }
        terms.recipients = vec![1, 2, 3, 4];
        assert_eq!(terms.send(9).recipients, [1, 2, 3].map(U64::new));
        assert_eq!(terms.send_more(9, 1).recipients, [4, 0, 0].map(U64::new));
        terms.recipients = vec![1, 0];
        assert_eq!(terms.check(100), Err(BadRecipients));
    }
}
