//! Files of each format and link type say the same.

mod support;

use redpkt_proto::body::Status;
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::gist::{gist, scene};
use support::wire::{self, Form, Link, PcapNg};
use support::{BEGIN_NS, Scene, run, show_json, stats, text};

/// Expect: classic pcap in µs and ns, of both byte orders, and every link type, tell the same.
#[test]
fn every_form_and_link_type_of_pcap_tells_the_same() {
    let scene = scene();
    let key = scene.key_file();
    let expected = gist(&scene.stats());
    assert_eq!(expected[4], json!({"sent": 2, "miss": 1, "win": 1, "repeated_win": 0, "repeated_miss": 0}));
    for form in Form::ALL {
        for link in Link::ALL {
            let file = scene.file("form.pcap", &wire::pcap(&scene.sent, link, form));
            assert_eq!(gist(&stats(&file, &["--key", text(&key)])), expected, "{form:?} {link:?}");
        }
    }
}

/// Expect: IPv6, with extension headers too, and IPv4 with options.
#[test]
fn ip_of_both_versions_with_extensions_and_options_is_read() {
    let mut scene = scene();
    let expected = scene.stats();
    let options: Vec<u8> = vec![1; 8];
    let v6 = |addr: SocketAddr| match addr.port() {
        7100 => "[2001:db8::1]:7100".parse().unwrap(),
        port => SocketAddr::new("2001:db8::2".parse().unwrap(), port),
    };
    let mut bytes = wire::pcap_header(101, Form::NsLittle);
    for (at, sent) in scene.sent.iter_mut().enumerate() {
        let record = if at % 3 == 0 {
            wire::ip(sent, &options, None, &wire::udp(sent))
        } else {
            (sent.from, sent.to) = (v6(sent.from), v6(sent.to));
            let hop_by_hop = [17, 0, 1, 4, 0, 0, 0, 0];
            let (extension, number) = if at % 3 == 1 { (&hop_by_hop[..], Some(0)) } else { (&[][..], None) };
            wire::ip(sent, extension, number, &wire::udp(sent))
        };
        wire::pcap_record(&mut bytes, Form::NsLittle, sent.time_ns, &record, record.len());
    }
    let file = scene.file("ip.pcap", &bytes);
    let found = stats(&file, &["--key", text(&scene.key_file())]);
    assert_eq!(gist(&found), gist(&expected));
    let addresses: Vec<Value> = show_json(&file, &[]).iter().map(|frame| frame["from"].clone()).collect();
    assert!(addresses.contains(&json!("[2001:db8::1]:7100")), "{addresses:?}");
}

/// Expect: files of one recording tell in any order what they tell as one, and no more is said.
#[test]
fn files_are_read_in_the_order_of_their_times() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    for _ in 0..600 {
        scene.shake(&mut phone, Status::Miss);
    }
    let key = scene.key_file();
    let expected = scene.stats();
    let parts = scene.sent.chunks(scene.sent.len().div_ceil(12)).enumerate().map(|(number, part)| {
        let name = if number == 0 { "ring.pcap".to_owned() } else { format!("ring.pcap.{number}") };
        scene.file(&name, &wire::pcap(part, Link::Raw, Form::NsLittle))
    });
    let mut parts: Vec<_> = parts.collect();
    assert_eq!(parts.len(), 12);
    // As the shell has them, and the other way round, with one in which there is nothing.
    parts.sort();
    parts.push(scene.file("ring.none", &wire::pcap(&[], Link::Raw, Form::NsLittle)));
    for _ in 0..2 {
        let more: Vec<&str> = parts[1..].iter().map(|path| text(path)).chain(["--key", text(&key)]).collect();
        let found = stats(&parts[0], &more);
        assert_eq!(gist(&found), gist(&expected));
        for name in ["too_old", "reordered", "seconds", "per_second", "notices", "timestamps_backwards"] {
            assert_eq!(found[name], expected[name], "{name}");
        }
        parts.reverse();
    }
    parts.push(scene.dir.path().join("missing"));
    let args: Vec<&str> = ["stats"].into_iter().chain(parts.iter().map(|path| text(path))).collect();
    let output = run(&args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("missing: No such file"), "{said}");
}

/// Expect: a file that begins before the one before it ended is named, and by how much; with a pipe among them files are
/// read as they are given.
#[test]
fn files_that_overlap_are_named() {
    let scene = scene();
    let half = scene.sent.len() / 2;
    let file = |name, sent| scene.file(name, &wire::pcap(sent, Link::Raw, Form::NsLittle));
    let (early, late) = (file("early", &scene.sent[..=half]), file("late", &scene.sent[half - 1..]));
    let begins = |overlap_us: u64| format!("begins {:.6} s before the end", overlap_us as f64 / 1e6);
    let span_us = |from: usize, to: usize| (scene.sent[to].time_ns - scene.sent[from].time_ns) / 1_000;

    let found = stats(&late, &[text(&early)]);
    let notice = found["notices"][0].as_str().unwrap();
    assert!(notice.contains("late: ") && notice.contains(&begins(span_us(half - 1, half))), "{notice}");

    let pipe = scene.dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let bytes = std::fs::read(&early).unwrap();
    let to_pipe = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(to_pipe, bytes).unwrap());
    let found = stats(&late, &[text(&pipe)]);
    writer.join().unwrap();
    let notice = found["notices"][0].as_str().unwrap();
    assert!(
        notice.contains("pipe: ") && notice.contains(&begins(span_us(0, scene.sent.len() - 1))),
        "{notice}"
    );
}

