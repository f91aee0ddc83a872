//! What `show` prints, and what the program does with its options.

mod support;

use redpkt_pcap::fields;
use redpkt_proto::Op;
use redpkt_proto::body::{RefusalCode, Status};
use serde_json::json;
use std::process::{Command, Stdio};
use support::{BEGIN_NS, Scene, refusal, run, show, show_json, text};

fn scene() -> Scene {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let mut other = scene.join(43, 1_000);
    let req = scene.shake(&mut phone, Status::Ok);
    let again = phone.again(Op::Shake, req, 1, 0);
    scene.send(&[again]);
    scene.send(&[again]);
    scene.shake(&mut other, Status::Miss);
    let (_, mut forged) = other.ask(Op::Open, 9);
    forged.tag[0] ^= 1;
    scene.send(&[forged]);
    scene.send(&[refusal(43, Op::Error, Some(RefusalCode::Full))]);
    scene.send_as(support::client_of(9), support::SERVER.parse().unwrap(), vec![0; 10]);
    scene
}

/// Expect: one line a frame, with what an engineer looks for.
#[test]
fn a_line_says_what_a_frame_is() {
    let scene = scene();
    let lines = show(&scene.capture(), &["--key", text(&scene.key_file())]);
    assert_eq!(lines.len(), 17);
    assert!(lines[0].contains("0.000000 → 42       HELLO"), "{}", lines[0]);
    assert!(
        lines[3].contains("← 42       WELCOME") && lines[3].contains("session_number 1000"),
        "{}",
        lines[3]
    );
    assert_eq!(lines[8], "    0.000008 → 42       SHAKE     seq 1 req 1000:1 attempt 0");
    assert_eq!(
        lines[9],
        "    0.000508 ← 42       SHAKE     seq 1 load_level 40 req 1000:1 attempt 0 status Ok packet 77"
    );
    assert!(lines[10].ends_with("attempt 1  [retransmission]"), "{}", lines[10]);
    assert!(lines[11].ends_with("[duplicate]"), "{}", lines[11]);
    assert!(lines[14].contains("OPEN") && lines[14].ends_with("[sealed: tag]"), "{}", lines[14]);
    assert!(lines[15].contains("ERROR") && lines[15].contains("code Full"), "{}", lines[15]);
    assert!(lines[16].ends_with("not redpkt: length, 198.51.0.9:40000 to 192.0.2.1:7100"), "{}", lines[16]);
    let absolute = show(&scene.capture(), &["--absolute"]);
    assert!(absolute[0].starts_with("2026-05-28T20:26:40.000000Z →"), "{}", absolute[0]);
}

/// Expect: without keys session frames stay sealed, and handshakes can be read.
#[test]
fn without_keys_bodies_stay_sealed() {
    let scene = scene();
    let lines = show(&scene.capture(), &[]);
    assert!(lines[8].ends_with("SHAKE     seq 1  [sealed: no_key]"), "{}", lines[8]);
    assert!(lines[3].contains("session_number 1000"), "{}", lines[3]);
}

/// Expect: the fields of the contract, under the names of the structs.
#[test]
fn json_has_the_fields_under_the_names_of_the_structs() {
    let scene = scene();
    let frames = show_json(&scene.capture(), &["--key", text(&scene.key_file())]);
    let expected = json!({
        "time_ns": BEGIN_NS + 508_000, "from": "192.0.2.1:7100", "to": "198.51.0.42:40000",
        "direction": "to_client", "user": 42, "seq": 1, "version": 1, "op": "SHAKE", "flags": 0,
        "load_level": 40, "opened": true, "session_number": 1000,
        "body": {"req": 1000_u64 << 32 | 1, "attempt": 0, "status": "Ok", "retry_after_ms": 0,
            "packet": 77, "fen": 0},
    });
    assert_eq!(frames[9], expected);
    assert_eq!(frames[2]["body"]["ticket"]["key_id"], 1);
    assert_eq!(frames[2]["body"]["cookie"], json!({"made": 5, "mac": "0909090909090909"}));
    assert_eq!((&frames[10]["retransmission"], &frames[11]["duplicate"]), (&json!(true), &json!(true)));
    assert_eq!((&frames[14]["opened"], &frames[14]["why"]), (&json!(false), &json!("tag")));
    assert!(frames[14].get("body").is_none());
    assert_eq!(frames[15]["body"]["code"], "Full");
    assert_eq!(frames[16]["not_redpkt"], "length");
}

/// Expect: every op has a name and a body, and no field's name hides another's.
#[test]
fn every_field_has_one_name() {
    let names = fields::body_names();
    for name in ["req", "attempt", "status", "packet", "fen", "ticket.nonce", "recipients", "message", "ip"] {
        assert!(names.contains(name), "{name}");
    }
    assert!(names.iter().all(|name| !name.starts_with("reserved")), "{names:?}");
}

/// Expect: filters show what they say and nothing else.
#[test]
fn filters_show_what_they_say() {
    let scene = scene();
    let key = scene.key_file();
    let count = |more: &[&str]| show(&scene.capture(), &[&["--key", text(&key)], more].concat()).len();
    assert_eq!(count(&["--user", "42"]), 8);
    assert_eq!(count(&["--op", "shake,OPEN"]), 7);
    assert_eq!(count(&["--op", "shake", "--user", "43"]), 2);
    assert_eq!(count(&["--drops"]), 4);
    assert_eq!(count(&["--drops", "--user", "42"]), 1);
    assert_eq!(count(&["--user", "44"]), 0);
}

