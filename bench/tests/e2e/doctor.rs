//! `doctor` and `plan` as an operator runs them, beside a real server.

use super::common::*;
use serde_json::Value;

/// What a command prints as JSON, which must succeed and say nothing else.
fn json(args: &[&str]) -> Value {
    let (code, stdout, stderr) = run_to_end(args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}: {stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// Nobody is there.
const NOBODY: &str = "http://127.0.0.1:9";

/// Expect: a line for everything, without a server and beside one; each that is not well has a fix, and what a server
/// dropped is named with where to read on.
#[test]
fn a_machine_and_a_server_are_looked_at() {
    let groups = |checks: &Value| {
        let mut groups: Vec<String> = checks["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| {
                assert_eq!(check["fix"] == "", check["state"] == "ok", "{check}");
                check["what"].as_str().unwrap().split(": ").next().unwrap().to_owned()
            })
            .collect();
        groups.dedup();
        groups
    };
    let alone = groups(&json(&["doctor", "--json", "--http", NOBODY]));
    assert_eq!(alone[..5], ["kernel", "processor", "process", "clock", "sockets"]);
    assert!(!alone.iter().any(|group| group.starts_with("server")), "{alone:?}");
    let keys = Keys::new();
    let server = Server::start(&keys, &["--workers", "1"]);
    Peer::new(server.addr()).send(&[0; 3]);
    server.stats_when("a datagram of 3 bytes is dropped", |stats| stats["drops"]["length"] == 1);
    let http = format!("http://{}", server.http());
    let beside = json(&["doctor", "--json", "--http", &http]);
    assert_eq!(groups(&beside).last(), Some(&format!("server at {http}")));
    let check = |what: &str| {
        let found = beside["checks"].as_array().unwrap().iter().find(|check| check["what"] == what);
        found.unwrap_or_else(|| panic!("no {what:?} in {beside}"))
    };
    let drops = check(&format!("server at {http}: drops"));
    assert!(drops["effect"].as_str().unwrap().contains("length 1"), "{drops}");
    assert!(drops["fix"].as_str().unwrap().contains("docs/OPERATING.md#drops"), "{drops}");
    assert_eq!(check(&format!("server at {http}: steering"))["state"], "ok");
    assert!(check("processor: cores")["effect"].as_str().unwrap().contains("1 workers"));
    let (_, table, _) = run_to_end(&["doctor", "--http", NOBODY]);
    assert!(table.starts_with("WHAT ") && table.trim_end().ends_with(" broken"), "{table}");
}

/// Expect: figures in both forms; costs from a file; bad input is one line with the option, exit code 2.
#[test]
fn an_event_is_planned() {
    let plan = json(&["plan", "--json", "--memory-mib", "16384"]);
    assert_eq!((&plan["machines"], plan["needs"].as_array().unwrap().len()), (&Value::from(1), 4));
    let (code, table, _) = run_to_end(&["plan", "--users", "10M", "--qps", "1_000k", "--failures", "33%"]);
    assert!(code == 0 && table.contains("10,000,000 users / 25 s"), "{table}");
    let example = json(&["plan", "--example", "wechat-2015", "--json"]);
    assert_eq!(example["plans"].as_array().unwrap().len(), 2);
    let (_, table, _) = run_to_end(&["plan", "--example", "wechat-2015"]);
    assert!(table.contains("does not follow") && table.contains("follow\n"), "{table}");
    let keys = Keys::new();
    let file = keys.file("floor.json");
    std::fs::write(
        &file,
        r#"{"variants": [{"name": "redpkt_mmsg", "cpu_ns_per_answer": {"median": 1000}}]}"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let costs = &json(&["plan", "--json", "--cost", file])["costs"];
    assert_eq!(costs["answer_cpu_ns"]["value"], 1000.0);
    for (args, part) in [
        (&["--users", "0"][..], "--users 0"),
        (&["--users", "some"], "1_000_000"),
        (&["--headroom", "100%"], "--headroom 100%"),
        (&["--machines", "0"], "--machines 0"),
        (&["--keepalive", "soon"], "--keepalive"),
        (&["--cost", "/none.json"], "--cost /none.json"),
        (&["--cost", file, "--io", "xdp"], "redpkt_xdp"),
        (&["--http", "eth0"], "--http eth0"),
        (&["--example", "tea"], "wechat-2015"),
    ] {
        let (code, stdout, stderr) = run_to_end(&[&["plan"], args].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
    assert_eq!(run_to_end(&["plan", "--http", NOBODY]).0, 3);
}
