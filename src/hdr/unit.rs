//! The unit of a file's values.

use clap::ValueEnum;
use std::fmt;

/// The unit of a file's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Nanoseconds
    Ns,
    /// Microseconds
    Us,
    /// Milliseconds
    Ms,
    /// Seconds
    S,
}

impl Unit {
    const ALL: [Unit; 4] = [Unit::Ns, Unit::Us, Unit::Ms, Unit::S];

    /// How many ns one is.
    pub fn ns(self) -> u64 {
        match self {
            Unit::Ns => 1,
            Unit::Us => 1_000,
            Unit::Ms => 1_000_000,
            Unit::S => 1_000_000_000,
        }
    }

    /// The comment by which our files say it. Viewers skip lines that begin with `#`.
    pub fn comment(self) -> String {
        format!("#[Unit: {self}]")
    }

    /// What a line says of it, if it is such a comment.
    pub fn said_by(line: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| line.trim_end() == unit.comment())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Ns => "ns",
            Unit::Us => "us",
            Unit::Ms => "ms",
            Unit::S => "s",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_its_unit() {
        assert!(Unit::ALL.into_iter().all(|unit| Unit::said_by(&unit.comment()) == Some(unit)));
        assert_eq!(Unit::said_by("#[Unit: ns]\r"), Some(Unit::Ns));
        assert_eq!(Unit::said_by("#[Unit: weeks]"), None);
    }
}
