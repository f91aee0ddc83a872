//! A run, with the server's own figures beside it, and what is done to the server at which moment of it.

use super::stage::Stage;
use crate::run::{Fleet, Progress, Report, RunOptions};
use redpkt::cli::Failure;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The longest pause between two looks at what is due.
const PAUSE: Duration = Duration::from_millis(5);

/// Something that is done at a moment of a run.
pub struct Act<'a> {
    /// When, from the run's beginning.
    pub at: Duration,
    /// What.
    pub what: Box<dyn FnOnce() -> Result<(), Failure> + Send + 'a>,
}

impl<'a> Act<'a> {
    /// That, then.
    pub fn new(at: Duration, what: impl FnOnce() -> Result<(), Failure> + Send + 'a) -> Act<'a> {
        Act { at, what: Box::new(what) }
    }
}

/// What the server says at a moment of a run.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// When, in s from the run's beginning.
    pub at_s: f64,
    /// The level of service, from 0, and its name.
    pub level: u64,
    pub level_name: String,
    /// The share of shaking users that are worked for.
    pub shakes_admitted: f64,
    /// Datagrams refused unread since the server's start, of all classes.
    pub shed: u64,
    /// Groups that have failed.
    pub failed_groups: u64,
}

impl Look {
    fn of(stats: &Value, at_s: f64) -> Look {
        let service = &stats["service"];
        let groups = stats["groups"].as_array().into_iter().flatten();
        let shed = service["shed"].as_object().into_iter().flatten();
        Look {
            at_s,
            level: service["level"].as_u64().unwrap_or(0),
            level_name: service["name"].as_str().unwrap_or_default().to_owned(),
            shakes_admitted: service["admitted"]["shake"].as_f64().unwrap_or(1.0),
            shed: shed.filter_map(|(_, count)| count.as_u64()).sum(),
            failed_groups: groups.filter(|group| group["state"] == "failed").count() as u64,
        }
    }
}

/// A run and what was seen beside it.
pub struct Watched {
    pub report: Report,
    pub looks: Vec<Look>,
}

/// Lets users shake, looks at the server meanwhile, and does what is to be done, in the order of time.
pub fn watched(
    stage: &Stage<'_>,
    fleet: &mut Fleet,
    load: &RunOptions,
    acts: Vec<Act<'_>>,
) -> Result<Watched, Failure> {
    let (begins, begun) = channel();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &is_over;
        let watch = scope.spawn(move || watch(stage, &begun, acts, over));
        let report = fleet.measure(load, &mut |progress| {
            if let Progress::Begins(at) = progress {
                // It ends early only when it has failed, and then it says so.
                let _ = begins.send(at);
            }
        });
        is_over.store(true, Ordering::Relaxed);
        drop(begins);
        let looks =
            watch.join().map_err(|_| Failure::check("the watch has ended; its last words are above"))?;
        Ok(Watched { report: report?, looks: looks? })
    })
}

fn watch(
    stage: &Stage<'_>,
    begun: &Receiver<Instant>,
    acts: Vec<Act<'_>>,
    is_over: &AtomicBool,
) -> Result<Vec<Look>, Failure> {
    let begin = loop {
        match begun.recv_timeout(PAUSE) {
            Ok(begin) => break begin,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
        }
    };
    let mut acts = acts.into_iter().peekable();
    let (mut looks, mut next_look) = (Vec::new(), begin);
    while !is_over.load(Ordering::Relaxed) {
        while let Some(act) = acts.next_if(|act| Instant::now() >= begin + act.at) {
            (act.what)()?;
        }
        if Instant::now() >= next_look {
            next_look += stage.world.times.piece;
            let at_s = begin.elapsed().as_secs_f64();
            // One that does not come in time is left out: the next one comes.
            looks.extend(stage.child.stats().ok().map(|stats| Look::of(&stats, at_s)));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(looks)
}
