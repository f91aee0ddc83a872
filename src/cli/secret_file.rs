//! Files with secrets, which nobody but their owner may use.

use super::Failure;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// More than any such file holds, and no more than that is read of a file that is none.
const BYTES_MAX: u64 = 1 << 16;

/// The text of the file that this option names. `when_missing` is added to the message when there is none.
pub fn read(path: &Path, option: &str, when_missing: &str) -> Result<String, Failure> {
    let usage = |why: String| Failure::usage(format!("{option} {}: {why}", path.display()));
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => usage(format!("{error}{when_missing}")),
        _ => usage(error.to_string()),
    })?;
    let mode = file.metadata().map_err(|error| usage(error.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(usage(format!(
            "its mode is {mode:04o} and others may use it; chmod 0600 {}",
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| usage(error.to_string()))?;
    Ok(text)
}
