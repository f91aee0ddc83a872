//! The crate against the data files of `vectors/`, which were made by a script written from PROTOCOL.md:
//! it builds the same bytes, and reads them back.
//!
//! A field of a file that no test here looks at is an error: every struct denies unknown fields.

#![forbid(unsafe_code)]

mod cookies;
mod fields;
mod handshakes;
mod hints;
mod keyed_hashes;
mod replay;
mod sends;
mod session_frames;
mod sessions;
mod steering;
mod tickets;

use redpkt_proto::frame::frames;
use redpkt_proto::ticket::{Ticket, TicketSecret};
use redpkt_proto::{Frame, Now};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Bytes, hex in the file.
#[derive(Clone, Copy)]
struct Hex<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut bytes = [0; N];
        let digits = String::deserialize(from)?;
        hex::decode_to_slice(&digits, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Hex(bytes))
    }
}

impl Hex<64> {
    /// As a datagram of one frame, the way bytes come in.
    fn frame(&self) -> Frame {
        frames(&self.0).expect("64 bytes are a datagram")[0]
    }
}

/// A number of 64 bits, a decimal string in the file.
#[derive(Clone, Copy)]
struct Wide(u64);

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Wide).map_err(serde::de::Error::custom)
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let file = format!("{}/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("reading {file}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The secret of 32 bytes that every test here needs as a [`TicketSecret`]: by way of a ticket's text.
fn ticket_secret(bytes: &[u8; 32]) -> TicketSecret {
    let text = format!("rp1-{}{}", "00".repeat(20), hex::encode(bytes));
    text.parse::<Ticket>().expect("that is a ticket").secret
}

fn at_wall_ms(wall_ms: u64) -> Now {
    Now { mono_ns: 0, wall_ms }
}
