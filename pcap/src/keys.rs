//! What opens frames: server keys, from which each handshake's session key follows, and logged session keys.

use redpkt_proto::body::TicketFields;
use redpkt_proto::keylog::LoggedKey;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::seal::SessionKey;
use redpkt_proto::ticket::TicketSecret;
use redpkt_proto::{SESSION_EPOCH_WALL_MS, SESSION_STEP_MS};
use std::io::{self, BufRead};
use std::ops::Range;

/// Logged keys of one user that are tried on a frame, the likeliest first: a forged frame costs no more than that.
const TRIED_MAX: usize = 8;

/// Session keys of a log, by user and session number.
#[derive(Debug, Default)]
pub struct KeyLog {
    keys: Vec<LoggedKey>,
}

/// What the reading of a key log found.
#[derive(Debug, Default)]
pub struct KeyLogRead {
    /// The keys.
    pub log: KeyLog,
    /// Lines that are none of a key log, and the number of the first.
    pub bad_lines: Option<(u64, u64)>,
}

/// Why a key log is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyLogError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It needs more memory than it may have.
    #[error("it holds more than {0} keys, which is all that a quarter of --memory has room for")]
    TooMany(usize),
    /// Nothing in it.
    #[error("no line of it is REDPKT_SESSION USER NUMBER KEY")]
    Empty,
}

impl KeyLog {
    /// Reads a log, of `keys_max` keys at most. A line that is none is counted: the last one may still be being written.
    pub fn read(mut text: impl BufRead, keys_max: usize) -> Result<KeyLogRead, KeyLogError> {
        let mut read = KeyLogRead::default();
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            // A file without line ends does not become one line in memory.
            if io::Read::take(&mut text, LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            number += 1;
            let Ok(text) = std::str::from_utf8(&line).map(str::trim) else {
                count_bad(&mut read.bad_lines, number);
                continue;
            };
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            match text.parse() {
                Ok(_) if read.log.keys.len() == keys_max => return Err(KeyLogError::TooMany(keys_max)),
                Ok(key) => read.log.keys.push(key),
                Err(_) => count_bad(&mut read.bad_lines, number),
            }
        }
        if read.log.keys.is_empty() {
            return Err(KeyLogError::Empty);
        }
        read.log.keys.sort_unstable_by_key(|key| (key.user, key.session_number));
        read.log.keys.dedup();
        Ok(read)
    }

    /// Sessions in it.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<LoggedKey>()
    }

    /// How many keys fit into so much memory, the doubling of the table included.
    pub fn keys_max(memory_bytes: usize) -> usize {
        memory_bytes / size_of::<LoggedKey>() / 2
    }

    /// Where a user's sessions are.
    pub fn sessions(&self, user: u64) -> Range<usize> {
        let start = self.keys.partition_point(|key| key.user < user);
        start..start + self.keys[start..].partition_point(|key| key.user == user)
    }

    /// The keys of a user that a frame of this time may be under, the likeliest first: that of the session it says
    /// (`hint`), else the one that had begun last by then, then those around it.
    pub fn candidates(&self, user: u64, hint: u32, time_ns: u64) -> impl Iterator<Item = &LoggedKey> {
        let sessions = self.sessions(user);
        let of_user = &self.keys[sessions];
        let number = if hint != 0 { hint } else { session_number(time_ns) };
        let after = of_user.partition_point(|key| key.session_number <= number);
        let before = of_user[..after].iter().rev();
        let behind = of_user[after..].iter();
        alternate(before, behind).take(TRIED_MAX)
    }
}

/// The longest line of a key log that is looked at.
const LINE_BYTES_MAX: u64 = 4_096;

fn count_bad(bad: &mut Option<(u64, u64)>, number: u64) {
    let (count, first) = bad.unwrap_or((0, number));
    *bad = Some((count + 1, first));
}

/// One of each in turn, as long as there are any.
fn alternate<T>(mut a: impl Iterator<Item = T>, mut b: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut is_a = false;
    std::iter::from_fn(move || {
        is_a = !is_a;
        if is_a { a.next().or_else(|| b.next()) } else { b.next().or_else(|| a.next()) }
    })
}

/// The number of a session that begins at this time.
fn session_number(time_ns: u64) -> u32 {
    ((time_ns / 1_000_000).saturating_sub(SESSION_EPOCH_WALL_MS) / SESSION_STEP_MS) as u32
}

/// Everything that opens frames.
#[derive(Debug, Default)]
pub struct Keys {
    /// Server keys: they also tell right handshakes from wrong ones.
    pub ring: Option<KeyRing>,
    /// Logged keys.
    pub log: Option<KeyLog>,
}

impl Keys {
    /// Whether there is nothing: then all is by the headers' word.
    pub fn are_none(&self) -> bool {
        self.ring.is_none() && self.log.is_none()
    }

    /// The secret of a ticket, if its key is here.
    pub fn secret(&self, user: u64, ticket: &TicketFields) -> Option<TicketSecret> {
        self.ring.as_ref()?.secret(user, ticket)
    }

    /// Whether any logged session is this user's.
    pub fn has_logged(&self, user: u64) -> bool {
        self.log.as_ref().is_some_and(|log| {
            let at = log.keys.partition_point(|key| key.user < user);
            log.keys.get(at).is_some_and(|key| key.user == user)
        })
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.log.as_ref().map_or(0, KeyLog::memory_bytes)
    }
}

/// A key that opens nothing, in the place of one that is not known.
pub fn no_key() -> SessionKey {
    SessionKey::from_bytes([0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(sessions: &[(u64, u32)]) -> KeyLog {
        let lines: Vec<String> = sessions
            .iter()
            .map(|(user, number)| {
                let key = SessionKey::from_bytes([*number as u8; 16]);
                LoggedKey { user: *user, session_number: *number, key }.to_line()
            })
            .collect();
        KeyLog::read(lines.join("\n").as_bytes(), 1_000).unwrap().log
    }

    /// Expect: the session that had begun last comes first, then its neighbours, never another user's.
    #[test]
    fn the_likeliest_key_is_tried_first() {
        let log = log(&[(1, 9), (2, 30), (2, 10), (2, 20), (3, 1)]);
        let of = |hint| -> Vec<u32> { log.candidates(2, hint, 0).map(|key| key.session_number).collect() };
        assert_eq!(of(20), [20, 30, 10]);
        assert_eq!(of(25), [20, 30, 10]);
        assert_eq!(of(5), [10, 20, 30]);
        assert_eq!(log.candidates(7, 0, 0).count(), 0);
    }

    #[test]
    fn lines_that_are_none_are_counted_and_too_many_keys_refused() {
        let good = "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f\n";
        let text = format!("# keys\n{good}rubbish\n\n{}REDPKT_SESS", good.replace(" 2 ", " 3 "));
        let read = KeyLog::read(text.as_bytes(), 10).unwrap();
        assert_eq!((read.log.len(), read.bad_lines), (2, Some((2, 3))));
        assert!(matches!(KeyLog::read(text.as_bytes(), 1), Err(KeyLogError::TooMany(1))));
        assert!(matches!(KeyLog::read(&b"rubbish"[..], 1), Err(KeyLogError::Empty)));
    }
}
