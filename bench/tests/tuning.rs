//! `tuning/`: what a profile changes is given back to the byte, however it ends; its scripts and profiles are in order.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn tuning() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tuning")).canonicalize().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tune(args: &[&str]) -> Output {
    Command::new(tuning().join("tune")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// All scripts, to be read from `tuning/`.
const SCRIPTS: [&str; 4] = ["tune", "test", "measure", "test.d/card/ethtool"];

/// Expect: every case of `tuning/test` holds, in namespaces of its own; where there can be none it says so.
#[test]
fn what_profiles_change_is_given_back() {
    let output = Command::new(tuning().join("test")).stdin(Stdio::null()).output().unwrap();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    match output.status.code() {
        Some(0) => println!("{said}"),
        Some(77) => eprintln!("{}", said.trim_end()),
        _ => panic!("{said}{complained}"),
    }
}

/// Expect: shellcheck finds nothing in any script and in what it reads; without shellcheck bash can read them.
#[test]
fn scripts_are_clean() {
    let shellcheck =
        Command::new("shellcheck").args(["-x", "-a"]).args(SCRIPTS).current_dir(tuning()).output();
    if let Ok(output) = shellcheck {
        assert!(output.status.success(), "{}", text(&output.stdout));
        return;
    }
    eprintln!("skipped: shellcheck is not installed; bash reads the scripts instead");
    for script in SCRIPTS {
        let output = Command::new("bash").arg("-n").arg(script).current_dir(tuning()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// Expect: every option that a profile names is one of `redpkt serve`, with a value that it takes.
#[test]
fn serve_has_the_options_that_profiles_name() {
    let program = env!("CARGO_BIN_EXE_redpkt-bench");
    let listed = text(&tune(&["list"]).stdout);
    let mut named = 0;
    for profile in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let shown = text(&tune(&["show", profile]).stdout);
        for options in shown.lines().filter_map(|line| line.split_once("give it to redpkt serve: ")) {
            let options: Vec<&str> = options.1.split(' ').collect();
            // The key is missing, which is looked at after the options themselves.
            let output = Command::new(program)
                .args(["serve", "--key", "/no/such/key"])
                .args(&options)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let complained = text(&output.stderr);
            assert!(complained.contains("/no/such/key"), "{profile}: {options:?}: {complained}");
            named += 1;
        }
    }
    assert!(named >= 3, "{listed}");
}
