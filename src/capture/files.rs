//! The files: how they begin, and how a datagram looks in one.

use super::tap::Taken;
use super::{PcapWriter, Way};
use crate::net::OwnEnds;
use etherparse::PacketBuilder;
use nix::sys::statvfs::fstatvfs;
use nix::unistd::geteuid;
use pcap_file::DataLink;
use redpkt_proto::keylog::{self, LoggedKey};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why nothing can be captured. Each message is one line that names the option and the fix.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A file cannot be made or opened.
    #[error("{option} {}: {error}; name a file in a directory that can be written to", path.display())]
    Open {
        /// Which of the two.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others may use the file that keys would be added to.
    #[error("--keylog {path}: its mode is {mode:04o} and others may use it; chmod 0600 {path}", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not one that keys may be added to.
    #[error("--keylog {path}: {why}; name another file", path = path.display())]
    NotForKeys {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// The writer's thread did not start.
    #[error("the thread that writes --pcap and --keylog: {0}")]
    Thread(io::Error),
}

impl CaptureError {
    /// Whether what the user wrote is to be changed: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, CaptureError::Mode { .. } | CaptureError::NotForKeys { .. })
    }
}

/// Names tried for a capture file, since the one asked for may be there from before.
const NAMES_MAX: u32 = 10_000;

/// A capture file.
pub(super) struct PcapFile {
    writer: PcapWriter<File>,
    path: PathBuf,
    room: Room,
    ends: OwnEnds,
    scratch: Vec<u8>,
}

impl PcapFile {
    /// Makes the file, 0600. What is there is never touched: then it is the first free one of FILE.1, FILE.2 …
    pub(super) fn create(path: &Path, ends: OwnEnds) -> Result<PcapFile, CaptureError> {
        let refused = |error| CaptureError::Open { option: "--pcap", path: path.to_owned(), error };
        let (file, path) = create_new(path).map_err(refused)?;
        let room = Room::of(&file).map_err(refused)?;
        let writer = PcapWriter::begin(file, DataLink::RAW).map_err(refused)?;
        Ok(PcapFile { writer, path, room, ends, scratch: Vec::new() })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a datagram, between headers as it had or will have: of those the server knows no more than the ends.
    pub(super) fn write(&mut self, taken: &Taken, bytes: &[u8]) -> io::Result<()> {
        let peer = taken.path.addr();
        let own = self.ends.address(taken.path.local).unwrap_or_else(|| unknown_beside(peer));
        let (from, to) = match taken.way {
            Way::In => (peer, own),
            Way::Out => (own, peer),
        };
        self.scratch.clear();
        add_headers(&mut self.scratch, from, to, bytes)?;
        self.room.take(self.scratch.len())?;
        self.writer.write(taken.wall_ns, self.scratch.len(), &self.scratch)
    }

    /// Gives all to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn create_new(path: &Path) -> io::Result<(File, PathBuf)> {
    for number in 0..NAMES_MAX {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
            Ok(file) => return Ok((file, name.into())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{NAMES_MAX} captures of that name are there; remove some")))
}

/// No address, of the family of a peer's.
fn unknown_beside(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// An IP packet that carries a datagram. The hop limit is made up.
fn add_headers(to_bytes: &mut Vec<u8>, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    const HOPS: u8 = 64;
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(wide(from), wide(to), HOPS),
    };
    ip.udp(from.port(), to.port()).write(to_bytes, datagram).map_err(io::Error::other)
}

fn wide(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A key log.
pub(super) struct KeyLogFile {
    writer: BufWriter<File>,
    room: Room,
}

/// Bytes of a file that are looked at to tell whether it is a key log.
const LOOKED_AT_BYTES: u64 = 4_096;

impl KeyLogFile {
    /// Opens the file, and makes it, 0600, if it is not there. What it holds is added to: keys of an earlier run of
    /// the server belong to captures of that time.
    pub(super) fn open(path: &Path) -> Result<KeyLogFile, CaptureError> {
        let refused = |error| CaptureError::Open { option: "--keylog", path: path.to_owned(), error };
        // A pipe without a reader would be waited for otherwise.
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        let not_for_keys = |why| Err(CaptureError::NotForKeys { path: path.to_owned(), why });
        if !metadata.is_file() {
            return not_for_keys("it is no file, and may have no end");
        }
        if metadata.uid() != geteuid().as_raw() {
            return not_for_keys("it is another user's, who could read the keys");
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CaptureError::Mode { path: path.to_owned(), mode });
        }
        if !is_key_log(&file).map_err(refused)? {
            return not_for_keys("it is there, and is no key log");
        }
        end_last_line(&mut file).map_err(refused)?;
        KeyLogFile::over(file).map_err(refused)
    }

    pub(super) fn over(file: File) -> io::Result<KeyLogFile> {
        let room = Room::of(&file)?;
        Ok(KeyLogFile { writer: BufWriter::new(file), room })
    }

    /// Adds a key.
    pub(super) fn write(&mut self, key: &LoggedKey) -> io::Result<()> {
        let line = key.to_line();
        self.room.take(line.len())?;
        writeln!(self.writer, "{line}")
    }

    /// Gives all to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Whether there is nothing in a file yet, or what begins as a key log does.
fn is_key_log(file: &File) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.take(LOOKED_AT_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    // The first line may have been cut off by a full disk.
    Ok(first.is_none_or(|line| line.starts_with(keylog::LABEL) || keylog::LABEL.starts_with(line)))
}

/// Ends the last line of a file if something came between: the next key is not to be lost with it.
fn end_last_line(file: &mut File) -> io::Result<()> {
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] { Ok(()) } else { file.write_all(b"\n") }
}

/// What is left free on a file system: a full one would end what others have there, the ledger's money among them. So
/// much at the most, and this part of a small one.
const LEFT_BYTES_MAX: u64 = 1 << 30;
const LEFT_PART: u64 = 20;

/// Bytes that are written between two looks.
const BYTES_BETWEEN_LOOKS: usize = 1 << 20;

/// What a file may still take of its file system.
struct Room {
    file: File,
    /// Bytes since the last look; at first as many as ask for one.
    bytes: usize,
}

impl Room {
    fn of(file: &File) -> io::Result<Room> {
        Ok(Room { file: file.try_clone()?, bytes: BYTES_BETWEEN_LOOKS })
    }

    /// So many bytes are to be written.
    fn take(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes < BYTES_BETWEEN_LOOKS {
            return Ok(());
        }
        self.bytes = 0;
        let system = fstatvfs(&self.file)?;
        let blocks = |count: u64| count.saturating_mul(system.fragment_size());
        let (free, left) = (blocks(system.blocks_available()), left_bytes(blocks(system.blocks())));
        if free >= left {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} MiB are free on its disk, and {} MiB are left to others",
            free >> 20,
            left >> 20
        )))
    }
}

