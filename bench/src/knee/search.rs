//! The search for the highest rate that holds: by doubling, then by halving the interval.

use serde::Serialize;

/// What a probe at some rate came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The server answered in time.
    Held,
    /// It did not.
    ServerLate,
    /// The generator did not keep its schedule, so nothing is known about the server.
    GeneratorLate,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The server holds this rate, and not one that is a step higher.
    Knee(u64),
    /// The server holds `held` (0 if nothing was seen to hold); at `gave_way`, the generator was too slow.
    Generator {
        /// The highest rate that held.
        held: u64,
        /// The lowest rate that the generator did not reach.
        gave_way: u64,
    },
    /// The server does not even hold this.
    Nothing(u64),
    /// The server holds the highest rate asked.
    Beyond(u64),
}

/// Where to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The first rate.
    pub start: u64,
    /// The lowest rate.
    pub min: u64,
    /// The highest rate.
    pub max: u64,
    /// The step: the result is exact to this share of itself.
    pub resolution: f64,
}

/// Finds the knee: from the start by doubling until something gives way (or by halving until it holds),
/// then in the middle until no more than a step is left. A rate that fails is tried twice: one hiccup of
/// the machine is not a limit of the server.
pub fn search<E>(range: Range, mut probe: impl FnMut(u64) -> Result<Verdict, E>) -> Result<Found, E> {
    let (mut held, mut failed) = (0, None);
    let mut rate = range.start.clamp(range.min, range.max);
    loop {
        let verdict = match probe(rate)? {
            Verdict::Held => Verdict::Held,
            _ => probe(rate)?,
        };
        match verdict {
            Verdict::Held => held = rate,
            why => failed = Some((rate, why)),
        }
        let step = ((held as f64 * range.resolution) as u64).max(1);
        rate = match failed {
            None if held == range.max => return Ok(Found::Beyond(held)),
            None => (held * 2).min(range.max),
            Some((failed, why)) if failed == range.min || failed - held <= step => {
                return Ok(Found::new(held, failed, why));
            }
            Some((failed, _)) if held == 0 => (failed / 2).max(range.min),
            Some((failed, _)) => held + (failed - held) / 2,
        };
    }
}

impl Found {
    fn new(held: u64, failed: u64, why: Verdict) -> Found {
        match (why, held) {
            (Verdict::GeneratorLate, _) => Found::Generator { held, gave_way: failed },
            (_, 0) => Found::Nothing(failed),
            _ => Found::Knee(held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const RANGE: Range = Range { start: 10_000, min: 100, max: 10_000_000, resolution: 0.02 };

    /// The result, and how many probes it took.
    fn found(server_max: u64, generator_max: u64) -> (Found, usize) {
        let mut probes = 0;
        let found = search(RANGE, |rate| {
            probes += 1;
            let verdict = match rate {
                rate if rate > generator_max => Verdict::GeneratorLate,
                rate if rate > server_max => Verdict::ServerLate,
                _ => Verdict::Held,
            };
            Ok::<_, Infallible>(verdict)
        });
        let Ok(found) = found;
        (found, probes)
    }

    #[test]
    fn the_knee_is_found_above_and_below_the_start_to_the_step() {
        for server_max in [101, 777, 9_999, 10_000, 123_456, 3_000_000] {
            let (found, probes) = found(server_max, u64::MAX);
            let Found::Knee(knee) = found else { panic!("{found:?}") };
            assert!(knee <= server_max && knee as f64 >= server_max as f64 * 0.98, "{server_max} {knee}");
            assert!(probes < 40, "{probes}");
        }
    }

    #[test]
    fn a_generator_that_gives_way_first_is_no_knee() {
        let (found, _) = found(1_000_000, 50_000);
        let Found::Generator { held, gave_way } = found else { panic!("{found:?}") };
        assert!(held <= 50_000 && gave_way > 50_000 && gave_way - held <= 1_000);
    }

    #[test]
    fn limits_of_the_search_are_said() {
        assert_eq!(found(u64::MAX, u64::MAX).0, Found::Beyond(10_000_000));
        assert_eq!(found(99, u64::MAX).0, Found::Nothing(100));
        assert_eq!(found(99, 99).0, Found::Generator { held: 0, gave_way: 100 });
    }

    /// Expect: a rate that fails once and holds then is taken to hold.
    #[test]
    fn one_hiccup_changes_nothing() {
        let mut hiccup = Some(80_000);
        let found = search(RANGE, |rate| {
            let fails = rate > 300_000 || hiccup.take_if(|at| *at == rate).is_some();
            Ok::<_, Infallible>(if fails { Verdict::ServerLate } else { Verdict::Held })
        });
        let Ok(Found::Knee(knee)) = found else { panic!("{found:?}") };
        assert!(knee > 290_000);
    }
}
