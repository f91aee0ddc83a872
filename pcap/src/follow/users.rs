//! What is kept of each user, in a table that never outgrows its bound.
//!
//! What nearly every frame needs lies in two cache lines; what only handshakes and rejoins need lies apart. When all
//! places are taken, the CLOCK algorithm (Corbató, 1968) frees that of a user who has not been seen for a round.

use super::window::{Requests, SeqWindow};
use crate::grow;
use crate::keys::no_key;
use crate::mix::Mix;
use redpkt::net::prefetch_read;
use redpkt_proto::Direction;
use redpkt_proto::seal::SessionKey;

/// One session of a user.
#[derive(Debug)]
pub struct Session {
    /// Its key, if [`has_key`](Self::has_key).
    pub key: SessionKey,
    /// Its number. 0: not known.
    pub number: u32,
    /// Whether the key is known.
    pub has_key: bool,
    /// Its requests.
    pub requests: Requests,
    to_server: SeqWindow,
    to_client: SeqWindow,
}

impl Session {
    /// No session.
    pub fn none() -> Session {
        Session {
            key: no_key(),
            number: 0,
            has_key: false,
            requests: Requests::default(),
            to_server: SeqWindow::default(),
            to_client: SeqWindow::default(),
        }
    }

    /// A session that begins. Where its beginning was seen, seqs that do not come are lost from 1 on.
    pub fn begun(key: Option<SessionKey>, number: u32, from_the_beginning: bool) -> Session {
        let window = if from_the_beginning { SeqWindow::from_the_beginning() } else { SeqWindow::default() };
        let has_key = key.is_some();
        let key = key.unwrap_or_else(no_key);
        Session { key, number, has_key, to_server: window, to_client: window, ..Session::none() }
    }

    /// The seqs of one direction.
    #[inline]
    pub fn window(&mut self, direction: Direction) -> &mut SeqWindow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Seqs that have not come.
    pub fn missing(&self) -> u64 {
        self.to_server.missing() + self.to_client.missing()
    }
}

/// A user, as nearly every frame needs it.
#[derive(Debug)]
#[repr(align(64))]
pub struct User {
    /// Who.
    pub id: u64,
    /// The newest session.
    pub session: Session,
    was_seen: bool,
}

/// What a client showed of one handshake.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    /// Its client random.
    pub client_random: [u8; 8],
    /// Its ticket's fields, as bytes.
    pub ticket: [u8; 12],
    /// Whether its HELLO has come.
    pub has_hello: bool,
    /// Whether its JOIN has come.
    pub has_join: bool,
}

/// What handshakes and rejoins need of a user.
#[derive(Debug)]
pub struct Rest {
    /// The session before.
    pub previous: Session,
    /// The newest handshakes, the newest first.
    pub handshakes: [Handshake; 2],
    /// The session number of the last WELCOME, where it could not be verified.
    pub welcome: u32,
}

impl Rest {
    fn new() -> Rest {
        Rest { previous: Session::none(), handshakes: [Handshake::default(); 2], welcome: 0 }
    }
}

/// Bytes of a user in all, two places of the index included.
const USER_BYTES: usize = size_of::<User>() + size_of::<Rest>() + 4 * size_of::<u64>();

const _: () = assert!(size_of::<User>() == 128);

/// Marks a free place of the index.
const FREE: u64 = u64::MAX;

/// Places of the index at first.
const INDEX_PLACES: usize = 1 << 10;

/// The table.
pub struct Users {
    users: Vec<User>,
    rest: Vec<Rest>,
    users_max: usize,
    /// Open addressing, linear probing: the hash in the high half, the number of the user in the low one.
    index: Vec<u64>,
    hand: usize,
    mix: Mix,
}

