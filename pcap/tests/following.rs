//! What is said of sessions, seqs, requests and answers.

mod support;

use redpkt_proto::body::{RefusalCode, Status};
use redpkt_proto::{Direction, Op};
use serde_json::{Value, json};
use support::{Scene, refusal, run, show, stats, text};

/// A scene with everything in it: two users, wins, opens, retransmissions, duplicates, reordering, loss, a rejoin.
fn busy_scene() -> Scene {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let mut other = scene.join(43, 1_001);
    for round in 0..200 {
        scene.shake(&mut phone, if round % 50 == 0 { Status::Ok } else { Status::Miss });
        scene.shake(&mut other, Status::Miss);
    }
    let (req, open) = phone.ask(Op::Open, 77);
    scene.send(&[open]);
    scene.wait_us(2_000);
    let again = phone.again(Op::Open, req, 1, 77);
    scene.send(&[again]);
    let answer = phone.answer(Op::Open, req, Status::Ok, 77, 88);
    scene.send(&[answer]);
    let mut phone = scene.join(42, 1_010);
    scene.shake(&mut phone, Status::Ok);
    let (_, lost) = phone.ask(Op::Shake, 0);
    let (_, late) = phone.ask(Op::Shake, 0);
    let (_, next) = phone.ask(Op::Shake, 0);
    scene.send(&[next]);
    scene.send(&[late]);
    scene.send(&[late]);
    let _ = lost;
    scene
}

/// What both kinds of keys must agree on.
fn gist(mut stats: Value) -> Value {
    let object = stats.as_object_mut().unwrap();
    for name in ["handshakes", "memory_bytes", "notices"] {
        object.remove(name);
    }
    stats
}

