//! Options that commands share, and what they open.

use crate::follow::Follower;
use crate::keys::{KeyLog, KeyLogError, Keys};
use clap::Args;
use redpkt::cli::{Failure, parse_bytes, read_key_file};
use redpkt_proto::keyring::KeyRing;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// What opens frames, and which of them are looked at.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// The server's key file: session keys follow from the handshakes in the capture
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// A key log, as `redpkt serve --keylog` writes it
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
    /// The server's port; may be given again
    #[arg(long, value_name = "PORT", default_values_t = [DEFAULT_PORT], value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,
    /// Memory for what is kept of users, such as 64MiB or 1GiB
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = parse_memory)]
    pub memory: usize,
}

/// Where a server listens if nothing is said.
pub const DEFAULT_PORT: u16 = 7100;

/// Too little for the smallest tables.
const MEMORY_BYTES_MIN: usize = 8 << 20;

/// Shares of `--memory`: a quarter for logged keys at most, an eighth for talkers and seconds, the rest for users.
const KEYLOG_SHARE: usize = 4;
const FIGURES_SHARE: usize = 8;

/// A size that the smallest tables fit into.
pub fn parse_memory(text: &str) -> Result<usize, String> {
    match usize::try_from(parse_bytes(text)?) {
        Ok(bytes) if bytes >= MEMORY_BYTES_MIN => Ok(bytes),
        _ => Err(format!("{text} is too little; 8MiB at least")),
    }
}

/// A key file; a new one would open nothing, so none is offered.
fn read_server_key(path: &Path) -> Result<KeyRing, Failure> {
    if !path.exists() {
        let why = "there is no such file; name the key file of the server that was captured, or use --keylog";
        return Err(Failure::usage(format!("--key {}: {why}", path.display())));
    }
    read_key_file(path, "--key")
}

impl ReadArgs {
    /// Memory for top talkers and seconds.
    pub fn figures_bytes(&self) -> usize {
        self.memory / FIGURES_SHARE
    }

    /// Opens the keys, and makes what follows sessions with them. What is worth a notice is added to `notices`.
    pub fn follower(&self, notices: &mut Vec<String>) -> Result<Follower, Failure> {
        let ring = self.key.as_deref().map(read_server_key).transpose()?;
        let log = self.keylog.as_deref().map(|path| self.read_key_log(path, notices)).transpose()?;
        let keys = Keys { ring, log };
        let memory = self.memory - self.figures_bytes() - keys.memory_bytes();
        Ok(Follower::new(keys, memory))
    }

    fn read_key_log(&self, path: &Path, notices: &mut Vec<String>) -> Result<KeyLog, Failure> {
        let usage = |why: String| Failure::usage(format!("--keylog {}: {why}", path.display()));
        let file = File::open(path).map_err(|error| usage(error.to_string()))?;
        let keys_max = KeyLog::keys_max(self.memory / KEYLOG_SHARE);
        let read = KeyLog::read(BufReader::new(file), keys_max).map_err(|error| match error {
            KeyLogError::TooMany(_) => usage(format!("{error}; give more with --memory")),
            _ => usage(error.to_string()),
        })?;
        if let Some((count, first)) = read.bad_lines {
            notices.push(format!(
                "--keylog {}: {count} lines are none of a key log and are left out, the first is line {first}",
                path.display()
            ));
        }
        Ok(read.log)
    }
}

/// What names stdin.
pub const STDIN: &str = "-";

/// A capture's bytes: a file's, or with `-` stdin's; and how many there are, where that is known.
pub fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path == Path::new(STDIN) {
        return Ok((Box::new(std::io::stdin().lock()), None));
    }
    let usage = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| usage(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| usage(error.to_string()))?;
    if metadata.is_dir() {
        return Err(usage("it is a directory; name a capture file, or - for stdin".into()));
    }
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        assert_eq!(parse_memory("64MiB"), Ok(64 << 20));
        assert_eq!(parse_memory("1GiB"), Ok(1 << 30));
        assert_eq!(parse_memory("8388608"), Ok(8 << 20));
        for bad in ["", "MiB", "64MB", "1.5GiB", "-1", "1KiB", "99999999999999999999", "99999999999GiB"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
    }
}
