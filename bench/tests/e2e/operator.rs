//! What operators get wrong: one clear line that names the option and the fix, and the contract's exit code.

use super::common::*;
use std::net::{TcpListener, UdpSocket};

/// Runs `serve` with these options, which must fail with this code and one line that has all these parts.
fn fails(code: i32, args: &[&str], parts: &[&str]) {
    let args: Vec<&str> = std::iter::once("serve").chain(args.iter().copied()).collect();
    let (ended, stdout, stderr) = run_to_end(&args);
    assert_eq!(ended, code, "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    // That money in memory is gone with the process is said before.
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.contains("WARN --ledger memory:")).collect();
    // clap's own messages end with a hint on --help.
    let is_one_line = lines.len() == 1 && lines[0].starts_with("redpkt: ");
    assert!(is_one_line || lines[0].starts_with("error: "), "{args:?}: {stderr}");
    parts.iter().for_each(|part| assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}"));
}

/// A key file, and the options that every good server here has.
struct Good {
    keys: Keys,
    key: String,
}

impl Good {
    fn new() -> Good {
        let keys = Keys::new();
        Good { key: keys.path().to_str().unwrap().to_owned(), keys }
    }

    /// Fails with these options, and with a good one for everything else.
    fn fails(&self, code: i32, args: &[&str], parts: &[&str]) {
        let mut all = vec!["--key", self.key.as_str()];
        for (name, value) in
            [("--listen", "127.0.0.1:0"), ("--http", "none"), ("--cores", "none"), ("--sessions", "1000")]
        {
            if !args.contains(&name) {
                all.extend([name, value]);
            }
        }
        all.extend(args);
        fails(code, &all, parts);
    }
}

/// Expect: a port that another server of ours has is taken, exit code 3; that server goes on.
#[test]
fn a_port_of_another_server_of_ours_is_taken() {
    let good = Good::new();
    for workers in ["1", "4"] {
        let keys = Keys::new();
        let server = Server::start(&keys, &["--workers", workers]);
        let peer = Peer::new(server.addr());
        let mut user = Hand::join(&peer, &keys.ticket(1));
        let addr = server.addr().to_string();
        for second in ["1", "4"] {
            good.fails(
                3,
                &["--listen", &addr, "--workers", second],
                &[&format!("--listen {addr}"), "the port is taken", "choose another port"],
            );
        }
        user.shake_and_hear(&peer);
        // Its sockets are still its own: other users, whom the steering sends to other workers, too.
        for user in 2..=20 {
            Hand::join(&Peer::new(server.addr()), &keys.ticket(user));
        }
    }
}

/// Expect: so is one that any other program has.
#[test]
fn a_port_of_another_program_is_taken() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    Good::new().fails(3, &["--listen", &addr], &[&format!("--listen {addr}"), "the port is taken"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    Good::new().fails(3, &["--listen", "192.0.2.1:7100"], &["--listen 192.0.2.1:7100", "no such address"]);
}

#[test]
fn an_http_port_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    Good::new().fails(3, &["--http", &addr], &[&format!("--http {addr}"), "--http none"]);
}

