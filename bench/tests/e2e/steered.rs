//! Load clients that are watched and steered by HTTP: their figures, their rate, and how they come and go.

use crate::common::{Keys, Loader, Server, ask, run_to_end, wait_for};
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn number(stats: &Value, pointer: &str) -> u64 {
    stats.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {stats:#}"))
}

fn shakes(stats: &Value) -> u64 {
    number(stats, "/shake/miss") + number(stats, "/shake/win")
}

/// Waits until the client has made so many more shakes than `before`, and expects that it never makes more than are due
/// at this rate since `begun`, which was before the rate was set.
fn makes(loader: &Loader, before: u64, more: u64, rate: f64, begun: Instant) {
    wait_for(&format!("{more} shakes at {rate}/s"), || {
        let made = number(&loader.stats(), "/shake/sent") - before;
        let due = rate * begun.elapsed().as_secs_f64();
        assert!(made as f64 <= due + 1.0, "{made} shakes where {due} were due");
        (made >= more).then_some(())
    });
}

/// Waits until the client makes no more shakes; how many it has made.
fn is_paused(loader: &Loader) -> u64 {
    wait_for("a pause", || {
        let before = number(&loader.stats(), "/shake/sent");
        std::thread::sleep(Duration::from_millis(400));
        (number(&loader.stats(), "/shake/sent") == before).then_some(before)
    })
}

/// Expect: a run with no rate joins and waits; shakes come at the rate that is asked for and never faster, also after a
/// pause, which is one; at the end every answer is right, and both sides have the same.
#[test]
fn a_rate_is_changed_paused_and_stopped() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--mint", "50", "--mint-total", "100"]);
    let report = keys.file("report.json");
    let loader = Loader::running(
        &server,
        &keys,
        &["--users", "300", "--threads", "2", "--json", report.to_str().unwrap()],
    );
    let stats = loader.stats();
    assert_eq!((&stats["kind"], number(&stats, "/users")), (&"client".into(), 300));
    assert_eq!((number(&stats, "/sessions"), shakes(&server.stats())), (300, 0));
    let begun = Instant::now();
    assert_eq!(loader.post("/qps?target=1000")["was"], 0);
    makes(&loader, 0, 500, 1_000.0, begun);
    assert_eq!(loader.post("/qps?target=0")["was"], 1_000);
    let made = is_paused(&loader);
    assert_eq!(loader.stats()["target_qps"], 0);
    let begun = Instant::now();
    loader.post("/qps?target=200");
    makes(&loader, made, 100, 200.0, begun);
    let histograms = loader.ask("GET", "/histograms.json").json();
    assert!(histograms["histograms"]["latency/shake"].is_string(), "{histograms}");
    assert_eq!(loader.post("/stop")["stops"], true);
    let (code, said) = loader.ended();
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(number(&report, "/timeouts"), 0);
    let all = number(&report, "/shake/miss") + number(&report, "/shake/win");
    let server = server.stats_when("all shakes", |stats| shakes(stats) >= all);
    assert_eq!((shakes(&server), number(&server, "/shake/win")), (all, number(&report, "/shake/win")));
    // It was told to last for ten minutes, and was stopped.
    assert!(report["seconds"].as_f64() < Some(300.0), "{}", report["seconds"]);
}

/// Expect: what is wrong is refused with what is allowed, and changes nothing; foreign pages do not come through.
#[test]
fn bad_requests_change_nothing() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let loader = Loader::running(&server, &keys, &["--users", "10", "--qps", "5"]);
    for target in ["/qps", "/qps?target=", "/qps?target=-1", "/qps?target=1.5", "/qps?target=1000000001"] {
        let reply = loader.ask("POST", target);
        assert_eq!(reply.status, 400, "{target}");
        assert!(reply.body.contains("0 to 1000000000"), "{}", reply.body);
    }
    for target in ["/churn", "/churn?share=2", "/churn?share=x"] {
        let reply = loader.ask("POST", target);
        assert!(reply.status == 400 && reply.body.contains("0.1%"), "{target}: {reply:?}");
    }
    assert_eq!((loader.ask("GET", "/qps?target=9").status, loader.ask("GET", "/").status), (405, 404));
    let foreign: [&[(&str, &str)]; 3] = [
        &[("Host", "evil.example")],
        &[("Origin", "http://evil.example")],
        &[("Sec-Fetch-Site", "cross-site")],
    ];
    for fields in foreign {
        assert_eq!(ask(loader.http, "POST", "/qps?target=9", fields).unwrap().status, 403, "{fields:?}");
        assert_eq!(ask(loader.http, "GET", "/stats.json", fields).unwrap().status, 403, "{fields:?}");
    }
    assert_eq!(loader.stats()["target_qps"], 5);
}

