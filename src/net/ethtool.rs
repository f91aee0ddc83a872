//! What a network interface's driver says of itself, by the `SIOCETHTOOL` ioctl (linux/ethtool.h).

use std::ffi::c_char;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use zerocopy::IntoBytes as _;

const GDRVINFO: u32 = 0x03;
const GCOALESCE: u32 = 0x0e;
const GRINGPARAM: u32 = 0x10;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GSSET_INFO: u32 = 0x37;
const GCHANNELS: u32 = 0x3c;
const GET_TS_INFO: u32 = 0x41;

/// The set of strings that names the statistics (`ETH_SS_STATS`), and bytes of one name.
const SS_STATS: u32 = 1;
const NAME_BYTES: usize = 32;

/// Statistics of one interface that are read at the most: large cards have thousands.
const STATISTICS_MAX: usize = 16_384;

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    rx_max: u32,
    tx_max: u32,
    other_max: u32,
    combined_max: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

/// The beginning of `struct ethtool_drvinfo`, and the rest.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_sset_info` for one set.
#[repr(C)]
struct SetInfo {
    command: u32,
    reserved: u32,
    mask: u64,
    length: u32,
}

/// `struct ethtool_ringparam`.
#[repr(C)]
#[derive(Default)]
struct RingParameters {
    command: u32,
    rx_max: u32,
    rx_mini_max: u32,
    rx_jumbo_max: u32,
    tx_max: u32,
    rx: u32,
    rx_mini: u32,
    rx_jumbo: u32,
    tx: u32,
}

/// The beginning of `struct ethtool_coalesce`, and the rest.
#[repr(C)]
#[derive(Default)]
struct CoalesceParameters {
    command: u32,
    rx_us: u32,
    others: [u32; 8],
    adapts_rx: u32,
    rest: [u32; 12],
}

/// `struct ethtool_ts_info`.
#[repr(C)]
#[derive(Default)]
struct TimestampInfo {
    command: u32,
    kinds: u32,
    clock: i32,
    tx_types: u32,
    tx_reserved: [u32; 3],
    rx_filters: u32,
    rx_reserved: [u32; 3],
}

/// Bits of a [`TimestampInfo`]'s kinds: the card stamps what it receives (`SOF_TIMESTAMPING_RX_HARDWARE`).
const RX_HARDWARE: u32 = 1 << 2;

/// Its filter that stamps everything (`HWTSTAMP_FILTER_ALL`).
const FILTER_ALL: u32 = 1 << 1;

/// Entries of an interface's rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// Entries of each receive ring.
    pub rx: u32,
    /// The most that it can have.
    pub rx_max: u32,
    /// Entries of each send ring.
    pub tx: u32,
    /// The most that it can have.
    pub tx_max: u32,
}

/// How long a card gathers what arrives before it interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalescing {
    /// In µs.
    pub rx_us: u32,
    /// Whether the driver changes that by the load.
    pub adapts: bool,
}

/// What a card can put the time of receipt on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveTimestamps {
    /// Nothing: the kernel's own time is all there is.
    None,
    /// What time protocols send.
    Some,
    /// Everything.
    All,
}

/// Sizes of the rings. The error is `EOPNOTSUPP` where there are none.
pub fn rings(interface: &str) -> io::Result<Rings> {
    let mut rings = RingParameters { command: GRINGPARAM, ..RingParameters::default() };
    ask(interface, (&raw mut rings).cast())?;
    let RingParameters { rx, rx_max, tx, tx_max, .. } = rings;
    Ok(Rings { rx, rx_max, tx, tx_max })
}

/// How interrupts are put off. The error is `EOPNOTSUPP` where the driver has nothing of the kind.
pub fn coalescing(interface: &str) -> io::Result<Coalescing> {
    let mut found = CoalesceParameters { command: GCOALESCE, ..CoalesceParameters::default() };
    ask(interface, (&raw mut found).cast())?;
    Ok(Coalescing { rx_us: found.rx_us, adapts: found.adapts_rx != 0 })
}

/// What the card puts the time on by itself.
pub fn receive_timestamps(interface: &str) -> io::Result<ReceiveTimestamps> {
    let mut info = TimestampInfo { command: GET_TS_INFO, ..TimestampInfo::default() };
    ask(interface, (&raw mut info).cast())?;
    Ok(match (info.kinds & RX_HARDWARE != 0, info.rx_filters & FILTER_ALL != 0) {
        (false, _) => ReceiveTimestamps::None,
        (true, false) => ReceiveTimestamps::Some,
        (true, true) => ReceiveTimestamps::All,
    })
}

