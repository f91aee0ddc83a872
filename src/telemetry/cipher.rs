//! Whether sealing runs on AES instructions, told by what it costs.

use redpkt_proto::body::Keepalive;
use redpkt_proto::seal::{SessionKey, seal};
use redpkt_proto::{Direction, Frame, Header, Op};
use std::hint::black_box;
use std::time::Instant;

/// More hashes than this for one sealing means that no AES instructions are at work.
pub const SEALING_COST_IN_HASHES_MAX: f64 = 10.0;

/// How many BLAKE3 compressions one sealing takes, best of many tries. About 1 where sealing uses AES
/// instructions, about 50 where a build fell back to software. A ratio of two costs taken in one run is the
/// same on slow machines and fast ones.
pub fn sealing_cost_in_hashes() -> f64 {
    let key = SessionKey::from_bytes([7; 16]);
    let mut frame = Frame::new(
        Header::new(1, Direction::ToServer, Op::Shake),
        &Keepalive { token: 0.into(), server_wall_ms: 0.into(), reserved: [0; 16] },
    );
    let sealing = best_ns(|| seal(&key, black_box(&mut frame)));
    let hashing = best_ns(|| {
        black_box(blake3::keyed_hash(&[1; 32], black_box(&[2; 64])));
    });
    sealing / hashing
}

/// What 100 steps take, in ns: the least of 50 tries, which nothing has interrupted.
fn best_ns(mut step: impl FnMut()) -> f64 {
    let tries = (0..50).map(|_| {
        let start = Instant::now();
        (0..100).for_each(|_| step());
        start.elapsed().as_nanos() as u64
    });
    tries.min().unwrap_or(0).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one thing here that is told by the clock: a silent software fallback is 50 times slower than
    /// hashing, so a ratio of two costs taken in one run tells it apart on any machine.
    #[test]
    fn sealing_uses_aes_instructions_where_the_machine_has_them() {
        if machine_has_aes() {
            let cost = sealing_cost_in_hashes();
            assert!(cost < SEALING_COST_IN_HASHES_MAX, "one sealing takes as long as {cost:.1} hashes");
        }
    }

    fn machine_has_aes() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::arch::is_x86_feature_detected!("aes");
        #[cfg(target_arch = "aarch64")]
        return std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        return false;
    }
}
