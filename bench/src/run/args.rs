//! The command line of `run`.

use super::habits::SendHabit;
use super::mix::Mix;
use super::options::{RunOptions, SOURCE_PORTS};
use super::output::Outputs;
use super::remote::parse_per_s;
use super::schedule::{Arrivals, Rate};
use super::xdp::XdpArgs;
use crate::relay::ImpairmentArgs;
use clap::Args;
use redpkt::cli::{Cores, Failure, http_settings, parse_cores, read_key_file};
use redpkt::control::HttpSettings;
use redpkt::control::parse_fen_range;
use redpkt_proto::SEND_FEN_MAX;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `run`.
#[derive(Args)]
#[command(after_help = "Examples:
  redpkt-bench run --target 127.0.0.1:7100 --key redpkt.key --users 100000 --qps 30000
  redpkt-bench run --target 10.0.0.1:7100 --key redpkt.key --users 1000000 --qps 60000 --duration 60s --hosts 1/2 --align 60s
  redpkt-bench run --target 127.0.0.1:7100 --key redpkt.key --users 1000 --qps 2000 --loss 20% --json report.json
  redpkt-bench run --target 127.0.0.1:7100 --key redpkt.key --users 100000 --qps 0 --duration 1h --http-listen 127.0.0.1:7110
  redpkt-bench run --target 10.0.0.1:7100 --key redpkt.key --users 1000000 --qps 500000 --io xdp --iface eth1 --source-net 10.128.0.0/9
  redpkt-bench run --target 127.0.0.1:7100 --key redpkt.key --users 10000 --qps 5000 --http http://127.0.0.1:7101 \\
      --deposit 10000 --mix shake=90,send=5,balance=3,history=2,grab=50%,share=10% --tally clients.jsonl

What users do (--mix). At each shot they shake, send, ask for their balance or for the newest entry of their
history, by the weights shake=, send=, balance= and history=; who knows of too little money for a send shakes
instead. They open the share open= of what they win and are invited to. Of what they are invited to, they grab
the share grab= before that, and share the share share= with one more user. The share again= of the packets they
have opened is opened once more, which must tell the same amount.

Packets of the house (--order) beside shakes: exits with 1 unless all are found and opened to the last fen.
  redpkt-bench run --target 127.0.0.1:7100 --key redpkt.key --http http://127.0.0.1:7101 --users 100000 \\
      --qps 60000 --duration 105s --order 'rate=200&total=20000&recipients=3&shares=3&fen=3..300'

A run that is watched and steered (--http-listen): GET /stats.json and /histograms.json tell what this host does,
POST /qps?target=N sets its own rate from now on (0 is a pause; with --qps 0 it joins and waits for a rate; see also
redpkt-bench rate), POST /churn?share=0.1%25 has that share of its users leave and come again each second, and
POST /stop ends it in order.

