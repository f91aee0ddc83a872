//! Files of each format and link type say the same.

mod support;

use redpkt_proto::body::Status;
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::wire::{self, Form, Link, PcapNg};
use support::{BEGIN_NS, Scene, run, show_json, stats, text};

/// A user joins and shakes twice, and wins once.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    scene.shake(&mut phone, Status::Miss);
    scene.shake(&mut phone, Status::Ok);
    scene
}

/// What is the same in all of them.
fn gist(stats: &Value) -> Value {
    json!([
        stats["records"],
        stats["datagrams"],
        stats["frames"],
        stats["ops"],
        stats["shake"],
        stats["requests"],
        stats["response_us"],
        stats["lost"],
        stats["not_redpkt"],
        stats["sessions"],
        stats["checksum_partial_or_wrong"],
        stats["doubled"],
    ])
}

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

/// Expect: pcapng of both byte orders, with several interfaces of different link types and resolutions and with blocks
/// of unknown types between the records, tells the same.
#[test]
fn pcapng_with_several_interfaces_tells_the_same() {
    let scene = scene();
    let key = scene.key_file();
    let expected = gist(&scene.stats());
    for is_big in [false, true] {
        let mut file = PcapNg::new(is_big);
        file.interface(Link::Ethernet, None);
        file.interface(Link::Sll2, Some(9));
        file.block(0x0bad, b"what is this?");
        for (at, sent) in scene.sent.iter().enumerate() {
            match at % 2 {
                0 => {
                    let record = wire::record(sent, Link::Ethernet, 0);
                    file.record(0, sent.time_ns / 1_000, &record, record.len());
                }
                _ => {
                    let record = wire::record(sent, Link::Sll2, 0);
                    file.record(1, sent.time_ns, &record, record.len());
                }
            }
            file.block(5, &[0; 12]);
        }
        let file = scene.file("scene.pcapng", &file.bytes);
        assert_eq!(gist(&stats(&file, &["--key", text(&key)])), expected, "big: {is_big}");
    }
}

/// Expect: options without an end, of any length and content, and reserved bytes are no reason not to read a file; those
/// that times depend on are found among them.
#[test]
fn pcapng_with_any_options_tells_the_same() {
    let scene = scene();
    let key = scene.key_file();
    let expected = gist(&scene.stats());
    let first_ns = scene.sent[0].time_ns;
    for is_big in [false, true] {
        let option = |code, value: &[u8]| wire::option(is_big, code, value);
        let offset = (first_ns / 1_000_000_000) as i64;
        let offset = option(14, &if is_big { offset.to_be_bytes() } else { offset.to_le_bytes() });
        let (us, ns) = (Vec::new(), option(9, &[9]));
        let no_text = option(3, b"\xff\xfe latin \xe9");
        for (what, of_section, reserved, options, is_ns) in [
            ("no end behind a section's", option(4, b"a program"), 0, us.clone(), false),
            ("no text", [no_text.clone(), option(0, &[])].concat(), 0, us.clone(), false),
            ("no end behind an interface's", us.clone(), 0, option(2, b"eth0"), false),
            ("the same with a resolution", us.clone(), 0, [option(2, b"eth0"), ns.clone()].concat(), true),
            ("a time zone", us.clone(), 0, [option(10, &[0; 4]), ns.clone(), option(0, &[])].concat(), true),
            ("a description that is no text", us.clone(), 0, [no_text, ns.clone()].concat(), true),
            ("reserved bytes", us.clone(), 7, us.clone(), false),
            ("a resolution of two bytes", us.clone(), 0, option(9, &[9, 9]), false),
            ("a resolution behind the end", us.clone(), 0, [option(0, &[]), ns.clone()].concat(), false),
            ("an offset", us.clone(), 0, [offset, ns.clone()].concat(), true),
        ] {
            let mut file = PcapNg::with_options(is_big, &of_section);
            file.described(Link::Raw, reserved, &options);
            for sent in &scene.sent {
                let record = wire::record(sent, Link::Raw, 0);
                let ticks = sent.time_ns - if what == "an offset" { first_ns } else { 0 };
                file.record(0, if is_ns { ticks } else { ticks / 1_000 }, &record, record.len());
            }
            let path = scene.file("options.pcapng", &file.bytes);
            assert_eq!(gist(&stats(&path, &["--key", text(&key)])), expected, "{what}, big: {is_big}");
            let line = &support::show(&path, &["--absolute"])[0];
            assert!(line.starts_with("2026-05-28T20:26:40.000000Z"), "{what}, big: {is_big}: {line}");
        }
    }
}

