//! What opens frames: server keys, from which each handshake's session key follows, and logged session keys.

use crate::grow;
use crate::mix::Mix;
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
    /// In the order of their users' buckets, then of users, then of session numbers.
    keys: Vec<LoggedKey>,
    buckets: Buckets,
}

/// A user's bucket is told by the upper bits of his hash, and holds [`KEYS_PER_BUCKET`] keys or so: a search through all
/// keys would read ten cache lines where this reads two.
#[derive(Debug)]
struct Buckets {
    mix: Mix,
    bits: u32,
    /// Where the keys of each bucket begin, and last where those of the last end.
    starts: Vec<u32>,
}

/// Keys of a bucket, in the mean: one cache line.
const KEYS_PER_BUCKET: usize = 2;

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets { mix: Mix::new(), bits: 0, starts: vec![0, 0] }
    }
}

impl Buckets {
    #[inline]
    fn of(&self, user: u64) -> usize {
        // Shifted in two steps, since there may be no bits at all.
        (self.mix.hash(user, 0) >> 1 >> (63 - self.bits)) as usize
    }

    /// Brings keys into their order, without those that are there twice.
    fn sort(&mut self, keys: &mut Vec<LoggedKey>) {
        self.bits = (keys.len() / KEYS_PER_BUCKET).next_power_of_two().ilog2();
        keys.sort_unstable_by_key(|key| (self.of(key.user), key.user, key.session_number));
        keys.dedup();
        self.starts = vec![keys.len() as u32; (1 << self.bits) + 1];
        for at in (0..keys.len()).rev() {
            let bucket = self.of(keys[at].user);
            self.starts[bucket] = at as u32;
        }
        // A bucket with nothing in it begins where the next one does.
        for bucket in (0..self.starts.len() - 1).rev() {
            self.starts[bucket] = self.starts[bucket].min(self.starts[bucket + 1]);
        }
    }

    #[inline]
    fn range(&self, user: u64) -> Range<usize> {
        let bucket = self.of(user);
        self.starts[bucket] as usize..self.starts[bucket + 1] as usize
    }
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
                Ok(key) => {
                    grow::by_a_quarter(&mut read.log.keys, keys_max);
                    read.log.keys.push(key);
                }
                Err(_) => count_bad(&mut read.bad_lines, number),
            }
        }
        if read.log.keys.is_empty() {
            return Err(KeyLogError::Empty);
        }
        read.log.buckets.sort(&mut read.log.keys);
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
        self.keys.capacity() * size_of::<LoggedKey>() + self.buckets.starts.capacity() * size_of::<u32>()
    }

    /// How many keys fit into so much memory, the table's growing by a quarter and the buckets included.
    pub fn keys_max(memory_bytes: usize) -> usize {
        let key_bytes = size_of::<LoggedKey>() + size_of::<LoggedKey>() / 4 + size_of::<u32>();
        (memory_bytes / key_bytes).min(u32::MAX as usize)
    }

    /// A user's sessions, by their numbers.
    fn sessions(&self, user: u64) -> &[LoggedKey] {
        let bucket = &self.keys[self.buckets.range(user)];
        let from_user_on = &bucket[bucket.partition_point(|key| key.user < user)..];
        &from_user_on[..from_user_on.partition_point(|key| key.user == user)]
    }

    /// The keys of a user that a frame of this time may be under, the likeliest first: that of the session it says
    /// (`hint`), else the one that had begun last by then, then those around it.
    pub fn candidates(&self, user: u64, hint: u32, time_ns: u64) -> impl Iterator<Item = &LoggedKey> {
        let of_user = self.sessions(user);
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
        self.log.as_ref().is_some_and(|log| !log.sessions(user).is_empty())
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
        KeyLog::read(lines.join("\n").as_bytes(), 100_000).unwrap().log
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

    /// Expect: logs of every small size and a large one find each user's sessions, all of them and in order, and none of
    /// a user who has none.
    #[test]
    fn every_session_is_found() {
        for users in (0..20).chain([10_000]) {
            let sessions: Vec<(u64, u32)> = (1..=users)
                .flat_map(|user| (0..user % 4).map(move |number| (user, number as u32 + 1)))
                .collect();
            if sessions.is_empty() {
                continue;
            }
            let log = log(&sessions);
            assert_eq!(log.len(), sessions.len());
            for user in 0..users + 3 {
                let found: Vec<u32> = log.sessions(user).iter().map(|key| key.session_number).collect();
                let expected = if user <= users { (1..=(user % 4) as u32).collect() } else { Vec::new() };
                assert_eq!(found, expected, "user {user} of {users}");
            }
        }
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
