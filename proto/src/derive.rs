//! Every keyed hash of the protocol, each under a label of its own.
//!
//! The primitive is BLAKE3's keyed mode (<https://github.com/BLAKE3-team/BLAKE3-specs>): a 32-byte key, a
//! 32-byte result of which a prefix is used. Each input is an 8-byte label and fields of fixed lengths,
//! at most 64 bytes, which is one compression.

/// What a keyed hash is for. The label is the first 8 bytes of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// A ticket's secret, under a server key.
    Ticket,
    /// A handshake frame's tag, under a ticket's secret.
    Mac,
    /// A session's key, under a ticket's secret.
    Session,
    /// A handshake cookie, under a server's cookie secret.
    Cookie,
    /// A path cookie, under a server's cookie secret.
    Path,
    /// A server's random for one session, under its random secret.
    ServerRandom,
}

impl Label {
    /// The label's bytes, as they go into the hash.
    pub const fn bytes(self) -> [u8; 8] {
        *match self {
            Label::Ticket => b"rp1-tick",
            Label::Mac => b"rp1-mac_",
            Label::Session => b"rp1-sess",
            Label::Cookie => b"rp1-cook",
            Label::Path => b"rp1-path",
            Label::ServerRandom => b"rp1-srnd",
        }
    }
}

/// One block of BLAKE3.
const INPUT_BYTES_MAX: usize = 64;

/// The first `N` bytes of BLAKE3-keyed(`key`, label ‖ `fields`).
pub fn keyed<const N: usize>(key: &[u8; 32], label: Label, fields: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut input = [0; INPUT_BYTES_MAX];
    input[..8].copy_from_slice(&label.bytes());
    let mut len = 8;
    for field in fields {
        input[len..len + field.len()].copy_from_slice(field);
        len += field.len();
    }
    let hash = blake3::keyed_hash(key, &input[..len]);
    *hash.as_bytes().first_chunk().expect("N is at most 32")
}
