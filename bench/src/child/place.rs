//! Where a child is, and how to get there.

use crate::lab::{End, Lab, Side, Star};
use redpkt::cli::Failure;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

/// Where a child is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Loopback,
    /// On the server's side of a lab.
    Lab(Arc<Lab>),
    /// In the middle of a star.
    Star(Arc<Star>),
}

impl Place {
    /// Runs `body` where the child is, or where its clients are: the same on loopback.
    pub fn at<T>(&self, side: Side, body: impl FnOnce() -> T) -> Result<T, Failure> {
        match self {
            Place::Loopback => Ok(body()),
            Place::Lab(lab) => lab.inside(side, body),
            // An echo, which alone is asked from the other side, is in no star.
            Place::Star(star) => star.inside(End::Server, body),
        }
    }

    /// An address that was free for UDP a moment ago, and one on loopback for TCP.
    pub fn free_ports(&self) -> Result<(SocketAddr, SocketAddr), Failure> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ip = match self {
            Place::Loopback => loopback,
            Place::Lab(lab) => lab.address(Side::Server),
            Place::Star(star) => star.address(),
        };
        let udp = || UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr());
        let tcp = || TcpListener::bind((loopback, 0)).and_then(|socket| socket.local_addr());
        let refused = |ip, error| Failure::machine(format!("finding a free port on {ip}: {error}"));
        let listen = self.at(Side::Server, udp)?.map_err(|error| refused(ip, error))?;
        let http = self.at(Side::Server, tcp)?.map_err(|error| refused(loopback, error))?;
        Ok((listen, http))
    }
}