Several hosts (--hosts I/N) share the users of one rate without talking: their clocks must be right, and
--align as long as their joins differ. Exit codes: 0 done, 1 the check failed, 2 an option is wrong,
3 the machine refused, or nobody answers.")]
pub struct RunArgs {
    /// The server
    #[arg(long, value_name = "ADDR")]
    target: SocketAddr,
    /// The server's key file, to make tickets with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Users of all hosts together
    #[arg(long, value_name = "N")]
    users: u64,
    /// The first user's number; the others follow it
    #[arg(long, value_name = "N", default_value_t = 1)]
    first_user: u64,
    /// Requests a second of all hosts together
    #[arg(long, value_name = "N", required_unless_present = "pps", conflicts_with = "pps")]
    qps: Option<u64>,
    /// Datagrams a second of all hosts together
    #[arg(long, value_name = "N")]
    pps: Option<u64>,
    /// How long, such as 10s or 5m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// What users do, as in --mix shake=90,send=5,open=1; see below
    #[arg(long, value_name = "OP=NUMBER,...", default_value = "shake=1,open=1", value_parser = Mix::parse)]
    mix: Mix,
    /// Recipients of each packet that users send
    #[arg(long, value_name = "K", default_value_t = SendHabit::default().recipients)]
    send_recipients: u32,
    /// Its shares [default: one for each recipient]
    #[arg(long, value_name = "N")]
    send_shares: Option<u8>,
    /// What is in it, in fen
    #[arg(long, value_name = "MIN..MAX", default_value = "10..200", value_parser = parse_fen_range)]
    send_fen: (u64, u64),
    /// How many of these packets have equal shares, the others random ones
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = parse_share)]
    send_equal: f64,
    /// Pay so much to each user before the run, once on one ledger; needs --http
    #[arg(long, value_name = "FEN", default_value_t = 0)]
    deposit: u64,
    /// Give this order of packets of the house (POST /send?QUERY) when the run begins: all must be found and opened; needs --http
    #[arg(long, value_name = "QUERY")]
    order: Option<String>,
    /// Requests in each shot, all of one user in one datagram
    #[arg(long, value_name = "K", default_value_t = 1)]
    frames_per_datagram: usize,
    /// This is host I of N: it has the users that are I-1 modulo N, from the first
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = parse_hosts)]
    hosts: (u32, u32),
    /// Ports, thus peers in the server's eyes, that this host's users come from [default: 16; with --io xdp a port and
    /// address for each]
    #[arg(long, value_name = "N")]
    source_ports: Option<usize>,
    #[command(flatten)]
    xdp: XdpArgs,
    /// How shots are spread in time
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    arrivals: Arrivals,
    #[command(flatten)]
    wire: ImpairmentArgs,
    /// Seed of random arrivals and of the bad wire
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let runs of datagrams of one socket cross the kernel as one: cheaper, but no longer system packets
    #[arg(long)]
    gso: bool,
    /// When a request counts as unanswered
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Whether users pace themselves, back off and throttle themselves as a loaded server asks
    #[arg(long)]
    obey: bool,
    /// Joins in flight
    #[arg(long, value_name = "N", default_value_t = 512)]
    join_window: usize,
    /// Threads that send and receive
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// The core of each thread, such as 1 or 2-3; none leaves them to the kernel
    #[arg(long, value_name = "LIST|none", default_value = "none", value_parser = parse_cores)]
    cores: Cores,
    /// Ask again instead of sleeping when the next shot is due so soon
    #[arg(long, value_name = "TIME", default_value = "20us", value_parser = humantime::parse_duration)]
    spin: Duration,
    /// Begin at a whole multiple of this on the server's clock
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    align: Duration,
    /// Serve the run's figures, and be told its rate, at this address; port 0 takes a free one, which is said
    #[arg(long, value_name = "ADDR")]
    http_listen: Option<SocketAddr>,
    /// File with the token that requests to --http-listen must show; needed on an address other than loopback
    #[arg(long, value_name = "FILE", requires = "http_listen")]
    http_token: Option<PathBuf>,
    /// This share of the users leaves in each second, once they wait for nothing, and joins anew
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_per_s)]
    churn: f64,
    /// This share of the users joins only when the run goes on
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    late: f64,
    /// How long it takes until all of --late are there
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    late_over: Duration,
    /// Sleep so long between two turns, and handle together what was due and what came: spares CPU, costs latency
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    nap: Duration,
    /// The server's HTTP side, whose counters are then compared, such as http://127.0.0.1:7101
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Write the report as JSON; - is stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the latencies as HdrHistogram's percentile text, in µs
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Write the latencies of each second as HdrHistogram's interval log, for redpkt-bench hist
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write money answers and unknown outcomes as JSON lines
    #[arg(long, value_name = "FILE")]
    tally: Option<PathBuf>,
    /// Write plain misses to the tally too
    #[arg(long)]
    tally_misses: bool,
    /// Write everything into this directory
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

impl RunArgs {
    /// Checks every option, alone and with the others.
    pub fn options(&self) -> Result<RunOptions, Failure> {
        let rate = match (self.qps, self.pps) {
            (_, Some(pps)) => Rate::datagrams_per_s(pps),
            (qps, None) => Rate::requests_per_s(qps.unwrap_or(0)),
        };
        let keys = read_key_file(&self.key, "--key")?;
        let (host, hosts) = self.hosts;
        let options = RunOptions {
            first_user: self.first_user,
            mix: self.mix,
            send: self.send_habit()?,
            deposit_fen: self.deposit,
            order: self.order.clone(),
            frames_per_datagram: self.frames_per_datagram,
            host,
            hosts,
            source_ports: self.source_ports.unwrap_or(SOURCE_PORTS),
            xdp: self.xdp.client()?,
            arrivals: self.arrivals,
            seed: self.seed,
            gso: self.gso,
            deadline: self.deadline,
            obeys: self.obey,
            join_window: self.join_window,
            threads: self.threads,
            cores: match &self.cores {
                Cores::None => Vec::new(),
                Cores::List(cores) => cores.clone(),
            },
            spin: self.spin,
            align: self.align,
            http: self.http.clone(),
            tally_misses: self.tally_misses,
            nap: self.nap,
            churn_per_s: self.churn,
            late: self.late,
            late_over: self.late_over,
            http_listen: self.http_listen()?,
            latency_log: self.hlog.is_some() || self.run_dir.is_some(),
            wire: Some(self.wire.options(self.seed)).filter(|wire| !wire.is_nothing()),
            ..RunOptions::new(self.target, keys, self.users, rate, self.duration)
        };
        if options.xdp.is_some() && self.source_ports.is_some() {
            return Err(Failure::usage("--source-ports: with --io xdp each user has its own; leave it out"));
        }
        options.check()?;
        Ok(options)
    }