/// Expect: server keys, a key log, and both together tell the same.
#[test]
fn server_keys_and_a_key_log_tell_the_same() {
    let scene = busy_scene();
    let (capture, key, log) = (scene.capture(), scene.key_file(), scene.key_log());
    let by_key = gist(stats(&capture, &["--key", text(&key)]));
    assert_eq!(gist(stats(&capture, &["--keylog", text(&log)])), by_key);
    assert_eq!(gist(stats(&capture, &["--keylog", text(&log), "--key", text(&key)])), by_key);
    assert_eq!(by_key["sealed"], json!({"no_key": 0, "tag": 0}));
    assert_eq!((&by_key["sessions"], &by_key["users"]), (&json!(3), &json!(2)));
    assert_eq!(by_key["shake"]["win"], 5);
    assert_eq!(by_key["open"], json!({"sent": 1, "ok": 1, "empty": 0, "fen": 88, "repeated": 0}));
    assert_eq!((&by_key["reordered"], &by_key["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!((&by_key["lost"], &by_key["retransmissions"]), (&json!(1), &json!(1)));
}

/// Expect: a wrong key file is said to be wrong, frames stay sealed, the exit code is 0.
#[test]
fn a_wrong_key_is_said() {
    let scene = busy_scene();
    let mut elsewhere = Scene::new();
    elsewhere.ring = redpkt_proto::keyring::KeyRing::generate(&mut elsewhere.rng);
    elsewhere.keys.clear();
    elsewhere.join(9_999, 1);
    let (capture, key, log) = (scene.capture(), elsewhere.key_file(), elsewhere.key_log());
    let output = run(&["stats", text(&capture), "--key", text(&key), "--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--key: none of 6 handshake frames is of these keys: wrong key file?"), "{said}");
    assert_eq!(output.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["opened"]["in"], &found["requests"]), (&json!(0), &json!(0)));
    assert!(found["sealed"]["no_key"].as_u64().unwrap() > 400, "{found}");
    let output = run(&["show", text(&capture), "--keylog", text(&log)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("sealed frames is of its sessions: wrong key log?"), "{said}");
}

/// Expect: forged and replayed frames, handshakes among them, change nothing of what is said of a user.
#[test]
fn what_is_not_authentic_moves_nothing() {
    let clean = busy_scene();
    let mut attacked = busy_scene();
    let honest = std::mem::take(&mut attacked.sent);
    for (at, sent) in honest.iter().enumerate() {
        let mut forged = sent.clone();
        match at % 4 {
            // A seq far ahead, another body, another tag.
            0 => forged.payload[8..12].copy_from_slice(&u32::MAX.to_le_bytes()),
            1 => forged.payload[20] ^= 1,
            2 => forged.payload[63] ^= 1,
            // A frame for a user that there is not.
            _ => forged.payload[..8].copy_from_slice(&77_777_u64.to_le_bytes()),
        }
        attacked.sent.push(forged);
        attacked.sent.push(sent.clone());
    }
    let forgeries = honest.len() as u64;
    for keys in ["--key", "--keylog"] {
        let file = |scene: &Scene| if keys == "--key" { scene.key_file() } else { scene.key_log() };
        let before = gist(stats(&clean.capture(), &[keys, text(&file(&clean))]));
        let after = gist(stats(&attacked.capture(), &[keys, text(&file(&attacked))]));
        for name in [
            "requests",
            "retransmissions",
            "duplicates",
            "reordered",
            "lost",
            "shake",
            "open",
            "outcomes",
            "sessions",
            "opened",
            "unanswered",
        ] {
            assert_eq!(after[name], before[name], "{keys}: {name}");
        }
        let sealed = after["sealed"]["tag"].as_u64().unwrap() + after["sealed"]["no_key"].as_u64().unwrap();
        // Without server keys forged handshakes cannot be told.
        assert!(sealed <= forgeries && sealed + 12 >= forgeries, "{keys}: {sealed} of {forgeries}");
    }
}

/// Expect: retransmission, duplicate, reordering and loss are four different things.
#[test]
fn retransmission_duplicate_reordering_and_loss_are_told_apart() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    // The same request under a new seq.
    let (req, first) = phone.ask(Op::Shake, 0);
    let second = phone.again(Op::Shake, req, 1, 0);
    scene.send(&[first]);
    scene.send(&[second]);
    let only_retransmitted = scene.stats();
    assert_eq!(only_retransmitted["retransmissions"], 1);
    assert_eq!(only_retransmitted["retransmissions_by_op"], json!({"SHAKE": 1}));
    assert_eq!(only_retransmitted["duplicates"], 0);
    // The same frame twice.
    scene.send(&[second]);
    let doubled = scene.stats();
    assert_eq!((&doubled["retransmissions"], &doubled["duplicates"]), (&json!(1), &json!(1)));
    // One overtakes the other; a third never comes.
    let frames: Vec<_> = (0..3).map(|_| phone.ask(Op::Shake, 0).1).collect();
    scene.send(&[frames[2]]);
    scene.send(&[frames[1]]);
    let found = scene.stats();
    assert_eq!((&found["reordered"], &found["lost"]), (&json!(1), &json!(1)));
    assert_eq!((&found["requests"], &found["unanswered"]), (&json!(3), &json!(3)));
    // The retransmission that comes first is a request all the same, and a retransmission.
    let (req, _) = phone.ask(Op::Shake, 0);
    let late = phone.again(Op::Shake, req, 1, 0);
    scene.send(&[late]);
    let found = scene.stats();
    assert_eq!((&found["requests"], &found["retransmissions"]), (&json!(4), &json!(2)));
}

/// Expect: times are from the first transmission to the first answer; a busy answer ends no shake.
#[test]
fn response_times_are_from_the_first_transmission_to_the_first_answer() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let (req, first) = phone.ask(Op::Shake, 0);
    scene.send(&[first]);
    scene.wait_us(999);
    let again = phone.again(Op::Shake, req, 1, 0);
    scene.send(&[again]);
    scene.wait_us(999);
    for status in [Status::Busy, Status::Ok, Status::Ok] {
        let answer = phone.answer(Op::Shake, req, status, 77, 0);
        scene.send(&[answer]);
    }
    let found = scene.stats();
    assert_eq!(found["response_us"]["count"], 1);
    let p50 = found["response_us_by_op"]["SHAKE"]["p50"].as_f64().unwrap();
    assert!((1_998.0..2_004.0).contains(&p50), "{p50}");
    let shake = json!({"sent": 1, "miss": 0, "win": 1, "repeated_win": 1, "repeated_miss": 0});
    assert_eq!((&found["shake"], &found["answers"]), (&shake, &json!(3)));
    assert_eq!(found["outcomes"], json!({"SHAKE": {"Busy": 1, "Ok": 2}}));
    assert_eq!((&found["unanswered"], &found["load_level_max"]), (&json!(0), &json!(40)));
}

/// Expect: a win whose answer comes only in the next session is one win; a miss that is looked up there is repeated.
#[test]
fn answers_of_an_earlier_session_are_told_as_the_server_counts() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let (won, first) = phone.ask(Op::Shake, 0);
    let (missed, second) = phone.ask(Op::Shake, 0);
    scene.send(&[first, second]);
    let mut phone = scene.join(42, 1_010);
    for (req, status) in [(won, Status::Ok), (missed, Status::Miss), (won, Status::Ok)] {
        let again = phone.again(Op::Shake, req, 1, 0);
        let answer = phone.answer(Op::Shake, req, status, 0, 0);
        scene.send(&[again]);
        scene.send(&[answer]);
    }
    let found = scene.stats();
    let shake = json!({"sent": 2, "miss": 0, "win": 1, "repeated_win": 1, "repeated_miss": 1});
    assert_eq!((&found["shake"], &found["retransmissions"]), (&shake, &json!(3)));
    assert_eq!((&found["sessions"], &found["response_us"]["count"]), (&json!(2), &json!(2)));
}

