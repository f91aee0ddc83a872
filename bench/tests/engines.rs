//! `engines` as a command: its exit code, what its JSON promises, and that nothing of it is left.

use redpkt_bench::lab::Lab;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const FIELDS: [&str; 5] = ["answers_per_s", "cpu_ns_per_answer", "machine_ns_per_answer", "p50_us", "p99_us"];

/// Whether there can be no lab here; then the reason is said.
fn is_skipped() -> bool {
    Lab::why_not().inspect(|why| eprintln!("skipped: {why}")).is_some()
}

/// Runs it to its end, with a directory for temporary files of its own; its process id too.
fn engines(args: &[&str], temporary: &Path) -> (u32, Output) {
    let child = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"))
        .arg("engines")
        .args(args)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child.id(), child.wait_with_output().unwrap())
}

/// The interfaces of the namespace that these tests are run in.
fn interfaces() -> Vec<u8> {
    Command::new("ip").args(["-brief", "link"]).output().unwrap().stdout
}

/// Whether a process lives that was started as a child of that one.
fn has_children(parent: u32) -> bool {
    let mark = format!("REDPKT_BENCH_PARENT={parent}\0").into_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut environments = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environments.any(|environment| environment.windows(mark.len()).any(|part| part == mark))
}

/// Runs it, and expects success and nothing left behind.
fn report(args: &[&str]) -> Value {
    let (temporary, before) = (tempfile::tempdir().unwrap(), interfaces());
    let (id, output) = engines(args, temporary.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!has_children(id), "a server is left");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "files are left");
    assert_eq!(interfaces(), before, "an interface is left");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_spread(spread: &Value) {
    let [min, median, max] = ["min", "median", "max"].map(|field| spread[field].as_f64().unwrap());
    assert!(min >= 0.0 && min <= median && median <= max, "{spread}");
}

/// Of each variant all figures, of each but the first its ratios.
fn assert_variants(report: &Value, pairs: usize, names: &[&str]) {
    assert_eq!(report["pairs"], pairs);
    assert_eq!(report["variants"].as_array().unwrap().len(), names.len());
    for (variant, name) in report["variants"].as_array().unwrap().iter().zip(names) {
        assert_eq!(variant["name"], *name);
        FIELDS.iter().for_each(|field| assert_spread(&variant[*field]));
        assert!(variant["answers_per_s"]["min"].as_f64() > Some(0.0), "{variant}");
    }
    assert_eq!(report["ratios"].as_object().unwrap().len(), names.len() - 1);
    for name in &names[1..] {
        let ratio = &report["ratios"][*name];
        ["answers", "cpu"].iter().for_each(|field| assert_spread(&ratio[*field]));
        assert!(ratio.get("machine").is_some());
    }
}

/// Expect: the contract's names and fields, the ratios that the engine is judged by, what AF_XDP was got, and on
/// what it was measured.
#[test]
fn engines_writes_what_the_contract_says() {
    if is_skipped() {
        return;
    }
    let args = ["--quick", "--users=300", "--outstanding=16", "--xdp-mode=native", "--json=-"];
    let report = report(&args);
    assert_variants(&report, 3, &["echo_mmsg", "redpkt_mmsg", "echo_xdp", "redpkt_xdp"]);
    for pair in ["redpkt_xdp/redpkt_mmsg", "redpkt_xdp/echo_xdp"] {
        ["answers", "cpu"].iter().for_each(|field| assert_spread(&report["pairwise"][pair][*field]));
    }
    let settings = &report["settings"];
    assert_eq!((&settings["outstanding"], &settings["users"]), (&16.into(), &300.into()));
    assert_eq!((&settings["client"], &settings["peers"]), (&"xdp".into(), &300.into()));
    assert_eq!(settings["xdp_mode"], "native");
    assert_eq!(settings["xdp"]["redpkt_xdp"]["mode"], "native");
    assert!(settings["cores"]["server"].is_u64() && settings["cores"]["client"].is_u64());
    assert!(report["host"]["commit"].is_string() && report["host"]["kernel"].is_string());
    assert_eq!(report["ladder"], false);
}

/// Expect: each rung in its place and its mode, and a picture with all of them. Here with kernel sockets as the
/// client.
#[test]
fn the_ladder_is_measured_and_drawn() {
    if is_skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let svg = directory.path().join("ladder.svg");
    let args = ["--ladder", "--pairs=1", "--seconds=0.05", "--users=100", "--outstanding=8", "--json=-"];
    let sockets = ["--client=sockets", "--source-ports=3", "--svg", svg.to_str().unwrap()];
    let report = report(&[&args[..], &sockets].concat());
    let rungs = ["batch_1", "batch_64", "steered", "spinning", "xdp_generic", "xdp_native"];
    assert_variants(&report, 1, &rungs);
    for mode in ["generic", "native"] {
        assert_eq!(report["settings"]["xdp"][format!("xdp_{mode}")]["mode"], mode);
    }
    assert_eq!(report["settings"]["peers"], 3);
    assert_eq!(report["ladder"], true);
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg ") && rungs.iter().all(|rung| svg.contains(rung)), "{svg}");
}

/// Expect: one line that names the option, and exit code 2.
#[test]
fn options_that_cannot_be_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    for (args, names) in [
        (&["--users=10", "--outstanding=6"][..], "--outstanding 6"),
        (&["--seconds=0", "--pairs=1"], "--seconds 0"),
        (&["--source-ports=3"], "--source-ports 3"),
        (&["--svg=ladder.svg"], "--ladder"),
        (&["--ladder", "--xdp-mode=native"], "--xdp-mode"),
        (&["--xdp-mode=fast"], "auto, native or generic"),
    ] {
        let (_, output) = engines(args, temporary.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(names), "{said}");
    }
}

/// Expect: without the capabilities exit code 3, and one line that names them.
#[test]
fn without_privileges_one_line_says_what_is_needed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redpkt-bench"));
    if Lab::why_not().is_none() {
        command = Command::new("setpriv");
        command.args(["--bounding-set", "-all", env!("CARGO_BIN_EXE_redpkt-bench")]);
    }
    let output = match command.args(["engines", "--quick"]).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: setpriv: {error}"),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(3), 1), "{stderr}");
    assert!(stderr.starts_with("redpkt-bench: a lab "), "{stderr}");
}
