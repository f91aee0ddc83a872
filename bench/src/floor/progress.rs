//! How far a comparison has come.

use super::measure::Sample;
use super::report;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// A bar on a terminal, else a line for each pair; both on stderr.
pub struct Progress {
    bar: Option<ProgressBar>,
    title: String,
    pairs: usize,
    done: usize,
}

impl Progress {
    /// Nothing done of so many pairs.
    pub fn new(title: &str, pairs: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:<11} {bar:14} {pos}/{len}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(pairs as u64).with_style(style).with_prefix(title.to_owned());
            bar.tick();
            bar
        });
        Progress { bar, title: title.to_owned(), pairs, done: 0 }
    }

    /// A variant of the next pair is about to be measured.
    pub fn begins(&mut self, name: &str) {
        match &self.bar {
            Some(bar) => bar.set_prefix(name.to_owned()),
            // Pairs come soon enough, but the first says nothing before it is done.
            None if self.done == 0 => eprintln!("{} 1/{}: {name}", self.title, self.pairs),
            None => {}
        }
    }

    /// A pair is done.
    pub fn pair(&mut self, samples: &[Sample]) {
        self.done += 1;
        let said = report::pair(samples);
        match &self.bar {
            Some(bar) => {
                bar.set_message(said);
                bar.inc(1);
                if self.done == self.pairs {
                    bar.finish_and_clear();
                }
            }
            None => eprintln!("{} {}/{}: {said}", self.title, self.done, self.pairs),
        }
    }
}
