//! One line a second, for pipes and files.

use crate::page::words::{grouped, short, time};
use crate::record::{Count, Losses, Second, Series};
use serde_json::{Value, json};

use super::Trouble;

/// What the columns are. `udp` is who counts datagrams below the application: the kernel, or with AF_XDP the engine.
pub fn header(second: &Second) -> String {
    let udp = if second.is_xdp { "XDP" } else { "UDP" };
    let interface = if second.interfaces.len() == 1 { second.interfaces[0].as_str() } else { "card" };
    let interface: String = interface.chars().take(5).collect();
    let names = [
        "QPS".to_owned(),
        "app in".into(),
        "app out".into(),
        format!("{udp} in"),
        format!("{udp} out"),
        format!("{interface} in"),
        format!("{interface} out"),
    ];
    let names: String = names.iter().map(|name| format!("{name:>9}")).collect();
    format!(
        "{:>6}{names}  {:<22}{:>9}{:>7}{:>7}  {:<19}{:>4}",
        "s", "lost nic/soft/sock/us", "sessions", "wins", "opens", "p50/p99", "load"
    )
}

/// What happened in a second; the units are a second's.
pub fn line(second: &Second) -> String {
    let gauges = &second.gauges;
    let per = |count: Count| short(second.per_s[count]);
    let is_server = gauges.servers > 0;
    let own = |server: Count, client: Count| match (is_server, gauges.clients > 0) {
        (true, _) => per(server),
        (false, true) => per(client),
        (false, false) => "-".into(),
    };
    let numbers = [
        own(Count::Answers, Count::Answered),
        own(Count::DatagramsIn, Count::DatagramsReceived),
        own(Count::DatagramsOut, Count::DatagramsSent),
        per(Count::UdpIn),
        per(Count::UdpOut),
        per(Count::InterfaceIn),
        per(Count::InterfaceOut),
    ];
    let numbers: String = numbers.iter().map(|number| format!("{number:>9}")).collect();
    let losses = Losses::of(&second.per_s);
    let lost = [losses.nic, losses.softnet, losses.socket, losses.us].map(short).join("/");
    let (wins, opens) = (own(Count::Wins, Count::ClientWins), own(Count::Opens, Count::ClientOpens));
    let mut line = format!(
        "{:>6.0}{numbers}  {lost:<22}{:>9}{wins:>7}{opens:>7}  {:<19}{:>4}",
        second.at_s,
        grouped(gauges.sessions),
        latency(second),
        gauges.load_level
    );
    for part in states(second) {
        line.push_str("  ");
        line.push_str(&part);
    }
    line
}

/// p50 and p99 of who is nearest to the users, with a letter that says who: `c` a client, `s` the server's service.
pub fn latency(second: &Second) -> String {
    let Some((who, spread)) = second.waits.nearest_to_users() else { return "-".into() };
    let (p50, p99) = (time(spread.p50_ns as f64), time(spread.p99_ns as f64));
    format!("{}/{} {}", p50.replace(' ', ""), p99.replace(' ', ""), &who[..1])
}

/// What is not as it should be.
pub fn states(second: &Second) -> Vec<String> {
    let gauges = &second.gauges;
    let mut states = Vec::new();
    if gauges.service_level > 0 || !gauges.off.is_empty() {
        let off =
            if gauges.off.is_empty() { String::new() } else { format!(", off: {}", gauges.off.join(" ")) };
        states.push(format!("level {} {}{off}", gauges.service_level, gauges.service));
    }
    for (count, what) in [
        (gauges.groups_failed, "groups failed"),
        (gauges.sets_masked, "SETs masked"),
        (gauges.sets_draining, "SETs draining"),
        (second.counts[Count::Stalls] as u64, "stalls"),
    ] {
        if count > 0 {
            states.push(format!("{what}: {count}"));
        }
    }
    states
}

/// The same for programs.
pub fn to_json(second: &Second, troubles: &[Trouble]) -> Value {
    let mut value = serde_json::to_value(second).unwrap_or_default();
    value["losses_per_s"] = json!(Losses::of(&second.per_s));
    value["troubles"] = troubles.iter().map(|trouble| trouble.to_string()).collect::<Vec<_>>().into();
    value
}