/// Expect: exit code 2, and what to do, for a key file that others can read, that is missing or is none.
#[test]
fn a_bad_key_file_is_refused_with_the_fix() {
    let good = Good::new();
    let key = good.key.as_str();
    let listen = ["--listen", "127.0.0.1:0", "--http", "none", "--cores", "none", "--sessions", "1000"];
    let with_key = |args: &[&'static str]| -> Vec<&str> { [&["--key", key], &listen[..], args].concat() };
    for mode in [0o644, 0o640, 0o620, 0o604] {
        good.keys.write(&good.keys.ring.to_text(), mode);
        fails(2, &with_key(&[]), &["--key", &format!("{mode:04o}"), &format!("chmod 0600 {key}")]);
    }
    good.keys.write("", 0o600);
    fails(2, &with_key(&[]), &["--key", "it holds no key", "redpkt keygen"]);
    good.keys.write("7 abc", 0o600);
    fails(2, &with_key(&[]), &["--key", "line 1", "64 hex digits"]);
    std::fs::remove_file(good.keys.path()).unwrap();
    fails(2, &with_key(&[]), &["--key", key, &format!("redpkt keygen --out {key}")]);
    fails(2, &listen, &["--key"]);
}

/// Expect: exit code 2, with the option's name, the value and what is allowed.
#[test]
fn impossible_numbers_are_refused() {
    let good = Good::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    let workers = (cores + 1).to_string();
    let pinned = ["--listen", "127.0.0.1:0", "--http", "none", "--sessions", "1000", "--key", &good.key];
    fails(
        2,
        &[&pinned[..], &["--workers", &workers]].concat(),
        &[&format!("--workers {workers}"), "--cores none"],
    );
    fails(2, &[&pinned[..], &["--cores", "4000"]].concat(), &["--cores", "4000"]);
    for (args, parts) in [
        (&["--sets", "3"][..], &["--sets 3", "a power of two"][..]),
        (&["--sets", "131072"], &["--sets 131072", "65536"]),
        (&["--groups", "5", "--sets", "4"], &["--groups 5", "1 to 4"]),
        (&["--groups", "70000"], &["--groups", "70000", "65536"]),
        (&["--groups", "0"], &["--groups", "0"]),
        (&["--mint-total", "5"], &["--mint"]),
        (&["--mint-fen", "1..5"], &["--mint"]),
        (
            &["--mint", "1", "--mint-total", "9223372036854775807", "--mint-fen", "1..2"],
            &["--mint-total 9223372036854775807", "fen"],
        ),
        (&["--cores", "0,0"], &["--cores", "core 0 twice"]),
        (&["--shakes-per-s", "1001"], &["--shakes-per-s", "1001", "1000"]),
        (&["--listen", "127.0.0.1:9", "--listen", "127.0.0.1:9"], &["--listen 127.0.0.1:9", "twice"]),
        (
            &["--workers", "1", "--groups", "1", "--sessions", "4294967296"],
            &["--sessions 4294967296", "slots on one worker", "4294967295"],
        ),
        (&["--groups", "1", "--workers", "2"], &["--workers 2", "--groups"]),
        (&["--workers", "0"], &["--workers", "0"]),
        (&["--sessions", "0"], &["--sessions", "0"]),
        (&["--sessions=-1"], &["--sessions", "-1"]),
        (&["--sessions", "many"], &["--sessions", "many"]),
        (&["--keepalive", "2s", "--idle", "2s"], &["--keepalive 2s", "--idle"]),
        (&["--idle", "20h"], &["--idle 72000s", "65535"]),
        (&["--idle", "soon"], &["--idle", "soon", "90s"]),
        (&["--mint-fen", "5..1"], &["--mint-fen", "5..1", "MIN..MAX"]),
        (&["--mint", "0"], &["--mint", "0"]),
        (&["--ledger", "mysql:x"], &["--ledger mysql:x", "memory:"]),
        (&["--relay", "localhost:7200"], &["--relay", "localhost:7200", "192.0.2.1:7200"]),
        (&["--relay", "127.0.0.1:0"], &["--relay", "127.0.0.1:0", "no address of a service"]),
        (&["--relay", "0.0.0.0:7200"], &["--relay", "0.0.0.0:7200", "no address of a service"]),
        (&["--prefix-sessions", "few"], &["--prefix-sessions", "few"]),
        (&["--prefix-joins", "4294967296"], &["--prefix-joins", "4294967296"]),
        (&["--pcap", "x.pcap", "--pcap-sample", "2/3"], &["--pcap-sample", "2/3", "1/1000"]),
        (&["--pcap-sample", "1/10"], &["--pcap"]),
        (&["--listen", "localhost"], &["--listen", "localhost"]),
        (&["--http", "nowhere"], &["--http nowhere", "none"]),
        (&["--nonsense", "1"], &["--nonsense"]),
        (&["--machine", "65536"], &["--machine", "65536", "65535"]),
    ] {
        good.fails(2, args, parts);
    }
}

/// Expect: tables that do not fit into memory are refused before anything is laid, exit code 3, with the
/// options that make them smaller.
#[test]
fn sessions_that_do_not_fit_into_memory_are_refused() {
    let available = redpkt::telemetry::memory_available_bytes().unwrap();
    // 100 bytes a session at least.
    if available > 400_000_000_000 {
        return eprintln!("skipped: four billion sessions fit here");
    }
    Good::new().fails(
        3,
        &["--sessions", "4000000000"],
        &["--sessions 4000000000", "MiB", "ask for less", "--accounts"],
    );
}

/// Expect: an HTTP side that others can reach needs a token, and a token that is one.
#[test]
fn http_on_a_reachable_address_needs_a_token() {
    let good = Good::new();
    good.fails(2, &["--http", "0.0.0.0:0"], &["--http 0.0.0.0:0", "--http-token FILE"]);
    let path = &good.keys.file("token");
    let file = path.to_str().unwrap();
    good.fails(2, &["--http", "0.0.0.0:0", "--http-token", file], &["--http-token", file]);
    good.keys.write_file(path, "short\n", 0o600);
    good.fails(2, &["--http", "0.0.0.0:0", "--http-token", file], &["--http-token", "at least 16"]);
    for mode in [0o644, 0o640] {
        good.keys.write_file(path, "correct horse battery staple\n", mode);
        let parts = ["--http-token", &format!("{mode:04o}"), &format!("chmod 0600 {file}")];
        good.fails(2, &["--http", "127.0.0.1:0", "--http-token", file], &parts);
    }
    good.keys.write_file(path, "correct horse battery staple\n", 0o600);
    good.fails(2, &["--http", "none", "--http-token", file], &["--http-token", "--http none"]);
}

/// Expect: keys are never added to a file that others can read; a capture that cannot be made is no server without one.
#[test]
fn files_that_keys_and_datagrams_cannot_be_written_to_are_named() {
    let good = Good::new();
    let path = &good.keys.file("session.keys");
    let file = path.to_str().unwrap();
    good.keys.write_file(path, "", 0o644);
    good.fails(2, &["--keylog", file], &["--keylog", file, "0644", &format!("chmod 0600 {file}")]);
    let nowhere = format!("{file}/x");
    good.fails(3, &["--keylog", &nowhere], &["--keylog", &nowhere, "name a file"]);
    good.fails(3, &["--pcap", &nowhere], &["--pcap", &nowhere, "name a file"]);
}

/// Expect: a value in the TOML file fails as on the command line, with the option's name.
#[test]
fn bad_values_in_the_toml_file_are_named() {
    let good = Good::new();
    let file = good.keys.file("redpkt.toml");
    let config = file.to_str().unwrap();
    for (text, parts) in [
        ("workers = 1.5", &["workers", "float"][..]),
        ("sets = 3", &["--sets 3", "a power of two"]),
        ("idle = \"soon\"", &["--idle", "soon"]),
        ("machine = -1", &["--machine", "-1"]),
        ("nonsense = 1", &["--nonsense"]),
        ("http = false", &["http", "no switch"]),
        ("workers = true", &["workers", "no switch"]),
        ("workers = [1, 2]", &["workers", "list"]),
        ("mint-total = 7", &["--mint"]),
        ("steering = \"perhaps\"", &["--steering", "perhaps", "on, off"]),
        ("workers =", &["--config", config]),
        ("config = \"other.toml\"", &["config"]),
    ] {
        std::fs::write(&file, text).unwrap();
        good.fails(2, &["--config", config], parts);
    }
    std::fs::remove_file(&file).unwrap();
    good.fails(2, &["--config", config], &["--config", config]);
}

/// Expect: good values in the file are taken, and those of the command line win.
#[test]
fn good_values_in_the_toml_file_are_taken() {
    let keys = Keys::new();
    let file = keys.file("redpkt.toml");
    std::fs::write(&file, "sets = 16\ngroups = 4\nsteering = \"off\"\nkeepalive = \"7s\"\n").unwrap();
    let server = Server::start(&keys, &["--config", file.to_str().unwrap(), "--groups", "2"]);
    let stats = server.stats();
    assert_eq!(stats["sets"].as_array().unwrap().len(), 16);
    assert_eq!(stats["groups"].as_array().unwrap().len(), 2);
    let (peer, ticket, client_random) = (Peer::new(server.addr()), keys.ticket(1), random8());
    let cookie = challenge_cookie(&peer, &ticket, &client_random);
    let welcome = peer.ask(&join_frame(&ticket, &client_random, cookie));
    assert_eq!(welcome.body::<redpkt_proto::body::Welcome>().keepalive_s.get(), 7);
}