/// Expect: handshakes that are sent again are counted apart, and a repeated WELCOME begins nothing.
#[test]
fn repeated_handshakes_are_counted_apart_and_reset_nothing() {
    let mut scene = Scene::new();
    let (mut phone, [hello, challenge, join, welcome]) = scene.handshake(42, 1_000);
    for frame in [hello, hello, challenge, join, welcome] {
        scene.send(&[frame]);
    }
    scene.shake(&mut phone, Status::Miss);
    for frame in [join, welcome] {
        scene.send(&[frame]);
    }
    scene.shake(&mut phone, Status::Miss);
    for keys in [["--key", text(&scene.key_file())], ["--keylog", text(&scene.key_log())]] {
        let found = stats(&scene.capture(), &keys);
        assert_eq!((&found["handshake_retransmissions"], &found["sessions"]), (&json!(2), &json!(1)));
        assert_eq!((&found["lost"], &found["shake"]["miss"]), (&json!(0), &json!(2)));
        assert_eq!(found["duplicates"], 0);
    }
}

/// Expect: times that run backwards are counted and do no harm.
#[test]
fn times_that_run_backwards_are_counted() {
    let mut scene = busy_scene();
    let mut expected = scene.stats();
    for (at, sent) in scene.sent.iter_mut().enumerate() {
        if at % 10 == 9 {
            sent.time_ns -= 3_600_000_000_000;
        }
    }
    let mut found = scene.stats();
    assert!(found["timestamps_backwards"].as_u64().unwrap() >= 80, "{found}");
    for stats in [&mut expected, &mut found] {
        let object = stats.as_object_mut().unwrap();
        for name in ["timestamps_backwards", "response_us", "response_us_by_op", "per_second", "seconds"] {
            object.remove(name);
        }
    }
    assert_eq!(gist(found), gist(expected));
    let lines = show(&scene.capture(), &[]);
    assert!(lines.iter().any(|line| line.trim_start().starts_with("-3599.9")), "{}", lines[9]);
}

/// Expect: with little memory users go, that is counted and said, and memory stays within its bound.
#[test]
fn users_go_when_memory_is_short() {
    let mut scene = Scene::new();
    for user in 1..=30_000 {
        let mut phone = scene.join(user, 1_000);
        scene.shake(&mut phone, Status::Miss);
    }
    let key = scene.key_file();
    let found = stats(&scene.capture(), &["--key", text(&key), "--memory", "8MiB"]);
    assert_eq!(found["users"], 30_000);
    assert!(found["evicted_users"].as_u64().unwrap() > 1_000, "{}", found["evicted_users"]);
    assert!(found["memory_bytes"].as_u64().unwrap() <= 8 << 20, "{}", found["memory_bytes"]);
    assert_eq!(found["shake"]["miss"], 30_000);
    let notices = found["notices"].to_string();
    assert!(notices.contains("had to go for lack of room"), "{notices}");
    let found = stats(&scene.capture(), &["--key", text(&key)]);
    assert_eq!(found["evicted_users"], 0);
}

