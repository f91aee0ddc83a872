//! The captures in `samples/`: each shows what it is there for. They are of real runs, so that counts differ when they
//! are made anew, and what follows from what does not.

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{run, show_json, stats, text};

fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(file)
}

/// What `stats` says of a sample, opened with its key log. Of an honest run all frames open.
fn of(name: &str) -> Value {
    let stats =
        stats(&sample(&format!("{name}.pcap")), &["--keylog", text(&sample(&format!("{name}.keys")))]);
    assert_eq!((&stats["cut_short"], &stats["evicted_users"]), (&false.into(), &0.into()));
    assert_eq!(stats["sealed"]["no_key"], 0);
    stats
}

fn number(stats: &Value, pointer: &str) -> u64 {
    let number = stats.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("no number at {pointer} of {stats}"))
}

/// What holds where nothing is lost and nobody attacks.
fn is_clean(stats: &Value) {
    for pointer in
        ["/lost", "/duplicates", "/reordered", "/unanswered", "/sealed/tag", "/handshake_retransmissions"]
    {
        assert_eq!(number(stats, pointer), 0, "{pointer}");
    }
    assert_eq!(stats["not_redpkt"], serde_json::json!({}));
}

#[test]
fn handshake() {
    let stats = of("handshake");
    is_clean(&stats);
    assert_eq!(stats["link_types"], serde_json::json!({ "ETHERNET": 18 }));
    for (op, way) in [("HELLO", "in"), ("CHALLENGE", "out"), ("JOIN", "in"), ("WELCOME", "out")] {
        assert_eq!(number(&stats, &format!("/ops/{op}/{way}")), 3, "{op}");
    }
    assert_eq!((number(&stats, "/sessions"), number(&stats, "/shake/miss")), (3, 3));
}

/// Expect: the server's key file opens what the key log opens, and says of each handshake that it is right; a copy of
/// it that others may use is refused; another one opens nothing, and that is said.
#[test]
fn handshake_with_the_servers_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::copy(sample("handshake.key"), &key).unwrap();
    let set_mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&key, mode).unwrap();
    };
    set_mode(0o644);
    let capture = sample("handshake.pcap");
    let refused = run(&["stats", text(&capture), "--key", text(&key)]);
    assert_eq!(refused.status.code(), Some(2));
    set_mode(0o600);
    let by_key = stats(&capture, &["--key", text(&key)]);
    assert_eq!(by_key["opened"], of("handshake")["opened"]);
    let other: String = std::fs::read_to_string(&key).unwrap().replace("1 ", "9 ");
    std::fs::write(&key, other).unwrap();
    let output = run(&["stats", text(&capture), "--key", text(&key)]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrong key file?"));
}

#[test]
fn shake_and_win() {
    let stats = of("shake");
    is_clean(&stats);
    let (won, opened) = (number(&stats, "/shake/win"), number(&stats, "/open/ok"));
    assert!(won > 0 && won == opened && number(&stats, "/open/fen") >= won);
    assert_eq!(number(&stats, "/shake/sent"), won + number(&stats, "/shake/miss"));
    assert_eq!((number(&stats, "/retransmissions"), number(&stats, "/users")), (0, 20));
    // The amounts of the single answers add up to the sum.
    let frames = show_json(&sample("shake.pcap"), &["--keylog", text(&sample("shake.keys")), "--op", "open"]);
    let fen: u64 = frames.iter().filter_map(|frame| frame["body"]["fen"].as_u64()).sum();
    assert_eq!(fen, number(&stats, "/open/fen"));
}

#[test]
fn loss_with_retransmission() {
    let stats = of("loss");
    let (requests, again) = (number(&stats, "/requests"), number(&stats, "/retransmissions"));
    assert!(again > requests / 10 && again < requests, "{again} of {requests}");
    for pointer in ["/lost", "/duplicates", "/reordered", "/handshake_retransmissions", "/shake/repeated_win"]
    {
        assert!(number(&stats, pointer) > 0, "{pointer}");
    }
    // Whatever is lost on the way, what came is answered, and each win is one.
    assert_eq!((number(&stats, "/unanswered"), number(&stats, "/sealed/tag")), (0, 0));
    assert_eq!(number(&stats, "/shake/win"), number(&stats, "/open/ok"));
}

