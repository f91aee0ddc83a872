//! Whether the system's clock is kept right, as the kernel knows it (adjtimex(2)).

use std::io;

/// What the kernel knows of its wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether somebody keeps it right (not `STA_UNSYNC`).
    pub is_kept: bool,
    /// How wrong it may be, in µs; grows by itself while nobody keeps it.
    pub error_us_max: u64,
}

/// Asks; nothing is set.
pub fn discipline() -> io::Result<Discipline> {
    // SAFETY: plain data, for which zeroes are a valid value; no mode means that nothing is set.
    let mut time: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is live and is what the call writes.
    if unsafe { libc::adjtimex(&raw mut time) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Discipline {
        is_kept: time.status & libc::STA_UNSYNC == 0,
        error_us_max: u64::try_from(time.maxerror).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn anybody_may_ask() {
        super::discipline().unwrap();
    }
}
