//! Threads that take a core's time.

use redpkt::cli::Failure;
use redpkt::net::affinity;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// They end when this is dropped.
pub struct Thieves {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Thieves {
    /// So many on a core.
    pub fn start(count: u32, core: usize) -> Result<Thieves, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let stop = Arc::clone(&stop);
            std::thread::Builder::new()
                .name("thief".into())
                .spawn(move || {
                    if affinity::pin_current_thread(core).is_ok() {
                        while !stop.load(Ordering::Relaxed) {
                            std::hint::spin_loop();
                        }
                    }
                })
                .map_err(Failure::machine)
        };
        Ok(Thieves { threads: (0..count).map(start).collect::<Result<_, Failure>>()?, stop })
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
