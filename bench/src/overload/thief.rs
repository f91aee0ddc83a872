//! Threads that take a core's time.

use redpkt::cli::Failure;
use redpkt::net::affinity;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

/// They end when this is dropped.
pub struct Thieves {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Thieves {
    /// So many on a core. Where one cannot be pinned there it takes no time of it, and none are started.
    pub fn start(count: u32, core: usize) -> Result<Thieves, Failure> {
        let mut thieves = Thieves { stop: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        for _ in 0..count {
            let stop = Arc::clone(&thieves.stop);
            let (pinned, is_pinned) = channel();
            let steal = move || {
                let result = affinity::pin_current_thread(core);
                let may_steal = result.is_ok();
                let _ = pinned.send(result);
                while may_steal && !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            };
            let thread = std::thread::Builder::new().name("thief".into()).spawn(steal);
            thieves.threads.push(thread.map_err(Failure::machine)?);
            let failed = |why: &dyn std::fmt::Display| {
                Failure::machine(format!("--share: a thread cannot be pinned to core {core}: {why}"))
            };
            is_pinned.recv().map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        }
        Ok(thieves)
    }
}

impl Drop for Thieves {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: an error that names the core, and no thread left.
    #[test]
    fn a_core_that_is_not_there_is_an_error() {
        let why = Thieves::start(1, 1_000_000).err().unwrap().to_string();
        assert!(why.contains("core 1000000"), "{why}");
        assert!(Thieves::start(0, 1_000_000).is_ok());
    }
}
