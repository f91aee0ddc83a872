//! How a command ends when it does not succeed: one line, and the contract's exit code.

use std::io::Write as _;
use std::process::ExitCode;

/// Why a command ends without success.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

#[expect(clippy::needless_pass_by_value, reason = "so that map_err(Failure::machine) takes any error")]
impl Failure {
    /// The run's check failed (money, tally, SLO): exit code 1.
    pub fn check(message: impl ToString) -> Failure {
        Failure { code: 1, message: message.to_string() }
    }

    /// What the user wrote is wrong: exit code 2.
    pub fn usage(message: impl ToString) -> Failure {
        Failure { code: 2, message: message.to_string() }
    }

    /// The machine refused: exit code 3.
    pub fn machine(message: impl ToString) -> Failure {
        Failure { code: 3, message: message.to_string() }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Prints the line, and gives the exit code.
    pub fn report(&self, program: &str) -> ExitCode {
        // Nobody may be reading: the exit code says it too.
        let _ = writeln!(std::io::stderr(), "{program}: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
