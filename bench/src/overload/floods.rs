//! Floods beside honest users: very many who begin to join, and one user who shakes very much too often.

use super::greedy::{Greedy, Told};
use super::scenario::Scenario;
use super::stage::{Stage, Way, World};
use super::table::Part;
use super::times::{NORMAL, phases};
use super::watch::{Act, Watched, watched};
use crate::flood::{Thrower, Thrown};
use crate::lab::Side;
use crate::run::{Arrivals, Fleet, RunOptions};
use redpkt::cli::Failure;
use redpkt::control::os_seeded_rng;
use redpkt_proto::body::Hello;
use redpkt_proto::keyring::KeyRing;
use redpkt_proto::{Direction, Op, Rng, handshake};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zerocopy::IntoBytes as _;

/// The flood of joins, over the knee.
const JOINS: f64 = 4.0;

/// Users who begin to join, each again and again.
const JOINING_USERS: u64 = 8_192;

/// How long their tickets are good.
const TICKET_S: u64 = 3_600;

/// Shakes that the server answers each user in a second, and as many at once before.
const SHAKES_PER_S: u64 = 10;

/// How many times too often the greedy one shakes.
const TOO_OFTEN: u64 = 1_000;

/// The share of shakes that win where wins are compared: many, so that chance makes little of a difference.
const WIN_SHARE: f64 = 0.25;

/// Half the knee by users who are there; in the middle of it very many others say HELLO.
pub fn joins(world: &World) -> Result<Scenario, Failure> {
    let mut stage = Stage::start(world, &[])?;
    let load = phases(&stage, Way::Sockets, NORMAL, vec![(NORMAL, world.times.load)]);
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    stage.squeeze()?;
    let mut rng = os_seeded_rng().map_err(Failure::machine)?;
    let hellos = hellos(stage.child.keys(), world.users, &mut rng)?;
    let thrower = Thrower {
        target: stage.child.listen(),
        per_s: (JOINS * world.knee_qps as f64) as u32,
        interface: world.lab.interface(Side::Client),
        core: world.cores.client,
    };
    let (watched, thrown): (Watched, Thrown) =
        beside(&stage, &mut fleet, &load, |stop| thrower.throw(&hellos, stop))?;
    drop(fleet);
    let per_s = thrown.datagrams as f64 / thrown.elapsed.as_secs_f64();
    let what = format!("{JOINS} times the knee of HELLOs with good tickets, beside half the knee of shakes");
    let scenario = Scenario::of(&Part::Joins.name(), what, NORMAL, world, &watched)
        .with("hellos_per_s", per_s)
        .with("hellos_x", per_s / world.knee_qps as f64);
    let scenario = with_p99_ratio(scenario);
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// Half the knee by users who shake as often as they may, and one beside them who shakes a thousand times as often.
pub fn one_user(world: &World) -> Result<Scenario, Failure> {
    let users = ((NORMAL * world.knee_qps as f64) as u64 / SHAKES_PER_S).clamp(10, world.users);
    let honest_per_s = users * SHAKES_PER_S;
    let mint = ((WIN_SHARE * honest_per_s as f64) as u64).max(1);
    let total = 2 * mint * world.time().as_secs().max(1);
    let mut stage = Stage::start(
        world,
        &[
            ("shakes-per-s", SHAKES_PER_S.to_string()),
            ("mint", mint.to_string()),
            ("mint-total", total.to_string()),
            ("packets", (2 * total).to_string()),
        ],
    )?;
    let normal = honest_per_s as f64 / world.knee_qps as f64;
    let load = phases(&stage, Way::Sockets, normal, vec![(normal, world.times.load)]);
    // The greedy one is user 1.
    // At random, or the same users would come right after a packet is minted, round after round.
    let load = RunOptions { users, first_user: 2, arrivals: Arrivals::Poisson, ..load };
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    let mut greedy = Greedy::join(stage.child.listen(), stage.child.keys(), world.cores.client)?;
    stage.squeeze()?;
    let per_s = TOO_OFTEN * SHAKES_PER_S;
    let (watched, told): (Watched, Told) =
        beside(&stage, &mut fleet, &load, |stop| greedy.shake(per_s, stop))?;
    drop(fleet);
    let report = &watched.report;
    // An honest user's in as much time as the greedy one had.
    let part = world.times.load.as_secs_f64() / world.time().as_secs_f64();
    let of_one = |all: u64| all as f64 * part / users as f64;
    let answered = of_one(report.shake.win + report.shake.miss);
    let what = format!(
        "one user who shakes {per_s} times a second where {SHAKES_PER_S} are allowed, beside {users} who keep to it"
    );
    let scenario = Scenario::of(&Part::OneUser.name(), what, normal, world, &watched)
        .with("greedy_sent", told.sent as f64)
        .with("greedy_answered", told.answered() as f64)
        .with("greedy_wins", told.wins as f64)
        .with("honest_answered", answered)
        .with("honest_wins", of_one(report.shake.win))
        .with("allowed", SHAKES_PER_S as f64 * (1.0 + world.times.load.as_secs_f64()));
    let scenario = with_p99_ratio(scenario);
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// How much longer honest users waited during the flood than before.
fn with_p99_ratio(scenario: Scenario) -> Scenario {
    let ratio = scenario.p99_waited_us / scenario.p99_before_us.max(1.0);
    scenario.with("others_p99_ratio", ratio)
}

/// A run, beside which something floods the server while the load lasts.
fn beside<T: Send>(
    stage: &Stage<'_>,
    fleet: &mut Fleet,
    load: &RunOptions,
    flood: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send,
) -> Result<(Watched, T), Failure> {
    let (go, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (lead, end) = (stage.world.times.lead, stage.world.times.lead + stage.world.times.load);
    let set = |flag: &AtomicBool| {
        flag.store(true, Ordering::Relaxed);
        Ok(())
    };
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            while !go.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            flood(&stop)
        });
        let watched =
            watched(stage, fleet, load, vec![Act::new(lead, || set(&go)), Act::new(end, || set(&stop))]);
        // Also where the run has failed before its time.
        stop.store(true, Ordering::Relaxed);
        go.store(true, Ordering::Relaxed);
        let flood = flood.join().map_err(|_| Failure::check("the flood has ended; its last words are above"));
        Ok((watched?, flood??))
    })
}

/// The first frame of a handshake, with a good ticket, of users beyond those who are there.
fn hellos(keys: &KeyRing, users: u64, rng: &mut Rng) -> Result<Vec<Vec<u8>>, Failure> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expiry_s = u32::try_from(now_s + TICKET_S).map_err(Failure::machine)?;
    let mut hello = |nth: u64| {
        let ticket = keys.issue(2 * users + nth, expiry_s, rng);
        let client_random: [u8; 8] = rand::RngExt::random(rng);
        let hello = Hello { ticket: ticket.fields, client_random, reserved: [0; 12] };
        let secret = &ticket.secret;
        let to = Direction::ToServer;
        handshake::frame(secret, ticket.user, to, Op::Hello, &hello, &client_random).as_bytes().to_vec()
    };
    Ok((0..JOINING_USERS).map(&mut hello).collect())
}