/// Expect: without keys the headers are believed, and that is said.
#[test]
fn without_keys_all_is_unverified() {
    let scene = busy_scene();
    let found = stats(&scene.capture(), &[]);
    assert_eq!((&found["unverified"], &found["requests"]), (&json!(true), &json!(0)));
    assert_eq!((&found["reordered"], &found["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!((&found["lost"], &found["sessions"]), (&json!(1), &json!(3)));
    assert!(found["ops"]["SHAKE"]["in"].as_u64().unwrap() > 400);
    let text = String::from_utf8(run(&["stats", text(&scene.capture())]).stdout).unwrap();
    assert!(text.contains("unverified"), "{text}");
}

/// Expect: SEND_MORE, keepalives and refusals are counted by op, and none of them is a request.
#[test]
fn what_belongs_to_a_request_is_none_of_its_own() {
    use redpkt_proto::body::{Keepalive, Send, SendMore};
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let recipients = [7.into(), 8.into(), 9.into()];
    for attempt in [0, 1] {
        let send = Send { counter: 1.into(), total_fen: [100, 0, 0], shares: 3, recipients };
        let more = SendMore { counter: 1.into(), index: 1, reserved: [0; 3], recipients };
        let send = phone.seal_with(Direction::ToServer, Op::Send, &send, |header| {
            header.flags = 1;
            header.load_level = attempt;
        });
        let more = phone.seal(Direction::ToServer, Op::SendMore, &more);
        scene.send(&[send, more]);
    }
    let answer = phone.answer(Op::Send, 1_000 << 32 | 1, Status::Ok, 5, 100);
    scene.send(&[answer]);
    let body = Keepalive { token: 5.into(), server_wall_ms: 0.into(), reserved: [0; 16] };
    let keepalive = phone.seal(Direction::ToServer, Op::Keepalive, &body);
    scene.send(&[keepalive]);
    scene.send(&[refusal(42, Op::Stale, None)]);
    scene.send(&[refusal(42, Op::Error, Some(RefusalCode::Load))]);
    let found = scene.stats();
    let ways = |up, down| json!({"in": up, "out": down});
    assert_eq!(
        (&found["ops"]["SEND"], &found["ops"]["SEND_MORE"], &found["ops"]["KEEPALIVE"]),
        (&ways(2, 1), &ways(2, 0), &ways(1, 0))
    );
    assert_eq!((&found["requests"], &found["retransmissions"]), (&json!(1), &json!(1)));
    assert_eq!(found["refusals"], json!({"STALE": 1, "Load": 1}));
    assert_eq!(found["frames"], ways(7, 5));
    assert_eq!(found["datagrams"], ways(5, 5));
}

/// Expect: whoever has a key can write any amount, and two of the greatest are not more than the greatest.
#[test]
fn sums_of_money_do_not_overflow() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    for _ in 0..2 {
        let (req, asked) = phone.ask(Op::Open, 7);
        scene.send(&[asked]);
        let answer = phone.answer(Op::Open, req, Status::Ok, 7, u64::MAX);
        scene.send(&[answer]);
    }
    let found = scene.stats();
    assert_eq!((&found["open"]["ok"], &found["open"]["fen"]), (&json!(2), &json!(u64::MAX)));
}

/// Expect: frames of three logged sessions of one user in any order, of which two are kept at a time, are all opened.
#[test]
fn three_sessions_of_a_user_may_take_turns() {
    let mut scene = Scene::new();
    let mut phones = [1_000, 1_010, 1_020].map(|number| scene.handshake(42, number).0);
    for turns in [[0, 0, 0, 0, 0], [1, 2, 0, 0, 1], [2, 1, 2, 0, 1], [0, 2, 1, 1, 0]] {
        for turn in turns {
            let (_, asked) = phones[turn].ask(Op::Shake, 0);
            scene.send(&[asked]);
        }
    }
    let found = stats(&scene.capture(), &["--keylog", text(&scene.key_log())]);
    assert_eq!((&found["opened"]["in"], &found["sealed"]["tag"]), (&json!(20), &json!(0)));
}
