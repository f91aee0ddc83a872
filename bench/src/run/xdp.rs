//! `run --io xdp`: users past the client's own kernel, each from an address and port of its own.

use super::options::RunOptions;
use clap::{Args, ValueEnum};
use redpkt::cli::Failure;
use redpkt::net::client::Peers;
use redpkt::net::xdp::{PeersOptions, SourceNetwork, XdpMode, XdpOptions, XdpPeers};
use serde::{Serialize, Serializer};
use std::net::SocketAddr;

/// How users reach the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientIo {
    /// Connected UDP sockets, a port each, that many users share.
    Mmsg,
    /// AF_XDP queues of --iface: each user is a peer.
    Xdp,
}

/// The options of `run` about it.
#[derive(Args, Clone, Debug)]
pub struct XdpArgs {
    /// How users reach the network: by sockets, or by the queues of --iface past this kernel's stack, each user from
    /// an address and port of its own
    #[arg(long, value_enum, default_value_t = ClientIo::Mmsg)]
    io: ClientIo,
    /// The interface whose receive queues are taken for --io xdp
    #[arg(long, value_name = "IF")]
    iface: Option<String>,
    /// The network that users speak from; the server's side needs a route to it by way of this host's address
    /// [default: the interface's own address, for up to 64,512 users]
    #[arg(long, value_name = "NET/BITS", requires = "iface")]
    source_net: Option<SourceNetwork>,
    /// The MAC address of the next hop to the server [default: the kernel is asked]
    #[arg(long, value_name = "MAC", requires = "iface", value_parser = parse_mac)]
    server_mac: Option<[u8; 6]>,
    /// Where the client's XDP program runs
    #[arg(long, value_name = "auto|native|generic", default_value = "auto", requires = "iface")]
    xdp_mode: XdpMode,
}

/// How users speak past the kernel, checked.
#[derive(Clone, Debug, Serialize)]
pub struct XdpClient {
    /// The interface.
    #[serde(serialize_with = "name_of")]
    pub xdp: XdpOptions,
    /// Where users speak from; `None` for the interface's address.
    #[serde(serialize_with = "as_text")]
    pub network: Option<SourceNetwork>,
    /// The next hop; `None` to ask the kernel.
    pub server_mac: Option<[u8; 6]>,
}

impl XdpArgs {
    /// How users speak past the kernel, if they do.
    pub fn client(&self) -> Result<Option<XdpClient>, Failure> {
        match (self.io, &self.iface) {
            (ClientIo::Mmsg, None) => Ok(None),
            (ClientIo::Mmsg, Some(iface)) => Err(Failure::usage(format!(
                "--iface {iface}: sockets need none; leave it out, or use --io xdp"
            ))),
            (ClientIo::Xdp, None) => {
                Err(Failure::usage("--io xdp: name the interface that leads to the server with --iface IF"))
            }
            (ClientIo::Xdp, Some(iface)) => Ok(Some(XdpClient {
                xdp: XdpOptions { interface: iface.clone(), vlan: None, mode: self.xdp_mode },
                network: self.source_net,
                server_mac: self.server_mac,
            })),
        }
    }
}

impl XdpClient {
    /// What else of a run it rules out.
    pub(super) fn check(&self, options: &RunOptions) -> Result<(), Failure> {
        for (is_given, option) in [
            (options.threads > 1, "--threads: one thread has all queues of an interface"),
            (options.gso, "--gso: it is the sockets'"),
            (options.wire.is_some(), "--loss and its like: the relay speaks by sockets"),
        ] {
            if is_given {
                return Err(Failure::usage(format!("{option}; leave it out with --io xdp")));
            }
        }
        Ok(())
    }

    /// So many peers of a server.
    pub(super) fn open(&self, server: SocketAddr, count: usize) -> Result<Peers, Failure> {
        let XdpClient { xdp, network, server_mac } = self.clone();
        let options = PeersOptions { server, count, network, server_mac, xdp };
        match XdpPeers::open(&options) {
            Ok((peers, _)) => Ok(Peers::Xdp(peers)),
            Err(error) if error.is_usage() => Err(Failure::usage(error)),
            Err(error) => Err(Failure::machine(error)),
        }
    }
}

/// `02:00:00:00:00:01`.
fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let bad = || format!("{text:?} is no MAC address; write it as 02:00:00:00:00:01");
    let mut parts = text.split(':');
    let mut mac = [0; 6];
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2).ok_or_else(bad)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
    }
    if parts.next().is_some() { Err(bad()) } else { Ok(mac) }
}

fn name_of<S: Serializer>(xdp: &XdpOptions, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&xdp.interface)
}

fn as_text<S: Serializer>(network: &Option<SourceNetwork>, serializer: S) -> Result<S::Ok, S::Error> {
    match network {
        Some(network) => serializer.collect_str(network),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_six_pairs() {
        assert_eq!(parse_mac("02:00:5e:00:ff:01"), Ok([2, 0, 0x5e, 0, 0xff, 1]));
        for bad in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "zz:00:00:00:00:01"] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }
}
