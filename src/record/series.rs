//! Samples in, seconds and sums out.
//!
//! Differences are taken source by source, since each may begin anew by itself: after a restart its totals are what it
//! has done since. A source that began after the first sample begins at 0; one that was there before begins with the
//! first that is seen of it, because what it did earlier is not part of the run.

use super::differences::{Machines, add_own_interface, of_process};
use super::{Count, Counts, Reading, Sample, Second, Source, Spread, Waits};
use crate::telemetry::latencies::Latencies;
use crate::telemetry::machine::Interface;
use std::collections::{BTreeMap, HashMap};

/// Turns samples into seconds, and adds them up.
#[derive(Debug, Default)]
pub struct Series {
    has_intervals: bool,
    first_wall_ms: Option<u64>,
    last_wall_ms: u64,
    /// By URL, as it was last seen.
    sources: HashMap<String, Source>,
    interface: Option<Interface>,
    totals: Counts,
    drops: BTreeMap<String, u64>,
    latencies: Latencies,
}

/// How much more than its uptime a source's time may be off.
const CLOCK_OFF_S: f64 = 1.5;

impl Series {
    /// Begins. The histograms of samples are totals.
    pub fn new() -> Series {
        Series::default()
    }

    /// Begins. The histograms of samples are what came since the sample before, as a run's directory has them.
    pub fn of_intervals() -> Series {
        Series { has_intervals: true, ..Series::default() }
    }

    /// Takes a sample, and tells what happened since the last one; `None` of the first.
    pub fn push(&mut self, sample: &Sample) -> Option<Second> {
        self.push_with(sample).0
    }

    /// The same, and the histograms of each source since the sample before, in the sample's order.
    pub(super) fn push_with(&mut self, sample: &Sample) -> (Option<Second>, Vec<Latencies>) {
        let first_wall_ms = *self.first_wall_ms.get_or_insert(sample.wall_ms);
        let is_first = self.sources.is_empty() && self.last_wall_ms == 0;
        let mut second = Second {
            wall_ms: sample.wall_ms,
            at_s: sample.wall_ms.saturating_sub(first_wall_ms) as f64 / 1e3,
            span_s: (sample.wall_ms.saturating_sub(self.last_wall_ms) as f64 / 1e3).max(1e-3),
            ..Second::default()
        };
        let machines = Machines::of(sample);
        let mut all = Latencies::default();
        let intervals = sample.sources.iter().map(|source| {
            let interval = self.take(source, &machines, &mut second);
            all.add(&interval);
            interval
        });
        let intervals: Vec<Latencies> = intervals.collect();
        if let Some(now) = &sample.interface {
            add_own_interface(&mut second, self.interface.as_ref().unwrap_or(now), now);
        }
        for counts in [&mut second.counts, &mut second.per_s] {
            counts[Count::LostSocket] = counts[Count::LostSocket].max(0.0);
        }
        second.waits = waits(&all);
        self.latencies.add(&all);
        self.totals.add(&second.counts, 1.0);
        for (reason, count) in &second.drops {
            *self.drops.entry(reason.clone()).or_insert(0) += count;
        }
        self.sources.extend(sample.sources.iter().map(|source| (source.url.clone(), source.clone())));
        self.interface = sample.interface.clone().or(self.interface.take());
        self.last_wall_ms = sample.wall_ms;
        ((!is_first).then_some(second), intervals)
    }

    /// Takes one source into a second; its histograms since the sample before.
    fn take(&self, source: &Source, machines: &Machines<'_>, second: &mut Second) -> Latencies {
        let known = self.sources.get(&source.url);
        let before = known.filter(|before| is_same_process(before, source));
        let was_there_before =
            self.sources.is_empty() || source.reading.uptime_s() > second.at_s + CLOCK_OFF_S;
        let beginning = Source::beginning(source);
        let before = before.unwrap_or(if was_there_before { source } else { &beginning });
        let gone_s = source.reading.uptime_s() - before.reading.uptime_s();
        let gone_s = if gone_s > 0.0 { gone_s } else { second.span_s };
        let mut counts = of_process(before, source, second);
        // A machine goes on counting while a process on it begins anew.
        machines.add(&mut counts, known.unwrap_or(source), source, second);
        second.counts.add(&counts, 1.0);
        second.per_s.add(&counts, 1.0 / gone_s);
        second.gauges.take(before, source, gone_s);
        match self.has_intervals {
            true => source.latencies.clone(),
            false => source.latencies.since(&before.latencies),
        }
    }

    /// All counts so far.
    pub fn totals(&self) -> &Counts {
        &self.totals
    }

    /// All drops of servers so far, by reason.
    pub fn drops(&self) -> &BTreeMap<String, u64> {
        &self.drops
    }

    /// All values of all histograms so far.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Each source as it was last seen, in the order of URLs.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<&Source> = self.sources.values().collect();
        sources.sort_by(|one, other| one.url.cmp(&other.url));
        sources
    }
}

impl Source {
    /// The same source when its process began: nothing done. Of its machine it is not known.
    fn beginning(source: &Source) -> Source {
        let reading = match &source.reading {
            Reading::Server(_) => Reading::Server(Box::default()),
            Reading::Client(_) => Reading::Client(Box::default()),
        };
        Source { url: source.url.clone(), reading, latencies: Latencies::default() }
    }
}

/// Whether two readings of a source are of one process: of the same kind, and not younger than before.
fn is_same_process(before: &Source, now: &Source) -> bool {
    let same_kind = std::mem::discriminant(&before.reading) == std::mem::discriminant(&now.reading);
    same_kind && now.reading.uptime_s() >= before.reading.uptime_s()
}

fn waits(latencies: &Latencies) -> Waits {
    let of = |kind: &str| Spread::of(&latencies.of_kind(kind));
    Waits {
        client: of("latency"),
        queueing: of("queueing"),
        service: of("service"),
        ledger: of("ledger_wait"),
    }
}
