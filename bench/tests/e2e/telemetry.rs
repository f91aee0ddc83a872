//! What a server tells of itself: the same figures in all forms, and those of the machine beside them.

use super::common::*;
use prometheus_parse::{Scrape, Value as Sample};
use redpkt::telemetry::latencies::Latencies;
use redpkt_proto::client::Config;
use std::collections::HashSet;

const USERS: u64 = 50;
const SHAKES: usize = 8;
const PACKETS: u64 = 100;

/// A server on a ledger whose users have shaken and opened all packets.
fn served(args: &[&str]) -> (Keys, Server, Client) {
    let keys = Keys::new();
    let packets = PACKETS.to_string();
    let server = Server::start(
        &keys,
        &[&["--mint", "1000000", "--mint-total", &packets, "--shakes-per-s", "0"], args].concat(),
    );
    server.stats_when("the pools to be full", |stats| stats["pool_packets"] == PACKETS);
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 4, Config::default());
    client.join_all();
    client.want_shakes(SHAKES);
    client.finish();
    server.stats_when("all opens in the figures", |stats| {
        stats["open"]["ok"] == client.tally.opened.len() as u64
    });
    (keys, server, client)
}

fn latencies(server: &Server) -> Latencies {
    let reply = ask(server.http(), "GET", "/histograms.json", &[]).unwrap();
    Latencies::decode(&serde_json::from_str(&reply.body).unwrap()).unwrap()
}

/// Expect: each op's requests are in its histograms as often as they were answered, each in all stages that it has gone
/// through, and one turn of the loop at least for each.
#[test]
fn every_request_is_in_the_histograms_of_its_op() {
    let (_keys, server, client) = served(&[]);
    let latencies = latencies(&server);
    let count = |name: &str| latencies.0.get(name).map_or(0, |histogram| histogram.len());
    let stats = server.stats();
    let repeated = stats["repeated"].as_u64().unwrap();
    let shakes = USERS * SHAKES as u64;
    assert!((shakes..=shakes + repeated).contains(&count("service/shake")), "{}", count("service/shake"));
    assert_eq!(count("queueing/shake"), count("service/shake"));
    let won = client.tally.won.len() as u64;
    assert!((won..=won + repeated).contains(&count("ledger_wait/shake")), "{}", count("ledger_wait/shake"));
    assert!(count("ledger_wait/open") >= client.tally.opened.len() as u64 && count("service/join") >= USERS);
    assert!(count("turn/worker") > 0);
    let max_ns = latencies.of_kind("service").max();
    assert!((100..60_000_000_000).contains(&max_ns), "{max_ns}");
}

#[test]
fn without_telemetry_nothing_is_measured_and_all_is_served() {
    let (_keys, server, client) = served(&["--telemetry", "off"]);
    assert_eq!(client.tally.shakes(), USERS * SHAKES as u64);
    assert_eq!(
        (latencies(&server), server.stats()["stalls"]["count"].as_u64()),
        (Latencies::default(), Some(0))
    );
}

