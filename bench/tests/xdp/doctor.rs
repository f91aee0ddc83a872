//! `doctor` beside a server on an interface: what it says of both is what they have.

use crate::common::*;
use crate::world::{INTERFACE, ip_at_server, serve};
use serde_json::Value;

/// What `doctor` finds on the server's side: each check's words by what it is about.
fn found(args: &[&str]) -> Vec<(String, String, String)> {
    let (code, stdout, stderr) = at_server(|| run_to_end(&[&["doctor", "--json"], args].concat()));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let checks = json["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            assert_eq!(check["fix"] == "", check["state"] == "ok", "{check}");
            (text(check, "what"), text(check, "state"), text(check, "effect"))
        })
        .collect()
}

/// The state and effect of one of them.
fn of<'a>(checks: &'a [(String, String, String)], what: &str) -> (&'a str, &'a str) {
    let found = checks.iter().find(|check| check.0 == what);
    let (_, state, effect) = found.unwrap_or_else(|| panic!("no {what:?} in {checks:?}"));
    (state, effect)
}

/// Expect: before, beside and after a server the place on the interface is free, the server's, and free.
#[test]
fn a_server_on_an_interface_is_told() {
    lab(2);
    let keys = Keys::new();
    let before = found(&["--iface", INTERFACE, "--http", "http://127.0.0.1:1"]);
    assert_eq!(of(&before, "redpkt-s: XDP program"), ("ok", "none is attached: the place is free"));
    assert_eq!(of(&before, "redpkt-s: zero-copy").0, "could be better");
    assert_eq!(of(&before, "process: AF_XDP").0, "ok");
    assert_eq!(of(&before, "kernel: AF_XDP").0, "ok");
    assert!(of(&before, "redpkt-s: queues").1.starts_with("receive queues: 2 for "));
    assert!(!before.iter().any(|check| check.0.starts_with("server")), "{before:?}");
    let server = serve(&keys, &["--xdp-mode", "native"]);
    let http = format!("http://{}", server.http());
    let beside = found(&["--http", &http]);
    assert_eq!(of(&beside, "redpkt-s: XDP program"), ("ok", "the running server's, in native mode"));
    let (state, effect) = of(&beside, &format!("server at {http}"));
    assert_eq!(state, "ok");
    assert!(effect.contains("2 queues of redpkt-s, native mode, frames copied once"), "{effect}");
    let blind = found(&["--http", "http://127.0.0.1:1"]);
    assert_eq!(of(&blind, "redpkt-s: XDP program").0, "could be better");
    drop(server);
    ip_at_server("link set redpkt-s mtu 9000");
    let after = found(&[]);
    assert_eq!(of(&after, "redpkt-s: XDP program").0, "ok");
    assert_eq!(of(&after, "redpkt-s: MTU").0, "could be better");
}

/// Expect: a table with a line for each check and its fix, also in a pipe; wrong options are refused.
#[test]
fn it_prints_a_table() {
    lab(1);
    let doctor = |args: &[&str]| at_server(|| run_to_end(&[&["doctor"], args].concat()));
    let (code, stdout, stderr) = doctor(&["--iface", INTERFACE, "--http", "http://127.0.0.1:1"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.starts_with("WHAT ") && stdout.contains("\nredpkt-s: MTU"), "{stdout}");
    let fixes = stdout.lines().filter(|line| line.trim_start().starts_with("fix: ")).count();
    let faults =
        stdout.lines().filter(|line| line.contains("  could be better  ") || line.contains("  broken  "));
    assert!(fixes > 0 && faults.count() == fixes, "{stdout}");
    for (args, part) in [
        (["--iface", "redpkt-none"], "no such interface"),
        (["--iface", "lo"], "no Ethernet interface"),
        (["--http", "eth0"], "--http eth0"),
    ] {
        let (code, _, stderr) = doctor(&args);
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}
