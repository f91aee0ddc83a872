//! The files of a recording, one after another.

use super::limit::Limit;
use pcap_file::DataLink;
use redpkt::capture::PcapWriter;
use redpkt::cli::Failure;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Writer = PcapWriter<Box<dyn Write>>;

/// Where records go.
pub(super) struct Files {
    out: PathBuf,
    link: DataLink,
    rotate: Option<Limit>,
    keep: Option<u32>,
    writer: Writer,
    since: Instant,
    /// Those of this recording that are there, oldest first.
    there: VecDeque<PathBuf>,
    count: u32,
    /// What the present one's name ends with; 0: nothing.
    number: u64,
    /// Bytes of the files before the present one.
    bytes_before: u64,
    /// Whether whoever read stdout has gone.
    is_closed: bool,
}

impl Files {
    /// Makes the first file; it must not be there yet.
    pub(super) fn begin(
        out: &Path,
        link: DataLink,
        rotate: Option<Limit>,
        keep: Option<u32>,
    ) -> Result<Files, Failure> {
        if is_stdout(out) && rotate.is_some() {
            return Err(Failure::usage("--rotate: stdout is one file; name a file with --out"));
        }
        Ok(Files {
            writer: create(out, link).map_err(|error| refused(out, &error))?,
            out: out.to_owned(),
            link,
            rotate,
            keep,
            since: Instant::now(),
            there: VecDeque::from([out.to_owned()]),
            count: 1,
            number: 0,
            bytes_before: 0,
            is_closed: false,
        })
    }

    /// Adds a record, to a new file if the present one is large or old enough.
    pub(super) fn write(&mut self, wall_ns: u64, len: usize, bytes: &[u8]) -> Result<(), Failure> {
        let is_full = match self.rotate {
            None => false,
            Some(Limit::Bytes(most)) => self.writer.bytes() >= most,
            Some(Limit::Age(most)) => self.since.elapsed() >= most,
        };
        if is_full {
            self.next()?;
        }
        if self.is_closed {
            return Ok(());
        }
        let outcome = self.writer.write(wall_ns, len, bytes);
        self.judge(outcome)
    }

    fn next(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let (path, writer) = self.create_next()?;
        self.bytes_before += self.writer.bytes();
        self.writer = writer;
        self.since = Instant::now();
        self.there.push_back(path);
        self.count += 1;
        while self.keep.is_some_and(|keep| self.there.len() > keep as usize) {
            let oldest = self.there.pop_front().expect("there are more than are kept");
            match std::fs::remove_file(&oldest) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failure::machine(format!("--keep: removing {}: {error}", oldest.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the file with the next number that is free: what another recording left is not touched.
    fn create_next(&mut self) -> Result<(PathBuf, Writer), Failure> {
        loop {
            self.number += 1;
            let mut name = self.out.clone().into_os_string();
            name.push(format!(".{}", self.number));
            let path = PathBuf::from(name);
            match create(&path, self.link) {
                Ok(writer) => return Ok((path, writer)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&path, &error)),
            }
        }
    }

    /// Bytes written to all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_before + self.writer.bytes()
    }

    /// Files that were made.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Of which were removed.
    pub(super) fn removed(&self) -> u32 {
        self.count - self.there.len() as u32
    }

    /// Whether whoever read stdout has had enough: that is no failure.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Gives all to the system.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        let outcome = self.writer.flush();
        self.judge(outcome)
    }

    /// The same, for the last time.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }

    fn judge(&mut self, outcome: std::io::Result<()>) -> Result<(), Failure> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && is_stdout(&self.out) => {
                self.is_closed = true;
                Ok(())
            }
            outcome => outcome.map_err(|error| {
                let file = self.there.back().unwrap_or(&self.out).display();
                Failure::machine(format!("--out: writing to {file}: {error}"))
            }),
        }
    }
}

fn is_stdout(out: &Path) -> bool {
    out.as_os_str() == "-"
}

