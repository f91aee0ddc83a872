//! SETs by the operator's word: drained, resumed, and after a drill's panic rebuilt while the rest serves.

use super::common::*;
use nix::sys::signal::Signal;
use redpkt_proto::body::Status;
use redpkt_proto::client::{Call, Config};
use redpkt_proto::steer::Layout;
use std::time::Duration;

const LAYOUT: Layout = Layout { sets: 4, groups: 2, workers: 1 };

/// A server whose users win whenever they shake.
fn start(keys: &Keys, ledger: &Ledger, more: &[&str]) -> Server {
    let url = ledger.url();
    let args = ["--groups", "2", "--sets", "4", "--ledger", &url, "--mint", "2000", "--mint-total", "4000"];
    Server::start(keys, &[&args[..], more].concat())
}

fn users_of(set: u32) -> impl Fn(&u64) -> bool {
    move |user| LAYOUT.set_of(*user) == set
}

fn state_is(server: &Server, set: usize, state: &str) {
    server.stats_when("the SET's state", |stats| stats["sets"][set]["state"] == state);
}

/// Expect: a drained SET gives its users no wins and says so in the figures; resumed, it does again. What is no SET or
/// no verb is refused by name, and so is resuming nothing that is masked by `rebuild`.
#[test]
fn a_set_is_drained_and_resumed_by_hand() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &[]);
    let mut client = Client::new(server.addr(), &keys, 1..=40, 2, Config::default());
    client.join_all();
    server.stats_when("packets in SET 1", |stats| stats["sets"][1]["pool_packets"].as_u64() > Some(100));
    let reply = server.ask("POST", "/sets/1/drain");
    assert_eq!((reply.status, &reply.json()["state"]), (200, &"draining".into()), "{reply:?}");
    state_is(&server, 1, "draining");
    client.want_shakes(1);
    client.finish();
    let is_own = users_of(1);
    assert!(client.tally.won.values().all(|user| !is_own(user)), "a drained SET gives nothing");
    assert!(!client.tally.won.is_empty(), "the others do");
    let reply = server.ask("POST", "/sets/1/resume");
    assert_eq!((reply.status, &reply.json()["state"]), (200, &"ok".into()), "{reply:?}");
    client.want_shakes(1);
    client.finish();
    assert!(client.tally.won.values().any(is_own), "a SET that was resumed gives again");
    for (target, status, says) in [
        ("/sets/4/drain", 404, "there are SETs 0 to 3"),
        ("/sets/-1/drain", 404, "no SET has this number"),
        ("/sets/1/explode", 404, "drain, resume, rebuild and panic"),
        ("/sets/1/rebuild", 409, "not masked"),
        ("/sets/1/panic", 403, "--drills"),
    ] {
        let reply = server.ask("POST", target);
        assert!(reply.status == status && reply.body.contains(says), "{target}: {reply:?}");
    }
    let states = |stats: &serde_json::Value| (0..4).all(|set| stats["sets"][set]["state"] == "ok");
    assert!(states(&server.stats()), "what is refused changes nothing");
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    ledger.audit();
}

/// Expect: a SET that panics is masked and says so; its users are told to come again, users of the others are served
/// without a refusal, also while it is rebuilt; then its users are back, with the money that they had.
#[test]
fn a_set_that_panics_is_rebuilt_while_the_rest_serves() {
    let (keys, ledger) = (Keys::new(), Ledger::new());
    let server = start(&keys, &ledger, &["--drills"]);
    let config = Config { deadline_ns: 2_000_000_000, ..Config::default() };
    let mut client = Client::new(server.addr(), &keys, 1..=40, 2, config);
    client.join_all();
    client.want_shakes(3);
    client.finish();
    let own: Vec<u64> = (1..=40).filter(users_of(2)).collect();
    let others: Vec<u64> = (1..=40).filter(|user| !users_of(2)(user)).collect();
    let balances: Vec<u64> = own.iter().map(|user| client.balance(*user)).collect();

    let reply = server.ask("POST", "/sets/2/panic");
    assert_eq!((reply.status, &reply.json()["state"]), (200, &"masked".into()), "{reply:?}");
    assert_eq!(server.get("/healthz").body, "degraded: set 2 masked\n");
    assert_eq!(server.stats()["workers"][0]["panics"], 1);
    assert_eq!(server.ask("POST", "/sets/2/panic").status, 409, "it has panicked already");
    assert_eq!(server.ask("POST", "/sets/2/drain").status, 409);
    assert_eq!(server.ask("POST", "/sets/9/panic").status, 404);
    let refused_before = client.tally.refused.len();
    own.iter().chain(&others).for_each(|user| client.want(*user, Call::Shake));
    client.finish();
    let refused = &client.tally.refused[refused_before..];
    assert_eq!(refused.len(), own.len(), "each of its users is told, and nobody else: {refused:?}");
    assert!(refused.iter().all(|(user, _, status)| own.contains(user) && *status == Status::Busy));
    assert!(client.tally.unknown.is_empty(), "{:?}", client.tally.unknown);

    let rebuilt = std::thread::scope(|scope| {
        let rebuilt = scope.spawn(|| server.ask("POST", "/sets/2/rebuild"));
        others.iter().for_each(|user| client.want(*user, Call::Shake));
        client.finish();
        rebuilt.join().unwrap()
    });
    assert_eq!((rebuilt.status, &rebuilt.json()["state"]), (200, &"ok".into()), "{rebuilt:?}");
    assert!(rebuilt.json()["rows"].as_u64() > Some(0), "{rebuilt:?}");
    assert_eq!(client.tally.refused.len(), refused_before + own.len(), "the others see nothing");
    assert_eq!(server.get("/healthz").body, "ok\n");
    // Its users hear that their sessions are gone when they speak, and join again.
    client.drive_for(Duration::from_millis(50));
    let after: Vec<u64> = own.iter().map(|user| client.balance(*user)).collect();
    assert_eq!(after, balances, "what they had they have");
    let (status, _, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    ledger.audit();
}
