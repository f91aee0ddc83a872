//! Histograms by name, as `GET /histograms.json` tells them and run directories keep them.

use crate::hdr::log::{self, Bad};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Histograms of ns by name, such as `service/shake`: what is measured, and of which op. Totals since the start, so
/// that whoever asks can take the difference of two answers without being known here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies(pub BTreeMap<String, Histogram<u64>>);

/// A histogram of such an answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histogram {name}: {why}")]
pub struct Unreadable {
    name: String,
    why: Bad,
}

/// Each histogram as a word of text: its V2 encoding, deflated, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    /// By name.
    pub histograms: BTreeMap<String, String>,
}

impl Latencies {
    /// As they are sent and kept. Empty ones are left out.
    pub fn encoded(&self) -> Encoded {
        let full = self.0.iter().filter(|(_, histogram)| !histogram.is_empty());
        Encoded { histograms: full.map(|(name, histogram)| (name.clone(), log::encode(histogram))).collect() }
    }

    /// What was sent or kept.
    pub fn decode(encoded: &Encoded) -> Result<Latencies, Unreadable> {
        let decode = |(name, word): (&String, &String)| match log::decode(word) {
            Ok(histogram) => Ok((name.clone(), histogram)),
            Err(why) => Err(Unreadable { name: name.clone(), why }),
        };
        Ok(Latencies(encoded.histograms.iter().map(decode).collect::<Result<_, _>>()?))
    }

    /// Adds the values of others.
    pub fn add(&mut self, other: &Latencies) {
        for (name, histogram) in &other.0 {
            let sum = self.0.entry(name.clone()).or_insert_with(empty);
            sum.add(histogram).expect("it grows as needed");
        }
    }

    /// The values that came after `before`. All of them, where a total is less than it was: then its process has begun
    /// anew in between.
    pub fn since(&self, before: &Latencies) -> Latencies {
        let since = |(name, now): (&String, &Histogram<u64>)| {
            let mut new = empty();
            new.add(now).expect("it grows as needed");
            if let Some(before) = before.0.get(name)
                && new.subtract(before).is_err()
            {
                new.reset();
                new.add(now).expect("it grows as needed");
            }
            (name.clone(), new)
        };
        Latencies(self.0.iter().map(since).collect())
    }

    /// All histograms of one kind together, such as `service`, of whatever op.
    pub fn of_kind(&self, kind: &str) -> Histogram<u64> {
        let mut sum = empty();
        for (name, histogram) in &self.0 {
            if name.split_once('/').is_some_and(|(each, _)| each == kind) {
                sum.add(histogram).expect("it grows as needed");
            }
        }
        sum
    }
}

fn empty() -> Histogram<u64> {
    let mut histogram = crate::hdr::histogram();
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, values: &[u64]) -> Latencies {
        let mut histogram = empty();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        Latencies([(name.to_owned(), histogram)].into())
    }

    fn counts(latencies: &Latencies, name: &str) -> Vec<u64> {
        latencies.0[name].iter_recorded().map(|step| step.count_at_value()).collect()
    }

    /// Expect: what was sent comes back to the bucket, and junk is an error that names its histogram.
    #[test]
    fn what_is_sent_comes_back() {
        let sent = of("service/shake", &[1_000, 1_000, 5_000_000]);
        let text = serde_json::to_string(&sent.encoded()).unwrap();
        let back = Latencies::decode(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(counts(&back, "service/shake"), [2, 1]);
        let junk = serde_json::from_str(r#"{"histograms": {"service/open": "AAAA"}}"#).unwrap();
        assert!(Latencies::decode(&junk).unwrap_err().to_string().starts_with("histogram service/open: "));
    }

    /// Expect: the difference of two totals; and all of the second where it is less, as after a restart.
    #[test]
    fn differences_survive_a_restart() {
        let (before, after) = (of("a/b", &[1_000, 2_000]), of("a/b", &[1_000, 2_000, 9_000]));
        assert_eq!(counts(&after.since(&before), "a/b"), [1]);
        assert_eq!(counts(&before.since(&after), "a/b"), [1, 1]);
        assert_eq!(counts(&after.since(&Latencies::default()), "a/b"), [1, 1, 1]);
    }

    #[test]
    fn a_kind_is_all_its_ops() {
        let mut both = of("service/shake", &[1_000]);
        both.add(&of("service/open", &[1_000]));
        both.add(&of("service/open", &[7_000]));
        both.add(&of("queueing/open", &[1_000]));
        assert_eq!((both.of_kind("service").len(), both.0["service/open"].len()), (3, 2));
    }
}
