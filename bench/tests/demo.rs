//! `demo` as a command: both sides agree, and nothing is left.

use std::process::Command;

/// Expect: exit code 0, a line for each second, a verdict, and no file left behind.
#[test]
fn a_small_demo_ends_well_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .args(["demo", "--users=300", "--qps=500", "--seconds=2"])
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    assert!(said.contains("300 sessions opened") && said.contains("shakes answered"), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("OK: ")), "{said}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// Expect: a capture that is there is not taken for that of this run, and nothing is started.
#[test]
fn a_capture_that_is_there_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .args(["demo", "--quick", "--pcap"])
        .arg(file.path())
        .output()
        .unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{failed}");
    assert!(failed.contains("it is there already; name another file"), "{failed}");
}
