//! Children start, tell their figures, and never outlive their parent.

use redpkt_bench::child::{ChildCommand, ChildOptions, ServerChild};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_redpkt-bench");

fn serve(arguments: &[&str]) -> ChildOptions {
    let arguments = arguments.iter().map(Into::into).collect();
    ChildOptions { program: PROGRAM.into(), command: ChildCommand::Serve, arguments }
}

fn is_alive(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Expect: a server tells its figures, comes back at the same addresses after a crash, and ends in order.
#[test]
fn a_server_starts_crashes_restarts_and_ends() {
    let mut child = ServerChild::start(serve(&["--workers=1", "--cores=none", "--sessions=1000"])).unwrap();
    assert_eq!(child.stats().unwrap()["sessions"], 0);
    assert!(child.cpu_ns().unwrap() > 0 && child.rss_bytes().unwrap() > 1 << 20);
    let (listen, http, id) = (child.listen(), child.http(), child.id());
    child.kill();
    assert!(!is_alive(id) && child.stats().is_err());
    child.restart().unwrap();
    assert_eq!((child.listen(), child.http()), (listen, http));
    assert_ne!(child.id(), id);
    let output = child.terminate().unwrap();
    assert!(output.contains("serving") && output.contains("drops: none"), "{output}");
}

/// Expect: what the server says about a wrong option is in the failure, and nothing is left.
#[test]
fn a_server_that_does_not_start_says_why() {
    let failure = ServerChild::start(serve(&["--sets=3"])).unwrap_err().to_string();
    assert!(failure.contains("--sets 3"), "{failure}");
}

/// Expect: dropping a child kills it and removes its directory with the keys.
#[test]
fn a_dropped_child_leaves_nothing() {
    let echo = ChildOptions { program: PROGRAM.into(), command: ChildCommand::Echo, arguments: Vec::new() };
    let child = ServerChild::start(echo).unwrap();
    let (id, keys) = (child.id(), child.key_file());
    assert!(is_alive(id) && keys.exists());
    drop(child);
    assert!(!is_alive(id) && !keys.exists());
}

/// A long `floor` with its temporary files in `temporary`, once both of its children run.
fn long_floor(temporary: &Path) -> (Child, Vec<u32>) {
    let floor = Command::new(PROGRAM)
        .args(["floor", "--users=500", "--outstanding=8", "--pairs=1000"])
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tasks = PathBuf::from(format!("/proc/{0}/task/{0}/children", floor.id()));
    let mut children = Vec::new();
    wait_until("both children run", || {
        let text = std::fs::read_to_string(&tasks).unwrap_or_default();
        children = text.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        children.len() == 2
    });
    (floor, children)
}

/// Expect: an interrupted command takes its children and its directories with it.
#[test]
fn an_interrupt_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut floor, children) = long_floor(temporary.path());
    let id = nix::unistd::Pid::from_raw(floor.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(floor.wait().unwrap().code(), Some(130));
    wait_until("the children ended", || !children.iter().any(|id| is_alive(*id)));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// Expect: children of a command that is killed outright end with it.
#[test]
fn a_killed_parent_leaves_no_child() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut floor, children) = long_floor(temporary.path());
    floor.kill().unwrap();
    floor.wait().unwrap();
    wait_until("the children ended", || !children.iter().any(|id| is_alive(*id)));
}
