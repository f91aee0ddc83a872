//! Writing to stdout: whoever reads it may have enough, and that is no failure.

use redpkt::cli::Failure;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

/// Bytes that are written at a time.
const WRITE_BYTES: usize = 64 << 10;

/// Stdout, buffered.
pub struct Out {
    out: BufWriter<StdoutLock<'static>>,
    error: Option<io::Error>,
}

impl Out {
    /// Stdout from now on.
    pub fn stdout() -> Out {
        Out { out: BufWriter::with_capacity(WRITE_BYTES, io::stdout().lock()), error: None }
    }

    /// Writes. After a failure nothing more is written.
    pub fn write(&mut self, write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).err();
        }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.error.is_some()
    }

    /// Writes what is left. A reader who has gone had enough.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.write(|out| out.flush());
        match self.error {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::machine(format!("stdout: {error}")))
            }
            _ => Ok(()),
        }
    }
}
