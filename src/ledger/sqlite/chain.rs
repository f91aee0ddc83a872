//! The chain of hashes over a journal's commits: what makes any later change of a row visible.
//!
//! All hashes are plain BLAKE3, 32 bytes; all numbers are 8 bytes, little-endian; texts are their UTF-8 bytes.
//!
//! - Before the first commit: the hash of `machine`, `sets`, `groups`, `group`, `created_wall_ms`, as in `meta`.
//! - Of each commit: the hash of the hash before it, then `number`, `last_row`, `rows`, `wall_ms` as in
//!   `commits`, then for each of its rows in their order the integer columns `row`, `wall_ms`, `kind`, `debit`,
//!   `debit_id`, `credit`, `credit_id`, `fen`, `user`, `req`, `packet`, `other`, `detail`, then the length of
//!   the note in bytes (0 for NULL) and the note.

use super::columns::{Columns, NAMES};

/// How long a journal is, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Rows.
    pub rows: u64,
    /// Commits.
    pub commits: u64,
    /// The last commit's hash, which all rows and all commits before it went into.
    pub hash: [u8; 32],
}

impl Tip {
    /// Of a journal without rows.
    pub(super) fn of_nothing(identity: [u64; 5]) -> Tip {
        let bytes: Vec<u8> = identity.into_iter().flat_map(u64::to_le_bytes).collect();
        Tip { rows: 0, commits: 0, hash: *blake3::hash(&bytes).as_bytes() }
    }
}

/// A record of `commits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Which commit it is, from 1.
    pub number: u64,
    /// Its last row.
    pub last_row: u64,
    /// How many rows it has, at least 1.
    pub rows: u64,
    /// The time of its last row, in ms since 1970.
    pub wall_ms: u64,
    /// The chain up to here.
    pub hash: [u8; 32],
}

/// Bytes before a commit's rows: the hash before it and its own four numbers.
const HEAD_BYTES: usize = 32 + 4 * 8;

/// Hashes commit after commit.
pub struct Chain {
    tip: Tip,
    /// What the next hash is made of; the head is filled in when all rows are there.
    bytes: Vec<u8>,
    rows: u64,
    wall_ms: u64,
}

impl Chain {
    /// Goes on after `tip`, with room for commits of so many rows without notes.
    pub fn after(tip: Tip, rows_max: usize) -> Chain {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + rows_max * (NAMES.len() + 1) * 8);
        bytes.resize(HEAD_BYTES, 0);
        Chain { tip, bytes, rows: 0, wall_ms: 0 }
    }

    /// Up to the last closed commit.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The number of the next row.
    pub fn next_row(&self) -> u64 {
        self.tip.rows + self.rows + 1
    }

    /// Adds the next row of the commit that is being made.
    pub fn add(&mut self, columns: &Columns, note: Option<&str>) {
        let note = note.unwrap_or_default();
        for value in columns {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(note.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(note.as_bytes());
        self.rows += 1;
        self.wall_ms = columns[1].cast_unsigned();
    }

    /// Ends the commit, whose time is that of its last row.
    pub fn close(&mut self) -> Commit {
        let number = self.tip.commits + 1;
        let (rows, last_row, wall_ms) = (self.rows, self.tip.rows + self.rows, self.wall_ms);
        let (before, numbers) = self.bytes[..HEAD_BYTES].split_at_mut(32);
        before.copy_from_slice(&self.tip.hash);
        for (at, value) in numbers.chunks_exact_mut(8).zip([number, last_row, rows, wall_ms]) {
            at.copy_from_slice(&value.to_le_bytes());
        }
        let hash = *blake3::hash(&self.bytes).as_bytes();
        self.tip = Tip { rows: last_row, commits: number, hash };
        self.bytes.truncate(HEAD_BYTES);
        self.rows = 0;
        Commit { number, last_row, rows, wall_ms, hash }
    }
}