/// Expect: a Prometheus parser takes the text, each family has its help, and its figures are those of `/stats.json`.
#[test]
fn metrics_are_read_by_a_prometheus_parser_and_are_the_same_figures() {
    let (_keys, server, _client) = served(&[]);
    let stats = server.stats();
    let reply = ask(server.http(), "GET", "/metrics", &[]).unwrap();
    assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
    let scrape = Scrape::parse(reply.body.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let is_it = |sample: &&prometheus_parse::Sample| {
            sample.metric == name && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(value))
        };
        match scrape.samples.iter().find(is_it).map(|sample| &sample.value) {
            Some(Sample::Counter(value) | Sample::Gauge(value) | Sample::Untyped(value)) => *value,
            other => panic!("{name} {labels:?}: {other:?}"),
        }
    };
    let told = |pointer: &str| stats.pointer(pointer).unwrap().as_f64().unwrap();
    for (name, labels, pointer) in [
        ("redpkt_shakes_total", &[("outcome", "win")][..], "/shake/win"),
        ("redpkt_shakes_total", &[("outcome", "miss")], "/shake/miss"),
        ("redpkt_opens_total", &[("outcome", "ok")], "/open/ok"),
        ("redpkt_opened_fen_total", &[], "/open/fen"),
        ("redpkt_requests_answered_total", &[], "/answers"),
        ("redpkt_packets_minted_total", &[], "/orders/0/minted"),
        ("redpkt_ledger_rows_total", &[], "/ledger/rows"),
        ("redpkt_sessions", &[], "/sessions"),
        ("redpkt_drops_total", &[("reason", "tag")], "/drops/tag"),
        ("redpkt_conservation_ok", &[], "/conservation/checked"),
    ] {
        let expected = if name == "redpkt_conservation_ok" { 1.0 } else { told(pointer) };
        assert_eq!(value(name, labels), expected, "{name} {labels:?}");
    }
    // The last bucket of a histogram is for all values, by the name that Prometheus demands.
    let (all, count) =
        ("redpkt_request_seconds_bucket{le=\"+Inf\",stage=\"service\",op=\"shake\"} ", |prefix: &str| {
            let line = reply.body.lines().find_map(|line| line.strip_prefix(prefix));
            line.unwrap_or_else(|| panic!("{prefix}: {}", reply.body)).parse::<u64>().unwrap()
        });
    assert!(count(all) >= USERS * SHAKES as u64);
    assert_eq!(count(all), count("redpkt_request_seconds_count{stage=\"service\",op=\"shake\"} "));
    assert!(value("redpkt_interface_packets_total", &[("interface", "lo"), ("direction", "in")]) > 0.0);
    assert!(value("redpkt_udp_datagrams_total", &[("direction", "in")]) > 0.0);
    let undocumented = scrape.samples.iter().map(|sample| sample.metric.as_str()).find(|name| {
        let family = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        !scrape.docs.contains_key(family.unwrap_or(name)) && !scrape.docs.contains_key(*name)
    });
    assert_eq!(undocumented, None);
    // Few series, whatever the number of users and SETs.
    assert!(reply.body.lines().count() < 500, "{}", reply.body.lines().count());
}

/// Expect: the dashboard and the alert rules ask for figures that there are.
#[test]
fn dashboards_and_alerts_name_metrics_that_there_are() {
    let (_keys, server, _client) = served(&[]);
    let metrics = ask(server.http(), "GET", "/metrics", &[]).unwrap().body;
    for file in ["alerts.yml", "grafana-dashboard.json"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let names: HashSet<&str> = text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| word.starts_with("redpkt_"))
            .collect();
        assert!(names.len() > 5, "{file}: {names:?}");
        for name in names {
            let is_there = metrics.lines().any(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
            });
            assert!(is_there, "{file}: {name}");
        }
    }
}

/// Expect: what the kernel counts at the interface and for UDP grows by what we count at our sockets, and by no less.
#[test]
fn the_machines_counters_grow_with_ours() {
    let keys = Keys::new();
    let server = Server::start(&keys, &[]);
    let before = server.stats();
    let mut client = Client::new(server.addr(), &keys, 1..=USERS, 4, Config::default());
    client.join_all();
    client.want_shakes(SHAKES);
    client.finish();
    let after = server.stats_when("all shakes in the figures", |stats| {
        stats["shake"]["miss"].as_u64() >= Some(USERS * SHAKES as u64)
    });
    let grew = |pointer: &str| {
        let of = |stats: &serde_json::Value| stats.pointer(pointer).unwrap().as_u64().unwrap();
        of(&after) - of(&before)
    };
    let (datagrams_in, datagrams_out) = (grew("/datagrams_in"), grew("/datagrams_out"));
    // HELLO, JOIN, and shakes, some of them together.
    assert!(datagrams_in >= 3 * USERS);
    assert_eq!(after["machine"]["interfaces"][0]["name"], "lo");
    assert_eq!(after["machine"]["interfaces"][0]["serves"], true);
    // Other tests' datagrams are counted here too.
    assert!(grew("/machine/interfaces/0/rx_packets") >= datagrams_in + datagrams_out);
    assert!(grew("/machine/udp/out_datagrams") >= datagrams_in + datagrams_out);
}
