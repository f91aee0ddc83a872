//! Lines on stdout that never hold anybody up.
//!
//! Whoever reads stdout may have gone away, or have stopped reading: then lines are lost, and nothing else.
//! A thread of its own writes them.

use super::Failure;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Lines that wait for a slow reader; beyond, new ones are dropped. A minute of one each second.
const LINES_WAITING_MAX: usize = 64;

/// How long [`Lines::finish`] waits for a reader.
const FINISH_TIME_MAX: Duration = Duration::from_secs(2);

/// A printer of lines.
pub struct Lines {
    lines: SyncSender<String>,
    /// Says nothing: it is closed when the thread has written everything, or has given up.
    ended: Receiver<()>,
}

impl Lines {
    /// Prints to stdout from now on.
    pub fn to_stdout() -> io::Result<Lines> {
        Lines::to(io::stdout())
    }

    fn to(mut out: impl Write + Send + 'static) -> io::Result<Lines> {
        let (lines, waiting) = mpsc::sync_channel::<String>(LINES_WAITING_MAX);
        let (ends, ended) = mpsc::channel::<()>();
        std::thread::Builder::new().name("lines".into()).spawn(move || {
            let _ends = ends;
            // An error is the end of printing: a reader that has gone does not come back.
            let _ = waiting.iter().try_for_each(|line| writeln!(out, "{line}").and_then(|()| out.flush()));
        })?;
        Ok(Lines { lines, ended })
    }

    /// Prints a line, or drops it when the reader is behind or gone. Never waits.
    pub fn print(&self, line: String) {
        let _ = self.lines.try_send(line);
    }

    /// Prints the last lines and waits until everything is written, at most [`FINISH_TIME_MAX`].
    pub fn finish(self, last: impl IntoIterator<Item = String>) {
        self.finish_until(last, Instant::now() + FINISH_TIME_MAX);
    }

    fn finish_until(self, last: impl IntoIterator<Item = String>, end: Instant) {
        for line in last {
            let mut kept = line;
            while let Err(TrySendError::Full(line)) = self.lines.try_send(kept) {
                if Instant::now() >= end {
                    return;
                }
                kept = line;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        drop(self.lines);
        let in_time = self.ended.recv_timeout(end.saturating_duration_since(Instant::now()));
        debug_assert!(matches!(in_time, Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout)));
    }
}

/// Prints the one line that a command is for. A reader that is gone is an error here.
pub fn print_result(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::machine(format!("stdout: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// An output that can be held: a write goes on when the lock is free, and counts.
    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_in_order_and_the_last_ones_are_waited_for() {
        let out = Out::default();
        let lines = Lines::to(out.clone()).unwrap();
        lines.print("1".into());
        lines.print("2".into());
        lines.finish(["3".into(), "4".into()]);
        assert_eq!(out.lines(), ["1", "2", "3", "4"]);
    }

    /// Expect: with a reader that does not read, printing goes on at once and finishing ends in time; what
    /// did not fit is lost.
    #[test]
    fn a_reader_that_stops_holds_nobody_up() {
        let out = Out::default();
        let held = out.0.lock().unwrap();
        let lines = Lines::to(out.clone()).unwrap();
        (0..10 * LINES_WAITING_MAX).for_each(|at| lines.print(at.to_string()));
        lines.finish_until(["total".into()], Instant::now() + Duration::from_millis(20));
        assert!(held.is_empty());
    }

    /// Expect: the last lines find room when the reader reads again in time.
    #[test]
    fn a_slow_reader_still_gets_the_last_lines() {
        let out = Out::default();
        let held = out.0.lock().unwrap();
        let lines = Lines::to(out.clone()).unwrap();
        (0..10 * LINES_WAITING_MAX).for_each(|at| lines.print(at.to_string()));
        let finishing = std::thread::spawn(move || {
            lines.finish_until(["total".into()], Instant::now() + Duration::from_secs(60));
        });
        drop(held);
        finishing.join().unwrap();
        let seen = out.lines();
        assert_eq!(seen.last().unwrap(), "total");
        assert!(seen.len() <= LINES_WAITING_MAX + 2, "{} lines", seen.len());
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_printing_and_nothing_else() {
        let lines = Lines::to(Gone).unwrap();
        (0..10).for_each(|at| lines.print(at.to_string()));
        lines.finish_until(["total".into()], Instant::now() + Duration::from_secs(60));
    }
}
