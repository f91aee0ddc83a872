//! SEND and SEND_MORE: a packet for others.

use crate::RECIPIENTS_PER_FRAME;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// SEND, to the server: make a packet for others. Its header's flags tell how many SEND_MORE follow it and
/// whether the shares are equal ([`crate::frame::flags`]), its header's last byte is the attempt
/// ([`crate::Header::load_level`]): beside three recipients there is no room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Send {
    /// Low half of the req, whose high half is the present session's number.
    pub counter: U32,
    /// What goes into the packet, in fen: 24 bits, little-endian.
    pub total_fen: [u8; 3],
    /// How many shares.
    pub shares: u8,
    /// Who may take one; 0 is none. They fill the places from the front, without a hole.
    pub recipients: [U64; RECIPIENTS_PER_FRAME],
}

impl Send {
    /// What goes into the packet, in fen.
    pub fn total_fen(&self) -> u32 {
        let [low, mid, high] = self.total_fen;
        u32::from_le_bytes([low, mid, high, 0])
    }

    /// The wire's form of an amount; `None` above [`SEND_FEN_MAX`](crate::SEND_FEN_MAX).
    pub fn fen_to_wire(fen: u32) -> Option<[u8; 3]> {
        let [low, mid, high, 0] = fen.to_le_bytes() else { return None };
        Some([low, mid, high])
    }
}

/// SEND_MORE, to the server, directly behind its SEND or the SEND_MORE before it: three more recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SendMore {
    /// As in its SEND.
    pub counter: U32,
    /// Which one it is, from 1.
    pub index: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// As in SEND, continued.
    pub recipients: [U64; RECIPIENTS_PER_FRAME],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SEND_FEN_MAX;

    #[test]
    fn an_amount_is_its_three_bytes() {
        for fen in [0, 1, 255, 256, 0x0003_0201, SEND_FEN_MAX] {
            let total_fen = Send::fen_to_wire(fen).unwrap();
            let send = Send { counter: 1.into(), total_fen, shares: 1, recipients: [0.into(); 3] };
            assert_eq!(send.total_fen(), fen);
        }
        assert_eq!(Send::fen_to_wire(0x0003_0201), Some([1, 2, 3]));
        assert_eq!(Send::fen_to_wire(SEND_FEN_MAX + 1), None);
    }
}
