//! Whoever reads the figures of a server while it is measured: a watch and a Prometheus.

use crate::http;
use redpkt::cli::Failure;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A watch asks once a second, Prometheus every so many seconds.
const METRICS_EVERY: u32 = 5;

/// A thread that asks until it is told to end.
pub struct Reader {
    stop: Sender<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl Reader {
    /// Begins to ask the server at `url`.
    pub fn start(url: String) -> Reader {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            for second in 0.. {
                if stopped.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                http::get(&url, "stats.json")?;
                http::get(&url, "histograms.json")?;
                if second % METRICS_EVERY == 0 {
                    http::get(&url, "metrics")?;
                }
            }
            Ok(())
        });
        Reader { stop, thread }
    }

    /// Ends; an error if a question was not answered.
    pub fn end(self) -> Result<(), Failure> {
        drop(self.stop);
        let ended = self.thread.join().unwrap_or_else(|_| Err("the reader has panicked".to_owned()));
        ended.map_err(|why| Failure::machine(format!("reading figures: {why}")))
    }
}