/// All of it, in a few lines.
pub fn totals(series: &Series, seconds: f64) -> Vec<String> {
    let total = series.totals();
    let whole = |count: Count| grouped(total[count] as u64);
    let mut lines = vec![format!(
        "watched {seconds:.0} s: {} requests answered, {} datagrams in, {} out, {} joins, {} won, {} opened, {} ledger rows",
        whole(Count::Answers),
        whole(Count::DatagramsIn),
        whole(Count::DatagramsOut),
        whole(Count::Joins),
        whole(Count::Wins),
        whole(Count::Opens),
        whole(Count::Rows)
    )];
    if total[Count::Requests] > 0.0 {
        lines.push(format!(
            "clients: {} requests, {} answered, {} timeouts, {} sent once more; {} datagrams out, {} in",
            whole(Count::Requests),
            whole(Count::Answered),
            whole(Count::Timeouts),
            whole(Count::Retransmits),
            whole(Count::DatagramsSent),
            whole(Count::DatagramsReceived)
        ));
    }
    let losses = Losses::of(total);
    let reasons: Vec<String> =
        series.drops().iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let [nic, softnet, socket, us] =
        [losses.nic, losses.softnet, losses.socket, losses.us].map(|count| grouped(count as u64));
    lines.push(format!("lost: card {nic}, softnet {softnet}, socket {socket}, server {us}{reasons}"));
    lines
}

/// The same for programs.
pub fn totals_json(series: &Series, seconds: f64) -> Value {
    json!({ "totals": { "seconds": seconds, "counts": series.totals(), "losses": Losses::of(series.totals()), "drops": series.drops() } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Gauges, Spread, Waits};

    fn second() -> Second {
        let mut second =
            Second { at_s: 12.0, span_s: 1.0, interfaces: vec!["eth0".into()], ..Second::default() };
        second.per_s.set(Count::Answers, 123_456);
        second.per_s.set(Count::DatagramsIn, 40_000);
        second.per_s.set(Count::LostSocket, 17);
        second.gauges =
            Gauges { servers: 1, sessions: 1_000_000, load_level: 77, groups_failed: 1, ..Gauges::default() };
        let spread = Spread { count: 5, p50_ns: 45_000, p99_ns: 2_100_000, max_ns: 9_000_000 };
        second.waits = Waits { service: Some(spread), ..Waits::default() };
        second
    }

    /// Expect: columns end where their names do, with all figures of the second.
    #[test]
    fn a_line_stands_under_its_header() {
        let (header, line) = (header(&second()), line(&second()));
        for (name, value) in [
            ("QPS", "123k"),
            ("app in", "40.0k"),
            ("eth0 out", "0"),
            ("sessions", "1,000,000"),
            ("load", "77"),
        ] {
            let end = header.find(name).unwrap() + name.len();
            let before: String = line.chars().take(end).collect();
            assert_eq!(before.split_whitespace().last(), Some(value), "{name}\n{header}\n{line}");
        }
        assert!(
            line.contains("0/0/17/0")
                && line.contains("45.0µs/2.10ms s")
                && line.ends_with("groups failed: 1")
        );
    }

    /// Expect: without a server what the clients count, with AF_XDP its name, of nobody no figures.
    #[test]
    fn who_counts_is_said() {
        let mut clients = second();
        (clients.gauges.servers, clients.gauges.clients) = (0, 2);
        clients.per_s.set(Count::Answered, 55);
        assert!(line(&clients).contains(" 55 "));
        clients.gauges.clients = 0;
        assert!(line(&clients).contains("        -"));
        assert!(
            header(&Second { is_xdp: true, ..second() }).contains("XDP in")
                && header(&second()).contains("UDP in")
        );
    }

    #[test]
    fn programs_get_names() {
        let trouble = Trouble { source: "http://a:1".into(), why: "gone".into() };
        let value = to_json(&second(), &[trouble]);
        assert_eq!(
            (&value["per_s"]["answers"], &value["losses_per_s"]["socket"]),
            (&json!(123_456.0), &json!(17.0))
        );
        assert_eq!(value["troubles"][0], "http://a:1: gone");
        assert_eq!(value["waits"]["service"]["p50_ns"], 45_000);
    }
}
