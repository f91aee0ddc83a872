//! The replay window (RFC 4303 §3.4.3): which seqs of a peer have been seen.

use crate::limits::REPLAY_WINDOW;

/// Remembers the newest seq and which of the [`REPLAY_WINDOW`] up to it were seen. 20 bytes.
///
/// It is asked before a frame is opened and moved only after: a forged frame changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct ReplayWindow {
    /// Bit `i` of the 128: was `newest - i` seen? Least significant word first; 32-bit words, so that
    /// nothing is lost to alignment.
    seen: [u32; 4],
    newest: u32,
}

/// Why a seq is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed;

impl ReplayWindow {
    /// A window that has seen nothing; seq 0 is never accepted, so that 0 can mean "none".
    pub const fn new() -> ReplayWindow {
        ReplayWindow { seen: [1, 0, 0, 0], newest: 0 }
    }

    /// Whether `seq` is newer than the window or inside it and not seen yet. Changes nothing.
    pub fn check(&self, seq: u32) -> Result<(), Replayed> {
        if seq > self.newest {
            return Ok(());
        }
        let age = self.newest - seq;
        if age >= REPLAY_WINDOW || self.bits() >> age & 1 == 1 {
            return Err(Replayed);
        }
        Ok(())
    }

    /// Marks `seq` as seen. Only for a frame whose tag was right and whose seq passed [`check`](Self::check).
    pub fn accept(&mut self, seq: u32) {
        let mut bits = self.bits();
        if seq > self.newest {
            let step = seq - self.newest;
            bits = if step >= REPLAY_WINDOW { 0 } else { bits << step };
            self.newest = seq;
        }
        let age = self.newest - seq;
        if age < REPLAY_WINDOW {
            bits |= 1 << age;
        }
        self.seen = [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32, (bits >> 96) as u32];
    }

    fn bits(&self) -> u128 {
        self.seen.iter().rev().fold(0, |bits, word| bits << 32 | u128::from(*word))
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        ReplayWindow::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_jump_to_the_last_seq_does_not_overflow() {
        let mut window = ReplayWindow::new();
        window.accept(u32::MAX);
        assert!(window.check(u32::MAX).is_err());
        assert!(window.check(u32::MAX - (REPLAY_WINDOW - 1)).is_ok());
        assert!(window.check(u32::MAX - REPLAY_WINDOW).is_err());
        assert!(window.check(0).is_err());
    }

    proptest! {
        /// Expect: each seq is accepted at most once, and every unseen one within the window is accepted.
        #[test]
        fn agrees_with_a_set_of_everything_seen(seqs in prop::collection::vec(1u32..600, 1..400)) {
            let mut window = ReplayWindow::new();
            let mut seen = HashSet::from([0]);
            let mut newest = 0;
            for seq in seqs {
                let fresh = !seen.contains(&seq) && seq + REPLAY_WINDOW > newest;
                prop_assert_eq!(window.check(seq).is_ok(), fresh);
                if fresh {
                    window.accept(seq);
                    seen.insert(seq);
                    newest = newest.max(seq);
                }
            }
        }
    }
}
