//! The files: how they begin, and how a datagram looks in one.

use super::tap::Taken;
use super::{PcapWriter, Way};
use crate::net::OwnEnds;
use etherparse::PacketBuilder;
use pcap_file::DataLink;
use redpkt_proto::keylog::LoggedKey;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
    /// The writer's thread did not start.
    #[error("the thread that writes --pcap and --keylog: {0}")]
    Thread(io::Error),
}

impl CaptureError {
    /// Whether what the user wrote is to be changed: exit code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, CaptureError::Mode { .. })
    }
}

/// Names tried for a capture file, since the one asked for may be there from before.
const NAMES_MAX: u32 = 10_000;

/// A capture file.
pub(super) struct PcapFile {
    writer: PcapWriter<File>,
    path: PathBuf,
    ends: OwnEnds,
    scratch: Vec<u8>,
}

impl PcapFile {
    /// Makes the file, 0600. What is there is never touched: then it is the first free one of FILE.1, FILE.2 …
    pub(super) fn create(path: &Path, ends: OwnEnds) -> Result<PcapFile, CaptureError> {
        let refused = |error| CaptureError::Open { option: "--pcap", path: path.to_owned(), error };
        let (file, path) = create_new(path).map_err(refused)?;
        let writer = PcapWriter::begin(file, DataLink::RAW).map_err(refused)?;
        Ok(PcapFile { writer, path, ends, scratch: Vec::new() })
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
}

impl KeyLogFile {
    /// Opens the file, and makes it, 0600, if it is not there. What it holds is added to: keys of an earlier run of
    /// the server belong to captures of that time.
    pub(super) fn open(path: &Path) -> Result<KeyLogFile, CaptureError> {
        let refused = |error| CaptureError::Open { option: "--keylog", path: path.to_owned(), error };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(refused)?;
        let mode = file.metadata().map_err(refused)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CaptureError::Mode { path: path.to_owned(), mode });
        }
        Ok(KeyLogFile::over(file))
    }

    pub(super) fn over(file: File) -> KeyLogFile {
        KeyLogFile { writer: BufWriter::new(file) }
    }

    /// Adds a key.
    pub(super) fn write(&mut self, key: &LoggedKey) -> io::Result<()> {
        writeln!(self.writer, "{}", key.to_line())
    }

    /// Gives all to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
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
        let users: Vec<_> = redpkt_proto::keylog::parse(&text).map(|key| key.unwrap().user).collect();
        assert_eq!(users, [1, 2]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyLogFile::open(&path).err().unwrap();
        assert!(error.is_usage() && error.to_string().contains("chmod 0600"), "{error}");
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
