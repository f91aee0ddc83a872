//! No bytes can make the reading panic, go on for ever, or hold more memory than it may.

mod support;

use clap::Parser;
use proptest::prelude::*;
use redpkt_pcap::stats::{StatsArgs, measure};
use redpkt_proto::body::Status;
use std::sync::LazyLock;
use support::wire::{self, Form, Link, PcapNg};
use support::{Scene, text};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    stats: StatsArgs,
}

/// Captures of each kind to be damaged, and the key file they fit.
struct Samples {
    scene: Scene,
    files: Vec<Vec<u8>>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let mut scene = Scene::new();
    for user in 1..=5 {
        let mut phone = scene.join(user, 1_000);
        scene.shake(&mut phone, Status::Ok);
    }
    let mut files: Vec<Vec<u8>> =
        Link::ALL.iter().map(|link| wire::pcap(&scene.sent, *link, Form::NsLittle)).collect();
    let mut file = PcapNg::new(true);
    file.interface(Link::QinQ, Some(0x8a));
    for sent in &scene.sent {
        let record = wire::record(sent, Link::QinQ, 0);
        file.record(0, sent.time_ns, &record, record.len());
    }
    files.push(file.bytes);
    let options = [wire::option(false, 2, b"eth0"), wire::option(false, 14, &[0; 8])].concat();
    let mut file = PcapNg::with_options(false, &options);
    file.described(Link::Raw, 1, &options);
    for sent in &scene.sent {
        file.simple(&wire::record(sent, Link::Raw, 0));
    }
    files.push(file.bytes);
    Samples { scene, files }
});

/// Reads these bytes with all keys; only whether it goes well is of interest.
fn read(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    let key = SAMPLES.scene.key_file();
    let log = SAMPLES.scene.key_log();
    let args = ["stats", text(&path), "--key", text(&key), "--keylog", text(&log), "--memory", "8MiB"];
    let args = Args::parse_from(args).stats;
    if let Ok((report, _)) = measure(&args) {
        assert!(report.memory_bytes <= (8 << 20) + (18 << 20), "{} bytes", report.memory_bytes);
        assert!(report.records <= bytes.len() as u64 / 8);
        assert!(report.top_talkers.len() <= 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Expect: random bytes behind each format's beginning are read to their end.
    #[test]
    fn random_bytes_do_no_harm(which in 0..3, bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut file = match which {
            0 => wire::pcap_header(1, Form::UsLittle),
            1 => PcapNg::new(false).bytes,
            _ => Vec::new(),
        };
        file.extend(bytes);
        read(&file);
    }

    /// Expect: captures with changed, missing and added bytes are read to their end.
    #[test]
    fn damaged_captures_do_no_harm(
        which in 0..10_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
        added in prop::option::of((any::<prop::sample::Index>(), any::<[u8; 3]>())),
    ) {
        let mut file = SAMPLES.files[which].clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some((at, bytes)) = added {
            let at = at.index(file.len());
            file.splice(at..at, bytes);
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        read(&file);
    }
}

/// Expect: whatever bytes a frame has, with its right tag too, it is told and harms nothing.
#[test]
fn frames_of_any_content_do_no_harm() {
    use redpkt_proto::{Direction, Op};
    let mut scene = Scene::new();
    let mut phone = scene.join(42, 1_000);
    for op in Op::ALL {
        for direction in [Direction::ToServer, Direction::ToClient] {
            for byte in [0_u8, 1, 0x7f, 0xff] {
                let body: redpkt_proto::body::Keepalive =
                    zerocopy::FromBytes::read_from_bytes(&[byte; 32]).unwrap();
                let frame = phone.seal_with(direction, op, &body, |header| header.flags = byte);
                scene.send(&[frame]);
            }
        }
    }
    read(&wire::pcap(&scene.sent, Link::Raw, Form::NsLittle));
    assert!(support::show(&scene.capture(), &["--key", text(&scene.key_file())]).len() > 100);
    assert!(support::show_json(&scene.capture(), &["--key", text(&scene.key_file())]).len() > 100);
}
