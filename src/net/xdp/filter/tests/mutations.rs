//! Damaged frames meet the fate that the oracle names.

use super::frames::{Scenario, scenarios};
use super::{Kernel, oracle};
use proptest::prelude::*;
use std::sync::LazyLock;

/// One way to damage a frame.
#[derive(Clone, Debug)]
enum Mutation {
    FlipBit { byte: usize, bit: u8 },
    SetByte { byte: usize, value: u8 },
    Cut { bytes: usize },
    Add { bytes: usize },
    Remove { byte: usize },
    Insert { byte: usize, value: u8 },
}

/// The bytes that the program looks at, and some behind: a datagram's version is at byte 78 at the most.
const LOOKED_AT: usize = 84;

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = 0..LOOKED_AT;
    let value = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x08), Just(0x81), Just(0x45), Just(17)];
    prop_oneof![
        4 => (byte.clone(), 0u8..8).prop_map(|(byte, bit)| Mutation::FlipBit { byte, bit }),
        4 => (byte.clone(), value.clone()).prop_map(|(byte, value)| Mutation::SetByte { byte, value }),
        2 => (1usize..200).prop_map(|bytes| Mutation::Cut { bytes }),
        1 => (1usize..200).prop_map(|bytes| Mutation::Add { bytes }),
        1 => byte.clone().prop_map(|byte| Mutation::Remove { byte }),
        1 => (byte, value).prop_map(|(byte, value)| Mutation::Insert { byte, value }),
    ]
}

fn mutate(frame: &mut Vec<u8>, mutation: &Mutation) {
    match *mutation {
        Mutation::FlipBit { byte, bit } => frame.get_mut(byte).into_iter().for_each(|b| *b ^= 1 << bit),
        Mutation::SetByte { byte, value } => frame.get_mut(byte).into_iter().for_each(|b| *b = value),
        Mutation::Cut { bytes } => frame.truncate(frame.len().saturating_sub(bytes)),
        Mutation::Add { bytes } => frame.resize(frame.len() + bytes, 0x81),
        Mutation::Remove { byte } if byte < frame.len() => drop(frame.remove(byte)),
        Mutation::Insert { byte, value } if byte <= frame.len() => frame.insert(byte, value),
        _ => {}
    }
}

/// The scenarios with their programs; none without privilege.
static LOADED: LazyLock<Vec<(Scenario, Kernel)>> = LazyLock::new(|| {
    scenarios()
        .into_iter()
        .map_while(|scenario| Some((Kernel::load(&scenario.filter)?, scenario)))
        .map(swap)
        .collect()
});

fn swap((kernel, scenario): (Kernel, Scenario)) -> (Scenario, Kernel) {
    (scenario, kernel)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Expect: of each damaged frame the kernel's verdict is the oracle's, so none is taken that is not ours.
    #[test]
    fn a_damaged_frame_meets_the_fate_that_the_oracle_names(
        scenario in any::<prop::sample::Index>(),
        frames in 1usize..=4,
        mutations in prop::collection::vec(mutation(), 0..4),
    ) {
        if LOADED.is_empty() {
            return Ok(());
        }
        let (scenario, kernel) = scenario.get(&LOADED[..]);
        let mut frame = scenario.frame(64 * frames);
        mutations.iter().for_each(|mutation| mutate(&mut frame, mutation));
        // The kernel runs no program on less than an Ethernet header.
        frame.resize(frame.len().max(14), 0);
        let expected = oracle::verdict(&scenario.filter, &frame);
        prop_assert_eq!(kernel.verdict(&frame), expected, "{:?} {}", scenario, hex(&frame));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
