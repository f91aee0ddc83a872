//! `overload` as a command: its exit code, what its JSON promises, its pictures, and that nothing of it is left.
//! Whether its figures are good is for whoever runs it on a quiet machine.

use redpkt_bench::lab::Lab;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// What the contract names of a scenario, and what else is promised.
const FIELDS: [&str; 8] = [
    "offered_x",
    "goodput_share",
    "opens_answered_share",
    "p99_us",
    "p99_waited_us",
    "sent_x",
    "refused",
    "unanswered",
];

/// Whether there can be no lab here; then the reason is said.
fn is_skipped() -> bool {
    Lab::why_not().inspect(|why| eprintln!("skipped: {why}")).is_some()
}

/// Runs it to its end, with a directory for temporary files of its own.
fn overload(args: &[&str], temporary: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .arg("overload")
        .args(args)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs it as a smoke test, with a knee that every machine can do, and expects success and nothing left behind.
fn report(args: &[&str]) -> Value {
    report_at("2000", args)
}

fn report_at(knee: &str, args: &[&str]) -> Value {
    // One after another: side by side they starve each other, and what is told of one is of both.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = tempfile::tempdir().unwrap();
    let mounts = || std::fs::read_to_string("/proc/self/mounts").unwrap();
    let before = mounts();
    let output = overload(&[&["--quick", "--knee", knee, "--json=-"], args].concat(), temporary.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "files are left");
    assert_eq!(mounts(), before, "a mount is left");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_scenario(scenario: &Value, name: &str) {
    assert_eq!(scenario["name"], name);
    FIELDS.iter().for_each(|field| assert!(scenario[*field].is_number(), "{name}: {field}"));
    assert_eq!(scenario["audit"], true, "{name}: {}", scenario["audit_verdict"]);
    let series = scenario["series"].as_array().unwrap();
    assert!(series.len() > 20, "{name}: {} pieces", series.len());
    let shakes: f64 = series.iter().filter_map(|point| point["shakes"].as_f64()).sum();
    assert!(shakes > 0.0, "{name}: nobody was served");
    assert!(series.iter().any(|point| point["level"].is_u64()), "{name}: the server was not asked");
}

/// Expect: the contract's fields and a clean audit for loads of both kinds of clients, the echo beside them, and all
/// of it in a picture.
#[test]
fn loads_are_shown_with_the_echo_beside_them() {
    if is_skipped() {
        return;
    }
    let plots = tempfile::tempdir().unwrap();
    let report =
        report(&["--times=2", "--only=times,echo", "--plots", plots.path().join("here").to_str().unwrap()]);
    assert_eq!(report["knee_qps"], 2_000);
    let scenarios = report["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), 2);
    assert_scenario(&scenarios[0], "2x-disobedient");
    assert_scenario(&scenarios[1], "2x-obedient");
    let echo = &report["echo"][0];
    assert_eq!(echo["name"], "2x-echo");
    assert!(echo["lost_share"].is_number() && echo["p99_us"].as_f64() > Some(0.0));
    assert_eq!(report["refusal_cost_ratio"], Value::Null);
    let svg = std::fs::read_to_string(plots.path().join("here/times.svg")).unwrap();
    for part in ["a bare echo", "clients that obey", "clients that do not obey", "level of service"] {
        assert!(svg.contains(part), "no {part:?}");
    }
}

/// Expect: what fails takes its own users with it and no others: they are told so, and are back when it is rebuilt. The
/// audit is clean, and so is the machine.
#[test]
fn failures_are_those_of_their_own_users() {
    if is_skipped() {
        return;
    }
    // One SET of 256 is masked for a second or two: half of this gives its users some requests in that time.
    let report = report_at("6000", &["--only=set-killed,disk-failed"]);
    let scenarios = report["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), 2);
    for (scenario, name) in scenarios.iter().zip(["set-killed", "disk-failed"]) {
        assert_scenario(scenario, name);
        assert!(scenario["own_requests"].as_f64() > Some(0.0), "{name}: it has no users");
        assert!(scenario["rebuilt_s"].as_f64() > Some(0.0), "{name}: it was not rebuilt");
        assert!(scenario["others_p99_ratio"].is_number(), "{name}");
        assert!(!scenario["series_apart"].as_array().unwrap().is_empty(), "{name}");
    }
    assert!(scenarios[0]["own_told_to_wait"].as_f64() > Some(0.0), "users of a masked SET are told so");
    assert!(scenarios[1]["stopped_after_s"].is_number(), "a group without a disk stops");
}

/// Expect: floods, the wave and the cost of a refusal with the figures that they are for.
#[test]
fn floods_the_wave_and_refusals_are_shown() {
    if is_skipped() {
        return;
    }
    let report = report(&["--only=joins,one-user,wave,refusal-cost"]);
    let scenarios = report["scenarios"].as_array().unwrap();
    let names = ["joins", "one-user", "wave"];
    assert_eq!(scenarios.len(), names.len());
    scenarios.iter().zip(names).for_each(|(scenario, name)| assert_scenario(scenario, name));
    let figure = |nth: usize, name: &str| scenarios[nth][name].as_f64().unwrap();
    assert!(figure(0, "hellos_per_s") > 0.0);
    let (sent, answered) = (figure(1, "greedy_sent"), figure(1, "greedy_answered"));
    assert!(answered > 0.0 && answered < sent / 10.0, "{answered} of {sent} were answered");
    assert!(figure(2, "wins") > 0.0 && figure(2, "opened") > 0.0);
    let ratio = &report["refusal_cost_ratio"];
    assert!(["min", "median", "max"].iter().all(|part| ratio[*part].as_f64() > Some(0.0)), "{ratio}");
}

/// Expect: one line that names the option, and exit code 2.
#[test]
fn options_that_cannot_be_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    for (args, names) in [
        (&["--only=nothing"][..], "--only nothing"),
        (&["--only=8x-obedient", "--times=1,2"], "2x-obedient"),
        (&["--quick", "--seconds=3"], "--seconds"),
        (&["--times=99"], "--times"),
    ] {
        let output = overload(args, temporary.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(names), "{said}");
    }
}
