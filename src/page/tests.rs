//! Whole pages of a run that is made up.

use super::*;
use crate::record::{
    ClientReading, IoReading, Orders, Reading, Recorder, Sample, ServerReading, Shakes, Source, WorkerReading,
};
use crate::telemetry::latencies::Latencies;
use crate::telemetry::machine::{Interface, Machine, Udp};
use serde_json::json;

const NAMES: [&str; 4] = ["queueing/shake", "service/shake", "ledger_wait/open", "latency/shake"];

fn latencies(second: u64, names: &[&str]) -> Latencies {
    let mut histogram = crate::hdr::histogram();
    (1..=100 * (second + 1)).for_each(|value| histogram.record(value * 1_000).unwrap());
    Latencies(names.iter().map(|name| ((*name).to_owned(), histogram.clone())).collect())
}

/// Each second 1,000 datagrams of a frame each way, of which 10 are lost at a socket, and 5 packets.
fn server(second: u64) -> ServerReading {
    let n = 1_000 * second;
    let udp = Udp {
        in_datagrams: 2 * n - 20 * second,
        out_datagrams: 2 * n - 10 * second,
        in_errors: 10 * second,
        ..Udp::default()
    };
    let lo = Interface {
        name: "lo".into(),
        serves: true,
        rx_packets: 2 * n - 10 * second,
        tx_packets: 2 * n - 10 * second,
        ..Interface::default()
    };
    let got = n - 10 * second;
    ServerReading {
        wall_ms: 1_000_000 + 1_000 * second,
        uptime_s: 100.0 + second as f64,
        version: "<b>1</b>".into(),
        sessions: 500,
        frames_in: got,
        frames_out: got,
        datagrams_in: got,
        datagrams_out: got,
        answers: got,
        shake: Shakes { miss: got - 5 * second, win: 5 * second },
        drops: [("tag".to_owned(), 3 * second)].into(),
        orders: Orders { minted: 7 * second, minted_fen: 70 * second },
        load_level: 40,
        workers: vec![WorkerReading { cpu_ns: 300_000_000 * second, ..WorkerReading::default() }],
        io: IoReading { engine: "mmsg".into() },
        machine: Machine { interfaces: vec![lo], udp: Some(udp), ..Machine::default() },
        ..ServerReading::default()
    }
}

fn sample(second: u64) -> Sample {
    let server = Source {
        url: "http://127.0.0.1:7101".into(),
        latencies: latencies(second, &NAMES[..3]),
        reading: Reading::Server(Box::new(server(second))),
    };
    let n = 1_000 * second;
    let client = ClientReading {
        uptime_s: 50.0 + second as f64,
        target_qps: 1_000.0,
        requests: n,
        answers: n - 10 * second,
        frames_sent: n,
        frames_received: n - 10 * second,
        datagrams_sent: n,
        datagrams_received: n - 10 * second,
        ..ClientReading::default()
    };
    let client = Source {
        url: "http://localhost:7102".into(),
        latencies: latencies(second, &NAMES[3..]),
        reading: Reading::Client(Box::new(client)),
    };
    Sample { wall_ms: 1_000_000 + 1_000 * second, sources: vec![server, client], interface: None }
}

fn recorded() -> crate::record::Recorded {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(dir.path(), json!({"users": 500, "note": "<script>"})).unwrap();
    (0..=20).for_each(|second| drop(recorder.push(&sample(second)).unwrap()));
    recorder.finish(json!({"ok": true})).unwrap();
    crate::record::read(dir.path()).unwrap()
}

