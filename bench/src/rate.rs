//! `redpkt-bench rate`: sets the rate of load clients that run, in proportion to their users.

use crate::http;
use crate::run::{grouped, split};
use clap::Args;
use redpkt::cli::Failure;
use serde_json::Value;
use std::fmt::Write as _;

/// The highest rate that a client takes.
const QPS_MAX: u64 = 1_000_000_000;

/// Options of `rate`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench rate 60000 --http http://127.0.0.1:7110 --http http://127.0.0.1:7111
  redpkt-bench rate 0 --http http://127.0.0.1:7110       # a pause: sessions are kept alive

The clients are `redpkt-bench run` with --http-listen. Each gets the part of the rate that its users are of the users
of all; the parts together are exactly the rate. Exit codes: 0 done, 2 an option is wrong, or somebody else answers
there, 3 a client is away: the others share the rate, and it is said who does not.")]
pub struct RateArgs {
    /// Requests a second of all clients together; 0 is a pause
    #[arg(value_name = "QPS", value_parser = clap::value_parser!(u64).range(0..=QPS_MAX))]
    qps: u64,
    /// A client's HTTP side; one for each
    #[arg(long, value_name = "URL", required = true)]
    http: Vec<String>,
}

/// A client whose rate was set, or not.
#[derive(Clone, Debug)]
pub struct SetRate {
    /// Its HTTP side.
    pub url: String,
    /// Which host it is, of how many.
    pub host: (u64, u64),
    /// Its users.
    pub users: u64,
    /// Its rate before.
    pub before: u64,
    /// Its rate now; or why it was not set.
    pub after: Result<u64, String>,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Clients that answered.
    pub clients: Vec<SetRate>,
    /// Those that did not, in a line each.
    pub away: Vec<String>,
}

/// Sets the rate of all clients together. It fails when one of them is no client of ours; nothing is set then.
pub fn set_rates(qps: u64, urls: &[String]) -> Result<Rates, Failure> {
    let mut rates = Rates::default();
    for url in urls {
        match http::get(url, "stats.json") {
            Err(why) => rates.away.push(why),
            Ok(stats) => rates.clients.push(client(url, &stats)?),
        }
    }
    let users: Vec<u64> = rates.clients.iter().map(|client| client.users).collect();
    for (client, part) in rates.clients.iter_mut().zip(split(qps, &users)) {
        client.after = match http::order(&client.url, &format!("qps?target={part}")) {
            Ok(_) => Ok(part),
            Err(why) => Err(why),
        };
    }
    rates.away.extend(rates.clients.iter().filter_map(|client| client.after.clone().err()));
    Ok(rates)
}

/// What a client says of itself.
fn client(url: &str, stats: &Value) -> Result<SetRate, Failure> {
    if stats["kind"] != "client" {
        return Err(Failure::usage(format!(
            "--http {url}: no load client answers there; name what redpkt-bench run serves at --http-listen"
        )));
    }
    let number = |name: &str| stats[name].as_u64().unwrap_or(0);
    let (host, users, before) = ((number("host"), number("hosts")), number("users"), number("target_qps"));
    Ok(SetRate { url: url.to_owned(), host, users, before, after: Ok(before) })
}

impl Rates {
    /// The table of before and after.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<32} {:>7} {:>12} {:>12} {:>12}\n", "client", "host", "users", "before", "after");
        let mut line = |url: &str, host: &str, users: u64, before: u64, after: &str| {
            let (users, before) = (grouped(users), grouped(before));
            let _ = writeln!(text, "{url:<32} {host:>7} {users:>12} {before:>12} {after:>12}");
        };
        for SetRate { url, host, users, before, after } in &self.clients {
            let after = after.as_ref().map_or_else(|_| "not set".to_owned(), |after| grouped(*after));
            line(url, &format!("{}/{}", host.0, host.1), *users, *before, &after);
        }
        let sum = |of: fn(&SetRate) -> u64| self.clients.iter().map(of).sum::<u64>();
        let after = sum(|client| *client.after.as_ref().unwrap_or(&client.before));
        line("all", "", sum(|client| client.users), sum(|client| client.before), &grouped(after));
        text
    }
}

/// Runs the command.
pub fn run(args: &RateArgs) -> Result<(), Failure> {
    let rates = set_rates(args.qps, &args.http)?;
    if !rates.clients.is_empty() {
        print!("{}", rates.table());
    }
    match &rates.away[..] {
        [] => Ok(()),
        away => Err(Failure::machine(format!(
            "{} of {} clients: the rate was not set: {}",
            away.len(),
            args.http.len(),
            away.join("; ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Expect: a line for each client and one for all, with what could not be set.
    #[test]
    fn a_table_shows_before_and_after() {
        let one = client(
            "http://a",
            &json!({"kind": "client", "host": 1, "hosts": 2, "users": 1_000, "target_qps": 7}),
        );
        let one = SetRate { after: Ok(30_000), ..one.unwrap() };
        let two = SetRate { after: Err("gone".into()), host: (2, 2), before: 5, ..one.clone() };
        let text = Rates { clients: vec![one, two], away: Vec::new() }.table();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("1/2") && lines[1].ends_with("30,000"), "{text}");
        assert!(lines[2].ends_with("not set") && lines[3].ends_with("30,005"), "{text}");
    }

    #[test]
    fn a_server_is_no_client() {
        let why = client("http://a", &json!({"sessions": 1})).unwrap_err();
        assert_eq!(why.code(), 2);
    }
}