fn left_bytes(total_bytes: u64) -> u64 {
    (total_bytes / LEFT_PART).min(LEFT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_of_before_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("night.pcap");
        let names = [(); 3].map(|()| create_new(&path).unwrap().1);
        let name = |end| PathBuf::from(format!("{}{end}", path.display()));
        assert_eq!(names, ["", ".1", ".2"].map(name));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create_new(&dir.path().join("none/night.pcap")).is_err());
    }

    #[test]
    fn a_key_log_is_its_owners_alone_and_is_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        let key = |user| LoggedKey {
            user,
            session_number: 1,
            key: redpkt_proto::seal::SessionKey::from_bytes([1; 16]),
        };
        for user in [1, 2] {
            let mut file = KeyLogFile::open(&path).unwrap();
            file.write(&key(user)).unwrap();
            file.flush().unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let users: Vec<u64> = lines.map(|line| line.parse::<LoggedKey>().unwrap().user).collect();
        assert_eq!(users, [1, 2]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyLogFile::open(&path).err().unwrap();
        assert!(error.is_usage() && error.to_string().contains("chmod 0600"), "{error}");
    }

    /// Expect: a file that is something else is not written to, above all not the key file; nor is what is no file.
    #[test]
    fn keys_are_added_to_key_logs_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let open = |text: &str| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            KeyLogFile::open(&path).map(drop)
        };
        let line = "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f";
        for text in ["", "# keys of the night\n\n", &format!("# keys\n{line}\n"), "REDPKT_SE"] {
            open(text).unwrap();
        }
        for text in [format!("1 {}\n", "ab".repeat(32)), "\u{7f}ELF".to_owned()] {
            let error = open(&text).unwrap_err();
            assert!(error.is_usage() && error.to_string().ends_with("name another file"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(KeyLogFile::open(&path).err().unwrap().to_string().contains("no file"));
    }

    /// Expect: the first key behind a line that was cut off stands on a line of its own.
    #[test]
    fn a_line_that_was_cut_off_takes_no_key_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        let line = "REDPKT_SESSION 1 2 000102030405060708090a0b0c0d0e0f";
        for _ in 0..2 {
            let mut file = KeyLogFile::open(&path).unwrap();
            file.write(&line.parse().unwrap()).unwrap();
            file.writer.write_all(b"REDPKT_SESS").unwrap();
            file.flush().unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{line}\nREDPKT_SESS\n{line}\nREDPKT_SESS"));
    }

    #[test]
    fn a_disk_is_never_filled() {
        assert_eq!(left_bytes(100 << 20), 5 << 20);
        assert_eq!(left_bytes(u64::MAX), 1 << 30);
        // Of a file system without blocks nothing is known.
        Room::of(&File::open("/proc/self/status").unwrap()).unwrap().take(1).unwrap();
    }

    /// Expect: headers that a strict reader of them takes, checksums included.
    #[test]
    fn a_datagram_lies_between_true_headers() {
        for (from, to) in [("192.0.2.1:7", "198.51.100.2:7100"), ("[2001:db8::1]:7", "[2001:db8::2]:7100")] {
            let mut bytes = Vec::new();
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            add_headers(&mut bytes, from, to, &[5; 64]).unwrap();
            let parsed = etherparse::SlicedPacket::from_ip(&bytes).unwrap();
            let Some(etherparse::TransportSlice::Udp(udp)) = parsed.transport else { panic!("no UDP") };
            assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (7, 7100, &[5; 64][..]));
            let header = udp.to_header();
            let checksum = match parsed.net.unwrap() {
                etherparse::NetSlice::Ipv4(ip) => {
                    header.calc_checksum_ipv4(&ip.header().to_header(), udp.payload())
                }
                etherparse::NetSlice::Ipv6(ip) => {
                    header.calc_checksum_ipv6(&ip.header().to_header(), udp.payload())
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(checksum.unwrap(), header.checksum);
        }
    }
}