/// Expect: fragments and records that were kept in part are counted under their names, said, and no error.
#[test]
fn fragments_and_snapped_records_are_counted_and_said() {
    let scene = scene();
    let mut bytes = wire::pcap_header(101, Form::NsLittle);
    let sent = &scene.sent[4];
    let whole = wire::record(sent, Link::Raw, 0);
    let mut add = |record: &[u8], original| {
        wire::pcap_record(&mut bytes, Form::NsLittle, sent.time_ns, record, original);
    };
    let (mut first, mut later) = (whole.clone(), whole.clone());
    first[6] = 0x20;
    later[7] = 5;
    add(&first, whole.len());
    add(&later, whole.len());
    add(&whole[..60], whole.len());
    add(&whole[..10], whole.len());
    add(&whole[..60], 60);
    add(&whole, whole.len());
    let file = scene.file("parts.pcap", &bytes);
    let found = stats(&file, &[]);
    assert_eq!(found["not_redpkt"], json!({"fragment": 2, "snapped": 2, "malformed": 1}));
    assert_eq!(found["frames"], json!({"in": 1, "out": 0}));
    let output = run(&["stats", text(&file)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("2 fragments") && said.contains("2 records were kept in part only"), "{said}");
}

/// Expect: of IPv6's fragment headers only those that cut something make a fragment.
#[test]
fn fragments_of_ipv6_are_told_from_whole_datagrams() {
    let scene = scene();
    let mut sent = scene.sent[4].clone();
    (sent.from, sent.to) = ("[2001:db8::2]:40000".parse().unwrap(), "[2001:db8::1]:7100".parse().unwrap());
    let mut bytes = wire::pcap_header(229, Form::NsBig);
    for offset_and_more in [[0, 0], [0, 1], [0, 8]] {
        let extension = [17, 0, offset_and_more[0], offset_and_more[1], 0, 0, 0, 1];
        let record = wire::ip(&sent, &extension, Some(44), &wire::udp(&sent));
        wire::pcap_record(&mut bytes, Form::NsBig, sent.time_ns, &record, record.len());
    }
    let found = stats(&scene.file("v6.pcap", &bytes), &[]);
    assert_eq!((&found["not_redpkt"], &found["frames"]["in"]), (&json!({"fragment": 2}), &json!(1)));
}

/// Expect: wherever a file is cut off it is read up to there, that is said, and the exit code is 0.
#[test]
fn a_file_that_is_cut_off_is_read_up_to_there() {
    let scene = scene();
    let whole = wire::pcap(&scene.sent, Link::Raw, Form::NsLittle);
    for end in [25, whole.len() - 1, whole.len() / 2] {
        let file = scene.file("cut.pcap", &whole[..end]);
        let output = run(&["stats", text(&file), "--json"]);
        assert_eq!(output.status.code(), Some(0), "{end}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["cut_short"], true, "{end}");
        assert!(found["bytes"].as_u64().unwrap() < end as u64, "{end}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cut off in the middle of a record at byte"), "{said}");
    }
    let found = stats(&scene.capture(), &[]);
    assert_eq!((&found["cut_short"], &found["bytes"]), (&json!(false), &json!(whole.len())));
}

/// Expect: a block that cannot be ends the reading, with a line of where; what came before counts.
#[test]
fn a_damaged_block_ends_the_reading_with_where() {
    let scene = scene();
    let mut file = PcapNg::new(false);
    file.interface(Link::Raw, Some(9));
    let record = wire::record(&scene.sent[0], Link::Raw, 0);
    file.record(0, BEGIN_NS, &record, record.len());
    let at = file.bytes.len();
    file.record(3, BEGIN_NS, &record, record.len());
    let path = scene.file("damaged.pcapng", &file.bytes);
    let output = run(&["stats", text(&path), "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["records"], &found["cut_short"]), (&json!(1), &json!(true)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("damaged at byte {at}")), "{said}");
}

/// Expect: exit code 2 and one line with the file's name and what is wrong with it.
#[test]
fn what_is_no_capture_is_a_usage_error() {
    let scene = Scene::new();
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("short", b"\xd4\xc3\xb2"),
        ("text", b"this is no capture at all, but a text"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    ] {
        let file = scene.file(name, bytes);
        let output = run(&["stats", text(&file)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.lines().count() == 1 && said.contains(name), "{said}");
    }
    let missing = scene.dir.path().join("missing");
    assert_eq!(run(&["show", text(&missing)]).status.code(), Some(2));
    assert_eq!(run(&["show", text(scene.dir.path())]).status.code(), Some(2));
}

/// Expect: on "any", what goes out and comes in again is counted once; two of the same that both come in are not.
#[test]
fn a_datagram_that_went_out_and_came_in_counts_once() {
    let scene = scene();
    let expected = scene.stats();
    for link in [Link::Sll, Link::Sll2] {
        let mut bytes = wire::pcap_header(link.number(), Form::NsLittle);
        for sent in &scene.sent {
            for packet_type in [4, 0] {
                let record = wire::record(sent, link, packet_type);
                wire::pcap_record(&mut bytes, Form::NsLittle, sent.time_ns, &record, record.len());
            }
        }
        let last = wire::record(scene.sent.last().unwrap(), link, 0);
        wire::pcap_record(&mut bytes, Form::NsLittle, scene.now_ns, &last, last.len());
        let file = scene.file("any.pcap", &bytes);
        let found = stats(&file, &["--key", text(&scene.key_file())]);
        assert_eq!(found["doubled"], json!(scene.sent.len()));
        assert_eq!(found["duplicates_by_direction"], json!({"in": 0, "out": 1}));
        assert_eq!(found["shake"], expected["shake"]);
    }
}

/// Expect: what is on other ports, of other protocols or of no known link type is named; a wrong checksum is counted
/// apart and is no error; another port can be named.
#[test]
fn what_is_not_ours_is_named() {
    let mut scene = scene();
    let server: SocketAddr = "192.0.2.1:7200".parse().unwrap();
    let mut elsewhere = scene.sent[0].clone();
    elsewhere.to = server;
    scene.sent.push(elsewhere);
    let mut bytes = wire::pcap(&scene.sent, Link::Raw, Form::NsLittle);
    let mut tcp = wire::record(&scene.sent[0], Link::Raw, 0);
    tcp[9] = 6;
    let mut wrong = wire::record(&scene.sent[4], Link::Raw, 0);
    wrong[26] ^= 1;
    for record in [&tcp, &wrong] {
        wire::pcap_record(&mut bytes, Form::NsLittle, scene.now_ns, record, record.len());
    }
    let file = scene.file("others.pcap", &bytes);
    let found = stats(&file, &[]);
    assert_eq!(found["not_redpkt"], json!({"other_port": 1, "not_udp": 1}));
    assert_eq!((&found["checksum_partial_or_wrong"], &found["datagrams"]["in"]), (&json!(1), &json!(5)));
    let found = stats(&file, &["--port", "7200", "--port", "7100"]);
    assert_eq!(found["datagrams"]["in"], json!(6));

    let unknown = scene.file("unknown.pcap", &{
        let mut bytes = wire::pcap_header(147, Form::NsLittle);
        wire::pcap_record(&mut bytes, Form::NsLittle, BEGIN_NS, &[0; 50], 50);
        bytes
    });
    let found = stats(&unknown, &[]);
    assert_eq!((&found["link_types"], &found["not_redpkt"]), (&json!({"147": 1}), &json!({"link_type": 1})));
    assert_eq!(found["notices"].as_array().unwrap().len(), 1);
}

/// Expect: each fault that the server drops for has the server's name here.
#[test]
fn faults_have_the_servers_names() {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    let mut other = scene.join(43, 1_000);
    let client = support::client_of(42);
    let server: SocketAddr = support::SERVER.parse().unwrap();
    let (_, good) = phone.ask(redpkt_proto::Op::Shake, 0);
    let (_, others) = other.ask(redpkt_proto::Op::Shake, 0);
    let answer = phone.answer(redpkt_proto::Op::Shake, 1, Status::Miss, 0, 0);
    let mut version = good;
    version.header.version_direction = 2;
    let mut op = good;
    op.header.op = 200;
    let bytes = |frames: &[redpkt_proto::Frame]| zerocopy::IntoBytes::as_bytes(frames).to_vec();
    scene.send_as(client, server, vec![1; 63]);
    scene.send_as(client, server, vec![]);
    scene.send_as(client, server, vec![0; 64 * 19]);
    scene.send_as(client, server, bytes(&[answer]));
    scene.send_as(server, client, bytes(&[good]));
    scene.send_as(client, server, bytes(&[version]));
    scene.send_as(client, server, bytes(&[good, others]));
    scene.send_as(client, server, bytes(&[op, good]));
    scene.send_as("192.0.2.9:0".parse().unwrap(), server, bytes(&[good]));
    let (_, [hello, ..]) = scene.handshake(42, 1_001);
    scene.send_as(client, server, bytes(&[hello, hello]));
    let found = scene.stats();
    let expected = json!({
        "length": 2, "truncated": 1, "direction": 2, "version": 1, "mixed_users": 1, "op": 3, "source": 1,
    });
    assert_eq!(found["not_redpkt"], expected);
    assert_eq!(found["shake"]["sent"], 1);
    assert_eq!(phone.seqs, [1, 1]);
}
