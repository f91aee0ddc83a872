//! A part of the server that fails while the rest serves: a SET that panics, and a group whose disk is full. Users of
//! that part are recorded apart from the others.

use super::disk::SmallDisk;
use super::scenario::Scenario;
use super::stage::{Stage, Way, World};
use super::table::Part;
use super::times::{NORMAL, phases};
use super::watch::{Act, Watched, watched};
use crate::run::{Apart, Fleet, RunOptions, SeriesOptions};
use redpkt::cli::Failure;
use std::path::Path;
use std::sync::Mutex;

/// SETs of the server of which one is killed, and which one.
const SETS: u32 = 256;
const KILLED: u32 = 101;

/// The group whose disk is full, of so many, with so many SETs.
const FAILED: u32 = 1;
const GROUPS: u32 = 2;
const GROUP_SETS: u32 = 8;

/// The size of that disk: room for the journal of a whole run.
const DISK_MIB: u32 = 64;

/// A SET panics when the load would begin, and is rebuilt when it would end.
pub fn set_killed(world: &World) -> Result<Scenario, Failure> {
    let mut stage = Stage::start(world, &[("sets", SETS.to_string()), ("drills", String::new())])?;
    let rebuilt = Mutex::new(None);
    let watched = fail(
        &mut stage,
        Apart::Set { set: KILLED, sets: SETS },
        |stage| stage.order(&format!("sets/{KILLED}/panic")),
        |stage| {
            let seconds = stage.rebuild(&format!("sets/{KILLED}/rebuild"))?;
            *rebuilt.lock().expect("nobody panics with it") = Some(seconds);
            Ok(())
        },
    )?;
    let what = format!("one of {SETS} SETs killed, and rebuilt while the others serve");
    let scenario = scenario(&Part::SetKilled.name(), what, world, &watched)
        .with("rebuilt_s", *rebuilt.lock().expect("nobody panics with it"));
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// The disk of one group is full when the load would begin; there is room again, and the group rebuilt, when it would
/// end.
pub fn disk_failed(world: &World) -> Result<Scenario, Failure> {
    // On a thread of its own, for the disk is mounted for this thread and its children alone.
    std::thread::scope(|scope| {
        let played = scope.spawn(|| play_disk_failed(world));
        played.join().map_err(|_| Failure::check("disk-failed has ended; its last words are above"))?
    })
}

fn play_disk_failed(world: &World) -> Result<Scenario, Failure> {
    let options = [("groups", GROUPS.to_string()), ("sets", GROUP_SETS.to_string())];
    let mut stage = Stage::start(world, &options)?;
    // Made after the stage, so that it goes before the stage's directory does.
    let disk = SmallDisk::mount(&stage.directory().join("small"), DISK_MIB)?;
    stage.restart(|ledger| move_journal(ledger, &disk))?;
    let rebuilt = Mutex::new(None);
    let watched = fail(
        &mut stage,
        Apart::Group { group: FAILED, groups: GROUPS, sets: GROUP_SETS },
        |_| disk.fill(),
        |stage| {
            disk.free()?;
            let seconds = stage.rebuild(&format!("groups/{FAILED}/rebuild"))?;
            *rebuilt.lock().expect("nobody panics with it") = Some(seconds);
            Ok(())
        },
    )?;
    let stopped = watched.looks.iter().find(|look| look.failed_groups > 0);
    let stopped_s = stopped.map(|look| (look.at_s - world.times.lead.as_secs_f64()).max(0.0));
    let what = format!("the disk of one of {GROUPS} groups full, and the group rebuilt once there is room");
    let scenario = scenario(&Part::DiskFailed.name(), what, world, &watched)
        .with("stopped_after_s", stopped_s)
        .with("rebuilt_s", *rebuilt.lock().expect("nobody panics with it"));
    stage.told(&watched.report.tally)?;
    Ok(scenario.audited(&stage.audit()?))
}

/// Half the knee all the time, while something fails and is put right.
fn fail<'a>(
    stage: &mut Stage<'_>,
    apart: Apart,
    begin: impl FnOnce(&Stage<'_>) -> Result<(), Failure> + Send + 'a,
    end: impl FnOnce(&Stage<'_>) -> Result<(), Failure> + Send + 'a,
) -> Result<Watched, Failure> {
    let world = stage.world;
    let load = phases(stage, Way::Xdp, NORMAL, vec![(NORMAL, world.times.load)]);
    let series = Some(SeriesOptions { piece: world.times.piece, apart: Some(apart) });
    let load = RunOptions { series, ..load };
    let mut fleet = Fleet::join(&load, &mut |_| ())?;
    stage.squeeze()?;
    let stage = &*stage;
    let acts = vec![
        Act::new(world.times.lead, || begin(stage)),
        Act::new(world.times.lead + world.times.load, || end(stage)),
    ];
    watched(stage, &mut fleet, &load, acts)
}

fn scenario(name: &str, what: String, world: &World, watched: &Watched) -> Scenario {
    let series = watched.report.series.as_ref().expect("all scenarios record one");
    Scenario::of(name, what, NORMAL, world, watched).with_apart(world, series)
}

/// Has the journal of the group lie on the small disk.
fn move_journal(ledger: &Path, disk: &SmallDisk) -> Result<(), Failure> {
    let name = format!("group-{FAILED}.sqlite");
    let (from, to) = (ledger.join(&name), disk.path().join(&name));
    let moved = std::fs::copy(&from, &to)
        .and_then(|_| std::fs::remove_file(&from))
        .and_then(|()| std::os::unix::fs::symlink(&to, &from));
    moved.map_err(|error| Failure::machine(format!("moving {} to a small disk: {error}", from.display())))
}
