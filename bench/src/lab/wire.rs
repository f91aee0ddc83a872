//! The veth pair between the two namespaces, and their addresses and routes: everything that `ip` is asked for.

use super::Side;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

/// Addresses that an AF_XDP load client speaks from, one for each peer. The server's side has routes to them.
pub const PEERS: [&str; 2] = ["10.128.0.0/9", "fd78::/64"];

/// Where the settings of the calling thread's namespace are.
const SETTINGS: &str = "/proc/sys/net/ipv4/conf";

impl Side {
    /// The name of this side's interface.
    pub const fn interface(self) -> &'static str {
        match self {
            Side::Server => "redpkt-s",
            Side::Client => "redpkt-c",
        }
    }

    /// This side's IPv4 address.
    pub const fn ipv4(self) -> IpAddr {
        match self {
            Side::Server => IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)),
            Side::Client => IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)),
        }
    }

    /// This side's IPv6 address, where the kernel speaks IPv6.
    pub const fn ipv6(self) -> IpAddr {
        match self {
            Side::Server => IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1)),
            Side::Client => IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2)),
        }
    }

    /// The MAC address of this side's interface.
    pub const fn mac(self) -> [u8; 6] {
        match self {
            Side::Server => [0x02, 0, 0, 0x4d, 0, 1],
            Side::Client => [0x02, 0, 0, 0x4d, 0, 2],
        }
    }

    const fn other(self) -> Side {
        match self {
            Side::Server => Side::Client,
            Side::Client => Side::Server,
        }
    }

    fn mac_text(self) -> String {
        self.mac().map(|byte| format!("{byte:02x}")).join(":")
    }
}

/// From within the server's side: makes the pair, whose other end begins in the namespace at this path.
pub(super) fn join(queues: u32, client: &str) -> Result<(), String> {
    let end = |side: Side| {
        let (name, mac) = (side.interface(), side.mac_text());
        format!("name {name} address {mac} numrxqueues {queues} numtxqueues {queues}")
    };
    let (server_end, client_end) = (end(Side::Server), end(Side::Client));
    ip(&format!("link add {server_end} type veth peer {client_end} netns {client}\n"))
}

/// From within a side: gives it addresses, neighbours and routes, and sets its end up.
pub(super) fn set_up(side: Side) -> Result<(), String> {
    let (interface, other) = (side.interface(), side.other());
    let mut batch = String::from("link set lo up\n");
    // Nobody but the tests speaks on this wire: no router is looked for, no address made up.
    let _ = writeln!(batch, "link set {interface} addrgenmode none\nlink set {interface} up");
    let families = [
        (side.ipv4(), other.ipv4(), "/24", "", PEERS[0]),
        (side.ipv6(), other.ipv6(), "/64", "nodad", PEERS[1]),
    ];
    let mac = other.mac_text();
    for (own, others, length, option, peers) in
        families.iter().filter(|(own, ..)| own.is_ipv4() || speaks_ipv6())
    {
        let _ = writeln!(batch, "addr add {own}{length} dev {interface} {option}");
        // Known beforehand, so that no test waits for a neighbour to be found.
        let _ = writeln!(batch, "neigh add {others} lladdr {mac} dev {interface} nud permanent");
        if side == Side::Server {
            let _ = writeln!(batch, "route add {peers} via {others}");
        }
    }
    ip(&batch)?;
    ["all", "default", interface].iter().try_for_each(|name| take_any_source(name))?;
    // Without ethtool VLAN tags may be handed over beside the packet; redpkt copes with both.
    let _ = Command::new("ethtool")
        .args(["-K", interface, "txvlan", "off"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(())
}

/// The address of a star's client host.
pub(super) const fn host_address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, host as u8, 2)
}

/// The address of the server's end of a star's wire.
const fn host_gateway(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, host as u8, 1)
}

/// From within the server's namespace of a star: gives it the address that all hosts know, and makes a pair for each,
/// whose other end begins in the namespace at its path.
pub(super) fn join_hosts(server: Ipv4Addr, hosts: &[String]) -> Result<(), String> {
    let mut batch = format!("link set lo up\naddr add {server}/32 dev lo\n");
    for (host, path) in hosts.iter().enumerate() {
        let (own, other) = (format!("redpkt-s{}", host + 1), Side::Client.interface());
        let _ = writeln!(batch, "link add name {own} type veth peer name {other} netns {path}");
        let _ = writeln!(batch, "link set {own} addrgenmode none\nlink set {own} up");
        let _ = writeln!(batch, "addr add {}/30 dev {own}", host_gateway(host));
    }
    ip(&batch)
}

/// From within a host's namespace of a star: gives it its address and the way to the server.
pub(super) fn set_up_host(server: Ipv4Addr, host: usize) -> Result<(), String> {
    let (own, interface) = (host_address(host), Side::Client.interface());
    let gateway = host_gateway(host);
    ip(&format!(
        "link set lo up\nlink set {interface} addrgenmode none\nlink set {interface} up\n\
         addr add {own}/30 dev {interface}\nroute add {server}/32 via {gateway} src {own}\n"
    ))
}

/// Whether the kernel speaks IPv6.
pub(super) fn speaks_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Whether there is an `ip` that takes what [`ip`] asks.
pub(super) fn has_iproute2() -> bool {
    let version = Command::new("ip").arg("-V").stdin(Stdio::null()).output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("iproute2"))
}

/// Turns off the check that a source address lies behind the interface it came from.
fn take_any_source(interface: &str) -> Result<(), String> {
    let path = format!("{SETTINGS}/{interface}/rp_filter");
    let written = std::fs::write(&path, "0");
    // In a container it may be read-only, and off.
    let is_off = || std::fs::read_to_string(&path).is_ok_and(|value| value.trim() == "0");
    written.or_else(|error| if is_off() { Ok(()) } else { Err(format!("writing 0 to {path}: {error}")) })
}

/// Has `ip` do these commands, one a line, in the calling thread's namespace.
fn ip(batch: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("starting ip: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // What stops it from reading it says itself.
        let _ = stdin.write_all(batch.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("waiting for ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!("ip: {} (asked for: {})", said.join(", "), batch.trim().replace('\n', "; ")))
}