fn create(path: &Path, link: DataLink) -> std::io::Result<Writer> {
    let file: Box<dyn Write> = if is_stdout(path) {
        Box::new(std::io::stdout())
    } else {
        Box::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?)
    };
    PcapWriter::begin(file, link)
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::usage(format!("--out: {} is there already; name another file", path.display()))
        }
        _ => Failure::machine(format!("--out: making {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Expect: files of the size asked for, the newest ones kept, no record lost at a change.
    #[test]
    fn files_follow_each_other_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.pcap");
        let rotate = Some(Limit::Bytes(24 + 2 * (16 + 100)));
        let mut files = Files::begin(&out, DataLink::RAW, rotate, Some(2)).unwrap();
        (0..7).for_each(|nth| files.write(nth, 100, &[nth as u8; 100]).unwrap());
        assert_eq!((files.count(), files.removed(), files.bytes()), (4, 2, 4 * 24 + 7 * 116));
        files.finish().unwrap();
        assert_eq!(names(dir.path()), ["x.pcap.2", "x.pcap.3"]);
        let size = |name: &str| dir.path().join(name).metadata().unwrap().len();
        assert_eq!([size("x.pcap.2"), size("x.pcap.3")], [24 + 2 * 116, 24 + 116]);
    }

    /// Expect: numbers that an earlier recording took are skipped, and its files neither change nor go.
    #[test]
    fn files_of_an_earlier_recording_stay() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.pcap");
        let earlier = [1, 3, 4].map(|number| dir.path().join(format!("x.pcap.{number}")));
        earlier.iter().for_each(|path| std::fs::write(path, "mine").unwrap());
        let mut files = Files::begin(&out, DataLink::RAW, Some(Limit::Bytes(25)), Some(2)).unwrap();
        (0..5).for_each(|nth| files.write(nth, 1, &[1]).unwrap());
        assert_eq!((files.count(), files.removed()), (5, 3));
        files.finish().unwrap();
        assert_eq!(names(dir.path()), ["x.pcap.1", "x.pcap.3", "x.pcap.4", "x.pcap.6", "x.pcap.7"]);
        earlier.iter().for_each(|path| assert_eq!(std::fs::read_to_string(path).unwrap(), "mine"));
    }

    #[test]
    fn a_file_that_is_old_enough_is_followed_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.pcap");
        let rotate = Some(Limit::Age(Duration::from_millis(1)));
        let mut files = Files::begin(&out, DataLink::RAW, rotate, None).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        files.write(0, 1, &[1]).unwrap();
        assert_eq!(names(dir.path()), ["x.pcap", "x.pcap.1"]);
    }

    /// Expect: who closes the pipe ends the recording, and nothing fails.
    #[test]
    fn a_reader_who_has_enough_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::begin(&dir.path().join("x.pcap"), DataLink::RAW, None, None).unwrap();
        files.writer = PcapWriter::begin(Box::new(Closed) as Box<dyn Write>, DataLink::RAW).unwrap();
        assert_eq!(files.flush().unwrap_err().code(), 3);
        files.out = PathBuf::from("-");
        files.flush().unwrap();
        assert!(files.is_closed());
        files.write(0, 1, &[1]).unwrap();
        files.finish().unwrap();
    }

    #[test]
    fn a_file_that_is_there_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.pcap");
        std::fs::write(&out, "mine").unwrap();
        let failure = Files::begin(&out, DataLink::RAW, None, None).err().unwrap();
        assert!(failure.code() == 2 && failure.to_string().contains("name another file"), "{failure}");
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
        let failure = Files::begin(&dir.path().join("none/x"), DataLink::RAW, None, None).err().unwrap();
        assert_eq!(failure.code(), 3);
        let rotate = Some(Limit::Bytes(1));
        assert_eq!(Files::begin(Path::new("-"), DataLink::RAW, rotate, None).err().unwrap().code(), 2);
    }
}
