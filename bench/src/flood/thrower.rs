//! Datagrams at a rate, whatever becomes of them.

use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt::net::xdp::{PeersOptions, XdpMode, XdpOptions, XdpPeers};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Addresses and ports that they come from, in turn.
const STRANGERS: usize = 4_096;

/// The network of those addresses.
const NETWORK: &str = crate::lab::PEERS[0];

/// Datagrams sent at once at the most: what is behind by more was not kept up with.
const TOGETHER: u64 = 256;

/// The longest pause between two looks at the clock.
const PAUSE: Duration = Duration::from_micros(200);

/// Where and how.
#[derive(Clone, Copy, Debug)]
pub struct Thrower {
    /// Where.
    pub target: SocketAddr,
    /// Datagrams a second.
    pub per_s: u32,
    /// The interface to do it on.
    pub interface: &'static str,
    /// The core to do it on.
    pub core: usize,
}

/// What was thrown.
#[derive(Clone, Copy, Debug)]
pub struct Thrown {
    /// Datagrams that the network took.
    pub datagrams: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl Thrower {
    /// Throws these, again and again, until it is told to stop.
    pub fn throw(&self, datagrams: &[Vec<u8>], stop: &AtomicBool) -> Result<Thrown, Failure> {
        affinity::pin_current_thread(self.core).map_err(Failure::machine)?;
        affinity::precise_timers().map_err(Failure::machine)?;
        // By AF_XDP, because a kernel's sockets do not throw that fast beside an honest client.
        let options = PeersOptions {
            server: self.target,
            count: STRANGERS,
            network: Some(NETWORK.parse().map_err(Failure::machine)?),
            server_mac: None,
            xdp: XdpOptions { interface: self.interface.to_owned(), vlan: None, mode: XdpMode::Auto },
        };
        let (mut peers, _) = XdpPeers::open(&options).map_err(Failure::machine)?;
        let begun = Instant::now();
        let mut next = 0u64;
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_nanos() * u128::from(self.per_s) / 1_000_000_000) as u64;
            let until = due.min(next + TOGETHER);
            for nth in next..until {
                peers.send(nth as usize % STRANGERS, &datagrams[nth as usize % datagrams.len()]);
            }
            peers.flush();
            // Some of it is answered: sessions that are not known, versions that are not spoken.
            peers.recv(&mut |_, _| ());
            next = until;
            if next == due {
                peers.wait(PAUSE);
            }
        }
        Ok(Thrown { datagrams: peers.counters().datagrams_sent, elapsed: begun.elapsed() })
    }
}
