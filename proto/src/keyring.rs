//! Server keys: what tickets are made and checked with.
//!
//! A key file is text: one key a line, `ID HEX`, where ID is 0 to 255 and HEX is 64 digits; `#` begins a
//! comment. The first key issues tickets, all verify them, so a new key goes to the top and an old one
//! stays until its tickets have expired.

use crate::body::TicketFields;
use crate::limits::KEYS_MAX;
use crate::ticket::{Ticket, TicketSecret};
use rand::Rng as _;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct ServerKey {
    id: u8,
    bytes: [u8; 32],
}

/// 1 to [`KEYS_MAX`] server keys with different ids. Never printed.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<ServerKey>,
}

/// Why a text is no key file. Names lines, never their content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyFileError {
    /// A line has another form.
    #[error("line {0}: expected `ID HEX`: an id from 0 to 255 and 64 hex digits")]
    Line(usize),
    /// An id stands twice.
    #[error("line {line}: key id {id} stands there twice; give each key an id of its own")]
    DuplicateId {
        /// Where the second one stands.
        line: usize,
        /// The id.
        id: u8,
    },
    /// Nothing in it.
    #[error("it holds no key; `redpkt keygen --out FILE` makes one")]
    Empty,
    /// Too many keys.
    #[error("it holds more than {KEYS_MAX} keys; remove the oldest, at the bottom")]
    TooMany,
}

impl KeyRing {
    /// A ring of one new key with id 1.
    pub fn generate(rng: &mut crate::Rng) -> KeyRing {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        KeyRing { keys: vec![ServerKey { id: 1, bytes }] }
    }

    /// This ring with a new key on top, under the highest id and one; beyond 255, under the smallest free id
    /// from 1. So the id of a removed key comes again late: a ticket of that key is then refused for its key,
    /// which tells its holder to get another, and not dropped for a wrong tag.
    pub fn with_new_key(&self, rng: &mut crate::Rng) -> Result<KeyRing, KeyFileError> {
        if self.keys.len() == KEYS_MAX {
            return Err(KeyFileError::TooMany);
        }
        let mut next = KeyRing::generate(rng);
        let taken = |id: u8| self.keys.iter().any(|key| key.id == id);
        let highest = self.ids().max().expect("a ring holds a key");
        let free = highest.checked_add(1).or_else(|| (1..=u8::MAX).find(|id| !taken(*id)));
        next.keys[0].id = free.expect("at most 8 ids are taken");
        next.keys.extend(self.keys.iter().cloned());
        Ok(next)
    }

    /// Reads a key file's text.
    pub fn parse(text: &str) -> Result<KeyRing, KeyFileError> {
        let mut keys: Vec<ServerKey> = Vec::new();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (id, digits) = line.split_once(char::is_whitespace).ok_or(KeyFileError::Line(at))?;
            let id = id.parse().map_err(|_| KeyFileError::Line(at))?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(digits.trim(), &mut bytes).map_err(|_| KeyFileError::Line(at))?;
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyFileError::DuplicateId { line: at, id });
            }
            keys.push(ServerKey { id, bytes });
        }
        match keys.len() {
            0 => Err(KeyFileError::Empty),
            1..=KEYS_MAX => Ok(KeyRing { keys }),
            _ => Err(KeyFileError::TooMany),
        }
    }

    /// The text of a key file with these keys. It is a secret.
    pub fn to_text(&self) -> String {
        let lines = self.keys.iter().map(|key| format!("{} {}\n", key.id, hex::encode(key.bytes)));
        std::iter::once("# redpkt server keys: the first issues tickets, all verify them\n".to_owned())
            .chain(lines)
            .collect()
    }

    /// The secret of a ticket with these fields, or `None` if its key is not here.
    pub fn secret(&self, user: u64, fields: &TicketFields) -> Option<TicketSecret> {
        let key = self.keys.iter().find(|key| key.id == fields.key_id)?;
        Some(TicketSecret::derive(&key.bytes, user, fields))
    }

    /// A new ticket for `user` that ends `expiry_s` seconds after 1970. User 0 is no user: callers give it
    /// none, and a server drops what it says.
    pub fn issue(&self, user: u64, expiry_s: u32, rng: &mut crate::Rng) -> Ticket {
        let mut nonce = [0; 7];
        rng.fill_bytes(&mut nonce);
        let key = &self.keys[0];
        let fields = TicketFields { expiry_s: expiry_s.into(), key_id: key.id, nonce };
        Ticket { user, fields, secret: TicketSecret::derive(&key.bytes, user, &fields) }
    }

    /// Ids of the keys, the issuing one first.
    pub fn ids(&self) -> impl Iterator<Item = u8> {
        self.keys.iter().map(|key| key.id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn ring() -> (KeyRing, crate::Rng) {
        let mut rng = crate::Rng::seed_from_u64(1);
        (KeyRing::generate(&mut rng), rng)
    }

    #[test]
    fn a_ring_survives_its_text() {
        let (ring, mut rng) = ring();
        let ring = ring.with_new_key(&mut rng).unwrap();
        let read = KeyRing::parse(&ring.to_text()).unwrap();
        assert_eq!(read.to_text(), ring.to_text());
        assert_eq!(read.ids().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn after_a_rotation_old_tickets_still_verify_and_new_ones_use_the_new_key() {
        let (old, mut rng) = ring();
        let ticket = old.issue(5, 100, &mut rng);
        let new = old.with_new_key(&mut rng).unwrap();
        assert_eq!(new.secret(5, &ticket.fields).as_ref(), Some(&ticket.secret));
        assert_eq!(new.issue(5, 100, &mut rng).fields.key_id, 2);
        assert_eq!(old.secret(5, &new.issue(5, 100, &mut rng).fields), None);
    }

    /// Expect: the id of a removed key is not given to the next one, as long as there are higher ids.
    #[test]
    fn the_id_of_a_removed_key_is_not_soon_used_again() {
        let (_, mut rng) = ring();
        let key = "00".repeat(32);
        for (ids, next) in
            [(&[3][..], 4), (&[9, 8, 2], 10), (&[0], 1), (&[254, 1], 255), (&[255], 1), (&[255, 1, 2], 3)]
        {
            let text: String = ids.iter().map(|id| format!("{id} {key}\n")).collect();
            let ring = KeyRing::parse(&text).unwrap().with_new_key(&mut rng).unwrap();
            assert_eq!(ring.ids().next(), Some(next), "{ids:?}");
        }
    }

    #[test]
    fn bad_key_files_are_refused_with_their_line() {
        let key = "00".repeat(32);
        for (text, error) in [
            (String::new(), KeyFileError::Empty),
            ("# nothing\n\n".into(), KeyFileError::Empty),
            (format!("256 {key}"), KeyFileError::Line(1)),
            (format!("1 {key}\n2 {key}00"), KeyFileError::Line(2)),
            (format!("1 {key}\n1 {key}"), KeyFileError::DuplicateId { line: 2, id: 1 }),
            ((0..9).map(|id| format!("{id} {key}\n")).collect(), KeyFileError::TooMany),
        ] {
            assert_eq!(KeyRing::parse(&text).unwrap_err(), error);
        }
    }
}
