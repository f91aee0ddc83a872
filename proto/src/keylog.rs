//! Key logs: the keys of sessions in a text file, for whoever looks into a capture.
//!
//! One line a session, `REDPKT_SESSION USER NUMBER KEY`: user id and session number in decimal, the key in 32
//! hexadecimal digits. Lines that begin with `#` and empty lines mean nothing. Whoever has the file can read, and
//! forge, every frame of these sessions, so it is 0600 and written only when asked for.

use crate::seal::SessionKey;
use std::fmt;
use std::str::FromStr;

/// The first word of a line.
pub const LABEL: &str = "REDPKT_SESSION";

/// One line: the key of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedKey {
    /// Whose session.
    pub user: u64,
    /// The session's number, from WELCOME.
    pub session_number: u32,
    /// Its key.
    pub key: SessionKey,
}

/// A line that is none of a key log. The message does not repeat it: there may be a key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALoggedKey;

impl fmt::Display for NotALoggedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a line of a key log; expected {LABEL} USER NUMBER KEY, the key in 32 hexadecimal digits"
        )
    }
}

impl std::error::Error for NotALoggedKey {}

impl LoggedKey {
    /// The line, without its end. (Not `Display`: a key is written only where that is meant.)
    pub fn to_line(&self) -> String {
        let key = self.key.bytes().iter().fold(String::with_capacity(32), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).expect("a digit of base 16"));
            }
            text
        });
        format!("{LABEL} {} {} {key}", self.user, self.session_number)
    }
}

impl FromStr for LoggedKey {
    type Err = NotALoggedKey;

    fn from_str(line: &str) -> Result<LoggedKey, NotALoggedKey> {
        let mut words = line.split_ascii_whitespace();
        let mut next = || words.next().ok_or(NotALoggedKey);
        let (label, user, number, key) = (next()?, next()?, next()?, next()?);
        if label != LABEL || words.next().is_some() || key.len() != 32 || !key.is_ascii() {
            return Err(NotALoggedKey);
        }
        let mut bytes = [0; 16];
        for (byte, digits) in bytes.iter_mut().zip(key.as_bytes().chunks(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16).ok_or(NotALoggedKey);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Ok(LoggedKey {
            user: user.parse().map_err(|_| NotALoggedKey)?,
            session_number: number.parse().map_err(|_| NotALoggedKey)?,
            key: SessionKey::from_bytes(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_the_way_into_text_and_back() {
        let bytes = std::array::from_fn(|at| (at * 17) as u8);
        let logged = LoggedKey { user: u64::MAX, session_number: 7, key: SessionKey::from_bytes(bytes) };
        let line = logged.to_line();
        assert_eq!(line, "REDPKT_SESSION 18446744073709551615 7 00112233445566778899aabbccddeeff");
        assert_eq!(line.parse(), Ok(logged.clone()));
        assert_eq!(line.to_uppercase().parse(), Ok(logged));
    }

    #[test]
    fn what_is_no_line_is_told() {
        let good = "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f";
        assert!(good.parse::<LoggedKey>().is_ok());
        let bad = [
            "",
            "# keys",
            "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0",
            "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0g",
            "REDPKT_SESSION 1 2 ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ",
            "REDPKT_SESSION -1 2 000102030405060708090a0b0c0d0e0f",
            "REDPKT_SESSION 1 4294967296 000102030405060708090a0b0c0d0e0f",
            "CLIENT_RANDOM 1 2 000102030405060708090a0b0c0d0e0f",
            "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f 3",
            "REDPKT_SESSION 1 2",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<LoggedKey>(), Err(NotALoggedKey), "{bad}");
        }
    }
}
