//! Measurements in turn, and what they say together.

use super::client::Tally;
use super::spread::Spread;
use redpkt::cli::Failure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// One while of one variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Requests answered a second.
    pub answers_per_s: f64,
    /// CPU time of the server's threads for each of them, in ns.
    pub cpu_ns_per_answer: f64,
    /// Busy time of the whole machine for each of them, in ns.
    pub machine_ns_per_answer: f64,
    /// Median latency, in µs.
    pub p50_us: f64,
    /// 99% of latencies are at most this, in µs.
    pub p99_us: f64,
    /// Requests sent again because no answer came.
    pub lost: u64,
}

impl Sample {
    /// What a tally says, with the time that it, the server and the machine took.
    pub fn of(tally: &Tally, elapsed: Duration, cpu_ns: u64, machine_ns: u64) -> Sample {
        let answers = tally.answers.max(1) as f64;
        let quantile_us = |quantile| tally.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        Sample {
            answers_per_s: tally.answers as f64 / elapsed.as_secs_f64(),
            cpu_ns_per_answer: cpu_ns as f64 / answers,
            machine_ns_per_answer: machine_ns as f64 / answers,
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
            lost: tally.lost,
        }
    }
}

/// One variant's samples, as spreads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantReport {
    /// Its name.
    pub name: &'static str,
    /// Requests answered a second.
    pub answers_per_s: Spread,
    /// CPU time of the server's threads for each answer, in ns.
    pub cpu_ns_per_answer: Spread,
    /// Busy time of the whole machine, this program and everything else on it included, for each answer.
    pub machine_ns_per_answer: Spread,
    /// Median latency, in µs.
    pub p50_us: Spread,
    /// 99% of latencies are at most this, in µs.
    pub p99_us: Spread,
    /// Requests sent again because no answer came, in all.
    pub lost: u64,
}

/// One variant against another, pair by pair. Missing is what was measured for too short a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Answers a second.
    pub answers: Option<Spread>,
    /// CPU time of the server's threads for each answer.
    pub cpu: Option<Spread>,
    /// Busy time of the machine for each answer.
    pub machine: Option<Spread>,
}

/// Variants measured in turn under one load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// How often each was measured.
    pub pairs: usize,
    /// Each, in the order measured.
    pub variants: Vec<VariantReport>,
    /// By name: each but the first against the first.
    pub ratios: BTreeMap<&'static str, Ratio>,
}

/// Variants measured in turn, A B A B: of each round one sample of each.
#[derive(Clone, Debug)]
pub struct Rounds {
    names: Vec<&'static str>,
    rounds: Vec<Vec<Sample>>,
}

impl Rounds {
    /// Takes `pairs` rounds: `sample` measures the variant with that place in `names`, `progress` hears of each
    /// round.
    pub fn take(
        names: Vec<&'static str>,
        pairs: usize,
        sample: &mut dyn FnMut(usize) -> Result<Sample, Failure>,
        progress: &mut dyn FnMut(&[Sample]),
    ) -> Result<Rounds, Failure> {
        let mut rounds = Vec::with_capacity(pairs);
        for _ in 0..pairs {
            let round: Result<Vec<Sample>, Failure> = (0..names.len()).map(&mut *sample).collect();
            let round = round?;
            progress(&round);
            rounds.push(round);
        }
        Ok(Rounds { names, rounds })
    }

    /// What they say together, ratios against the first.
    pub fn comparison(&self) -> Comparison {
        let variants = self.names.iter().enumerate().map(|(nth, name)| {
            let spread = |field| Spread::of(self.values(nth, field));
            VariantReport {
                name,
                answers_per_s: spread(|sample| sample.answers_per_s),
                cpu_ns_per_answer: spread(|sample| sample.cpu_ns_per_answer),
                machine_ns_per_answer: spread(|sample| sample.machine_ns_per_answer),
                p50_us: spread(|sample| sample.p50_us),
                p99_us: spread(|sample| sample.p99_us),
                lost: self.rounds.iter().map(|round| round[nth].lost).sum(),
            }
        });
        let ratios = (1..self.names.len()).map(|nth| (self.names[nth], self.ratio_at(nth, 0)));
        Comparison { pairs: self.rounds.len(), variants: variants.collect(), ratios: ratios.collect() }
    }

    /// One against another, pair by pair; `None` if one of them was not measured.
    pub fn ratio(&self, name: &str, against: &str) -> Option<Ratio> {
        let place = |name: &str| self.names.iter().position(|other| *other == name);
        Some(self.ratio_at(place(name)?, place(against)?))
    }

    fn ratio_at(&self, nth: usize, against: usize) -> Ratio {
        let ratio = |field| Spread::of_ratios(&self.values(nth, field), &self.values(against, field));
        Ratio {
            answers: ratio(|sample| sample.answers_per_s),
            cpu: ratio(|sample| sample.cpu_ns_per_answer),
            machine: ratio(|sample| sample.machine_ns_per_answer),
        }
    }

    fn values(&self, nth: usize, field: fn(&Sample) -> f64) -> Vec<f64> {
        self.rounds.iter().map(|round| field(&round[nth])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(answers_per_s: f64, cpu_ns_per_answer: f64) -> Sample {
        Sample {
            answers_per_s,
            cpu_ns_per_answer,
            machine_ns_per_answer: 2.0 * cpu_ns_per_answer,
            p50_us: 1.0,
            p99_us: 2.0,
            lost: 1,
        }
    }

    #[test]
    fn each_variant_is_compared_with_the_first_pair_by_pair() {
        let rounds = [
            vec![sample(100.0, 1_000.0), sample(90.0, 1_100.0)],
            vec![sample(50.0, 2_000.0), sample(45.0, 2_200.0)],
            vec![sample(100.0, 1_000.0), sample(80.0, 1_300.0)],
        ];
        let names = vec!["echo_mmsg", "redpkt_mmsg"];
        let mut next = rounds.iter().flatten().copied();
        let mut heard = 0;
        let sample = &mut |_| Ok(next.next().expect("no more than was asked for"));
        let rounds = Rounds::take(names, 3, sample, &mut |_| heard += 1).unwrap();
        assert_eq!(heard, 3);
        let comparison = rounds.comparison();
        assert_eq!(comparison.pairs, 3);
        assert_eq!(comparison.variants[1].cpu_ns_per_answer.median, 1_300.0);
        assert_eq!(comparison.variants[0].lost, 3);
        assert_eq!(comparison.ratios.len(), 1);
        let ratio = comparison.ratios["redpkt_mmsg"];
        let (answers, cpu) = (ratio.answers.unwrap(), ratio.cpu.unwrap());
        assert_eq!((answers.median, cpu.median, cpu.max), (0.9, 1.1, 1.3));
        assert_eq!(ratio.machine, ratio.cpu);
        assert_eq!(rounds.ratio("redpkt_mmsg", "echo_mmsg"), Some(ratio));
        let back = rounds.ratio("echo_mmsg", "redpkt_mmsg").unwrap();
        assert!((back.answers.unwrap().median - 1.0 / 0.9).abs() < 1e-12);
        assert_eq!(rounds.ratio("redpkt_mmsg", "nobody"), None);
    }
}
