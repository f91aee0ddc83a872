//! `floor` as a command: its exit code and what its JSON promises.

use serde_json::Value;
use std::process::Command;

/// What it reports of two short pairs.
fn floor(more: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .args(["floor", "--pairs=2", "--seconds=0.1", "--json=-"])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Expect: both variants under both loads, spreads in order, one ratio, and whoever reads it learns on what
/// it was measured.
#[test]
fn floor_writes_what_the_contract_says() {
    let report = floor(&["--users=300", "--source-ports=3", "--outstanding=16", "--rate=2000"]);
    for comparison in [&report, &report["fixed_rate"]] {
        assert_eq!(comparison["pairs"], 2);
        for (variant, name) in ["echo_mmsg", "redpkt_mmsg"].into_iter().enumerate() {
            let variant = &comparison["variants"][variant];
            assert_eq!(variant["name"], name);
            for field in ["answers_per_s", "cpu_ns_per_answer", "machine_ns_per_answer", "p50_us", "p99_us"] {
                assert_spread(&variant[field]);
            }
        }
        let ratio = &comparison["ratios"]["redpkt_mmsg"];
        assert_spread(&ratio["answers"]);
        assert_spread(&ratio["cpu"]);
    }
    assert_eq!(report["settings"]["outstanding"], 16);
    assert!(report["host"]["commit"].is_string());
}

fn assert_spread(spread: &Value) {
    let [min, median, max] = ["min", "median", "max"].map(|field| spread[field].as_f64().unwrap());
    assert!(min >= 0.0 && min <= median && median <= max, "{spread}");
}

/// Expect: one line that names the option, and exit code 2.
#[test]
fn options_that_cannot_be_are_refused() {
    for (arguments, names) in [
        (["--users=10", "--outstanding=6"], "--outstanding 6"),
        (["--outstanding=0", "--rate=0"], "--outstanding 0 and --rate 0"),
        (["--seconds=0", "--pairs=1"], "--seconds 0"),
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_redpkt-bench")).arg("floor").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(names), "{said}");
    }
}

/// Expect: with `--telemetry` the server stands beside itself, and the ratio comes with its quartiles.
#[test]
fn telemetry_is_compared_with_none() {
    let report = floor(&["--telemetry", "--users=300", "--rate=0"]);
    assert_eq!(report["variants"][0]["name"], "telemetry_off");
    let cpu = &report["ratios"]["telemetry_on"]["cpu"];
    assert!(
        cpu["median"].as_f64() > Some(0.0) && cpu["quartiles"][1].as_f64() >= cpu["quartiles"][0].as_f64()
    );
}

/// Expect: with `--capture` the server stands beside itself twice; a capture of all users holds every datagram that was
/// asked and answered, or says what it lost, and one of few users holds few.
#[test]
fn captures_are_compared_with_none() {
    let report = floor(&["--capture", "--users=3000", "--rate=0"]);
    assert!(report["ratios"]["capture_1_in_1000"]["cpu"]["median"].as_f64() > Some(0.0), "{report}");
    let captured = |at: usize| {
        let of = &report["captured"][at];
        (
            of["name"].as_str().unwrap(),
            of["datagrams"].as_u64().unwrap(),
            of["datagrams_lost"].as_u64().unwrap(),
        )
    };
    let ((few_name, few, _), (all_name, all, all_lost)) = (captured(0), captured(1));
    assert_eq!((few_name, all_name), ("capture_1_in_1000", "capture_all"));
    // Every user says HELLO and JOIN, and is answered.
    assert!(all + all_lost >= 4 * 3_000 && 20 * few < all + all_lost, "{report}");
}
