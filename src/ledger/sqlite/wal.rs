//! Looks at a write-ahead log before SQLite does, to say what SQLite passes over in silence.
//!
//! Its format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. SQLite takes the frames from the
//! beginning up to the last that ends a transaction and whose checksum, which covers all before it, is right.
//! The rest it ignores. The rest is innocent if it is a commit that was not finished, or frames that are
//! left of an earlier round through the file. It is damage if it holds commits that were finished.

use super::LedgerError;
use super::file::wal_of;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// What follows the last whole commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Bytes that belong to no whole commit, and to no earlier round through the file.
    pub dropped_bytes: u64,
}

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The running checksum of a log: two words, which each further pair of words goes into.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum {
    sums: [u32; 2],
    big_endian: bool,
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().expect("4 bytes");
            if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let [mut first, mut second] = self.sums;
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
            second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
        }
        self.sums = [first, second];
    }
}

/// What the head of a log says.
struct Header {
    page_bytes: usize,
    /// How often the log was begun anew.
    rounds: u32,
    salts: [u32; 2],
    checksum: Checksum,
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (magic, page_bytes) = (number(bytes, 0), number(bytes, 8));
        let mut checksum = Checksum { sums: [0; 2], big_endian: magic & 1 == 1 };
        checksum.add(&bytes[..24]);
        let is_good = magic & !1 == 0x377f_0682
            && (512..=65_536).contains(&page_bytes)
            && page_bytes.is_power_of_two()
            && checksum.sums == [number(bytes, 24), number(bytes, 28)];
        is_good.then(|| Header {
            page_bytes: page_bytes as usize,
            rounds: number(bytes, 12),
            salts: [number(bytes, 16), number(bytes, 20)],
            checksum,
        })
    }

    /// Whether these are the salts of an earlier round: the first is counted up by each.
    fn is_earlier(&self, salts: [u32; 2]) -> bool {
        (1..=self.rounds).contains(&self.salts[0].wrapping_sub(salts[0]))
    }
}

/// Looks at the log beside `file`, where there is one. Nothing may be writing to it.
pub fn tail_of(file: &Path) -> Result<Tail, LedgerError> {
    let path = wal_of(file);
    let cannot = LedgerError::io(&path, "read it");
    let log = match File::open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Tail::default()),
        Err(error) => return Err(cannot(error)),
    };
    let bytes = log.metadata().map_err(&cannot)?.len();
    match scan(BufReader::with_capacity(1 << 20, log), bytes).map_err(&cannot)? {
        Ok(tail) => Ok(tail),
        Err(frame) => Err(LedgerError::damaged(
            &path,
            format!("frame {frame} of it is broken, and commits that were finished follow"),
        )),
    }
}

/// The tail of a log of so many bytes; or which of its frames, from 1, is broken before a finished commit.
pub fn scan(mut log: impl Read, bytes: u64) -> std::io::Result<Result<Tail, u64>> {
    let mut head = [0; HEADER_BYTES];
    if bytes < HEADER_BYTES as u64 {
        return Ok(Ok(Tail { dropped_bytes: bytes }));
    }
    log.read_exact(&mut head)?;
    let Some(header) = Header::parse(&head) else { return Ok(Ok(Tail { dropped_bytes: bytes })) };
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let frames = (bytes - HEADER_BYTES as u64) / frame.len() as u64;
    let mut checksum = header.checksum;
    // Frames up to the last good commit, and up to the last that is of this round: counted from 1.
    let (mut last_commit, mut last_of_round) = (0, 0);
    let (mut broken, mut commit_after_broken) = (None, false);
    for at in 1..=frames {
        log.read_exact(&mut frame)?;
        let salts = [number(&frame, 8), number(&frame, 12)];
        if header.is_earlier(salts) {
            // SQLite writes frames in their order: what follows is of earlier rounds too.
            return Ok(Ok(Tail { dropped_bytes: (last_of_round - last_commit) * frame.len() as u64 }));
        }
        if commit_after_broken && salts == header.salts {
            // A frame is written when the commit before it is on the disk.
            return Ok(Err(broken.unwrap_or(at)));
        }
        let is_commit = number(&frame, 4) != 0;
        checksum.add(&frame[..8]);
        checksum.add(&frame[FRAME_HEADER_BYTES..]);
        let is_good = salts == header.salts && checksum.sums == [number(&frame, 16), number(&frame, 20)];
        if !is_good && broken.is_none() {
            broken = Some(at);
        }
        last_of_round = at;
        if broken.is_none() && is_commit {
            last_commit = at;
        } else if broken.is_some() && is_commit && salts == header.salts {
            commit_after_broken = true;
        }
    }
    // The last frame may be there in part.
    let end = HEADER_BYTES as u64 + last_commit * frame.len() as u64;
    Ok(Ok(Tail { dropped_bytes: bytes - end }))
}
