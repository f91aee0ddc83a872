//! The front of a batch: whose datagram this is.

use redpkt_proto::frame::frames;
use redpkt_proto::steer::Layout;

/// The worker that owns a datagram's first user; `None` if it is not 1 to 18 whole frames.
#[inline]
pub fn owner(bytes: &[u8], layout: &Layout) -> Option<u32> {
    let first = frames(bytes)?.first()?;
    Some(if layout.workers == 1 { 0 } else { layout.worker_of_user(first.header.user.get()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_frames_has_no_owner() {
        let layout = Layout { sets: 64, groups: 4, workers: 4 };
        let mut bytes = vec![0; 19 * 64];
        bytes[..8].copy_from_slice(&77u64.to_le_bytes());
        for len in [0, 1, 63, 65, 19 * 64] {
            assert_eq!(owner(&bytes[..len], &layout), None, "{len} bytes");
        }
        assert_eq!(owner(&bytes[..64], &layout), Some(layout.worker_of_user(77)));
        assert_eq!(owner(&bytes[..18 * 64], &layout), Some(layout.worker_of_user(77)));
    }
}