/// Expect: exit code 3 and the option's name where the port is taken, 2 where no rate can ever come.
#[test]
fn clients_that_cannot_be_steered_say_why() {
    let keys = Keys::new();
    let key = keys.path();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let run = |args: &[&str]| {
        let all = [&["run", "--target", "127.0.0.1:9", "--users", "5", "--key", key.to_str().unwrap()], args];
        run_to_end(&all.concat())
    };
    let (code, _, said) = run(&["--qps", "0", "--http-listen", &at]);
    assert!(code == 3 && said.contains(&format!("--http-listen {at}: ")), "{code} {said}");
    let (code, _, said) = run(&["--qps", "0"]);
    assert!(code == 2 && said.contains("--qps 0: 1 to"), "{code} {said}");
    let (code, _, said) = run(&["--qps", "0", "--http-listen", "0.0.0.0:0"]);
    assert!(code == 2 && said.contains("--http-token"), "{code} {said}");
}

/// Expect: the rate is split by users, to the last request; a table; 3 where a client is away, and the others are set;
/// 2 where somebody else answers, and nobody is.
#[test]
fn a_rate_is_split_over_clients() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let start = |host: &str| Loader::running(&server, &keys, &["--users", "31", "--hosts", host]);
    let loaders = [start("1/2"), start("2/2")];
    let urls = loaders.each_ref().map(Loader::url);
    let rates = || loaders.each_ref().map(|loader| number(&loader.stats(), "/target_qps"));
    let (code, table, said) = run_to_end(&["rate", "1001", "--http", &urls[0], "--http", &urls[1]]);
    assert_eq!(code, 0, "{said}");
    // 16 and 15 of 31 users.
    assert_eq!(rates(), [516, 485], "{table}");
    assert!(table.lines().any(|line| line.contains("1/2") && line.ends_with("516")), "{table}");
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{away}");
    let (code, _, said) = run_to_end(&["rate", "7", "--http", &urls[0], "--http", &away]);
    assert!(code == 3 && said.contains(&away), "{code} {said}");
    assert_eq!(rates(), [7, 485]);
    let other = format!("http://{}", server.http());
    let (code, _, said) = run_to_end(&["rate", "9", "--http", &urls[0], "--http", &other]);
    assert!(code == 2 && said.contains("no load client"), "{code} {said}");
    assert_eq!(rates(), [7, 485]);
}

/// Expect: users who come late and users who leave and come again while others shake, none of whom loses a request or
/// money; each user has one session at the server.
#[test]
fn users_come_late_and_come_again() {
    let keys = Keys::new();
    let server = Server::start(&keys, &["--mint", "100", "--mint-total", "100000"]);
    let loader = Loader::running(
        &server,
        &keys,
        &["--users", "500", "--qps", "500", "--late", "20%", "--late-over", "1s", "--churn", "20%/s"],
    );
    assert!(number(&server.stats(), "/sessions") < 500);
    let joined = |stats: &Value| number(stats, "/rejoins") > 150;
    loader.stats_when("users who come again", joined);
    server.stats_when("users who come late", |stats| number(stats, "/sessions") == 500);
    assert_eq!(loader.post("/churn?share=0")["was"], 0.2);
    loader.stats_when("all to be there", |stats| number(stats, "/sessions") == 500);
    assert!(number(&server.stats(), "/joins") >= 650);
    loader.post("/stop");
    let (code, said) = loader.ended();
    assert_eq!(code, 0, "{said}");
}
