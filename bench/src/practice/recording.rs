//! Records what all sources tell, second by second, and makes the report of it.

use redpkt::cli::Failure;
use redpkt::page;
use redpkt::record::{self, Recorder};
use redpkt::watch::Watcher;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// A recording on its way, on a thread of its own.
pub struct Recording {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Recorder>>,
    dir: PathBuf,
}

impl Recording {
    /// Begins to ask these sources, and to keep what they say in this directory.
    pub fn start(urls: Vec<String>, dir: &Path, settings: Value) -> Result<Recording, Failure> {
        let mut watcher = Watcher::new(urls, None, None).map_err(Failure::machine)?;
        let mut recorder = Recorder::create(dir, settings).map_err(Failure::machine)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let record = move || {
            let mut next = Instant::now();
            while !over.load(Ordering::Relaxed) {
                // Who is away for a second is missing in it, and the report says so.
                let (sample, _) = watcher.sample();
                recorder.push(&sample)?;
                next = (next + EVERY).max(Instant::now());
                sleep(next.saturating_duration_since(Instant::now()));
            }
            Ok(recorder)
        };
        let thread = Builder::new().name("recording".into()).spawn(record).map_err(Failure::machine)?;
        Ok(Recording { is_over, thread, dir: dir.to_owned() })
    }

    /// Asks no more; what is left to do is to say what came of it.
    pub fn stop(self) -> Result<Recorded, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        let recorder = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Recorded { recorder: recorder.map_err(Failure::machine)?, dir: self.dir })
    }
}

/// A recording that is complete but for its verdict.
pub struct Recorded {
    recorder: Recorder,
    dir: PathBuf,
}

impl Recorded {
    /// Writes the verdict and `report.html`; the report's file.
    pub fn finish(self, verdict: Value) -> Result<PathBuf, Failure> {
        self.recorder.finish(verdict).map_err(Failure::machine)?;
        let recorded = record::read(&self.dir).map_err(Failure::machine)?;
        let (html, _) = page::report(&recorded);
        let path = self.dir.join("report.html");
        std::fs::write(&path, html).map_err(Failure::machine)?;
        Ok(path)
    }
}
