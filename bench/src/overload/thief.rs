//! A thread that takes a part of a core's time, whatever else wants it.
//!
//! Ordinary threads beside the server would not do: a server that sleeps now and then is let run before those that
//! never do, so that below its knee it gets more of the core than above it.

use redpkt::cli::Failure;
use redpkt::net::affinity;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What it leaves at once. Short against any queueing time that is looked at, and long against the cost of a change.
const LEAVES: Duration = Duration::from_micros(250);

/// It ends when this is dropped.
pub struct Thief {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Thief {
    /// Leaves one part in `share` of a core to the others; nothing is taken where that is the whole.
    pub fn start(share: u32, core: usize) -> Result<Thief, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        if share <= 1 {
            return Ok(Thief { stop, thread: None });
        }
        let is_over = Arc::clone(&stop);
        let (begun, has_begun) = channel();
        let steal = move || {
            let begin = || {
                affinity::pin_current_thread(core)?;
                affinity::precise_timers()?;
                affinity::run_before_others()
            };
            let result = begin();
            let may_steal = result.is_ok();
            let _ = begun.send(result);
            let mut next = Instant::now();
            while may_steal && !is_over.load(Ordering::Relaxed) {
                let until = next + LEAVES * (share - 1);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                next = until + LEAVES;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        };
        let thread =
            std::thread::Builder::new().name("thief".into()).spawn(steal).map_err(Failure::machine)?;
        let thief = Thief { stop, thread: Some(thread) };
        let failed = |why: &dyn std::fmt::Display| {
            Failure::machine(format!(
                "--share: taking a part of core {core}: {why}; as root, and on a core of this machine"
            ))
        };
        has_begun.recv().map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        Ok(thief)
    }
}

impl Drop for Thief {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: an error that names the core, and no thread left; none is needed for the whole.
    #[test]
    fn a_core_that_is_not_there_is_an_error() {
        let why = Thief::start(2, 1_000_000).err().unwrap().to_string();
        assert!(why.contains("core 1000000"), "{why}");
        assert!(Thief::start(1, 1_000_000).is_ok());
    }
}
