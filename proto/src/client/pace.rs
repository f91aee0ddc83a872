//! How far apart new shakes are kept, by the server's load level.

/// Load level from which a server counts as loaded: 16 × log2 of 4,096 µs. Below it a queue is a burst, and
/// empties by itself.
pub(super) const LOADED_LEVEL: u8 = 16 * 12;

/// The least distance of two new shakes of a session at [`LOADED_LEVEL`], in ns. Nobody shakes much more often than
/// twice a second, so this begins to be felt where load begins.
const SPACING_NS_FIRST: u64 = 500_000_000;

/// It does not grow beyond this, in ns: so that who is paced notices within some seconds that the load is over.
const SPACING_NS_LAST: u64 = 4_000_000_000;

/// Steps of the level to one doubling of the queueing time (PROTOCOL.md, load level).
const STEPS_PER_DOUBLING: u64 = 16;

/// In this time without a word of the server the queue is taken to have halved, in ns. Slower than the
/// distances grow, or silence would be an invitation: all would be back before a shake was served.
const HALVED_NS: u64 = 8_000_000_000;

/// A level that was heard `ago_ns` ago, as it may be now.
pub(super) fn decayed(level: u8, ago_ns: u64) -> u8 {
    let steps = ago_ns / (HALVED_NS / STEPS_PER_DOUBLING);
    level.saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
}

/// The least distance of two new shakes of a session, in ns: none below [`LOADED_LEVEL`], doubled with each 16
/// steps above, in a straight line between the doublings, up to 4 s. A session adds a random part of up to as long
/// again.
///
/// | level | 0..192 | 192 | 208 | 224 | 240 | 255 |
/// |---|---|---|---|---|---|---|
/// | queueing time | under 4 ms | 4 ms | 8 ms | 16 ms | 33 ms | 63 ms and more |
/// | distance | none | 0.5 s | 1 s | 2 s | 4 s | 4 s |
pub(super) fn spacing_ns(level: u8) -> u64 {
    let Some(above) = level.checked_sub(LOADED_LEVEL).map(u64::from) else { return 0 };
    let (doublings, rest) = (above / STEPS_PER_DOUBLING, above % STEPS_PER_DOUBLING);
    let spacing_ns = (SPACING_NS_FIRST << doublings) * (STEPS_PER_DOUBLING + rest) / STEPS_PER_DOUBLING;
    spacing_ns.min(SPACING_NS_LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: the table of `spacing_ns`, and no step back on the way up.
    #[test]
    fn distances_are_those_of_the_table() {
        const MS: u64 = 1_000_000;
        let table = [
            (0, 0),
            (191, 0),
            (192, 500),
            (200, 750),
            (208, 1_000),
            (224, 2_000),
            (240, 4_000),
            (255, 4_000),
        ];
        for (level, ms) in table {
            assert_eq!(spacing_ns(level), ms * MS, "{level}");
        }
        assert!((0..255).all(|level| spacing_ns(level) <= spacing_ns(level + 1)));
    }

    /// Expect: 16 steps less in each 8 s without a word, down to nothing, however long.
    #[test]
    fn a_level_decays_in_silence() {
        let second = 1_000_000_000;
        for (ago_ns, level) in [(0, 240), (second, 238), (8 * second, 224), (60 * second, 120), (u64::MAX, 0)]
        {
            assert_eq!(decayed(240, ago_ns), level);
        }
    }
}
