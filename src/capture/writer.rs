//! The thread that writes what the taps took.

use super::files::{CaptureError, KeyLogFile, PcapFile};
use super::tap::{Taken, TapEnd};
use super::{CaptureSettings, Tap};
use crate::net::OwnEnds;
use crate::set::KeyLog;
use redpkt_proto::keylog::LoggedKey;
use rtrb::Consumer;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the writer sleeps when there is nothing: how late the files are.
const SLEEP: Duration = Duration::from_millis(5);

/// How long the end of a server waits for its files.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Datagrams that are taken from one ring before the next is looked at.
const DATAGRAMS_MAX: usize = 4_096;

/// Keys that may wait to be written, of one worker.
const KEYS_MAX: usize = 65_536;

/// What became of what was to be written.
#[derive(Debug, Default)]
pub struct CaptureCounters {
    datagrams: AtomicU64,
    datagrams_lost: Arc<AtomicU64>,
    keys: AtomicU64,
    keys_lost: Arc<AtomicU64>,
}

/// The same, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CaptureStats {
    /// Datagrams written.
    pub datagrams: u64,
    /// Datagrams not written: the writer did not keep up, or the file took no more.
    pub datagrams_lost: u64,
    /// Keys written.
    pub keys: u64,
    /// Keys not written, for the same reasons.
    pub keys_lost: u64,
}

impl CaptureCounters {
    /// As they are now.
    pub fn read(&self) -> CaptureStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CaptureStats {
            datagrams: read(&self.datagrams),
            datagrams_lost: read(&self.datagrams_lost),
            keys: read(&self.keys),
            keys_lost: read(&self.keys_lost),
        }
    }
}

/// A running writer. It ends when all taps and key logs that it gave out are gone.
pub struct Capture {
    counters: Arc<CaptureCounters>,
    thread: JoinHandle<()>,
}

/// What each worker is given.
pub struct WorkerEnds {
    /// For its engine, if datagrams are captured.
    pub tap: Option<Tap>,
    /// For its core, if keys are logged.
    pub key_log: Option<KeyLog>,
}

impl Capture {
    /// Opens the files and starts the writer for so many workers.
    pub fn start(
        settings: &CaptureSettings,
        ends: OwnEnds,
        workers: usize,
    ) -> Result<(Capture, Vec<WorkerEnds>), CaptureError> {
        // The key log first: a capture takes another name where one is taken, and is not made in vain.
        let keylog = settings.keylog.as_ref().map(|path| KeyLogFile::open(path)).transpose()?;
        let pcap = settings.pcap.as_ref().map(|path| PcapFile::create(path, ends)).transpose()?;
        if let Some(pcap) = &pcap {
            tracing::info!(file = %pcap.path().display(), sample = %settings.sample, "datagrams are captured");
        }
        if let Some(path) = &settings.keylog {
            tracing::warn!(file = %path.display(), "session keys are logged: whoever has the file reads all traffic");
        }
        let counters = Arc::new(CaptureCounters::default());
        let mut writer = Writer {
            pcap,
            keylog,
            taps: Vec::new(),
            key_logs: Vec::new(),
            counters: Arc::clone(&counters),
            taken: Vec::new(),
            bytes: Vec::new(),
        };
        let worker_ends = (0..workers).map(|_| writer.new_worker(settings)).collect();
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(CaptureError::Thread)?;
        Ok((Capture { counters, thread }, worker_ends))
    }

    /// What it counts.
    pub fn counters(&self) -> &Arc<CaptureCounters> {
        &self.counters
    }

    /// Waits until all is written, but not for ever: a disk that hangs does not keep a server from ending. The workers
    /// must have ended.
    pub fn finish(self) {
        let began = Instant::now();
        while !self.thread.is_finished() {
            if began.elapsed() > FINISH_TIMEOUT {
                tracing::error!(
                    "--pcap and --keylog: the disk does not take what is left, and is not waited for"
                );
                return;
            }
            std::thread::sleep(SLEEP);
        }
        let _ = self.thread.join();
    }
}

struct Writer {
    pcap: Option<PcapFile>,
    keylog: Option<KeyLogFile>,
    taps: Vec<TapEnd>,
    key_logs: Vec<Consumer<LoggedKey>>,
    counters: Arc<CaptureCounters>,
    /// Of this pass: what was taken, and where its bytes begin.
    taken: Vec<(Taken, usize)>,
    bytes: Vec<u8>,
}

