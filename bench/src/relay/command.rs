//! `redpkt-bench relay`, and the options that it shares with commands that start a relay themselves.

use super::{DirectionCounters, Relay, RelayCounters, RelayOptions};
use clap::Args;
use nix::sys::signal::Signal;
use redpkt::cli::{Failure, caught_signals};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What happens to datagrams on their way, in both directions.
#[derive(Args, Clone, Copy, Debug)]
pub struct ImpairmentArgs {
    /// Share of the datagrams that are lost, each way
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parse_percent)]
    pub loss: f64,
    /// Share of the datagrams that come twice, each way
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parse_percent)]
    pub duplicate: f64,
    /// Share of the datagrams that are held back for 1 to 5 ms and overtaken, each way
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = parse_percent)]
    pub reorder: f64,
    /// How long each datagram takes at least, each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub delay: Duration,
    /// How much longer it takes at the most, each way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub jitter: Duration,
}

impl ImpairmentArgs {
    /// As options of a relay.
    pub fn options(&self, seed: u64) -> RelayOptions {
        let ImpairmentArgs { loss, duplicate, reorder, delay, jitter } = *self;
        RelayOptions { loss, duplicate, reorder, delay, jitter, seed }
    }
}

/// Options of `relay`.
#[derive(Args, Clone, Copy)]
#[command(after_help = "Example:
  redpkt-bench relay --target 127.0.0.1:7100 --loss 20% --duplicate 5% --reorder 10% --delay 5ms --jitter 2ms
  redpkt-bench run --target 127.0.0.1:7200 ...")]
pub struct RelayArgs {
    /// Where clients send to
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7200")]
    listen: SocketAddr,
    /// The server
    #[arg(long, value_name = "ADDR")]
    target: SocketAddr,
    #[command(flatten)]
    impairment: ImpairmentArgs,
    /// Decides the fate of each datagram: the same seed, the same fates
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long to run, such as 30s or 1m [default: until SIGINT or SIGTERM]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
}

/// How often the signals are looked at.
const TURN: Duration = Duration::from_millis(20);

/// Runs the command.
pub fn run(args: RelayArgs) -> Result<(), Failure> {
    let RelayArgs { listen, target, impairment, seed, duration } = args;
    // Before the relay's thread is there, so that it does not get them either.
    let signals = caught_signals(&[Signal::SIGINT, Signal::SIGTERM])?;
    let relay = Relay::start_at(listen, target, impairment.options(seed))?;
    println!("relaying {} to {target}, seed {seed}", relay.addr());
    let start = Instant::now();
    let mut before = RelayCounters::default();
    let mut next_line = Duration::from_secs(1);
    while duration.is_none_or(|duration| start.elapsed() < duration) {
        if !matches!(signals.read_signal(), Ok(None)) {
            break;
        }
        std::thread::sleep(TURN);
        if start.elapsed() >= next_line {
            next_line += Duration::from_secs(1);
            let now = relay.counters();
            println!(
                "{:>5.0}s  peers {}  to server: {}  to clients: {}",
                start.elapsed().as_secs_f64(),
                now.peers,
                second(&now.to_server, &before.to_server),
                second(&now.to_client, &before.to_client)
            );
            before = now;
        }
    }
    let totals = relay.stop();
    println!("to server:  {}", total(&totals.to_server));
    println!("to clients: {}", total(&totals.to_client));
    println!("datagrams of clients beyond {}: {}", super::PEERS_MAX, totals.peers_refused);
    Ok(())
}

fn second(now: &DirectionCounters, before: &DirectionCounters) -> String {
    let since = |field: fn(&DirectionCounters) -> u64| field(now) - field(before);
    format!(
        "{} in, {} lost, {} doubled, {} reordered, {} out",
        since(|counters| counters.datagrams_in),
        since(|counters| counters.lost),
        since(|counters| counters.duplicated),
        since(|counters| counters.reordered),
        since(|counters| counters.datagrams_out)
    )
}

fn total(counters: &DirectionCounters) -> String {
    let DirectionCounters { full, send_error, waiting, .. } = counters;
    format!(
        "{}; {full} lost for want of room, {send_error} refused by the kernel, {waiting} still on their way",
        second(counters, &DirectionCounters::default())
    )
}

/// A share written as a percentage from `0%` to `100%`, such as `20%` or `0.5%`, as a number from 0 to 1.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let bad = || format!("{text:?} is not a percentage; write 0% to 100%, such as 20% or 0.5%");
    let digits = text.strip_suffix('%').ok_or_else(bad)?;
    if !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(bad());
    }
    let percent: f64 = digits.parse().map_err(|_| bad())?;
    if percent > 100.0 { Err(bad()) } else { Ok(percent / 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!(parse_percent("20%"), Ok(0.2));
        assert_eq!(parse_percent("0%"), Ok(0.0));
        assert_eq!(parse_percent("0.5%"), Ok(0.005));
        assert_eq!(parse_percent("100%"), Ok(1.0));
        for bad in ["", "%", "20", "101%", "-1%", "inf%", "nan%", "1e1%", ".%", "20 %", "a%"] {
            assert!(parse_percent(bad).unwrap_err().contains("write 0% to 100%"), "{bad}");
        }
    }
}
