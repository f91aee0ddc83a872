//! Sealing of session frames: AEGIS-128L (draft-irtf-cfrg-aegis-aead), 16-byte tag.
//!
//! The key is the session's, the nonce is made of seq and direction, the associated data is the header,
//! the message is the body. AEGIS has no key schedule, so a million keys cost nothing to switch between.

use crate::frame::{Direction, Frame};
use aegis::aegis128l::Aegis128L;
use subtle::ConstantTimeEq;
use zerocopy::IntoBytes;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The key of one session: 16 bytes. Never printed; compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionKey([u8; 16]);

impl PartialEq for SessionKey {
    fn eq(&self, other: &SessionKey) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SessionKey {}

impl SessionKey {
    /// A key of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> SessionKey {
        SessionKey(bytes)
    }

    /// The key's bytes, for a key log.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}

/// A tag that does not belong to its frame: forged, damaged, or of another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTag;

/// Encrypts the body and writes the tag. The header must be final: it is authenticated as it stands.
pub fn seal(key: &SessionKey, frame: &mut Frame) {
    let cipher = Aegis128L::<16>::new(&key.0, &nonce(frame.header.seq.get(), frame.header.direction()));
    frame.tag = cipher.encrypt_in_place(&mut frame.body, frame.header.as_bytes());
}

/// Checks the tag and decrypts the body. On failure the body is of no use.
pub fn open(key: &SessionKey, frame: &mut Frame) -> Result<(), BadTag> {
    let cipher = Aegis128L::<16>::new(&key.0, &nonce(frame.header.seq.get(), frame.header.direction()));
    cipher.decrypt_in_place(&mut frame.body, &frame.tag, frame.header.as_bytes()).map_err(|_| BadTag)
}

/// The nonce of a frame: seq in little-endian order, one byte of direction, zeros.
pub fn nonce(seq: u32, direction: Direction) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&seq.to_le_bytes());
    nonce[4] = match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    };
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Keepalive;
    use crate::{Header, Op};
    use proptest::prelude::*;

    fn sealed(key: &SessionKey) -> Frame {
        let mut header = Header::new(7, Direction::ToServer, Op::Keepalive);
        header.seq = 9.into();
        let mut frame =
            Frame::new(header, &Keepalive { token: 5.into(), server_wall_ms: 0.into(), reserved: [0; 16] });
        seal(key, &mut frame);
        frame
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let key = SessionKey([3; 16]);
        let mut frame = sealed(&key);
        assert_ne!(frame.body[..8], 5u64.to_le_bytes());
        assert_eq!(open(&key, &mut frame), Ok(()));
        assert_eq!(frame.body::<Keepalive>().token.get(), 5);
    }

    #[test]
    fn keys_are_equal_only_if_all_bytes_are() {
        let key = SessionKey([3; 16]);
        assert_eq!(key, SessionKey([3; 16]));
        for at in 0..16 {
            let mut bytes = [3; 16];
            bytes[at] ^= 1;
            assert_ne!(key, SessionKey(bytes));
        }
    }

    proptest! {
        /// Expect: no changed bit of header, body or tag passes.
        #[test]
        fn any_changed_bit_is_noticed(bit in 0usize..512) {
            let key = SessionKey([3; 16]);
            let mut frame = sealed(&key);
            frame.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&key, &mut frame), Err(BadTag));
        }
    }
}
