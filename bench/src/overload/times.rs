//! Several times the knee, with clients that obey and with clients that do not; and the wave, which is that within a
//! second, with very many packets to win.

use super::scenario::Scenario;
use super::stage::{Stage, Way, World};
use super::table::Part;
use super::watch::{Act, watched};
use crate::run::{Fleet, Phase, RunOptions};
use redpkt::cli::Failure;
use std::time::Duration;

/// What is offered before and after, over the knee.
pub const NORMAL: f64 = 0.5;

/// Packets of the wave, and in a smoke test.
const WAVE_PACKETS: u64 = 200_000;
const WAVE_PACKETS_QUICK: u64 = 20_000;

/// At most so many a second: all at once, as far as one worker can.
const WAVE_RATE: u32 = u32::MAX;

/// The wave's load before and at its height, over the knee.
const WAVE_FROM: f64 = 0.3;
const WAVE_TO: f64 = 3.0;

/// How long it takes to rise, in so many steps.
const RISE: Duration = Duration::from_secs(1);
const RISE_STEPS: u32 = 10;

/// Half the knee, `times` of it, half of it again.
pub fn times(world: &World, times: u32, obeys: bool) -> Result<Scenario, Failure> {
    let mut stage = Stage::start(world, &[])?;
    let load = phases(&stage, Way::Xdp, NORMAL, vec![(f64::from(times), world.times.load)]);
    let load = RunOptions { obeys, ..load };
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    stage.squeeze()?;
    let watched = watched(&stage, &mut fleet, &load, Vec::new())?;
    drop(fleet);
    let name = Part::Times { times, obeys }.name();
    let who = if obeys { "obey" } else { "do not obey" };
    let what = format!("{times} times the knee, by clients that {who}");
    let series = watched.report.series.as_ref().expect("all scenarios record one");
    let scenario = Scenario::of(&name, what, times.into(), world, &watched).with_calm(world, series);
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// Shakes jump tenfold within a second, at the instant at which very many packets are minted.
pub fn wave(world: &World) -> Result<Scenario, Failure> {
    let packets = if world.quick { WAVE_PACKETS_QUICK } else { WAVE_PACKETS };
    let mut stage = Stage::start(world, &[("packets", (2 * packets).to_string())])?;
    let mut steps: Vec<(f64, Duration)> = (1..=RISE_STEPS)
        .map(|step| {
            let part = f64::from(step) / f64::from(RISE_STEPS);
            (WAVE_FROM * (WAVE_TO / WAVE_FROM).powf(part), RISE / RISE_STEPS)
        })
        .collect();
    steps.push((WAVE_TO, world.times.load.saturating_sub(RISE)));
    let load = phases(&stage, Way::Xdp, WAVE_FROM, steps);
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    stage.squeeze()?;
    let order = format!("mint?id=wave&rate={WAVE_RATE}&total={packets}&fen=1..200");
    let act = Act::new(world.times.lead, || stage.order(&order));
    let watched = watched(&stage, &mut fleet, &load, vec![act])?;
    drop(fleet);
    let what = format!(
        "{packets} packets minted at one instant, while shakes rise from {WAVE_FROM} to {WAVE_TO} times the knee within {RISE:?}"
    );
    let scenario = Scenario::of(&Part::Wave.name(), what, WAVE_TO, world, &watched)
        .with("packets", packets as f64)
        .with("wins", watched.report.shake.win as f64)
        .with("opened", watched.report.open.ok as f64);
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// A normal load, what follows it, and the normal load again.
pub fn phases(stage: &Stage<'_>, way: Way, normal: f64, loads: Vec<(f64, Duration)>) -> RunOptions {
    let world = stage.world;
    let phase = |(times, duration)| Phase { rate: world.rate(times), duration };
    let mut load = stage.users(way, world.rate(normal), world.times.lead);
    load.phases = loads.into_iter().filter(|(_, time)| !time.is_zero()).map(phase).collect();
    load.phases.push(phase((normal, world.times.after)));
    load
}
