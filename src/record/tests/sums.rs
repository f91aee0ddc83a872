//! Sources together, and sources that come, go and begin anew.

use super::*;

/// Expect: the first sample tells nothing; of what was there before, only what is new counts.
#[test]
fn a_second_is_the_difference_of_two_samples() {
    let mut series = Series::new();
    assert!(series.push(&at(0, vec![of_server("a", server(100.0, 5_000))])).is_none());
    let second = series.push(&at(2, vec![of_server("a", server(102.0, 5_600))])).unwrap();
    assert_eq!((second.at_s, second.span_s), (2.0, 2.0));
    assert_eq!((second.counts[Count::Answers], second.per_s[Count::Answers]), (600.0, 300.0));
    assert_eq!(series.totals()[Count::Answers], 600.0);
}

/// Expect: a server that began anew counts from 0, and the other one goes on.
#[test]
fn a_restart_of_one_of_two_servers_is_no_fall() {
    let mut series = Series::new();
    let both = |s: u64, a: ServerReading, b: u64| {
        at(s, vec![of_server("http://a:1", a), of_server("http://b:1", server(50.0 + s as f64, b))])
    };
    series.push(&both(0, server(9.0, 900), 100));
    let second = series.push(&both(1, server(0.5, 40), 130)).unwrap();
    assert_eq!(second.counts[Count::Answers], 70.0);
    assert_eq!(second.per_s[Count::Answers], 110.0, "40 in half a second, 30 in one");
    assert_eq!(second.gauges.servers, 2);
}

/// Expect: a client that began within the run counts from 0; one that is found late and is older does not.
#[test]
fn what_a_source_did_before_the_run_is_not_part_of_it() {
    let client =
        |uptime_s, requests| of_client("c", ClientReading { uptime_s, requests, ..ClientReading::default() });
    for (uptime_s, expected) in [(2.0, 500.0), (60.0, 0.0)] {
        let mut series = Series::new();
        series.push(&at(0, vec![of_server("s", server(3.0, 0))]));
        series.push(&at(3, vec![of_server("s", server(6.0, 0)), client(uptime_s, 500)]));
        assert_eq!(series.totals()[Count::Requests], expected);
    }
}

/// Expect: after it was away for 3 s a source's counts are whole, and its rate is that of 4 s.
#[test]
fn a_source_that_was_away_is_counted_over_its_own_time() {
    let mut series = Series::new();
    series.push(&at(0, vec![of_server("a", server(1.0, 0))]));
    let away = series.push(&at(1, vec![])).unwrap();
    assert_eq!((away.gauges.servers, away.counts[Count::Answers]), (0, 0.0));
    series.push(&at(3, vec![]));
    let back = series.push(&at(4, vec![of_server("a", server(5.0, 400))])).unwrap();
    assert_eq!((back.counts[Count::Answers], back.per_s[Count::Answers]), (400.0, 100.0));
}

/// Expect: totals and gauges of all added up, the load level the highest, the phase the least far.
#[test]
fn several_sources_are_added_up() {
    let server = |sessions, load_level| ServerReading {
        uptime_s: 9.0,
        sessions,
        load_level,
        ..ServerReading::default()
    };
    let client = |requests, phase: &str| ClientReading {
        uptime_s: 9.0 + requests as f64,
        requests,
        users: 10,
        sessions: 7,
        phase: phase.into(),
        ..ClientReading::default()
    };
    let sample = |second: u64, requests: u64| {
        at(
            second,
            vec![
                of_client("http://c:1", client(requests, "running")),
                of_server("http://a:1", server(3, 90)),
                of_server("http://b:1", server(4, 40)),
                of_client("http://d:1", client(2 * requests, "joining")),
            ],
        )
    };
    let mut series = Series::new();
    series.push(&sample(0, 0));
    let gauges = series.push(&sample(1, 10)).unwrap().gauges;
    assert_eq!(series.totals()[Count::Requests], 30.0);
    assert_eq!((gauges.sessions, gauges.load_level, gauges.users), (7, 90, 20), "the servers' sessions");
    assert_eq!(gauges.phase, "joining");
}

/// Expect: percentiles of both servers' values together, never a mean of percentiles.
#[test]
fn histograms_are_added() {
    let sample = |second: u64, fast: &[u64], slow: &[u64]| {
        let mut sample = at(
            second,
            vec![
                of_server("http://a:1", server(5.0 + second as f64, 0)),
                of_server("http://b:1", server(5.0 + second as f64, 0)),
            ],
        );
        sample.sources[0].latencies = latencies("service/shake", fast);
        sample.sources[1].latencies = latencies("service/open", slow);
        sample
    };
    let mut series = Series::new();
    series.push(&sample(0, &[1_000; 5], &[]));
    let second = series.push(&sample(1, &[1_000; 104], &[9_000_000])).unwrap();
    let service = second.waits.service.unwrap();
    assert_eq!((service.count, second.waits.client), (100, None));
    assert!(service.p99_ns < 1_100 && service.max_ns > 8_900_000, "{service:?}");
    assert_eq!(series.latencies().of_kind("service").len(), 100);
}

#[test]
fn workers_show_how_busy_they_were() {
    let worker = |cpu_ns| WorkerReading { cpu_ns, load_level: 3, ..WorkerReading::default() };
    let sample = |second: u64, cpu_ns| {
        let reading = ServerReading { workers: vec![worker(cpu_ns)], ..server(1.0 + second as f64, 0) };
        at(second, vec![of_server("a", reading)])
    };
    let mut series = Series::new();
    series.push(&sample(0, 7));
    let second = series.push(&sample(1, 250_000_007)).unwrap();
    assert_eq!(second.gauges.workers[0].cpu, 0.25);
}
