//! What cannot be is refused with one line that names the fix, and the contract's exit code.

use crate::common::*;
use crate::world::{INTERFACE, ip, ip_at_server, serve};

/// Options of a server that need no memory to speak of.
pub const SMALL: [&str; 10] =
    ["--workers", "1", "--cores", "none", "--sessions", "1000", "--accounts", "1000", "--packets", "1000"];

/// Without these no AF_XDP: capabilities that a server under it can never have.
pub const UNPRIVILEGED: [&str; 3] = ["setpriv", "--bounding-set", "-net_raw,-net_admin,-bpf,-sys_admin"];

/// No memory to lock, and no right to lock it anyway.
pub const NO_MEMORY: [&str; 5] = ["setpriv", "--bounding-set", "-ipc_lock", "prlimit", "--memlock=0:0"];

/// Whether the wrapper's programs are not installed; then that is said.
pub fn is_missing(wrapper: &[&str]) -> bool {
    let mut programs = wrapper.iter().filter(|word| ["setpriv", "prlimit"].contains(word));
    let missing = |program: &&&str| std::process::Command::new(program).arg("--version").output().is_err();
    programs
        .find(missing)
        .inspect(|program| eprintln!("skipped: {program} of util-linux is not installed"))
        .is_some()
}

/// Starts a server on the server's side and expects it to refuse: exit code, and every part in its one line.
fn refused_under(wrapper: &[&str], args: &[&str], code: i32, parts: &[&str]) {
    let keys = Keys::new();
    let key = keys.path();
    let mut all = vec!["serve", "--key", key.to_str().unwrap(), "--http", "none"];
    all.extend(SMALL);
    if !args.contains(&"--listen") {
        all.extend(["--listen", "10.77.0.1:7100"]);
    }
    all.extend(args);
    let (got, _, stderr) = at_server(|| run_to_end_under(wrapper, &all));
    assert_eq!(got, code, "{args:?}: {stderr}");
    // Before it there may be warnings of the log; clap's usage errors have lines of their own behind it.
    let said: Vec<&str> = stderr.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert!(said.len() == 1 || code == 2 && stderr.contains("--help"), "{args:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}");
    }
}

fn refused(args: &[&str], code: i32, parts: &[&str]) {
    refused_under(&[], args, code, parts);
}

#[test]
fn options_that_cannot_be() {
    lab(1);
    let xdp = |interface| ["--io", "xdp", "--iface", interface];
    refused(&xdp("redpkt-none"), 2, &["--iface redpkt-none", "no such interface", "redpkt-s"]);
    refused(&xdp("lo"), 2, &["--iface lo", "no Ethernet interface", "--io mmsg"]);
    refused(&["--io", "xdp"], 2, &["--io xdp", "--iface"]);
    refused(&["--io", "mmsg", "--iface", INTERFACE], 2, &["--iface redpkt-s", "--io xdp"]);
    let elsewhere = [&xdp(INTERFACE)[..], &["--listen", "127.0.0.1:7100"]].concat();
    refused(&elsewhere, 2, &["--iface redpkt-s", "none of the --listen addresses", "10.77.0.1"]);
    for vlan in ["0", "4095", "x"] {
        refused(&[&xdp(INTERFACE)[..], &["--vlan", vlan]].concat(), 2, &["--vlan", vlan]);
    }
    refused(&["--io", "xdp", "--vlan", "7"], 2, &["--iface"]);
    refused(&["--io", "xdp", "--iface", INTERFACE, "--xdp-mode", "fast"], 2, &["--xdp-mode", "native"]);
}

/// Expect: the first server goes on undisturbed.
#[test]
fn an_interface_that_another_server_has() {
    lab(1);
    let keys = Keys::new();
    let first = serve(&keys, &[]);
    for mode in ["auto", "native", "generic"] {
        let args = ["--io", "xdp", "--iface", INTERFACE, "--xdp-mode", mode];
        refused(&args, 3, &["redpkt-s", "another XDP program", "ip link show dev redpkt-s", "--io mmsg"]);
    }
    crate::world::content(first.addr(), &keys, 1..=10);
}

/// Expect: native mode says what is in the way; generic mode serves.
#[test]
fn jumbo_frames() {
    lab(1);
    ip_at_server("link set redpkt-s mtu 9000");
    ip("link set redpkt-c mtu 9000");
    let native = ["--io", "xdp", "--iface", INTERFACE, "--xdp-mode", "native"];
    refused(&native, 3, &["redpkt-s", "native mode", "generic mode", "MTU"]);
    let keys = Keys::new();
    let server = serve(&keys, &["--xdp-mode", "generic"]);
    crate::world::content(server.addr(), &keys, 1..=10);
}

#[test]
fn without_privilege() {
    lab(1);
    if !is_missing(&UNPRIVILEGED) {
        let parts = ["not permitted", "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF", "--io mmsg"];
        refused_under(&UNPRIVILEGED, &["--io", "xdp", "--iface", INTERFACE], 3, &parts);
    }
}

#[test]
fn without_memory_for_frames() {
    lab(1);
    if !is_missing(&NO_MEMORY) {
        let parts = ["locked memory", "ulimit -l", "CAP_IPC_LOCK", "--io mmsg"];
        refused_under(&NO_MEMORY, &["--io", "xdp", "--iface", INTERFACE], 3, &parts);
    }
}
