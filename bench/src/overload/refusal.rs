//! What a refusal costs the server beside an answer: its worker's CPU for each, at the same offered rate, well below
//! what it could answer, in turn.

use super::stage::{Stage, Way, World};
use crate::floor::Spread;
use crate::run::{Fleet, Mix, RunOptions};
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

/// How long workers may take to publish what they did.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(200);

/// A request whose class can be refused by hand.
struct Switched {
    op: &'static str,
    switch: &'static str,
    mix: Mix,
}

/// CPU of the server's worker, in ns. What the kernel does on another core, and for whoever sends, is in neither.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalCost {
    /// Which requests they were: shakes, where the server can be told to refuse them all, and else balances.
    pub op: &'static str,
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
        let Spread { min, median, max } = self.ratio;
        format!(
            "refusal-cost: {:.0} ns for a refused {}, {:.0} ns for an answered one, {median:.2} ({min:.2} to {max:.2}) at {}/s",
            self.refused_ns.median, self.op, self.answered_ns.median, self.offered_per_s
        )
    }
}

/// Measures pairs. The server has its whole core, of which the knee that it has with a part is far away.
pub fn measure(world: &World) -> Result<RefusalCost, Failure> {
    let few = ("mint", "1".to_owned());
    let stage = Stage::start(world, &[few, ("mint-total", "1".to_owned())])?;
    let (pairs, half) = if world.quick { (PAIRS_QUICK, HALF_QUICK) } else { (PAIRS, HALF) };
    let switched = switched(&stage)?;
    let load = stage.users(Way::Xdp, world.rate(1.0), half);
    let load = RunOptions { deadline: DEADLINE, retransmits: false, mix: switched.mix, ..load };
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    let (mut refused, mut answered) = (Vec::new(), Vec::new());
    for nth in 0..pairs {
        // Who comes first changes, so that neither always has the warmer machine.
        for refuses in [nth % 2 == 0, nth % 2 == 1] {
            let cost = one(&stage, &mut fleet, &load, &switched, refuses)?;
            if refuses { &mut refused } else { &mut answered }.push(cost);
        }
    }
    let ratio = Spread::of_ratios(&refused, &answered);
    Ok(RefusalCost {
        op: switched.op,
        offered_per_s: world.knee_qps,
        refused_ns: Spread::of(refused),
        answered_ns: Spread::of(answered),
        ratio: ratio.ok_or_else(|| Failure::check("refusal-cost: the server's CPU time was not told"))?,
    })
}

/// Shakes, or balances where the server has no switch for shakes.
fn switched(stage: &Stage<'_>) -> Result<Switched, Failure> {
    let has_shake = stage.post("service/shake?state=auto")?.is_done();
    Ok(match has_shake {
        true => Switched { op: "shake", switch: "shake", mix: Mix::default() },
        false => Switched {
            op: "balance",
            switch: "read",
            mix: Mix { shake: 0.0, balance: 1.0, ..Mix::default() },
        },
    })
}

/// The worker's CPU for each request that is refused, or answered, in ns.
fn one(
    stage: &Stage<'_>,
    fleet: &mut Fleet,
    load: &RunOptions,
    Switched { op, switch, .. }: &Switched,
    refuses: bool,
) -> Result<f64, Failure> {
    let state = if refuses { "off" } else { "on" };
    stage.order(&format!("service/{switch}?state={state}"))?;
    std::thread::sleep(PUBLISHED_WITHIN);
    let before = stage.child.stats()?;
    let report = fleet.measure(load, &mut |_| ())?;
    std::thread::sleep(PUBLISHED_WITHIN);
    let after = stage.child.stats()?;
    let since = |of: &dyn Fn(&Value) -> u64| of(&after).saturating_sub(of(&before)) as f64;
    let done = match (refuses, *op) {
        (true, _) => since(&|stats| stats["service"]["shed"][*switch].as_u64().unwrap_or(0)),
        (false, "shake") => (report.shake.miss + report.shake.win) as f64,
        (false, _) => report.balance.ok as f64,
    };
    if done < 1.0 {
        return Err(Failure::check(format!(
            "refusal-cost: with {switch} {state} no {op} ended as it should"
        )));
    }
    Ok(since(&|stats| stats["workers"][0]["cpu_ns"].as_u64().unwrap_or(0)) / done)
}
