//! A key file in a directory of its own.

use super::{now, rng};
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::ticket::Ticket;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A key file, and what is in it.
pub struct Keys {
    dir: tempfile::TempDir,
    pub ring: KeyRing,
}

impl Keys {
    /// A new key in a new file that only its owner may read.
    pub fn new() -> Keys {
        let keys = Keys {
            dir: tempfile::tempdir().expect("a temporary directory"),
            ring: KeyRing::generate(&mut rng()),
        };
        keys.write(&keys.ring.to_text(), 0o600);
        keys
    }

    /// Puts a new key on top, in the file too.
    pub fn rotate(&mut self) {
        self.ring = self.ring.with_new_key(&mut rng()).expect("room for another key");
        self.write(&self.ring.to_text(), 0o600);
    }

    /// Replaces the file.
    pub fn write(&self, text: &str, mode: u32) {
        self.write_file(&self.path(), text, mode);
    }

    /// Makes or replaces a file beside it.
    pub fn write_file(&self, path: &Path, text: &str, mode: u32) {
        let new = self.file("new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&new).expect("a new file");
        file.write_all(text.as_bytes()).expect("written");
        // Not cut down by the umask.
        file.set_permissions(std::fs::Permissions::from_mode(mode)).expect("its owner may");
        std::fs::rename(&new, path).expect("renamed");
    }

    pub fn path(&self) -> PathBuf {
        self.file("redpkt.key")
    }

    /// Another file beside it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A ticket for an hour.
    pub fn ticket(&self, user: u64) -> Ticket {
        self.ticket_until(user, now().wall_s() as u32 + 3_600)
    }

    pub fn ticket_until(&self, user: u64, expiry_s: u32) -> Ticket {
        self.ring.issue(user, expiry_s, &mut rng())
    }

    /// The digits of all keys, as they stand in the file.
    pub fn hex(&self) -> Vec<String> {
        let text = self.ring.to_text();
        let key = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        text.lines().filter(|line| !line.starts_with('#')).filter_map(key).collect()
    }
}
