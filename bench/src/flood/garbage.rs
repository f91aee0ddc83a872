//! Datagrams that no server asked for.

use super::thrower::{Thrower, Thrown};
use rand::{Rng as _, RngExt as _};
use redpkt::cli::Failure;
use redpkt_proto::body::Hello;
use redpkt_proto::frame::VERSION;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{Direction, FRAME_BYTES, Frame, Op, Rng};
use std::sync::atomic::AtomicBool;
use zerocopy::{FromZeros as _, IntoBytes as _};

/// Different datagrams: each is sent again and again.
const DATAGRAMS: usize = 8_192;

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
    /// Where and how.
    pub thrower: Thrower,
    /// Users 1 to this have sessions.
    pub users: u64,
}

impl Garbage {
    /// Throws until it is told to stop.
    pub fn throw(&self, rng: &mut Rng, stop: &AtomicBool) -> Result<Thrown, Failure> {
        let datagrams: Vec<Vec<u8>> =
            (0..DATAGRAMS).map(|nth| KINDS[nth % KINDS.len()].datagram(self.users, rng)).collect();
        self.thrower.throw(&datagrams, stop)
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
