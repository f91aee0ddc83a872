//! Datagrams that no server asked for, at a rate.

use rand::{Rng as _, RngExt as _};
use redpkt::cli::Failure;
use redpkt::net::affinity;
use redpkt::net::xdp::{PeersOptions, XdpMode, XdpOptions, XdpPeers};
use redpkt_proto::body::Hello;
use redpkt_proto::frame::VERSION;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{Direction, FRAME_BYTES, Frame, Op, Rng};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// Different datagrams: each is sent again and again.
const DATAGRAMS: usize = 8_192;

/// Addresses and ports that they come from, in turn.
const STRANGERS: usize = 4_096;

/// The network of those addresses.
const NETWORK: &str = crate::lab::PEERS[0];

/// Datagrams sent at once at the most: what is behind by more was not kept up with.
const TOGETHER: u64 = 256;

/// The longest pause between two looks at the clock.
const PAUSE: Duration = Duration::from_micros(200);

/// Bytes of the longest datagram that is no whole number of frames.
const ODD_BYTES_MAX: usize = 255;

/// The kinds, in turn: what a stranger could throw, from noise to frames that cost a key and a tag to refuse.
#[derive(Clone, Copy)]
enum Kind {
    /// No whole number of frames.
    Length,
    /// A frame's length of noise.
    Noise,
    /// Two frames of noise that name this version.
    Version,
    /// A shake of a user who has a session, under another key.
    Seal,
    /// The beginning of a handshake with a made-up ticket.
    Ticket,
}

const KINDS: [Kind; 5] = [Kind::Length, Kind::Noise, Kind::Version, Kind::Seal, Kind::Ticket];

/// What to throw.
#[derive(Clone, Copy, Debug)]
pub struct Garbage {
    /// Where.
    pub target: SocketAddr,
    /// Datagrams a second.
    pub per_s: u32,
    /// Users 1 to this have sessions.
    pub users: u64,
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

impl Garbage {
    /// Throws until it is told to stop.
    pub fn throw(&self, rng: &mut Rng, stop: &AtomicBool) -> Result<Thrown, Failure> {
        affinity::pin_current_thread(self.core).map_err(Failure::machine)?;
        affinity::precise_timers().map_err(Failure::machine)?;
        let datagrams: Vec<Vec<u8>> =
            (0..DATAGRAMS).map(|nth| KINDS[nth % KINDS.len()].datagram(self.users, rng)).collect();
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
                peers.send(nth as usize % STRANGERS, &datagrams[nth as usize % DATAGRAMS]);
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

impl Kind {
    fn datagram(self, users: u64, rng: &mut Rng) -> Vec<u8> {
        let noise = |bytes: usize, rng: &mut Rng| {
            let mut datagram = vec![0; bytes];
            rng.fill_bytes(&mut datagram);
            datagram
        };
        let user = |rng: &mut Rng| rng.random_range(1..=users);
        match self {
            Kind::Length => {
                let bytes = rng.random_range(1..=ODD_BYTES_MAX);
                noise(if bytes % FRAME_BYTES == 0 { bytes - 1 } else { bytes }, rng)
            }
            Kind::Noise => noise(FRAME_BYTES, rng),
            Kind::Version => {
                let mut datagram = noise(2 * FRAME_BYTES, rng);
                for frame in datagram.chunks_mut(FRAME_BYTES) {
                    frame[12] = VERSION;
                }
                datagram
            }
            Kind::Seal => {
                let mut frame = Frame::new_zeroed();
                rng.fill_bytes(frame.as_mut_bytes());
                frame.header.user = user(rng).into();
                frame.header.version_direction = VERSION;
                frame.header.op = Op::Shake as u8;
                frame.as_bytes().to_vec()
            }
            Kind::Ticket => {
                let mut hello = Hello::new_zeroed();
                rng.fill_bytes(hello.as_mut_bytes());
                let (ticket, client_random) =
                    (KeyRing::generate(rng).issue(user(rng), 0, rng), hello.client_random);
                let frame = redpkt_proto::handshake::frame(
                    &ticket.secret,
                    ticket.user,
                    Direction::ToServer,
                    Op::Hello,
                    &hello,
                    &client_random,
                );
                frame.as_bytes().to_vec()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn every_kind_is_what_it_says() {
        let mut rng = Rng::seed_from_u64(1);
        for _ in 0..1_000 {
            assert_ne!(Kind::Length.datagram(9, &mut rng).len() % FRAME_BYTES, 0);
            assert_eq!(Kind::Noise.datagram(9, &mut rng).len(), FRAME_BYTES);
            assert_eq!(Kind::Version.datagram(9, &mut rng)[12], VERSION);
            let user = u64::from_le_bytes(Kind::Seal.datagram(9, &mut rng)[..8].try_into().unwrap());
            assert!((1..=9).contains(&user));
            assert_eq!(Kind::Ticket.datagram(9, &mut rng)[13], Op::Hello as u8);
        }
    }
}
