//! The search for the knee: the highest rate at which nearly all shakes are answered in time.

use super::stage::{Stage, Way, World};
use crate::run::{Fleet, Rate, RunOptions};
use redpkt::cli::Failure;
use std::time::Duration;

/// The first rate, in requests a second.
const FIRST_RATE: u64 = 10_000;

/// The lowest that is tried.
const RATE_MIN: u64 = 500;

/// By how much each rate is higher than the one before, and in a smoke test.
const STEP: f64 = 1.2;
const STEP_QUICK: f64 = 1.5;

/// How long each rate is tried, and in a smoke test.
const TRY: Duration = Duration::from_secs(1);
const TRY_QUICK: Duration = Duration::from_millis(400);

/// A rate that is too much in the first try counts all the same if it is not in the next ones, so many: other work on
/// the machine takes its time too.
const NEXT_TRIES: usize = 2;

/// The share of requests that must be answered within 100 ms without being sent again.
const IN_TIME: f64 = 0.999;

/// Finds it, on a server of its own.
pub fn find(world: &World) -> Result<u64, Failure> {
    let mut stage = Stage::start(world, &[])?;
    let (time, step) = if world.quick { (TRY_QUICK, STEP_QUICK) } else { (TRY, STEP) };
    let mut load = stage.users(Way::Xdp, Rate::requests_per_s(FIRST_RATE), time);
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    stage.squeeze()?;
    let mut rate = FIRST_RATE;
    while !is_in_time(&mut fleet, &mut load, rate)? {
        rate /= 2;
        if rate < RATE_MIN {
            return Err(Failure::machine(format!(
                "not even {RATE_MIN} requests/s are answered in time; is the machine busy?"
            )));
        }
    }
    loop {
        let next = (rate as f64 * step) as u64;
        if !is_in_time(&mut fleet, &mut load, next)? {
            break;
        }
        rate = next;
    }
    Ok(rate)
}

fn is_in_time(fleet: &mut Fleet, load: &mut RunOptions, rate: u64) -> Result<bool, Failure> {
    load.rate = Rate::requests_per_s(rate);
    if in_time(fleet, load)? {
        return Ok(true);
    }
    for _ in 0..NEXT_TRIES {
        if !in_time(fleet, load)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn in_time(fleet: &mut Fleet, load: &RunOptions) -> Result<bool, Failure> {
    let report = fleet.measure(load, &mut |_| ())?;
    let due = report.schedule.requests_due.max(1);
    let share = (report.first_try_answers_within_100ms as f64 / due as f64).min(1.0);
    eprintln!(
        "  {:.0}/s: {:.2}% in time, p99 {:.1} ms",
        load.rate.requests(1),
        100.0 * share,
        report.latency_us.p99 / 1e3
    );
    Ok(share >= IN_TIME)
}