    fn http_listen(&self) -> Result<Option<HttpSettings>, Failure> {
        let settings = |addr| http_settings(addr, self.http_token.as_deref(), "--http-listen");
        self.http_listen.map(settings).transpose()
    }

    fn send_habit(&self) -> Result<SendHabit, Failure> {
        let too_much = || Failure::usage(format!("--send-fen: at most {SEND_FEN_MAX} fen can be sent"));
        let fen = |fen: u64| u32::try_from(fen).map_err(|_| too_much());
        let shares = self.send_shares.unwrap_or(self.send_recipients.min(u8::MAX.into()) as u8);
        let (fen_min, fen_max) = (fen(self.send_fen.0)?, fen(self.send_fen.1)?);
        Ok(SendHabit { recipients: self.send_recipients, shares, fen_min, fen_max, equal: self.send_equal })
    }

    /// Where results go.
    pub fn outputs(&self) -> Outputs {
        Outputs {
            json: self.json.clone(),
            hgrm: self.hgrm.clone(),
            hlog: self.hlog.clone(),
            tally: self.tally.clone(),
            run_dir: self.run_dir.clone(),
        }
    }

    /// Whether progress is not wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
}

/// `20%` or `0.2`.
fn parse_share(text: &str) -> Result<f64, String> {
    let bad = || format!("{text:?} is not a share; write it as 20% or 0.2");
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| bad())? / 100.0,
        None => text.parse().map_err(|_| bad())?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(bad()) }
}

/// `I/N`.
fn parse_hosts(text: &str) -> Result<(u32, u32), String> {
    let bad = || format!("{text:?} is not I/N with I from 1 to N, such as 1/2");
    let (host, hosts) = text.split_once('/').ok_or_else(bad)?;
    let (host, hosts) = (host.parse().map_err(|_| bad())?, hosts.parse().map_err(|_| bad())?);
    if host == 0 || host > hosts { Err(bad()) } else { Ok((host, hosts)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn line(options: &str) -> Result<RunArgs, String> {
        let words = format!("x --target 127.0.0.1:7100 --key k --users 100 {options}");
        Line::try_parse_from(words.split_whitespace()).map(|line| line.run).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_and_hosts() {
        assert_eq!(parse_share("20%"), Ok(0.2));
        assert_eq!(parse_share("0.2"), Ok(0.2));
        assert_eq!(parse_hosts("2/3"), Ok((2, 3)));
        for bad in ["", "-1", "1.1", "101%", "x", "NaN"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
        for bad in ["", "1", "0/1", "2/1", "1/0", "a/b"] {
            assert!(parse_hosts(bad).is_err(), "{bad}");
        }
    }

    /// Expect: the option's name, the value and what is allowed.
    #[test]
    fn wrong_lines_say_which_option_is_wrong() {
        assert!(line("--qps 10").is_ok() && line("--pps 10 --loss 20% --delay 3ms").is_ok());
        for (options, names) in [
            ("", "--qps"),
            ("--qps 1 --pps 1", "--pps"),
            ("--qps 1 --hosts 3/2", "--hosts"),
            ("--qps 1 --loss 120%", "--loss"),
            ("--qps 1 --mix jump=1", "--mix"),
            ("--qps 1 --send-fen 9..1", "--send-fen"),
            ("--qps 1 --send-equal 2", "--send-equal"),
            ("--qps 1 --duration soon", "--duration"),
            ("--qps 1 --arrivals odd", "--arrivals"),
        ] {
            let why = line(options).err().unwrap();
            assert!(why.contains(names), "{options}: {why}");
        }
    }
}
