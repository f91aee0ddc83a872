//! What a person sees while it is practised: a line that changes on a terminal, a line now and then in a pipe.

use super::moment::{ClientTotals, Moment};
use super::plan::PhasePlan;
use crate::run::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

/// Between two lines in a pipe.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// Shows it on stderr.
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    /// One that shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let bar = (!quiet && stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.expect("a constant template that is valid"));
            bar
        });
        Progress { quiet, bar, next_line: Instant::now() }
    }

    /// Something that is worth a line of its own.
    pub fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None if self.quiet => {}
            None => eprintln!("{line}"),
        }
    }

    /// Sessions are being opened.
    pub fn opening(&mut self, sessions: u64, users: u64, time: Duration) {
        let per_s = sessions as f64 / time.as_secs_f64().max(0.001);
        self.now(&format!(
            "1: {} of {} sessions, {} a second",
            grouped(sessions),
            grouped(users),
            grouped(per_s)
        ));
    }

    /// A second of a phase with shakes is over.
    pub fn shaking(&mut self, plan: &PhasePlan, shakes_per_s: f64, now: &Moment, before: &Moment) {
        let per_s = |of: fn(&ClientTotals) -> u64| grouped(now.clients_per_s(before, of));
        let made: u64 = now.server.orders.values().map(|order| order.made).sum();
        self.now(&format!(
            "{}: {} of {} shakes/s  wins {}/s  opens {}/s  packets made {}  timeouts {}  sessions {}",
            plan.number,
            grouped(shakes_per_s),
            grouped(plan.qps),
            per_s(|client| client.wins),
            per_s(|client| client.opens),
            grouped(made),
            grouped(now.clients(|client| client.timeouts)),
            grouped(now.server.sessions),
        ));
    }

    fn now(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(line.to_owned());
                bar.tick();
            }
            None if !self.quiet && Instant::now() >= self.next_line => {
                self.next_line = Instant::now() + LINES_EVERY;
                eprintln!("{line}");
            }
            None => {}
        }
    }

    /// Nothing more comes.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
