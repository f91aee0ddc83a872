//! Invitations that have come and are to be acknowledged.

use crate::INVITES_PUSHED_MAX;

/// A few packets. 8 bytes: mostly there are none, and there are a million sessions.
#[derive(Debug, Default)]
pub(super) struct Invitations(Option<Box<Packets>>);

/// Zeros fill the places behind the last one.
type Packets = [u64; INVITES_PUSHED_MAX];

impl Invitations {
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes in a packet, which is not 0. One too many is dropped: its INVITE comes again.
    pub fn push(&mut self, packet: u64) {
        let packets = self.0.get_or_insert_default();
        if let Some(place) = packets.iter_mut().find(|place| [0, packet].contains(place)) {
            *place = packet;
        }
    }

    /// The one that came first.
    pub fn pop(&mut self) -> Option<u64> {
        let packets = self.0.as_mut()?;
        let packet = std::mem::take(&mut packets[0]);
        packets.rotate_left(1);
        if packets[0] == 0 {
            self.0 = None;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_out_once_in_order_and_too_many_are_dropped() {
        let mut invitations = Invitations::default();
        assert_eq!((invitations.pop(), size_of::<Invitations>()), (None, 8));
        for packet in [3, 1, 3, 2] {
            invitations.push(packet);
        }
        let popped: Vec<u64> = std::iter::from_fn(|| invitations.pop()).collect();
        assert_eq!((popped, invitations.is_empty()), (vec![3, 1, 2], true));
        (1..20).for_each(|packet| invitations.push(packet));
        let popped: Vec<u64> = std::iter::from_fn(|| invitations.pop()).collect();
        assert_eq!((popped, invitations.is_empty()), ((1..=8).collect(), true));
    }
}