/// Expect: a replayed session frame is a duplicate and is not answered; replayed HELLOs are answered by CHALLENGEs, as
/// from any stranger, and replayed JOINs not at all.
#[test]
fn replay_attack() {
    let stats = of("replay");
    let answered = number(&stats, "/answers");
    assert!(answered > 0 && number(&stats, "/duplicates") == answered);
    assert_eq!(number(&stats, "/requests"), answered);
    let count = |op: &str, way: &str| number(&stats, &format!("/ops/{op}/{way}"));
    assert_eq!((count("HELLO", "in"), count("CHALLENGE", "out")), (20, 20));
    assert_eq!((count("JOIN", "in"), count("WELCOME", "out")), (20, 10));
    assert_eq!(number(&stats, "/shake/repeated_win") + number(&stats, "/shake/repeated_miss"), 0);
}

/// Expect: each sort of garbage under its reason, and the honest users beside it untouched.
#[test]
fn flood_of_garbage() {
    let stats = of("garbage");
    for reason in ["length", "truncated", "version", "op", "direction", "mixed_users"] {
        assert!(number(&stats, &format!("/not_redpkt/{reason}")) > 0, "{reason}");
    }
    assert_eq!(number(&stats, "/sealed/tag"), 20);
    assert_eq!(number(&stats, "/refusals/TicketKey"), 20);
    assert!(number(&stats, "/refusals/Version") >= 20);
    assert_eq!((number(&stats, "/shake/sent"), number(&stats, "/unanswered")), (50, 0));
    let drops = run(&["show", text(&sample("garbage.pcap")), "--drops", "--json"]);
    let drops = String::from_utf8(drops.stdout).unwrap();
    let not_redpkt = drops.lines().filter(|line| line.contains("\"not_redpkt\":")).count() as u64;
    let counted: u64 = stats["not_redpkt"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(not_redpkt, counted);
}

/// Expect: every op about money between users, and what is told of it hangs together: a packet that is sent is made
/// once, and its recipients are invited.
#[test]
fn money() {
    let stats = of("money");
    for op in ["SEND", "GRAB", "SHARE", "OPEN", "BALANCE", "HISTORY"] {
        assert!(number(&stats, &format!("/outcomes/{op}/Ok")) > 0, "{op}");
    }
    assert_eq!(number(&stats, "/ops/INVITE/out"), number(&stats, "/ops/INVITE_OK/in"));
    let keys = sample("money.keys");
    let frames = show_json(&sample("money.pcap"), &["--keylog", text(&keys)]);
    let bodies = |op: &'static str, direction: &'static str| {
        let is_so = move |frame: &&Value| frame["op"] == op && frame["direction"] == direction;
        frames.iter().filter(is_so).map(|frame| &frame["body"])
    };
    let sent = bodies("SEND", "to_client").filter(|body| body["status"] == "Ok");
    let sent: std::collections::BTreeSet<u64> = sent.map(|body| body["packet"].as_u64().unwrap()).collect();
    assert_eq!(sent.len() as u64, number(&stats, "/outcomes/SEND/Ok"));
    assert!(bodies("INVITE", "to_client").all(|body| sent.contains(&body["packet"].as_u64().unwrap())));
}

#[test]
fn overload() {
    let stats = of("overload");
    // 16 × log2 of the queueing time in µs: some 30 ms and more.
    assert!(number(&stats, "/load_level_max") >= 16 * 15, "{}", stats["load_level_max"]);
    assert!(number(&stats, "/refusals/Load") > 0 && number(&stats, "/retransmissions") > 0);
    // One user in ten of 500.
    assert!((20..100).contains(&number(&stats, "/users")));
    assert_eq!(number(&stats, "/sealed/tag"), 0);
}
