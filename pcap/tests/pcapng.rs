//! pcapng files of every kind are read, and those that cannot be are named.

mod support;

use serde_json::{Value, json};
use support::gist::{gist, scene};
use support::wire::{self, Link, PcapNg};
use support::{BEGIN_NS, run, stats, text};

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
    for first in [1, 0] {
        let mut file = PcapNg::new(false);
        file.interface(Link::Raw, Some(9));
        for (nth, sent) in scene.sent.iter().enumerate() {
            let record = wire::record(sent, Link::Raw, 0);
            match nth >= first && nth.is_multiple_of(3) {
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