/// Expect: each plot is XML, names its unit in the title, and has the words of its legend.
#[test]
fn plots_have_their_words() {
    let recorded = recorded();
    let mut plots = over_time(&recorded.seconds);
    plots.push(of_latencies(recorded.series.latencies()));
    let texts_of = |id: &str| -> Vec<String> {
        let plot = plots.iter().find(|plot| plot.id == id).unwrap();
        let svg = plot.svg.as_ref().unwrap_or_else(|| panic!("{id} is not drawn"));
        let xml = roxmltree::Document::parse(svg).unwrap();
        xml.descendants().filter_map(|node| node.text()).map(|text| text.trim().to_owned()).collect()
    };
    for (id, words) in [
        (
            "qps",
            &["QPS: requests a second", "clients: answered", "server: answered", "clients: wanted", "20 s"][..],
        ),
        ("pps_in", &["server: datagrams", "UDP: the kernel's", "packets of lo", "clients: datagrams sent"]),
        ("packets", &["made by orders", "taken: won by shaking"]),
        ("wins", &["server: won"]),
        ("latency", &["longest", "p99", "p50", "1 ms"]),
        ("queueing", &["p99"]),
        ("service", &["p99"]),
        ("ledger_wait", &["p99"]),
        ("losses", &["socket", "server (named reasons)"]),
        ("drops", &["tag"]),
        ("load", &["Load level: 16 × log2 of the queueing time in µs"]),
        ("cpu", &["worker 0", "50%"]),
        ("sessions", &["live sessions"]),
        ("spectrum", &["99%", "latency"]),
    ] {
        let texts = texts_of(id);
        for word in words {
            assert!(texts.iter().any(|text| text == word), "{id}: no {word:?} in {texts:?}");
        }
    }
    let stalls = plots.iter().find(|plot| plot.id == "stalls").unwrap();
    assert!(stalls.svg.is_none(), "there were none");
}

/// Expect: one file without scripts or anything from elsewhere, with settings, verdict and totals; sides that agree once
/// the socket's losses are taken off; nothing of what was recorded is taken for HTML.
#[test]
fn a_report_stands_alone() {
    let (html, words) = report(&recorded());
    for part in [
        "users",
        "&lt;script&gt;",
        "ok",
        "client frames",
        "20,000",
        "19,800",
        "Second by second",
        "http://127.0.0.1:7101",
    ] {
        assert!(html.contains(part), "no {part:?}");
    }
    for part in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!html.contains(part), "{part}");
    }
    let agreed = |what: &str| {
        let words = words
            .iter()
            .find(|words| words.starts_with(what))
            .unwrap_or_else(|| panic!("{what}: {words:#?}"));
        assert!(words.contains("agree within 0.1%"), "{words}");
    };
    agreed(
        "datagrams to the server: the clients sent 20,000, the server got 19,800, of which are lost: 200 at a socket",
    );
    for what in [
        "frames to",
        "datagrams from",
        "frames from",
        "requests answered",
        "UDP datagrams received",
        "UDP datagrams sent",
        "packets received",
    ] {
        agreed(what);
    }
}

/// Expect: figures of the last second, warnings, tables and plots; nothing that a server says is taken for HTML; also
/// before the first second is over.
#[test]
fn the_live_page_shows_a_server() {
    let mut live = Live::default();
    live.push(server(0), latencies(0, &NAMES[..3]));
    assert!(fragment(&live.view(), &SetSessions::default()).contains("The first second is not over"));
    for second in 1..=700 {
        live.push(server(second), latencies(0, &NAMES[..3]));
    }
    let mut last = server(701);
    last.groups =
        vec![crate::record::GroupReading { group: 3, state: "failed".into(), ..Default::default() }];
    last.sets.masked = 1;
    (last.service.level, last.service.name) = (2, "busy".into());
    live.push(last, latencies(5, &NAMES[..3]));
    let html = fragment(&live.view(), &SetSessions { sessions: vec![9; 8], ..SetSessions::default() });
    for part in [
        "<b>990</b><span>QPS",
        "&lt;b&gt;1&lt;/b&gt;",
        "Failed groups: 3.",
        "1 SETs are masked",
        "level 2 (busy)",
        "-10 min",
        "8 SETs with 9 to 9 sessions",
        "<td>tag</td><td>180</td><td>2,103</td>",
        "30%",
    ] {
        assert!(html.contains(part), "no {part:?} in {html}");
    }
    assert!(html.len() < 400_000, "{} bytes", html.len());
}
