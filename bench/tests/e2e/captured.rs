//! What a server writes of its traffic agrees with what its clients and it itself count, to the frame.

use super::common::*;
use clap::Parser;
use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use redpkt::capture::Sample;
use redpkt_pcap::record::RecordArgs;
use redpkt_pcap::stats::{InOut, Report, StatsArgs, measure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::thread::JoinHandleExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// A capture and a key log, and the directory that they are in.
struct Files {
    pcap: PathBuf,
    keylog: PathBuf,
    _directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let directory = tempfile::tempdir().unwrap();
        let file = |name| directory.path().join(name);
        Files { pcap: file("x.pcap"), keylog: file("x.keys"), _directory: directory }
    }

    /// A server that writes them.
    fn server(&self, keys: &Keys, args: &[&str]) -> Server {
        let [pcap, keylog] = [&self.pcap, &self.keylog].map(|path| path.to_str().unwrap());
        let own = ["--pcap", pcap, "--keylog", keylog, "--workers", "2", "--json"];
        Server::start(keys, &[&own, args].concat())
    }

    /// What is in the capture, of the server at this port.
    fn read(&self, port: u16) -> Report {
        read(&self.pcap, &["--keylog", self.keylog.to_str().unwrap()], port)
    }
}

fn read(pcap: &std::path::Path, opening: &[&str], port: u16) -> Report {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: StatsArgs,
    }
    let port = port.to_string();
    let line = ["stats", pcap.to_str().unwrap(), "--port", &port];
    let args = Line::try_parse_from(line.iter().chain(opening)).unwrap().args;
    measure(&args).unwrap_or_else(|failure| panic!("{failure}")).0
}

/// Ends a server in order: its last figures.
fn totals(server: Server) -> Value {
    let (status, stdout, stderr) = server.end(Signal::SIGTERM);
    assert!(status.success(), "{stderr}");
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

fn both(stats: &Value, name: &str) -> InOut {
    let way = |way| stats[format!("{name}_{way}")].as_u64().unwrap();
    InOut { to_server: way("in"), to_client: way("out") }
}

/// A run of honest clients, in the middle of which the server is not there for a while, so that they ask again.
fn run_with_a_pause(server: &Server, keys: &Keys) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.json");
    let [target, key, json] =
        [server.addr().to_string(), keys.path().display().to_string(), file.display().to_string()];
    let run = std::thread::spawn(move || {
        let load = ["--users", "40", "--qps", "400", "--duration", "2s", "--quiet"];
        let files = ["run", "--target", &target, "--key", &key, "--json", &json];
        run_to_end(&[&files[..], &load].concat())
    });
    server.stats_when("shakes", |stats| stats["shake"]["miss"].as_u64() > Some(50));
    server.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::SIGCONT);
    let (code, _, stderr) = run.join().unwrap();
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Expect: the capture, the client's JSON and the server's counters say the same of frames, datagrams, retransmissions,
/// sessions, wins and opens; every sealed frame opens with a logged key.
#[test]
fn a_capture_agrees_with_both_sides_to_the_frame() {
    let (keys, files) = (Keys::new(), Files::new());
    let server = files.server(&keys, &["--mint", "50", "--mint-total", "1000"]);
    let port = server.addr().port();
    let run = run_with_a_pause(&server, &keys);
    let metrics = server.get("/metrics").body;
    let stats = totals(server);
    let report = files.read(port);
    let written = &stats["capture"];
    let lost = "redpkt_capture_lost_total{what=\"datagrams\"} 0";
    assert!(
        metrics.contains(lost) && metrics.contains("redpkt_captured_total{what=\"keys\"} 40"),
        "{metrics}"
    );
    assert_eq!((&written["datagrams_lost"], &written["keys_lost"]), (&0.into(), &0.into()));
    assert_eq!(written["datagrams"], report.records);
    assert_eq!(report.datagrams, both(&stats, "datagrams"));
    assert_eq!(report.frames, both(&stats, "frames"));
    assert_eq!((stats["joins"].as_u64(), &written["keys"]), (Some(report.sessions), &stats["joins"]));
    assert_eq!((report.sealed.no_key, report.sealed.tag, report.lost, report.unanswered), (0, 0, 0, 0));
    let handshakes = report.ops["HELLO"].to_server + report.ops["JOIN"].to_server;
    assert_eq!(run["frames_sent"], report.frames.to_server - handshakes);
    assert_eq!(run["retransmits"], report.retransmissions);
    assert!(report.retransmissions > 0, "the pause was longer than clients wait");
    for (outcome, count) in
        [("win", report.shake.win), ("miss", report.shake.miss), ("sent", report.shake.sent)]
    {
        assert_eq!(run["shake"][outcome], count, "{outcome}");
    }
    assert_eq!(
        (&stats["shake"]["win"], &stats["shake"]["miss"]),
        (&report.shake.win.into(), &report.shake.miss.into())
    );
    assert!(report.shake.win > 0);
    assert_eq!((&run["open"]["ok"], &run["open"]["fen"]), (&report.open.ok.into(), &report.open.fen.into()));
    assert_eq!(
        (&stats["open"]["ok"], &stats["open"]["fen"]),
        (&report.open.ok.into(), &report.open.fen.into())
    );
    // From the server's key alone the same comes out: the handshakes are in the capture.
    let by_key = read(&files.pcap, &["--key", keys.path().to_str().unwrap()], port);
    assert_eq!((by_key.opened, by_key.shake.win), (report.opened, report.shake.win));
}

