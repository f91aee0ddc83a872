//! When a new file begins.

use redpkt::cli::parse_bytes;
use std::time::Duration;

/// How large or how old a file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Bytes.
    Bytes(u64),
    /// Since its beginning.
    Age(Duration),
}

/// `100MiB` or `60s`.
pub(super) fn parse_limit(text: &str) -> Result<Limit, String> {
    let wrong = || format!("{text:?} is neither a size such as 100MiB nor a time such as 60s");
    if let Ok(bytes) = parse_bytes(text) {
        return Ok(Limit::Bytes(bytes));
    }
    let age = humantime::parse_duration(text).map_err(|_| wrong())?;
    if age.is_zero() { Err(wrong()) } else { Ok(Limit::Age(age)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_or_a_time() {
        assert_eq!(parse_limit("2MiB"), Ok(Limit::Bytes(2 << 20)));
        assert_eq!(parse_limit("5m"), Ok(Limit::Age(Duration::from_secs(300))));
        for text in ["", "0s", "0", "fast", "-1s"] {
            assert!(parse_limit(text).unwrap_err().contains("60s"), "{text}");
        }
    }
}