/// Expect: a block that says no time has that of the record before it, so that time does not go backwards; one that comes
/// first makes a capture no longer.
#[test]
fn simple_blocks_have_the_time_before() {
    let scene = scene();
    let key = scene.key_file();
    let simple = |nth: usize| nth % 3 == 0;
    for first in [1, 0] {
        let mut file = PcapNg::new(false);
        file.interface(Link::Raw, Some(9));
        for (nth, sent) in scene.sent.iter().enumerate() {
            let record = wire::record(sent, Link::Raw, 0);
            match nth >= first && simple(nth) {
                true => file.simple(&record),
                false => file.record(0, sent.time_ns, &record, record.len()),
            }
        }
        let found = stats(&scene.file("simple.pcapng", &file.bytes), &["--key", text(&key)]);
        assert_eq!(found["records"], json!(scene.sent.len()));
        assert_eq!(found["timestamps_backwards"], json!(0), "from {first} on");
        assert!(found["seconds"].as_f64().unwrap() < 0.1, "from {first} on: {}", found["seconds"]);
    }
}

/// Expect: files one after another are sections, of either byte order, wherever in the header of the second one a
/// reading of the file ends.
#[test]
fn sections_of_both_byte_orders_follow_each_other() {
    /// Bytes that are read at once.
    const READ_BYTES: usize = 256 << 10;
    let scene = scene();
    let (sent, key) = (&scene.sent[0], scene.key_file());
    let record = wire::record(sent, Link::Ethernet, 0);
    let section = |is_big, length: usize| {
        let mut file = PcapNg::new(is_big);
        file.interface(Link::Ethernet, None);
        file.record(0, sent.time_ns / 1_000, &record, record.len());
        let rest = length.saturating_sub(file.bytes.len() + 12);
        if rest > 0 {
            file.block(0x0bad, &vec![0; rest]);
        }
        file.bytes
    };
    for (is_big, before) in (0..=28).step_by(4).flat_map(|before| [(false, before), (true, before)]) {
        let first = section(is_big, READ_BYTES - before);
        assert_eq!(first.len(), READ_BYTES - before);
        let path = scene.file("sections.pcapng", &[first, section(!is_big, 0)].concat());
        let stats = stats(&path, &["--key", text(&key)]);
        assert_eq!(
            (&stats["records"], &stats["cut_short"]),
            (&2.into(), &false.into()),
            "{before} bytes before"
        );
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

/// Expect: neither long descriptions of interfaces nor millions of interfaces fill memory.
#[test]
fn interfaces_do_not_fill_memory() {
    let scene = scene();
    let record = wire::record(&scene.sent[0], Link::Raw, 0);
    for (interfaces, comment, records) in [(100, 60_000, 1), (100_000, 0, 0)] {
        let mut file = PcapNg::new(false);
        let comment = wire::option(false, 1, &vec![b'x'; comment]);
        (0..interfaces).for_each(|_| file.described(Link::Raw, 0, &comment));
        file.record(99, BEGIN_NS / 1_000, &record, record.len());
        let output = run(&["stats", text(&scene.file("many.pcapng", &file.bytes)), "--json"]);
        assert_eq!(output.status.code(), Some(0));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(found["memory_bytes"].as_u64().unwrap() < 16 << 20, "{found}");
        assert_eq!(found["records"], json!(records));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.contains("more than 4096 interfaces"), records == 0, "{said}");
    }
}

/// Expect: blocks whose lengths or options cannot be end the reading, and say so.
#[test]
fn what_no_block_can_be_is_said() {
    let scene = scene();
    let damaged = |change: &dyn Fn(&mut PcapNg)| {
        let mut file = PcapNg::new(false);
        file.interface(Link::Raw, None);
        change(&mut file);
        let output = run(&["stats", text(&scene.file("what.pcapng", &file.bytes))]);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    for (bytes, why) in [
        (words(&[5, 8, 8]), "claims to be 8 bytes long"),
        (words(&[5, 0, 0]), "claims to be 0 bytes long"),
        (words(&[5, 14, 0, 14]), "claims to be 14 bytes long"),
        (words(&[5, 1 << 30]), "longer than 16 MiB"),
        (words(&[5, 12, 16]), "two lengths differ"),
        (words(&[0x0a0d_0d0a, 28, 0x1234_5678]), "of no byte order"),
        (words(&[0x0a0d_0d0a, 16, 0x1a2b_3c4d, 16]), "header is too short"),
        (words(&[1, 16, 101, 16]), "longer than its block"),
        (words(&[1, 24, 101, 0, 8 << 16 | 2, 24]), "longer than its block"),
        (words(&[6, 16, 0, 16]), "longer than its block"),
        (words(&[3, 16, 1, 16]), "longer than its block"),
    ] {
        let said = damaged(&|file| file.bytes.extend(&bytes));
        assert!(said.contains("damaged at byte 48") && said.contains(why), "{why}: {said}");
    }
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