/// Expect: what the user wrote wrong is exit code 2, and says what is allowed.
#[test]
fn bad_options_are_usage_errors() {
    let scene = scene();
    let capture = scene.capture();
    for (args, says) in [
        (&["--op", "shook"][..], "there are hello"),
        (&["--memory", "12"], "8MiB at least"),
        (&["--memory", "much"], "is no size"),
        (&["--port", "0"], "0"),
        (&["--key", "/nowhere"], "--key /nowhere"),
        (&["--keylog", "/nowhere"], "--keylog /nowhere"),
        (&["--keylog", text(&capture)], "--keylog"),
    ] {
        let output = run(&[&["show", text(&capture)], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

/// Expect: captures come from stdin too, and a reader of stdout who goes away is no failure.
#[test]
fn pipes_work_on_both_sides() {
    let scene = scene();
    let program = env!("CARGO_BIN_EXE_redpkt-pcap");
    let capture = std::fs::File::open(scene.capture()).unwrap();
    let output = Command::new(program).args(["show", "-"]).stdin(capture).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 17);
    let mut long = Scene::new();
    let mut phone = long.join(42, 1_000);
    (0..20_000).for_each(|_| {
        long.shake(&mut phone, Status::Miss);
    });
    let mut child = Command::new(program)
        .args(["show", text(&long.capture())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

/// Expect: several files are parts of one capture, and the distribution is written as percentile text.
#[test]
fn several_files_are_one_capture() {
    let mut scene = scene();
    let later = scene.sent.split_off(9);
    let (first, second) = (scene.file("1.pcap", &file(&scene.sent)), scene.file("2.pcap", &file(&later)));
    let hgrm = scene.dir.path().join("times.hgrm");
    let key = scene.key_file();
    let args = ["stats", text(&first), text(&second), "--key", text(&key), "--json", "--hgrm", text(&hgrm)];
    let found: serde_json::Value = serde_json::from_slice(&run(&args).stdout).unwrap();
    assert_eq!((&found["shake"]["win"], &found["response_us"]["count"]), (&json!(1), &json!(2)));
    let written = std::fs::read_to_string(hgrm).unwrap();
    let read = redpkt::hdr::text::read(&written, redpkt::hdr::unit::Unit::Us).unwrap();
    assert_eq!(read.len(), 2);
}

fn file(sent: &[support::Sent]) -> Vec<u8> {
    support::wire::pcap(sent, support::wire::Link::Sll, support::wire::Form::UsBig)
}

/// Expect: datagrams of which only the headers were kept are counted as datagrams of their senders, who are told once
/// for each that is not, or not wholly, redpkt's; what the server sends is not counted among them.
#[test]
fn parts_of_datagrams_count_as_datagrams() {
    use support::wire::{self, Form, Link};
    let scene = scene();
    let mut bytes = wire::pcap_header(101, Form::NsLittle);
    let (asked, answered) = (scene.sent[8].clone(), scene.sent[9].clone());
    for sent in [&asked, &answered] {
        let whole = wire::record(sent, Link::Raw, 0);
        wire::pcap_record(&mut bytes, Form::NsLittle, sent.time_ns, &whole, whole.len());
        wire::pcap_record(&mut bytes, Form::NsLittle, sent.time_ns, &whole[..28], whole.len());
    }
    let mut bad = asked.clone();
    bad.payload = [asked.payload.as_slice(), &asked.payload].concat();
    for frame in bad.payload.chunks_mut(64) {
        frame[13] = 0x7f;
    }
    let bad = wire::record(&bad, Link::Raw, 0);
    wire::pcap_record(&mut bytes, Form::NsLittle, asked.time_ns, &bad, bad.len());
    let file = scene.file("parts.pcap", &bytes);
    let found = support::stats(&file, &[]);
    assert_eq!(found["not_redpkt"], json!({"snapped": 2, "op": 2}));
    assert_eq!(
        (&found["datagrams"], &found["frames"]),
        (&json!({"in": 3, "out": 2}), &json!({"in": 3, "out": 1}))
    );
    let talker =
        json!({"address": "198.51.0.42", "datagrams": 3, "bytes": 256, "not_redpkt_share": 2.0 / 3.0});
    assert_eq!(found["top_talkers"], json!([talker]));
}

/// Expect: where nothing is of the server's port, the port that was probably meant is named; not where something is.
#[test]
fn a_wrong_port_is_told_with_the_right_one() {
    let scene = scene();
    for command in ["show", "stats"] {
        let said = |port: &str| {
            let output = run(&[command, text(&scene.capture()), "--port", port]);
            String::from_utf8(output.stderr).unwrap()
        };
        let wrong = said("7101");
        assert!(wrong.contains("--port 7101: no datagram is from or to there"), "{wrong}");
        assert!(wrong.contains("name the server's: --port 7100"), "{wrong}");
        assert!(!said("7100").contains("--port"), "{}", said("7100"));
    }
}