/// Expect: of a sample of users everything is there, and nothing of the others.
#[test]
fn a_sample_holds_whole_sessions() {
    let (keys, files) = (Keys::new(), Files::new());
    let server = files.server(&keys, &["--pcap-sample", "1/4"]);
    let port = server.addr().port();
    let mut client = Client::new(server.addr(), &keys, 1..=100, 2, redpkt_proto::client::Config::default());
    client.join_all();
    client.want_shakes(3);
    client.finish();
    totals(server);
    let report = files.read(port);
    let sample: Sample = "1/4".parse().unwrap();
    let taken: BTreeSet<u64> = (1..=100u64).filter(|user| sample.holds(&user.to_le_bytes())).collect();
    assert!(taken.len() > 5 && taken.len() < 60);
    assert_eq!((report.users, report.sessions), (taken.len() as u64, taken.len() as u64));
    assert_eq!(report.shake.miss, 3 * taken.len() as u64);
    assert_eq!((report.lost, report.unanswered, report.sealed.no_key, report.sealed.tag), (0, 0, 0, 0));
}

/// Expect: what is recorded at the interface is what the server has written itself.
#[test]
fn a_recording_shows_what_the_server_saw() {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RecordArgs,
    }
    let (keys, files) = (Keys::new(), Files::new());
    let server = files.server(&keys, &["--mint", "50", "--mint-total", "1000"]);
    let port = server.addr().port();
    if !server.addr().ip().is_loopback() {
        return eprintln!("not tried: the interface is in another network namespace");
    }
    let recording = files.pcap.with_extension("recorded");
    let (out, its_port) = (recording.to_str().unwrap().to_owned(), port.to_string());
    let recorder = std::thread::spawn(move || {
        let line = ["record", "--iface", "lo", "--out", &out, "--port", &its_port];
        redpkt_pcap::record::run(&Line::try_parse_from(line).unwrap().args)
    });
    wait_for("the recording to begin", || (recorder.is_finished() || recording.exists()).then_some(()));
    let mut client = Client::new(server.addr(), &keys, 1..=20, 2, redpkt_proto::client::Config::default());
    client.join_all();
    client.want_shakes(3);
    client.finish();
    totals(server);
    if !recorder.is_finished() {
        // It waits for signals in its own thread.
        pthread_kill(recorder.as_pthread_t(), Signal::SIGTERM).unwrap();
    }
    match recorder.join().unwrap() {
        Err(failure) if failure.to_string().contains("CAP_NET_RAW") => {
            return eprintln!("not tried: {failure}");
        }
        outcome => outcome.unwrap_or_else(|failure| panic!("{failure}")),
    }
    let keylog = files.keylog.to_str().unwrap();
    let (written, recorded) = (files.read(port), read(&recording, &["--keylog", keylog], port));
    assert!(written.shake.miss + written.shake.win == 60 && written.opened.to_client >= 60);
    assert_eq!((recorded.frames, recorded.opened), (written.frames, written.opened));
    assert_eq!((recorded.shake.win, recorded.shake.miss), (written.shake.win, written.shake.miss));
}
