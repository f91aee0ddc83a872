//! What a server gives up, by the operator's word and by its table.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::Op;
use redpkt_proto::body::{Refusal, RefusalCode};
use redpkt_proto::client::Config;

const TABLE: &str = "[[level]]\nname = \"full\"\n[[level]]\nname = \"tight\"\nabove_ms = 5\nbelow_ms = 2\noff = [\"join\", \"read\"]\n";

/// Expect: at a level that is kept to by hand its switches are off and sessions that are there go on; a switch by hand
/// comes before the level; what is no level or switch is refused and changes nothing.
#[test]
fn levels_and_switches_are_kept_to_until_they_are_let_go() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--workers", "1"]);
    let mut client = Client::new(server.addr(), &keys, 1..=1, 1, Config::default());
    client.join_all();
    let post = |target: &str| server.ask("POST", target);
    assert_eq!(post("/service?level=overloaded").status, 200);
    server.stats_when("the level", |stats| stats["service"]["name"] == "overloaded");
    let stats = server.stats();
    assert_eq!(stats["service"]["forced"], true);
    assert_eq!(stats["service"]["off"], serde_json::json!(["mint", "invites", "prompt", "join", "read"]));
    let peer = Peer::new(server.addr());
    let frame = hello(&keys.ticket(2), &random8());
    peer.send_frames(&[frame]);
    let refused = peer.hear_one();
    assert_eq!(refused.header.op, Op::Error as u8);
    assert_eq!(RefusalCode::from_wire(refused.body::<Refusal>().code), Some(RefusalCode::Busy));
    assert_eq!(post("/service/join?state=on").status, 200);
    server.stats_when("joins", |stats| {
        stats["service"]["off"] == serde_json::json!(["mint", "invites", "prompt", "read"])
    });
    let mut other = Client::new(server.addr(), &keys, 2..=2, 1, Config::default());
    other.join_all();
    for (target, status, says) in [
        ("/service?level=9", 400, "0 to 3, one of full, busy, loaded, overloaded, or auto"),
        ("/service", 400, "level="),
        ("/service/join?state=perhaps", 400, "on, off or auto"),
        ("/service/chat?state=off", 404, "mint, invites, prompt, give, shake, join and read"),
    ] {
        let reply = post(target);
        assert!(reply.status == status && reply.body.contains(says), "{target}: {reply:?}");
    }
    assert_eq!(server.stats()["service"]["name"], "overloaded");
    assert_eq!(post("/service?level=auto").status, 200);
    server.stats_when("full service", |stats| stats["service"]["level"] == 0);
    assert_eq!(server.stats()["service"]["shed"]["join"], 1);
}

/// Expect: the table is read at the start and again on SIGHUP; one that cannot be leaves the one that was, and at the
/// start it ends the server with a line that says what is wrong.
#[test]
fn the_table_is_read_again_and_a_wrong_one_is_not_taken() {
    let (keys, directory) = (Keys::new(), tempfile::tempdir().unwrap());
    let file = directory.path().join("service.toml");
    std::fs::write(&file, TABLE).unwrap();
    let server = Server::start(&keys, &["--workers", "1", "--service", file.to_str().unwrap()]);
    assert_eq!(server.ask("POST", "/service?level=tight").status, 200);
    server.stats_when("the level of the file", |stats| stats["service"]["name"] == "tight");
    std::fs::write(&file, TABLE.replace("tight", "tighter")).unwrap();
    server.signal(Signal::SIGHUP);
    wait_for("the table", || (!server.logged("levels of service read again").is_empty()).then_some(()));
    assert_eq!(server.ask("POST", "/service?level=tight").status, 400);
    assert_eq!(server.ask("POST", "/service?level=tighter").status, 200);
    std::fs::write(&file, TABLE.replace("below_ms = 2", "below_ms = 5")).unwrap();
    server.signal(Signal::SIGHUP);
    wait_for("the refusal", || {
        (!server.logged("levels of service stay as they were").is_empty()).then_some(())
    });
    assert_eq!(server.ask("POST", "/service?level=tighter").status, 200);
    let file = file.to_str().unwrap();
    let (code, _, said) = run_to_end(&["serve", "--key", keys.path().to_str().unwrap(), "--service", file]);
    assert!(code == 2 && said.contains("below_ms must be less than above_ms"), "{code}: {said}");
}
