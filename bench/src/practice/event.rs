//! What a machine's rate means for the whole night of 2015.

use serde::Serialize;

/// Shakes of the night that the article works with.
const SHAKES: f64 = 10e9;

/// Machines of the night.
const MACHINES: f64 = 600.0;

/// Its peak, in shakes a second.
const PEAK_PER_S: f64 = 14e6;

/// The night, on machines that each do so much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Shakes a second of one machine.
    pub qps: f64,
    /// How long 600 such machines take for 10 billion shakes, in minutes.
    pub minutes: f64,
    /// How many such machines the night's peak of 14 million shakes a second needs.
    pub machines: u64,
    /// How long these take for 10 billion shakes, in minutes.
    pub minutes_at_peak: f64,
}

impl Event {
    /// On machines of this rate; nothing without one.
    pub fn at(qps: f64) -> Option<Event> {
        (qps >= 1.0).then(|| Event {
            qps,
            minutes: SHAKES / (qps * MACHINES) / 60.0,
            machines: (PEAK_PER_S / qps).ceil() as u64,
            minutes_at_peak: SHAKES / PEAK_PER_S / 60.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_articles_rate_gives_its_minutes() {
        let event = Event::at(60_000.0).unwrap();
        assert!((event.minutes * 60.0 - 277.8).abs() < 0.1, "{event:?}");
        assert_eq!(event.machines, 234);
        assert!((event.minutes_at_peak * 60.0 - 714.3).abs() < 0.1);
        assert_eq!(Event::at(0.0), None);
    }
}
