//! Tickets: the right of one user to join, given by the operator's login service.

use crate::body::TicketFields;
use crate::derive::{Label, keyed};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zerocopy::{FromBytes, IntoBytes};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What proves a ticket: 32 bytes known to its holder, and to whoever holds the server key. Never printed;
/// compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TicketSecret([u8; 32]);

impl PartialEq for TicketSecret {
    fn eq(&self, other: &TicketSecret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TicketSecret {}

impl TicketSecret {
    /// The secret of a ticket: keyed hash under the server key, over user and ticket fields.
    pub fn derive(server_key: &[u8; 32], user: u64, fields: &TicketFields) -> TicketSecret {
        TicketSecret(keyed(server_key, Label::Ticket, &[&user.to_le_bytes(), fields.as_bytes()]))
    }

    /// The secret's bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(secret)")
    }
}

/// A ticket as its holder has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Whose ticket.
    pub user: u64,
    /// What the server is shown of it.
    pub fields: TicketFields,
    /// What only proves it.
    pub secret: TicketSecret,
}

/// What every ticket's text begins with.
const TEXT_PREFIX: &str = "rp1-";
const TICKET_BYTES: usize = 8 + 12 + 32;

impl Ticket {
    /// As text: `rp1-` and 104 hex digits (user, fields, secret). It is a secret.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(TICKET_BYTES);
        bytes.extend(self.user.to_le_bytes());
        bytes.extend(self.fields.as_bytes());
        bytes.extend(self.secret.0);
        format!("{TEXT_PREFIX}{}", hex::encode(bytes))
    }
}

/// A text that is no ticket.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a ticket: expected rp1- and {} hex digits, as `redpkt ticket` prints", TICKET_BYTES * 2)]
pub struct NotATicket;

impl FromStr for Ticket {
    type Err = NotATicket;

    fn from_str(text: &str) -> Result<Ticket, NotATicket> {
        let digits = text.trim().strip_prefix(TEXT_PREFIX).ok_or(NotATicket)?;
        let mut bytes = [0; TICKET_BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotATicket)?;
        let (user, rest) = bytes.split_first_chunk::<8>().ok_or(NotATicket)?;
        let (fields, secret) = TicketFields::read_from_prefix(rest).map_err(|_| NotATicket)?;
        Ok(Ticket {
            user: u64::from_le_bytes(*user),
            fields,
            secret: TicketSecret(secret.try_into().map_err(|_| NotATicket)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let fields = TicketFields { expiry_s: 1_900_000_000.into(), key_id: 2, nonce: [1, 2, 3, 4, 5, 6, 7] };
        Ticket { user: 77, fields, secret: TicketSecret::derive(&[9; 32], 77, &fields) }
    }

    #[test]
    fn a_ticket_survives_its_text() {
        assert_eq!(ticket().to_text().parse::<Ticket>().unwrap(), ticket());
    }

    #[test]
    fn every_field_changes_the_secret() {
        let Ticket { user, fields, secret } = ticket();
        let others = [
            TicketSecret::derive(&[8; 32], user, &fields),
            TicketSecret::derive(&[9; 32], user + 1, &fields),
            TicketSecret::derive(&[9; 32], user, &TicketFields { expiry_s: 1.into(), ..fields }),
            TicketSecret::derive(&[9; 32], user, &TicketFields { key_id: 3, ..fields }),
            TicketSecret::derive(&[9; 32], user, &TicketFields { nonce: [0; 7], ..fields }),
        ];
        assert!(others.iter().all(|other| *other != secret));
    }

    #[test]
    fn secrets_are_equal_only_if_all_bytes_are() {
        let secret = TicketSecret([5; 32]);
        assert_eq!(secret, TicketSecret([5; 32]));
        for at in 0..32 {
            let mut bytes = [5; 32];
            bytes[at] ^= 1;
            assert_ne!(secret, TicketSecret(bytes));
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let text = format!("{:?}", ticket());
        assert!(
            !text.contains(&hex::encode(ticket().secret.0)) && text.contains("TicketSecret(secret)"),
            "{text}"
        );
    }

    #[test]
    fn other_texts_are_no_tickets() {
        for text in ["", "rp1-", "rp1-00", "rp2-00", &"rp1-g".repeat(21), &ticket().to_text()[..107]] {
            assert_eq!(text.parse::<Ticket>(), Err(NotATicket));
        }
    }
}
