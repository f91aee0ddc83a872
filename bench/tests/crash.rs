//! `crash` as a command: the server is killed, and both sides' money is the same to the fen.

use std::process::Command;

/// Expect: 5 kills, exit code 0, as many fen with the clients as in the ledger, and no file left behind.
#[test]
fn five_kills_lose_and_double_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .args(["crash", "--times=5", "--users=300", "--qps=800", "--json=-"])
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["kills"], &report["audit"]), (&5.into(), &"clean".into()), "{said}");
    assert!(report["fen_clients"].as_u64() > Some(0), "{said}");
    assert_eq!((&report["fen_clients"], &report["unheard"]), (&report["fen_ledger"], &0.into()), "{said}");
    assert!(report["rejoins"].as_u64() >= Some(300) && said.contains("seed "), "{said}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
