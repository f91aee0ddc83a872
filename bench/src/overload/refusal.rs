//! What a refusal costs the server beside an answer: its worker's CPU for each, at the same offered rate, well below
//! what it could answer, in turn.

use super::stage::{Stage, Way, World};
use crate::floor::Spread;
use crate::run::{Fleet, RunOptions};
use redpkt::cli::Failure;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// How often both are measured, and in a smoke test.
const PAIRS: usize = 7;
const PAIRS_QUICK: usize = 3;

/// How long each half of a pair takes, and in a smoke test.
const HALF: Duration = Duration::from_secs(1);
const HALF_QUICK: Duration = Duration::from_millis(400);

/// What is refused is not asked again: this is less than the shortest time after which it would be.
const DEADLINE: Duration = Duration::from_millis(400);

/// The share of a half's shakes that must have ended as they should.
const ALIKE: f64 = 0.9;

/// How long workers may take to publish what they did.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(200);

/// CPU of the server's worker, in ns. What the kernel does on another core, and for whoever sends, is in neither.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalCost {
    /// Requests a second, of both.
    pub offered_per_s: u64,
    /// For each refused.
    pub refused_ns: Spread,
    /// For each answered.
    pub answered_ns: Spread,
    /// Of the two, pair by pair.
    pub ratio: Spread,
}

impl RefusalCost {
    /// In few words.
    pub fn line(&self) -> String {
        let Spread { min, median, max, .. } = self.ratio;
        format!(
            "refusal-cost: {:.0} ns for a refused shake, {:.0} ns for an answered one, {median:.2} ({min:.2} to {max:.2}) at {}/s",
            self.refused_ns.median, self.answered_ns.median, self.offered_per_s
        )
    }
}

/// Measures pairs. The server has its whole core, of which the knee that it has with a part is far away.
pub fn measure(world: &World) -> Result<RefusalCost, Failure> {
    let few = ("mint", "1".to_owned());
    let stage = Stage::start(world, &[few, ("mint-total", "1".to_owned())])?;
    let (pairs, half) = if world.quick { (PAIRS_QUICK, HALF_QUICK) } else { (PAIRS, HALF) };
    let load = stage.users(Way::Xdp, world.rate(1.0), half);
    let load = RunOptions { deadline: DEADLINE, retransmits: false, ..load };
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    let (mut refused, mut answered) = (Vec::new(), Vec::new());
    for nth in 0..pairs {
        // Who comes first changes, so that neither always has the warmer machine.
        for refuses in [nth % 2 == 0, nth % 2 == 1] {
            let cost = one(&stage, &mut fleet, &load, refuses)?;
            if refuses { &mut refused } else { &mut answered }.push(cost);
        }
    }
    let ratio = Spread::of_ratios(&refused, &answered);
    Ok(RefusalCost {
        offered_per_s: world.knee_qps,
        refused_ns: Spread::of(refused),
        answered_ns: Spread::of(answered),
        ratio: ratio.ok_or_else(|| Failure::check("refusal-cost: the server's CPU time was not told"))?,
    })
}

/// The worker's CPU for each shake that is refused, or answered, in ns. None is sent twice, so what was not answered was
/// refused, by the server or by the kernel for it.
fn one(stage: &Stage<'_>, fleet: &mut Fleet, load: &RunOptions, refuses: bool) -> Result<f64, Failure> {
    let state = if refuses { "off" } else { "on" };
    stage.order(&format!("service/shake?state={state}"))?;
    std::thread::sleep(PUBLISHED_WITHIN);
    let before = stage.child.stats()?;
    let report = fleet.measure(load, &mut |_| ())?;
    std::thread::sleep(PUBLISHED_WITHIN);
    let after = stage.child.stats()?;
    let answered = report.shake.miss + report.shake.win;
    let done = if refuses { report.shake.sent - answered } else { answered };
    if (done as f64) < ALIKE * report.shake.sent as f64 {
        let sent = report.shake.sent;
        return Err(Failure::check(format!(
            "refusal-cost: with shakes {state}, {answered} of {sent} were answered"
        )));
    }
    let cpu_ns = |stats: &Value| stats["workers"][0]["cpu_ns"].as_u64().unwrap_or(0);
    Ok(cpu_ns(&after).saturating_sub(cpu_ns(&before)) as f64 / done as f64)
}
