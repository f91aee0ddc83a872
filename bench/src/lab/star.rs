//! A star: one namespace for a server, and one for each of many client hosts, joined to the server's by a wire of its
//! own. Like a lab it has no names, and nothing of it can be left behind.

use super::namespace::Namespace;
use super::{Lab, inside, wire};
use redpkt::cli::Failure;
use std::net::{IpAddr, Ipv4Addr};

/// Hosts that one star can have.
pub const HOSTS_MAX: u32 = 64;

/// Where the server is for all hosts alike, whichever wire they have.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// One of its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server's.
    Server,
    /// That of a client host, from 0.
    Host(usize),
}

/// Namespaces and wires. They go when it is dropped and nobody is in them any more.
#[derive(Debug)]
pub struct Star {
    server: Namespace,
    hosts: Vec<Namespace>,
}

impl Star {
    /// Makes a star with so many client hosts, 1 to [`HOSTS_MAX`].
    pub fn new(hosts: u32) -> Result<Star, Failure> {
        if !(1..=HOSTS_MAX).contains(&hosts) {
            return Err(Failure::usage(format!("a star of {hosts} hosts: 1 to {HOSTS_MAX} are allowed")));
        }
        let namespace = || {
            Namespace::new().map_err(|error| {
                let why = Lab::why_not().unwrap_or_else(|| format!("making a network namespace: {error}"));
                Failure::machine(why)
            })
        };
        let hosts = (0..hosts).map(|_| namespace()).collect::<Result<Vec<_>, _>>()?;
        let star = Star { server: namespace()?, hosts };
        let refused = |what: String| match Lab::why_not() {
            Some(why) => Failure::machine(why),
            None => Failure::machine(format!("joining network namespaces by veth pairs: {what}")),
        };
        let paths: Vec<String> = star.hosts.iter().map(Namespace::path).collect();
        star.inside(End::Server, || wire::join_hosts(SERVER, &paths))?.map_err(refused)?;
        for host in 0..paths.len() {
            star.inside(End::Host(host), || wire::set_up_host(SERVER, host))?.map_err(refused)?;
        }
        Ok(star)
    }

    /// Where the server is to listen.
    pub fn address(&self) -> IpAddr {
        IpAddr::V4(SERVER)
    }

    /// Where a client host is.
    pub fn host_address(&self, host: usize) -> IpAddr {
        IpAddr::V4(wire::host_address(host))
    }

    /// How many client hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Runs `body` with the calling thread at an end, and moves it back; see [`Lab::inside`].
    ///
    /// # Panics
    /// When there is no such host.
    pub fn inside<T>(&self, end: End, body: impl FnOnce() -> T) -> Result<T, Failure> {
        let namespace = match end {
            End::Server => &self.server,
            End::Host(host) => &self.hosts[host],
        };
        inside(namespace, body)
    }
}