/// The driver's name; empty if it has none.
pub fn driver(interface: &str) -> io::Result<String> {
    let mut info = DriverInfo { command: GDRVINFO, driver: [0; 32], rest: [0; 160] };
    ask(interface, (&raw mut info).cast())?;
    Ok(text(&info.driver))
}

/// How many receive queues are in use. The error is `EOPNOTSUPP` where the driver does not say.
pub fn receive_queues(interface: &str) -> io::Result<u32> {
    let mut channels = Channels { command: GCHANNELS, ..Channels::default() };
    ask(interface, (&raw mut channels).cast())?;
    Ok(channels.rx + channels.combined)
}

/// Receive queues that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveQueuesMax {
    /// How many.
    pub count: u32,
    /// Whether each comes with a queue to send from (`ethtool -L … combined`), or is counted apart (`rx`).
    pub are_combined: bool,
}

/// How many receive queues there can be. The error is `EOPNOTSUPP` where the driver does not say.
pub fn receive_queues_max(interface: &str) -> io::Result<ReceiveQueuesMax> {
    let mut channels = Channels { command: GCHANNELS, ..Channels::default() };
    ask(interface, (&raw mut channels).cast())?;
    let Channels { rx_max, combined_max, .. } = channels;
    Ok(ReceiveQueuesMax { count: rx_max + combined_max, are_combined: combined_max > 0 })
}

/// The driver's own statistics (`ethtool -S`): names and totals. The error is `EOPNOTSUPP` where it has none.
pub fn statistics(interface: &str) -> io::Result<Vec<(String, u64)>> {
    let count = statistics_count(interface)?;
    // `struct ethtool_gstrings` and `struct ethtool_stats`: a head, and the entries. The kernel writes as many as the
    // driver has by then, whatever the head says, and a driver that is set up anew in between may have more: so there
    // is room for what no new number of queues comes to.
    let room = STATISTICS_MAX.max(4 * count);
    let mut names = vec![0_u32; 3 + room * NAME_BYTES / 4];
    names[..3].copy_from_slice(&[GSTRINGS, SS_STATS, count as u32]);
    let mut values = vec![0_u64; 1 + room];
    values[0].as_mut_bytes().copy_from_slice([GSTATS, count as u32].as_bytes());
    ask(interface, names.as_mut_ptr().cast())?;
    ask(interface, values.as_mut_ptr().cast())?;
    let found = names[2].min(count as u32) as usize;
    let names = names[3..].as_bytes().chunks_exact(NAME_BYTES).map(text);
    Ok(names.zip(values[1..].iter().copied()).take(found).collect())
}

fn statistics_count(interface: &str) -> io::Result<usize> {
    let mut info = SetInfo { command: GSSET_INFO, reserved: 0, mask: 1 << SS_STATS, length: 0 };
    ask(interface, (&raw mut info).cast())?;
    match info.length as usize {
        0 => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        count if count > STATISTICS_MAX => Err(io::Error::from_raw_os_error(libc::E2BIG)),
        count => Ok(count),
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// Asks a driver. `question` begins with its command, and has room for the answer.
fn ask(interface: &str, question: *mut c_char) -> io::Result<()> {
    // Any socket carries the question.
    let socket = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: plain data, for which zeroes are a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(interface.bytes()) {
        *to = from as c_char;
    }
    request.ifr_ifru.ifru_data = question;
    // SAFETY: the request and what it points at live during the call, and are what the command writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_have_the_kernels_sizes() {
        assert_eq!((size_of::<Channels>(), size_of::<DriverInfo>()), (36, 196));
        assert_eq!((size_of::<RingParameters>(), size_of::<TimestampInfo>()), (36, 44));
        assert_eq!(size_of::<CoalesceParameters>(), 92);
        assert_eq!(std::mem::offset_of!(CoalesceParameters, adapts_rx), 40);
        // The length of one set stands at its 16th byte.
        assert_eq!(std::mem::offset_of!(SetInfo, length), 16);
    }

    #[test]
    fn an_interface_without_statistics_or_that_is_not_there_is_an_error() {
        let error = |name| statistics(name).unwrap_err().raw_os_error();
        assert_eq!(error("lo"), Some(libc::EOPNOTSUPP));
        assert_eq!(error("redpkt-none"), Some(libc::ENODEV));
        assert_eq!(rings("redpkt-none").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!(rings("lo").unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
        assert_eq!(receive_timestamps("lo").unwrap(), ReceiveTimestamps::None);
    }
}