impl Writer {
    fn new_worker(&mut self, settings: &CaptureSettings) -> WorkerEnds {
        let tap = self.pcap.is_some().then(|| {
            let (tap, end) = Tap::new(settings.sample, Arc::clone(&self.counters.datagrams_lost));
            self.taps.push(end);
            tap
        });
        let key_log = self.keylog.is_some().then(|| {
            let (key_log, keys) = KeyLog::new(KEYS_MAX, Arc::clone(&self.counters.keys_lost));
            self.key_logs.push(keys);
            key_log
        });
        WorkerEnds { tap, key_log }
    }

    fn run(mut self) {
        loop {
            let is_over = self.taps.iter().all(TapEnd::is_over)
                && self.key_logs.iter().all(|keys| keys.is_abandoned() && keys.is_empty());
            // A session's key is logged before its first frame is taken. So whoever reads along finds the key when he
            // finds the frames.
            self.take_datagrams();
            let written = self.write_keys() + self.write_datagrams();
            if is_over {
                return;
            }
            if written == 0 {
                std::thread::sleep(SLEEP);
            }
        }
    }

    fn write_keys(&mut self) -> usize {
        let mut count = 0;
        let mut outcome = Ok(());
        for keys in &mut self.key_logs {
            while let Ok(key) = keys.pop() {
                count += 1;
                outcome = outcome.and_then(|()| self.keylog.as_mut().map_or(Ok(()), |file| file.write(&key)));
            }
        }
        let CaptureCounters { keys, keys_lost, .. } = &*self.counters;
        finish_pass(&mut self.keylog, outcome, count, keys, keys_lost);
        count
    }

    /// Takes what workers have, in the order of time as far as one pass sees it.
    fn take_datagrams(&mut self) {
        self.taken.clear();
        self.bytes.clear();
        for tap in &mut self.taps {
            for _ in 0..DATAGRAMS_MAX {
                let start = self.bytes.len();
                let Some(taken) = tap.pop(&mut self.bytes) else { break };
                self.taken.push((taken, start));
            }
        }
        self.taken.sort_by_key(|(taken, _)| taken.wall_ns);
    }

    /// Writes what was taken.
    fn write_datagrams(&mut self) -> usize {
        let mut outcome = Ok(());
        if let Some(file) = &mut self.pcap {
            for (taken, start) in &self.taken {
                outcome = outcome.and_then(|()| file.write(taken, &self.bytes[*start..*start + taken.len]));
            }
        }
        let CaptureCounters { datagrams, datagrams_lost, .. } = &*self.counters;
        finish_pass(&mut self.pcap, outcome, self.taken.len(), datagrams, datagrams_lost);
        self.taken.len()
    }
}

/// A file that is written in passes.
trait PassFile {
    /// The option that asked for it.
    const OPTION: &str;

    /// Gives all to the system.
    fn flush(&mut self) -> io::Result<()>;
}

impl PassFile for PcapFile {
    const OPTION: &str = "--pcap";

    fn flush(&mut self) -> io::Result<()> {
        PcapFile::flush(self)
    }
}

impl PassFile for KeyLogFile {
    const OPTION: &str = "--keylog";

    fn flush(&mut self) -> io::Result<()> {
        KeyLogFile::flush(self)
    }
}

/// Counts what a pass wrote. A file that failed is given up, for it may end in half a record, behind which nothing
/// could be read; from then on what is taken is counted as lost.
fn finish_pass<F: PassFile>(
    file: &mut Option<F>,
    outcome: io::Result<()>,
    count: usize,
    written: &AtomicU64,
    lost: &AtomicU64,
) {
    if count == 0 {
        return;
    }
    let outcome = outcome.and_then(|()| file.as_mut().map_or(Ok(()), F::flush));
    let is_written = file.is_some() && outcome.is_ok();
    if let Err(error) = outcome {
        *file = None;
        tracing::error!(option = F::OPTION, %error, "the file takes no more and is given up; the server goes on");
    }
    if is_written { written } else { lost }.fetch_add(count as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/full` takes no byte.
    fn full_file() -> Option<KeyLogFile> {
        Some(KeyLogFile::over(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()).unwrap())
    }

    /// Expect: what a file did not take is lost, is counted, and so is all that comes later.
    #[test]
    fn a_full_disk_ends_the_file_and_nothing_else() {
        let (written, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut file = full_file();
        let key = "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f".parse().unwrap();
        let outcome = file.as_mut().unwrap().write(&key);
        finish_pass(&mut file, outcome, 1, &written, &lost);
        assert!(file.is_none());
        finish_pass(&mut file, Ok(()), 2, &written, &lost);
        finish_pass(&mut file, Ok(()), 0, &written, &lost);
        assert_eq!((written.into_inner(), lost.into_inner()), (0, 3));
    }
}
