//! Whether packets were won as fast as they were minted, in windows of 10 s.

use super::moment::Moment;
use serde::Serialize;

/// How long a window is, in ms.
const WINDOW_MS: u64 = 10_000;

/// Moments come once a second: the one that is next to a window's end ends it.
const NEAREST_MS: u64 = 500;

/// How far wins may be from what was minted, as a share of it.
const TOLERANCE: f64 = 0.02;

/// Packets that a window may have more or less in any case: figures are up to so much older than they say.
const FIGURES_AGE_S: f64 = 0.05;

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Its beginning, from that of the mint, in s.
    pub from_s: f64,
    /// Its length, in s.
    pub seconds: f64,
    /// Packets won a second, as the server counts them.
    pub server_per_s: f64,
    /// The same as clients count them.
    pub clients_per_s: f64,
    /// Packets minted a second by the order.
    pub asked_per_s: f64,
    /// Whether both are as many as were asked for.
    pub ok: bool,
}

/// Windows of a phase, made while it goes on.
#[derive(Debug)]
pub struct Windows {
    asked_per_s: f64,
    first_ms: u64,
    /// Where the window that goes on began.
    from: Option<Moment>,
    done: Vec<Window>,
}

impl Windows {
    /// Of a mint of so many packets a second.
    pub fn new(asked_per_s: f64) -> Windows {
        Windows { asked_per_s, first_ms: 0, from: None, done: Vec::new() }
    }

    /// Takes a moment in which packets are being minted: some are made, and some are left.
    pub fn push(&mut self, moment: &Moment) {
        let now_ms = moment.server.wall_ms;
        let Some(from) = &self.from else {
            (self.first_ms, self.from) = (now_ms, Some(moment.clone()));
            return;
        };
        let ms = now_ms.saturating_sub(from.server.wall_ms);
        if ms + NEAREST_MS < WINDOW_MS {
            return;
        }
        let server_per_s = moment.server_per_s(from, |server| server.wins);
        let clients_per_s = moment.clients_per_s(from, |client| client.wins);
        let seconds = ms as f64 / 1e3;
        let is_as_asked = |per_s| is_near(per_s, self.asked_per_s, seconds);
        self.done.push(Window {
            from_s: (from.server.wall_ms - self.first_ms) as f64 / 1e3,
            seconds,
            server_per_s,
            clients_per_s,
            asked_per_s: self.asked_per_s,
            ok: is_as_asked(server_per_s) && is_as_asked(clients_per_s),
        });
        self.from = Some(moment.clone());
    }

    /// Those that are over.
    pub fn done(self) -> Vec<Window> {
        self.done
    }
}

/// Whether so many a second are as many as asked, over so many seconds. Packets are whole, and the figures of both ends
/// of the window may be of a moment before: with few packets that is more than the tolerance.
fn is_near(per_s: f64, asked_per_s: f64, seconds: f64) -> bool {
    let packets_off = (per_s - asked_per_s).abs() * seconds;
    let few = 2.0 + asked_per_s * FIGURES_AGE_S;
    packets_off <= (asked_per_s * seconds * TOLERANCE).max(few)
}

#[cfg(test)]
mod tests {
    use super::super::moment::{ClientTotals, ServerTotals};
    use super::*;

    fn at(wall_ms: u64, wins: u64, told: u64) -> Moment {
        Moment {
            server: ServerTotals { wall_ms, wins, ..ServerTotals::default() },
            clients: vec![ClientTotals { wall_ms, wins: told, ..ClientTotals::default() }],
        }
    }

    /// Expect: a window each 10 s, bad where the server or its clients have another number by more than 2%.
    #[test]
    fn windows_tell_when_wins_did_not_follow() {
        let mut windows = Windows::new(200.0);
        for (s, wins, told) in
            [(0, 0, 0), (5, 1_000, 1_000), (10, 2_000, 1_965), (20, 4_000, 3_990), (30, 5_950, 5_950)]
        {
            windows.push(&at(1_000 * s, wins, told));
        }
        let done = windows.done();
        let ok: Vec<bool> = done.iter().map(|window| window.ok).collect();
        assert_eq!(ok, [true, true, false], "{done:?}");
        assert_eq!((done[1].from_s, done[2].server_per_s), (10.0, 195.0));
    }

    #[test]
    fn few_packets_are_not_split() {
        assert!(is_near(1.9, 2.0, 10.0) && !is_near(1.7, 2.0, 10.0));
        assert!(is_near(196.1, 200.0, 10.0) && !is_near(195.9, 200.0, 10.0));
    }
}