impl Users {
    /// A table of so many bytes at most.
    pub fn new(memory_bytes: usize) -> Users {
        let users_max = (memory_bytes / USER_BYTES).clamp(1, 1 << 30);
        Users {
            users: Vec::new(),
            rest: Vec::new(),
            users_max,
            index: vec![FREE; INDEX_PLACES],
            hand: 0,
            mix: Mix::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether the next new one takes the place of another.
    pub fn is_full(&self) -> bool {
        self.users.len() == self.users_max
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.users.capacity() * size_of::<User>()
            + self.rest.capacity() * size_of::<Rest>()
            + self.index.capacity() * size_of::<u64>()
    }

    /// A user's hash, for the other functions.
    #[inline]
    pub fn hash(&self, user: u64) -> u32 {
        self.mix.hash(user, 0) as u32
    }

    /// Asks for the memory of the place where this hash is looked for.
    #[inline]
    pub fn prefetch_index(&self, hash: u32) {
        prefetch_read(&self.index[hash as usize & (self.index.len() - 1)]);
    }

    /// Asks for the memory of the user who most likely has this hash.
    #[inline]
    pub fn prefetch_user(&self, hash: u32) {
        let mask = self.index.len() - 1;
        for step in 0..4 {
            let entry = self.index[(hash as usize + step) & mask];
            if (entry >> 32) as u32 == hash && entry != FREE {
                if let Some(user) = self.users.get(entry as u32 as usize) {
                    prefetch_read(user);
                }
                return;
            }
        }
    }

    /// Where a user is.
    #[inline]
    pub fn find(&mut self, id: u64, hash: u32) -> Option<usize> {
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let entry = self.index[place];
            if entry == FREE {
                return None;
            }
            let at = entry as u32 as usize;
            if (entry >> 32) as u32 == hash && self.users[at].id == id {
                self.users[at].was_seen = true;
                return Some(at);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a user who is not there. When the table is full another one goes; what was missing of its seqs is
    /// returned with the place.
    pub fn add(&mut self, id: u64, hash: u32) -> (usize, Option<u64>) {
        // Who never comes again goes before those who do.
        let user = User { id, session: Session::none(), was_seen: false };
        if !self.is_full() {
            let at = self.users.len();
            grow::by_a_quarter(&mut self.users, self.users_max);
            grow::by_a_quarter(&mut self.rest, self.users_max);
            self.users.push(user);
            self.rest.push(Rest::new());
            if 2 * self.users.len() > self.index.len() {
                self.grow_index();
            } else {
                self.put(hash, at);
            }
            return (at, None);
        }
        let at = self.turn_hand();
        let missing = self.users[at].session.missing() + self.rest[at].previous.missing();
        self.unput(self.hash(self.users[at].id), at);
        self.users[at] = user;
        self.rest[at] = Rest::new();
        self.put(hash, at);
        (at, Some(missing))
    }

    /// A user.
    #[inline]
    pub fn get(&mut self, at: usize) -> &mut User {
        &mut self.users[at]
    }

    /// The key of a user's newest session.
    #[inline]
    pub fn key(&self, at: usize) -> &SessionKey {
        &self.users[at].session.key
    }

    /// A user with all that is kept.
    pub fn whole(&mut self, at: usize) -> (&mut User, &mut Rest) {
        (&mut self.users[at], &mut self.rest[at])
    }

    /// Seqs of all that have not come.
    pub fn missing(&self) -> u64 {
        self.users.iter().map(|user| user.session.missing()).sum::<u64>()
            + self.rest.iter().map(|rest| rest.previous.missing()).sum::<u64>()
    }

    fn turn_hand(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.users.len();
            if !std::mem::take(&mut self.users[at].was_seen) {
                return at;
            }
        }
    }

    fn put(&mut self, hash: u32, at: usize) {
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        while self.index[place] != FREE {
            place = (place + 1) & mask;
        }
        self.index[place] = u64::from(hash) << 32 | at as u64;
    }

    /// Takes an entry out, and moves up what was pushed behind it.
    fn unput(&mut self, hash: u32, at: usize) {
        let mask = self.index.len() - 1;
        let mut hole = hash as usize & mask;
        while self.index[hole] != u64::from(hash) << 32 | at as u64 {
            hole = (hole + 1) & mask;
        }
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let entry = self.index[next];
            if entry == FREE {
                break;
            }
            let home = (entry >> 32) as usize & mask;
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.index[hole] = entry;
                hole = next;
            }
        }
        self.index[hole] = FREE;
    }

    fn grow_index(&mut self) {
        self.index = vec![FREE; 2 * self.index.len()];
        for at in 0..self.users.len() {
            self.put(self.hash(self.users[at].id), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(users: &mut Users, id: u64) -> Option<usize> {
        let hash = users.hash(id);
        users.find(id, hash)
    }

    fn add(users: &mut Users, id: u64) -> Option<u64> {
        let hash = users.hash(id);
        users.add(id, hash).1
    }

    #[test]
    fn users_are_found_where_they_were_put() {
        let mut users = Users::new(64 << 20);
        for id in 0..50_000 {
            assert_eq!(place(&mut users, id), None);
            assert_eq!(add(&mut users, id), None);
        }
        for id in 0..50_000 {
            let at = place(&mut users, id).unwrap();
            assert_eq!(users.get(at).id, id);
        }
    }

    /// Expect: the table stays within its bound, who is seen often stays, and whoever is there is found.
    #[test]
    fn a_full_table_lets_those_go_who_are_not_seen() {
        let bytes = 1 << 20;
        let mut users = Users::new(bytes);
        add(&mut users, 7);
        for id in 1_000..50_000 {
            add(&mut users, id);
            assert!(place(&mut users, 7).is_some(), "{id}");
        }
        assert!(users.is_full() && users.memory_bytes() <= bytes, "{}", users.memory_bytes());
        let there = (1_000..50_000).filter(|id| place(&mut users, *id).is_some()).count();
        assert_eq!(there + 1, users.len());
    }
}
